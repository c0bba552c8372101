/// Binary convolution or dense layer on a stream of windows: for every window and output o
///     out[o] = Activation(s[o]),   s[o] = sum(window * w[o])   (see window_sum.hpp)
///
///   Inputs      n, bipolar inputs of a window (K * K * C)
///   Outputs     output channels
///   Pixels      windows of a frame
///   Pe, Simd    outputs and inputs a cycle (Simd at most 64); Pe divides Outputs, Simd divides Inputs
///   Masked      the highest bit of a beat, behind its Simd elements, says that they lie outside the map and have no part in s
///   Group, GroupThreshold  groups of neighbouring inputs that vote first; 1 and 0 without them (no groups with Masked)
///   Activation  what becomes of s, a struct of its own header: majority_vote, threshold, popcount_scale, sum
///   weights     [e][nf * SF + sf], bit i: input sf * Simd + i of output nf * Pe + e, 1 is +1
///   tables      those of the activation
///
/// A window's SF = Inputs / Simd beats are used for NF = Outputs / Pe passes: the first takes them from the stream and
/// keeps them, the others replay. Pixels * NF * SF cycles a frame. Where the weights are kept is the caller's choice
/// (BIND_STORAGE on the table).
#pragma once

#include "stream_types.hpp"
#include "window_sum.hpp"

namespace flow {

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, bool Masked, unsigned Group,
          int GroupThreshold, class Activation, class... Tables>
void xnor_popcount(hls::stream<beat<Simd + Masked, 1>>& in, hls::stream<beat<Pe, Activation::OutBits>>& out,
                   const word<Simd> (&weights)[Pe][(Outputs / Pe) * (Inputs / Simd)], const Tables&... tables) {
#pragma HLS ARRAY_PARTITION variable=weights complete dim=1
    static_assert(Simd <= 64, "xnor_popcount: Simd is at most 64 in HLS");
    static_assert(Outputs % Pe == 0, "xnor_popcount: Pe must divide Outputs");
    static_assert(Inputs % Simd == 0, "xnor_popcount: Simd must divide Inputs");
    static_assert(!Masked || Group == 1, "xnor_popcount: a group outside the map has no majority");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;

    word<Simd> window[Beats];
    bool outside[Beats];                                    // only where Masked
    window_sum<Inputs, Simd, Group, GroupThreshold> sums[Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
            for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
                if (pass == 0) {
                    const beat<Simd + Masked, 1> data = in.read();
                    window[b] = static_cast<word<Simd>>(data.to_uint64() & mask<Simd>());
                    if (Masked) outside[b] = data[Simd + Masked - 1];
                }
                const word<Simd> x = window[b];
                const bool skipped = Masked && outside[b];
                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                    sums[e].add(b, x, weights[e][pass * Beats + b], skipped);
                }
                if (b == Beats - 1) {
                    int32_t result[Pe];
                    for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                        result[e] = Activation::apply(sums[e].s, e, pass, tables...);
                    }
                    out.write(pack<Pe, Activation::OutBits>(result));
                }
            }
        }
    }
}

}  // namespace flow

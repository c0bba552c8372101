/// Binary convolution or dense layer on a stream of windows: for every window and output o
///     p[o] = popcount(XNOR(window, w[o])),   vote[o] = p[o] >= Threshold
///
///   Inputs     n, bipolar inputs of a window (K * K * C)
///   Outputs    output channels
///   Pixels     windows of a frame
///   Pe, Simd   outputs and inputs a cycle (Simd at most 64); Pe divides Outputs, Simd divides Inputs
///   Threshold  ceil(n / 2) for the exact majority
///   weights    [e][nf * SF + sf], bit i: input sf * Simd + i of output nf * Pe + e, 1 is +1
///
/// A window's SF = Inputs / Simd beats are used for NF = Outputs / Pe passes: the first takes them from the stream and
/// keeps them, the others replay. Pixels * NF * SF cycles a frame. Where the weights are kept is the caller's choice
/// (BIND_STORAGE on the table).
#pragma once

#include "majority_vote.hpp"
#include "popcount.hpp"
#include "stream_types.hpp"

namespace flow {

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, int Threshold>
void xnor_popcount(hls::stream<beat<Simd, 1>>& in, hls::stream<beat<Pe, 1>>& out,
                   const word<Simd> (&weights)[Pe][(Outputs / Pe) * (Inputs / Simd)]) {
#pragma HLS ARRAY_PARTITION variable=weights complete dim=1
    static_assert(Simd <= 64, "xnor_popcount: Simd is at most 64 in HLS");
    static_assert(Outputs % Pe == 0, "xnor_popcount: Pe must divide Outputs");
    static_assert(Inputs % Simd == 0, "xnor_popcount: Simd must divide Inputs");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;
    const unsigned CountBits = bits_for(Inputs);

    word<Simd> window[Beats];
    count<CountBits> agreements[Pe];
#pragma HLS ARRAY_PARTITION variable=agreements complete dim=1

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
            for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
                if (pass == 0) window[b] = static_cast<word<Simd>>(in.read().to_uint64());
                const word<Simd> x = window[b];
                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                    const count<CountBits> before = b == 0 ? count<CountBits>(0) : agreements[e];
                    agreements[e] = before + agreement<Simd>(x, weights[e][pass * Beats + b]);
                }
                if (b == Beats - 1) out.write(majority_vote<Pe, CountBits, Threshold>(agreements));
            }
        }
    }
}

}  // namespace flow

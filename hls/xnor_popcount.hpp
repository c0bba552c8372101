/// Binary convolution or dense layer on a stream of windows: for every window and output o
///     out[o] = Activation(s[o]),   s[o] = sum(window * w[o])   (see window_sum.hpp)
///
///   Inputs      n, bipolar inputs of a sum: of a window (K * K * C), or of a group of it
///   Outputs     output channels
///   Pixels      windows of a frame
///   Pe, Simd    outputs and inputs a cycle (Simd at most 64); Pe divides Outputs, Simd divides Inputs
///   ConvGroups  of the convolution (not the Group of inputs that vote together): the window comes group after group, and
///               Outputs / ConvGroups outputs belong to each
///   Masked      the highest bit of a beat, behind its Simd elements, says that they lie outside the map and have no part in s
///   Group, GroupThreshold  groups of neighbouring inputs that vote first; 1 and 0 without them (no groups with Masked)
///   Activation  what becomes of s, a struct of its own header: majority_vote, threshold, popcount_scale, sum
///   weights     [nf * SF + sf], words side by side, low part first: bit e * Simd + i is input sf * Simd + i of output
///               nf * Pe + e, 1 is +1
///   tables      those of the activation
///
/// A window's SF = Inputs / Simd beats are used for NF = Outputs / Pe passes: the first takes them from the stream and
/// keeps them, the others replay. Pixels * NF * SF cycles a frame. Where the weights are kept is the caller's choice
/// (BIND_STORAGE on the table).
#pragma once

#include "stream_types.hpp"
#include "window_sum.hpp"

namespace flow {

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned ConvGroups, bool Masked,
          unsigned Group, int GroupThreshold, class Activation, class Word, unsigned Words, class... Tables>
void xnor_popcount(hls::stream<beat<Simd + Masked, 1>>& in, hls::stream<beat<Pe, Activation::OutBits>>& out,
                   const Word (&weights)[(Outputs / Pe) * (Inputs / Simd)][Words], const Tables&... tables) {
#pragma HLS ARRAY_RESHAPE variable=weights complete dim=2
    static_assert(Simd <= 64, "xnor_popcount: Simd is at most 64 in HLS");
    static_assert(Outputs % (ConvGroups * Pe) == 0, "xnor_popcount: Pe must divide Outputs, those of a group");
    static_assert(Inputs % Simd == 0, "xnor_popcount: Simd must divide Inputs");
    static_assert(!Masked || Group == 1, "xnor_popcount: a group outside the map has no majority");
    static_assert(8 * sizeof(Word) * Words >= Pe * Simd, "xnor_popcount: the weights' words are too few for Pe * Simd");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;
    using sums = window_sum<Inputs, Simd, Group, GroupThreshold>;

    beat<Simd + Masked, 1> window[Beats];
#pragma HLS BIND_STORAGE variable=window type=ram_s2p impl=lutram
    typename sums::total s[Pe];
#pragma HLS ARRAY_PARTITION variable=s complete dim=1
    typename sums::matched counted[Pe];
#pragma HLS ARRAY_PARTITION variable=counted complete dim=1
    typename sums::position at;
    at.start();
    count<bits_for(Passes)> pass = 0;
    count<bits_for(Passes)> replay = 0;  // the passes before it that have used what is in the window
    count<bits_for(Passes * Beats)> address = 0;

    for (unsigned cycle = 0; cycle < Pixels * Passes * Beats; ++cycle) {
#pragma HLS PIPELINE II=1
        beat<Simd + Masked, 1> data;
        if (replay == 0) {
            data = in.read();
            window[at.beat] = data;
        } else {
            data = window[at.beat];
        }
        const word<Simd> x = static_cast<word<Simd>>(data.to_uint64() & mask<Simd>());
        const bool outside = Masked && data[Simd + Masked - 1];
        Word row[Words];
        for (unsigned w = 0; w < Words; ++w) {
#pragma HLS UNROLL
            row[w] = weights[address][w];
        }
        for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
            sums::add(s[e], counted[e], at, x, static_cast<word<Simd>>(element<Simd>(row, e)), outside);
        }
        if (at.last()) {
            int32_t result[Pe];
            for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                result[e] = Activation::apply(s[e], e, pass, tables...);
            }
            out.write(pack<Pe, Activation::OutBits>(result));
        }
        address = address == Passes * Beats - 1 ? decltype(address)(0) : decltype(address)(address + 1);
        if (at.last()) replay = replay == Passes / ConvGroups - 1 ? decltype(replay)(0) : decltype(replay)(replay + 1);
        if (at.last()) pass = pass == Passes - 1 ? decltype(pass)(0) : decltype(pass)(pass + 1);
        at.next();
    }
}

}  // namespace flow

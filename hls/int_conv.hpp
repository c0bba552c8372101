/// Integer convolution or dense layer on a stream of windows: for every window and output o
///     out[o] = saturate_OutBits((multiplier[o] * sum_i w[o][i] * x[i] + bias[o]) >> Shift)     (arithmetic shift: floor)
///
///   Inputs             inputs of a sum: of a window (K * K * C), or of a group of it
///   Outputs, Pixels    output channels; windows of a frame (1 for the classifier)
///   Pe, Simd           outputs and inputs a cycle; Pe divides Outputs, Simd divides Inputs
///   InBits, WeightBits signed elements, at most 16 and 8 bits; those of 1 bit are -1 and +1, and multiply nothing
///   Masked             inputs of 1 bit: the highest bit of a beat says that they lie outside the map and have no part in the sum
///   OutBits            bits of an output, at most 32
///   AccBits            bits that hold every sum by its multiplier with its bias, at most 64
///   Shift, Even        right shift before saturation, and its rounding: see multiply_shift
///   ConvGroups         of the convolution: the window comes group after group, and Outputs / ConvGroups outputs belong to each
///   weights            [nf * SF + sf], words side by side, low part first: element e * Simd + i is input sf * Simd + i of output
///                      nf * Pe + e
///   bias               [nf][e]: of output nf * Pe + e, of any integer type
///   multipliers        [nf][e], of any integer type, the smaller the better; or no argument at all: then they are 1
///
/// Passes over a window as in xnor_popcount: Pixels * NF * SF cycles a frame. The products of a cycle are added up before the sum
/// of the cycles before comes in, so that only one addition lies between one cycle's sum and the next.
#pragma once

#include "multiply_shift.hpp"
#include "stream_types.hpp"

namespace flow {

/// input * weight; where one of them is a sign, the other or its negative.
template <unsigned InBits, unsigned WeightBits> int32_t product(int32_t input, int32_t weight) {
#pragma HLS INLINE
    if (InBits == 1) return input > 0 ? weight : input < 0 ? -weight : 0;  // 0: masked
    if (WeightBits == 1) return weight > 0 ? input : -input;
    return integer<InBits>(input) * integer<WeightBits>(weight);
}

/// The elements of a beat of a window, all 0 where it is masked.
template <unsigned Simd, unsigned InBits, unsigned Masked>
void unpack_inputs(const ap_uint<Simd * InBits + Masked>& data, integer<InBits> (&x)[Simd]) {
#pragma HLS INLINE
    const chunks<Simd * InBits + Masked> parts(data);
    const bool outside = Masked && parts.template get<1>(Simd * InBits + Masked - 1);
    for (unsigned i = 0; i < Simd; ++i) {
#pragma HLS UNROLL
        const uint64_t bits = parts.template get<InBits>(i);
        x[i] = static_cast<integer<InBits>>(outside ? 0 : signed_element<InBits>(bits));
    }
}

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned InBits, unsigned Masked,
          unsigned WeightBits, unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, unsigned ConvGroups, class Word,
          unsigned Words, class Bias, class... Multipliers>
void int_conv(hls::stream<ap_uint<Simd * InBits + Masked>>& in, hls::stream<beat<Pe, OutBits>>& out,
              const Word (&weights)[(Outputs / Pe) * (Inputs / Simd)][Words], const Bias (&bias)[Outputs / Pe][Pe],
              const Multipliers&... multipliers) {
#pragma HLS ARRAY_RESHAPE variable=weights complete dim=2
#pragma HLS ARRAY_RESHAPE variable=bias complete dim=2
    static_assert(Outputs % (ConvGroups * Pe) == 0, "int_conv: Pe must divide Outputs, those of a group");
    static_assert(Inputs % Simd == 0, "int_conv: Simd must divide Inputs");
    static_assert(InBits <= 16 && WeightBits <= 8, "int_conv: at most 16-bit inputs and 8-bit weights");
    static_assert(!Masked || InBits == 1, "int_conv: only inputs of one bit are masked");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "int_conv: OutBits <= 32, Shift < AccBits <= 64");
    static_assert(8 * sizeof(Word) * Words >= Pe * Simd * WeightBits, "int_conv: the weights' words are too few");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;
    const unsigned SumBits = InBits + WeightBits - 1 + bits_for(Inputs);

    ap_uint<Simd * InBits + Masked> window[Beats];
#pragma HLS BIND_STORAGE variable=window type=ram_s2p impl=lutram
    accumulator<SumBits> sums[Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1
    count<bits_for(Beats)> b = 0;
    count<bits_for(Passes)> pass = 0;
    count<bits_for(Passes)> replay = 0;  // the passes before it that have used what is in the window
    count<bits_for(Passes * Beats)> address = 0;

    for (unsigned cycle = 0; cycle < Pixels * Passes * Beats; ++cycle) {
#pragma HLS PIPELINE II=1
        ap_uint<Simd * InBits + Masked> data;
        if (replay == 0) {
            data = in.read();
            window[b] = data;
        } else {
            data = window[b];
        }
        integer<InBits> x[Simd];
        unpack_inputs<Simd, InBits, Masked>(data, x);
        Word row[Words];
        for (unsigned w = 0; w < Words; ++w) {
#pragma HLS UNROLL
            row[w] = weights[address][w];
        }
        for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
            accumulator<SumBits> products = 0;
            for (unsigned i = 0; i < Simd; ++i) {
#pragma HLS UNROLL
                const int32_t weight = signed_element<WeightBits>(element<WeightBits>(row, e * Simd + i));
                products += product<InBits, WeightBits>(x[i], weight);
            }
            sums[e] = (b == 0 ? accumulator<SumBits>(0) : sums[e]) + products;
        }
        if (b == Beats - 1) {
            int32_t result[Pe];
            for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                result[e] = multiply_shift<OutBits, AccBits, Shift, Even>(sums[e], bias[pass][e], pass, e, multipliers...);
            }
            out.write(pack<Pe, OutBits>(result));
        }
        address = address == Passes * Beats - 1 ? decltype(address)(0) : decltype(address)(address + 1);
        if (b == Beats - 1) replay = replay == Passes / ConvGroups - 1 ? decltype(replay)(0) : decltype(replay)(replay + 1);
        if (b == Beats - 1) pass = pass == Passes - 1 ? decltype(pass)(0) : decltype(pass)(pass + 1);
        b = b == Beats - 1 ? decltype(b)(0) : decltype(b)(b + 1);
    }
}

}  // namespace flow

/// Integer convolution or dense layer on a stream of windows: for every window and output o
///     out[o] = saturate_OutBits((multiplier[o] * sum_i w[o][i] * x[i] + bias[o]) >> Shift)     (arithmetic shift: floor)
///
///   Inputs             inputs of a window (K * K * C)
///   Outputs, Pixels    output channels; windows of a frame (1 for the classifier)
///   Pe, Simd           outputs and inputs a cycle; Pe divides Outputs, Simd divides Inputs
///   InBits, WeightBits signed elements, at most 16 and 8 bits; -1 and +1 are weights of 2 bits
///   OutBits            bits of an output, at most 32
///   AccBits            bits that hold every sum by its multiplier with its bias, at most 64
///   Shift              right shift before saturation
///   weights            [e][nf * SF + sf][i]: input sf * Simd + i of output nf * Pe + e
///   bias               [o], of any integer type
///   multipliers        [o], or no argument at all: then they are 1, and the bias is where a sum starts
///
/// Passes over a window as in xnor_popcount: Pixels * NF * SF cycles a frame.
#pragma once

#include "stream_types.hpp"

namespace flow {

/// multipliers[output] * sum, or the sum itself where there are no multipliers.
template <unsigned Pe, class Sum> Sum scaled(const Sum& sum, unsigned) {
#pragma HLS INLINE
    return sum;
}

template <unsigned Pe, class Sum, unsigned Outputs>
int64_t scaled(const Sum& sum, unsigned output, const int32_t (&multipliers)[Outputs]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable=multipliers cyclic factor=Pe dim=1
    return int64_t(multipliers[output]) * int64_t(sum);
}

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned InBits,
          unsigned WeightBits, unsigned OutBits, unsigned AccBits, unsigned Shift, class Bias, class... Multipliers>
void int_conv(hls::stream<beat<Simd, InBits>>& in, hls::stream<beat<Pe, OutBits>>& out,
              const int8_t (&weights)[Pe][(Outputs / Pe) * (Inputs / Simd)][Simd], const Bias (&bias)[Outputs],
              const Multipliers&... multipliers) {
#pragma HLS ARRAY_PARTITION variable=weights complete dim=1
#pragma HLS ARRAY_PARTITION variable=weights complete dim=3
#pragma HLS ARRAY_PARTITION variable=bias cyclic factor=Pe dim=1
    static_assert(Outputs % Pe == 0, "int_conv: Pe must divide Outputs");
    static_assert(Inputs % Simd == 0, "int_conv: Simd must divide Inputs");
    static_assert(InBits <= 16 && WeightBits <= 8, "int_conv: at most 16-bit inputs and 8-bit weights");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "int_conv: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;
    const bool Scaled = sizeof...(Multipliers) > 0;
    const unsigned SumBits = Scaled ? InBits + WeightBits - 1 + bits_for(Inputs) : AccBits;

    integer<InBits> window[Beats][Simd];
#pragma HLS ARRAY_PARTITION variable=window complete dim=2
    accumulator<SumBits> sums[Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
            for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
                if (pass == 0) unpack_signed<Simd, InBits>(in.read(), window[b]);
                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                    accumulator<SumBits> sum = b == 0 ? accumulator<SumBits>(Scaled ? 0 : bias[pass * Pe + e]) : sums[e];
                    for (unsigned i = 0; i < Simd; ++i) {
#pragma HLS UNROLL
                        sum += window[b][i] * weights[e][pass * Beats + b][i];
                    }
                    sums[e] = sum;
                }
                if (b == Beats - 1) {
                    int32_t result[Pe];
                    for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                        const unsigned output = pass * Pe + e;
                        const Bias offset = Scaled ? bias[output] : 0;
                        const accumulator<AccBits> total = scaled<Pe>(sums[e], output, multipliers...) + offset;
                        result[e] = saturate<OutBits>(accumulator<AccBits>(total >> Shift));
                    }
                    out.write(pack<Pe, OutBits>(result));
                }
            }
        }
    }
}

}  // namespace flow

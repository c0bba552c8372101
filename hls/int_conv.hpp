/// Integer convolution or dense layer on a stream of windows: for every window and output o
///     out[o] = saturate_OutBits((sum_i w[o][i] * x[i] + bias[o]) >> Shift)     (arithmetic shift: floor)
///
///   Inputs             inputs of a window (K * K * C)
///   Outputs, Pixels    output channels; windows of a frame (1 for the classifier)
///   Pe, Simd           outputs and inputs a cycle; Pe divides Outputs, Simd divides Inputs
///   InBits, WeightBits signed elements, at most 16 and 8 bits
///   OutBits            bits of an output, at most 32
///   AccBits            bits that hold every sum with its bias, at most 64
///   Shift              right shift before saturation
///   weights            [e][nf * SF + sf][i]: input sf * Simd + i of output nf * Pe + e
///   bias               [o]
///
/// Passes over a window as in xnor_popcount: Pixels * NF * SF cycles a frame.
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned InBits,
          unsigned WeightBits, unsigned OutBits, unsigned AccBits, unsigned Shift>
void int_conv(hls::stream<beat<Simd, InBits>>& in, hls::stream<beat<Pe, OutBits>>& out,
              const int8_t (&weights)[Pe][(Outputs / Pe) * (Inputs / Simd)][Simd], const int32_t (&bias)[Outputs]) {
#pragma HLS ARRAY_PARTITION variable=weights complete dim=1
#pragma HLS ARRAY_PARTITION variable=weights complete dim=3
#pragma HLS ARRAY_PARTITION variable=bias cyclic factor=Pe dim=1
    static_assert(Outputs % Pe == 0, "int_conv: Pe must divide Outputs");
    static_assert(Inputs % Simd == 0, "int_conv: Simd must divide Inputs");
    static_assert(InBits <= 16 && WeightBits <= 8, "int_conv: at most 16-bit inputs and 8-bit weights");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "int_conv: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;

    integer<InBits> window[Beats][Simd];
#pragma HLS ARRAY_PARTITION variable=window complete dim=2
    accumulator<AccBits> sums[Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
            for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
                if (pass == 0) unpack_signed<Simd, InBits>(in.read(), window[b]);
                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                    accumulator<AccBits> sum = b == 0 ? accumulator<AccBits>(bias[pass * Pe + e]) : sums[e];
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
                        result[e] = saturate<OutBits>(accumulator<AccBits>(sums[e] >> Shift));
                    }
                    out.write(pack<Pe, OutBits>(result));
                }
            }
        }
    }
}

}  // namespace flow

/// Integer layer whose weights come from DDR once a frame: int_conv for frames of few windows, which are kept, so that each weight
/// word serves all of them and is fetched once.
///
///   Inputs, Outputs, Pixels, Pe, Simd, InBits, Masked, WeightBits, OutBits, AccBits, Shift, Even, bias, multipliers   as in int_conv
///   in       the windows, Simd elements a beat
///   weights  NF * SF words of Pe * Simd weights of WeightBits bits in the order of int_conv's, PE 0 in the low bits
///   out      Pe outputs a beat, in pixel order
///
/// Five processes, as in weight_stationary: fetch_weights and width_converter bring the weights, load_map, int_stationary and drain
/// share two ping-pong memories. A frame takes NF * SF * Pixels cycles.
#pragma once

#include "int_conv.hpp"
#include "stationary.hpp"
#include "stream_types.hpp"

namespace flow {

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned InBits, unsigned Masked,
          unsigned WeightBits, unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Bias, class... Multipliers>
void int_stationary(const ap_uint<Simd * InBits + Masked> (&map)[Pixels * (Inputs / Simd)],
                    hls::stream<beat<Pe * Simd, WeightBits>>& weights, beat<Pe, OutBits> (&outputs)[Pixels * (Outputs / Pe)],
                    const Bias (&bias)[Outputs / Pe][Pe], const Multipliers&... multipliers) {
#pragma HLS ARRAY_RESHAPE variable=bias complete dim=2
    static_assert(Outputs % Pe == 0, "int_stationary: Pe must divide Outputs");
    static_assert(Inputs % Simd == 0, "int_stationary: Simd must divide Inputs");
    static_assert(InBits <= 16 && WeightBits <= 8, "int_stationary: at most 16-bit inputs and 8-bit weights");
    static_assert(!Masked || InBits == 1, "int_stationary: only inputs of one bit are masked");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "int_stationary: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned Passes = Outputs / Pe;
    const unsigned Beats = Inputs / Simd;
    const unsigned SumBits = InBits + WeightBits - 1 + bits_for(Inputs);

    integer<WeightBits> weight[Pe * Simd];
#pragma HLS ARRAY_PARTITION variable=weight complete dim=1
    accumulator<SumBits> sums[Pixels][Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
#pragma HLS BIND_STORAGE variable=sums type=ram_s2p impl=lutram
    // A window's sum is next needed when all the others had their turn.
#pragma HLS DEPENDENCE variable=sums inter RAW distance=Pixels true
    accumulator<SumBits> last[Pe];  // that of one window, needed in the next cycle, which no memory can give
#pragma HLS ARRAY_PARTITION variable=last complete dim=1

    for (unsigned pass = 0; pass < Passes; ++pass) {
        for (unsigned b = 0; b < Beats; ++b) {
            for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
#pragma HLS PIPELINE II=1
                if (pixel == 0) unpack_inputs<Pe * Simd, WeightBits, 0>(weights.read(), weight);
                integer<InBits> input[Simd];
                unpack_inputs<Simd, InBits, Masked>(map[pixel * Beats + b], input);

                int32_t result[Pe];
                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                    accumulator<SumBits> products = 0;
                    for (unsigned i = 0; i < Simd; ++i) {
#pragma HLS UNROLL
                        products += product<InBits, WeightBits>(input[i], weight[e * Simd + i]);
                    }
                    const accumulator<SumBits> before = Pixels == 1 ? last[e] : sums[pixel][e];
                    const accumulator<SumBits> sum = (b == 0 ? accumulator<SumBits>(0) : before) + products;
                    sums[pixel][e] = sum;
                    last[e] = sum;
                    result[e] = multiply_shift<OutBits, AccBits, Shift, Even>(sum, bias[pass][e], pass, e, multipliers...);
                }
                if (b == Beats - 1) outputs[pixel * Passes + pass] = pack<Pe, OutBits>(result);
            }
        }
    }
}

}  // namespace flow

/// Integer layer whose weights come from DDR once a frame: int_conv for frames of few windows, which are kept, so that each weight
/// word serves all of them and is fetched once.
///
///   Inputs, Outputs, Pixels, Pe, Simd, InBits, WeightBits, OutBits, AccBits, Shift, bias, multipliers   as in int_conv
///   in      the windows, Simd elements a beat
///   ddr     NF * SF words of Pe * Simd weights of WeightBits bits in the order of int_conv's, PE 0 in the low bits, cut into (or
///           put together from) 64-bit words, low part first
///   out     Pe outputs a beat, in pixel order
///
/// Five processes under DATAFLOW, as in weight_stationary. A frame takes NF * SF * Pixels cycles.
#pragma once

#include "int_conv.hpp"
#include "stream_types.hpp"
#include "weight_stationary.hpp"
#include "width_converter.hpp"

namespace flow {
namespace int_stationary_stages {

template <unsigned Beats, unsigned Simd, unsigned InBits>
void load_windows(hls::stream<beat<Simd, InBits>>& in, beat<Simd, InBits> (&map)[Beats]) {
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        map[b] = in.read();
    }
}

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned InBits,
          unsigned WeightBits, unsigned OutBits, unsigned AccBits, unsigned Shift, class Bias, class... Multipliers>
void compute(const beat<Simd, InBits> (&map)[Pixels * (Inputs / Simd)], hls::stream<beat<Pe * Simd, WeightBits>>& weights,
             beat<Pe, OutBits> (&outputs)[Pixels][Outputs / Pe], const Bias (&bias)[Outputs],
             const Multipliers&... multipliers) {
    const unsigned Beats = Inputs / Simd;
    const bool Scaled = sizeof...(Multipliers) > 0;
    const unsigned SumBits = Scaled ? InBits + WeightBits - 1 + bits_for(Inputs) : AccBits;

#pragma HLS ARRAY_PARTITION variable=bias cyclic factor=Pe dim=1
    integer<WeightBits> weight[Pe * Simd];
#pragma HLS ARRAY_PARTITION variable=weight complete dim=1
    accumulator<SumBits> sums[Pixels][Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
    // A window's sum is next needed when all the others had their turn.
#pragma HLS DEPENDENCE variable=sums inter RAW distance=Pixels true

    for (unsigned pass = 0; pass < Outputs / Pe; ++pass) {
        for (unsigned b = 0; b < Beats; ++b) {
            for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
#pragma HLS PIPELINE II=1
                if (pixel == 0) unpack_signed<Pe * Simd, WeightBits>(weights.read(), weight);
                integer<InBits> input[Simd];
                unpack_signed<Simd, InBits>(map[pixel * Beats + b], input);

                int32_t result[Pe];
                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                    const unsigned output = pass * Pe + e;
                    accumulator<SumBits> products = 0;
                    for (unsigned i = 0; i < Simd; ++i) {
#pragma HLS UNROLL
                        products += input[i] * weight[e * Simd + i];
                    }
                    const accumulator<SumBits> before = b == 0 ? accumulator<SumBits>(Scaled ? 0 : bias[output]) : sums[pixel][e];
                    const accumulator<SumBits> sum = before + products;
                    sums[pixel][e] = sum;
                    const Bias offset = Scaled ? bias[output] : 0;
                    const accumulator<AccBits> total = scaled<Pe>(sum, output, multipliers...) + offset;
                    result[e] = saturate<OutBits>(accumulator<AccBits>(total >> Shift));
                }
                if (b == Beats - 1) outputs[pixel][pass] = pack<Pe, OutBits>(result);
            }
        }
    }
}

}  // namespace int_stationary_stages

template <unsigned Inputs, unsigned Outputs, unsigned Pixels, unsigned Pe, unsigned Simd, unsigned InBits,
          unsigned WeightBits, unsigned OutBits, unsigned AccBits, unsigned Shift, class Bias, class... Multipliers>
void int_stationary(hls::stream<beat<Simd, InBits>>& in, const ap_uint<64>* ddr, hls::stream<beat<Pe, OutBits>>& out,
                    const Bias (&bias)[Outputs], const Multipliers&... multipliers) {
#pragma HLS DATAFLOW
    static_assert(Outputs % Pe == 0, "int_stationary: Pe must divide Outputs");
    static_assert(Inputs % Simd == 0, "int_stationary: Simd must divide Inputs");
    static_assert(InBits <= 16 && WeightBits <= 8, "int_stationary: at most 16-bit inputs and 8-bit weights");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "int_stationary: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned Weights = Inputs * Outputs;
    static_assert(Weights * WeightBits % 64 == 0, "int_stationary: the weights must be whole 64-bit words");

    beat<Simd, InBits> map[Pixels * (Inputs / Simd)];
    hls::stream<ap_uint<64>> words("int_stationary.words");
    hls::stream<beat<Pe * Simd, WeightBits>> weights("int_stationary.weights");
    beat<Pe, OutBits> outputs[Pixels][Outputs / Pe];

    int_stationary_stages::load_windows<Pixels * (Inputs / Simd), Simd, InBits>(in, map);
    weight_stationary_stages::fetch_weights<Weights * WeightBits / 64>(ddr, words);
    width_converter<64, Pe * Simd * WeightBits, 1, Weights * WeightBits>(words, weights);
    int_stationary_stages::compute<Inputs, Outputs, Pixels, Pe, Simd, InBits, WeightBits, OutBits, AccBits, Shift>(
        map, weights, outputs, bias, multipliers...);
    weight_stationary_stages::drain<Pixels, Outputs / Pe, Pe, OutBits>(outputs, out);
}

}  // namespace flow

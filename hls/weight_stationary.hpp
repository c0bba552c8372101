/// Binary convolution whose weights come from DDR once a frame: sliding_window, xnor_popcount and activation in one, for maps
/// that are small enough to keep. Each weight word is held for all output pixels, so it is fetched once.
///
///   Height, Width, Channels  the input map
///   Outputs                  output channels
///   Kernel, Stride, Padding  square
///   PadValue                 -1 or +1 outside the map, or 0: no part in s
///   Pe, Simd                 outputs and inputs a cycle; Pe divides Outputs, Simd divides Channels, at most 64
///   Group, GroupThreshold, Activation, tables  as in xnor_popcount (no groups with PadValue 0)
///   in                       the feature map, Simd elements a beat
///   ddr                      NF * SF words of Pe * Simd bits in the order and layout of xnor_popcount's weights, PE 0 in
///                            the low bits, cut into (or put together from) 64-bit words, low part first
///   out                      Pe outputs a beat, in pixel order
///
/// Four processes under DATAFLOW. The feature map and the output map between them become ping-pong memories: one frame
/// loads while another computes and a third drains. A frame takes NF * SF * OH * OW cycles.
#pragma once

#include "stream_types.hpp"
#include "width_converter.hpp"
#include "window_sum.hpp"

namespace flow {
namespace weight_stationary_stages {

template <unsigned Beats, unsigned Simd>
void load_map(hls::stream<beat<Simd, 1>>& in, word<Simd> (&map)[Beats]) {
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        map[b] = static_cast<word<Simd>>(in.read().to_uint64());
    }
}

template <unsigned Words> void fetch_weights(const ap_uint<64>* ddr, hls::stream<ap_uint<64>>& out) {
    for (unsigned i = 0; i < Words; ++i) {
#pragma HLS PIPELINE II=1
        out.write(ddr[i]);
    }
}

template <unsigned Height, unsigned Width, unsigned Channels, unsigned Outputs, unsigned Kernel, unsigned Stride,
          unsigned Padding, int PadValue, unsigned Pe, unsigned Simd, unsigned Group, int GroupThreshold, class Activation,
          unsigned OutHeight, unsigned OutWidth, class... Tables>
void compute(const word<Simd> (&map)[Height * Width * (Channels / Simd)], hls::stream<beat<Pe * Simd, 1>>& weights,
             beat<Pe, Activation::OutBits> (&outputs)[OutHeight * OutWidth][Outputs / Pe], const Tables&... tables) {
    const unsigned PixelBeats = Channels / Simd;
    const unsigned OutPixels = OutHeight * OutWidth;
    const unsigned Beats = Kernel * Kernel * PixelBeats;
    using sum_of_pixel = window_sum<Kernel * Kernel * Channels, Simd, Group, GroupThreshold>;

    word<Simd> weight[Pe];
#pragma HLS ARRAY_PARTITION variable=weight complete dim=1
    sum_of_pixel sums[OutPixels][Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
    // A pixel's sum is next needed when all the others had their turn.
#pragma HLS DEPENDENCE variable=sums inter RAW distance=OutPixels true

    for (unsigned pass = 0; pass < Outputs / Pe; ++pass) {
        for (unsigned tap_row = 0; tap_row < Kernel; ++tap_row) {
            for (unsigned tap_column = 0; tap_column < Kernel; ++tap_column) {
                for (unsigned channel = 0; channel < PixelBeats; ++channel) {
                    for (unsigned row = 0; row < OutHeight; ++row) {
                        for (unsigned column = 0; column < OutWidth; ++column) {
#pragma HLS PIPELINE II=1
                            const unsigned b = (tap_row * Kernel + tap_column) * PixelBeats + channel;
                            const unsigned pixel = row * OutWidth + column;
                            if (pixel == 0) unpack<Pe, Simd>(weights.read(), weight);

                            const int y = int(row * Stride + tap_row) - int(Padding);
                            const int x = int(column * Stride + tap_column) - int(Padding);
                            const bool inside = y >= 0 && y < int(Height) && x >= 0 && x < int(Width);
                            const unsigned address = (unsigned(y) * Width + unsigned(x)) * PixelBeats + channel;
                            const word<Simd> input = inside ? map[address] : word<Simd>(PadValue > 0 ? mask<Simd>() : 0);

                            sum_of_pixel now[Pe];
                            for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                                now[e] = sums[pixel][e];
                                now[e].add(b, input, weight[e], PadValue == 0 && !inside);
                                sums[pixel][e] = now[e];
                            }
                            if (b == Beats - 1) {
                                int32_t result[Pe];
                                for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                                    result[e] = Activation::apply(now[e].s, e, pass, tables...);
                                }
                                outputs[pixel][pass] = pack<Pe, Activation::OutBits>(result);
                            }
                        }
                    }
                }
            }
        }
    }
}

template <unsigned OutPixels, unsigned Passes, unsigned Pe, unsigned Bits>
void drain(const beat<Pe, Bits> (&outputs)[OutPixels][Passes], hls::stream<beat<Pe, Bits>>& out) {
    for (unsigned pixel = 0; pixel < OutPixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
#pragma HLS PIPELINE II=1
            out.write(outputs[pixel][pass]);
        }
    }
}

}  // namespace weight_stationary_stages

template <unsigned Height, unsigned Width, unsigned Channels, unsigned Outputs, unsigned Kernel, unsigned Stride,
          unsigned Padding, int PadValue, unsigned Pe, unsigned Simd, unsigned Group, int GroupThreshold, class Activation,
          class... Tables>
void weight_stationary(hls::stream<beat<Simd, 1>>& in, const ap_uint<64>* ddr,
                       hls::stream<beat<Pe, Activation::OutBits>>& out, const Tables&... tables) {
#pragma HLS DATAFLOW
    static_assert(Simd <= 64 && Channels % Simd == 0, "weight_stationary: Simd must divide Channels, at most 64");
    static_assert(Outputs % Pe == 0, "weight_stationary: Pe must divide Outputs");
    static_assert(PadValue != 0 || Padding == 0 || Group == 1, "weight_stationary: a group outside the map has no majority");
    const unsigned OutHeight = (Height + 2 * Padding - Kernel) / Stride + 1;
    const unsigned OutWidth = (Width + 2 * Padding - Kernel) / Stride + 1;
    const unsigned MapBeats = Height * Width * (Channels / Simd);
    const unsigned WeightBits = Kernel * Kernel * Channels * Outputs;
    static_assert(WeightBits % 64 == 0, "weight_stationary: the weights must be whole 64-bit words");

    word<Simd> map[MapBeats];
    hls::stream<ap_uint<64>> words("weight_stationary.words");
    hls::stream<beat<Pe * Simd, 1>> weights("weight_stationary.weights");
    beat<Pe, Activation::OutBits> outputs[OutHeight * OutWidth][Outputs / Pe];

    weight_stationary_stages::load_map<MapBeats, Simd>(in, map);
    weight_stationary_stages::fetch_weights<WeightBits / 64>(ddr, words);
    width_converter<64, Pe * Simd, 1, WeightBits>(words, weights);
    weight_stationary_stages::compute<Height, Width, Channels, Outputs, Kernel, Stride, Padding, PadValue, Pe, Simd, Group,
                                      GroupThreshold, Activation, OutHeight, OutWidth>(map, weights, outputs, tables...);
    weight_stationary_stages::drain<OutHeight * OutWidth, Outputs / Pe, Pe, Activation::OutBits>(outputs, out);
}

}  // namespace flow

/// Binary convolution whose weights come from DDR once a frame: sliding_window, xnor_popcount and activation in one, for maps
/// that are small enough to keep. Each weight word is held for all output pixels, so it is fetched once.
///
///   Height, Width, Channels  the input map
///   Outputs                  output channels
///   Kernel, Stride, Padding  square
///   PadValue                 -1 or +1 outside the map, or 0: no part in s
///   Pe, Simd                 outputs and inputs a cycle; Pe divides Outputs, Simd divides Channels, at most 64
///   Group, GroupThreshold, Activation, tables  as in xnor_popcount (no groups with PadValue 0)
///   map                      the feature map, Simd elements a word
///   weights                  NF * SF words of Pe * Simd bits in the order and layout of xnor_popcount's weights
///   outputs                  [pixel * NF + nf]: Pe outputs a word
///
/// It is one of five processes: fetch_weights and width_converter bring the weights, load_map fills the map and drain empties
/// outputs (stationary.hpp). A frame takes NF * SF * OH * OW cycles.
#pragma once

#include "stationary.hpp"
#include "stream_types.hpp"
#include "window_sum.hpp"

namespace flow {

template <unsigned Height, unsigned Width, unsigned Channels, unsigned Outputs, unsigned Kernel, unsigned Stride,
          unsigned Padding, int PadValue, unsigned Pe, unsigned Simd, unsigned Group, int GroupThreshold, class Activation,
          unsigned OutWords, class... Tables>
void weight_stationary(const beat<Simd, 1> (&map)[Height * Width * (Channels / Simd)],
                       hls::stream<beat<Pe * Simd, 1>>& weights, beat<Pe, Activation::OutBits> (&outputs)[OutWords],
                       const Tables&... tables) {
    static_assert(Simd <= 64 && Channels % Simd == 0, "weight_stationary: Simd must divide Channels, at most 64");
    static_assert(Outputs % Pe == 0, "weight_stationary: Pe must divide Outputs");
    static_assert(PadValue != 0 || Padding == 0 || Group == 1, "weight_stationary: a group outside the map has no majority");
    const unsigned OutHeight = (Height + 2 * Padding - Kernel) / Stride + 1;
    const unsigned OutWidth = (Width + 2 * Padding - Kernel) / Stride + 1;
    const unsigned OutPixels = OutHeight * OutWidth;
    const unsigned PixelBeats = Channels / Simd;
    const unsigned Passes = Outputs / Pe;
    static_assert(OutWords == OutPixels * Passes, "weight_stationary: a word of outputs for each pixel and pass");
    using sum_of_pixel = window_sum<Kernel * Kernel * Channels, Simd, Group, GroupThreshold>;

    word<Simd> weight[Pe];
#pragma HLS ARRAY_PARTITION variable=weight complete dim=1
    typename sum_of_pixel::total sums[OutPixels][Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
#pragma HLS BIND_STORAGE variable=sums type=ram_s2p impl=lutram
    typename sum_of_pixel::matched counted[OutPixels][Pe];
#pragma HLS ARRAY_PARTITION variable=counted complete dim=2
#pragma HLS BIND_STORAGE variable=counted type=ram_s2p impl=lutram
    // A pixel's sum is next needed when all the others had their turn.
#pragma HLS DEPENDENCE variable=sums inter RAW distance=OutPixels true
#pragma HLS DEPENDENCE variable=counted inter RAW distance=OutPixels true
    // Those of one pixel, needed in the next cycle, which no memory can give.
    typename sum_of_pixel::total last_sum[Pe];
#pragma HLS ARRAY_PARTITION variable=last_sum complete dim=1
    typename sum_of_pixel::matched last_counted[Pe];
#pragma HLS ARRAY_PARTITION variable=last_counted complete dim=1
    typename sum_of_pixel::position at;
    at.start();

    for (unsigned pass = 0; pass < Passes; ++pass) {
        for (unsigned tap_row = 0; tap_row < Kernel; ++tap_row) {
            for (unsigned tap_column = 0; tap_column < Kernel; ++tap_column) {
                for (unsigned channel = 0; channel < PixelBeats; ++channel) {
                    for (unsigned row = 0; row < OutHeight; ++row) {
                        for (unsigned column = 0; column < OutWidth; ++column) {
#pragma HLS PIPELINE II=1
                            const unsigned pixel = row * OutWidth + column;
                            if (pixel == 0) unpack<Pe, Simd>(weights.read(), weight);

                            const int y = int(row * Stride + tap_row) - int(Padding);
                            const int x = int(column * Stride + tap_column) - int(Padding);
                            const bool inside = y >= 0 && y < int(Height) && x >= 0 && x < int(Width);
                            const unsigned address = (unsigned(y) * Width + unsigned(x)) * PixelBeats + channel;
                            const word<Simd> input = inside ? static_cast<word<Simd>>(map[address].to_uint64())
                                                            : word<Simd>(PadValue > 0 ? mask<Simd>() : 0);

                            int32_t result[Pe];
                            for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                                typename sum_of_pixel::total s = OutPixels == 1 ? last_sum[e] : sums[pixel][e];
                                typename sum_of_pixel::matched group = OutPixels == 1 ? last_counted[e] : counted[pixel][e];
                                sum_of_pixel::add(s, group, at, input, weight[e], PadValue == 0 && !inside);
                                sums[pixel][e] = s;
                                counted[pixel][e] = group;
                                last_sum[e] = s;
                                last_counted[e] = group;
                                result[e] = Activation::apply(s, e, pass, tables...);
                            }
                            if (at.last()) outputs[pixel * Passes + pass] = pack<Pe, Activation::OutBits>(result);
                            if (pixel == OutPixels - 1) at.next();
                        }
                    }
                }
            }
        }
    }
}

}  // namespace flow

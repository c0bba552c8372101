/// Binary convolution whose weights come from DDR once a frame: sliding_window, xnor_popcount and vote in one, for maps
/// that are small enough to keep. Each weight word is held for all output pixels, so it is fetched once.
///
///   Height, Width, Channels  the input map
///   Outputs                  output channels
///   Kernel, Stride, Padding  square; outside the map every element is -1 (bit 0)
///   Pe, Simd                 outputs and inputs a cycle; Pe divides Outputs, Simd divides Channels, at most 64
///   Threshold                ceil(n / 2), n = Kernel^2 * Channels, for the exact majority
///   in                       the feature map, Simd elements a beat
///   ddr                      NF * SF words of Pe * Simd bits in the order and layout of xnor_popcount's weights, PE 0 in
///                            the low bits, cut into (or put together from) 64-bit words, low part first
///   out                      votes, Pe a beat, in pixel order
///
/// Four processes under DATAFLOW. The feature map and the vote map between them become ping-pong memories: one frame
/// loads while another computes and a third drains. A frame takes NF * SF * OH * OW cycles.
#pragma once

#include "majority_vote.hpp"
#include "popcount.hpp"
#include "stream_types.hpp"
#include "width_converter.hpp"

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
          unsigned Padding, unsigned Pe, unsigned Simd, int Threshold, unsigned OutHeight, unsigned OutWidth>
void compute_votes(const word<Simd> (&map)[Height * Width * (Channels / Simd)], hls::stream<beat<Pe * Simd, 1>>& weights,
                   beat<Pe, 1> (&votes)[OutHeight * OutWidth][Outputs / Pe]) {
    const unsigned PixelBeats = Channels / Simd;
    const unsigned OutPixels = OutHeight * OutWidth;
    const unsigned CountBits = bits_for(Kernel * Kernel * Channels);

    word<Simd> weight[Pe];
#pragma HLS ARRAY_PARTITION variable=weight complete dim=1
    count<CountBits> agreements[OutPixels][Pe];
#pragma HLS ARRAY_PARTITION variable=agreements complete dim=2
    // A pixel's sum is next needed when all the others had their turn.
#pragma HLS DEPENDENCE variable=agreements inter RAW distance=OutPixels true

    for (unsigned pass = 0; pass < Outputs / Pe; ++pass) {
        for (unsigned tap_row = 0; tap_row < Kernel; ++tap_row) {
            for (unsigned tap_column = 0; tap_column < Kernel; ++tap_column) {
                for (unsigned channel = 0; channel < PixelBeats; ++channel) {
                    for (unsigned row = 0; row < OutHeight; ++row) {
                        for (unsigned column = 0; column < OutWidth; ++column) {
#pragma HLS PIPELINE II=1
                            const bool first = tap_row == 0 && tap_column == 0 && channel == 0;
                            const bool last =
                                tap_row == Kernel - 1 && tap_column == Kernel - 1 && channel == PixelBeats - 1;
                            const unsigned pixel = row * OutWidth + column;
                            if (pixel == 0) unpack<Pe, Simd>(weights.read(), weight);

                            const int y = int(row * Stride + tap_row) - int(Padding);
                            const int x = int(column * Stride + tap_column) - int(Padding);
                            const bool inside = y >= 0 && y < int(Height) && x >= 0 && x < int(Width);
                            const unsigned address = (unsigned(y) * Width + unsigned(x)) * PixelBeats + channel;
                            const word<Simd> input = inside ? map[address] : word<Simd>(0);

                            count<CountBits> sums[Pe];
                            for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                                sums[e] = first ? count<CountBits>(0) : agreements[pixel][e];
                                sums[e] += agreement<Simd>(input, weight[e]);
                                agreements[pixel][e] = sums[e];
                            }
                            if (last) votes[pixel][pass] = majority_vote<Pe, CountBits, Threshold>(sums);
                        }
                    }
                }
            }
        }
    }
}

template <unsigned OutPixels, unsigned Passes, unsigned Pe>
void drain_votes(const beat<Pe, 1> (&votes)[OutPixels][Passes], hls::stream<beat<Pe, 1>>& out) {
    for (unsigned pixel = 0; pixel < OutPixels; ++pixel) {
        for (unsigned pass = 0; pass < Passes; ++pass) {
#pragma HLS PIPELINE II=1
            out.write(votes[pixel][pass]);
        }
    }
}

}  // namespace weight_stationary_stages

template <unsigned Height, unsigned Width, unsigned Channels, unsigned Outputs, unsigned Kernel, unsigned Stride,
          unsigned Padding, unsigned Pe, unsigned Simd, int Threshold>
void weight_stationary(hls::stream<beat<Simd, 1>>& in, const ap_uint<64>* ddr, hls::stream<beat<Pe, 1>>& out) {
#pragma HLS DATAFLOW
    static_assert(Simd <= 64 && Channels % Simd == 0, "weight_stationary: Simd must divide Channels, at most 64");
    static_assert(Outputs % Pe == 0, "weight_stationary: Pe must divide Outputs");
    const unsigned OutHeight = (Height + 2 * Padding - Kernel) / Stride + 1;
    const unsigned OutWidth = (Width + 2 * Padding - Kernel) / Stride + 1;
    const unsigned MapBeats = Height * Width * (Channels / Simd);
    const unsigned WeightBits = Kernel * Kernel * Channels * Outputs;
    static_assert(WeightBits % 64 == 0, "weight_stationary: the weights must be whole 64-bit words");

    word<Simd> map[MapBeats];
    hls::stream<ap_uint<64>> words("weight_stationary.words");
    hls::stream<beat<Pe * Simd, 1>> weights("weight_stationary.weights");
    beat<Pe, 1> votes[OutHeight * OutWidth][Outputs / Pe];

    weight_stationary_stages::load_map<MapBeats, Simd>(in, map);
    weight_stationary_stages::fetch_weights<WeightBits / 64>(ddr, words);
    width_converter<64, Pe * Simd, 1, WeightBits>(words, weights);
    weight_stationary_stages::compute_votes<Height, Width, Channels, Outputs, Kernel, Stride, Padding, Pe, Simd,
                                            Threshold, OutHeight, OutWidth>(map, weights, votes);
    weight_stationary_stages::drain_votes<OutHeight * OutWidth, Outputs / Pe, Pe>(votes, out);
}

}  // namespace flow

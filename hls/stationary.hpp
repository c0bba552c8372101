/// What weight_stationary and int_stationary have beside their sums, each a process of its own: the map that comes in, the weights
/// from DDR, and the outputs, which are computed channel by channel and leave pixel by pixel.
///
///   load_map       a frame of `in` into a memory, one beat a word
///   fetch_weights  Words 64-bit words of DDR, in order
///   drain          a frame of outputs from a memory, one beat a word
///
/// The memories between the processes become ping-pong memories under DATAFLOW: one frame loads while another is computed and a
/// third drains. The weights have processes of their own, as a region starts the next frame only when all of its processes that
/// read from outside have ended: were they in one with load_map, no frame could load while another is computed.
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Beats, unsigned Width> void load_map(hls::stream<ap_uint<Width>>& in, ap_uint<Width> (&map)[Beats]) {
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        map[b] = in.read();
    }
}

template <unsigned Words> void fetch_weights(const ap_uint<64>* ddr, hls::stream<ap_uint<64>>& out) {
    for (unsigned i = 0; i < Words; ++i) {
#pragma HLS PIPELINE II=1
        out.write(ddr[i]);
    }
}

template <unsigned Beats, unsigned Width>
void drain(const ap_uint<Width> (&outputs)[Beats], hls::stream<ap_uint<Width>>& out) {
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        out.write(outputs[b]);
    }
}

}  // namespace flow

/// What weight_stationary and int_stationary have beside their sums, each a process of its own: the map that comes in, the weights
/// from DDR, and the outputs, which are computed channel by channel and leave pixel by pixel.
///
///   load_map       a frame of `in` into a memory, one beat a word; says `go` as it begins
///   fetch_weights  Words 64-bit words of DDR, in order, once `go` has come
///   drain          a frame of outputs from a memory, one beat a word
///
/// The memories between the processes become ping-pong memories under DATAFLOW: one frame loads while another is computed and a
/// third drains. A dataflow region starts the next frame only when all of its processes without a predecessor have ended. `go`
/// makes load_map the predecessor of fetch_weights, which ends only when nearly all of its weights are used: without it no frame
/// could begin while another is computed.
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Beats, unsigned Width>
void load_map(hls::stream<ap_uint<Width>>& in, hls::stream<ap_uint<1>>& go, ap_uint<Width> (&map)[Beats]) {
    go.write(1);
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        map[b] = in.read();
    }
}

template <unsigned Words>
void fetch_weights(hls::stream<ap_uint<1>>& go, const ap_uint<64>* ddr, hls::stream<ap_uint<64>>& out) {
    go.read();
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

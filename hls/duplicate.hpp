/// Every beat of `in` goes to `out0` and to `out1`.
///
///   Width  bits of a beat
///   Beats  beats of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Width, unsigned Beats>
void duplicate(hls::stream<ap_uint<Width>>& in, hls::stream<ap_uint<Width>>& out0, hls::stream<ap_uint<Width>>& out1) {
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        const ap_uint<Width> data = in.read();
        out0.write(data);
        out1.write(data);
    }
}

}  // namespace flow

/// Keeps every Ratio-th channel, from channel 0 on: element Ratio*i of an input beat is element i of the output beat.
///
///   P      elements of an input beat, a multiple of Ratio
///   Bits   bits of an element
///   Ratio  channels for each one that is kept
///   Beats  beats of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned P, unsigned Bits, unsigned Ratio, unsigned Beats>
void sample(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P / Ratio, Bits>>& out) {
    static_assert(P % Ratio == 0, "sample: Ratio must divide P");
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        uint64_t element[P], kept[P / Ratio];
        unpack<P, Bits>(in.read(), element);
        for (unsigned i = 0; i < P / Ratio; ++i) {
#pragma HLS UNROLL
            kept[i] = element[Ratio * i];
        }
        out.write(pack<P / Ratio, Bits>(kept));
    }
}

}  // namespace flow

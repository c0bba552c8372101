/// The channels of every pixel Times times: the first round takes them from the stream and keeps them, the others replay.
///
///   Channels  channels of an input pixel
///   P         elements a beat, P divides Channels
///   Bits      bits of an element
///   Times     rounds
///   Pixels    pixels of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned Bits, unsigned Times, unsigned Pixels>
void repeat_channels(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out) {
    static_assert(Channels % P == 0, "repeat_channels: P must divide Channels");
    const unsigned Beats = Channels / P;
    beat<P, Bits> kept[Beats];
#pragma HLS BIND_STORAGE variable=kept type=ram_s2p impl=lutram

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned round = 0; round < Times; ++round) {
            for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
                beat<P, Bits> data;
                if (round == 0) {
                    data = in.read();
                    kept[b] = data;
                } else {
                    data = kept[b];
                }
                out.write(data);
            }
        }
    }
}

}  // namespace flow

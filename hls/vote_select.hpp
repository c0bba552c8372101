/// out = vote ? high[c] : low[c]: a channel's vote picks one of its two constants.
///
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   Bits      bits of a signed constant (at most 16)
///   tables    [b][i]: of channel b * P + i
///   Pixels    pixels of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned Bits, unsigned Pixels>
void vote_select(hls::stream<beat<P, 1>>& in, hls::stream<beat<P, Bits>>& out, const int16_t (&low)[Channels / P][P],
                 const int16_t (&high)[Channels / P][P]) {
#pragma HLS ARRAY_RESHAPE variable=low complete dim=2
#pragma HLS ARRAY_RESHAPE variable=high complete dim=2
    static_assert(Channels % P == 0, "vote_select: P must divide Channels");
    static_assert(Bits <= 16, "vote_select: at most 16 bits a constant");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < Channels / P; ++b) {
#pragma HLS PIPELINE II=1
            bool vote[P];
            int16_t value[P];
            unpack<P, 1>(in.read(), vote);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                value[i] = vote[i] ? high[b][i] : low[b][i];
            }
            out.write(pack<P, Bits>(value));
        }
    }
}

}  // namespace flow

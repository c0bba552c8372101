/// out = Base + the number of its channel's thresholds that an element reaches; the last Falls of them count down.
///
///   Channels    channels of the map
///   P           elements a beat, P divides Channels
///   InBits      bits of a signed element, at most 32
///   OutBits     bits of a signed result
///   Rises       thresholds of a channel that count up
///   Falls       thresholds behind these, which count down
///   Base        the result where none is reached
///   Pixels      pixels of a frame
///   thresholds  [b][i * (Rises + Falls) + k]: of channel b * P + i; of any integer type, the smaller the better
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned InBits, unsigned OutBits, unsigned Rises, unsigned Falls, int Base,
          unsigned Pixels, class Value>
void multi_threshold(hls::stream<beat<P, InBits>>& in, hls::stream<beat<P, OutBits>>& out,
                     const Value (&thresholds)[Channels / P][P * (Rises + Falls)]) {
#pragma HLS ARRAY_RESHAPE variable=thresholds complete dim=2
    static_assert(Channels % P == 0, "multi_threshold: P must divide Channels");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < Channels / P; ++b) {
#pragma HLS PIPELINE II=1
            int32_t x[P];
            int32_t result[P];
            unpack_signed<P, InBits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                count<bits_for(Rises)> rises = 0;
                count<bits_for(Falls)> falls = 0;
                for (unsigned k = 0; k < Rises + Falls; ++k) {
#pragma HLS UNROLL
                    const bool reached = x[i] >= thresholds[b][i * (Rises + Falls) + k];
                    if (k < Rises) rises += reached;
                    else falls += reached;
                }
                result[i] = Base + int32_t(rises) - int32_t(falls);
            }
            out.write(pack<P, OutBits>(result));
        }
    }
}

}  // namespace flow

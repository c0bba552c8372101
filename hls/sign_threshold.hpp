/// bit = x >= thresholds[c]: one comparison per element, +1 when the element reaches its channel's threshold.
///
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   Bits      bits of a signed element and of a threshold (at most 16)
///   tables    [b][i]: of channel b * P + i
///   Pixels    pixels of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned Bits, unsigned Pixels>
void sign_threshold(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, 1>>& out,
                    const int16_t (&thresholds)[Channels / P][P]) {
#pragma HLS ARRAY_RESHAPE variable=thresholds complete dim=2
    static_assert(Channels % P == 0, "sign_threshold: P must divide Channels");
    static_assert(Bits <= 16, "sign_threshold: at most 16 bits an element");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < Channels / P; ++b) {
#pragma HLS PIPELINE II=1
            int32_t x[P];
            bool bit[P];
            unpack_signed<P, Bits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                bit[i] = x[i] >= thresholds[b][i];
            }
            out.write(pack<P, 1>(bit));
        }
    }
}

}  // namespace flow

/// out = saturate_Bits(v + after[c]), where v is u = in + before[c], shifted right by slope[c] (rounded down) if negative.
///
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   Bits      bits of a signed element, in and out, and of before and after (at most 16); a slope is less
///   tables    [b][i]: of channel b * P + i
///   Pixels    pixels of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned Bits, unsigned Pixels>
void rprelu(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out, const int16_t (&before)[Channels / P][P],
            const uint8_t (&slope)[Channels / P][P], const int16_t (&after)[Channels / P][P]) {
#pragma HLS ARRAY_RESHAPE variable=before complete dim=2
#pragma HLS ARRAY_RESHAPE variable=slope complete dim=2
#pragma HLS ARRAY_RESHAPE variable=after complete dim=2
    static_assert(Channels % P == 0, "rprelu: P must divide Channels");
    static_assert(Bits >= 2 && Bits <= 16, "rprelu: 2 to 16 bits an element");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < Channels / P; ++b) {
#pragma HLS PIPELINE II=1
            int32_t x[P], y[P];
            unpack_signed<P, Bits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                const int32_t u = x[i] + before[b][i];
                y[i] = saturate<Bits>((u >> (u < 0 ? slope[b][i] : 0)) + after[b][i]);
            }
            out.write(pack<P, Bits>(y));
        }
    }
}

}  // namespace flow

/// out = saturate_Bits(v + after[c]), where v is u = in + before[c], shifted right by slope[c] (rounded down) if negative.
///
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   Bits      bits of a signed element, in and out, and of before and after (at most 16); a slope is less
///   Pixels    pixels of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned Bits, unsigned Pixels>
void rprelu(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out, const int16_t (&before)[Channels],
            const uint8_t (&slope)[Channels], const int16_t (&after)[Channels]) {
#pragma HLS ARRAY_PARTITION variable=before cyclic factor=P dim=1
#pragma HLS ARRAY_PARTITION variable=slope cyclic factor=P dim=1
#pragma HLS ARRAY_PARTITION variable=after cyclic factor=P dim=1
    static_assert(Channels % P == 0, "rprelu: P must divide Channels");
    static_assert(Bits >= 2 && Bits <= 16, "rprelu: 2 to 16 bits an element");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned c = 0; c < Channels; c += P) {
#pragma HLS PIPELINE II=1
            int32_t x[P], y[P];
            unpack_signed<P, Bits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                const int32_t u = x[i] + before[c + i];
                y[i] = saturate<Bits>((u >> (u < 0 ? slope[c + i] : 0)) + after[c + i]);
            }
            out.write(pack<P, Bits>(y));
        }
    }
}

}  // namespace flow

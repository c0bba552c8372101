/// out = saturate_OutBits((m * in + b) >> Shift), the shift arithmetic: m and b are up[c] and up_offset[c] where in >= step[c],
/// else down[c] and down_offset[c].
///
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   InBits    bits of a signed input, at most 32
///   OutBits   bits of a signed output, at most 32
///   Shift     right shift before saturation, at most 63
///   Pixels    pixels of a frame
///   step      2^(InBits - 1) is never reached: such a channel is always below
///   offsets   m * in + b must fit 64 bits
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned InBits, unsigned OutBits, unsigned Shift, unsigned Pixels>
void prelu(hls::stream<beat<P, InBits>>& in, hls::stream<beat<P, OutBits>>& out, const int32_t (&step)[Channels],
           const int32_t (&down)[Channels], const int64_t (&down_offset)[Channels], const int32_t (&up)[Channels],
           const int64_t (&up_offset)[Channels]) {
#pragma HLS ARRAY_PARTITION variable=step cyclic factor=P dim=1
#pragma HLS ARRAY_PARTITION variable=down cyclic factor=P dim=1
#pragma HLS ARRAY_PARTITION variable=down_offset cyclic factor=P dim=1
#pragma HLS ARRAY_PARTITION variable=up cyclic factor=P dim=1
#pragma HLS ARRAY_PARTITION variable=up_offset cyclic factor=P dim=1
    static_assert(Channels % P == 0, "prelu: P must divide Channels");
    static_assert(InBits <= 32 && OutBits <= 32, "prelu: at most 32 bits an element");
    static_assert(Shift < 64, "prelu: Shift is at most 63");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned c = 0; c < Channels; c += P) {
#pragma HLS PIPELINE II=1
            int32_t x[P], y[P];
            unpack_signed<P, InBits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                const bool above = x[i] >= step[c + i];
                const int32_t multiplier = above ? up[c + i] : down[c + i];
                const int64_t offset = above ? up_offset[c + i] : down_offset[c + i];
                y[i] = saturate<OutBits>((int64_t(multiplier) * x[i] + offset) >> Shift);
            }
            out.write(pack<P, OutBits>(y));
        }
    }
}

}  // namespace flow

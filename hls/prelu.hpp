/// out = saturate_OutBits((m * in + b) >> Shift), the shift arithmetic: m and b are up[c] and up_offset[c] where in >= step[c],
/// else down[c] and down_offset[c].
///
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   InBits    bits of a signed input, at most 32
///   OutBits   bits of a signed output, at most 32
///   Shift     right shift before saturation, at most 63
///   Pixels    pixels of a frame
///   tables    [b][i]: of channel b * P + i; each of any integer type, the smaller the better
///   step      2^(InBits - 1) is never reached: such a channel is always below
///   offsets   m * in + b must fit 64 bits
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Channels, unsigned P, unsigned InBits, unsigned OutBits, unsigned Shift, unsigned Pixels, class Step, class Down,
          class DownOffset, class Up, class UpOffset>
void prelu(hls::stream<beat<P, InBits>>& in, hls::stream<beat<P, OutBits>>& out, const Step (&step)[Channels / P][P],
           const Down (&down)[Channels / P][P], const DownOffset (&down_offset)[Channels / P][P], const Up (&up)[Channels / P][P],
           const UpOffset (&up_offset)[Channels / P][P]) {
#pragma HLS ARRAY_RESHAPE variable=step complete dim=2
#pragma HLS ARRAY_RESHAPE variable=down complete dim=2
#pragma HLS ARRAY_RESHAPE variable=down_offset complete dim=2
#pragma HLS ARRAY_RESHAPE variable=up complete dim=2
#pragma HLS ARRAY_RESHAPE variable=up_offset complete dim=2
    static_assert(Channels % P == 0, "prelu: P must divide Channels");
    static_assert(InBits <= 32 && OutBits <= 32, "prelu: at most 32 bits an element");
    static_assert(Shift < 64, "prelu: Shift is at most 63");
    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < Channels / P; ++b) {
#pragma HLS PIPELINE II=1
            int32_t x[P], y[P];
            unpack_signed<P, InBits>(in.read(), x);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                const bool above = x[i] >= step[b][i];
                const int32_t multiplier = above ? up[b][i] : down[b][i];
                const int64_t offset = above ? up_offset[b][i] : down_offset[b][i];
                y[i] = saturate<OutBits>((int64_t(multiplier) * x[i] + offset) >> Shift);
            }
            out.write(pack<P, OutBits>(y));
        }
    }
}

}  // namespace flow

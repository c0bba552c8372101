/// out = saturate_Bits(a + b), element by element.
///
///   P      signed elements a beat
///   Bits   bits of an element, of both inputs and of the output
///   Beats  beats of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned P, unsigned Bits, unsigned Beats>
void add_streams(hls::stream<beat<P, Bits>>& a, hls::stream<beat<P, Bits>>& b, hls::stream<beat<P, Bits>>& out) {
    static_assert(Bits < 32, "add_streams: at most 31 bits an element");
    for (unsigned n = 0; n < Beats; ++n) {
#pragma HLS PIPELINE II=1
        int32_t x[P], y[P], sum[P];
        unpack_signed<P, Bits>(a.read(), x);
        unpack_signed<P, Bits>(b.read(), y);
        for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
            sum[i] = saturate<Bits>(x[i] + y[i]);
        }
        out.write(pack<P, Bits>(sum));
    }
}

}  // namespace flow

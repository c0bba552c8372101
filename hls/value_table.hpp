/// out = table[in], element by element, by the same table for all channels.
///
///   P        elements a beat
///   InBits   bits of an element, whose pattern is the place in the table; at most 12
///   OutBits  bits of a signed result, at most 32
///   Beats    beats of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned P, unsigned InBits, unsigned OutBits, unsigned Beats>
void value_table(hls::stream<beat<P, InBits>>& in, hls::stream<beat<P, OutBits>>& out,
                 const int32_t (&table)[1u << InBits]) {
#pragma HLS ARRAY_PARTITION variable=table complete dim=1
    static_assert(InBits <= 12 && OutBits <= 32, "value_table: at most 12 bits in and 32 out");
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        uint16_t x[P];
        int32_t result[P];
        unpack<P, InBits>(in.read(), x);
        for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
            result[i] = table[x[i]];
        }
        out.write(pack<P, OutBits>(result));
    }
}

}  // namespace flow

/// out = table[in], element by element, by the same table for all channels.
///
///   P        elements a beat
///   InBits   bits of an element, whose pattern is the place in the table; at most 12
///   OutBits  bits of a signed result, at most 32
///   Beats    beats of a frame
///   table    [pattern][0], of any integer type; P of its words are read a cycle
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned P, unsigned InBits, unsigned OutBits, unsigned Beats, class Value>
void value_table(hls::stream<beat<P, InBits>>& in, hls::stream<beat<P, OutBits>>& out,
                 const Value (&table)[1u << InBits][1]) {
    static_assert(InBits <= 12 && OutBits <= 32, "value_table: at most 12 bits in and 32 out");
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        uint16_t x[P];
        int32_t result[P];
        unpack<P, InBits>(in.read(), x);
        for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
            result[i] = table[x[i]][0];
        }
        out.write(pack<P, OutBits>(result));
    }
}

}  // namespace flow

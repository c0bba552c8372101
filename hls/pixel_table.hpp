/// out = table[in], element by element: uint8 pixels to signed integers, by the same table for all channels.
///
///   P      pixels' elements a beat, 8 bits each
///   Bits   bits of a signed value of the table, at most 32
///   Beats  beats of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned P, unsigned Bits, unsigned Beats>
void pixel_table(hls::stream<beat<P, 8>>& in, hls::stream<beat<P, Bits>>& out, const int32_t (&table)[256]) {
#pragma HLS ARRAY_PARTITION variable=table complete dim=1
    static_assert(Bits <= 32, "pixel_table: at most 32 bits a value");
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        uint8_t pixel[P];
        int32_t value[P];
        unpack<P, 8>(in.read(), pixel);
        for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
            value[i] = table[pixel[i]];
        }
        out.write(pack<P, Bits>(value));
    }
}

}  // namespace flow

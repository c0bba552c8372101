/// out = in - 128, element by element: uint8 pixels to int8. Modulo 256 that flips the top bit.
///
///   P      pixels' elements a beat, 8 bits each
///   Beats  beats of a frame
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned P, unsigned Beats>
void pixel_offset(hls::stream<beat<P, 8>>& in, hls::stream<beat<P, 8>>& out) {
    for (unsigned b = 0; b < Beats; ++b) {
#pragma HLS PIPELINE II=1
        uint8_t pixel[P];
        unpack<P, 8>(in.read(), pixel);
        for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
            pixel[i] ^= 0x80;
        }
        out.write(pack<P, 8>(pixel));
    }
}

}  // namespace flow

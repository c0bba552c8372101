/// 2 x 2 maximum with stride 2; of bipolar elements it is their OR.
///
///   Height, Width, Channels  the input map, Height and Width even
///   P                        elements a beat, P divides Channels
///   Bits                     bits of an element, in and out; signed, or bipolar where 1
#pragma once

#include "stream_types.hpp"

namespace flow {

/// The larger of each two elements. Bipolar ones are compared as their bits: 0, which is -1, and 1.
template <unsigned P, unsigned Bits> beat<P, Bits> larger(const beat<P, Bits>& a, const beat<P, Bits>& b) {
#pragma HLS INLINE
    int32_t x[P], y[P];
    if (Bits == 1) {
        unpack<P, Bits>(a, x);
        unpack<P, Bits>(b, y);
    } else {
        unpack_signed<P, Bits>(a, x);
        unpack_signed<P, Bits>(b, y);
    }
    for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
        if (y[i] > x[i]) x[i] = y[i];
    }
    return pack<P, Bits>(x);
}

template <unsigned Height, unsigned Width, unsigned Channels, unsigned P, unsigned Bits>
void max_pool(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out) {
    static_assert(Height % 2 == 0 && Width % 2 == 0, "max_pool: Height and Width must be even");
    static_assert(Channels % P == 0, "max_pool: P must divide Channels");
    const unsigned PixelBeats = Channels / P;

    // Pairs are compared along the row first: so neither memory is read and written in the same cycle.
    beat<P, Bits> left[PixelBeats];
#pragma HLS BIND_STORAGE variable=left type=ram_s2p impl=lutram
    beat<P, Bits> above[Width / 2][PixelBeats];
#pragma HLS BIND_STORAGE variable=above type=ram_s2p impl=lutram

    for (unsigned y = 0; y < Height; ++y) {
        for (unsigned x = 0; x < Width; ++x) {
            for (unsigned b = 0; b < PixelBeats; ++b) {
#pragma HLS PIPELINE II=1
                const beat<P, Bits> value = in.read();
                if (x % 2 == 0) {
                    left[b] = value;
                } else {
                    const beat<P, Bits> pair = larger<P, Bits>(left[b], value);
                    if (y % 2 == 0) above[x / 2][b] = pair;
                    else out.write(larger<P, Bits>(above[x / 2][b], pair));
                }
            }
        }
    }
}

}  // namespace flow

/// 2 x 2 average with stride 2: out = (sum of the four) >> 2, rounded down.
///
///   Height, Width, Channels  the input map, Height and Width even
///   P                        signed elements a beat, P divides Channels
///   Bits                     bits of an element, in and out
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Height, unsigned Width, unsigned Channels, unsigned P, unsigned Bits>
void avg_pool(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out) {
    static_assert(Height % 2 == 0 && Width % 2 == 0, "avg_pool: Height and Width must be even");
    static_assert(Channels % P == 0, "avg_pool: P must divide Channels");
    static_assert(Bits <= 29, "avg_pool: at most 29 bits an element");
    const unsigned PixelBeats = Channels / P;

    // Pairs are summed along the row first: so neither memory is read and written in the same cycle.
    accumulator<Bits> left[PixelBeats][P];
#pragma HLS ARRAY_PARTITION variable=left complete dim=2
#pragma HLS BIND_STORAGE variable=left type=ram_s2p impl=lutram
    accumulator<Bits + 1> above[Width / 2][PixelBeats][P];
#pragma HLS ARRAY_PARTITION variable=above complete dim=3
#pragma HLS BIND_STORAGE variable=above type=ram_s2p impl=lutram

    for (unsigned y = 0; y < Height; ++y) {
        for (unsigned x = 0; x < Width; ++x) {
            for (unsigned b = 0; b < PixelBeats; ++b) {
#pragma HLS PIPELINE II=1
                const bool right = x % 2 == 1;
                const bool lower = y % 2 == 1;
                int32_t value[P];
                unpack_signed<P, Bits>(in.read(), value);
                int32_t average[P];
                for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                    const int32_t pair = right ? int32_t(left[b][i]) + value[i] : 0;
                    average[i] = right && lower ? (int32_t(above[x / 2][b][i]) + pair) >> 2 : 0;
                    if (!right) left[b][i] = value[i];
                    if (right && !lower) above[x / 2][b][i] = pair;
                }
                if (right && lower) out.write(pack<P, Bits>(average));
            }
        }
    }
}

}  // namespace flow

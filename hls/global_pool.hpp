/// Average over a whole map: out = (sum over the pixels) >> log2(Pixels), rounded down; one pixel out.
///
///   Pixels    pixels of a frame, a power of two
///   Channels  channels of the map
///   P         signed elements a beat, P divides Channels
///   Bits      bits of an element, in and out
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Pixels, unsigned Channels, unsigned P, unsigned Bits>
void global_pool(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out) {
    static_assert(Pixels > 0 && (Pixels & (Pixels - 1)) == 0, "global_pool: Pixels must be a power of two");
    static_assert(Channels % P == 0, "global_pool: P must divide Channels");
    const unsigned PixelBeats = Channels / P;
    const unsigned Shift = bits_for(Pixels) - 1;

    accumulator<Bits + Shift> sums[PixelBeats][P];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
#pragma HLS BIND_STORAGE variable=sums type=ram_s2p impl=lutram
    // A sum is next needed a pixel later.
#pragma HLS DEPENDENCE variable=sums inter RAW distance=PixelBeats true

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < PixelBeats; ++b) {
#pragma HLS PIPELINE II=1
            int32_t value[P], average[P];
            unpack_signed<P, Bits>(in.read(), value);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                accumulator<Bits + Shift> sum = value[i];
                if (pixel > 0) sum += sums[b][i];
                sums[b][i] = sum;
                average[i] = static_cast<int32_t>(sum >> Shift);
            }
            if (pixel == Pixels - 1) out.write(pack<P, Bits>(average));
        }
    }
}

}  // namespace flow

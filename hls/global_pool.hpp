/// Sum over a whole map, scaled; one pixel out: out[c] = saturate_OutBits((multiplier[c] * sum + bias[c]) >> Shift)  (floor)
///
///   Pixels    pixels of a frame
///   Channels  channels of the map
///   P         elements a beat, P divides Channels
///   Bits      bits of an element: signed, or bipolar where 1
///   OutBits   bits of an output, at most 32
///   AccBits   bits that hold every sum by its multiplier with its bias, at most 64
///   Shift     right shift before saturation: over 2^k pixels k makes it their mean, rounded down
///   Even      as in multiply_shift
///   bias, multipliers  [block][i]: of channel block * P + i; or neither of them: then they are 0 and 1
#pragma once

#include "multiply_shift.hpp"
#include "stream_types.hpp"

namespace flow {

/// An output from its sum, of `b` channel b * P + i.
template <unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Sum>
int32_t pooled(const Sum& sum, unsigned, unsigned) {
#pragma HLS INLINE
    return shifted<OutBits, AccBits, Shift, Even>(sum);
}

template <unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Sum, class Bias, unsigned Blocks, unsigned P,
          class Multipliers>
int32_t pooled(const Sum& sum, unsigned b, unsigned i, const Bias (&bias)[Blocks][P], const Multipliers& multipliers) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable=bias complete dim=2
    return multiply_shift<OutBits, AccBits, Shift, Even>(sum, bias[b][i], b, i, multipliers);
}

template <unsigned Pixels, unsigned Channels, unsigned P, unsigned Bits, unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even,
          class... Constants>
void global_pool(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, OutBits>>& out, const Constants&... constants) {
    static_assert(Channels % P == 0, "global_pool: P must divide Channels");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "global_pool: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned PixelBeats = Channels / P;
    const unsigned SumBits = (Bits == 1 ? 2 : Bits) + (Pixels > 1 ? bits_for(Pixels - 1) : 0);

    accumulator<SumBits> sums[PixelBeats][P];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=2
#pragma HLS BIND_STORAGE variable=sums type=ram_s2p impl=lutram
    // A sum is next needed a pixel later.
#pragma HLS DEPENDENCE variable=sums inter RAW distance=PixelBeats true
    accumulator<SumBits> last[P];  // that of pixels of one beat, needed in the next cycle, which no memory can give
#pragma HLS ARRAY_PARTITION variable=last complete dim=1

    for (unsigned pixel = 0; pixel < Pixels; ++pixel) {
        for (unsigned b = 0; b < PixelBeats; ++b) {
#pragma HLS PIPELINE II=1
            int32_t value[P], result[P];
            unpack_signed<P, Bits>(in.read(), value);
            for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
                accumulator<SumBits> sum = Bits == 1 ? (value[i] ? 1 : -1) : value[i];
                if (pixel > 0) sum += PixelBeats == 1 ? last[i] : sums[b][i];
                sums[b][i] = sum;
                last[i] = sum;
                result[i] = pooled<OutBits, AccBits, Shift, Even>(sum, b, i, constants...);
            }
            if (pixel == Pixels - 1) out.write(pack<P, OutBits>(result));
        }
    }
}

}  // namespace flow

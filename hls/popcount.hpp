/// Ones count, and the matches of two bipolar words.
///
///   popcount(w)      how many of the low Bits bits of w are 1; the bits above must be 0
///   matches(a, b)    XNOR: bit i says that element i of a and b are equal; the bits above Simd are 0. As +1/-1 vectors the
///                    dot product of a and b is 2 * popcount(matches(a, b)) - Simd
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Bits> unsigned popcount(word<Bits> bits) {
#pragma HLS INLINE
#ifdef __SYNTHESIS__
    ap_uint<bits_for(Bits)> ones = 0;
    for (unsigned i = 0; i < Bits; ++i) {
#pragma HLS UNROLL
        ones += (bits >> i) & 1;
    }
    return ones;
#else
    return static_cast<unsigned>(__builtin_popcountll(bits));
#endif
}

template <unsigned Simd> word<Simd> matches(word<Simd> a, word<Simd> b) {
#pragma HLS INLINE
    return static_cast<word<Simd>>(~(a ^ b) & mask<Simd>());
}

}  // namespace flow

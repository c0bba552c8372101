/// Ones count, and the agreement of two bipolar words.
///
///   popcount(w)        how many of the low Bits bits of w are 1; the bits above must be 0
///   agreement(a, b)    popcount(XNOR(a, b)): in how many of the Simd elements a and b are equal; as +1/-1 vectors their
///                      dot product is 2 * agreement - Simd
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

template <unsigned Simd> unsigned agreement(word<Simd> a, word<Simd> b) {
#pragma HLS INLINE
    return popcount<Simd>(static_cast<word<Simd>>(~(a ^ b) & mask<Simd>()));
}

}  // namespace flow

/// out = s, the plain sum: an activation of xnor_popcount and weight_stationary (see majority_vote.hpp).
///
///   Bits  of an output, at most 32; every s from -n to n must fit
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Bits> struct sum {
    static_assert(Bits <= 32, "sum: at most 32 bits");
    static const unsigned OutBits = Bits;

    static int32_t apply(int32_t s, unsigned, unsigned) {
#pragma HLS INLINE
        return s;
    }
};

}  // namespace flow

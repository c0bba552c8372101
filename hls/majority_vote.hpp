/// vote = s >= Threshold: an activation of xnor_popcount and weight_stationary.
///
///   Threshold  0 for the exact majority, which is the sign bit of s; a tie votes +1
///
/// Every activation has the bits of an output, OutBits, and a function of s and, for its constants, of the output
/// pass * Pe + e; it is inlined into the engine.
#pragma once

#include "stream_types.hpp"

namespace flow {

template <int Threshold> struct majority_vote {
    static const unsigned OutBits = 1;

    static int32_t apply(int32_t s, unsigned, unsigned) {
#pragma HLS INLINE
        return s >= Threshold;
    }
};

}  // namespace flow

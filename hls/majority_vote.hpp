/// vote[e] = counts[e] >= Threshold: the comparison at the end of xnor_popcount and weight_stationary, no node of its own.
///
///   Pe         counts a call
///   CountBits  bits of a count
///   Threshold  ceil(n / 2) for the exact majority of n inputs: a tie votes +1
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Pe, unsigned CountBits, int Threshold>
beat<Pe, 1> majority_vote(const count<CountBits> (&counts)[Pe]) {
#pragma HLS INLINE
    bool vote[Pe];
    for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
        vote[e] = static_cast<int>(counts[e]) >= Threshold;
    }
    return pack<Pe, 1>(vote);
}

}  // namespace flow

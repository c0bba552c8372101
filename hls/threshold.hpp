/// bit = s >= thresholds[c]: an activation of xnor_popcount and weight_stationary (see majority_vote.hpp).
///
///   thresholds  [e][nf]: of output nf * Pe + e; n + 1 is never reached, -n always
#pragma once

#include "stream_types.hpp"

namespace flow {

struct threshold {
    static const unsigned OutBits = 1;

    template <unsigned Pe, unsigned Passes>
    static int32_t apply(int32_t s, unsigned e, unsigned pass, const int32_t (&thresholds)[Pe][Passes]) {
#pragma HLS INLINE
#pragma HLS ARRAY_PARTITION variable=thresholds complete dim=1
        return s >= thresholds[e][pass];
    }
};

}  // namespace flow

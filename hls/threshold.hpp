/// bit = s >= thresholds[c]: an activation of xnor_popcount and weight_stationary (see majority_vote.hpp).
///
///   thresholds  [nf][e]: of output nf * Pe + e, of any integer type, the smaller the better; n + 1 is never reached, -n always
#pragma once

#include "stream_types.hpp"

namespace flow {

struct threshold {
    static const unsigned OutBits = 1;

    template <unsigned Passes, unsigned Pe, class Value>
    static int32_t apply(int32_t s, unsigned e, unsigned pass, const Value (&thresholds)[Passes][Pe]) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable=thresholds complete dim=2
        return s >= thresholds[pass][e];
    }
};

}  // namespace flow

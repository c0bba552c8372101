/// out = saturate_Bits((multipliers[c] * s + offsets[c]) >> Shift), the shift arithmetic: an activation of xnor_popcount and
/// weight_stationary (see majority_vote.hpp), and the integer multiplication that PopBin removes.
///
///   Bits         of an output, at most 32
///   Shift, Even  at most 63; Even as in multiply_shift
///   multipliers  [nf][e]: of output nf * Pe + e
///   offsets      [nf][e]; both of any integer type, the smaller the better; multipliers * s + offsets must fit 64 bits
#pragma once

#include "multiply_shift.hpp"

namespace flow {

template <unsigned Bits, unsigned Shift, bool Even> struct popcount_scale {
    static_assert(Shift < 64, "popcount_scale: Shift is at most 63");
    static const unsigned OutBits = Bits;

    template <unsigned Passes, unsigned Pe, class Multiplier, class Offset>
    static int32_t apply(int32_t s, unsigned e, unsigned pass, const Multiplier (&multipliers)[Passes][Pe],
                         const Offset (&offsets)[Passes][Pe]) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable=multipliers complete dim=2
#pragma HLS ARRAY_RESHAPE variable=offsets complete dim=2
        return shifted<Bits, 64, Shift, Even>(int64_t(multipliers[pass][e]) * s + offsets[pass][e]);
    }
};

}  // namespace flow

/// What becomes of exact sums: out = saturate_OutBits((multiplier * sum + bias) >> Shift), the shift rounding down.
///
///   OutBits, AccBits, Shift  bits of an output; bits that hold the sum by its multiplier with its bias; right shift
///   Even                     half of what the shift drops is in the bias, and what is then halfway goes to the even neighbour
///   block, e                 index of the channel: block * Pe + e
///   multipliers              [block][e], or no argument at all: then they are 1
#pragma once

#include "stream_types.hpp"

namespace flow {

/// multipliers[block][e] * sum, or the sum itself where there are no multipliers.
template <class Sum> Sum scaled(const Sum& sum, unsigned, unsigned) {
#pragma HLS INLINE
    return sum;
}

template <class Sum, unsigned Passes, unsigned Pe, class Multiplier>
int64_t scaled(const Sum& sum, unsigned block, unsigned e, const Multiplier (&multipliers)[Passes][Pe]) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable=multipliers complete dim=2
    return int64_t(multipliers[block][e]) * int64_t(sum);
}

template <unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even> int32_t shifted(const accumulator<AccBits>& total) {
#pragma HLS INLINE
    const accumulator<AccBits> rounded = total >> Shift;
    const bool halfway = Even && (rounded << Shift) == total;
    return saturate<OutBits>(accumulator<AccBits>(halfway ? accumulator<AccBits>(rounded & ~accumulator<AccBits>(1)) : rounded));
}

template <unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Sum, class Bias, class... Multipliers>
int32_t multiply_shift(const Sum& sum, const Bias& bias, unsigned block, unsigned e, const Multipliers&... multipliers) {
#pragma HLS INLINE
    const accumulator<AccBits> total = static_cast<accumulator<AccBits>>(scaled(sum, block, e, multipliers...) + bias);
    return shifted<OutBits, AccBits, Shift, Even>(total);
}

}  // namespace flow

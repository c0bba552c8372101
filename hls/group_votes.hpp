/// How many groups of Group neighbouring bits hold at least Least ones: the first level of a hierarchical voter.
///
///   Simd   bits of the word, a multiple of Group; the bits above must be 0
///   Group  bits of a group; 1 makes every bit a group, and Least 1 the popcount
///   Least  ones that a group needs to vote +1; 0 or less is always reached, more than Group never
///
/// Hardware counts each group (three bits and their majority are one LUT6 with the XNOR in front of it). C simulation counts
/// small groups side by side in one native word: a field of Group bits holds the count of its group, at most Group. With
/// 2^(Group-1) - Least added, the field's highest bit says that the count reaches Least, and no field overflows, as
/// Group + 2^(Group-1) - Least < 2^Group for 1 <= Least <= Group.
#pragma once

#include "popcount.hpp"

namespace flow {

/// A word with a 1 in the lowest bit of each of `fields` fields of `size` bits.
constexpr uint64_t field_ones(unsigned fields, unsigned size) {
    return fields == 0 ? 0 : field_ones(fields - 1, size) | (uint64_t(1) << (fields - 1) * size);
}

template <unsigned Simd, unsigned Group, int Least> unsigned votes_of_each_group(word<Simd> bits) {
#pragma HLS INLINE
    unsigned votes = 0;
    for (unsigned g = 0; g < Simd / Group; ++g) {
#pragma HLS UNROLL
        votes += int(popcount<Group>(static_cast<word<Group>>((bits >> g * Group) & mask<Group>()))) >= Least;
    }
    return votes;
}

template <unsigned Simd, unsigned Group, int Least> unsigned votes_side_by_side(word<Simd> bits) {
#pragma HLS INLINE
    const uint64_t Ones = field_ones(Simd / Group, Group);
    uint64_t counts = Ones * ((uint64_t(1) << (Group - 1)) - Least);
    for (unsigned i = 0; i < Group; ++i) {
#pragma HLS UNROLL
        counts += (uint64_t(bits) >> i) & Ones;
    }
    return popcount<64>(counts & (Ones << (Group - 1)));
}

template <unsigned Simd, unsigned Group, int Least> unsigned group_votes(word<Simd> bits) {
#pragma HLS INLINE
    static_assert(Simd % Group == 0, "group_votes: Simd must be whole groups");
    if (Least <= 0) return Simd / Group;
    if (Least > int(Group)) return 0;
    if (Group == 1) return popcount<Simd>(bits);
#ifndef __SYNTHESIS__
    if (Group <= 8) return votes_side_by_side<Simd, Group, Least>(bits);
#endif
    return votes_of_each_group<Simd, Group, Least>(bits);
}

}  // namespace flow

/// The sum s of a window, beat by beat: what xnor_popcount and weight_stationary give to their activation.
///
///   Inputs          n, inputs of the window
///   Simd            inputs a beat, divides Inputs
///   Group           1: s = sum(w * x) over the inputs inside the map. More: every Group neighbours vote first, and s is the
///                   sum of the group votes (-1, +1); Group is a multiple or a divisor of Simd, the last group may be shorter
///   GroupThreshold  a group votes +1 from this sum on; 0 for Group 1
///   add(b, x, w, outside)  takes beat b, where 0 starts a window, of inputs x and weights w; outside: its tap lies outside the
///                   map and has no part in s (Group 1 only)
///
/// s starts at -n, and gains 2 for every match and 1 for every input outside: with p matches among the n - t inputs inside
/// the map it ends at 2p - (n - t), which is s. So no masked sum needs a correction, and the exact majority is its sign bit.
#pragma once

#include "group_votes.hpp"

namespace flow {

/// The fewest matches p among `size` signs with 2p - size >= threshold.
constexpr int least_matches(int size, int threshold) { return (size + threshold + 1) >> 1; }

template <unsigned Inputs, unsigned Simd, unsigned Group, int GroupThreshold, bool SeveralBeats = (Group > Simd)>
struct window_sum;

/// Whole groups a beat.
template <unsigned Inputs, unsigned Simd, unsigned Group, int GroupThreshold>
struct window_sum<Inputs, Simd, Group, GroupThreshold, false> {
    static_assert(Simd % Group == 0, "window_sum: Group must be a multiple or a divisor of Simd");
    static const int Groups = Inputs / Group;
    using total = accumulator<bits_for(Groups) + 1>;
    total s;

    void add(unsigned b, word<Simd> x, word<Simd> w, bool outside) {
#pragma HLS INLINE
        const unsigned votes = group_votes<Simd, Group, least_matches(Group, GroupThreshold)>(matches<Simd>(x, w));
        s = (b == 0 ? total(-Groups) : s) + int(outside ? Simd : 2 * votes);
    }
};

/// Groups of several beats, whose matches are counted on the way.
template <unsigned Inputs, unsigned Simd, unsigned Group, int GroupThreshold>
struct window_sum<Inputs, Simd, Group, GroupThreshold, true> {
    static_assert(Group % Simd == 0, "window_sum: Group must be a multiple or a divisor of Simd");
    static const int Groups = (Inputs + Group - 1) / Group;
    using total = accumulator<bits_for(Groups) + 1>;
    total s;
    count<bits_for(Group)> counted;

    void add(unsigned b, word<Simd> x, word<Simd> w, bool) {
#pragma HLS INLINE
        const unsigned GroupBeats = Group / Simd;
        const unsigned LastStart = (Groups - 1) * GroupBeats;                           // beat that opens the last group
        const int Least = least_matches(Group, GroupThreshold);
        const int LastLeast = least_matches(Inputs - LastStart * Simd, GroupThreshold);
        const bool first = b % GroupBeats == 0;
        const bool last = b % GroupBeats == GroupBeats - 1 || b == Inputs / Simd - 1;
        counted = (first ? count<bits_for(Group)>(0) : counted) + popcount<Simd>(matches<Simd>(x, w));
        const bool vote = int(counted) >= (b < LastStart ? Least : LastLeast);
        s = (b == 0 ? total(-Groups) : s) + (last && vote ? 2 : 0);
    }
};

}  // namespace flow

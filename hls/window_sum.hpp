/// The sum s of a window, beat by beat: what xnor_popcount and weight_stationary give to their activation.
///
///   Inputs          n, inputs of the window
///   Simd            inputs a beat, divides Inputs
///   Group           1: s = sum(w * x) over the inputs inside the map. More: every Group neighbours vote first, and s is the
///                   sum of the group votes (-1, +1); Group is a multiple or a divisor of Simd, the last group may be shorter
///   GroupThreshold  a group votes +1 from this sum on; 0 for Group 1
///   position        the beat's place in its window, which all outputs share
///   add(s, counted, position, x, w, outside)  takes a beat of inputs x and weights w into the sum s, and into the matches counted
///                   of a group of several beats; outside: its tap lies outside the map and has no part in s (Group 1 only)
///
/// s starts at -n, and gains 2 for every match and 1 for every input outside: with p matches among the n - t inputs inside
/// the map it ends at 2p - (n - t), which is s. So no masked sum needs a correction, and the exact majority is its sign bit.
#pragma once

#include "group_votes.hpp"

namespace flow {

/// The fewest matches p among `size` signs with 2p - size >= threshold.
constexpr int least_matches(int size, int threshold) { return (size + threshold + 1) >> 1; }

/// Counts the beats of a window, and those of a group of GroupBeats; the last group may have fewer.
template <unsigned Beats, unsigned GroupBeats> struct window_position {
    count<bits_for(Beats)> beat, in_group, group;

    void start() {
#pragma HLS INLINE
        beat = 0;
        in_group = 0;
        group = 0;
    }

    bool first() const {
#pragma HLS INLINE
        return beat == 0;
    }

    bool last() const {
#pragma HLS INLINE
        return beat == Beats - 1;
    }

    bool ends_group() const {
#pragma HLS INLINE
        return in_group == GroupBeats - 1 || last();
    }

    bool in_last_group() const {
#pragma HLS INLINE
        return group == (Beats - 1) / GroupBeats;
    }

    void next() {
#pragma HLS INLINE
        const bool ends = ends_group();
        const bool starts_again = last();
        in_group = ends ? count<bits_for(Beats)>(0) : count<bits_for(Beats)>(in_group + 1);
        group = starts_again ? count<bits_for(Beats)>(0) : count<bits_for(Beats)>(group + ends);
        beat = starts_again ? count<bits_for(Beats)>(0) : count<bits_for(Beats)>(beat + 1);
    }
};

template <unsigned Inputs, unsigned Simd, unsigned Group, int GroupThreshold, bool SeveralBeats = (Group > Simd)>
struct window_sum;

/// Whole groups a beat.
template <unsigned Inputs, unsigned Simd, unsigned Group, int GroupThreshold>
struct window_sum<Inputs, Simd, Group, GroupThreshold, false> {
    static_assert(Simd % Group == 0, "window_sum: Group must be a multiple or a divisor of Simd");
    static const int Groups = Inputs / Group;
    using total = accumulator<bits_for(Groups) + 1>;
    using matched = count<1>;
    using position = window_position<Inputs / Simd, 1>;

    static void add(total& s, matched&, const position& at, word<Simd> x, word<Simd> w, bool outside) {
#pragma HLS INLINE
        const unsigned votes = group_votes<Simd, Group, least_matches(Group, GroupThreshold)>(matches<Simd>(x, w));
        s = (at.first() ? total(-Groups) : s) + int(outside ? Simd : 2 * votes);
    }
};

/// Groups of several beats, whose matches are counted on the way.
template <unsigned Inputs, unsigned Simd, unsigned Group, int GroupThreshold>
struct window_sum<Inputs, Simd, Group, GroupThreshold, true> {
    static_assert(Group % Simd == 0, "window_sum: Group must be a multiple or a divisor of Simd");
    static const int Groups = (Inputs + Group - 1) / Group;
    using total = accumulator<bits_for(Groups) + 1>;
    using matched = count<bits_for(Group)>;
    using position = window_position<Inputs / Simd, Group / Simd>;

    static void add(total& s, matched& counted, const position& at, word<Simd> x, word<Simd> w, bool) {
#pragma HLS INLINE
        const int Least = least_matches(Group, GroupThreshold);
        const int LastLeast = least_matches(Inputs - (Groups - 1) * Group, GroupThreshold);
        counted = (at.in_group == 0 ? matched(0) : counted) + popcount<Simd>(matches<Simd>(x, w));
        const bool vote = int(counted) >= (at.in_last_group() ? LastLeast : Least);
        s = (at.first() ? total(-Groups) : s) + (at.ends_group() && vote ? 2 : 0);
    }
};

}  // namespace flow

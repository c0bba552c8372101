/// Windows reduced channel by channel: depthwise convolutions, and pools of windows. A window comes in blocks of Simd channels: the
/// Taps beats of the first block, a tap a beat, then those of the next; each block becomes a beat of Pe outputs.
///
///     depthwise     out[o] = saturate_OutBits((multiplier[o] * sum_t w[o][t] * x[t][c] + bias[o]) >> Shift)    (arithmetic shift: floor)
///     sum_pool      the same without weights: the sum of the taps
///     extreme_pool  the largest tap of a channel, or the smallest; of bipolar elements their OR, or their AND
///
///   Taps               taps of a window
///   Channels, Outputs  of the map whose windows come, and channels that leave: Outputs / Channels of each in a row
///   Simd               channels of a block, divides Channels; Pe = Simd * Outputs / Channels
///   InBits             bits of an element, at most 16: signed, or bipolar where 1
///   Rows, Columns      windows of a frame
///   Masked             the highest bit of a beat, behind its Simd elements, says that they count as 0
///   OutBits, AccBits, Shift, Even  as in multiply_shift
///   WeightBits         bits of a weight, at most 8: signed, or bipolar where 1
///   Largest            the largest tap, or else the smallest
///   weights            [block * Taps + t], words side by side, low part first: element e is of output block * Pe + e and tap t
///   bias, multipliers  [block][e]: of output block * Pe + e; no multipliers at all: then they are 1
///   rows, columns      of multipliers by position, or none: those of window (y, x) are [rows[y] + columns[x] + block][e]
///
/// Rows * Columns * Channels / Simd * Taps cycles a frame.
#pragma once

#include "multiply_shift.hpp"
#include "stream_types.hpp"

namespace flow {

/// The elements of a beat; all are 0 where it is masked.
template <unsigned Simd, unsigned InBits, bool Masked>
void tap_elements(const ap_uint<Simd * InBits + Masked>& data, int32_t (&elements)[Simd]) {
#pragma HLS INLINE
    const bool outside = Masked && data[Simd * InBits + Masked - 1];
    uint64_t bits[Simd];
    unpack<Simd, InBits>(beat<Simd, InBits>(data), bits);
    for (unsigned i = 0; i < Simd; ++i) {
#pragma HLS UNROLL
        elements[i] = outside ? 0 : signed_element<InBits>(bits[i]);
    }
}

/// The window whose block is taken: its row y and column x, and the block.
template <unsigned Rows, unsigned Columns, unsigned Blocks> struct window_place {
    count<bits_for(Rows)> y;
    count<bits_for(Columns)> x;
    count<bits_for(Blocks)> block;

    void start() {
#pragma HLS INLINE
        y = 0;
        x = 0;
        block = 0;
    }

    void next() {
#pragma HLS INLINE
        const bool ends_window = block == Blocks - 1;
        const bool ends_row = ends_window && x == Columns - 1;
        block = ends_window ? count<bits_for(Blocks)>(0) : count<bits_for(Blocks)>(block + 1);
        if (ends_window) x = ends_row ? count<bits_for(Columns)>(0) : count<bits_for(Columns)>(x + 1);
        if (ends_row) y = y == Rows - 1 ? count<bits_for(Rows)>(0) : count<bits_for(Rows)>(y + 1);
    }
};

/// The output e of a block from its sum.
template <unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Place, class Sum, class Bias, class... Multipliers>
int32_t reduced(const Place& at, unsigned e, const Sum& sum, const Bias& bias, const Multipliers&... multipliers) {
#pragma HLS INLINE
    return multiply_shift<OutBits, AccBits, Shift, Even>(sum, bias, at.block, e, multipliers...);
}

template <unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Place, class Sum, class Bias, class Multipliers,
          unsigned Rows, unsigned Columns>
int32_t reduced(const Place& at, unsigned e, const Sum& sum, const Bias& bias, const Multipliers& multipliers,
                const int32_t (&rows)[Rows][1], const int32_t (&columns)[Columns][1]) {
#pragma HLS INLINE
#pragma HLS ARRAY_RESHAPE variable=rows complete dim=2
#pragma HLS ARRAY_RESHAPE variable=columns complete dim=2
    const unsigned word = rows[at.y][0] + columns[at.x][0] + at.block;
    return multiply_shift<OutBits, AccBits, Shift, Even>(sum, bias, word, e, multipliers);
}

template <unsigned Taps, unsigned Channels, unsigned Outputs, unsigned Simd, unsigned InBits, unsigned Rows, unsigned Columns, bool Masked,
          unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, unsigned WeightBits, class Word, unsigned Words, class Bias,
          class... Multipliers>
void depthwise(hls::stream<ap_uint<Simd * InBits + Masked>>& in, hls::stream<beat<Simd * (Outputs / Channels), OutBits>>& out,
               const Word (&weights)[(Channels / Simd) * Taps][Words],
               const Bias (&bias)[Channels / Simd][Simd * (Outputs / Channels)], const Multipliers&... multipliers) {
#pragma HLS ARRAY_RESHAPE variable=weights complete dim=2
#pragma HLS ARRAY_RESHAPE variable=bias complete dim=2
    static_assert(Channels % Simd == 0 && Outputs % Channels == 0, "depthwise: Simd divides Channels, and Channels Outputs");
    static_assert(InBits <= 16 && WeightBits <= 8, "depthwise: at most 16-bit inputs and 8-bit weights");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "depthwise: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned PerChannel = Outputs / Channels;
    const unsigned Pe = Simd * PerChannel;
    const unsigned Blocks = Channels / Simd;
    const unsigned SumBits = InBits + WeightBits + bits_for(Taps);

    accumulator<SumBits> sums[Pe];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1
    count<bits_for(Taps)> tap = 0;
    window_place<Rows, Columns, Blocks> at;
    at.start();
    count<bits_for(Blocks * Taps)> address = 0;

    for (unsigned cycle = 0; cycle < Rows * Columns * Blocks * Taps; ++cycle) {
#pragma HLS PIPELINE II=1
        int32_t x[Simd];
        tap_elements<Simd, InBits, Masked>(in.read(), x);
        Word row[Words];
        for (unsigned w = 0; w < Words; ++w) {
#pragma HLS UNROLL
            row[w] = weights[address][w];
        }
        for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
            const accumulator<SumBits> product = x[e / PerChannel] * signed_element<WeightBits>(element<WeightBits>(row, e));
            sums[e] = (tap == 0 ? accumulator<SumBits>(0) : sums[e]) + product;
        }
        if (tap == Taps - 1) {
            int32_t result[Pe];
            for (unsigned e = 0; e < Pe; ++e) {
#pragma HLS UNROLL
                result[e] = reduced<OutBits, AccBits, Shift, Even>(at, e, sums[e], bias[at.block][e], multipliers...);
            }
            out.write(pack<Pe, OutBits>(result));
            at.next();
        }
        address = address == Blocks * Taps - 1 ? decltype(address)(0) : decltype(address)(address + 1);
        tap = tap == Taps - 1 ? decltype(tap)(0) : decltype(tap)(tap + 1);
    }
}

template <unsigned Taps, unsigned Channels, unsigned Outputs, unsigned Simd, unsigned InBits, unsigned Rows, unsigned Columns, bool Masked,
          unsigned OutBits, unsigned AccBits, unsigned Shift, bool Even, class Bias, class... Multipliers>
void sum_pool(hls::stream<ap_uint<Simd * InBits + Masked>>& in, hls::stream<beat<Simd * (Outputs / Channels), OutBits>>& out,
              const Bias (&bias)[Channels / Simd][Simd * (Outputs / Channels)], const Multipliers&... multipliers) {
#pragma HLS ARRAY_RESHAPE variable=bias complete dim=2
    static_assert(Channels % Simd == 0 && Outputs == Channels, "sum_pool: Simd divides Channels, and Outputs are as many");
    static_assert(InBits <= 16, "sum_pool: at most 16-bit inputs");
    static_assert(OutBits <= 32 && AccBits <= 64 && Shift < AccBits, "sum_pool: OutBits <= 32, Shift < AccBits <= 64");
    const unsigned Blocks = Channels / Simd;
    const unsigned SumBits = InBits + 1 + bits_for(Taps);

    accumulator<SumBits> sums[Simd];
#pragma HLS ARRAY_PARTITION variable=sums complete dim=1
    count<bits_for(Taps)> tap = 0;
    window_place<Rows, Columns, Blocks> at;
    at.start();

    for (unsigned cycle = 0; cycle < Rows * Columns * Blocks * Taps; ++cycle) {
#pragma HLS PIPELINE II=1
        int32_t x[Simd];
        tap_elements<Simd, InBits, Masked>(in.read(), x);
        int32_t result[Simd];
        for (unsigned e = 0; e < Simd; ++e) {
#pragma HLS UNROLL
            sums[e] = (tap == 0 ? accumulator<SumBits>(0) : sums[e]) + x[e];
            result[e] = reduced<OutBits, AccBits, Shift, Even>(at, e, sums[e], bias[at.block][e], multipliers...);
        }
        if (tap == Taps - 1) {
            out.write(pack<Simd, OutBits>(result));
            at.next();
        }
        tap = tap == Taps - 1 ? decltype(tap)(0) : decltype(tap)(tap + 1);
    }
}

template <unsigned Taps, unsigned Channels, unsigned Outputs, unsigned Simd, unsigned InBits, unsigned Rows, unsigned Columns, bool Largest>
void extreme_pool(hls::stream<beat<Simd, InBits>>& in, hls::stream<beat<Simd, InBits>>& out) {
    static_assert(Channels % Simd == 0 && Outputs == Channels, "extreme_pool: Simd divides Channels, and Outputs are as many");
    static_assert(InBits <= 16, "extreme_pool: at most 16-bit inputs");

    accumulator<InBits + 1> best[Simd];
#pragma HLS ARRAY_PARTITION variable=best complete dim=1
    count<bits_for(Taps)> tap = 0;

    for (unsigned cycle = 0; cycle < Rows * Columns * (Channels / Simd) * Taps; ++cycle) {
#pragma HLS PIPELINE II=1
        int32_t x[Simd];
        tap_elements<Simd, InBits, false>(in.read(), x);
        int32_t result[Simd];
        for (unsigned e = 0; e < Simd; ++e) {
#pragma HLS UNROLL
            if (tap == 0 || (Largest ? x[e] > best[e] : x[e] < best[e])) best[e] = x[e];
            result[e] = InBits == 1 ? best[e] > 0 : int32_t(best[e]);
        }
        if (tap == Taps - 1) out.write(pack<Simd, InBits>(result));
        tap = tap == Taps - 1 ? decltype(tap)(0) : decltype(tap)(tap + 1);
    }
}

}  // namespace flow

/// im2col: for each output pixel in raster order the elements of its KernelRows x KernelColumns window.
///
///   Height, Width, Channels           the input map
///   KernelRows, KernelColumns         taps of a window
///   StrideRows, StrideColumns         from window to window
///   DilationRows, DilationColumns     from tap to tap
///   PadTop, PadLeft, PadBottom, PadRight
///                                     rows and columns outside the map, less than a window reaches over
///   P                                 elements a beat of the output; the input has P / Taps, which divides Channels
///   Bits                              bits of an element
///   PadValue                          bit pattern of an element outside the map: 0 for bipolar -1 and for integer zero
///   Masked                            bipolar, Taps 1: an output beat has one bit more, the highest, which is 1 where the tap lies
///                                     outside the map; its elements are 0 then
///   Taps                              taps of a channel that stand side by side and so share a beat (element: channel, then tap)
///                                       1                           order of a window: block of channels, row, column, channel
///                                       KernelColumns               row, channel, column
///                                       KernelRows * KernelColumns  channel, row, column
///   Block                             Taps 1: channels of a block; P divides it, and it divides Channels
///   rows                              [slot * Width * beats of a pixel + beat]: memory for as many rows of the map as a window
///                                     reaches over, and StrideRows more; where it is kept is the caller's choice (BIND_STORAGE)
///
/// One tap is read a cycle, so a beat leaves every Taps cycles. Input is taken whenever there is some and room for it, and waited
/// for only when the next tap has not come: so a path beside this one needs to hold no more than the window itself asks for.
/// A frame takes as many cycles as it has taps, after those in which the first of them come in. All input is read, also rows that
/// no window uses.
#pragma once

#include "stream_types.hpp"

namespace flow {
namespace sliding_window_parts {

/// Counts on by Step, Times steps; true when it starts again at 0.
template <unsigned Times, unsigned Step, class Counter> bool wraps(Counter& counter) {
#pragma HLS INLINE
    const bool last = counter == (Times - 1) * Step;
    counter = last ? Counter(0) : Counter(counter + Step);
    return last;
}

/// Goes on to the next tap in the order of the window: `row` and `column` of its pixel, beat `channel` of its block and beat `block`,
/// with which that begins. True when it is the first of the next window.
template <unsigned KernelRows, unsigned KernelColumns, unsigned DilationRows, unsigned DilationColumns, unsigned PixelBeats,
          unsigned BlockBeats, bool ByRow, class Row, class Column, class Channel>
bool next_tap(Row& row, Column& column, Channel& channel, Channel& block) {
#pragma HLS INLINE
    if (ByRow) {
        return wraps<KernelColumns, DilationColumns>(column) && wraps<PixelBeats, 1>(channel) && wraps<KernelRows, DilationRows>(row);
    }
    return wraps<BlockBeats, 1>(channel) && wraps<KernelColumns, DilationColumns>(column) && wraps<KernelRows, DilationRows>(row) &&
           wraps<PixelBeats / BlockBeats, BlockBeats>(block);
}

/// Shifts one tap into each channel's Taps elements: after Taps of them the first lies lowest.
template <unsigned Read, unsigned Bits, unsigned Taps>
void append_tap(const beat<Read, Bits>& tap, word<Bits> (&gathered)[Read * Taps]) {
#pragma HLS INLINE
    word<Bits> arrived[Read];
    unpack<Read, Bits>(tap, arrived);
    for (unsigned i = 0; i < Read * Taps; ++i) {
#pragma HLS UNROLL
        gathered[i] = i % Taps == Taps - 1 ? arrived[i / Taps] : gathered[i + 1];
    }
}

}  // namespace sliding_window_parts

template <unsigned Height, unsigned Width, unsigned Channels, unsigned KernelRows, unsigned KernelColumns, unsigned StrideRows,
          unsigned StrideColumns, unsigned DilationRows, unsigned DilationColumns, unsigned PadTop, unsigned PadLeft,
          unsigned PadBottom, unsigned PadRight, unsigned P, unsigned Bits, unsigned PadValue, bool Masked, unsigned Taps, unsigned Block>
void sliding_window(hls::stream<beat<P / Taps, Bits>>& in, hls::stream<ap_uint<P * Bits + Masked>>& out,
                    beat<P / Taps, Bits> (&rows)[((KernelRows - 1) * DilationRows + 1 + StrideRows) * Width * (Channels / (P / Taps))]) {
    const unsigned ReachRows = (KernelRows - 1) * DilationRows + 1;         // from the first tap to the last, both counted
    const unsigned ReachColumns = (KernelColumns - 1) * DilationColumns + 1;
    const unsigned PaddedHeight = Height + PadTop + PadBottom;
    const unsigned PaddedWidth = Width + PadLeft + PadRight;
    static_assert(Taps == 1 || Taps == KernelColumns || Taps == KernelRows * KernelColumns,
                  "sliding_window: Taps is 1, KernelColumns, or KernelRows times that");
    static_assert(P % Taps == 0 && Channels % (P / Taps) == 0, "sliding_window: P / Taps must divide Channels");
    static_assert(Taps != 1 || (Block % P == 0 && Channels % Block == 0), "sliding_window: P must divide Block, and that Channels");
    static_assert(!Masked || (Bits == 1 && PadValue == 0 && Taps == 1), "sliding_window: Masked takes bipolar maps, Taps 1");
    static_assert(PadTop < ReachRows && PadBottom < ReachRows && PadLeft < ReachColumns && PadRight < ReachColumns,
                  "sliding_window: padding must be smaller than a window");
    static_assert(PaddedHeight >= ReachRows && PaddedWidth >= ReachColumns, "sliding_window: a window over the map");
    static_assert(Bits <= 32, "sliding_window: at most 32 bits an element");
    const unsigned OutHeight = (PaddedHeight - ReachRows) / StrideRows + 1;
    const unsigned OutWidth = (PaddedWidth - ReachColumns) / StrideColumns + 1;
    const unsigned Read = P / Taps;                                      // elements a tap
    const unsigned PixelBeats = Channels / Read;
    const unsigned BlockBeats = Taps == 1 ? Block / Read : 1;
    const bool ByRow = Taps > 1 && Taps == KernelColumns;
    const unsigned RowBeats = Width * PixelBeats;
    const unsigned Slots = ReachRows + StrideRows;
    const unsigned AllTaps = OutHeight * OutWidth * KernelRows * KernelColumns * PixelBeats;
    // Positions in the padded map, of which there are as many as a window's more rows and columns than windows begin at.
    using y_counter = count<bits_for(PaddedHeight + StrideRows)>;
    using x_counter = count<bits_for(PaddedWidth + StrideColumns)>;
    using slot_counter = count<bits_for(2 * Slots)>;
    using beat_counter = count<bits_for(RowBeats)>;
    using pixel_counter = count<bits_for(PixelBeats)>;

    using namespace sliding_window_parts;

    uint32_t outside[Read];
#pragma HLS ARRAY_PARTITION variable=outside complete dim=1
    for (unsigned i = 0; i < Read; ++i) {
#pragma HLS UNROLL
        outside[i] = PadValue;
    }
    const beat<Read, Bits> pad = pack<Read, Bits>(outside);

    y_counter in_row = 0;                                                 // of the next input beat
    beat_counter in_beat = 0;
    slot_counter in_slot = 0;
    y_counter top = 0;                                                    // of the window's first tap in the padded map
    x_counter left = 0;
    slot_counter top_slot = (Slots - PadTop) % Slots;
    count<bits_for(ReachRows)> tap_row = 0;                               // position in the window
    count<bits_for(ReachColumns)> tap_column = 0;
    pixel_counter channel = 0, block = 0;
    count<bits_for(AllTaps)> taps_left = AllTaps;
    word<Bits> gathered[P];                                               // the taps of a beat, Taps > 1
#pragma HLS ARRAY_PARTITION variable=gathered complete dim=1

    while (taps_left != 0 || in_row != Height) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=AllTaps max=AllTaps
        const y_counter y = top + tap_row;                                // in the padded map
        const x_counter x = left + tap_column;
        const bool inside = y >= PadTop && y < Height + PadTop && x >= PadLeft && x < Width + PadLeft;
        const beat_counter tap_beat = inside ? beat_counter((x - PadLeft) * PixelBeats + block + channel) : beat_counter(0);
        const bool came = !inside || in_row + PadTop > y || (in_row + PadTop == y && in_beat > tap_beat);
        const bool give = taps_left != 0 && came;
        const bool room = in_row + PadTop < top + Slots || taps_left == 0;

        if (give) {
            slot_counter slot = top_slot + tap_row;
            if (slot >= Slots) slot -= Slots;
            // No DEPENDENCE pragma: a beat may be read in the cycle after it came, so reads must see the writes before them.
            const beat<Read, Bits> tap = inside ? rows[slot * RowBeats + tap_beat] : pad;
            if (Taps == 1) {
                ap_uint<P * Bits + Masked> data = tap;
                if (Masked) data[P * Bits + Masked - 1] = !inside;
                out.write(data);
            } else {
                append_tap<Read, Bits, Taps>(tap, gathered);
                if (tap_column == ReachColumns - 1 && (ByRow || tap_row == ReachRows - 1)) out.write(pack<P, Bits>(gathered));
            }
            --taps_left;
            if (next_tap<KernelRows, KernelColumns, DilationRows, DilationColumns, PixelBeats, BlockBeats, ByRow>(
                    tap_row, tap_column, channel, block) &&
                wraps<OutWidth, StrideColumns>(left)) {
                top += StrideRows;
                top_slot += StrideRows;
                if (top_slot >= Slots) top_slot -= Slots;
            }
        }
        if (in_row != Height && room && (!give || !in.empty())) {
            rows[in_slot * RowBeats + in_beat] = in.read();
            if (wraps<RowBeats, 1>(in_beat)) {
                ++in_row;
                wraps<Slots, 1>(in_slot);
            }
        }
    }
}

}  // namespace flow

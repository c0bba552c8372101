/// im2col: for each output pixel in raster order the elements of its Kernel x Kernel window.
///
///   Height, Width, Channels  the input map
///   Kernel, Stride, Padding  square, the same on all sides
///   P                        elements a beat of the output; the input has P / Taps, which divides Channels
///   Bits                     bits of an element
///   PadValue                 bit pattern of an element outside the map: 0 for bipolar -1 and for integer zero
///   Masked                   bipolar, Taps 1: an output beat has one bit more, the highest, which is 1 where the tap lies
///                            outside the map; its elements are 0 then
///   Taps                     taps of a channel that stand side by side and so share a beat (element: channel, then tap)
///                              1          order of a window: row, column, channel
///                              Kernel     row, channel, column
///                              Kernel^2   channel, row, column
///   rows                     [slot * Width * beats of a pixel + beat]: memory for Kernel + Stride rows of the map; where it is
///                            kept is the caller's choice (BIND_STORAGE)
///
/// One tap is read a cycle, so a beat leaves every Taps cycles. Input is taken whenever there is some and room for it, and waited
/// for only when the next tap has not come: so a path beside this one needs to hold no more than the window itself asks for.
/// A frame takes as many cycles as it has taps, after those in which the first of them come in. All input is read, also rows that
/// no window uses.
#pragma once

#include "stream_types.hpp"

namespace flow {
namespace sliding_window_parts {

/// Counts on; true when it starts again at 0.
template <class Counter> bool wraps(Counter& counter, unsigned limit) {
#pragma HLS INLINE
    const bool last = counter == limit - 1;
    counter = last ? Counter(0) : Counter(counter + 1);
    return last;
}

/// Goes on to the next tap in the order of the window; true when that is the first of the next window.
template <unsigned Kernel, unsigned PixelBeats, unsigned Taps, class Position, class Channel>
bool next_tap(Position& row, Position& column, Channel& channel) {
#pragma HLS INLINE
    if (Taps == 1) return wraps(channel, PixelBeats) && wraps(column, Kernel) && wraps(row, Kernel);
    if (Taps == Kernel) return wraps(column, Kernel) && wraps(channel, PixelBeats) && wraps(row, Kernel);
    return wraps(column, Kernel) && wraps(row, Kernel) && wraps(channel, PixelBeats);
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

template <unsigned Height, unsigned Width, unsigned Channels, unsigned Kernel, unsigned Stride, unsigned Padding,
          unsigned P, unsigned Bits, unsigned PadValue, bool Masked, unsigned Taps>
void sliding_window(hls::stream<beat<P / Taps, Bits>>& in, hls::stream<ap_uint<P * Bits + Masked>>& out,
                    beat<P / Taps, Bits> (&rows)[(Kernel + Stride) * Width * (Channels / (P / Taps))]) {
    static_assert(Taps == 1 || Taps == Kernel || Taps == Kernel * Kernel, "sliding_window: Taps is 1, Kernel or its square");
    static_assert(P % Taps == 0 && Channels % (P / Taps) == 0, "sliding_window: P / Taps must divide Channels");
    static_assert(!Masked || (Bits == 1 && PadValue == 0 && Taps == 1), "sliding_window: Masked takes bipolar maps, Taps 1");
    static_assert(Padding < Kernel, "sliding_window: Padding must be smaller than Kernel");
    static_assert(Height + 2 * Padding >= Kernel && Width + 2 * Padding >= Kernel, "sliding_window: Kernel over the map");
    static_assert(Bits <= 32, "sliding_window: at most 32 bits an element");
    const unsigned OutHeight = (Height + 2 * Padding - Kernel) / Stride + 1;
    const unsigned OutWidth = (Width + 2 * Padding - Kernel) / Stride + 1;
    const unsigned Read = P / Taps;                                      // elements a tap
    const unsigned PixelBeats = Channels / Read;
    const unsigned RowBeats = Width * PixelBeats;
    const unsigned Slots = Kernel + Stride;
    const unsigned AllTaps = OutHeight * OutWidth * Kernel * Kernel * PixelBeats;
    // Positions in the padded map, of which there are as many as Kernel more rows and columns than windows begin at.
    using y_counter = count<bits_for(Height + 2 * Padding + Stride)>;
    using x_counter = count<bits_for(Width + 2 * Padding + Stride)>;
    using slot_counter = count<bits_for(2 * Slots)>;
    using beat_counter = count<bits_for(RowBeats)>;
    using tap_counter = count<bits_for(Kernel)>;

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
    slot_counter top_slot = (Slots - Padding % Slots) % Slots;
    tap_counter tap_row = 0, tap_column = 0;                              // position in the window
    count<bits_for(PixelBeats)> channel = 0;
    count<bits_for(AllTaps)> taps_left = AllTaps;
    word<Bits> gathered[P];                                               // the taps of a beat, Taps > 1
#pragma HLS ARRAY_PARTITION variable=gathered complete dim=1

    while (taps_left != 0 || in_row != Height) {
#pragma HLS PIPELINE II=1
#pragma HLS LOOP_TRIPCOUNT min=AllTaps max=AllTaps
        const y_counter y = top + tap_row;                                // in the padded map
        const x_counter x = left + tap_column;
        const bool inside = y >= Padding && y < Height + Padding && x >= Padding && x < Width + Padding;
        const beat_counter tap_beat = inside ? beat_counter((x - Padding) * PixelBeats + channel) : beat_counter(0);
        const bool came = !inside || in_row + Padding > y || (in_row + Padding == y && in_beat > tap_beat);
        const bool give = taps_left != 0 && came;
        const bool room = in_row + Padding < top + Slots || taps_left == 0;

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
                sliding_window_parts::append_tap<Read, Bits, Taps>(tap, gathered);
                if (tap_column == Kernel - 1 && (Taps == Kernel || tap_row == Kernel - 1)) out.write(pack<P, Bits>(gathered));
            }
            --taps_left;
            if (sliding_window_parts::next_tap<Kernel, PixelBeats, Taps>(tap_row, tap_column, channel)) {
                if (left == (OutWidth - 1) * Stride) {
                    left = 0;
                    top += Stride;
                    top_slot += Stride;
                    if (top_slot >= Slots) top_slot -= Slots;
                } else {
                    left += Stride;
                }
            }
        }
        if (in_row != Height && room && (!give || !in.empty())) {
            rows[in_slot * RowBeats + in_beat] = in.read();
            if (sliding_window_parts::wraps(in_beat, RowBeats)) {
                ++in_row;
                sliding_window_parts::wraps(in_slot, Slots);
            }
        }
    }
}

}  // namespace flow

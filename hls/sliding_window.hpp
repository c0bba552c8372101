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
///
/// One tap is read a cycle, so a beat leaves every Taps cycles.
/// Kernel + Stride rows are kept: while the windows of one output row go out of Kernel of them, the Stride rows that the
/// next output row adds come in. Each row's beats are read at the start of that time, so a path that runs beside this
/// one needs a FIFO for Kernel + Stride rows of the map, one output row more than the taps themselves ask for.
/// A frame takes (Kernel - Padding) input rows of filling, then per output row as many cycles as the larger of its
/// taps and reads. All input rows are read, also those that no window uses.
#pragma once

#include "stream_types.hpp"

namespace flow {
namespace sliding_window_parts {

/// Counts on; true when it starts again at 0.
inline bool wraps(unsigned& counter, unsigned limit) {
#pragma HLS INLINE
    counter = counter + 1 == limit ? 0 : counter + 1;
    return counter == 0;
}

/// Goes on to the next tap in the order of the window; true when that is the first of the next window.
template <unsigned Kernel, unsigned PixelBeats, unsigned Taps>
bool next_tap(unsigned& row, unsigned& column, unsigned& channel) {
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
void sliding_window(hls::stream<beat<P / Taps, Bits>>& in, hls::stream<ap_uint<P * Bits + Masked>>& out) {
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
    const unsigned FirstRows = Kernel - Padding < Height ? Kernel - Padding : Height;
    const unsigned Fill = FirstRows * RowBeats;
    const unsigned RowReads = Stride * RowBeats;
    const unsigned RowTaps = OutWidth * Kernel * Kernel * PixelBeats;
    const unsigned RowCycles = RowTaps > RowReads ? RowTaps : RowReads;

    uint32_t outside[Read];
    for (unsigned i = 0; i < Read; ++i) {
#pragma HLS UNROLL
        outside[i] = PadValue;
    }
    const beat<Read, Bits> pad = pack<Read, Bits>(outside);

    beat<Read, Bits> rows[Slots][RowBeats];
    // A beat is read back in a later output row, never in the cycles just after it was written.
#pragma HLS DEPENDENCE variable=rows inter false

    unsigned arrived = 0, in_slot = 0, in_column = 0;                     // the next input beat
    unsigned step = 0, top_slot = (Slots - Padding) % Slots;              // cycle in the output row, slot of its first tap
    int top = -int(Padding), left = -int(Padding);                        // input position of the window's first tap
    unsigned tap_row = 0, tap_column = 0, channel = 0;                    // position in the window
    word<Bits> gathered[P];                                               // the taps of a beat, Taps > 1
#pragma HLS ARRAY_PARTITION variable=gathered complete dim=1

    for (unsigned cycle = 0; cycle < Fill + OutHeight * RowCycles; ++cycle) {
#pragma HLS PIPELINE II=1
        const bool filling = cycle < Fill;
        if ((filling || step < RowReads) && arrived < Height * RowBeats) {
            rows[in_slot][in_column] = in.read();
            ++arrived;
            if (++in_column == RowBeats) {
                in_column = 0;
                in_slot = in_slot + 1 == Slots ? 0 : in_slot + 1;
            }
        }
        if (filling) continue;

        if (step < RowTaps) {
            const int y = top + int(tap_row);
            const int x = left + int(tap_column);
            const bool inside = y >= 0 && y < int(Height) && x >= 0 && x < int(Width);
            const unsigned slot = top_slot + tap_row < Slots ? top_slot + tap_row : top_slot + tap_row - Slots;
            const beat<Read, Bits> tap = inside ? rows[slot][unsigned(x) * PixelBeats + channel] : pad;
            if (Taps == 1) {
                ap_uint<P * Bits + Masked> data = tap;
                if (Masked) data[P * Bits + Masked - 1] = !inside;
                out.write(data);
            } else {
                sliding_window_parts::append_tap<Read, Bits, Taps>(tap, gathered);
                if (tap_column == Kernel - 1 && (Taps == Kernel || tap_row == Kernel - 1)) out.write(pack<P, Bits>(gathered));
            }
            if (sliding_window_parts::next_tap<Kernel, PixelBeats, Taps>(tap_row, tap_column, channel)) left += Stride;
        }
        if (++step == RowCycles) {
            step = 0;
            left = -int(Padding);
            top += Stride;
            top_slot = top_slot + Stride < Slots ? top_slot + Stride : top_slot + Stride - Slots;
        }
    }
}

}  // namespace flow

/// im2col: for each output pixel in raster order its Kernel x Kernel taps in raster order, for each tap its channels.
///
///   Height, Width, Channels  the input map
///   Kernel, Stride, Padding  square, the same on all sides
///   P                        elements a beat, P divides Channels
///   Bits                     bits of an element
///   PadValue                 bit pattern of an element outside the map: 0 for bipolar -1 and for integer zero
///
/// Kernel + Stride rows are kept: while the windows of one output row go out of Kernel of them, the Stride rows that the
/// next output row adds come in. Each row's beats are read at the start of that time, so a path that runs beside this
/// one needs a FIFO for Kernel + Stride rows of the map, one output row more than the taps themselves ask for.
/// A frame takes (Kernel - Padding) input rows of filling, then per output row as many cycles as the larger of its
/// writes and reads. All input rows are read, also those that no window uses.
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned Height, unsigned Width, unsigned Channels, unsigned Kernel, unsigned Stride, unsigned Padding,
          unsigned P, unsigned Bits, unsigned PadValue>
void sliding_window(hls::stream<beat<P, Bits>>& in, hls::stream<beat<P, Bits>>& out) {
    static_assert(Channels % P == 0, "sliding_window: P must divide Channels");
    static_assert(Padding < Kernel, "sliding_window: Padding must be smaller than Kernel");
    static_assert(Height + 2 * Padding >= Kernel && Width + 2 * Padding >= Kernel, "sliding_window: Kernel over the map");
    static_assert(Bits <= 32, "sliding_window: at most 32 bits an element");
    const unsigned OutHeight = (Height + 2 * Padding - Kernel) / Stride + 1;
    const unsigned OutWidth = (Width + 2 * Padding - Kernel) / Stride + 1;
    const unsigned PixelBeats = Channels / P;
    const unsigned RowBeats = Width * PixelBeats;
    const unsigned Slots = Kernel + Stride;
    const unsigned FirstRows = Kernel - Padding < Height ? Kernel - Padding : Height;
    const unsigned Fill = FirstRows * RowBeats;
    const unsigned RowReads = Stride * RowBeats;
    const unsigned RowWrites = OutWidth * Kernel * Kernel * PixelBeats;
    const unsigned RowCycles = RowWrites > RowReads ? RowWrites : RowReads;

    uint32_t outside[P];
    for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
        outside[i] = PadValue;
    }
    const beat<P, Bits> pad = pack<P, Bits>(outside);

    beat<P, Bits> rows[Slots][RowBeats];
    // A beat is read back in a later output row, never in the cycles just after it was written.
#pragma HLS DEPENDENCE variable=rows inter false

    unsigned arrived = 0, in_slot = 0, in_column = 0;                     // the next input beat
    unsigned step = 0, top_slot = (Slots - Padding) % Slots;              // cycle in the output row, slot of its first tap
    int top = -int(Padding), left = -int(Padding);                        // input position of the window's first tap
    unsigned tap_row = 0, tap_column = 0, channel = 0;                    // position in the window

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

        if (step < RowWrites) {
            const int y = top + int(tap_row);
            const int x = left + int(tap_column);
            const bool inside = y >= 0 && y < int(Height) && x >= 0 && x < int(Width);
            const unsigned slot = top_slot + tap_row < Slots ? top_slot + tap_row : top_slot + tap_row - Slots;
            out.write(inside ? rows[slot][unsigned(x) * PixelBeats + channel] : pad);
            if (++channel == PixelBeats) {
                channel = 0;
                if (++tap_column == Kernel) {
                    tap_column = 0;
                    if (++tap_row == Kernel) {
                        tap_row = 0;
                        left += Stride;
                    }
                }
            }
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

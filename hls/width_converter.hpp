/// Regroups a frame's beats: InElements a beat become OutElements a beat, in the same order (low part first).
///
///   InElements, OutElements  elements a beat; the larger is a multiple of the smaller, equal is a copy
///   Bits                     bits of an element
///   Elements                 elements of a frame, a multiple of both
#pragma once

#include "stream_types.hpp"

namespace flow {

template <unsigned InElements, unsigned OutElements, unsigned Bits, unsigned Elements>
void width_converter(hls::stream<beat<InElements, Bits>>& in, hls::stream<beat<OutElements, Bits>>& out) {
    const bool Widens = OutElements > InElements;
    const unsigned Wide = Widens ? OutElements : InElements;
    const unsigned Narrow = Widens ? InElements : OutElements;
    static_assert(Wide % Narrow == 0, "width_converter: the wider beat must be a multiple of the narrower");
    static_assert(Elements % Wide == 0, "width_converter: a frame must be whole beats");

    ap_uint<Wide * Bits> group = 0;
    count<bits_for(Wide / Narrow)> part = 0;
    for (unsigned b = 0; b < Elements / Narrow; ++b) {
#pragma HLS PIPELINE II=1
        const bool first = part == 0;
        const bool last = part == Wide / Narrow - 1;
        part = last ? decltype(part)(0) : decltype(part)(part + 1);
        if (Widens) {
            ap_uint<Wide * Bits> arrived = in.read();
            group = (group >> Narrow * Bits) | (arrived << (Wide - Narrow) * Bits);
            if (last) out.write(beat<OutElements, Bits>(group));
        } else {
            if (first) group = in.read();
            out.write(beat<OutElements, Bits>(group));
            group >>= Narrow * Bits;
        }
    }
}

}  // namespace flow

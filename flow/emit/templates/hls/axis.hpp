/// The accelerator's AXI streams: 64-bit words of eight uint8 pixels in, 32-bit logits out.
#pragma once

#include "stream_types.hpp"

#if defined(__SYNTHESIS__) || defined(__VITIS_HLS__)
#include <ap_axi_sdata.h>

namespace flow {
template <unsigned Width> using axis_word = ap_axiu<Width, 0, 0, 0>;
}
#else
namespace flow {

/// The members of ap_axiu that are used here, for compilers that have no ap_axi_sdata.h.
template <unsigned Width> struct axis_word {
    ap_uint<Width> data;
    ap_uint<Width / 8> keep;
    ap_uint<Width / 8> strb;
    ap_uint<1> last;
};

}  // namespace flow
#endif

namespace flow {

using pixel_word = axis_word<64>;
using logit_word = axis_word<32>;

template <unsigned Width> axis_word<Width> make_axis_word(ap_uint<Width> data, bool last) {
#pragma HLS INLINE
    axis_word<Width> word;
    word.data = data;
    word.keep = ~ap_uint<Width / 8>(0);
    word.strb = ~ap_uint<Width / 8>(0);
    word.last = last;
    return word;
}

/// A frame's pixel words to beats of P elements.
///
///   P         uint8 elements a beat, at most 64
///   Elements  elements of a frame: whole beats; what is left of its last word is dropped
///
/// Each cycle either takes a word or gives a beat, so P need not divide 8.
template <unsigned P, unsigned Elements>
void read_pixels(hls::stream<pixel_word>& in, hls::stream<beat<P, 8>>& out) {
    static_assert(Elements % P == 0, "read_pixels: a frame must be whole beats");
    const unsigned Words = (Elements + 7) / 8;
    ap_uint<8 * (P + 8)> held = 0;
    count<bits_for(P + 8)> held_bytes = 0;
    for (unsigned cycle = 0; cycle < Words + Elements / P; ++cycle) {
#pragma HLS PIPELINE II=1
        if (held_bytes < P) {
            held |= ap_uint<8 * (P + 8)>(in.read().data) << 8 * held_bytes;
            held_bytes += 8;
        } else {
            out.write(beat<P, 8>(held));
            held >>= 8 * P;
            held_bytes -= P;
        }
    }
}

/// A frame's logits, one a word, sign-extended to 32 bits; TLAST comes with the last of the last of `frames`.
template <unsigned Classes, unsigned P, unsigned Bits>
void write_logits(hls::stream<beat<P, Bits>>& in, hls::stream<logit_word>& out, int frame, int frames) {
    static_assert(Classes % P == 0, "write_logits: P must divide Classes");
    int32_t logits[P];
#pragma HLS ARRAY_PARTITION variable=logits complete dim=1
    count<bits_for(P)> element = 0;
    for (unsigned c = 0; c < Classes; ++c) {
#pragma HLS PIPELINE II=1
        if (element == 0) unpack_signed<P, Bits>(in.read(), logits);
        const bool last = frame == frames - 1 && c == Classes - 1;
        out.write(make_axis_word<32>(ap_uint<32>(static_cast<uint32_t>(logits[element])), last));
        element = element == P - 1 ? decltype(element)(0) : decltype(element)(element + 1);
    }
}

}  // namespace flow

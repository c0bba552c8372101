/// What every node shares: beats, native words for tables, and the two conversions between a beat and its elements.
///
/// A beat of P elements of Bits bits is one `ap_uint<P * Bits>`, element i in bits [i*Bits +: Bits]; the layout is that
/// of docs/architecture.md, "Streams". Nodes take beats apart once, into native integers, and compute on those: it
/// synthesises to wires and compiles to code that is some 20 times faster than slicing an ap_uint per element.
#pragma once

#include <stdint.h>

#ifndef AP_INT_MAX_W
#define AP_INT_MAX_W 4096  // bits of the widest beat: the most that Vitis' ap_int takes, which stops at 1024 by itself
#endif
#include <ap_int.h>
#include <hls_stream.h>

namespace flow {

template <unsigned P, unsigned Bits> using beat = ap_uint<P * Bits>;

/// Bits that hold every integer from 0 to `largest`.
constexpr unsigned bits_for(unsigned long long largest) { return largest < 2 ? 1 : 1 + bits_for(largest / 2); }

constexpr unsigned native_bytes(unsigned bits) { return bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8; }

template <unsigned Bytes> struct native;
template <> struct native<1> { using word = uint8_t; using integer = int8_t; };
template <> struct native<2> { using word = uint16_t; using integer = int16_t; };
template <> struct native<4> { using word = uint32_t; using integer = int32_t; };
template <> struct native<8> { using word = uint64_t; using integer = int64_t; };

/// Simd bipolar elements, at most 64: the smallest native word, bit i is element i, the bits above Simd are 0.
template <unsigned Simd> using word = typename native<native_bytes(Simd)>::word;

/// The smallest native signed integer of at least Bits bits.
template <unsigned Bits> using integer = typename native<native_bytes(Bits)>::integer;

/// Running sums, and counters. They never leave their Bits, so a wider native integer gives the same values in C simulation.
#ifdef __SYNTHESIS__
template <unsigned Bits> using count = ap_uint<Bits>;
template <unsigned Bits> using accumulator = ap_int<Bits>;
#else
template <unsigned Bits> using count = uint32_t;
template <unsigned Bits> using accumulator = typename native<(Bits <= 32) ? 4 : 8>::integer;
#endif

template <unsigned Bits> constexpr uint64_t mask() { return ~uint64_t(0) >> (64 - Bits); }

template <unsigned Bits> int32_t sign_extend(uint64_t bits) {
#pragma HLS INLINE
    return static_cast<int32_t>(static_cast<uint32_t>(bits) << (32 - Bits)) >> (32 - Bits);
}

/// The signed integer of an element; of 1 bit it is -1 or +1.
template <unsigned Bits> int32_t signed_element(uint64_t bits) {
#pragma HLS INLINE
    return Bits == 1 ? (bits ? 1 : -1) : sign_extend<Bits>(bits);
}

/// Clamps to the range of a signed integer of Bits bits (at most 32).
template <unsigned Bits, class T> int32_t saturate(T value) {
#pragma HLS INLINE
    static_assert(Bits >= 1 && Bits <= 32, "saturate: 1 to 32 bits");
    const int64_t highest = (int64_t(1) << (Bits - 1)) - 1;
    const int64_t lowest = -highest - 1;
    return static_cast<int32_t>(value > highest ? highest : value < lowest ? lowest : static_cast<int64_t>(value));
}

/// A beat as 64-bit chunks, low part first. One more chunk, always 0, spares the last element a case of its own.
template <unsigned Width> struct chunks {
    static const unsigned Count = (Width + 63) / 64;
    uint64_t chunk[Count + 1];

    chunks() {
#pragma HLS INLINE
        for (unsigned k = 0; k <= Count; ++k) {
#pragma HLS UNROLL
            chunk[k] = 0;
        }
    }

    explicit chunks(const ap_uint<Width>& data) {
#pragma HLS INLINE
        chunk[Count] = 0;
        for (unsigned k = 0; k < Count; ++k) {
#pragma HLS UNROLL
            chunk[k] = k == 0 ? data.to_uint64() : (data >> 64 * k).to_uint64();
        }
    }

    ap_uint<Width> joined() const {
#pragma HLS INLINE
        ap_uint<Width> data = chunk[Count - 1];
        for (unsigned k = 1; k < Count; ++k) {
#pragma HLS UNROLL
            data = (data << 64) | ap_uint<Width>(chunk[Count - 1 - k]);
        }
        return data;
    }

    /// Element i of Bits bits, which may lie across two chunks.
    template <unsigned Bits> uint64_t get(unsigned i) const {
#pragma HLS INLINE
        const unsigned low = i * Bits % 64;
        uint64_t bits = chunk[i * Bits / 64] >> low;
        if (low + Bits > 64) bits |= chunk[i * Bits / 64 + 1] << (64 - low) % 64;
        return bits & mask<Bits>();
    }

    /// Sets an element that is still 0.
    template <unsigned Bits> void set(unsigned i, uint64_t bits) {
#pragma HLS INLINE
        const unsigned low = i * Bits % 64;
        chunk[i * Bits / 64] |= (bits & mask<Bits>()) << low;
        if (low + Bits > 64) chunk[i * Bits / 64 + 1] |= (bits & mask<Bits>()) >> (64 - low) % 64;
    }
};

/// Element i of Bits bits, at most 64, of the words of a table's row side by side, the low part first.
template <unsigned Bits, class Word, unsigned Words> uint64_t element(const Word (&row)[Words], unsigned i) {
#pragma HLS INLINE
    const unsigned Size = 8 * sizeof(Word);
    const unsigned Reach = Size % Bits == 0 ? 1 : (Bits + Size - 2) / Size + 1;  // words that it may lie in
    const unsigned at = i * Bits / Size;
    const unsigned low = i * Bits % Size;
    uint64_t bits = 0;
    for (unsigned k = 0; k < Reach; ++k) {
#pragma HLS UNROLL
        const unsigned shift = (k * Size - low) % 64;
        if (k == 0) bits = uint64_t(row[at]) >> low;
        else if (at + k < Words && k * Size < low + Bits) bits |= uint64_t(row[at + k]) << shift;
    }
    return bits & mask<Bits>();
}

/// The elements of a beat as unsigned integers.
template <unsigned P, unsigned Bits, class T> void unpack(const beat<P, Bits>& data, T (&elements)[P]) {
#pragma HLS INLINE
    const chunks<P * Bits> parts(data);
    for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
        elements[i] = static_cast<T>(parts.template get<Bits>(i));
    }
}

/// The elements of a beat as two's complement integers of at most 32 bits.
template <unsigned P, unsigned Bits, class T> void unpack_signed(const beat<P, Bits>& data, T (&elements)[P]) {
#pragma HLS INLINE
    static_assert(Bits <= 32, "unpack_signed: at most 32 bits an element");
    const chunks<P * Bits> parts(data);
    for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
        elements[i] = static_cast<T>(sign_extend<Bits>(parts.template get<Bits>(i)));
    }
}

/// The inverse of both: keeps the low Bits of every element.
template <unsigned P, unsigned Bits, class T> beat<P, Bits> pack(const T (&elements)[P]) {
#pragma HLS INLINE
    chunks<P * Bits> parts;
    for (unsigned i = 0; i < P; ++i) {
#pragma HLS UNROLL
        parts.template set<Bits>(i, static_cast<uint64_t>(elements[i]));
    }
    return parts.joined();
}

}  // namespace flow

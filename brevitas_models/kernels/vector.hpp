// Sixteen floats, which a compiler maps onto whatever vector registers there are.
#pragma once
#include <cstdint>

constexpr int64_t LANES = 16;

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Mask __attribute__((vector_size(4 * LANES)));  // 0 or -1, what a comparison gives
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4)));

static inline Vector loaded(const float *from) { return *(const Unaligned *)from; }
static inline void load(Vector &to, const float *from) { to = loaded(from); }
static inline void store(float *to, Vector from) { *(Unaligned *)to = from; }
static inline void accumulate(float *to, Vector from) { *(Unaligned *)to += from; }

static inline Vector all(float value) { return value - Vector{}; }  // no addition: x - 0 is x, of either sign
static inline Vector chosen(Mask mask, Vector yes, Vector no) { return mask ? yes : no; }
static inline Vector kept(Mask mask, Vector value) { return (Vector)((Mask)value & mask); }
static inline Vector smaller(Vector a, Vector b) { return a < b ? a : b; }
static inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }
static inline Vector clamped(Vector x, float low, float high) { return smaller(larger(x, all(low)), all(high)); }
static inline Mask within(Vector x, float low, float high) { return (x >= all(low)) & (x <= all(high)); }
static inline Vector magnitude(Vector x) { return (Vector)((Mask)x & 0x7fffffff); }

// to the nearest whole number, halves to even, for magnitudes below 2^22
static inline Vector rounded(Vector x) { return (x + 12582912.0f) - 12582912.0f; }
static inline Vector floored(Vector x) {
  const Vector near = rounded(x);
  return near - kept(near > x, all(1.0f));
}

// lanes of a and b, numbered one after the other
#ifdef __clang__
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, Mask{__VA_ARGS__})
#endif

// swaps the blocks of D lanes that lie across the diagonal, in every square of 2D lines and lanes
template <int D>
static inline void swap_blocks(Vector *lines) {
#define FROM(lane, shift) ((lane) & D ? LANES + (lane) - D + shift : (lane) + shift)
#define FROM4(lane, shift) FROM(lane, shift), FROM(lane + 1, shift), FROM(lane + 2, shift), FROM(lane + 3, shift)
#define FROM16(shift) FROM4(0, shift), FROM4(4, shift), FROM4(8, shift), FROM4(12, shift)
  for (int i = 0; i < LANES; i++)
    if (!(i & D)) {
      const Vector a = lines[i], b = lines[i + D];
      lines[i] = SHUFFLED(a, b, FROM16(0));
      lines[i + D] = SHUFFLED(a, b, FROM16(D));
    }
#undef FROM16
#undef FROM4
#undef FROM
}

static inline void transpose(Vector *lines) {
  swap_blocks<8>(lines);
  swap_blocks<4>(lines);
  swap_blocks<2>(lines);
  swap_blocks<1>(lines);
}

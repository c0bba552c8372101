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

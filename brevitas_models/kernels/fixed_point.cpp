// Fixed point and its mask of what did not saturate (fixed_point.py), on numbers in any order.
#include "vector.hpp"

namespace {

template <class Body>
void each(int64_t count, Body body) {
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < count / LANES; k++) body(LANES * k, LANES);
  if (count % LANES) body(count - count % LANES, count % LANES);
}

inline Vector part(const float *from, int64_t lanes) {
  if (lanes == LANES) return loaded(from);
  Vector found{};
  for (int64_t i = 0; i < lanes; i++) found[i] = from[i];
  return found;
}

inline void put(float *to, Vector value, int64_t lanes) {
  if (lanes == LANES) return store(to, value);
  for (int64_t i = 0; i < lanes; i++) to[i] = value[i];
}

}  // namespace

extern "C" {

void fixed_point(const float *x, float *out, float low, float high, float steps, int64_t truncate, int64_t count) {
  each(count, [=](int64_t k, int64_t lanes) {
    const Vector grid = clamped(part(x + k, lanes) * steps, low, high);
    put(out + k, (truncate ? floored(grid) : rounded(grid)) * (1.0f / steps), lanes);
  });
}

void fixed_point_back(const float *grad, const float *x, float *out, float low, float high, float steps, int64_t count) {
  each(count, [=](int64_t k, int64_t lanes) {
    put(out + k, kept(within(part(x + k, lanes) * steps, low, high), part(grad + k, lanes)), lanes);
  });
}
}

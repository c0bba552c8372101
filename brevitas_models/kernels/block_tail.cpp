// What stands behind the sums of a binary block, forward and backward, in two passes each (block_tail.py has the formulas).
// Maps are [rows, C]; a row is a pixel. Values on the residual grid are divided by its step first: they are whole numbers here.
#include <vector>

#include "summed.hpp"
#include "vector.hpp"

namespace {

struct Grid {
  float low, high, steps;
};

struct Affine {  // of a channel: BatchNorm of gamma * value as one multiply and one add
  const float *scale, *bias;
};

struct Activation {  // RPReLU: whole shifts, slopes
  const float *before, *slope, *after;
};

template <bool VOTES>
inline Vector value_of(const float *sums, const float *threshold, int64_t k) {
  const Vector s = loaded(sums + k);
  return VOTES ? chosen(s >= loaded(threshold + k), all(1.0f), all(-1.0f)) : s;
}

// Intermediate values of a row's channels, and which of them did not saturate.
struct Steps {
  Vector shifted, out;
  Mask branch, joined, bent, whole;
};

template <bool ACTIVATED>
inline Steps steps_of(Vector value, const float *shortcut, Affine affine, Activation act, Grid grid, int64_t k) {
  Steps found;
  const Vector n = (value * loaded(affine.scale + k) + loaded(affine.bias + k)) * grid.steps;
  found.branch = within(n, grid.low, grid.high);
  const Vector sum = loaded(shortcut + k) * grid.steps + rounded(clamped(n, grid.low, grid.high));
  found.joined = within(sum, grid.low, grid.high);
  found.out = clamped(sum, grid.low, grid.high);
  if (!ACTIVATED) return found;
  found.shifted = found.out + loaded(act.before + k);
  const Vector bent = chosen(found.shifted > all(0.0f), found.shifted, found.shifted * loaded(act.slope + k));
  const float low = 2 * grid.low, high = 2 * grid.high + 1;
  found.bent = within(bent, low, high);
  const Vector after = floored(clamped(bent, low, high)) + loaded(act.after + k);
  found.whole = within(after, grid.low, grid.high);
  found.out = clamped(after, grid.low, grid.high);
  return found;
}

template <bool VOTES>
void moments(const float *sums, const float *threshold, int64_t rows, int64_t c, double *totals) {
  summed(rows, 2 * c, totals, [=](int64_t row, int64_t end, float *own) {
    for (; row < end; row++)
      for (int64_t k = 0; k < c; k += LANES) {
        const Vector value = value_of<VOTES>(sums + row * c, threshold, k);
        accumulate(own + k, value);
        if (!VOTES) accumulate(own + c + k, value * value);
      }
  });
  if (VOTES)
    for (int64_t k = 0; k < c; k++) totals[c + k] = rows;
}

template <bool VOTES, bool ACTIVATED>
void forward(const float *sums, const float *shortcut, const float *threshold, Affine affine, Activation act, Grid grid, float *out,
             int64_t rows, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; row++)
    for (int64_t k = 0; k < c; k += LANES) {
      const Vector value = value_of<VOTES>(sums + row * c, threshold, k);
      store(out + row * c + k, steps_of<ACTIVATED>(value, shortcut + row * c, affine, act, grid, k).out * (1.0f / grid.steps));
    }
}

// Sums per channel: of the gradient of BatchNorm's output, and times the value; then of before, slope, after.
template <bool VOTES, bool ACTIVATED>
void backward(const float *grad, const float *sums, const float *shortcut, const float *threshold, Affine affine, Activation act,
              Grid grid, float *grad_shortcut, double *totals, int64_t rows, int64_t c) {
  summed(rows, 5 * c, totals, [=](int64_t row, int64_t end, float *own) {
    for (; row < end; row++)
      for (int64_t k = 0; k < c; k += LANES) {
        const Vector value = value_of<VOTES>(sums + row * c, threshold, k);
        const Steps at = steps_of<ACTIVATED>(value, shortcut + row * c, affine, act, grid, k);
        Vector g = loaded(grad + row * c + k);
        if (ACTIVATED) {
          g = kept(at.whole, g);
          accumulate(own + 4 * c + k, g);
          g = kept(at.bent, g);
          const Mask positive = at.shifted > all(0.0f);
          accumulate(own + 3 * c + k, kept(~positive, g * at.shifted));
          g = chosen(positive, g, g * loaded(act.slope + k));
          accumulate(own + 2 * c + k, g);
        }
        g = kept(at.joined, g);
        store(grad_shortcut + row * c + k, g);
        g = kept(at.branch, g);
        accumulate(own + k, g);
        accumulate(own + c + k, g * value);
      }
  });
}

// Through BatchNorm and the vote: the gradient of the sums is (g * outer - centre - value * spread) times ApproxSign's.
// Sums per channel: of it times -u, for the gradient of the divisor, and of it.
template <bool VOTES>
void backward_sums(const float *grad_shortcut, const float *sums, const float *threshold, float divisor, Affine affine, Grid grid,
                     const float *outer, const float *centre, const float *spread, float *grad_sums, double *totals, int64_t rows,
                   int64_t c) {
  const float inverse = 1.0f / divisor;
  summed(rows, 2 * c, totals, [=](int64_t row, int64_t end, float *own) {
    for (; row < end; row++)
      for (int64_t k = 0; k < c; k += LANES) {
        const Vector s = loaded(sums + row * c + k), value = value_of<VOTES>(sums + row * c, threshold, k);
        const Vector n = (value * loaded(affine.scale + k) + loaded(affine.bias + k)) * grid.steps;
        Vector g = kept(within(n, grid.low, grid.high), loaded(grad_shortcut + row * c + k));
        g = g * loaded(outer + k) - loaded(centre + k) - value * loaded(spread + k);
        if (VOTES) {
          const Vector u = (s - loaded(threshold + k)) * inverse;
          g *= larger(2.0f - 2.0f * magnitude(u), all(0.0f)) * inverse;
          accumulate(own + k, g * -u);
          accumulate(own + c + k, g);
        }
        store(grad_sums + row * c + k, g);
      }
  });
}

}  // namespace

#define CASES(function, ...)                                        \
  (votes ? (activated ? function<true, true>(__VA_ARGS__) : function<true, false>(__VA_ARGS__)) \
         : (activated ? function<false, true>(__VA_ARGS__) : function<false, false>(__VA_ARGS__)))

extern "C" {

void tail_moments(int64_t votes, const float *sums, const float *threshold, double *totals, int64_t rows, int64_t c) {
  votes ? moments<true>(sums, threshold, rows, c, totals) : moments<false>(sums, threshold, rows, c, totals);
}

void tail_forward(int64_t votes, int64_t activated, const float *sums, const float *shortcut, const float *threshold, const float *scale,
                  const float *bias, const float *before, const float *slope, const float *after, float low, float high,
                  float steps, float *out, int64_t rows, int64_t c) {
  CASES(forward, sums, shortcut, threshold, Affine{scale, bias}, Activation{before, slope, after}, Grid{low, high, steps}, out,
        rows, c);
}

void tail_backward(int64_t votes, int64_t activated, const float *grad, const float *sums, const float *shortcut, const float *threshold,
                   const float *scale, const float *bias, const float *before, const float *slope, const float *after, float low,
                   float high, float steps, float *grad_shortcut, double *totals, int64_t rows, int64_t c) {
  CASES(backward, grad, sums, shortcut, threshold, Affine{scale, bias}, Activation{before, slope, after}, Grid{low, high, steps},
        grad_shortcut, totals, rows, c);
}

void tail_backward_sums(int64_t votes, const float *grad_shortcut, const float *sums, const float *threshold, float divisor,
                        const float *scale, const float *bias, float low, float high, float steps, const float *outer,
                        const float *centre, const float *spread, float *grad_sums, double *totals, int64_t rows, int64_t c) {
  const Affine affine{scale, bias};
  const Grid grid{low, high, steps};
  votes ? backward_sums<true>(grad_shortcut, sums, threshold, divisor, affine, grid, outer, centre, spread, grad_sums, totals, rows, c)
        : backward_sums<false>(grad_shortcut, sums, threshold, divisor, affine, grid, outer, centre, spread, grad_sums, totals, rows, c);
}
}

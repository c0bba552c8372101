// sign(x + shift) of maps [rows, C] and the gradients of ApproxSign; and both for the signs of weights.
#include "summed.hpp"
#include "vector.hpp"

extern "C" {

void shifted_sign(const float *x, const float *shift, float *out, int64_t rows, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; row++)
    for (int64_t k = 0; k < c; k += LANES)
      store(out + row * c + k, chosen(loaded(x + row * c + k) + loaded(shift + k) >= all(0.0f), all(1.0f), all(-1.0f)));
}

// totals [C] is the sum of out over the rows, the gradient of the shift
void shifted_sign_back(const float *grad, const float *x, const float *shift, float *out, double *totals, int64_t rows, int64_t c) {
  summed(rows, c, totals, [=](int64_t row, int64_t end, float *sums) {
    for (; row < end; row++)
      for (int64_t k = 0; k < c; k += LANES) {
        const Vector u = loaded(x + row * c + k) + loaded(shift + k);
        const Vector g = loaded(grad + row * c + k) * larger(2.0f - 2.0f * magnitude(u), all(0.0f));
        store(out + row * c + k, g);
        accumulate(sums + k, g);
      }
  });
}

// totals [LANES] is the sum of the magnitudes
void weight_sign(const float *w, float *out, double *totals, int64_t count) {
  summed(count / LANES, LANES, totals, [=](int64_t row, int64_t end, float *sums) {
    for (int64_t k = row * LANES; k < end * LANES; k += LANES) {
      const Vector weight = loaded(w + k);
      store(out + k, chosen(weight >= all(0.0f), all(1.0f), all(-1.0f)));
      accumulate(sums, magnitude(weight));
    }
  });
}

void weight_sign_back(const float *grad, const float *w, float *out, int64_t count) {
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < count; k += LANES) store(out + k, kept(within(loaded(w + k), -1.0f, 1.0f), loaded(grad + k)));
}
}

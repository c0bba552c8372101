// sign(x + shift) of maps [rows, C] and the gradients of ApproxSign; and both for the signs of weights.
#include <cstring>
#include <vector>

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
  std::memset(totals, 0, c * sizeof(double));
#pragma omp parallel
  {
    std::vector<float> sums(c);
    std::vector<double> own(c, 0.0);
#pragma omp for schedule(static)
    for (int64_t chunk = 0; chunk < (rows + 255) / 256; chunk++) {
      std::memset(sums.data(), 0, c * sizeof(float));
      for (int64_t row = 256 * chunk; row < rows && row < 256 * (chunk + 1); row++)
        for (int64_t k = 0; k < c; k += LANES) {
          const Vector u = loaded(x + row * c + k) + loaded(shift + k);
          const Vector g = loaded(grad + row * c + k) * larger(2.0f - 2.0f * magnitude(u), all(0.0f));
          store(out + row * c + k, g);
          accumulate(sums.data() + k, g);
        }
      for (int64_t k = 0; k < c; k++) own[k] += sums[k];
    }
#pragma omp critical
    for (int64_t k = 0; k < c; k++) totals[k] += own[k];
  }
}

void weight_sign(const float *w, float *out, int64_t count) {
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < count; k += LANES) store(out + k, chosen(loaded(w + k) >= all(0.0f), all(1.0f), all(-1.0f)));
}

void weight_sign_back(const float *grad, const float *w, float *out, int64_t count) {
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < count; k += LANES) store(out + k, kept(within(loaded(w + k), -1.0f, 1.0f), loaded(grad + k)));
}
}

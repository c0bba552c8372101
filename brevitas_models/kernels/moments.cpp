// Mean and variance of maps [rows, C] per channel, and their gradient.
#include "summed.hpp"
#include "vector.hpp"

extern "C" {

// totals [2, C]: the sums over the rows of x - centre and of its square
void moments(const float *x, const float *centre, double *totals, int64_t rows, int64_t c) {
  summed(rows, 2 * c, totals, [=](int64_t row, int64_t end, float *sums) {
    for (; row < end; row++)
      for (int64_t k = 0; k < c; k += LANES) {
        const Vector d = loaded(x + row * c + k) - loaded(centre + k);
        accumulate(sums + k, d);
        accumulate(sums + c + k, d * d);
      }
  });
}

// out = slope * x + offset
void moments_back(const float *x, const float *slope, const float *offset, float *out, int64_t rows, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; row++)
    for (int64_t k = 0; k < c; k += LANES) store(out + row * c + k, loaded(slope + k) * loaded(x + row * c + k) + loaded(offset + k));
}
}

// Sums over rows: in float for 256 of them, then in double; the same in every run, as threads are added up in their order.
#pragma once
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <vector>

// Calls body(first row, last row, sums), which adds to `count` floats, for chunks of rows; adds all up in `totals`.
template <class Body>
void summed(int64_t rows, int64_t count, double *totals, Body body) {
  constexpr int64_t ROWS = 256;
  std::vector<std::vector<double>> parts(omp_get_max_threads());
#pragma omp parallel
  {
    std::vector<float> sums(count);
    std::vector<double> own(count);
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows; row += ROWS) {
      std::fill(sums.begin(), sums.end(), 0.0f);
      body(row, std::min(row + ROWS, rows), sums.data());
      for (int64_t i = 0; i < count; i++) own[i] += sums[i];
    }
    parts[omp_get_thread_num()] = std::move(own);
  }
  std::fill(totals, totals + count, 0.0);
  for (const auto &part : parts)
    for (size_t i = 0; i < part.size(); i++) totals[i] += part[i];
}

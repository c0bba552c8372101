// Products of small matrices that lie in the caches already.
#pragma once
#include <algorithm>

#include "vector.hpp"

// A: element (row, k) is at[row * row_step + k * k_step]; B and C: rows `step` apart, columns side by side
struct Left {
  const float *at;
  int64_t row_step, k_step;
};
struct Right {
  const float *at;
  int64_t step;
};
struct Result {
  float *at;
  int64_t step;
};

constexpr int64_t TILE_ROWS = 6, TILE_VECTORS = 4;  // 24 sums and what they need fit into 32 registers
constexpr int64_t DEPTH = 256;                      // rows of B at a time: 64 columns of them stay in the second cache

template <int ROWS, int VECTORS>
inline void tile_product(Left a, Right b, Result c, int64_t depth, bool add) {
  Vector sums[ROWS][VECTORS];
  for (int r = 0; r < ROWS; r++)
    for (int v = 0; v < VECTORS; v++) sums[r][v] = add ? loaded(c.at + r * c.step + v * LANES) : Vector{};
  for (int64_t k = 0; k < depth; k++) {
    Vector line[VECTORS];
    for (int v = 0; v < VECTORS; v++) load(line[v], b.at + k * b.step + v * LANES);
    for (int r = 0; r < ROWS; r++) {
      const Vector factor = all(a.at[r * a.row_step + k * a.k_step]);
      for (int v = 0; v < VECTORS; v++) sums[r][v] += factor * line[v];
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int v = 0; v < VECTORS; v++) store(c.at + r * c.step + v * LANES, sums[r][v]);
}

template <int VECTORS>
inline void column_product(Left a, Right b, Result c, int64_t rows, int64_t depth, bool add) {
  for (; rows >= TILE_ROWS; rows -= TILE_ROWS, a.at += TILE_ROWS * a.row_step, c.at += TILE_ROWS * c.step)
    tile_product<TILE_ROWS, VECTORS>(a, b, c, depth, add);
  switch (rows) {
    case 5: return tile_product<5, VECTORS>(a, b, c, depth, add);
    case 4: return tile_product<4, VECTORS>(a, b, c, depth, add);
    case 3: return tile_product<3, VECTORS>(a, b, c, depth, add);
    case 2: return tile_product<2, VECTORS>(a, b, c, depth, add);
    case 1: return tile_product<1, VECTORS>(a, b, c, depth, add);
  }
}

// C [rows, columns] = A [rows, depth] B [depth, columns], or that is added; columns come in multiples of LANES
inline void multiply(Left a, Right b, Result c, int64_t rows, int64_t columns, int64_t depth, bool add) {
  for (int64_t k = 0; k < depth; k += DEPTH) {
    const int64_t part = std::min(DEPTH, depth - k);
    const Left from{a.at + k * a.k_step, a.row_step, a.k_step};
    int64_t column = 0;
    for (; column + TILE_VECTORS * LANES <= columns; column += TILE_VECTORS * LANES)
      column_product<TILE_VECTORS>(from, {b.at + k * b.step + column, b.step}, {c.at + column, c.step}, rows, part, add || k > 0);
    for (; column + 2 * LANES <= columns; column += 2 * LANES)
      column_product<2>(from, {b.at + k * b.step + column, b.step}, {c.at + column, c.step}, rows, part, add || k > 0);
    for (; column < columns; column += LANES)
      column_product<1>(from, {b.at + k * b.step + column, b.step}, {c.at + column, c.step}, rows, part, add || k > 0);
  }
}

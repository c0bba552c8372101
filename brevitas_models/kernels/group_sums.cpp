// Votes of groups of products, added up (group_sums.py). Weights are [O / 16, n, 16]; the elements of a window stand at `offsets`
// from its first pixel, in the order in which they are cut into groups.
#include <algorithm>
#include <cstring>
#include <vector>

#include "vector.hpp"

namespace {

constexpr int64_t WINDOWS = 8;  // that share a loaded weight

struct Shape {
  int64_t images, height, width, channels, stride, rows, columns, outputs, n, group;
  float least;  // sum of a group that votes +1

  int64_t pixels() const { return rows * columns; }
  int64_t first(int64_t image, int64_t pixel) const {  // where a window begins; the last one stands in for pixels beyond the map
    pixel = std::min(pixel, pixels() - 1);
    return ((image * height + pixel / columns * stride) * width + pixel % columns * stride) * channels;
  }
};

void gather(const Shape &shape, const float *x, const int64_t *offsets, int64_t image, int64_t pixel, float *windows) {
  for (int64_t t = 0; t < WINDOWS; t++) {
    const float *from = x + shape.first(image, pixel + t);
    for (int64_t j = 0; j < shape.n; j++) windows[j * WINDOWS + t] = from[offsets[j]];
  }
}

inline void sums_of(const float *windows, const float *weights, int64_t size, Vector *sums) {
  for (int64_t t = 0; t < WINDOWS; t++) sums[t] = Vector{};
  for (int64_t j = 0; j < size; j++) {
    const Vector weight = loaded(weights + j * LANES);
    for (int64_t t = 0; t < WINDOWS; t++) sums[t] += weight * windows[j * WINDOWS + t];
  }
}

inline float total(Vector x) {
  typedef float Half __attribute__((vector_size(2 * LANES)));
  typedef float Quarter __attribute__((vector_size(LANES)));
  Half halves[2];
  Quarter quarters[2];
  std::memcpy(halves, &x, sizeof x);
  halves[0] += halves[1];
  std::memcpy(quarters, halves, sizeof quarters);
  quarters[0] += quarters[1];
  return (quarters[0][0] + quarters[0][2]) + (quarters[0][1] + quarters[0][3]);
}

}  // namespace

extern "C" {

// out [N, rows, columns, O] of x [N, height, width, C]
void group_sums(const float *x, const int64_t *offsets, const float *weights, float *out, int64_t images, int64_t height,
                int64_t width, int64_t channels, int64_t stride, int64_t rows, int64_t columns, int64_t outputs, int64_t n,
                int64_t group, float least) {
  const Shape shape{images, height, width, channels, stride, rows, columns, outputs, n, group, least};
#pragma omp parallel
  {
    std::vector<float> windows(n * WINDOWS);
#pragma omp for schedule(static)
    for (int64_t image = 0; image < images; image++)
      for (int64_t pixel = 0; pixel < shape.pixels(); pixel += WINDOWS) {
        gather(shape, x, offsets, image, pixel, windows.data());
        const int64_t count = std::min(WINDOWS, shape.pixels() - pixel);
        for (int64_t o = 0; o < outputs; o += LANES) {
          Vector votes[WINDOWS] = {}, sums[WINDOWS];
          for (int64_t start = 0; start < n; start += group) {
            const int64_t size = std::min(group, n - start);
            sums_of(windows.data() + start * WINDOWS, weights + o * n + start * LANES, size, sums);
            for (int64_t t = 0; t < WINDOWS; t++) votes[t] += chosen(sums[t] >= all(least), all(1.0f), all(-1.0f));
          }
          for (int64_t t = 0; t < count; t++) store(out + (image * shape.pixels() + pixel + t) * outputs + o, votes[t]);
        }
      }
  }
}

// Gradients, added to grad_x [N, height, width, C] and to grad_weights [images, O / 16, n, 16] for blocks of images: a block has its
// own, so that the sum over blocks does not depend on the threads.
void group_sums_back(const float *grad, const float *x, const int64_t *offsets, const float *weights, float *grad_x,
                     float *grad_weights, int64_t blocks, int64_t images, int64_t height, int64_t width, int64_t channels,
                     int64_t stride, int64_t rows, int64_t columns, int64_t outputs, int64_t n, int64_t group, float least) {
  const Shape shape{images, height, width, channels, stride, rows, columns, outputs, n, group, least};
  const float inverse = 1.0f / group;
#pragma omp parallel
  {
    std::vector<float> windows(n * WINDOWS);
    std::vector<Vector> inner(group * WINDOWS);
#pragma omp for schedule(static, 1)
    for (int64_t block = 0; block < blocks; block++)
      for (int64_t image = block * images / blocks; image < (block + 1) * images / blocks; image++)
        for (int64_t pixel = 0; pixel < shape.pixels(); pixel += WINDOWS) {
          gather(shape, x, offsets, image, pixel, windows.data());
          const int64_t count = std::min(WINDOWS, shape.pixels() - pixel);
          for (int64_t start = 0; start < n; start += group) {
            const int64_t size = std::min(group, n - start);
            const float *window = windows.data() + start * WINDOWS;
            std::fill(inner.begin(), inner.end(), Vector{});
            for (int64_t o = 0; o < outputs; o += LANES) {
              Vector sums[WINDOWS];
              const float *weight = weights + o * n + start * LANES;
              float *grad_weight = grad_weights + block * outputs * n + o * n + start * LANES;
              sums_of(window, weight, size, sums);
              for (int64_t t = 0; t < WINDOWS; t++) {  // ApproxSign's gradient times what comes from behind
                const Vector u = magnitude((sums[t] - least) * inverse);
                const Vector from = t < count ? loaded(grad + (image * shape.pixels() + pixel + t) * outputs + o) : Vector{};
                sums[t] = from * larger(2.0f - 2.0f * u, all(0.0f)) * inverse;
              }
              for (int64_t j = 0; j < size; j++) {
                const Vector w = loaded(weight + j * LANES);
                Vector of_weight = loaded(grad_weight + j * LANES);
                for (int64_t t = 0; t < WINDOWS; t++) {
                  of_weight += sums[t] * window[j * WINDOWS + t];
                  inner[j * WINDOWS + t] += sums[t] * w;
                }
                store(grad_weight + j * LANES, of_weight);
              }
            }
            for (int64_t t = 0; t < count; t++) {
              float *to = grad_x + shape.first(image, pixel + t);
              for (int64_t j = 0; j < size; j++) to[offsets[start + j]] += total(inner[j * WINDOWS + t]);
            }
          }
        }
  }
}
}

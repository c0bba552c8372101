// 3x3 convolution of maps of a few pixels, without a transform: a tile of 4x4 would be border for the most part there, and 36 numbers of a
// transformed filter too many for so few products. Each pair of an output pixel and the input pixel under a tap is a product of matrices
// [images, channels]; the pairs of a tap share its weights, which stay in a cache. conv3x3.py calls these.
#include <algorithm>
#include <vector>

#include "multiply.hpp"
#include "vector.hpp"

namespace {

constexpr int64_t PANEL = TILE_VECTORS * LANES;      // columns of a result that one thread makes
constexpr int TAPS[9] = {4, 0, 1, 2, 3, 5, 6, 7, 8};  // the middle first: it meets every pixel

struct Pixels {
  int64_t h, w;

  // calls body(output pixel, input pixel) for a tap; an input pixel of -1 is in the border
  template <class Body>
  void under(int tap, Body body) const {
    for (int64_t row = 0; row < h; row++)
      for (int64_t column = 0; column < w; column++) {
        const int64_t down = row + tap / 3 - 1, right = column + tap % 3 - 1;
        body(row * w + column, down >= 0 && down < h && right >= 0 && right < w ? down * w + right : -1);
      }
  }
};

// calls body(first column, columns) for parts of a matrix
template <class Body>
void panels(int64_t columns, Body body) {
#pragma omp parallel for schedule(dynamic)
  for (int64_t first = 0; first < columns; first += PANEL) body(first, std::min(PANEL, columns - first));
}

}  // namespace

extern "C" {

// y [N, H, W, O] of x [N, H, W, C] and weights [C, 3, 3, O]
void small_forward(const float *x, const float *weight, float *y, int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, float pad) {
  const int64_t x_image = h * w * c, y_image = h * w * o;
  panels(o, [=](int64_t first, int64_t columns) {
    for (int tap : TAPS) {
      const Right weights{weight + tap * o + first, 9 * o};
      float border[PANEL];  // what a tap adds where it lies in the border
      multiply({&pad, 0, 0}, weights, {border, 0}, 1, columns, c, false);
      Pixels{h, w}.under(tap, [&](int64_t to, int64_t from) {
        float *sums = y + to * o + first;
        if (from >= 0)
          multiply({x + from * c, x_image, 1}, weights, {sums, y_image}, n, columns, c, tap != TAPS[0]);
        else
          for (int64_t i = 0; i < n * columns; i += LANES) accumulate(sums + i / columns * y_image + i % columns, loaded(border + i % columns));
      });
    }
  });
}

// The gradient of x from that of y and weights [O, 3, 3, C]
void small_backward(const float *weight, const float *grad_y, float *grad_x, int64_t n, int64_t h, int64_t w, int64_t c, int64_t o) {
  const int64_t x_image = h * w * c, y_image = h * w * o;
  panels(c, [=](int64_t first, int64_t columns) {
    for (int tap : TAPS)
      Pixels{h, w}.under(tap, [&](int64_t from, int64_t to) {
        if (to >= 0)
          multiply({grad_y + from * o, y_image, 1}, {weight + tap * c + first, 9 * c}, {grad_x + to * c + first, x_image}, n, columns, o,
                   tap != TAPS[0]);
      });
  });
}

// The gradient of weights [O, 3, 3, C] from that of y
void small_weights_back(const float *x, const float *grad_y, float *grad_weight, int64_t n, int64_t h, int64_t w, int64_t c, int64_t o,
                        float pad) {
  const int64_t image = h * w;
  std::vector<float> pixels((n * image + 1) * c), grads((n * image + 1) * o);  // of all pairs of a tap, one below the other
  for (int tap : TAPS) {
    int64_t depth = 1;  // the first line is the border, where every pixel is the same
    std::fill_n(&pixels[0], c, pad);
    std::fill_n(&grads[0], o, 0.0f);
    Pixels{h, w}.under(tap, [&](int64_t from, int64_t under) {
      for (int64_t i = 0; i < n; i++) {
        const float *line = grad_y + (i * image + from) * o;
        if (under < 0) {
          for (int64_t j = 0; j < o; j += LANES) accumulate(&grads[j], loaded(line + j));
          continue;
        }
        std::copy_n(x + (i * image + under) * c, c, &pixels[depth * c]);
        std::copy_n(line, o, &grads[depth * o]);
        depth++;
      }
    });
    panels(c, [&](int64_t first, int64_t columns) {
      multiply({&grads[0], 1, o}, {&pixels[first], c}, {grad_weight + tap * c + first, 9 * c}, o, columns, depth, false);
    });
  }
}
}

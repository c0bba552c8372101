// 3x3 convolution of maps of a few pixels, without a transform: a tile of 4x4 would be border for the most part there, and 36 numbers of a
// transformed filter too many for so few products. Each pair of an output pixel and the input pixel under a tap is a product of matrices
// [images, channels]; the pairs of a tap share its weights, which stay in a cache. conv3x3.py calls these.
#include <algorithm>
#include <vector>

#include "multiply.hpp"
#include "vector.hpp"

namespace {

constexpr int64_t PANEL = TILE_VECTORS * LANES;      // columns of a result that one thread makes
constexpr int TAPS[9] = {4, 0, 1, 2, 3, 5, 6, 7, 8};  // the middle first: it meets every output

struct Maps {
  int64_t h, w, stride;  // of inputs
  int64_t rows() const { return (h + stride - 1) / stride; }
  int64_t columns() const { return (w + stride - 1) / stride; }
  int64_t inputs() const { return h * w; }
  int64_t outputs() const { return rows() * columns(); }

  // calls body(output pixel, input pixel) for a tap; an input pixel of -1 is in the border
  template <class Body>
  void pairs(int tap, Body body) const {
    for (int64_t row = 0; row < rows(); row++)
      for (int64_t column = 0; column < columns(); column++) {
        const int64_t down = row * stride + tap / 3 - 1, right = column * stride + tap % 3 - 1;
        body(row * columns() + column, down >= 0 && down < h && right >= 0 && right < w ? down * w + right : -1);
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

// y [N, H/stride, W/stride, O], rounded up, of x [N, H, W, C] and weights [C, 3, 3, O]
void small_forward(const float *x, const float *weight, float *y, int64_t n, int64_t h, int64_t w, int64_t stride, int64_t c, int64_t o,
                   float pad) {
  const Maps maps{h, w, stride};
  const int64_t x_image = maps.inputs() * c, y_image = maps.outputs() * o;
  panels(o, [=](int64_t first, int64_t columns) {
    for (int tap : TAPS) {
      const Right weights{weight + tap * o + first, 9 * o};
      float border[PANEL];  // what a tap adds where it lies in the border
      multiply({&pad, 0, 0}, weights, {border, 0}, 1, columns, c, false);
      maps.pairs(tap, [&](int64_t output, int64_t input) {
        const Result sums{y + output * o + first, y_image};
        if (input >= 0) return multiply({x + input * c, x_image, 1}, weights, sums, n, columns, c, tap != TAPS[0]);
        for (int64_t i = 0; i < n; i++)
          for (int64_t j = 0; j < columns; j += LANES) accumulate(sums.at + i * sums.step + j, loaded(border + j));
      });
    }
  });
}

// The gradient of x from that of y and weights [O, 3, 3, C]
void small_backward(const float *weight, const float *grad_y, float *grad_x, int64_t n, int64_t h, int64_t w, int64_t stride, int64_t c,
                    int64_t o) {
  const Maps maps{h, w, stride};
  const int64_t x_image = maps.inputs() * c, y_image = maps.outputs() * o;
  panels(c, [=](int64_t first, int64_t columns) {
    for (int64_t i = 0; i < n * maps.inputs(); i++) std::fill_n(grad_x + i * c + first, columns, 0.0f);
    for (int tap : TAPS)
      maps.pairs(tap, [&](int64_t output, int64_t input) {
        const Right weights{weight + tap * c + first, 9 * c};
        if (input >= 0) multiply({grad_y + output * o, y_image, 1}, weights, {grad_x + input * c + first, x_image}, n, columns, o, true);
      });
  });
}

// The gradient of weights [O, 3, 3, C] from that of y
void small_weights_back(const float *x, const float *grad_y, float *grad_weight, int64_t n, int64_t h, int64_t w, int64_t stride, int64_t c,
                        int64_t o, float pad) {
  const Maps maps{h, w, stride};
  const int64_t most = n * maps.outputs() + 1;
  std::vector<float> inputs(most * c), grads(most * o);  // those of a tap's pairs
  for (int tap : TAPS) {
    int64_t depth = 1;  // the first line is the border, which is the same for every output
    std::fill_n(&inputs[0], c, pad);
    std::fill_n(&grads[0], o, 0.0f);
    maps.pairs(tap, [&](int64_t output, int64_t input) {
      for (int64_t i = 0; i < n; i++) {
        const float *grad = grad_y + (i * maps.outputs() + output) * o;
        if (input < 0) {
          for (int64_t j = 0; j < o; j += LANES) accumulate(&grads[j], loaded(grad + j));
          continue;
        }
        std::copy_n(x + (i * maps.inputs() + input) * c, c, &inputs[depth * c]);
        std::copy_n(grad, o, &grads[depth * o]);
        depth++;
      }
    });
    panels(c, [&](int64_t first, int64_t columns) {
      multiply({&grads[0], 1, o}, {&inputs[first], c}, {grad_weight + tap * c + first, 9 * c}, o, columns, depth, false);
    });
  }
}
}

// The transforms of Winograd's F(4x4, 3x3), as Lavin and Gray (CVPR 2016, section 4.1.2) give them, on float32 with channels last.
// A tile is 6x6 input pixels, 4x4 output pixels; tiles are counted over images, rows and columns. A block of tiles is transformed, multiplied
// and transformed back while it is in the caches. conv3x3.py calls these.
#include <algorithm>
#include <memory>

#include "multiply.hpp"
#include "vector.hpp"

namespace {

// B^T d of six numbers: a tile's rows or columns
inline void input6(const Vector *d, int step, Vector *out, int out_step) {
  const Vector d0 = d[0], d1 = d[step], d2 = d[2 * step];
  const Vector d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
  const Vector a = d4 - 4.0f * d2, b = d3 - 4.0f * d1, c = d4 - d2, e = 2.0f * (d3 - d1);
  out[0] = 4.0f * d0 - 5.0f * d2 + d4;
  out[out_step] = a + b;
  out[2 * out_step] = a - b;
  out[3 * out_step] = c + e;
  out[4 * out_step] = c - e;
  out[5 * out_step] = 4.0f * d1 - 5.0f * d3 + d5;
}

// B v of six numbers: its transpose
inline void input6_back(const Vector *v, int step, Vector *out, int out_step) {
  const Vector v0 = v[0], v1 = v[step], v2 = v[2 * step];
  const Vector v3 = v[3 * step], v4 = v[4 * step], v5 = v[5 * step];
  const Vector a = v1 + v2, b = v1 - v2, c = v3 + v4, e = v3 - v4;
  out[0] = 4.0f * v0;
  out[out_step] = 4.0f * (v5 - b) - 2.0f * e;
  out[2 * out_step] = -5.0f * v0 - 4.0f * a - c;
  out[3 * out_step] = b + 2.0f * e - 5.0f * v5;
  out[4 * out_step] = v0 + a + c;
  out[5 * out_step] = v5;
}

// A^T m of six numbers
inline void output4(const Vector *m, int step, Vector *out, int out_step) {
  const Vector m0 = m[0], m1 = m[step], m2 = m[2 * step];
  const Vector m3 = m[3 * step], m4 = m[4 * step], m5 = m[5 * step];
  const Vector a = m1 + m2, b = m1 - m2, c = m3 + m4, e = m3 - m4;
  out[0] = m0 + a + c;
  out[out_step] = b + 2.0f * e;
  out[2 * out_step] = a + 4.0f * c;
  out[3 * out_step] = b + 8.0f * e + m5;
}

// A y of four numbers: its transpose
inline void output4_back(const Vector *y, int step, Vector *out, int out_step) {
  const Vector y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
  const Vector a = y0 + y2, b = y1 + y3, c = y0 + 4.0f * y2, e = 2.0f * y1 + 8.0f * y3;
  out[0] = y0;
  out[out_step] = a + b;
  out[2 * out_step] = a - b;
  out[3 * out_step] = c + e;
  out[4 * out_step] = c - e;
  out[5 * out_step] = y3;
}

// G g of three numbers, divided into whole parts: rows 1/4, -1/6 (a+b), -1/6 (a-b), 1/24 (d+e), 1/24 (d-e), 1
inline void weight6(const Vector *g, int step, Vector *out, int out_step) {
  const Vector g0 = g[0], g1 = g[step], g2 = g[2 * step];
  const Vector a = (g0 + g2) * (-1.0f / 6), b = g1 * (-1.0f / 6), c = (g0 + 4.0f * g2) * (1.0f / 24), e = g1 * (1.0f / 12);
  out[0] = 0.25f * g0;
  out[out_step] = a + b;
  out[2 * out_step] = a - b;
  out[3 * out_step] = c + e;
  out[4 * out_step] = c - e;
  out[5 * out_step] = g2;
}

// G^T u of six numbers: its transpose
inline void weight6_back(const Vector *u, int step, Vector *out, int out_step) {
  const Vector u1 = u[step], u2 = u[2 * step], u3 = u[3 * step], u4 = u[4 * step];
  const Vector a = u1 + u2, c = u3 + u4;
  out[0] = 0.25f * u[0] - a * (1.0f / 6) + c * (1.0f / 24);
  out[out_step] = (u2 - u1) * (1.0f / 6) + (u3 - u4) * (1.0f / 12);
  out[2 * out_step] = (c - a) * (1.0f / 6) + u[5 * step];
}

// Maps of n images, and where their tiles are
struct Maps {
  int64_t n, h, w, th, tw;
  Maps(int64_t n, int64_t h, int64_t w) : n(n), h(h), w(w), th((h + 3) / 4), tw((w + 3) / 4) {}
  int64_t tiles() const { return n * th * tw; }

  // calls body(pixel's place in the map, index) for the size x size pixels of a tile from (top, left) on; -1 is outside
  template <int SIZE, class Body>
  void pixels(int64_t tile, int64_t border, Body body) const {
    const int64_t image = tile / (th * tw), top = tile / tw % th * 4 - border, left = tile % tw * 4 - border;
    for (int a = 0; a < SIZE; a++)
      for (int b = 0; b < SIZE; b++) {
        const int64_t row = top + a, column = left + b;
        const bool inside = row >= 0 && row < h && column >= 0 && column < w;
        body(inside ? (image * h + row) * w + column : -1, SIZE * a + b);
      }
  }
};

// V of a tile of x [N, H, W, C], a border of one pixel of value `pad` around it; its 36 elements are `plane` apart
void input_tile(const Maps &maps, int64_t tile, const float *x, float *v, int64_t c, int64_t plane, float pad) {
  int64_t from[36];
  maps.pixels<6>(tile, 1, [&](int64_t pixel, int e) { from[e] = pixel; });
  for (int64_t k = 0; k < c; k += LANES) {
    Vector d[36], t[36];
    for (int e = 0; e < 36; e++) d[e] = from[e] >= 0 ? loaded(x + from[e] * c + k) : all(pad);
    for (int b = 0; b < 6; b++) input6(d + b, 6, t + b, 6);
    for (int a = 0; a < 6; a++) input6(t + 6 * a, 1, d + 6 * a, 1);
    for (int e = 0; e < 36; e++) store(v + e * plane + k, d[e]);
  }
}

// the transpose, without the border, added to x
void input_tile_back(const Maps &maps, int64_t tile, const float *v, float *x, int64_t c, int64_t plane) {
  int64_t to[36];
  maps.pixels<6>(tile, 1, [&](int64_t pixel, int e) { to[e] = pixel; });
  for (int64_t k = 0; k < c; k += LANES) {
    Vector d[36], t[36];
    for (int e = 0; e < 36; e++) load(d[e], v + e * plane + k);
    for (int b = 0; b < 6; b++) input6_back(d + b, 6, t + b, 6);
    for (int a = 0; a < 6; a++) input6_back(t + 6 * a, 1, d + 6 * a, 1);
    for (int e = 0; e < 36; e++)
      if (to[e] >= 0) accumulate(x + to[e] * c + k, d[e]);
  }
}

// a tile of y [N, H, W, O], whole numbers, of its M
void output_tile(const Maps &maps, int64_t tile, const float *m, float *y, int64_t o, int64_t plane) {
  int64_t to[16];
  maps.pixels<4>(tile, 0, [&](int64_t pixel, int e) { to[e] = pixel; });
  for (int64_t k = 0; k < o; k += LANES) {
    Vector d[36], t[24], out[16];
    for (int e = 0; e < 36; e++) load(d[e], m + e * plane + k);
    for (int b = 0; b < 6; b++) output4(d + b, 6, t + b, 6);
    for (int a = 0; a < 4; a++) output4(t + 6 * a, 1, out + 4 * a, 1);
    for (int e = 0; e < 16; e++)
      if (to[e] >= 0) store(y + to[e] * o + k, rounded(out[e]));
  }
}

// the transpose
void output_tile_back(const Maps &maps, int64_t tile, const float *y, float *m, int64_t o, int64_t plane) {
  int64_t from[16];
  maps.pixels<4>(tile, 0, [&](int64_t pixel, int e) { from[e] = pixel; });
  for (int64_t k = 0; k < o; k += LANES) {
    Vector out[16], t[24], d[36];
    for (int e = 0; e < 16; e++) out[e] = from[e] >= 0 ? loaded(y + from[e] * o + k) : Vector{};
    for (int b = 0; b < 4; b++) output4_back(out + b, 4, t + b, 4);
    for (int a = 0; a < 6; a++) output4_back(t + 4 * a, 1, d + 6 * a, 1);
    for (int e = 0; e < 36; e++) store(m + e * plane + k, d[e]);
  }
}

// floats from one of the 36 planes of U to the next, which at powers of two would share their places in a cache
constexpr int64_t weight_plane(int64_t o, int64_t c) { return o * c + LANES; }

// V and M of a block of tiles: planes [tiles, channels], 36 of each. As many tiles as channels: U, which does not stay in a cache, is then read
// no more often than they are.
struct Block {
  int64_t tiles, v_plane, m_plane;
  std::unique_ptr<float[]> v, m;
  Block(const Maps &maps, int64_t c, int64_t o)
      : tiles(std::min(maps.tiles(), std::max<int64_t>((c + o) / 2, 48))),
        v_plane(tiles * c + LANES),
        m_plane(tiles * o + LANES),
        v(new float[36 * v_plane]),
        m(new float[36 * m_plane]) {}
};

}  // namespace

extern "C" {

// y [N, H, W, O] of x [N, H, W, C] and U [36, C, O]; the planes of U are `weight_plane` apart
void conv_forward(const float *x, const float *u, float *y, int64_t n, int64_t h, int64_t w, int64_t c, int64_t o, float pad) {
  const Maps maps(n, h, w);
  const Block block(maps, c, o);
  float *v = block.v.get(), *m = block.m.get();
#pragma omp parallel
  for (int64_t first = 0; first < maps.tiles(); first += block.tiles) {
    const int64_t count = std::min(block.tiles, maps.tiles() - first);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < count; i++) input_tile(maps, first + i, x, v + i * c, c, block.v_plane, pad);
#pragma omp for schedule(static)
    for (int64_t e = 0; e < 36; e++)
      multiply({v + e * block.v_plane, c, 1}, {u + e * weight_plane(c, o), o}, {m + e * block.m_plane, o}, count, o, c, false);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < count; i++) output_tile(maps, first + i, m + i * o, y, o, block.m_plane);
  }
}

// The gradients of x and of U, here [36, O, C] both, from those of y; threads share images, as neighbouring tiles overlap.
void conv_backward(const float *x, const float *u, const float *grad_y, float *grad_x, float *grad_u, int64_t n, int64_t h, int64_t w,
                   int64_t c, int64_t o, float pad) {
  const Maps maps(n, h, w);
  const Block block(maps, c, o);
  float *v = block.v.get(), *m = block.m.get();
  const int64_t of_image = maps.th * maps.tw;
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t image = 0; image < n; image++) std::fill(grad_x + image * h * w * c, grad_x + (image + 1) * h * w * c, 0.0f);
    for (int64_t first = 0; first < maps.tiles(); first += block.tiles) {
      const int64_t count = std::min(block.tiles, maps.tiles() - first);
#pragma omp for schedule(static)
      for (int64_t i = 0; i < count; i++) {
        input_tile(maps, first + i, x, v + i * c, c, block.v_plane, pad);
        output_tile_back(maps, first + i, grad_y, m + i * o, o, block.m_plane);
      }
#pragma omp for schedule(static)
      for (int64_t e = 0; e < 36; e++) {
        float *tiles = v + e * block.v_plane, *products = m + e * block.m_plane;
        multiply({products, 1, o}, {tiles, c}, {grad_u + e * weight_plane(o, c), c}, o, c, count, first > 0);
        multiply({products, o, 1}, {u + e * weight_plane(o, c), c}, {tiles, c}, count, c, o, false);
      }
#pragma omp for schedule(static)
      for (int64_t image = first / of_image; image <= (first + count - 1) / of_image; image++)
        for (int64_t tile = std::max(first, image * of_image); tile < std::min(first + count, (image + 1) * of_image); tile++)
          input_tile_back(maps, tile, v + (tile - first) * c, grad_x, c, block.v_plane);
    }
  }
}

// U [36, O, C] of weights w [O, 3, 3, C]
void weight_tiles(const float *w, float *u, int64_t o, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < o; row++)
    for (int64_t k = 0; k < c; k += LANES) {
      Vector g[9], t[18], d[36];
      for (int e = 0; e < 9; e++) load(g[e], w + (9 * row + e) * c + k);
      for (int b = 0; b < 3; b++) weight6(g + b, 3, t + b, 3);
      for (int a = 0; a < 6; a++) weight6(t + 3 * a, 1, d + 6 * a, 1);
      for (int e = 0; e < 36; e++) store(u + e * weight_plane(o, c) + row * c + k, d[e]);
    }
}

// the transpose
void weight_tiles_back(const float *u, float *w, int64_t o, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < o; row++)
    for (int64_t k = 0; k < c; k += LANES) {
      Vector d[36], t[18], g[9];
      for (int e = 0; e < 36; e++) load(d[e], u + e * weight_plane(o, c) + row * c + k);
      for (int b = 0; b < 6; b++) weight6_back(d + b, 6, t + b, 6);
      for (int a = 0; a < 3; a++) weight6_back(t + 6 * a, 1, g + 3 * a, 1);
      for (int e = 0; e < 9; e++) store(w + (9 * row + e) * c + k, g[e]);
    }
}

// w [O, 3, 3, C] as [C, 3, 3, O]
void swapped(const float *w, float *to, int64_t o, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < o; row += LANES)
    for (int64_t e = 0; e < 9; e++)
      for (int64_t k = 0; k < c; k += LANES) {
        Vector square[LANES];
        for (int64_t i = 0; i < LANES; i++) load(square[i], w + (9 * (row + i) + e) * c + k);
        transpose(square);
        for (int64_t j = 0; j < LANES; j++) store(to + (9 * (k + j) + e) * o + row, square[j]);
      }
}
}

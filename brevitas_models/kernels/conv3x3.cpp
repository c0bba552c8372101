// The transforms of Winograd's F(4x4, 3x3), as Lavin and Gray (CVPR 2016, section 4.1.2) give them, on float32 with channels last.
// A tile is 6x6 input pixels, 4x4 output pixels; tiles are counted over images, rows and columns; conv3x3.py calls these.
#include <algorithm>

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

}  // namespace

extern "C" {

// V [36, N * th * tw, C] of x [N, H, W, C], a border of one pixel of value `pad` around it
void input_tiles(const float *x, float *v, int64_t n, int64_t h, int64_t w, int64_t c, float pad) {
  const int64_t th = (h + 3) / 4, tw = (w + 3) / 4, plane = n * th * tw * c;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t image = 0; image < n; image++)
    for (int64_t ty = 0; ty < th; ty++)
      for (int64_t tx = 0; tx < tw; tx++)
        for (int64_t k = 0; k < c; k += LANES) {
          Vector d[36], t[36];
          for (int a = 0; a < 6; a++)
            for (int b = 0; b < 6; b++) {
              const int64_t row = 4 * ty + a - 1, column = 4 * tx + b - 1;
              if (row >= 0 && row < h && column >= 0 && column < w)
                load(d[6 * a + b], x + ((image * h + row) * w + column) * c + k);
              else
                d[6 * a + b] = Vector{} + pad;
            }
          for (int b = 0; b < 6; b++) input6(d + b, 6, t + b, 6);
          for (int a = 0; a < 6; a++) input6(t + 6 * a, 1, d + 6 * a, 1);
          float *to = v + ((image * th + ty) * tw + tx) * c + k;
          for (int e = 0; e < 36; e++) store(to + e * plane, d[e]);
        }
}

// the transpose, without the border
void input_tiles_back(const float *v, float *x, int64_t n, int64_t h, int64_t w, int64_t c) {
  const int64_t th = (h + 3) / 4, tw = (w + 3) / 4, plane = n * th * tw * c;
#pragma omp parallel for schedule(static)
  for (int64_t image = 0; image < n; image++) {
    std::fill(x + image * h * w * c, x + (image + 1) * h * w * c, 0.0f);
    for (int64_t ty = 0; ty < th; ty++)
      for (int64_t tx = 0; tx < tw; tx++)
        for (int64_t k = 0; k < c; k += LANES) {
          Vector d[36], t[36];
          const float *from = v + ((image * th + ty) * tw + tx) * c + k;
          for (int e = 0; e < 36; e++) load(d[e], from + e * plane);
          for (int b = 0; b < 6; b++) input6_back(d + b, 6, t + b, 6);
          for (int a = 0; a < 6; a++) input6_back(t + 6 * a, 1, d + 6 * a, 1);
          for (int a = 0; a < 6; a++)
            for (int b = 0; b < 6; b++) {
              const int64_t row = 4 * ty + a - 1, column = 4 * tx + b - 1;
              if (row < 0 || row >= h || column < 0 || column >= w) continue;
              float *to = x + ((image * h + row) * w + column) * c + k;
              *(Unaligned *)to += d[6 * a + b];
            }
        }
  }
}

// y [N, H, W, C], whole numbers, of M [36, N * th * tw, C]
void output_tiles(const float *m, float *y, int64_t n, int64_t h, int64_t w, int64_t c) {
  const int64_t th = (h + 3) / 4, tw = (w + 3) / 4, plane = n * th * tw * c;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t image = 0; image < n; image++)
    for (int64_t ty = 0; ty < th; ty++)
      for (int64_t tx = 0; tx < tw; tx++)
        for (int64_t k = 0; k < c; k += LANES) {
          Vector d[36], t[24], o[16];
          const float *from = m + ((image * th + ty) * tw + tx) * c + k;
          for (int e = 0; e < 36; e++) load(d[e], from + e * plane);
          for (int b = 0; b < 6; b++) output4(d + b, 6, t + b, 6);
          for (int a = 0; a < 4; a++) output4(t + 6 * a, 1, o + 4 * a, 1);
          for (int e = 0; e < 16; e++) o[e] = rounded(o[e]);
          for (int a = 0; a < 4; a++)
            for (int b = 0; b < 4; b++) {
              const int64_t row = 4 * ty + a, column = 4 * tx + b;
              if (row < h && column < w) store(y + ((image * h + row) * w + column) * c + k, o[4 * a + b]);
            }
        }
}

// the transpose
void output_tiles_back(const float *y, float *m, int64_t n, int64_t h, int64_t w, int64_t c) {
  const int64_t th = (h + 3) / 4, tw = (w + 3) / 4, plane = n * th * tw * c;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t image = 0; image < n; image++)
    for (int64_t ty = 0; ty < th; ty++)
      for (int64_t tx = 0; tx < tw; tx++)
        for (int64_t k = 0; k < c; k += LANES) {
          Vector o[16], t[24], d[36];
          for (int a = 0; a < 4; a++)
            for (int b = 0; b < 4; b++) {
              const int64_t row = 4 * ty + a, column = 4 * tx + b;
              if (row < h && column < w)
                load(o[4 * a + b], y + ((image * h + row) * w + column) * c + k);
              else
                o[4 * a + b] = Vector{};
            }
          for (int b = 0; b < 4; b++) output4_back(o + b, 4, t + b, 4);
          for (int a = 0; a < 6; a++) output4_back(t + 4 * a, 1, d + 6 * a, 1);
          float *to = m + ((image * th + ty) * tw + tx) * c + k;
          for (int e = 0; e < 36; e++) store(to + e * plane, d[e]);
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
      for (int e = 0; e < 36; e++) store(u + (e * o + row) * c + k, d[e]);
    }
}

// the transpose
void weight_tiles_back(const float *u, float *w, int64_t o, int64_t c) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < o; row++)
    for (int64_t k = 0; k < c; k += LANES) {
      Vector d[36], t[18], g[9];
      for (int e = 0; e < 36; e++) load(d[e], u + (e * o + row) * c + k);
      for (int b = 0; b < 6; b++) weight6_back(d + b, 6, t + b, 6);
      for (int a = 0; a < 3; a++) weight6_back(t + 6 * a, 1, g + 3 * a, 1);
      for (int e = 0; e < 9; e++) store(w + (9 * row + e) * c + k, g[e]);
    }
}
}

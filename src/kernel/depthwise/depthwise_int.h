/* The frame of family depthwise, written in the words of simd/: a leaf includes its instruction set's words first.
 * Lanes run over a row's pixels. Columns outside the plane are masked, rows outside are skipped, so nothing is copied.
 * Several output rows are summed together: each loaded input row serves all of them. */
#ifndef SUMI_KERNEL_DEPTHWISE_INT_H
#define SUMI_KERNEL_DEPTHWISE_INT_H

#include "kernel/depthwise/depthwise.h"

/* Windows of 7 sum MOST_ROWS at once, as many as multiply-adds are under way, or WINDOW where that leaves no rest. */
enum { WINDOW = 7, ROWS = 4, MOST_ROWS = 8, PAIRS = (WINDOW + 1) / 2 };
enum { LOOSE = 32 }; /* the widest window of any height and dilation that has several rows summed at once */

static inline int64_t dw_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* One block of columns: pixels [ox, ox + n) of every output row. */
struct dw_block {
  int64_t column; /* input column of lane 0, tap 0 */
  int64_t ox, n;
  mask tap
      [2 *
       PAIRS]; /* stride 1: columns inside, by tap; stride 2: by first and second vector of each pair of taps */
};

/* The kw shifted vectors of an input row. kw and stride are constants where this is inlined. */
INLINE void dw_load(const int kw, const int stride, const struct dw_block *b, const float *row, vec *x) {
  const float *at = row + b->column;
  if (stride == 1) {
    UNROLL for (int k = 0; k < kw; k++) x[k] = v_load(b->tap[k], at + k);
  } else {
    UNROLL for (int k = 0; k < kw; k += 2) {
      const vec a = v_load(b->tap[k], at + k), c = v_load(b->tap[k + 1], at + k + LANES);
      x[k] = v_even(a, c);
      if (k + 1 < kw) x[k + 1] = v_odd(a, c);
    }
  }
}

/* Output rows [oy, oy + rows) of a block of columns: kw, stride, rows are constants where this is inlined. */
INLINE void dw_rows(const int kw, const int stride, const int rows, const struct sumi_depthwise *d,
                    const struct dw_block *b, const float *x, const float *weight, float bias, int64_t oy,
                    float *y) {
  vec sum[MOST_ROWS], in[WINDOW + 1];
  UNROLL for (int r = 0; r < rows; r++) sum[r] = v_set(bias);
  UNROLL for (int t = 0; t < (rows - 1) * stride + kw; t++) {
    const int64_t i = oy * stride + t - d->top;
    if (i < 0 || i >= d->h) continue;
    dw_load(kw, stride, b, x + i * d->w, in);
    UNROLL for (int r = 0; r < rows; r++) {
      const int ky = t - r * stride;
      if (ky < 0 || ky >= kw) continue;
      UNROLL for (int k = 0; k < kw; k++) sum[r] = v_fma(in[k], v_set(weight[ky * kw + k]), sum[r]);
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    const vec v = v_min(v_set(d->hi), v_max(v_set(d->lo), sum[r]));
    v_store(b->n, y + (oy + r) * d->w_out + b->ox, v);
  }
}

INLINE void dw_square(const int kw, const int stride, const struct sumi_depthwise *d, const float *x,
                      const float *weight, float bias, float *y) {
  struct dw_block b;
  for (b.ox = 0; b.ox < d->w_out; b.ox += LANES) {
    b.n = dw_min(LANES, d->w_out - b.ox);
    b.column = b.ox * stride - d->left;
    for (int k = 0; k < kw + 1; k++) {
      const int64_t first = stride == 1 ? b.column + k : b.column + (k & ~1) + (k & 1) * LANES;
      /* lanes that no output needs are masked as well: they may lie beyond the plane's end */
      const int64_t needed = stride == 1 ? b.n : 2 * b.n - (k & 1) * LANES;
      b.tap[k] = v_mask(-first, dw_min(d->w - first, needed));
    }
    int64_t oy = 0;
    if (kw == WINDOW) {
      for (; (d->h_out - oy) % WINDOW && oy + MOST_ROWS <= d->h_out; oy += MOST_ROWS)
        dw_rows(kw, stride, MOST_ROWS, d, &b, x, weight, bias, oy, y);
      for (; oy + WINDOW <= d->h_out; oy += WINDOW)
        dw_rows(kw, stride, WINDOW, d, &b, x, weight, bias, oy, y);
    }
    for (; oy + ROWS <= d->h_out; oy += ROWS) dw_rows(kw, stride, ROWS, d, &b, x, weight, bias, oy, y);
    for (; oy < d->h_out; oy++) dw_rows(kw, stride, 1, d, &b, x, weight, bias, oy, y);
  }
}

/* Output rows [oy, oy + rows) of pixels [ox, ox + n), windows of any height and dilation, stride 1 along rows: inside[kw]
 * are the columns of each tap. rows is a constant where this is inlined. */
INLINE void dw_loose_rows(const int rows, const struct sumi_depthwise *d, const mask *inside, const float *x,
                          const float *weight, float bias, int64_t oy, int64_t ox, int64_t n, float *y) {
  vec sum[ROWS];
  UNROLL for (int r = 0; r < rows; r++) sum[r] = v_set(bias);
  for (int64_t ky = 0; ky < d->kh; ky++) {
    const int64_t first = oy * d->stride_y + ky * d->dilation_y - d->top;
    const float *row = x + first * d->w + ox - d->left;
    for (int64_t kx = 0; kx < d->kw; kx++) {
      const vec w = v_set(weight[ky * d->kw + kx]);
      UNROLL for (int r = 0; r < rows; r++) {
        const int64_t i = first + r * d->stride_y;
        if (i < 0 || i >= d->h) continue;
        sum[r] = v_fma(v_load(inside[kx], row + r * d->stride_y * d->w + kx * d->dilation_x), w, sum[r]);
      }
    }
  }
  UNROLL for (int r = 0; r < rows; r++) {
    const vec v = v_min(v_set(d->hi), v_max(v_set(d->lo), sum[r]));
    v_store(n, y + (oy + r) * d->w_out + ox, v);
  }
}

static void dw_loose(const struct sumi_depthwise *d, const float *x, const float *weight, float bias,
                     float *y) {
  for (int64_t ox = 0; ox < d->w_out; ox += LANES) {
    const int64_t n = dw_min(LANES, d->w_out - ox);
    mask inside[LOOSE];
    for (int64_t kx = 0; kx < d->kw; kx++) {
      const int64_t j = ox + kx * d->dilation_x - d->left;
      inside[kx] = v_mask(-j, dw_min(d->w - j, n));
    }
    int64_t oy = 0;
    for (; oy + ROWS <= d->h_out; oy += ROWS) dw_loose_rows(ROWS, d, inside, x, weight, bias, oy, ox, n, y);
    for (; oy + 2 <= d->h_out; oy += 2) dw_loose_rows(2, d, inside, x, weight, bias, oy, ox, n, y);
    for (; oy < d->h_out; oy++) dw_loose_rows(1, d, inside, x, weight, bias, oy, ox, n, y);
  }
}

/* Any window, one vector at a time; strides other than 1 gather their words one by one. */
static void dw_any(const struct sumi_depthwise *d, const float *x, const float *weight, float bias,
                   float *y) {
  for (int64_t oy = 0; oy < d->h_out; oy++)
    for (int64_t ox = 0; ox < d->w_out; ox += LANES) {
      const int64_t n = dw_min(LANES, d->w_out - ox);
      vec sum = v_set(bias);
      for (int64_t ky = 0; ky < d->kh; ky++) {
        const int64_t i = oy * d->stride_y + ky * d->dilation_y - d->top;
        if (i < 0 || i >= d->h) continue;
        for (int64_t kx = 0; kx < d->kw; kx++) {
          const int64_t j = ox * d->stride_x + kx * d->dilation_x - d->left;
          const vec w = v_set(weight[ky * d->kw + kx]);
          if (d->stride_x == 1) {
            sum = v_fma(v_load(v_mask(-j, dw_min(d->w - j, n)), x + i * d->w + j), w, sum);
          } else {
            float word[LANES] = {0};
            for (int64_t l = 0; l < n; l++) {
              const int64_t at = j + l * d->stride_x;
              word[l] = at >= 0 && at < d->w ? x[i * d->w + at] : 0;
            }
            sum = v_fma(v_load(v_mask(0, LANES), word), w, sum);
          }
        }
      }
      v_store(n, y + oy * d->w_out + ox, v_min(v_set(d->hi), v_max(v_set(d->lo), sum)));
    }
}

static void dw_run(const struct sumi_depthwise *d, const float *x, const float *weight, float bias,
                   float *y) {
  const int plain = d->kh == d->kw && d->stride_y == d->stride_x && d->dilation_y == 1 && d->dilation_x == 1;
  if (plain && d->kw == 3 && d->stride_x == 1)
    dw_square(3, 1, d, x, weight, bias, y);
  else if (plain && d->kw == 3 && d->stride_x == 2)
    dw_square(3, 2, d, x, weight, bias, y);
  else if (plain && d->kw == 5 && d->stride_x == 1)
    dw_square(5, 1, d, x, weight, bias, y);
  else if (plain && d->kw == 5 && d->stride_x == 2)
    dw_square(5, 2, d, x, weight, bias, y);
  else if (plain && d->kw == 7 && d->stride_x == 1)
    dw_square(7, 1, d, x, weight, bias, y);
  else if (plain && d->kw == 7 && d->stride_x == 2)
    dw_square(7, 2, d, x, weight, bias, y);
  else if (d->stride_x == 1 && d->kw <= LOOSE)
    dw_loose(d, x, weight, bias, y);
  else
    dw_any(d, x, weight, bias, y);
}

#define DEPTHWISE(level, suffix, ...)                                                               \
  void sumi_depthwise_##suffix(const struct sumi_depthwise *d, const float *x, const float *weight, \
                               float bias, float *y);
#include "kernel/depthwise/depthwise.def"
#undef DEPTHWISE

#endif

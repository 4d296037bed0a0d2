/* The frame of family pool, written in the words of simd/. For one output row and a stretch of it: first every input
 * column of the stretch is combined over the window's rows into a line on the stack, with the neutral value where
 * there is no input; then the line is combined over the window's columns. */
#ifndef SUMI_KERNEL_POOL_INT_H
#define SUMI_KERNEL_POOL_INT_H

#include <math.h>

#include "kernel/pool/pool.h"

enum { STRETCH = 2048, LINE = STRETCH + SUMI_POOL_MOST_SPAN + 4 * LANES };

static inline int64_t pool_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t pool_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* is_max is a constant where these are inlined. */
INLINE vec pool_join(const bool is_max, vec a, vec b) { return is_max ? v_max_nan(a, b) : v_add(a, b); }

/* line[q] for input columns first + q, q < n. */
INLINE void pool_columns(const bool is_max, const struct sumi_pool_window *p, const float *x, int64_t oy,
                         int64_t first, int64_t n, float *line) {
  const float neutral = is_max ? -INFINITY : 0;
  const int64_t i0 = oy * p->stride_y - p->top, from = pool_min(pool_max(-first, 0), n);
  const int64_t to = pool_max(pool_min(p->w - first, n), from);
  for (int64_t q = 0; q < from; q++) line[q] = neutral;
  for (int64_t q = from; q < to; q += LANES) {
    const mask m = v_mask(0, to - q);
    vec v = v_set(neutral);
    for (int64_t ky = 0, i = i0; ky < p->kh; ky++, i += p->dilation_y)
      if (i >= 0 && i < p->h) v = pool_join(is_max, v, v_load(m, x + i * p->w + first + q));
    v_store(pool_min(LANES, to - q), line + q, v);
  }
  for (int64_t q = to; q < n; q++) line[q] = neutral;
}

/* n outputs from a line whose q-th word belongs to column q of the first output's window. */
INLINE void pool_rows(const bool is_max, const struct sumi_pool_window *p, const float *line, int64_t n,
                      float *y) {
  const mask all = v_mask(0, LANES);
  for (int64_t ox = 0; ox < n; ox += LANES) {
    vec v = v_set(is_max ? -INFINITY : 0);
    for (int64_t kx = 0; kx < p->kw; kx++) {
      const float *at = line + ox * p->stride_x + kx * p->dilation_x;
      vec t;
      if (p->stride_x == 1) {
        t = v_load(all, at);
      } else if (p->stride_x == 2) {
        t = v_even(v_load(all, at), v_load(all, at + LANES));
      } else {
        float word[LANES];
        for (int64_t l = 0; l < LANES; l++) word[l] = at[pool_min(l, n - ox - 1) * p->stride_x];
        t = v_load(all, word);
      }
      v = pool_join(is_max, v, t);
    }
    v_store(pool_min(LANES, n - ox), y + ox, v);
  }
}

/* How many of the taps start + k * dilation lie in [low, high). */
static int64_t pool_count(int64_t start, int64_t k, int64_t dilation, int64_t low, int64_t high) {
  const int64_t from = start < low ? (low - start + dilation - 1) / dilation : 0;
  const int64_t to = start >= high ? 0 : pool_min((high - start + dilation - 1) / dilation, k);
  return pool_max(to - from, 0);
}

/* How wide the windows of n outputs from ox on are, in taps that count. */
static void pool_widths(const struct sumi_pool_window *p, int64_t ox, int64_t n, float *wide) {
  const int64_t pad = p->include_pad, low = -pad * p->left, high = p->w + pad * p->right;
  const int64_t reach = (p->kw - 1) * p->dilation_x;
  for (int64_t k = 0, start = ox * p->stride_x - p->left; k < n; k++, start += p->stride_x) {
    const bool inside = start >= low && start + reach < high;
    wide[k] = (float)(inside ? p->kw : pool_count(start, p->kw, p->dilation_x, low, high));
  }
}

/* Divides the sums of n outputs of row oy by the sizes of their windows. Where no tap counts, the sum is 0 and stays so. */
INLINE void pool_divide(const struct sumi_pool_window *p, int64_t oy, const float *wide, int64_t n,
                        float *y) {
  const int64_t pad = p->include_pad;
  const int64_t high =
      pool_count(oy * p->stride_y - p->top, p->kh, p->dilation_y, -pad * p->top, p->h + pad * p->bottom);
  const vec rows = v_set((float)high), one = v_set(1);
  for (int64_t k = 0; k < n; k += LANES) {
    const mask m = v_mask(0, n - k);
    v_store(pool_min(LANES, n - k), y + k,
            v_div(v_load(m, y + k), v_max(v_mul(rows, v_load(m, wide + k)), one)));
  }
}

INLINE void pool_run(const bool is_max, const struct sumi_pool_window *p, const float *x, float *y) {
  float line[LINE], wide[STRETCH];
  const int64_t reach = (p->kw - 1) * p->dilation_x, most = pool_max(STRETCH / p->stride_x, 1);
  for (int64_t ox = 0; ox < p->w_out; ox += most) {
    const int64_t n = pool_min(most, p->w_out - ox), span = (n - 1) * p->stride_x + reach + 1;
    if (!is_max) pool_widths(p, ox, n, wide);
    for (int64_t oy = 0; oy < p->h_out; oy++) {
      float *to = y + oy * p->w_out + ox;
      pool_columns(is_max, p, x, oy, ox * p->stride_x - p->left, span, line);
      for (int64_t q = span; q < span + 2 * LANES; q++) line[q] = 0; /* read by lanes that are not stored */
      pool_rows(is_max, p, line, n, to);
      if (!is_max) pool_divide(p, oy, wide, n, to);
    }
  }
}

/* Four vectors at a time, so that one addition need not wait for the last. */
INLINE float pool_plane(const bool is_max, const float *x, int64_t n) {
  const vec neutral = v_set(is_max ? -INFINITY : 0);
  vec v[4] = {neutral, neutral, neutral, neutral};
  int64_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES)
    UNROLL for (int k = 0; k < 4; k++) v[k] =
        pool_join(is_max, v[k], v_load(v_mask(0, LANES), x + i + k * LANES));
  for (; i < n; i += LANES) v[0] = pool_join(is_max, v[0], v_load_or(v_mask(0, n - i), x + i, neutral));
  const vec all = pool_join(is_max, pool_join(is_max, v[0], v[1]), pool_join(is_max, v[2], v[3]));
  if (!is_max) return v_sum(all);
  float word[LANES], best = -INFINITY;
  v_store(LANES, word, all);
  for (int l = 0; l < LANES; l++) best = word[l] > best || word[l] != word[l] ? word[l] : best;
  return best;
}

#define POOL(level, suffix, ...)                                                               \
  void sumi_pool_max_##suffix(const struct sumi_pool_window *p, const float *x, float *y);     \
  void sumi_pool_average_##suffix(const struct sumi_pool_window *p, const float *x, float *y); \
  void sumi_pool_plane_sum_##suffix(const float *x, int64_t n, float *y);                      \
  void sumi_pool_plane_max_##suffix(const float *x, int64_t n, float *y);
#include "kernel/pool/pool.def"
#undef POOL

#endif

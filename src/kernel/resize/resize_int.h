/* The frame of family resize, in the words of simd/. */
#ifndef SUMI_KERNEL_RESIZE_INT_H
#define SUMI_KERNEL_RESIZE_INT_H

#include "kernel/resize/resize.h"

static inline int64_t resize_min(int64_t a, int64_t b) { return a < b ? a : b; }

static void resize_across(const struct sumi_resize_table *t, const float *x, float *y) {
  for (int64_t i = 0; i < t->m; i += LANES) {
    const int64_t n = resize_min(LANES, t->m - i);
    const mask some = v_mask(0, n);
    vec v = v_gather(some, x, t->at + i);
    if (t->w) v = v_mul(v, v_load(some, t->w + i));
    for (int64_t k = 1; k < t->taps; k++)
      v = v_fma(v_gather(some, x, t->at + k * t->m + i), v_load(some, t->w + k * t->m + i), v);
    v_store(n, y + i, v);
  }
}

/* wide vectors, the last one with `last` words. */
INLINE void resize_strip(const int wide, const float *x, int64_t x_row, const int32_t *at, const float *w,
                         int64_t taps, int64_t last, float *y) {
  const mask some = v_mask(0, last), whole = v_mask(0, LANES);
  vec v[4];
  UNROLL for (int u = 0; u < wide; u++) v[u] =
      v_mul(v_load(u + 1 < wide ? whole : some, x + at[0] * x_row + u * LANES), v_set(w[0]));
  for (int64_t k = 1; k < taps; k++) {
    const float *row = x + at[k] * x_row;
    const vec weight = v_set(w[k]);
    UNROLL for (int u = 0; u < wide; u++) v[u] =
        v_fma(v_load(u + 1 < wide ? whole : some, row + u * LANES), weight, v[u]);
  }
  UNROLL for (int u = 0; u < wide; u++) v_store(u + 1 < wide ? LANES : last, y + u * LANES, v[u]);
}

static void resize_down(const float *x, int64_t x_row, const int32_t *at, const float *w, int64_t taps,
                        int64_t n, float *y) {
  int64_t j = 0;
  for (; j + 4 * LANES <= n; j += 4 * LANES) resize_strip(4, x + j, x_row, at, w, taps, LANES, y + j);
  for (; j < n; j += LANES) resize_strip(1, x + j, x_row, at, w, taps, resize_min(LANES, n - j), y + j);
}

#define RESIZE(level, suffix, ...)                                                                 \
  void sumi_resize_across_##suffix(const struct sumi_resize_table *t, const float *x, float *y);   \
  void sumi_resize_down_##suffix(const float *x, int64_t x_row, const int32_t *at, const float *w, \
                                 int64_t taps, int64_t n, float *y);
#include "kernel/resize/resize.def"
#undef RESIZE

#endif

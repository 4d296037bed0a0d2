/* The frame of family reduce, in the words of simd/: one body for rows and one for columns, of which the functions of
 * reduce_fn.def are the constants. Define LEAF as the leaf's suffix and include the leaf's vocabulary first. */
#ifndef SUMI_KERNEL_REDUCE_INT_H
#define SUMI_KERNEL_REDUCE_INT_H

#include <math.h>

#include "kernel/reduce/reduce.h"

enum {
  RUN = 64,           /* rows whose words are summed before they join the sum of the others */
  RUN_WORDS = 64 * 64 /* words of a row, likewise */
};

static inline int64_t reduce_min(int64_t a, int64_t b) { return a < b ? a : b; }

INLINE float reduce_neutral(const enum sumi_reduce f) {
  return f == SUMI_REDUCE_max || f == SUMI_REDUCE_min ? -INFINITY : 0;
}

/* Two parts into one; the smallest word is the largest negative one. */
INLINE vec reduce_join(const enum sumi_reduce f, vec a, vec b) {
  return f == SUMI_REDUCE_max || f == SUMI_REDUCE_min ? v_max_nan(b, a) : v_add(a, b);
}

INLINE vec reduce_step(const enum sumi_reduce f, vec a, vec x) {
  const vec minus = v_set(-1);
  if (f == SUMI_REDUCE_squares) return v_fma(x, x, a);
  if (f == SUMI_REDUCE_magnitudes) return v_add(a, v_max(x, v_mul(x, minus)));
  return reduce_join(f, a, f == SUMI_REDUCE_min ? v_mul(x, minus) : x);
}

INLINE float reduce_lanes(const enum sumi_reduce f, vec v) {
  if (f != SUMI_REDUCE_max && f != SUMI_REDUCE_min) return v_sum(v);
  float word[LANES], best = -INFINITY;
  v_store(LANES, word, v);
  for (int l = 0; l < LANES; l++) best = word[l] > best || word[l] != word[l] ? word[l] : best;
  return best;
}

/* Four vectors at a time, so that one need not wait for the last. The words that fill the last vector up change
 * nothing: 0 for sums, the least for the largest. */
INLINE vec reduce_run(const enum sumi_reduce f, const float *x, int64_t n) {
  const vec neutral = v_set(reduce_neutral(f));
  const vec filler = v_set(f == SUMI_REDUCE_max ? -INFINITY : f == SUMI_REDUCE_min ? INFINITY : 0);
  vec v[4] = {neutral, neutral, neutral, neutral};
  int64_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES)
    UNROLL for (int k = 0; k < 4; k++) v[k] =
        reduce_step(f, v[k], v_load(v_mask(0, LANES), x + i + k * LANES));
  for (; i < n; i += LANES) v[0] = reduce_step(f, v[0], v_load_or(v_mask(0, n - i), x + i, filler));
  return reduce_join(f, reduce_join(f, v[0], v[1]), reduce_join(f, v[2], v[3]));
}

INLINE void reduce_row(const enum sumi_reduce f, const float *x, int64_t n, float *y) {
  vec all = v_set(reduce_neutral(f));
  for (int64_t i = 0; i < n; i += RUN_WORDS)
    all = reduce_join(f, all, reduce_run(f, x + i, reduce_min(RUN_WORDS, n - i)));
  const float result = reduce_lanes(f, all);
  *y = f == SUMI_REDUCE_min ? -result : result;
}

/* wide vectors of columns, the last one with `last` words. */
INLINE void reduce_strip(const enum sumi_reduce f, const int wide, const float *x, int64_t n, int64_t x_row,
                         int64_t last, float *y) {
  const vec neutral = v_set(reduce_neutral(f));
  const mask some = v_mask(0, last), whole = v_mask(0, LANES);
  vec all[4], v[4];
  UNROLL for (int k = 0; k < wide; k++) all[k] = neutral;
  for (int64_t first = 0; first < n; first += RUN) {
    const int64_t end = reduce_min(first + RUN, n);
    UNROLL for (int k = 0; k < wide; k++) v[k] = neutral;
    for (int64_t i = first; i < end; i++)
      UNROLL for (int k = 0; k < wide; k++) v[k] =
          reduce_step(f, v[k], v_load(k + 1 < wide ? whole : some, x + i * x_row + k * LANES));
    UNROLL for (int k = 0; k < wide; k++) all[k] = reduce_join(f, all[k], v[k]);
  }
  UNROLL for (int k = 0; k < wide; k++) {
    if (f == SUMI_REDUCE_min) all[k] = v_mul(all[k], v_set(-1));
    v_store(k + 1 < wide ? LANES : last, y + k * LANES, all[k]);
  }
}

INLINE void reduce_columns(const enum sumi_reduce f, const float *x, int64_t n, int64_t x_row, int64_t width,
                           float *y) {
  int64_t j = 0;
  for (; j + 4 * LANES <= width; j += 4 * LANES) reduce_strip(f, 4, x + j, n, x_row, LANES, y + j);
  for (; j < width; j += LANES) reduce_strip(f, 1, x + j, n, x_row, reduce_min(LANES, width - j), y + j);
}

#define REDUCTION(symbol, ...)                                                                      \
  static void row_##symbol(const float *x, int64_t n, float *y) {                                   \
    reduce_row(SUMI_REDUCE_##symbol, x, n, y);                                                      \
  }                                                                                                 \
  static void columns_##symbol(const float *x, int64_t n, int64_t x_row, int64_t width, float *y) { \
    reduce_columns(SUMI_REDUCE_##symbol, x, n, x_row, width, y);                                    \
  }
#include "kernel/reduce/reduce_fn.def"
#undef REDUCTION

#define REDUCE_PASTE(a, b) a##b
#define REDUCE_NAME(a, b) REDUCE_PASTE(a, b)
#define REDUCE(level, suffix, ...)                                         \
  extern const sumi_reduce_row_fn sumi_reduce_row_##suffix[SUMI_N_REDUCE]; \
  extern const sumi_reduce_columns_fn sumi_reduce_columns_##suffix[SUMI_N_REDUCE];
#include "kernel/reduce/reduce.def"
#undef REDUCE

const sumi_reduce_row_fn REDUCE_NAME(sumi_reduce_row_, LEAF)[SUMI_N_REDUCE] = {
#define REDUCTION(symbol, ...) row_##symbol,
#include "kernel/reduce/reduce_fn.def"
#undef REDUCTION
};
const sumi_reduce_columns_fn REDUCE_NAME(sumi_reduce_columns_, LEAF)[SUMI_N_REDUCE] = {
#define REDUCTION(symbol, ...) columns_##symbol,
#include "kernel/reduce/reduce_fn.def"
#undef REDUCTION
};

#endif

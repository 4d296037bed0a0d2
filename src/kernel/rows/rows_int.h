/* The frame of family rows: reductions in the words of simd/, element-wise parts as plain loops that the compiler turns
 * into the leaf's vectors. */
#ifndef SUMI_KERNEL_ROWS_INT_H
#define SUMI_KERNEL_ROWS_INT_H

#include <math.h>

#include "base/fmath.h"
#include "kernel/rows/rows.h"

#if defined(__clang__)
#define ROWS_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define ROWS_LOOP _Pragma("GCC ivdep")
#endif

enum { COLUMNS = 8 * LANES }; /* columns worked on together: their maxima and sums stay in the cache */

static inline int64_t rows_min(int64_t a, int64_t b) { return a < b ? a : b; }

static float rows_max(const float *x, int64_t n) {
  const vec lowest = v_set(-INFINITY);
  vec v[4] = {lowest, lowest, lowest, lowest};
  int64_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES)
    UNROLL for (int k = 0; k < 4; k++) v[k] = v_max_nan(v_load(v_mask(0, LANES), x + i + k * LANES), v[k]);
  for (; i < n; i += LANES) v[0] = v_max_nan(v_load_or(v_mask(0, n - i), x + i, lowest), v[0]);
  float word[LANES], best = -INFINITY;
  v_store(LANES, word, v_max_nan(v_max_nan(v[0], v[1]), v_max_nan(v[2], v[3])));
  for (int l = 0; l < LANES; l++) best = word[l] > best || word[l] != word[l] ? word[l] : best;
  return best;
}

/* The sum of x - shift, or of its square. squared is a constant where this is inlined. */
INLINE float rows_sum(const bool squared, const float *x, int64_t n, float shift) {
  const vec zero = v_set(0), minus = v_set(-shift);
  vec v[4] = {zero, zero, zero, zero};
  int64_t i = 0;
  for (; i + 4 * LANES <= n; i += 4 * LANES) UNROLL for (int k = 0; k < 4; k++) {
      const vec t = v_add(v_load(v_mask(0, LANES), x + i + k * LANES), minus);
      v[k] = squared ? v_fma(t, t, v[k]) : v_add(v[k], t);
    }
  for (; i < n; i += LANES) {
    const vec t = v_add(v_load_or(v_mask(0, n - i), x + i, v_set(shift)), minus);
    v[0] = squared ? v_fma(t, t, v[0]) : v_add(v[0], t);
  }
  return v_sum(v_add(v_add(v[0], v[1]), v_add(v[2], v[3])));
}

static void rows_softmax(const float *x, int64_t n, bool log_form, float *y) {
  const float max = rows_max(x, n);
  if (!log_form) {
    ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] = sumi_exp_f32(x[i] - max);
    const float factor = 1 / rows_sum(false, y, n, 0);
    ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] *= factor;
    return;
  }
  float part[COLUMNS], sum = 0;
  for (int64_t i = 0; i < n; i += COLUMNS) { /* x may be y: the exponentials are not kept */
    const int64_t wide = rows_min(COLUMNS, n - i);
    ROWS_LOOP for (int64_t j = 0; j < wide; j++) part[j] = sumi_exp_f32(x[i + j] - max);
    sum += rows_sum(false, part, wide, 0);
  }
  const float shift = max + logf(sum);
  ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] = x[i] - shift;
}

static void rows_columns(const float *x, int64_t n, int64_t inner, bool log_form, float *y) {
  float max[COLUMNS], sum[COLUMNS];
  for (int64_t first = 0; first < inner; first += COLUMNS) {
    const int64_t wide = rows_min(COLUMNS, inner - first);
    for (int64_t j = 0; j < wide; j++) max[j] = -INFINITY, sum[j] = 0;
    for (int64_t i = 0; i < n; i++) {
      const float *row = x + i * inner + first;
      ROWS_LOOP for (int64_t j = 0; j < wide; j++) max[j] =
          ((row[j] > max[j]) | (row[j] != row[j])) ? row[j] : max[j];
    }
    for (int64_t i = 0; i < n; i++) {
      const float *row = x + i * inner + first;
      float *to = y + i * inner + first;
      if (log_form) {
        ROWS_LOOP for (int64_t j = 0; j < wide; j++) sum[j] += sumi_exp_f32(row[j] - max[j]);
      } else {
        ROWS_LOOP for (int64_t j = 0; j < wide; j++) {
          const float e = sumi_exp_f32(row[j] - max[j]);
          to[j] = e;
          sum[j] += e;
        }
      }
    }
    for (int64_t j = 0; j < wide; j++) sum[j] = log_form ? max[j] + logf(sum[j]) : 1 / sum[j];
    for (int64_t i = 0; i < n; i++) {
      const float *row = x + i * inner + first;
      float *to = y + i * inner + first;
      if (log_form) {
        ROWS_LOOP for (int64_t j = 0; j < wide; j++) to[j] = row[j] - sum[j];
      } else {
        ROWS_LOOP for (int64_t j = 0; j < wide; j++) to[j] *= sum[j];
      }
    }
  }
}

static void rows_norm(const struct sumi_rows_norm *p, const float *x, float *y) {
  const int64_t n = p->n;
  const float mean =
      p->centred ? x[0] + rows_sum(false, x, n, x[0]) / (float)n : 0; /* near x[0] nothing cancels */
  const float factor = 1 / sqrtf(rows_sum(true, x, n, mean) / (float)n + p->epsilon);
  const float *scale = p->scale, *bias = p->bias;
  if (scale && bias) {
    ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor * scale[i] + bias[i];
  } else if (scale) {
    ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * factor * scale[i] + p->offset;
  } else {
    const float gain = factor * p->gain, offset = bias ? 0 : p->offset;
    ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * gain + offset;
    if (bias) ROWS_LOOP for (int64_t i = 0; i < n; i++) y[i] += bias[i];
  }
}

#define ROWS(level, suffix, ...)                                                                      \
  void sumi_rows_softmax_##suffix(const float *x, int64_t n, bool log_form, float *y);                \
  void sumi_rows_columns_##suffix(const float *x, int64_t n, int64_t inner, bool log_form, float *y); \
  void sumi_rows_norm_##suffix(const struct sumi_rows_norm *p, const float *x, float *y);
#include "kernel/rows/rows.def"
#undef ROWS

#endif

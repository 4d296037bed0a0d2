/* Kernel family rows, float32: what a row of n words becomes as a whole.
 *
 *   softmax:      y[i] = exp(x[i] - max) / sum over k of exp(x[k] - max);  log form: x[i] - max - log(sum)
 *   columns:      softmax down the columns of x [n, inner]: y[i, j] over i, for j in [0, inner)
 *   norm:         y[i] = (x[i] - mean) / sqrt(mean of squares around it + epsilon) * scale[i] + bias[i];
 *                 not centred: mean is 0. scale, bias: [n]; where NULL, gain and offset stand for all of them
 *
 * Sums are taken in float32 in at least 8 parts: within n / 8 + 8 rounding errors of their terms. exp is base/fmath.h's.
 * A NaN in x makes its row (column) NaN. y may be x. No alignment needed; nothing outside x and y is touched. */
#ifndef SUMI_KERNEL_ROWS_H
#define SUMI_KERNEL_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

struct sumi_rows_norm {
  int64_t n;
  bool centred;
  float epsilon;
  const float *scale, *bias;
  float gain, offset;
};

struct sumi_rows_kernel {
  const char *name; /* "rows/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*softmax)(const float *x, int64_t n, bool log_form, float *y);
  void (*columns)(const float *x, int64_t n, int64_t inner, bool log_form, float *y);
  void (*norm)(const struct sumi_rows_norm *p, const float *x, float *y);
};

const struct sumi_rows_kernel *sumi_rows_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_rows_kernel *sumi_rows_pick(enum sumi_isa level);

#endif

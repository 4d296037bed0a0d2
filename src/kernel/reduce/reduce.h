/* Kernel family reduce, float32: many words combined into one, for every function of reduce_fn.def.
 *
 *   row:      *y = x[0] combined with x[1] ... x[n - 1]                                   x [n]
 *   columns:  y[j] = x[0, j] combined with x[1, j] ... x[n - 1, j], for j in [0, width)   x [n, width], rows x_row apart
 *
 * n >= 1. Sums are taken in float32, in runs whose sums are added up: within
 * 64 + n / 64 rounding errors of their terms (columns), 136 + n / 4096 (rows). max and min are exact; a NaN among the
 * words makes the result NaN. No alignment needed; nothing outside x and y is touched. y does not overlap x. */
#ifndef SUMI_KERNEL_REDUCE_H
#define SUMI_KERNEL_REDUCE_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

enum sumi_reduce {
#define REDUCTION(symbol, ...) SUMI_REDUCE_##symbol,
#include "kernel/reduce/reduce_fn.def"
#undef REDUCTION
  SUMI_N_REDUCE
};

typedef void (*sumi_reduce_row_fn)(const float *x, int64_t n, float *y);
typedef void (*sumi_reduce_columns_fn)(const float *x, int64_t n, int64_t x_row, int64_t width, float *y);

struct sumi_reduce_kernel {
  const char *name; /* "reduce/avx512" */
  enum sumi_isa isa;
  const char *what;
  const sumi_reduce_row_fn *row;         /* [SUMI_N_REDUCE] */
  const sumi_reduce_columns_fn *columns; /* [SUMI_N_REDUCE] */
};

const struct sumi_reduce_kernel *sumi_reduce_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_reduce_kernel *sumi_reduce_pick(enum sumi_isa level);

#endif

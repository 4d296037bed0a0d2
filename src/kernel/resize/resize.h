/* Kernel family resize, float32: one axis interpolated, by tables that say which words with which weights.
 *
 *   across:  y[i] = sum over k < taps of w[k * m + i] * x[at[k * m + i]]     for i in [0, m); w NULL: y[i] = x[at[i]]
 *   down:    y[j] = sum over k < taps of w[k] * x[at[k] * x_row + j]         for j in [0, n)
 *
 * taps >= 1. Terms are added in the order of k in float32: within taps + 1 rounding errors of them; words that are only
 * moved (w NULL) keep their bits. No alignment needed; of x only the words named are read, nothing outside y is written.
 * y does not overlap x. */
#ifndef SUMI_KERNEL_RESIZE_H
#define SUMI_KERNEL_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

struct sumi_resize_table {
  int64_t m, taps;
  const int32_t *at; /* across: [taps, m], down: [m, taps] */
  const float *w;    /* likewise; NULL = 1, one tap */
};

struct sumi_resize_kernel {
  const char *name; /* "resize/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*across)(const struct sumi_resize_table *t, const float *x, float *y);
  void (*down)(const float *x, int64_t x_row, const int32_t *at, const float *w, int64_t taps, int64_t n,
               float *y);
};

const struct sumi_resize_kernel *sumi_resize_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_resize_kernel *sumi_resize_pick(enum sumi_isa level);

#endif

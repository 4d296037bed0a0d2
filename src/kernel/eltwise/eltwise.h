/* Kernel family eltwise, float32: functions of one word and of two, over arrays.
 *
 *   unary:  y[i] = f(x[i])                                      i < n; y may be x
 *   binary: y[i] = f(a[i * a_step], b[i * b_step])              i < n; steps 0 or 1; y may be a or b where its step is 1
 *   select: y[i] = c[i * c_step] ? a[i * a_step] : b[i * b_step], c bytes, the others words of 1, 2, 4 or 8 bytes
 *
 * The functions stand in eltwise_fn.def, with their formulas. Arithmetic, comparisons and roots are correctly rounded;
 * exp, erf, tanh and the logistic function are base/fmath.h's (below 2.5 units in the last place; kernels that fuse
 * multiply-adds differ from ref within that). A NaN gives a NaN. No alignment needed; nothing outside the n words. */
#ifndef SUMI_KERNEL_ELTWISE_H
#define SUMI_KERNEL_ELTWISE_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

enum sumi_unary {
#define UNARY(symbol, ...) SUMI_UNARY_##symbol,
#define BINARY(...)
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY
  SUMI_N_UNARY
};

enum sumi_binary {
#define UNARY(...)
#define BINARY(symbol, ...) SUMI_BINARY_##symbol,
#include "kernel/eltwise/eltwise_fn.def"
#undef UNARY
#undef BINARY
  SUMI_N_BINARY
};

/* param: alpha and beta of the function's formula; NULL where it has neither. */
typedef void (*sumi_unary_fn)(const float *x, float *y, int64_t n, const float *param);
typedef void (*sumi_binary_fn)(const float *a, int64_t a_step, const float *b, int64_t b_step, float *y,
                               int64_t n);
typedef void (*sumi_select_fn)(const uint8_t *c, int64_t c_step, const void *a, int64_t a_step, const void *b,
                               int64_t b_step, void *y, int64_t n);
enum { SUMI_N_SELECT = 4 };

struct sumi_eltwise_kernel {
  const char *name; /* "eltwise/avx512" */
  enum sumi_isa isa;
  const char *what;
  const sumi_unary_fn *unary;   /* [SUMI_N_UNARY] */
  const sumi_binary_fn *binary; /* [SUMI_N_BINARY] */
  const sumi_select_fn *select; /* [SUMI_N_SELECT], by the binary logarithm of a word's bytes */
};

const struct sumi_eltwise_kernel *sumi_eltwise_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_eltwise_kernel *sumi_eltwise_pick(enum sumi_isa level);

/* A function by the name of the ONNX operator that is exactly it ("Sigmoid", "Add"); -1 = none. */
int sumi_unary_find(const char *op_name);
int sumi_binary_find(const char *op_name);

#endif

/* Kernel family convert: arrays of short floats to float32 and back.
 *
 *   widen[s]:   y[i] = the float32 of x[i]                                for i in [0, n), x of format s
 *   narrow[s]:  y[i] = x[i] rounded to the nearest of format s, ties to even; what is too large becomes infinity
 *
 * The same bits at every instruction-set level: base/half.h's functions, compiled once for each. No alignment needed
 * beyond the elements' own; nothing outside the n elements is touched. x and y do not overlap. */
#ifndef SUMI_KERNEL_CONVERT_H
#define SUMI_KERNEL_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

enum sumi_short { SUMI_SHORT_F16, SUMI_SHORT_BF16, SUMI_N_SHORT };

struct sumi_convert_kernel {
  const char *name; /* "convert/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*widen[SUMI_N_SHORT])(const uint16_t *x, int64_t n, float *y);
  void (*narrow[SUMI_N_SHORT])(const float *x, int64_t n, uint16_t *y);
};

const struct sumi_convert_kernel *sumi_convert_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_convert_kernel *sumi_convert_pick(enum sumi_isa level);

#endif

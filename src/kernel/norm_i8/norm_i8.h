/* Kernel family norm_i8: layer normalisation across the channels of planes (tensor/layout.h), pixels in lanes; bytes in or
 * out. For pixels p in [p0, p1):
 *
 *   v[c]  = x(c, p) + r(c, p) + add[c]                                       c < channels
 *   x     = x_f32 ? x_f32[c * x_row + p] : byte * x_mul                      byte c % 4 of x[c / 4 * x_group + p]
 *   r     = r ? byte * r_mul : 0                                             byte c % 4 of r[c / 4 * r_group + p]
 *   t     = (v[c] - mean) / sqrt(mean of squares around it + epsilon) * gain[c] + (offset ? offset[c] : 0)
 *   8-bit   byte c % 4 of y[c / 4 * y_group + p] = round(clamp(t, -zero, 255 - zero)) + zero
 *   float32 y_f32[c * y_row + p] = t
 *
 * not centred: mean is 0. round is to nearest even; a NaN becomes zero. Bytes of channels beyond the last are 0 in y.
 * Everything is float32; sums are taken one term after the other, so that t is off by at most channels rounding errors of the
 * sums, and bytes by one. p0 is a multiple of 16, p1 too or the end. y may lie over x or r of the same group; y_f32 over
 * x_f32 of the same row. Nothing outside the named words is touched; the result does not depend on the split. */
#ifndef SUMI_KERNEL_NORM_I8_H
#define SUMI_KERNEL_NORM_I8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

struct sumi_norm_i8 {
  int64_t channels;
  const float *x_f32; /* NULL: x */
  int64_t x_row;      /* elements from channel to channel */
  const uint32_t *x, *r;
  int64_t x_group, r_group, y_group; /* words from plane to plane */
  float x_mul, r_mul;
  const float *add, *gain, *offset; /* [channels]; offset NULL = 0 */
  bool centred;
  float epsilon, zero;
  uint32_t *y; /* NULL: y_f32 */
  float *y_f32;
  int64_t y_row;
};

struct sumi_norm_i8_kernel {
  const char *name; /* "norm_i8/avx512" */
  enum sumi_isa isa;
  int pixels; /* of a tile: split into multiples of it */
  const char *what;
  void (*run)(const struct sumi_norm_i8 *s, int64_t p0, int64_t p1);
};

const struct sumi_norm_i8_kernel *sumi_norm_i8_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_norm_i8_kernel *sumi_norm_i8_pick(enum sumi_isa level);

#endif

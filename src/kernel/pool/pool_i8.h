/* Kernel family pool_i8: windows and whole planes of words of four unsigned bytes (tensor/layout.h). Of every channel c of
 * planes [g0, g1), with x(c, w) byte c % 4 of the word at byte c / 4 * x_group + 4 * w of x:
 *
 *   max       y(c, p) = the largest of x(c, p + off[t] / 4)              over t < taps, for pixels p in [p0, p1)
 *   average   y(c, p) = hold((sum of x(c, p + off[t] / 4) - taps * x_zero) * scale[step * p])          likewise
 *   mean      y(c, 0) = hold((sum of x(c, at(p)) - pixels * x_zero) * scale[0])                  over all p < pixels
 *
 *   hold(v) = round(min(max(v, lo - zero), hi - zero)) + zero                        to nearest even; a NaN becomes lo
 *
 * sums are exact and become float32 (after x_zero is taken off); y(c, p) is stored through the map as in spmm_i8.h, which
 * also says how pixels may be split and what may be read beyond the walk. Pads: a halo of 0 never is a maximum; a halo of
 * x_zero adds nothing to an average, whose scale then says by what to divide. mean reads through its map (NULL: words [0,
 * pixels)), nothing else, and writes word 0 of each plane of y. Strides above 1 are offsets into phases. x_group and off are
 * in bytes, multiples of 4. Zero points and limits are whole numbers 0..255; taps <= 65536, pixels <= 2^22. */
#ifndef SUMI_KERNEL_POOL_I8_H
#define SUMI_KERNEL_POOL_I8_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "tensor/layout.h"

struct sumi_pool_i8 {
  const uint8_t *x;
  int64_t x_group;
  const int32_t *off; /* [taps] */
  int64_t taps, pixels;
  const struct sumi_lane_map *map;
  uint32_t *y;
  int64_t y_group; /* words from plane to plane */
  float x_zero;
  const float *scale; /* [pixels of the walk], or [1] with step 0 */
  int step;
  float zero, lo, hi;
};

struct sumi_pool_i8_kernel {
  const char *name; /* "pool_i8/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*max)(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1, int64_t p0, int64_t p1);
  void (*average)(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1, int64_t p0, int64_t p1);
  void (*mean)(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1);
};

const struct sumi_pool_i8_kernel *sumi_pool_i8_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_pool_i8_kernel *sumi_pool_i8_pick(enum sumi_isa level);

#endif

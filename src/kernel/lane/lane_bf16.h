/* Kernel family lane_bf16: float32 values to planes of words of two bfloat16 (tensor/layout.h) and back, and the maximum
 * of windows of such planes.
 *
 * B(c, p) is half c % 2 of word[c / 2 * group + at(p)], at(p) and E(c, p) as in lane.h; scale, zero, step and flip mean
 * nothing here. For channels c in [2 * g0, 2 * g1) and pixels p in [p0, p1):
 *
 *   narrow   B(c, p) = E(c, p) rounded to nearest even; 0 for channels beyond `channels`
 *   widen    E(c, p) = B(c, p); nothing for channels beyond `channels`
 *
 *   max      y(c, p) = the largest of x(c, p + off[t] / 4) over t < taps: the loop of pool_i8.h on halves; NaN if one is NaN.
 *            A half of all ones (the halo) counts as the lowest
 *
 * p0 is a multiple of 16, p1 too or the end of the walk. Pixels that the map drops are not stored, and read as 0. Nothing outside
 * the named words is touched; all kernels give the same bits. */
#ifndef SUMI_KERNEL_LANE_BF16_H
#define SUMI_KERNEL_LANE_BF16_H

#include "kernel/lane/lane.h"
#include "kernel/pool/pool_i8.h"

struct sumi_lane_bf16_kernel {
  const char *name; /* "lane_bf16/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*narrow)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);
  void (*widen)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);
  void (*max)(const struct sumi_pool_i8 *d, SUMI_LANE_RANGE);
};

const struct sumi_lane_bf16_kernel *sumi_lane_bf16_kernels(
    size_t *n); /* best first, the last one is portable */
const struct sumi_lane_bf16_kernel *sumi_lane_bf16_pick(enum sumi_isa level);

#endif

/* Kernel family lane, 8 bits: what is done to planes of words of four unsigned bytes (tensor/layout.h), byte by byte.
 *
 * B(c, p) is byte c % 4 of word[c / 4 * group + at(p)], where at(p) is the place that the planes' map gives pixel p, p
 * itself where map is NULL. E(c, p) is element c * channel + p * pixel of row-major data: channel or pixel is 1.
 * For channels c in [4 * g0, 4 * g1) and pixels p in [p0, p1):
 *
 *   quantize    B(c, p) = hold(E(c, p) / scale[s], 0, 255, zero[s])                E float32; s = step * c
 *   dequantize  E(c, p) = ((float)B(c, p) - zero[s]) * scale[s]                     E float32
 *   pack        B(c, p) = E(c, p) ^ flip                                            E bytes
 *   unpack      E(c, p) = B(c, p) ^ flip                                            E bytes
 *   add         By(c, p) = hold(fma(A, a_mul, B * b_mul), lo, hi, zero)             A = (float)(Ba(c, p) - a_zero)
 *   mul         By(c, p) = hold(A * B * a_mul, lo, hi, zero)                        B = (float)(Bb(c, b_step * p) - b_zero)
 *   table       By(c, p) = table ? table[Bx(c, p)] : Bx(c, p)
 *
 *   hold(v, lo, hi, zero) = round(min(max(v, lo - zero), hi - zero)) + zero         to nearest even
 *
 * where a NaN is 0 for quantize (QuantizeLinear's rule) and lo - zero for add and mul. Of channels beyond `channels`,
 * pack and quantize make bytes of 0 and unpack and dequantize nothing. Zero points and limits are whole numbers 0..255.
 *
 * p0 is a multiple of 16, p1 too or the end of the walk. Where a map is given, pixels that it drops are not stored, and
 * read as 0. y may lie over a, b or x where both maps are the same. Nothing outside the named words is touched, and the
 * result does not depend on the kernel or the split. */
#ifndef SUMI_KERNEL_LANE_H
#define SUMI_KERNEL_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "tensor/layout.h"

struct sumi_lane_planes {
  uint32_t *word;
  int64_t group;                   /* words from plane to plane */
  const struct sumi_lane_map *map; /* NULL: pixel p is word p */
};

struct sumi_lane_convert {
  void *data; /* row-major; read by quantize and pack */
  int64_t channel, pixel, channels;
  struct sumi_lane_planes words;
  const float *scale, *zero; /* [1], or [channels] with step 1 */
  int step;
  uint8_t flip;
};

struct sumi_lane_binary {
  struct sumi_lane_planes a, b, y;
  int b_step; /* 1; 0: the second operand is one word a plane */
  float a_zero, a_mul, b_zero, b_mul;
  float zero, lo, hi;
};

struct sumi_lane_table {
  struct sumi_lane_planes x, y;
  const uint8_t *table; /* [256] */
};

#define SUMI_LANE_RANGE int64_t g0, int64_t g1, int64_t p0, int64_t p1

struct sumi_lane_kernel {
  const char *name; /* "lane/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*quantize)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);
  void (*dequantize)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);
  void (*pack)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);
  void (*unpack)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);
  void (*add)(const struct sumi_lane_binary *l, SUMI_LANE_RANGE);
  void (*mul)(const struct sumi_lane_binary *l, SUMI_LANE_RANGE);
  void (*table)(const struct sumi_lane_table *l, SUMI_LANE_RANGE);
};

const struct sumi_lane_kernel *sumi_lane_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_lane_kernel *sumi_lane_pick(enum sumi_isa level);

#endif

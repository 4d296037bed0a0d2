/* Kernel family pool, float32: a plane under a sliding window, and a plane as a whole.
 *
 *   for oy in [0, h_out): for ox in [0, w_out): over the taps ky < kh, kx < kw whose
 *     i = oy * stride_y + ky * dilation_y - top lies in [0, h) and j = ox * stride_x + kx * dilation_x - left in [0, w):
 *     max:      y = the largest x[i * w + j]; NaN if one is; -infinity if there is none
 *     average:  y = the sum / count, where count is the number of these taps, or with include_pad of the taps with i in
 *               [-top, h + bottom) and j in [-left, w + right); 0 where count is 0
 *   sum, largest of all n words of x: *y
 *
 * max is exact; average sums columns first, then rows, in float32: within n rounding errors for n taps. Sums of all
 * words are taken in at least 8 parts. x is [h, w], y is [h_out, w_out], row-major, no alignment needed; nothing
 * outside them is touched. x and y do not overlap. */
#ifndef SUMI_KERNEL_POOL_H
#define SUMI_KERNEL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

struct sumi_pool_window {
  int64_t h, w, h_out, w_out;
  int64_t kh, kw, stride_y, stride_x, dilation_y, dilation_x, top, left, bottom, right;
  bool include_pad;
};

enum { SUMI_POOL_MOST_SPAN = 1024 }; /* the widest window: (kw - 1) * dilation_x + 1 */

struct sumi_pool_kernel {
  const char *name; /* "pool/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*max)(const struct sumi_pool_window *p, const float *x, float *y);
  void (*average)(const struct sumi_pool_window *p, const float *x, float *y);
  void (*plane_sum)(const float *x, int64_t n, float *y);
  void (*plane_max)(const float *x, int64_t n, float *y);
};

const struct sumi_pool_kernel *sumi_pool_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_pool_kernel *sumi_pool_pick(enum sumi_isa level);

#endif

/* Kernel family depthwise, float32: one plane convolved with one window.
 *
 *   for oy in [0, h_out): for ox in [0, w_out):
 *     v = bias
 *     for ky in [0, kh): i = oy * stride_y + ky * dilation_y - top; skipped where i is outside [0, h)
 *       for kx in [0, kw): j = ox * stride_x + kx * dilation_x - left
 *         v = fma(j in [0, w) ? x[i * w + j] : 0, weight[ky * kw + kx], v)
 *     y[oy * w_out + ox] = min(max(v, lo), hi)                                 NaN stays NaN
 *
 * Exact: every kernel but ref gives the loop's bits; ref rounds products. x is [h, w], y is [h_out, w_out], row-major,
 * no alignment needed; nothing outside them is touched. x and y do not overlap. */
#ifndef SUMI_KERNEL_DEPTHWISE_H
#define SUMI_KERNEL_DEPTHWISE_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

struct sumi_depthwise {
  int64_t h, w, h_out, w_out;
  int64_t kh, kw, stride_y, stride_x, dilation_y, dilation_x, top, left;
  float lo, hi;
};

struct sumi_depthwise_kernel {
  const char *name; /* "depthwise/avx512" */
  enum sumi_isa isa;
  float gmacs; /* measured, 3x3 stride 1, 10^9 multiply-adds a second on one core */
  const char *what;
  void (*run)(const struct sumi_depthwise *d, const float *x, const float *weight, float bias, float *y);
};

const struct sumi_depthwise_kernel *sumi_depthwise_kernels(
    size_t *n); /* best first, the last one is portable */
/* The first that may run at this level. Narrow planes (w_out <= 8) get the 8-lane kernel where there is one. */
const struct sumi_depthwise_kernel *sumi_depthwise_pick(enum sumi_isa level, int64_t w_out);

#endif

/* Kernel family depthwise_i8: one window a channel, on planes of words of four unsigned bytes (tensor/layout.h), weights
 * of signed bytes, exact 32-bit sums. The loop and its end are those of spmm_i8.h; only where the sums come from differs:
 *
 *   sum(m, p) = bias[m] + sum over e < n_list, i < 4 of x[m / 4 * x_group + off[4 * e + i] + 4 * p + m % 4] * w(m, e)[i]
 *
 * where x and x_group are in bytes, off holds 4 * n_list offsets and w(m, e) is the word w[(m / 4 * n_list + e) * 4 + m % 4].
 * Strides above 1 are other offsets, into the phases of a plane. Four taps beside each other, off + 0, 4, 8, 12, are read
 * faster than others: sumi_depthwise_i8_taps() makes quads of a window's taps. Of s, block is 4; start, w_block, w_entry,
 * w_row and the float32 form with y_row work as there, or are not read. s.rows is a multiple of 4.
 *
 * Groups of four channels [g0, g1), pixels [p0, p1) as in spmm_i8.h, and what it says of reading beyond the walk. */
#ifndef SUMI_KERNEL_DEPTHWISE_I8_H
#define SUMI_KERNEL_DEPTHWISE_I8_H

#include "kernel/spmm/spmm_i8.h"

struct sumi_depthwise_i8 {
  struct sumi_spmm_i8 s;
  int64_t x_group; /* bytes from plane to plane */
};

struct sumi_depthwise_i8_kernel {
  const char *name; /* "depthwise_i8/avx512vnni" */
  enum sumi_isa isa;
  float gmacs; /* measured, 3x3, 10^9 multiply-adds a second on one core */
  const char *what;
  void (*run)(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0, int64_t p1);
};

const struct sumi_depthwise_i8_kernel *sumi_depthwise_i8_kernels(
    size_t *n); /* best first, the last is portable */
const struct sumi_depthwise_i8_kernel *sumi_depthwise_i8_pick(enum sumi_isa level);

/* Quads of taps whose words lie at tap[n_tap] bytes. off and from hold 4 * n_tap numbers; the quads' offsets go to off, the
 * numbers of their taps, -1 where there is none and the weight is 0, to from. Returns the number of quads. */
int64_t sumi_depthwise_i8_taps(const int32_t *tap, int64_t n_tap, int32_t *off, int32_t *from);

#endif

/* Kernel family copy, 32-bit words: laying planes out anew. Values are moved, never computed; NaN bits
 * survive.
 *
 * Planes with a halo, split into phases (sumi_copy_halo): one input plane x [h, w] becomes n_y * n_x output
 * planes of `plane` words, rows of `pitch` words for a in [0, n_y): for b in [0, n_x): for r in [0, rows):
 * for q in [0, pitch): i = r * step_y + phase_y[a] - top, j = q * step_x + phase_x[b] - left y[(a * n_x + b)
 * * plane + r * pitch + q] = i in [0, h) and j in [0, w) ? x[i * w + j] : fill what is left of a plane (plane
 * - rows * pitch words) is filled.
 *
 * The way back (merge): for the same a, b, r, q whose (i, j) lies inside, y[i * w + j] = x[the place above]: planes of
 * phases are interleaved, what lies outside [h, w] is dropped. fill is not used.
 *
 * Transposition (sumi_copy_transpose): y[j * y_row + i] = x[i * x_row + j] for i in [0, m), j in [0, n).
 *
 * No alignment is needed; nothing beyond the words named is read or written. x and y do not overlap. */
#ifndef SUMI_KERNEL_COPY_H
#define SUMI_KERNEL_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"

enum { SUMI_COPY_PHASES = 32 }; /* the most phases of one direction */

struct sumi_copy_halo {
  int64_t h, w, rows, pitch, plane;
  int64_t top, left; /* negative: cut off */
  int64_t step_y, step_x;
  int n_y, n_x, phase_y[SUMI_COPY_PHASES], phase_x[SUMI_COPY_PHASES];
  float fill;
};

struct sumi_copy_kernel {
  const char *name; /* "copy/avx512" */
  enum sumi_isa isa;
  const char *what;
  void (*halo)(const struct sumi_copy_halo *c, const float *x, float *y);
  void (*merge)(const struct sumi_copy_halo *c, const float *x, float *y);
  void (*transpose)(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, int64_t y_row);
};

const struct sumi_copy_kernel *sumi_copy_kernels(size_t *n); /* best first, the last one is portable */
const struct sumi_copy_kernel *sumi_copy_pick(enum sumi_isa level);

#endif

/* Family copy in portable C. */
#include <stdint.h>
#include <string.h>

#include "kernel/copy/copy_fill.h"

enum { BLOCK = 8 };

static void move_row(const float *x, int64_t first, int64_t last, int64_t pitch, float fill, float *y) {
  copy_fill(y, first, fill);
  if (last > first) memcpy(y + first, x + first, (size_t)(last - first) * sizeof *x);
  copy_fill(y + last, pitch - last, fill);
}

static void split2(const float *x, int64_t n, float *even, float *odd) {
  for (int64_t i = 0; i < n; i++) {
    even[i] = x[2 * i];
    odd[i] = x[2 * i + 1];
  }
}

static void turn_block(const float *x, int64_t x_row, float *y, int64_t y_row) {
  for (int64_t b = 0; b < BLOCK; b++)
    for (int64_t a = 0; a < BLOCK; a++) y[b * y_row + a] = x[a * x_row + b];
}

#include "kernel/copy/copy_int.h"

void sumi_copy_halo_ref(const struct sumi_copy_halo *c, const float *x, float *y) { copy_halo(c, x, y); }

void sumi_copy_merge_ref(const struct sumi_copy_halo *c, const float *x, float *y) { copy_merge(c, x, y); }

void sumi_copy_transpose_ref(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, int64_t y_row) {
  copy_transpose(x, x_row, m, n, y, y_row);
}

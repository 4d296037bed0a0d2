/* Family resize in portable C. The algorithms stand in resize_int.h. */
#include "kernel/simd/ref.h"

#include "kernel/resize/resize_int.h"

void sumi_resize_across_ref(const struct sumi_resize_table *t, const float *x, float *y) {
  resize_across(t, x, y);
}

void sumi_resize_down_ref(const float *x, int64_t x_row, const int32_t *at, const float *w, int64_t taps,
                          int64_t n, float *y) {
  resize_down(x, x_row, at, w, taps, n, y);
}

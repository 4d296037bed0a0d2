/* Family rows in portable C. The algorithms stand in rows_int.h. */
#include "kernel/simd/ref.h"

#include "kernel/rows/rows_int.h"

void sumi_rows_softmax_ref(const float *x, int64_t n, bool log_form, float *y) {
  rows_softmax(x, n, log_form, y);
}

void sumi_rows_columns_ref(const float *x, int64_t n, int64_t inner, bool log_form, float *y) {
  rows_columns(x, n, inner, log_form, y);
}

void sumi_rows_norm_ref(const struct sumi_rows_norm *p, const float *x, float *y) { rows_norm(p, x, y); }

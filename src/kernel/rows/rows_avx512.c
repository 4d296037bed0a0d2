/* Family rows with AVX-512. The algorithms stand in rows_int.h. */
#include "kernel/simd/avx512.h"

#include "kernel/rows/rows_int.h"

void sumi_rows_softmax_avx512(const float *x, int64_t n, bool log_form, float *y) {
  rows_softmax(x, n, log_form, y);
}

void sumi_rows_columns_avx512(const float *x, int64_t n, int64_t inner, bool log_form, float *y) {
  rows_columns(x, n, inner, log_form, y);
}

void sumi_rows_norm_avx512(const struct sumi_rows_norm *p, const float *x, float *y) { rows_norm(p, x, y); }

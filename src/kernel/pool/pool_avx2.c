/* Family pool with AVX2: 8 pixels a vector. The algorithm stands in pool_int.h. */
#include "kernel/simd/avx2.h"

#include "kernel/pool/pool_int.h"

void sumi_pool_max_avx2(const struct sumi_pool_window *p, const float *x, float *y) {
  pool_run(true, p, x, y);
}

void sumi_pool_average_avx2(const struct sumi_pool_window *p, const float *x, float *y) {
  pool_run(false, p, x, y);
}

void sumi_pool_plane_sum_avx2(const float *x, int64_t n, float *y) { *y = pool_plane(false, x, n); }

void sumi_pool_plane_max_avx2(const float *x, int64_t n, float *y) { *y = pool_plane(true, x, n); }

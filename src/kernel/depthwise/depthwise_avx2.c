/* Family depthwise with AVX2: 8 pixels a vector. The algorithm stands in depthwise_int.h. */
#include "kernel/simd/avx2.h"

#include "kernel/depthwise/depthwise_int.h"

void sumi_depthwise_avx2(const struct sumi_depthwise *d, const float *x, const float *weight, float bias,
                         float *y) {
  dw_run(d, x, weight, bias, y);
}

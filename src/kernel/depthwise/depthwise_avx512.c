/* Family depthwise with AVX-512: 16 pixels a vector, masks for every border. The algorithm stands in depthwise_int.h. */
#include "kernel/simd/avx512.h"

#include "kernel/depthwise/depthwise_int.h"

void sumi_depthwise_avx512(const struct sumi_depthwise *d, const float *x, const float *weight, float bias,
                           float *y) {
  dw_run(d, x, weight, bias, y);
}

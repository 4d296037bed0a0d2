/* Family depthwise in portable C. The algorithm stands in depthwise_int.h. */
#include "kernel/simd/ref.h"

#include "kernel/depthwise/depthwise_int.h"

void sumi_depthwise_ref(const struct sumi_depthwise *d, const float *x, const float *weight, float bias,
                        float *y) {
  dw_run(d, x, weight, bias, y);
}

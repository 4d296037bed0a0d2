/* Family depthwise_i8 with AVX-512 VNNI. The algorithm stands in depthwise_i8_frame.h. */
#include "kernel/simd/words_avx512.h"
#include "kernel/spmm/spmm_i8_avx512.h"

typedef wvec dw_weights;
INLINE dw_weights dw_weights_of(wvec w) { return w; }
/* The instruction itself: around the intrinsic gcc 12 copies sums from register to register. */
INLINE void dw_dot(ivec *sum, wvec x, dw_weights w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w));
}
INLINE void dw_finish(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, const int32_t *sum) {
  i8_finish_any(s, m, v, sum, WORDS);
}

#include "kernel/depthwise/depthwise_i8_frame.h"

void sumi_depthwise_i8_avx512vnni(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0,
                                  int64_t p1) {
  dw_run(d, g0, g1, p0, p1);
}

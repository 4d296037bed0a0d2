/* Family depthwise_i8 with AVX-VNNI. The algorithm stands in depthwise_i8_frame.h. */
#include "kernel/simd/words_avx2.h"
#include "kernel/spmm/spmm_i8_end.h"

typedef wvec dw_weights;
INLINE dw_weights dw_weights_of(wvec w) { return w; }
INLINE void dw_dot(ivec *sum, wvec x, dw_weights w) {
  for (int i = 0; i < 2; i++)
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum->h[i]) : "x"(x.h[i]), "x"(w.h[i]));
}
INLINE void dw_finish(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, const int32_t *sum) {
  i8_end_rows(s, m, v, sum, WORDS);
}

#include "kernel/depthwise/depthwise_i8_frame.h"

void sumi_depthwise_i8_avxvnni(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0,
                               int64_t p1) {
  dw_run(d, g0, g1, p0, p1);
}

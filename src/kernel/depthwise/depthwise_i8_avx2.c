/* Family depthwise_i8 with AVX2. Products of bytes are taken in 16 bits, two taps a multiplication: VPMADDUBSW would
 * saturate. The algorithm stands in depthwise_i8_frame.h. */
#include "kernel/simd/words_avx2.h"
#include "kernel/spmm/spmm_i8_end.h"

typedef struct {
  wvec even, odd; /* 16-bit halves */
} dw_weights;
INLINE dw_weights dw_weights_of(wvec w) {
  dw_weights r;
  for (int i = 0; i < 2; i++) {
    r.even.h[i] = _mm256_srai_epi16(_mm256_slli_epi16(w.h[i], 8), 8);
    r.odd.h[i] = _mm256_srai_epi16(w.h[i], 8);
  }
  return r;
}
INLINE void dw_dot(ivec *sum, wvec x, dw_weights w) {
  for (int i = 0; i < 2; i++) {
    const __m256i even = _mm256_and_si256(x.h[i], _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(x.h[i], 8);
    const __m256i a = _mm256_madd_epi16(even, w.even.h[i]), b = _mm256_madd_epi16(odd, w.odd.h[i]);
    sum->h[i] = _mm256_add_epi32(sum->h[i], _mm256_add_epi32(a, b));
  }
}
INLINE void dw_finish(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, const int32_t *sum) {
  i8_end_rows(s, m, v, sum, WORDS);
}

#include "kernel/depthwise/depthwise_i8_frame.h"

void sumi_depthwise_i8_avx2(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0,
                            int64_t p1) {
  dw_run(d, g0, g1, p0, p1);
}

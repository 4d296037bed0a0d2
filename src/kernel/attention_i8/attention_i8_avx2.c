/* Family attention_i8 with AVX2. Products of bytes are taken in 16 bits, two features a multiplication: VPMADDUBSW would
 * saturate. The algorithm stands in attention_i8_frame_int.h. */
#include "kernel/simd/words_avx2.h"

enum { AT_VECTORS = 1 };

typedef struct {
  wvec even, odd; /* 16-bit halves */
} at_signed;
INLINE at_signed at_signed_of(wvec w) {
  at_signed r;
  for (int i = 0; i < 2; i++) {
    r.even.h[i] = _mm256_srai_epi16(_mm256_slli_epi16(w.h[i], 8), 8);
    r.odd.h[i] = _mm256_srai_epi16(w.h[i], 8);
  }
  return r;
}
INLINE void at_dot(ivec *sum, wvec x, at_signed w) {
  for (int i = 0; i < 2; i++) {
    const __m256i even = _mm256_and_si256(x.h[i], _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(x.h[i], 8);
    const __m256i a = _mm256_madd_epi16(even, w.even.h[i]), b = _mm256_madd_epi16(odd, w.odd.h[i]);
    sum->h[i] = _mm256_add_epi32(sum->h[i], _mm256_add_epi32(a, b));
  }
}
INLINE fvec at_max(fvec a, fvec b) {
  for (int i = 0; i < 2; i++) a.h[i] = _mm256_max_ps(a.h[i], b.h[i]);
  return a;
}
INLINE fvec at_whole(fvec v) {
  for (int i = 0; i < 2; i++) v.h[i] = _mm256_round_ps(v.h[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return v;
}
INLINE fvec at_power(fvec v, fvec n) {
  for (int i = 0; i < 2; i++) {
    const __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n.h[i]), 23);
    v.h[i] = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v.h[i]), power));
  }
  return v;
}

#include "kernel/attention_i8/attention_i8_frame_int.h"

void sumi_attention_i8_avx2(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch) {
  at_run(a, q0, q1, scratch);
}

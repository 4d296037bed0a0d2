/* Family attention_i8 with AVX-VNNI. The algorithm stands in attention_i8_frame_int.h. */
#include "kernel/simd/words_avx2.h"

enum { AT_VECTORS = 1 };

typedef wvec at_signed;
INLINE at_signed at_signed_of(wvec w) { return w; }
INLINE void at_dot(ivec *sum, wvec x, at_signed w) {
  for (int i = 0; i < 2; i++)
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum->h[i]) : "x"(x.h[i]), "x"(w.h[i]));
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

void sumi_attention_i8_avxvnni(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch) {
  at_run(a, q0, q1, scratch);
}

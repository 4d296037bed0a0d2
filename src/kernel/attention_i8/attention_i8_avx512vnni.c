/* Family attention_i8 with AVX-512 VNNI. The algorithm stands in attention_i8_frame_int.h. */
#include "kernel/simd/words_avx512.h"

enum { AT_VECTORS = 4 };

typedef wvec at_signed;
INLINE at_signed at_signed_of(wvec w) { return w; }
/* The instruction itself: around the intrinsic gcc 12 copies sums from register to register. */
INLINE void at_dot(ivec *sum, wvec x, at_signed w) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w));
}
INLINE fvec at_max(fvec a, fvec b) { return _mm512_max_ps(a, b); }
INLINE fvec at_whole(fvec v) {
  return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE fvec at_power(fvec v, fvec n) { return _mm512_scalef_ps(v, n); }

#include "kernel/attention_i8/attention_i8_frame_int.h"

void sumi_attention_i8_avx512vnni(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch) {
  at_run(a, q0, q1, scratch);
}

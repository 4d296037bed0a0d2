/* The vocabulary of simd/ref.h in AVX2: 8 lanes. */
#ifndef SUMI_KERNEL_SIMD_AVX2_H
#define SUMI_KERNEL_SIMD_AVX2_H

#include <immintrin.h>
#include <stdint.h>

enum { LANES = 8 };
#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 8")
typedef __m256 vec;
typedef __m256i mask;

INLINE int v_bound(int64_t a) { return (int)(a < 0 ? 0 : a > LANES ? LANES : a); }
INLINE mask v_mask(int64_t a, int64_t b) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(v_bound(a)), lane),
                             _mm256_cmpgt_epi32(_mm256_set1_epi32(v_bound(b)), lane));
}
INLINE vec v_set(float x) { return _mm256_set1_ps(x); }
INLINE vec v_load(mask m, const float *p) { return _mm256_maskload_ps(p, m); }
INLINE vec v_load_or(mask m, const float *p, vec v) {
  return _mm256_blendv_ps(v, _mm256_maskload_ps(p, m), _mm256_castsi256_ps(m));
}
INLINE vec v_gather(mask m, const float *p, const int32_t *at) {
  return _mm256_mask_i32gather_ps(_mm256_setzero_ps(), p, _mm256_maskload_epi32(at, m),
                                  _mm256_castsi256_ps(m), 4);
}
INLINE void v_store(int64_t n, float *p, vec v) {
  if (n == LANES)
    _mm256_storeu_ps(p, v);
  else
    _mm256_maskstore_ps(p, v_mask(0, n), v);
}
INLINE vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }
INLINE vec v_max_nan(vec a, vec b) {
  return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}
INLINE vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE float v_sum(vec a) {
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
INLINE vec v_fours(vec v) { return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8)); }
INLINE vec v_even(vec a, vec b) { return v_fours(_mm256_shuffle_ps(a, b, 0x88)); }
INLINE vec v_odd(vec a, vec b) { return v_fours(_mm256_shuffle_ps(a, b, 0xdd)); }

#endif

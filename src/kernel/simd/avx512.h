/* The vocabulary of simd/ref.h in AVX-512: 16 lanes, masks in mask registers. */
#ifndef SUMI_KERNEL_SIMD_AVX512_H
#define SUMI_KERNEL_SIMD_AVX512_H

#include <immintrin.h>
#include <stdint.h>

enum { LANES = 16 };
#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 8")
typedef __m512 vec;
typedef __mmask16 mask;

/* The lowest n bits, n cut to [0, 16]. */
INLINE unsigned v_bits(int64_t n) { return n <= 0 ? 0 : n >= LANES ? 0xffffu : 0xffffu >> (LANES - n); }
INLINE mask v_mask(int64_t a, int64_t b) { return (mask)(v_bits(b) & ~v_bits(a)); }
INLINE vec v_set(float x) { return _mm512_set1_ps(x); }
INLINE vec v_load(mask m, const float *p) { return _mm512_maskz_loadu_ps(m, p); }
INLINE vec v_load_or(mask m, const float *p, vec v) { return _mm512_mask_loadu_ps(v, m, p); }
INLINE vec v_gather(mask m, const float *p, const int32_t *at) {
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), m, _mm512_maskz_loadu_epi32(m, at), p, 4);
}
INLINE void v_store(int64_t n, float *p, vec v) { _mm512_mask_storeu_ps(p, v_mask(0, n), v); }
INLINE vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
INLINE vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }
INLINE vec v_max_nan(vec a, vec b) {
  return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}
INLINE vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
INLINE float v_sum(vec a) { return _mm512_reduce_add_ps(a); }
INLINE vec v_even(vec a, vec b) {
  const __m512i from = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_ps(a, from, b);
}
INLINE vec v_odd(vec a, vec b) {
  const __m512i from = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return _mm512_permutex2var_ps(a, from, b);
}

#endif

/* 16 words of four bytes in AVX-512: what the families on 8-bit lanes are written in. words_avx2.h means the same.
 *
 *   wvec               16 words of 32 bits          fvec, ivec         16 floats, 16 integers
 *   w_load(n, p)       p[j] for j < n, else 0       w_store(n, p, w)   p[j] = w[j] for j < n; nothing else is touched
 *   w_all(p)           p[0 .. 15]                   w_four(p)          p[0 .. 3] in every quad; quad j: words 4 j .. 4 j + 3
 *   w_take(q, p, w)    w with the lanes of piece q replaced by p[q->at ..]               w_put(q, p, w)   and back
 *   w_set(u)           u in every word              w_xor, w_and, w_max, w_min (of unsigned bytes)
 *   w_even, w_odd      bytes 0 and 2, 1 and 3 as 16 bits; w_add16, w_add32; i_half(w, i): half i as 32 bits; i_sum: of all
 *   f_load, f_store, f_set, f_four, f_of(ivec), f_sub, f_mul, f_div; f_fma(a, b, c) = a * b + c
 *   f_byte(w, c)       byte c of every word         f_row(p)           bytes p[0 .. 15]
 *   f_inverse(s, by)   by / s where that is a normal number, else NaN
 *   f_low(v)           v held to at most 2^30, NaN stays;    f_held(v)   also to at least -2^30, NaN becomes 0
 *   i_round(v)         to nearest even; INT32_MIN where that does not fit
 *   i_sure(a, b)       whether a = b and a is not INT32_MIN, in all lanes
 *   w_pairs(a, b)      what w_join adds: 16-bit a and b
 *   w_stack(v, z01, z23)  byte i of word 4 j + k: v[k][4 j + i] + zero of k, saturated to 0 .. 255; v held to 16 bits before
 *   w_turn(w)          byte i of word k of a quad and byte k of word i change places;   w_join: w_turn(w_stack)
 *   w_zip(v)           byte i of word c of quad j of v[k] becomes byte c of word k of quad j of v[i]
 *   i_bytes(v, zero, p)   p[j] = v[j] + zero[j], saturated to 0 .. 255, for 16 bytes
 *   w_transpose(v)     word i of v[k]'s quad j and word k of v[i]'s change places
 *   w_weave(p, step)   byte c of word j is p[c * step + j];       w_unweave(w, p)    p[16 c + j] = byte c of word j
 *   t_load(table)      256 bytes;                   t_look(t, w)       every byte b of w becomes table[b] */
#ifndef SUMI_KERNEL_SIMD_WORDS_AVX512_H
#define SUMI_KERNEL_SIMD_WORDS_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/simd/inline.h"
#include "tensor/layout.h"

enum { WORDS = 16 };
typedef __m512i wvec;
typedef __m512i ivec;
typedef __m512 fvec;

INLINE __mmask16 w_mask(int64_t n) { return (__mmask16)(n >= WORDS ? 0xffffu : (1u << n) - 1); }
INLINE wvec w_load(int64_t n, const uint32_t *p) { return _mm512_maskz_loadu_epi32(w_mask(n), p); }
INLINE wvec w_all(const void *p) { return _mm512_loadu_si512(p); }
INLINE wvec w_four(const void *p) { return _mm512_broadcast_i32x4(_mm_loadu_si128(p)); }
INLINE void w_store(int64_t n, uint32_t *p, wvec w) { _mm512_mask_storeu_epi32(p, w_mask(n), w); }
INLINE wvec w_take(const struct sumi_lane_piece *q, const uint32_t *p, wvec w) {
  return _mm512_mask_expand_epi32(w, q->mask, _mm512_maskz_loadu_epi32(w_mask(q->n), p + q->at));
}
INLINE void w_put(const struct sumi_lane_piece *q, uint32_t *p, wvec w) {
  _mm512_mask_storeu_epi32(p + q->at, w_mask(q->n), _mm512_maskz_compress_epi32(q->mask, w));
}
INLINE wvec w_set(uint32_t u) { return _mm512_set1_epi32((int32_t)u); }
INLINE wvec w_xor(wvec a, wvec b) { return _mm512_xor_si512(a, b); }
INLINE wvec w_and(wvec a, wvec b) { return _mm512_and_si512(a, b); }
INLINE wvec w_max(wvec a, wvec b) { return _mm512_max_epu8(a, b); }
INLINE wvec w_min(wvec a, wvec b) { return _mm512_min_epu8(a, b); }

INLINE wvec w_even(wvec w) { return _mm512_and_si512(w, _mm512_set1_epi16(255)); }
INLINE wvec w_odd(wvec w) { return _mm512_srli_epi16(w, 8); }
INLINE wvec w_add16(wvec a, wvec b) { return _mm512_add_epi16(a, b); }
INLINE wvec w_add32(wvec a, wvec b) { return _mm512_add_epi32(a, b); }
INLINE ivec i_half(wvec w, const int i) {
  return i ? _mm512_srli_epi32(w, 16) : _mm512_and_si512(w, _mm512_set1_epi32(65535));
}
INLINE int32_t i_sum(ivec v) { return _mm512_reduce_add_epi32(v); }

INLINE fvec f_set(float x) { return _mm512_set1_ps(x); }
INLINE fvec f_load(int64_t n, const float *p) { return _mm512_maskz_loadu_ps(w_mask(n), p); }
INLINE void f_store(int64_t n, float *p, fvec f) { _mm512_mask_storeu_ps(p, w_mask(n), f); }
INLINE fvec f_sub(fvec a, fvec b) { return _mm512_sub_ps(a, b); }
INLINE fvec f_mul(fvec a, fvec b) { return _mm512_mul_ps(a, b); }
INLINE fvec f_div(fvec a, fvec b) { return _mm512_div_ps(a, b); }
INLINE fvec f_fma(fvec a, fvec b, fvec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE fvec f_four(const float *p) { return _mm512_broadcast_f32x4(_mm_loadu_ps(p)); }
INLINE fvec f_of(ivec v) { return _mm512_cvtepi32_ps(v); }
INLINE fvec f_byte(wvec w, const int c) {
  if (c > 0) w = _mm512_srli_epi32(w, 8 * (unsigned)c);
  if (c < 3) w = _mm512_and_si512(w, _mm512_set1_epi32(255));
  return _mm512_cvtepi32_ps(w);
}
INLINE fvec f_row(const uint8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
INLINE fvec f_inverse(fvec s, float by) {
  const fvec r = _mm512_div_ps(_mm512_set1_ps(by), s), a = _mm512_abs_ps(r);
  const __mmask16 low = _mm512_cmp_ps_mask(a, _mm512_set1_ps(0x1p-126f), _CMP_GE_OQ);
  const __mmask16 normal = _mm512_mask_cmp_ps_mask(low, a, _mm512_set1_ps(0x1p126f), _CMP_LE_OQ);
  return _mm512_mask_mov_ps(_mm512_set1_ps(__builtin_nanf("")), normal, r);
}
INLINE fvec f_low(fvec f) { return _mm512_min_ps(_mm512_set1_ps(0x1p30f), f); }
INLINE fvec f_held(fvec f) {
  const __mmask16 number = _mm512_cmp_ps_mask(f, f, _CMP_ORD_Q);
  return _mm512_maskz_max_ps(number, _mm512_set1_ps(-0x1p30f), f_low(f));
}
INLINE ivec i_round(fvec f) {
  return _mm512_cvt_roundps_epi32(f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE bool i_sure(ivec a, ivec b) {
  const __mmask16 same = _mm512_cmpeq_epi32_mask(a, b);
  return _mm512_mask_cmpneq_epi32_mask(same, a, _mm512_set1_epi32(INT32_MIN)) == 0xffff;
}

INLINE wvec w_pairs(float a, float b) {
  const int64_t x = (uint16_t)(int16_t)a * 0x0001000100010001, y = (uint16_t)(int16_t)b * 0x0001000100010001;
  return _mm512_set_epi64(y, x, y, x, y, x, y, x);
}
/* Byte i of word k of each quad and byte k of word i change places. */
INLINE wvec w_turn(wvec w) {
  const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_shuffle_epi8(w, _mm512_broadcast_i32x4(turn));
}
INLINE wvec w_stack(const ivec *v, wvec z01, wvec z23) {
  const wvec a = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), z01);
  const wvec b = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), z23);
  return _mm512_packus_epi16(a, b);
}
INLINE wvec w_join(const ivec *v, wvec z01, wvec z23) { return w_turn(w_stack(v, z01, z23)); }
INLINE void w_zip(wvec *v) {
  const wvec a = _mm512_unpacklo_epi8(v[0], v[1]), b = _mm512_unpackhi_epi8(v[0], v[1]);
  const wvec c = _mm512_unpacklo_epi8(v[2], v[3]), d = _mm512_unpackhi_epi8(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi16(a, c), v[1] = _mm512_unpackhi_epi16(a, c);
  v[2] = _mm512_unpacklo_epi16(b, d), v[3] = _mm512_unpackhi_epi16(b, d);
}
INLINE void i_bytes(ivec v, ivec zero, uint8_t *p) {
  const ivec above = _mm512_max_epi32(v, _mm512_sub_epi32(_mm512_setzero_si512(), zero));
  _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(_mm512_add_epi32(above, zero)));
}
INLINE void w_transpose(wvec *v) {
  const wvec a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpacklo_epi32(v[2], v[3]);
  const wvec c = _mm512_unpackhi_epi32(v[0], v[1]), d = _mm512_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi64(a, b), v[1] = _mm512_unpackhi_epi64(a, b);
  v[2] = _mm512_unpacklo_epi64(c, d), v[3] = _mm512_unpackhi_epi64(c, d);
}

INLINE wvec w_quads(wvec w) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), w);
}
INLINE wvec w_weave(const uint8_t *p, int64_t step) {
  wvec w = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
  w = _mm512_inserti32x4(w, _mm_loadu_si128((const __m128i *)(p + step)), 1);
  w = _mm512_inserti32x4(w, _mm_loadu_si128((const __m128i *)(p + 2 * step)), 2);
  w = _mm512_inserti32x4(w, _mm_loadu_si128((const __m128i *)(p + 3 * step)), 3);
  return w_turn(w_quads(w));
}
INLINE void w_unweave(wvec w, uint8_t *p) { _mm512_storeu_si512(p, w_quads(w_turn(w))); }

/* A table is 128 halves of two bytes in four registers: a half is found by the upper seven bits of a byte and shifted by
 * its lowest. */
typedef struct {
  wvec part[4];
} table256;
INLINE table256 t_load(const uint8_t *table) {
  table256 t;
  UNROLL for (int i = 0; i < 4; i++) t.part[i] = _mm512_loadu_si512(table + 64 * i);
  return t;
}
/* Halves of one byte each. */
INLINE wvec t_find(const table256 *t, wvec v) {
  const wvec at = _mm512_srli_epi16(v, 1);
  const __mmask32 upper = _mm512_test_epi16_mask(v, _mm512_set1_epi16(128));
  const wvec low = _mm512_permutex2var_epi16(t->part[0], at, t->part[1]);
  const wvec pair = _mm512_mask_mov_epi16(low, upper, _mm512_permutex2var_epi16(t->part[2], at, t->part[3]));
  return _mm512_srlv_epi16(pair, _mm512_slli_epi16(_mm512_and_si512(v, _mm512_set1_epi16(1)), 3));
}
INLINE wvec t_look(const table256 *t, wvec w) {
  const wvec byte = _mm512_set1_epi16(255);
  const wvec even = t_find(t, _mm512_and_si512(w, byte)), odd = t_find(t, _mm512_srli_epi16(w, 8));
  return _mm512_or_si512(_mm512_and_si512(even, byte), _mm512_slli_epi16(odd, 8));
}

#endif

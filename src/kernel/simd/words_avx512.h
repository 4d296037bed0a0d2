/* 16 words of four bytes in AVX-512: what the families on 8-bit lanes are written in. words_avx2.h means the same.
 *
 *   words              16 words of 32 bits          floats, ints       16 numbers of 32 bits
 *   w_load(n, p)       p[j] for j < n, else 0       w_store(n, p, w)   p[j] = w[j] for j < n; nothing else is touched
 *   w_take(q, p, w)    w with the lanes of piece q replaced by p[q->at ..]               w_put(q, p, w)   and back
 *   w_set(u)           u in every word              w_xor, w_and, w_max, w_min (of unsigned bytes)
 *   f_load, f_store, f_set, f_sub, f_mul, f_div; f_fma(a, b, c) = a * b + c
 *   f_byte(w, c)       byte c of every word         f_row(p)           bytes p[0 .. 15]
 *   f_inverse(s, by)   by / s where that is a normal number, else NaN
 *   f_low(v)           v held to at most 2^30, NaN stays;    f_held(v)   also to at least -2^30, NaN becomes 0
 *   i_round(v)         to nearest even; INT32_MIN where that does not fit
 *   i_sure(a, b)       whether a = b and a is not INT32_MIN, in all lanes
 *   w_pairs(a, b)      what w_join adds: 16-bit a and b
 *   w_join(v, z01, z23)   byte c of word j: v[c][j] + zero of c, saturated to 0 .. 255; v held to 16 bits before
 *   i_bytes(v, zero, p)   p[j] = v[j] + zero[j], saturated to 0 .. 255, for 16 bytes
 *   w_transpose(v)     word i of v[k]'s quad j and word k of v[i]'s change places; quad j: words 4 j .. 4 j + 3
 *   w_weave(p, step)   byte c of word j is p[c * step + j];       w_unweave(w, p)    p[16 c + j] = byte c of word j
 *   t_load(table)      256 bytes;                   t_look(t, w)       every byte b of w becomes table[b] */
#ifndef SUMI_KERNEL_SIMD_WORDS_AVX512_H
#define SUMI_KERNEL_SIMD_WORDS_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "tensor/layout.h"

enum { WORDS = 16 };
#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("GCC unroll 16")
typedef __m512i words;
typedef __m512i ints;
typedef __m512 floats;

INLINE __mmask16 w_mask(int64_t n) { return (__mmask16)(n >= WORDS ? 0xffffu : (1u << n) - 1); }
INLINE words w_load(int64_t n, const uint32_t *p) { return _mm512_maskz_loadu_epi32(w_mask(n), p); }
INLINE void w_store(int64_t n, uint32_t *p, words w) { _mm512_mask_storeu_epi32(p, w_mask(n), w); }
INLINE words w_take(const struct sumi_lane_piece *q, const uint32_t *p, words w) {
  return _mm512_mask_expand_epi32(w, q->mask, _mm512_maskz_loadu_epi32(w_mask(q->n), p + q->at));
}
INLINE void w_put(const struct sumi_lane_piece *q, uint32_t *p, words w) {
  _mm512_mask_storeu_epi32(p + q->at, w_mask(q->n), _mm512_maskz_compress_epi32(q->mask, w));
}
INLINE words w_set(uint32_t u) { return _mm512_set1_epi32((int32_t)u); }
INLINE words w_xor(words a, words b) { return _mm512_xor_si512(a, b); }
INLINE words w_and(words a, words b) { return _mm512_and_si512(a, b); }
INLINE words w_max(words a, words b) { return _mm512_max_epu8(a, b); }
INLINE words w_min(words a, words b) { return _mm512_min_epu8(a, b); }

INLINE floats f_set(float x) { return _mm512_set1_ps(x); }
INLINE floats f_load(int64_t n, const float *p) { return _mm512_maskz_loadu_ps(w_mask(n), p); }
INLINE void f_store(int64_t n, float *p, floats f) { _mm512_mask_storeu_ps(p, w_mask(n), f); }
INLINE floats f_sub(floats a, floats b) { return _mm512_sub_ps(a, b); }
INLINE floats f_mul(floats a, floats b) { return _mm512_mul_ps(a, b); }
INLINE floats f_div(floats a, floats b) { return _mm512_div_ps(a, b); }
INLINE floats f_fma(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }
INLINE floats f_byte(words w, const int c) {
  if (c > 0) w = _mm512_srli_epi32(w, 8 * (unsigned)c);
  if (c < 3) w = _mm512_and_si512(w, _mm512_set1_epi32(255));
  return _mm512_cvtepi32_ps(w);
}
INLINE floats f_row(const uint8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
INLINE floats f_inverse(floats s, float by) {
  const floats r = _mm512_div_ps(_mm512_set1_ps(by), s), a = _mm512_abs_ps(r);
  const __mmask16 low = _mm512_cmp_ps_mask(a, _mm512_set1_ps(0x1p-126f), _CMP_GE_OQ);
  const __mmask16 normal = _mm512_mask_cmp_ps_mask(low, a, _mm512_set1_ps(0x1p126f), _CMP_LE_OQ);
  return _mm512_mask_mov_ps(_mm512_set1_ps(__builtin_nanf("")), normal, r);
}
INLINE floats f_low(floats f) { return _mm512_min_ps(_mm512_set1_ps(0x1p30f), f); }
INLINE floats f_held(floats f) {
  const __mmask16 number = _mm512_cmp_ps_mask(f, f, _CMP_ORD_Q);
  return _mm512_maskz_max_ps(number, _mm512_set1_ps(-0x1p30f), f_low(f));
}
INLINE ints i_round(floats f) {
  return _mm512_cvt_roundps_epi32(f, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE bool i_sure(ints a, ints b) {
  const __mmask16 same = _mm512_cmpeq_epi32_mask(a, b);
  return _mm512_mask_cmpneq_epi32_mask(same, a, _mm512_set1_epi32(INT32_MIN)) == 0xffff;
}

INLINE words w_pairs(float a, float b) {
  const int64_t x = (uint16_t)(int16_t)a * 0x0001000100010001, y = (uint16_t)(int16_t)b * 0x0001000100010001;
  return _mm512_set_epi64(y, x, y, x, y, x, y, x);
}
/* Byte i of word k of each quad and byte k of word i change places. */
INLINE words w_turn(words w) {
  const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_shuffle_epi8(w, _mm512_broadcast_i32x4(turn));
}
INLINE words w_join(const ints *v, words z01, words z23) {
  const words a = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), z01);
  const words b = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), z23);
  return w_turn(_mm512_packus_epi16(a, b));
}
INLINE void i_bytes(ints v, ints zero, uint8_t *p) {
  const ints above = _mm512_max_epi32(v, _mm512_sub_epi32(_mm512_setzero_si512(), zero));
  _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(_mm512_add_epi32(above, zero)));
}
INLINE void w_transpose(words *v) {
  const words a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpacklo_epi32(v[2], v[3]);
  const words c = _mm512_unpackhi_epi32(v[0], v[1]), d = _mm512_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi64(a, b), v[1] = _mm512_unpackhi_epi64(a, b);
  v[2] = _mm512_unpacklo_epi64(c, d), v[3] = _mm512_unpackhi_epi64(c, d);
}

INLINE words w_quads(words w) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), w);
}
INLINE words w_weave(const uint8_t *p, int64_t step) {
  words w = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
  w = _mm512_inserti32x4(w, _mm_loadu_si128((const __m128i *)(p + step)), 1);
  w = _mm512_inserti32x4(w, _mm_loadu_si128((const __m128i *)(p + 2 * step)), 2);
  w = _mm512_inserti32x4(w, _mm_loadu_si128((const __m128i *)(p + 3 * step)), 3);
  return w_turn(w_quads(w));
}
INLINE void w_unweave(words w, uint8_t *p) { _mm512_storeu_si512(p, w_quads(w_turn(w))); }

/* A table is 128 halves of two bytes in four registers: a half is found by the upper seven bits of a byte and shifted by
 * its lowest. */
typedef struct {
  words part[4];
} table256;
INLINE table256 t_load(const uint8_t *table) {
  table256 t;
  UNROLL for (int i = 0; i < 4; i++) t.part[i] = _mm512_loadu_si512(table + 64 * i);
  return t;
}
/* Halves of one byte each. */
INLINE words t_find(const table256 *t, words v) {
  const words at = _mm512_srli_epi16(v, 1);
  const __mmask32 upper = _mm512_test_epi16_mask(v, _mm512_set1_epi16(128));
  const words low = _mm512_permutex2var_epi16(t->part[0], at, t->part[1]);
  const words pair = _mm512_mask_mov_epi16(low, upper, _mm512_permutex2var_epi16(t->part[2], at, t->part[3]));
  return _mm512_srlv_epi16(pair, _mm512_slli_epi16(_mm512_and_si512(v, _mm512_set1_epi16(1)), 3));
}
INLINE words t_look(const table256 *t, words w) {
  const words byte = _mm512_set1_epi16(255);
  const words even = t_find(t, _mm512_and_si512(w, byte)), odd = t_find(t, _mm512_srli_epi16(w, 8));
  return _mm512_or_si512(_mm512_and_si512(even, byte), _mm512_slli_epi16(odd, 8));
}

#endif

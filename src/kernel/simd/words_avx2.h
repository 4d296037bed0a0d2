/* The vocabulary of words_avx512.h in AVX2: 16 words in two halves. */
#ifndef SUMI_KERNEL_SIMD_WORDS_AVX2_H
#define SUMI_KERNEL_SIMD_WORDS_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/simd/inline.h"
#include "tensor/layout.h"

enum { WORDS = 16 };
typedef struct {
  __m256i h[2];
} wvec;
typedef wvec ivec;
typedef struct {
  __m256 h[2];
} fvec;

#define HALVES UNROLL for (int i = 0; i < 2; i++)
/* Defines name(a, b) of two values of a type by the instruction for one half. */
#define TWO(type, name, instruction)             \
  INLINE type name(type a, type b) {             \
    HALVES a.h[i] = instruction(a.h[i], b.h[i]); \
    return a;                                    \
  }
TWO(wvec, w_xor, _mm256_xor_si256)
TWO(wvec, w_and, _mm256_and_si256)
TWO(wvec, w_max, _mm256_max_epu8)
TWO(wvec, w_min, _mm256_min_epu8)
TWO(wvec, w_add16, _mm256_add_epi16)
TWO(wvec, w_add32, _mm256_add_epi32)
TWO(fvec, f_sub, _mm256_sub_ps)
TWO(fvec, f_mul, _mm256_mul_ps)
TWO(fvec, f_div, _mm256_div_ps)
#undef TWO

/* The lanes of half i that lie in [a, b). */
INLINE __m256i w_half(int i, int64_t a, int64_t b) {
  const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(8 * i));
  return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)a), lane),
                             _mm256_cmpgt_epi32(_mm256_set1_epi32((int)b), lane));
}
INLINE wvec w_set(uint32_t u) {
  wvec w;
  HALVES w.h[i] = _mm256_set1_epi32((int32_t)u);
  return w;
}
INLINE wvec w_load(int64_t n, const uint32_t *p) {
  wvec w;
  if (n >= WORDS)
    HALVES w.h[i] = _mm256_loadu_si256((const __m256i *)(p + 8 * i));
  else
    HALVES w.h[i] = _mm256_maskload_epi32((const int *)p + 8 * i, w_half(i, 0, n));
  return w;
}
INLINE wvec w_all(const void *p) {
  wvec w;
  HALVES w.h[i] = _mm256_loadu_si256((const __m256i *)p + i);
  return w;
}
INLINE wvec w_four(const void *p) {
  wvec w;
  HALVES w.h[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(p));
  return w;
}
INLINE void w_store(int64_t n, uint32_t *p, wvec w) {
  if (n >= WORDS)
    HALVES _mm256_storeu_si256((__m256i *)(p + 8 * i), w.h[i]);
  else
    HALVES _mm256_maskstore_epi32((int *)p + 8 * i, w_half(i, 0, n), w.h[i]);
}
/* A piece whose lanes are neighbours is moved as a whole; others word by word. */
INLINE wvec w_take(const struct sumi_lane_piece *q, const uint32_t *p, wvec w) {
  const int first = __builtin_ctz(q->mask);
  if ((q->mask >> first) == (1 << q->n) - 1) {
    const int *const from = (const int *)p + q->at - first;
    HALVES {
      const __m256i m = w_half(i, first, first + q->n);
      w.h[i] = _mm256_blendv_epi8(w.h[i], _mm256_maskload_epi32(from + 8 * i, m), m);
    }
    return w;
  }
  uint32_t word[WORDS];
  w_store(WORDS, word, w);
  p += q->at;
  for (unsigned rest = q->mask; rest; rest &= rest - 1) word[__builtin_ctz(rest)] = *p++;
  return w_load(WORDS, word);
}
INLINE void w_put(const struct sumi_lane_piece *q, uint32_t *p, wvec w) {
  const int first = __builtin_ctz(q->mask);
  if ((q->mask >> first) == (1 << q->n) - 1) {
    int *const to = (int *)p + q->at - first;
    HALVES _mm256_maskstore_epi32(to + 8 * i, w_half(i, first, first + q->n), w.h[i]);
    return;
  }
  uint32_t word[WORDS];
  w_store(WORDS, word, w);
  p += q->at;
  for (unsigned rest = q->mask; rest; rest &= rest - 1) *p++ = word[__builtin_ctz(rest)];
}

INLINE wvec w_even(wvec w) {
  HALVES w.h[i] = _mm256_and_si256(w.h[i], _mm256_set1_epi16(255));
  return w;
}
INLINE wvec w_odd(wvec w) {
  HALVES w.h[i] = _mm256_srli_epi16(w.h[i], 8);
  return w;
}
INLINE ivec i_half(wvec w, const int upper) {
  HALVES w.h[i] = upper ? _mm256_srli_epi32(w.h[i], 16) : _mm256_and_si256(w.h[i], _mm256_set1_epi32(65535));
  return w;
}
INLINE int32_t i_sum(ivec v) {
  const __m256i a = _mm256_add_epi32(v.h[0], v.h[1]);
  const __m128i b = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  const __m128i c = _mm_add_epi32(b, _mm_unpackhi_epi64(b, b));
  return _mm_cvtsi128_si32(_mm_add_epi32(c, _mm_srli_epi64(c, 32)));
}

INLINE fvec f_set(float x) {
  fvec f;
  HALVES f.h[i] = _mm256_set1_ps(x);
  return f;
}
INLINE fvec f_load(int64_t n, const float *p) {
  fvec f;
  if (n >= WORDS)
    HALVES f.h[i] = _mm256_loadu_ps(p + 8 * i);
  else
    HALVES f.h[i] = _mm256_maskload_ps(p + 8 * i, w_half(i, 0, n));
  return f;
}
INLINE void f_store(int64_t n, float *p, fvec f) {
  if (n >= WORDS)
    HALVES _mm256_storeu_ps(p + 8 * i, f.h[i]);
  else
    HALVES _mm256_maskstore_ps(p + 8 * i, w_half(i, 0, n), f.h[i]);
}
INLINE fvec f_fma(fvec a, fvec b, fvec c) {
  HALVES a.h[i] = _mm256_fmadd_ps(a.h[i], b.h[i], c.h[i]);
  return a;
}
INLINE fvec f_four(const float *p) {
  fvec f;
  HALVES f.h[i] = _mm256_broadcast_ps((const __m128 *)p);
  return f;
}
INLINE fvec f_of(ivec v) {
  fvec f;
  HALVES f.h[i] = _mm256_cvtepi32_ps(v.h[i]);
  return f;
}
INLINE fvec f_byte(wvec w, const int c) {
  fvec f;
  HALVES {
    __m256i v = w.h[i];
    if (c > 0) v = _mm256_srli_epi32(v, 8 * c);
    if (c < 3) v = _mm256_and_si256(v, _mm256_set1_epi32(255));
    f.h[i] = _mm256_cvtepi32_ps(v);
  }
  return f;
}
INLINE fvec f_row(const uint8_t *p) {
  fvec f;
  HALVES f.h[i] = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8 * i))));
  return f;
}
INLINE fvec f_inverse(fvec s, float by) {
  fvec r;
  HALVES {
    r.h[i] = _mm256_div_ps(_mm256_set1_ps(by), s.h[i]);
    const __m256 a = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), r.h[i]);
    const __m256 normal = _mm256_and_ps(_mm256_cmp_ps(a, _mm256_set1_ps(0x1p-126f), _CMP_GE_OQ),
                                        _mm256_cmp_ps(a, _mm256_set1_ps(0x1p126f), _CMP_LE_OQ));
    r.h[i] = _mm256_blendv_ps(_mm256_set1_ps(__builtin_nanf("")), r.h[i], normal);
  }
  return r;
}
INLINE fvec f_low(fvec f) {
  HALVES f.h[i] = _mm256_min_ps(_mm256_set1_ps(0x1p30f), f.h[i]);
  return f;
}
INLINE fvec f_held(fvec f) {
  HALVES {
    const __m256 number = _mm256_cmp_ps(f.h[i], f.h[i], _CMP_ORD_Q);
    const __m256 low = _mm256_min_ps(_mm256_set1_ps(0x1p30f), f.h[i]);
    f.h[i] = _mm256_and_ps(number, _mm256_max_ps(_mm256_set1_ps(-0x1p30f), low));
  }
  return f;
}
INLINE ivec i_round(fvec f) {
  ivec v;
  HALVES v.h[i] = _mm256_cvtps_epi32(_mm256_round_ps(f.h[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  return v;
}
INLINE bool i_sure(ivec a, ivec b) {
  __m256i sure = _mm256_set1_epi32(-1);
  HALVES sure =
      _mm256_and_si256(sure, _mm256_andnot_si256(_mm256_cmpeq_epi32(a.h[i], _mm256_set1_epi32(INT32_MIN)),
                                                 _mm256_cmpeq_epi32(a.h[i], b.h[i])));
  return _mm256_movemask_epi8(sure) == -1;
}

INLINE wvec w_pairs(float a, float b) {
  const int64_t x = (uint16_t)(int16_t)a * 0x0001000100010001, y = (uint16_t)(int16_t)b * 0x0001000100010001;
  wvec w;
  HALVES w.h[i] = _mm256_set_epi64x(y, x, y, x);
  return w;
}
INLINE wvec w_turn(wvec w) {
  const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  HALVES w.h[i] = _mm256_shuffle_epi8(w.h[i], _mm256_broadcastsi128_si256(turn));
  return w;
}
INLINE wvec w_stack(const ivec *v, wvec z01, wvec z23) {
  wvec w;
  HALVES {
    const __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(v[0].h[i], v[1].h[i]), z01.h[i]);
    const __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(v[2].h[i], v[3].h[i]), z23.h[i]);
    w.h[i] = _mm256_packus_epi16(a, b);
  }
  return w;
}
INLINE wvec w_join(const ivec *v, wvec z01, wvec z23) { return w_turn(w_stack(v, z01, z23)); }
INLINE void w_zip(wvec *v) {
  HALVES {
    const __m256i a = _mm256_unpacklo_epi8(v[0].h[i], v[1].h[i]),
                  b = _mm256_unpackhi_epi8(v[0].h[i], v[1].h[i]);
    const __m256i c = _mm256_unpacklo_epi8(v[2].h[i], v[3].h[i]),
                  d = _mm256_unpackhi_epi8(v[2].h[i], v[3].h[i]);
    v[0].h[i] = _mm256_unpacklo_epi16(a, c), v[1].h[i] = _mm256_unpackhi_epi16(a, c);
    v[2].h[i] = _mm256_unpacklo_epi16(b, d), v[3].h[i] = _mm256_unpackhi_epi16(b, d);
  }
}
INLINE void i_bytes(ivec v, ivec zero, uint8_t *p) {
  const __m256i z = _mm256_packs_epi32(zero.h[0], zero.h[1]);
  const __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(v.h[0], v.h[1]), z);
  const __m256i b =
      _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, a), _mm256_setr_epi32(0, 4, 1, 5, 0, 4, 1, 5));
  _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(b));
}
INLINE void w_transpose(wvec *v) {
  HALVES {
    const __m256i a = _mm256_unpacklo_epi32(v[0].h[i], v[1].h[i]);
    const __m256i b = _mm256_unpacklo_epi32(v[2].h[i], v[3].h[i]);
    const __m256i c = _mm256_unpackhi_epi32(v[0].h[i], v[1].h[i]);
    const __m256i d = _mm256_unpackhi_epi32(v[2].h[i], v[3].h[i]);
    v[0].h[i] = _mm256_unpacklo_epi64(a, b), v[1].h[i] = _mm256_unpackhi_epi64(a, b);
    v[2].h[i] = _mm256_unpacklo_epi64(c, d), v[3].h[i] = _mm256_unpackhi_epi64(c, d);
  }
}

INLINE wvec w_weave(const uint8_t *p, int64_t step) {
  const __m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + step));
  const __m128i c = _mm_loadu_si128((const __m128i *)(p + 2 * step));
  const __m128i d = _mm_loadu_si128((const __m128i *)(p + 3 * step));
  const __m128i ab[] = {_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)};
  const __m128i cd[] = {_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d)};
  wvec w;
  HALVES w.h[i] = _mm256_setr_m128i(_mm_unpacklo_epi16(ab[i], cd[i]), _mm_unpackhi_epi16(ab[i], cd[i]));
  return w;
}
INLINE void w_unweave(wvec w, uint8_t *p) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  w = w_turn(w);
  HALVES w.h[i] = _mm256_permutevar8x32_epi32(w.h[i], order);
  const __m256i even = _mm256_unpacklo_epi64(w.h[0], w.h[1]), odd = _mm256_unpackhi_epi64(w.h[0], w.h[1]);
  _mm256_storeu_si256((__m256i *)p, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256((__m256i *)(p + 32), _mm256_permute2x128_si256(even, odd, 0x31));
}

typedef struct {
  const uint8_t *sixteen; /* the tables are read where they lie */
} table256;
INLINE table256 t_load(const uint8_t *table) { return (table256){table}; }
/* A byte b selects table k where its upper half is k: then b ^ 16 k is below 16; else the sum has its sign bit set, for
 * which a shuffle gives 0. */
INLINE wvec t_look(const table256 *t, wvec w) {
  wvec r = w_set(0);
  UNROLL for (int k = 0; k < 16; k++) {
    const __m256i sixteen =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t->sixteen + 16 * k)));
    HALVES {
      const __m256i b = _mm256_adds_epu8(_mm256_xor_si256(w.h[i], _mm256_set1_epi8((char)(16 * k))),
                                         _mm256_set1_epi8(0x70));
      r.h[i] = _mm256_or_si256(r.h[i], _mm256_shuffle_epi8(sixteen, b));
    }
  }
  return r;
}
#undef HALVES

#endif

/* What the AVX-512 leaves of the bfloat16 loop share: the end of a tile. The sums of two rows x 16 pixels become 16 words (or
 * 2 x 16 floats), and those go where the map says. The formulas are spmm_bf16.h's. */
#ifndef SUMI_KERNEL_SPMM_BF16_AVX512_H
#define SUMI_KERNEL_SPMM_BF16_AVX512_H

#include <immintrin.h>

#include "kernel/spmm/spmm_bf16_int.h"

/* ---- words ------------------------------------------------------------------------------------------------------ */

INLINE __m512 bf16_low(__m512i word) { return _mm512_castsi512_ps(_mm512_slli_epi32(word, 16)); }
INLINE __m512 bf16_high(__m512i word) {
  return _mm512_castsi512_ps(_mm512_and_si512(word, _mm512_set1_epi32(-65536)));
}

/* Words of two bfloat16 from their values. */
#if defined(__AVX512BF16__)
INLINE __m512i bf16_pair(__m512 low, __m512 high) {
  static const _Alignas(64)
      uint16_t order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                            8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(order), (__m512i)_mm512_cvtne2ps_pbh(high, low));
}
#else
INLINE __m512i bf16_rounded(__m512 v) { /* the upper halves count */
  const __m512i u = _mm512_castps_si512(v),
                odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_mask_or_epi32(up, nan, u, _mm512_set1_epi32(0x400000));
}
INLINE __m512i bf16_pair(__m512 low, __m512 high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(bf16_rounded(low), 16), bf16_rounded(high));
}
#endif

/* ---- maps ------------------------------------------------------------------------------------------------------- */

INLINE void bf16_store(const struct sumi_lane_map *map, int64_t v, void *plane, __m512i word) {
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  for (int lowest; k < end; k++) {
    int32_t *const to = (int32_t *)plane + k->at;
    if (sumi_lane_together(k, &lowest))
      _mm512_mask_storeu_epi32(to - lowest, k->mask, word);
    else
      _mm512_mask_storeu_epi32(to, (__mmask16)((1 << k->n) - 1), _mm512_maskz_compress_epi32(k->mask, word));
  }
}

/* What bf16_store would have stored: lanes in no piece are 0. */
INLINE __m512i bf16_load(const struct sumi_lane_map *map, int64_t v, const uint32_t *plane) {
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  __m512i word = _mm512_setzero_si512();
  for (int lowest; k < end; k++) {
    const uint32_t *const from = plane + k->at;
    if (sumi_lane_together(k, &lowest))
      word = _mm512_mask_loadu_epi32(word, k->mask, from - lowest);
    else
      word = _mm512_mask_expandloadu_epi32(word, k->mask, from);
  }
  return word;
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

INLINE __m512 bf16_clamp(const struct sumi_spmm_bf16 *s, __m512 v) { /* of a NaN the second operand stays */
  return _mm512_min_ps(_mm512_set1_ps(s->hi), _mm512_max_ps(_mm512_set1_ps(s->lo), v));
}

/* Rows m and m + 1 of vector v behind the function. */
INLINE void bf16_put(const struct sumi_spmm_bf16 *s, int64_t m, int64_t v, __m512 low, __m512 high) {
  low = bf16_clamp(s, low);
  high = bf16_clamp(s, high);
  if (s->y_f32) {
    bf16_store(s->map, v, s->y_f32 + m * s->y_row, _mm512_castps_si512(low));
    if (m + 1 < s->rows) bf16_store(s->map, v, s->y_f32 + (m + 1) * s->y_row, _mm512_castps_si512(high));
    return;
  }
  if (m + 1 == s->rows) high = _mm512_setzero_ps();
  bf16_store(s->map, v, s->y + m / BF16_WORD_ROWS * s->y_group, bf16_pair(low, high));
}

/* An even number of rows from m on from their sums [i * stride + lane], 64-byte aligned; sum is overwritten. */
static __attribute__((noinline)) void bf16_finish(const struct sumi_spmm_bf16 *s, int64_t m, int64_t v,
                                                  int rows, float *sum, int64_t stride) {
  for (int i = 0; i < rows; i += BF16_WORD_ROWS) {
    float *const own = sum + i * stride;
    __m512 low = _mm512_add_ps(_mm512_load_ps(own), _mm512_set1_ps(s->bias[m + i]));
    __m512 high = _mm512_add_ps(_mm512_load_ps(own + stride), _mm512_set1_ps(s->bias[m + i + 1]));
    if (s->r) {
      const __m512i r = bf16_load(s->r_map, v, s->r + (m + i) / BF16_WORD_ROWS * s->r_group);
      low = _mm512_add_ps(low, bf16_low(r));
      high = _mm512_add_ps(high, bf16_high(r));
    }
    if (s->act) {
      _mm512_store_ps(own, low);
      _mm512_store_ps(own + stride, high);
      s->act(own, own, BF16_VECTOR, s->act_param);
      s->act(own + stride, own + stride, BF16_VECTOR, s->act_param);
      low = _mm512_load_ps(own);
      high = _mm512_load_ps(own + stride);
    }
    bf16_put(s, m + i, v, low, high);
  }
}

#endif

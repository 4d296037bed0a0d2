/* The end of a tile of the 8-bit loop with AVX2, for spmm_i8_tiles_int.h: sums of 4 rows x 16 pixels in
 * memory, 8 pixels at a time, to words. The formulas are spmm_i8.h's, to the bit. */
#ifndef SUMI_KERNEL_SPMM_I8_AVX2_H
#define SUMI_KERNEL_SPMM_I8_AVX2_H

#include <immintrin.h>

#include "kernel/spmm/spmm_i8_end.h"

enum { I8_HALF = 8 };

struct i8_end {
  const struct sumi_spmm_i8 *s;
};

INLINE struct i8_end i8_end_of(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1) {
  (void)b0, (void)b1;
  return (struct i8_end){s};
}

/* The words of a tile always go by memory. */
INLINE bool i8_quick_tile(int rows, int vectors, const struct i8_end *end, int64_t m, int64_t v,
                          const void *sum) {
  (void)rows, (void)vectors, (void)end, (void)m, (void)v, (void)sum;
  return false;
}

/* Rows of whole numbers to words of bytes v + zero. */
INLINE __m256i i8_pack(const __m256 q[I8_WORD_ROWS], float zero) {
  const __m256i order = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1,
                                         5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m256i z = _mm256_set1_epi16((short)zero);
  const __m256i ab = _mm256_packs_epi32(_mm256_cvtps_epi32(q[0]), _mm256_cvtps_epi32(q[1])),
                cd = _mm256_packs_epi32(_mm256_cvtps_epi32(q[2]), _mm256_cvtps_epi32(q[3]));
  return _mm256_shuffle_epi8(_mm256_packus_epi16(_mm256_add_epi16(ab, z), _mm256_add_epi16(cd, z)), order);
}

/* min(max(v, lo - zero), hi - zero); a NaN becomes the lower one. */
INLINE __m256 i8_clamp(__m256 v, float lo, float hi, float zero) {
  return _mm256_min_ps(_mm256_max_ps(v, _mm256_set1_ps(lo - zero)), _mm256_set1_ps(hi - zero));
}

/* A function on four rows; it sees lanes that are dropped too. */
INLINE void i8_apply(sumi_unary_fn act, const float *param, __m256 q[I8_WORD_ROWS]) {
  _Alignas(32) float v[I8_WORD_ROWS * I8_HALF];
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) _mm256_store_ps(v + i * I8_HALF, q[i]);
  act(v, v, I8_WORD_ROWS * I8_HALF, param);
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] = _mm256_load_ps(v + i * I8_HALF);
}

/* One stage on four rows of whole numbers, their zero point taken off; r: the residual's words. */
INLINE void i8_stage(const struct sumi_spmm_i8_stage *t, int64_t m, __m256i r, __m256 q[I8_WORD_ROWS]) {
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) {
    const __m256i byte = _mm256_and_si256(_mm256_srli_epi32(r, 8 * i), _mm256_set1_epi32(255));
    const __m256 less = _mm256_sub_ps(_mm256_cvtepi32_ps(byte), _mm256_set1_ps(t->r_zero));
    const __m256 v = t->add ? _mm256_set1_ps(t->add[m + i]) : _mm256_mul_ps(less, _mm256_set1_ps(t->r_mul));
    q[i] = _mm256_fmadd_ps(q[i], _mm256_set1_ps(t->mul), v);
  }
  if (t->act) {
    i8_apply(t->act, t->act_param, q);
    UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] = _mm256_mul_ps(q[i], _mm256_set1_ps(t->post));
  }
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] = i8_clamp(q[i], t->lo, t->hi, t->zero);
}

/* Rows m .. m + 3 of vector v: sums at sum[i * stride + lane], 32-byte aligned. */
INLINE void i8_finish(const struct i8_end *end, int64_t m, int64_t v, const int32_t *sum, int64_t stride) {
  const struct sumi_spmm_i8 *const s = end->s;
  if (s->y_f32) {
    i8_end_rows(s, m, v, sum, stride);
    return;
  }
  const struct sumi_spmm_i8_stage *const last = s->stage + s->n_stage;
  _Alignas(32) uint32_t word[I8_VECTOR], r[SUMI_SPMM_I8_STAGES][I8_VECTOR] = {{0}};
  for (const struct sumi_spmm_i8_stage *t = s->stage; t < last; t++)
    if (!t->add) i8_gather(s->r_map, v, t->r + m / I8_WORD_ROWS * t->r_group, r[t - s->stage]);
  for (int h = 0; h < I8_VECTOR; h += I8_HALF) {
    __m256 q[I8_WORD_ROWS];
    float zero = s->zero;
    UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) {
      const __m256 v32 = _mm256_cvtepi32_ps(_mm256_load_si256((const __m256i *)(sum + i * stride + h)));
      q[i] = _mm256_fmadd_ps(v32, _mm256_set1_ps(s->scale[m + i]),
                             _mm256_set1_ps(s->shift ? s->shift[m + i] : 0));
    }
    if (s->act) i8_apply(s->act, s->act_param, q);
    UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) {
      q[i] = i8_clamp(_mm256_mul_ps(q[i], _mm256_set1_ps(s->post)), s->lo, s->hi, zero);
    }
    for (const struct sumi_spmm_i8_stage *t = s->stage; t < last; t++) {
      UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) {
        q[i] = _mm256_round_ps(q[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
      }
      i8_stage(t, m, _mm256_load_si256((const __m256i *)(r[t - s->stage] + h)), q);
      zero = t->zero;
    }
    _mm256_store_si256((__m256i *)(word + h), i8_pack(q, zero));
  }
  if (s->table) i8_look_up(s->table, word);
  i8_scatter(s->map, v, s->y + m / I8_WORD_ROWS * s->y_group, word);
}

/* A tile's sums [rows][vectors] in memory, rows stride apart, to their end. */
static __attribute__((noinline, unused)) void i8_finish_tile(const struct i8_end *end, int64_t m, int64_t v,
                                                             int rows, int vectors, const int32_t *sum,
                                                             int64_t stride) {
  for (int i = 0; i < rows; i += I8_WORD_ROWS)
    for (int u = 0; u < vectors; u++)
      i8_finish(end, m + i, v + u, sum + i * stride + (int64_t)u * I8_VECTOR, stride);
}

#endif

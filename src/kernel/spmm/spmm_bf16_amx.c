/* spmm, bfloat16, with AMX: TDPBF16PS in the frame of spmm_amx_int.h. */
#include "kernel/spmm/spmm_bf16_avx512.h"

struct end {
  const struct sumi_spmm_bf16 *s;
};

#define AMX_LOOP struct sumi_spmm_bf16
#define AMX_END struct end
#define AMX_ROWS 2
#define AMX_PIECES 4               /* rows of 4 pixels and more */
#define AMX_RING_WORDS (160 << 10) /* 640 KiB: two panels of 3x3 windows over 512 channels */
#define AMX_PRODUCT(sum, a, b) _tile_dpbf16ps(sum, a, b)
#include "kernel/spmm/spmm_amx_int.h"

INLINE void aim_all(const struct end *end, struct done *d, const int64_t *v, int u) {
  const struct sumi_spmm_bf16 *const s = end->s;
  d->residual = s->r;
  d->quick = !s->act && s->map->order == SUMI_LANES_TOGETHER && (!s->r || s->r_map == s->map);
  d->whole = true;
  for (int i = 0; i < u; i++) {
    d->v[i] = v[i];
    d->quick = aim(s->map, v[i], &d->to[i]) && d->quick;
    d->whole = d->whole && d->to[i].mask[0] == 0xffff;
  }
}

/* Rows m and m + 1 of 16 pixels behind the clamp. r: the residual's plane, NULL = none. */
struct rows {
  __m512 low, high;
};

INLINE struct rows rows_of(const struct sumi_spmm_bf16 *s, const float *sum, const float *bias,
                           const struct target *t, const int32_t *r) {
  __m512 low = _mm512_add_ps(_mm512_load_ps(sum), _mm512_set1_ps(bias[0]));
  __m512 high = _mm512_add_ps(_mm512_load_ps(sum + BF16_VECTOR), _mm512_set1_ps(bias[1]));
  if (r) {
    __m512i word = _mm512_maskz_loadu_epi32(t->mask[0], r + t->at[0]);
    for (int k = 1; k < QUICK_PIECES && t->mask[k]; k++)
      word = _mm512_mask_loadu_epi32(word, t->mask[k], r + t->at[k]);
    low = _mm512_add_ps(low, bf16_low(word));
    high = _mm512_add_ps(high, bf16_high(word));
  }
  return (struct rows){bf16_clamp(s, low), bf16_clamp(s, high)};
}

INLINE void put_words(const struct target *t, __m512i word, void *plane) {
  int32_t *const y = plane;
  _mm512_mask_storeu_epi32(y + t->at[0], t->mask[0], word);
  for (int k = 1; k < QUICK_PIECES && t->mask[k]; k++)
    _mm512_mask_storeu_epi32(y + t->at[k], t->mask[k], word);
}

INLINE void put_rows(const struct sumi_spmm_bf16 *s, int64_t m, const struct target *t, bool whole,
                     struct rows v) {
  if (s->y_f32) {
    put_words(t, _mm512_castps_si512(v.low), s->y_f32 + m * s->y_row);
    put_words(t, _mm512_castps_si512(v.high), s->y_f32 + (m + 1) * s->y_row);
    return;
  }
  uint32_t *const y = s->y + m / BF16_WORD_ROWS * s->y_group;
  if (whole)
    _mm512_storeu_si512(y + t->at[0], bf16_pair(v.low, v.high));
  else
    put_words(t, bf16_pair(v.low, v.high), y);
}

INLINE void finish(const struct end *end, struct done *d, int pairs, int h, int u) {
  const int stop = d->next + pairs < d->end ? d->next + pairs : d->end;
  const struct sumi_spmm_bf16 *const s = end->s;
  const int64_t u_words = h * TILE_WORDS;
  for (; d->next < stop; d->next++) {
    const int64_t m = d->m + BF16_WORD_ROWS * d->next;
    float *const sum = (float *)d->sum + d->next * GROUP_WORDS;
    if (!d->quick || m + 1 == s->rows) {
      for (int i = 0; i < u; i++) bf16_finish(s, m, d->v[i], BF16_WORD_ROWS, sum + i * u_words, BF16_VECTOR);
      continue;
    }
    const int32_t *const r = d->residual ? (const int32_t *)s->r + m / BF16_WORD_ROWS * s->r_group : NULL;
    UNROLL for (int i = 0; i < u; i++)
        put_rows(s, m, &d->to[i], d->whole, rows_of(s, sum + i * u_words, s->bias + m, &d->to[i], r));
  }
}

void sumi_spmm_bf16_amx(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const struct end end = {s};
  run(&end, b0, b1, p0, p1);
}

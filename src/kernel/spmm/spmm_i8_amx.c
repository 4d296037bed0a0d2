/* spmm, 8 bits, with AMX: TDPBSUD (signed by unsigned, modulo 2^32) in the frame of spmm_amx_int.h. */
#include "kernel/spmm/spmm_i8_avx512.h"

#define AMX_LOOP struct sumi_spmm_i8
#define AMX_END struct i8_end
#define AMX_ROWS I8_WORD_ROWS
#define AMX_PIECES 2
#define AMX_RING_WORDS (80 << 10) /* 320 KiB */
#define AMX_PRODUCT(sum, a, b) _tile_dpbsud(sum, a, b)
#include "kernel/spmm/spmm_amx_int.h"

INLINE void aim_all(const struct i8_end *end, struct done *d, const int64_t *v, int u) {
  d->residual = end->residual && end->s->r_map == end->s->map;
  d->quick = (end->quick && !end->direct) || d->residual;
  d->whole = true;
  for (int i = 0; i < u; i++) {
    d->v[i] = v[i];
    d->quick = aim(end->s->map, v[i], &d->to[i]) && d->quick;
    d->whole = d->whole && d->to[i].mask[0] == 0xffff;
  }
}

/* Four rows of u vectors the long way; d->v[k] begins at sum[k * u_words]. */
static __attribute__((noinline)) void finish_any(const struct i8_end *end, int64_t m, const struct done *d,
                                                 const int32_t *sum, int64_t u_words, int u) {
  _Alignas(64) int32_t biased[MOST_U * GROUP_WORDS]; /* [4 rows][vectors that follow each other] */
  for (int k = 0, n; k < u; k += n) {
    for (n = 1; k + n < u && d->v[k + n] == d->v[k] + n;) n++;
    for (int i = 0; i < I8_WORD_ROWS; i++)
      for (int j = 0; j < n; j++) {
        const __m512i row = _mm512_load_si512(sum + (k + j) * u_words + i * I8_VECTOR);
        _mm512_store_si512(biased + (i * n + j) * I8_VECTOR,
                           _mm512_add_epi32(row, _mm512_set1_epi32(end->s->bias[m + i])));
      }
    i8_finish_tile(end, m, d->v[k], I8_WORD_ROWS, n, biased, (int64_t)n * I8_VECTOR);
  }
}

/* i8_quick and the bias; what is nothing to do is left out. */
INLINE __m512i words(const struct i8_end *end, const int32_t *sum, const int32_t *bias, const float *scale,
                     bool plain) {
  static const _Alignas(16) uint8_t order[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  __m512i q[I8_WORD_ROWS];
  UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) {
    const __m512i v = _mm512_add_epi32(_mm512_load_si512(sum + k * I8_VECTOR), _mm512_set1_epi32(bias[k]));
    q[k] = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(v), _mm512_set1_ps(scale[k])));
  }
  __m512i ab = _mm512_packs_epi32(q[0], q[1]), cd = _mm512_packs_epi32(q[2], q[3]);
  if (!plain) {
    ab = _mm512_adds_epi16(ab, _mm512_set1_epi32((int)end->zero));
    cd = _mm512_adds_epi16(cd, _mm512_set1_epi32((int)end->zero));
  }
  const __m512i w = _mm512_shuffle_epi8(_mm512_packus_epi16(ab, cd),
                                        _mm512_broadcast_i32x4(_mm_load_si128((const void *)order)));
  if (plain) return w;
  return _mm512_min_epu8(_mm512_max_epu8(w, _mm512_set1_epi32((int)end->lo)),
                         _mm512_set1_epi32((int)end->hi));
}

/* i8_finish_residual and the bias. r: the residual's plane; plain, bare: as in the adder. */
INLINE __m512i residual_words(const struct i8_end *end, const int32_t *sum, int64_t m, const int32_t *r,
                              const struct target *to, const bool plain, const bool bare) {
  const struct sumi_spmm_i8 *const s = end->s;
  __m512i q[I8_WORD_ROWS], words = _mm512_maskz_loadu_epi32(to->mask[0], r + to->at[0]);
  if (to->mask[1]) words = _mm512_mask_loadu_epi32(words, to->mask[1], r + to->at[1]);
  UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) {
    q[k] = _mm512_add_epi32(_mm512_load_si512(sum + k * I8_VECTOR), _mm512_set1_epi32(s->bias[m + k]));
  }
  return i8_added(&end->adder, plain, bare, s->scale + m, q, words);
}

/* The next groups, so many at most. */
INLINE void finish(const struct i8_end *end, struct done *d, int groups, int h, int u) {
  const int stop = d->next + groups < d->end ? d->next + groups : d->end;
  const struct sumi_spmm_i8 *const s = end->s;
  const int64_t u_words = h * TILE_WORDS;
  const bool plain = end->zero == 0 && end->lo == 0 && ~end->hi == 0;
  for (; d->next < stop; d->next++) {
    const int64_t m = d->m + I8_WORD_ROWS * d->next;
    const int32_t *const sum = d->sum + d->next * GROUP_WORDS;
    if (!d->quick) {
      finish_any(end, m, d, sum, u_words, u);
      continue;
    }
    int32_t *const plane = (int32_t *)i8_plane(s, m);
    __m512i w[MOST_U];
    if (d->residual) {
      const int32_t *const r = (const int32_t *)s->stage[0].r + m / I8_WORD_ROWS * s->stage[0].r_group;
      if (end->adder.plain && end->adder.r_bare) {
        UNROLL for (int i = 0; i < u; i++) w[i] =
            residual_words(end, sum + i * u_words, m, r, &d->to[i], true, true);
      } else if (end->adder.plain) {
        UNROLL for (int i = 0; i < u; i++) w[i] =
            residual_words(end, sum + i * u_words, m, r, &d->to[i], true, false);
      } else {
        UNROLL for (int i = 0; i < u; i++) w[i] =
            residual_words(end, sum + i * u_words, m, r, &d->to[i], false, false);
      }
    } else if (plain) {
      UNROLL for (int i = 0; i < u; i++) w[i] =
          words(end, sum + i * u_words, s->bias + m, s->scale + m, true);
    } else {
      UNROLL for (int i = 0; i < u; i++) w[i] =
          words(end, sum + i * u_words, s->bias + m, s->scale + m, false);
    }
    if (d->whole) {
      UNROLL for (int i = 0; i < u; i++) _mm512_storeu_si512(plane + d->to[i].at[0], w[i]);
    } else {
      UNROLL for (int i = 0; i < u; i++) {
        const struct target *const t = &d->to[i];
        _mm512_mask_storeu_epi32(plane + t->at[0], t->mask[0], w[i]);
        if (t->mask[1]) _mm512_mask_storeu_epi32(plane + t->at[1], t->mask[1], w[i]);
      }
    }
  }
}

void sumi_spmm_i8_amx(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  if (b0 >= b1) return;
  const struct i8_end end = i8_end_of(s, b0, b1);
  run(&end, b0, b1, p0, p1);
}

/* spmm, 8 bits, with AMX: TDPBSUD (signed by unsigned, modulo 2^32) in the frame of spmm_amx_int.h. */
#include "kernel/spmm/spmm_i8_avx512.h"

#define AMX_LOOP struct sumi_spmm_i8
#define AMX_END struct i8_end
#define AMX_ROWS I8_WORD_ROWS
#define AMX_PIECES 4              /* rows of 4 pixels and more, of 16 in two phases */
#define AMX_RING_WORDS (80 << 10) /* 320 KiB */
#define AMX_PRODUCT(sum, a, b) _tile_dpbsud(sum, a, b)
#include "kernel/spmm/spmm_amx_int.h"

INLINE void aim_all(const struct i8_end *end, struct done *d, const int64_t *v, int u) {
  const struct sumi_spmm_i8 *const s = end->s;
  d->residual = end->residual;
  d->quick = d->residual ? s->r_map->order == SUMI_LANES_TOGETHER : end->quick && !end->direct;
  d->whole = true;
  d->apart = s->map->order == SUMI_LANES_APART;
  for (int i = 0; i < u; i++) {
    d->v[i] = v[i];
    d->quick = aim(s->map, v[i], &d->to[i]) && d->quick;
    d->whole = d->whole && d->to[i].mask[0] == 0xffff;
    if (d->residual) d->quick = aim(s->r_map, v[i], &d->r_to[i]) && d->quick;
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

INLINE void put_words(const struct target *t, int32_t *plane, __m512i words) {
  for (int k = 0; k < QUICK_PIECES && t->mask[k]; k++)
    _mm512_mask_storeu_epi32(plane + t->at[k], t->mask[k], words);
}

INLINE void put(const struct done *d, int32_t *plane, const __m512i w[MOST_U], int u) {
  if (d->whole) {
    UNROLL for (int i = 0; i < u; i++) _mm512_storeu_si512(plane + d->to[i].at[0], w[i]);
  } else if (!d->apart) {
    UNROLL for (int i = 0; i < u; i++) put_words(&d->to[i], plane, w[i]);
  } else {
    UNROLL for (int i = 0; i < u; i++) put_words(&d->to[i], plane, i8_apart(w[i]));
  }
}

/* Groups [d->next, stop) as i8_quick and the bias; plain: nothing to clamp or to add. */
INLINE void finish_quick(const struct i8_end *end, struct done *d, int stop, const bool plain, int h, int u) {
  const int64_t y_group = end->s->y_group, m = d->m + I8_WORD_ROWS * d->next;
  const int32_t *sum = d->sum + d->next * GROUP_WORDS, *bias = end->s->bias + m;
  const float *scale = end->s->scale + m;
  int32_t *plane = (int32_t *)i8_plane(end->s, m);
  for (int n = stop - d->next; n > 0; n--) {
    __m512i w[MOST_U];
    UNROLL for (int i = 0; i < u; i++) w[i] = words(end, sum + i * h * TILE_WORDS, bias, scale, plain);
    put(d, plane, w, u);
    sum += GROUP_WORDS, bias += I8_WORD_ROWS, scale += I8_WORD_ROWS, plane += y_group;
  }
  d->next = stop;
}

INLINE __m512i there(const struct target *t, const int32_t *plane) {
  __m512i words = _mm512_maskz_loadu_epi32(t->mask[0], plane + t->at[0]);
  for (int k = 1; k < QUICK_PIECES && t->mask[k]; k++)
    words = _mm512_mask_loadu_epi32(words, t->mask[k], plane + t->at[k]);
  return words;
}

/* The same with a residual. plain, bare: as in the adder, which is copied: in memory it might change with every store. */
INLINE void finish_added(const struct i8_end *end, struct done *d, int stop, const bool plain,
                         const bool bare, int h, int u) {
  const struct sumi_spmm_i8 *const s = end->s;
  const struct i8_adder t = end->adder;
  for (; d->next < stop; d->next++) {
    const int64_t m = d->m + I8_WORD_ROWS * d->next;
    const int32_t *const sum = d->sum + d->next * GROUP_WORDS, *const r =
                                                                   (const int32_t *)s->stage[0].r +
                                                                   m / I8_WORD_ROWS * s->stage[0].r_group;
    __m512i w[MOST_U];
    UNROLL for (int i = 0; i < u; i++) {
      const int32_t *const at = sum + i * h * TILE_WORDS;
      __m512i q[I8_WORD_ROWS];
      UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) q[k] =
          _mm512_add_epi32(_mm512_load_si512(at + k * I8_VECTOR), _mm512_set1_epi32(s->bias[m + k]));
      w[i] = i8_added(&t, plain, bare, s->scale + m, q, there(&d->r_to[i], r));
    }
    put(d, (int32_t *)i8_plane(s, m), w, u);
  }
}

/* The next groups, so many at most. */
INLINE void finish(const struct i8_end *end, struct done *d, int groups, int h, int u) {
  const int stop = d->next + groups < d->end ? d->next + groups : d->end;
  if (d->next >= stop) return;
  if (!d->quick) {
    for (; d->next < stop; d->next++)
      finish_any(end, d->m + I8_WORD_ROWS * d->next, d, d->sum + d->next * GROUP_WORDS, h * TILE_WORDS, u);
  } else if (!d->residual) {
    if (end->plain)
      finish_quick(end, d, stop, true, h, u);
    else
      finish_quick(end, d, stop, false, h, u);
  } else if (!end->adder.plain) {
    finish_added(end, d, stop, false, false, h, u);
  } else if (!end->adder.r_bare) {
    finish_added(end, d, stop, true, false, h, u);
  } else {
    finish_added(end, d, stop, true, true, h, u);
  }
}

void sumi_spmm_i8_amx(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  if (b0 >= b1) return;
  const struct i8_end end = i8_end_of(s, b0, b1);
  run(&end, b0, b1, p0, p1);
}

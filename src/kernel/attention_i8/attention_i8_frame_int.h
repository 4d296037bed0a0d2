/* The frame of family attention_i8, written in the words of simd/words_*.h. A leaf includes those first, and defines
 *
 *   AT_VECTORS          vectors of 16 queries in a tile
 *   at_signed           16 words of signed bytes as its instructions want them;  at_signed_of(wvec)
 *   at_dot(sum, x, w)   sum[j] += four bytes of x[j], unsigned, times four bytes of w[j], signed
 *   at_max(a, b)        the larger one
 *   at_whole(v)         the nearest whole number
 *   at_power(v, n)      v * 2^n, v in [0.5, 2], n a whole number in [-125, 0]
 *
 * Queries lie in lanes from beginning to end, so that maxima and sums over keys are taken without crossing lanes. Scores:
 * words of keys are broadcast, unsigned as they lie, queries are made signed; products with the zero points and with 128 are
 * sums over a key's or a query's bytes. Context: weights are words of four keys, values are turned into such words. */
#ifndef SUMI_KERNEL_ATTENTION_I8_FRAME_INT_H
#define SUMI_KERNEL_ATTENTION_I8_FRAME_INT_H

#include <math.h>

#include "kernel/attention_i8/attention_i8_int.h"

#define EACH_VECTOR UNROLL for (int k = 0; k < AT_VECTORS; k++)
enum { AT_QUERIES = AT_VECTORS * WORDS };

struct at_tile {
  const struct sumi_attention_i8 *a;
  struct attention_room room;
  uint32_t *words; /* scratch */
  int64_t i;       /* the first query */
  int64_t n[AT_VECTORS];
};

INLINE float *at_scores(const struct at_tile *t, int64_t key) {
  return (float *)(t->words + t->room.score + key * AT_QUERIES);
}

INLINE int64_t at_most(int64_t n, int64_t most) { return n < most ? n : most; }

/* ---- once for all queries ---------------------------------------------------------------------------------------- */

/* Sums of the bytes of 16 keys at once. */
INLINE void at_sum_keys(const struct at_tile *t) {
  const struct sumi_attention_i8 *a = t->a;
  const at_signed ones = at_signed_of(w_set(0x01010101));
  for (int64_t key = 0; key < a->keys; key += WORDS) {
    ivec sum = w_set(0);
    for (int64_t g = 0; g < a->groups; g++)
      at_dot(&sum, w_load(at_most(a->keys - key, WORDS), a->k + g * a->k_group + key), ones);
    w_store(WORDS, t->words + t->room.k_sum + key, sum);
  }
}

/* Values as words of four keys; what lies behind the last key is 0. */
INLINE void at_turn_values(const struct at_tile *t) {
  static const uint32_t sign[WORDS] = {0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080,
                                       0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080, 0x80808080,
                                       0x80808080, 0x80808080, 0x80808080, 0x80808080};
  const struct sumi_attention_i8 *a = t->a;
  const wvec ones = w_set(0x01010101);
  uint32_t *value = t->words + t->room.value;
  int32_t *const v_sum = (int32_t *)(t->words + t->room.v_sum);
  for (int64_t g = 0; g < a->groups; g++) {
    ivec sum = w_set(0);
    for (int64_t key = 0; key < a->keys; key += WORDS, value += WORDS) {
      const int64_t n = at_most(a->keys - key, WORDS);
      const wvec w = w_turn(w_xor(w_load(n, a->v + g * a->v_group + key), w_load(n, sign)));
      at_dot(&sum, ones, at_signed_of(w));
      w_store(WORDS, value, w);
    }
    int32_t lane[WORDS];
    w_store(WORDS, (uint32_t *)lane, sum);
    for (int f = 0; f < 4; f++)
      v_sum[4 * g + f] =
          lane[f] + lane[4 + f] + lane[8 + f] + lane[12 + f] + (int32_t)a->keys * (128 - a->v_zero);
  }
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

/* Makes the tile's queries signed; offset: what all dots of a query have in common. */
INLINE void at_take_queries(const struct at_tile *t, ivec *offset) {
  const struct sumi_attention_i8 *a = t->a;
  const at_signed factor = at_signed_of(w_set(0x01010101));
  int32_t sum[AT_QUERIES];
  EACH_VECTOR offset[k] = w_set(0);
  for (int64_t g = 0; g < a->groups; g++) EACH_VECTOR {
      const wvec q = w_load(t->n[k], a->q + g * a->q_group + t->i + k * WORDS);
      at_dot(&offset[k], q, factor);
      w_store(WORDS, t->words + t->room.query + g * AT_QUERIES + k * WORDS, w_xor(q, w_set(0x80808080)));
    }
  EACH_VECTOR w_store(WORDS, (uint32_t *)sum + k * WORDS, offset[k]);
  for (int j = 0; j < AT_QUERIES; j++) sum[j] = -a->k_zero * (sum[j] - 4 * (int32_t)a->groups * a->q_zero);
  EACH_VECTOR offset[k] = w_load(WORDS, (const uint32_t *)sum + k * WORDS);
}

/* The score of a dot of query vector k and a key. */
INLINE fvec at_score(const struct at_tile *t, const bool quantised, ivec dot, int k, int64_t key) {
  const struct sumi_attention_i8 *a = t->a;
  fvec s = f_mul(f_of(dot), f_set(a->dot_mul));
  if (quantised) {
    const fvec above = at_max(f_set(-a->s_zero), s);
    const fvec held = f_sub(f_set(0), at_max(f_set(a->s_zero - 255), f_sub(f_set(0), above)));
    s = f_mul(f_of(i_round(held)), f_set(a->s_mul));
  }
  if (!a->mask) return s;
  const fvec one = f_set(1);
  const float *const mask = a->mask + key * a->mask_key;
  const int64_t i = t->i + k * WORDS;
  if (!a->mask_query) return f_fma(s, one, f_set(*mask));
  if (a->mask_query == 1) return f_fma(s, one, f_load(t->n[k], mask + i));
  float lane[WORDS] = {0};
  for (int64_t j = 0; j < t->n[k]; j++) lane[j] = mask[(i + j) * a->mask_query];
  return f_fma(s, one, f_load(WORDS, lane));
}

/* Scores of all keys, and their maxima. */
INLINE void at_run_scores(const struct at_tile *t, const bool quantised, fvec *max) {
  const struct sumi_attention_i8 *a = t->a;
  const int32_t *const k_sum = (const int32_t *)(t->words + t->room.k_sum);
  ivec offset[AT_VECTORS];
  at_take_queries(t, offset);
  EACH_VECTOR max[k] = f_set(-INFINITY);
  for (int64_t key = 0; key < a->keys; key += 4) {
    ivec dot[4][AT_VECTORS];
    UNROLL for (int c = 0; c < 4; c++) {
      const int32_t sum = (128 - a->q_zero) * k_sum[key + c];
      EACH_VECTOR dot[c][k] = w_add32(offset[k], w_set((uint32_t)sum));
    }
    const uint32_t *query = t->words + t->room.query, *k_word = a->k + key;
    for (int64_t g = 0; g < a->groups; g++, query += AT_QUERIES, k_word += a->k_group) {
      at_signed q[AT_VECTORS];
      EACH_VECTOR q[k] = at_signed_of(w_all(query + k * WORDS));
      UNROLL for (int c = 0; c < 4; c++) {
        const wvec word = w_set(k_word[c]);
        EACH_VECTOR at_dot(&dot[c][k], word, q[k]);
      }
    }
    UNROLL for (int c = 0; c < 4; c++) {
      if (key + c >= a->keys) continue;
      EACH_VECTOR {
        const fvec s = at_score(t, quantised, dot[c][k], k, key + c);
        max[k] = at_max(s, max[k]);
        f_store(WORDS, at_scores(t, key + c) + k * WORDS, s);
      }
    }
  }
}

/* ---- softmax ----------------------------------------------------------------------------------------------------- */

/* 2^x for x <= 0, not below 2^-125: 2^n * 2^r, n = round(x), |r| <= 1/2; minimax, below 2 ulp. */
INLINE fvec at_exp2(fvec x) {
  x = at_max(x, f_set(-125));
  const fvec n = at_whole(x), r = f_sub(x, n);
  fvec p = f_fma(f_set(0x1.5bba14p-10f), r, f_set(0x1.3cea88p-7f));
  p = f_fma(p, r, f_set(0x1.c6b752p-5f));
  p = f_fma(p, r, f_set(0x1.ebf9bcp-3f));
  p = f_fma(p, r, f_set(0x1.62e42ap-1f));
  return at_power(f_fma(p, r, f_set(1)), n);
}

/* Powers in place of scores; mul: what makes weights of them. */
INLINE void at_run_powers(const struct at_tile *t, const fvec *max, fvec *mul) {
  const fvec log2e = f_set(1.44269504f), one = f_set(1);
  fvec sum[AT_VECTORS];
  float top[AT_QUERIES], total[AT_QUERIES];
  EACH_VECTOR sum[k] = f_set(0);
  for (int64_t key = 0; key < t->a->keys; key++) {
    float *const s = at_scores(t, key);
    EACH_VECTOR {
      const fvec e = at_exp2(f_mul(f_sub(f_load(WORDS, s + k * WORDS), max[k]), log2e));
      sum[k] = f_fma(e, one, sum[k]);
      f_store(WORDS, s + k * WORDS, e);
    }
  }
  EACH_VECTOR {
    f_store(WORDS, top + k * WORDS, max[k]);
    f_store(WORDS, total + k * WORDS, sum[k]);
  }
  for (int j = 0; j < AT_QUERIES; j++) total[j] = top[j] > -INFINITY ? t->a->p_mul / total[j] : 0;
  EACH_VECTOR mul[k] = f_load(WORDS, total + k * WORDS);
}

/* Weights in words of four keys; bytes behind the last key are 0. */
INLINE void at_run_weights(const struct at_tile *t, const fvec *mul) {
  const struct sumi_attention_i8 *a = t->a;
  const wvec zero = w_pairs((float)a->p_zero, (float)a->p_zero);
  uint32_t *weight = t->words + t->room.weight;
  for (int64_t key = 0; key < a->keys; key += 4, weight += AT_QUERIES) EACH_VECTOR {
      ivec v[4];
      UNROLL for (int c = 0; c < 4; c++) {
        v[c] = w_set(0x80000000u);
        if (key + c < a->keys)
          v[c] = i_round(f_low(f_mul(f_load(WORDS, at_scores(t, key + c) + k * WORDS), mul[k])));
      }
      w_store(WORDS, weight + k * WORDS, w_join(v, zero, zero));
    }
}

/* ---- context ----------------------------------------------------------------------------------------------------- */

/* Bytes of four features. */
INLINE void at_store(const struct at_tile *t, int64_t g, ivec sum[4][AT_VECTORS]) {
  const struct sumi_attention_i8 *a = t->a;
  const wvec zero = w_pairs(a->y_zero, a->y_zero);
  const fvec mul = f_set(a->y_mul);
  EACH_VECTOR {
    ivec v[4];
    UNROLL for (int c = 0; c < 4; c++) v[c] = i_round(f_low(f_mul(f_of(sum[c][k]), mul)));
    w_store(t->n[k], a->y + g * a->y_group + t->i + k * WORDS, w_join(v, zero, zero));
  }
}

INLINE void at_run_context(const struct at_tile *t) {
  const struct sumi_attention_i8 *a = t->a;
  const int32_t *const v_sum = (const int32_t *)(t->words + t->room.v_sum);
  const int64_t quads = (a->keys + 3) / 4;
  const at_signed ones = at_signed_of(w_set(0x01010101));
  int32_t lane[AT_QUERIES];
  ivec offset[AT_VECTORS];
  EACH_VECTOR offset[k] = w_set(0);
  for (int64_t j = 0; j < quads; j++) EACH_VECTOR
  at_dot(&offset[k], w_all(t->words + t->room.weight + j * AT_QUERIES + k * WORDS), ones);
  EACH_VECTOR w_store(WORDS, (uint32_t *)lane + k * WORDS, offset[k]);
  for (int j = 0; j < AT_QUERIES; j++) lane[j] *= 128 - a->v_zero;
  EACH_VECTOR offset[k] = w_load(WORDS, (const uint32_t *)lane + k * WORDS);
  for (int64_t g = 0; g < a->groups; g++) {
    ivec sum[4][AT_VECTORS];
    UNROLL for (int c = 0; c < 4; c++) EACH_VECTOR sum[c][k] =
        w_add32(offset[k], w_set((uint32_t)(-a->p_zero * v_sum[4 * g + c])));
    const uint32_t *weight = t->words + t->room.weight;
    const uint32_t *value = t->words + t->room.value + g * t->room.quads * 4;
    for (int64_t j = 0; j < quads; j++, weight += AT_QUERIES, value += 4) {
      wvec p[AT_VECTORS];
      EACH_VECTOR p[k] = w_all(weight + k * WORDS);
      UNROLL for (int c = 0; c < 4; c++) {
        const at_signed word = at_signed_of(w_set(value[c]));
        EACH_VECTOR at_dot(&sum[c][k], p[k], word);
      }
    }
    at_store(t, g, sum);
  }
}

INLINE void at_run(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch) {
  struct at_tile t = {
      .a = a, .room = attention_room(a->keys, a->groups, AT_QUERIES), .words = (uint32_t *)scratch};
  at_sum_keys(&t);
  at_turn_values(&t);
  for (t.i = q0; t.i < q1; t.i += AT_QUERIES) {
    fvec max[AT_VECTORS], mul[AT_VECTORS];
    for (int k = 0; k < AT_VECTORS; k++) {
      const int64_t n = q1 - t.i - k * WORDS;
      t.n[k] = n < 0 ? 0 : at_most(n, WORDS);
    }
    if (a->quantised)
      at_run_scores(&t, true, max);
    else
      at_run_scores(&t, false, max);
    at_run_powers(&t, max, mul);
    at_run_weights(&t, mul);
    at_run_context(&t);
  }
}
#undef EACH_VECTOR

#endif

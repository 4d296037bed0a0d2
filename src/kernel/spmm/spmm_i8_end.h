/* The end of a tile of the 8-bit loop in plain C, for leaves without an end of their own: each compiles it
 * with its own instructions, and the loops over 16 pixels become vectors. The formulas are spmm_i8.h's, to
 * the bit. */
#ifndef SUMI_KERNEL_SPMM_I8_END_H
#define SUMI_KERNEL_SPMM_I8_END_H

#include <math.h>
#include <string.h>

#include "kernel/spmm/spmm_i8_int.h"

/* Whole numbers of at most 2^22, rounded to nearest even: their last bit is the last bit of this sum. */
static inline float i8_round(float v) { return (v + 0x1.8p23f) - 0x1.8p23f; }

/* min(max(v, lo), hi); a NaN becomes lo. */
static inline float i8_clamp_1(float v, float lo, float hi) {
  const float a = v > lo ? v : lo;
  return a < hi ? a : hi;
}

/* Copies 1 to 16 words; what is copied twice is the same. */
static inline void i8_copy(uint32_t *to, const uint32_t *from, int n) {
#define TWICE(words) memcpy(to, from, 4 * (words)), memcpy(to + n - (words), from + n - (words), 4 * (words))
  if (n >= 8)
    TWICE(8);
  else if (n >= 4)
    TWICE(4);
  else if (n >= 2)
    TWICE(2);
  else
    *to = *from;
#undef TWICE
}

/* The lowest lane of a piece, and whether its lanes are neighbours. */
static inline bool i8_beside(const struct sumi_lane_piece *k, int *lowest) {
  *lowest = __builtin_ctz(k->mask);
  return k->mask >> *lowest == (1 << k->n) - 1;
}

/* Stores the lanes of vector v to the plane. */
static inline void i8_scatter(const struct sumi_lane_map *map, int64_t v, uint32_t *plane,
                              const uint32_t word[I8_VECTOR]) {
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  for (int lowest; k < end; k++) {
    uint32_t *to = plane + k->at;
    if (i8_beside(k, &lowest))
      i8_copy(to, word + lowest, k->n);
    else
      for (unsigned mask = k->mask; mask; mask &= mask - 1) *to++ = word[__builtin_ctz(mask)];
  }
}

/* What i8_scatter would have stored: lanes in no piece are 0. */
static inline void i8_gather(const struct sumi_lane_map *map, int64_t v, const uint32_t *plane,
                             uint32_t word[I8_VECTOR]) {
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  memset(word, 0, I8_VECTOR * sizeof *word);
  for (int lowest; k < end; k++) {
    const uint32_t *from = plane + k->at;
    if (i8_beside(k, &lowest))
      i8_copy(word + lowest, from, k->n);
    else
      for (unsigned mask = k->mask; mask; mask &= mask - 1) word[__builtin_ctz(mask)] = *from++;
  }
}

/* One stage on row m: q are whole numbers without their zero point, r the residual's words. */
static inline void i8_stage_row(const struct sumi_spmm_i8_stage *t, int64_t m, const uint32_t *r, float *q) {
  const float lo = t->lo - t->zero, hi = t->hi - t->zero;
  const unsigned shift = (unsigned)(m % I8_WORD_ROWS * 8);
  for (int j = 0; j < I8_VECTOR; j++) {
    const float v = t->add ? t->add[m] : ((float)(int32_t)(r[j] >> shift & 255) - t->r_zero) * t->r_mul;
    q[j] = fmaf(q[j], t->mul, v);
  }
  if (t->act) {
    t->act(q, q, I8_VECTOR, t->act_param);
    for (int j = 0; j < I8_VECTOR; j++) q[j] *= t->post;
  }
  for (int j = 0; j < I8_VECTOR; j++) q[j] = i8_round(i8_clamp_1(q[j], lo, hi));
}

/* table[byte] for every byte. */
static inline void i8_look_up(const uint8_t *table, uint32_t word[I8_VECTOR]) {
  for (int j = 0; j < I8_VECTOR; j++) {
    const uint32_t q = word[j];
    word[j] = table[q & 255] | (uint32_t)table[q >> 8 & 255] << 8 | (uint32_t)table[q >> 16 & 255] << 16 |
              (uint32_t)table[q >> 24] << 24;
  }
}

static inline void i8_end_f32(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, const int32_t *sum) {
  float y[I8_VECTOR];
  uint32_t word[I8_VECTOR];
  for (int j = 0; j < I8_VECTOR; j++) y[j] = fmaf((float)sum[j], s->scale[m], s->shift ? s->shift[m] : 0);
  if (s->act) s->act(y, y, I8_VECTOR, s->act_param);
  memcpy(word, y, sizeof word);
  i8_scatter(s->map, v, (uint32_t *)(s->y_f32 + m * s->y_row), word);
}

/* Rows m .. m + 3 of vector v from their sums, bias included: sum[i * stride + lane]. */
static __attribute__((noinline, unused)) void i8_end_rows(const struct sumi_spmm_i8 *s, int64_t m, int64_t v,
                                                          const int32_t *sum, int64_t stride) {
  if (s->y_f32) {
    for (int i = 0; i < I8_WORD_ROWS; i++) i8_end_f32(s, m + i, v, sum + i * stride);
    return;
  }
  const float lo = s->lo - s->zero, hi = s->hi - s->zero;
  const struct sumi_spmm_i8_stage *const last = s->stage + s->n_stage;
  const int zero = (int)(s->n_stage ? last[-1].zero : s->zero);
  uint32_t r[SUMI_SPMM_I8_STAGES][I8_VECTOR], word[I8_VECTOR] = {0};
  for (const struct sumi_spmm_i8_stage *t = s->stage; t < last; t++)
    if (!t->add) i8_gather(s->r_map, v, t->r + m / I8_WORD_ROWS * t->r_group, r[t - s->stage]);
  for (int i = 0; i < I8_WORD_ROWS; i++) {
    float q[I8_VECTOR];
    const float scale = s->scale[m + i], shift = s->shift ? s->shift[m + i] : 0;
    for (int j = 0; j < I8_VECTOR; j++) q[j] = fmaf((float)sum[i * stride + j], scale, shift);
    if (s->act) s->act(q, q, I8_VECTOR, s->act_param);
    for (int j = 0; j < I8_VECTOR; j++) q[j] = i8_round(i8_clamp_1(q[j] * s->post, lo, hi));
    for (const struct sumi_spmm_i8_stage *t = s->stage; t < last; t++)
      i8_stage_row(t, m + i, r[t - s->stage], q);
    for (int j = 0; j < I8_VECTOR; j++) word[j] |= (uint32_t)((int32_t)q[j] + zero) << (8 * i);
  }
  if (s->table) i8_look_up(s->table, word);
  i8_scatter(s->map, v, s->y + m / I8_WORD_ROWS * s->y_group, word);
}

#endif

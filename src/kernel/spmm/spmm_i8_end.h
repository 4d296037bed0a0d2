/* The end of a tile of the 8-bit loop in plain C, for leaves without an end of their own: each compiles it with its own
 * instructions, and the loops over 16 pixels become vectors. The formulas are spmm_i8.h's, to the bit. */
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

/* Stores the lanes of vector v to the plane. */
static inline void i8_scatter(const struct sumi_lane_map *map, int64_t v, uint32_t *plane,
                              const uint32_t word[I8_VECTOR]) {
  for (int32_t k = map->first[v]; k < map->first[v + 1]; k++) {
    const struct sumi_lane_piece *const piece = &map->piece[k];
    uint32_t *to = plane + piece->at;
    if (piece->n == I8_VECTOR)
      memcpy(to, word, I8_VECTOR * sizeof *to);
    else
      for (unsigned mask = piece->mask; mask; mask &= mask - 1) *to++ = word[__builtin_ctz(mask)];
  }
}

/* What i8_scatter would have stored: lanes in no piece are 0. */
static inline void i8_gather(const struct sumi_lane_map *map, int64_t v, const uint32_t *plane,
                             uint32_t word[I8_VECTOR]) {
  memset(word, 0, I8_VECTOR * sizeof *word);
  for (int32_t k = map->first[v]; k < map->first[v + 1]; k++) {
    const struct sumi_lane_piece *const piece = &map->piece[k];
    const uint32_t *from = plane + piece->at;
    if (piece->n == I8_VECTOR)
      memcpy(word, from, I8_VECTOR * sizeof *from);
    else
      for (unsigned mask = piece->mask; mask; mask &= mask - 1) word[__builtin_ctz(mask)] = *from++;
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

static inline void i8_end_f32(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, const int32_t *sum) {
  float y[I8_VECTOR];
  uint32_t word[I8_VECTOR];
  for (int j = 0; j < I8_VECTOR; j++) y[j] = fmaf((float)sum[j], s->scale[m], s->shift ? s->shift[m] : 0);
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
    const float scale = s->scale[m + i];
    for (int j = 0; j < I8_VECTOR; j++)
      q[j] = i8_round(i8_clamp_1((float)sum[i * stride + j] * scale, lo, hi));
    for (const struct sumi_spmm_i8_stage *t = s->stage; t < last; t++)
      i8_stage_row(t, m + i, r[t - s->stage], q);
    for (int j = 0; j < I8_VECTOR; j++) word[j] |= (uint32_t)((int32_t)q[j] + zero) << (8 * i);
  }
  if (s->table) {
    uint8_t byte[sizeof word];
    memcpy(byte, word, sizeof byte);
    for (size_t j = 0; j < sizeof byte; j++) byte[j] = s->table[byte[j]];
    memcpy(word, byte, sizeof word);
  }
  i8_scatter(s->map, v, s->y + m / I8_WORD_ROWS * s->y_group, word);
}

/* What spmm_i8_tiles.h asks of an end: the words of a tile always go by memory. */
struct i8_end {
  const struct sumi_spmm_i8 *s;
};
INLINE struct i8_end i8_end_of(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1) {
  (void)b0, (void)b1;
  return (struct i8_end){s};
}
INLINE bool i8_quick_tile(int rows, int vectors, const struct i8_end *end, int64_t m, int64_t v,
                          const void *sum) {
  (void)rows, (void)vectors, (void)end, (void)m, (void)v, (void)sum;
  return false;
}
INLINE void i8_finish(const struct i8_end *end, int64_t m, int64_t v, const int32_t *sum, int64_t stride) {
  i8_end_rows(end->s, m, v, sum, stride);
}

#endif

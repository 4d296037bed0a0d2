/* Family lane in portable C: the loops of lane.h as they stand there. */
#include <math.h>
#include <stdbool.h>

#include "kernel/lane/lane_int.h"

enum { VECTOR = 16 };

/* Where the map puts pixel p; -1 = nowhere. */
static inline int64_t lane_place(const struct sumi_lane_map *map, int64_t p) {
  if (!map) return p;
  const unsigned bit = 1u << p % VECTOR;
  for (int32_t k = map->first[p / VECTOR]; k < map->first[p / VECTOR + 1]; k++)
    if (map->piece[k].mask & bit)
      return map->piece[k].at + __builtin_popcount(map->piece[k].mask & (bit - 1));
  return -1;
}

static inline uint32_t lane_get(const struct sumi_lane_planes *x, int64_t g, int64_t p) {
  const int64_t at = lane_place(x->map, p);
  return at < 0 ? 0 : x->word[g * x->group + at];
}

static inline void lane_put(const struct sumi_lane_planes *y, int64_t g, int64_t p, uint32_t word) {
  const int64_t at = lane_place(y->map, p);
  if (at >= 0) y->word[g * y->group + at] = word;
}

/* The lower limit where v is NaN. */
static inline uint32_t lane_hold(float v, float lo, float hi, float zero) {
  const float above = v > lo - zero ? v : lo - zero;
  return (uint32_t)(int32_t)(rintf(above < hi - zero ? above : hi - zero) + zero);
}

static inline uint32_t lane_byte(uint32_t word, int c) { return word >> 8 * c & 255; }

void sumi_lane_quantize_ref(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p++) {
      uint32_t word = 0;
      for (int64_t c = 4 * g; c < 4 * g + 4 && c < l->channels; c++) {
        const float v = ((const float *)l->data)[c * l->channel + p * l->pixel] / l->scale[c * l->step];
        word |= lane_hold(v == v ? v : 0, 0, 255, l->zero[c * l->step]) << 8 * (c % 4);
      }
      lane_put(&l->words, g, p, word);
    }
}

void sumi_lane_dequantize_ref(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p++) {
      const uint32_t word = lane_get(&l->words, g, p);
      for (int64_t c = 4 * g; c < 4 * g + 4 && c < l->channels; c++)
        ((float *)l->data)[c * l->channel + p * l->pixel] =
            ((float)lane_byte(word, (int)(c % 4)) - l->zero[c * l->step]) * l->scale[c * l->step];
    }
}

void sumi_lane_pack_ref(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p++) {
      uint32_t word = 0;
      for (int64_t c = 4 * g; c < 4 * g + 4 && c < l->channels; c++) {
        const uint8_t byte = ((const uint8_t *)l->data)[c * l->channel + p * l->pixel];
        word |= (uint32_t)(byte ^ l->flip) << 8 * (c % 4);
      }
      lane_put(&l->words, g, p, word);
    }
}

void sumi_lane_unpack_ref(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p++) {
      const uint32_t word = lane_get(&l->words, g, p);
      for (int64_t c = 4 * g; c < 4 * g + 4 && c < l->channels; c++)
        ((uint8_t *)l->data)[c * l->channel + p * l->pixel] =
            (uint8_t)(lane_byte(word, (int)(c % 4)) ^ l->flip);
    }
}

static inline void lane_binary(const struct sumi_lane_binary *l, bool add, SUMI_LANE_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p++) {
      const uint32_t a = lane_get(&l->a, g, p);
      const uint32_t b = l->b_step ? lane_get(&l->b, g, p) : l->b.word[g * l->b.group];
      uint32_t word = 0;
      for (int c = 0; c < 4; c++) {
        const float x = (float)lane_byte(a, c) - l->a_zero, y = (float)lane_byte(b, c) - l->b_zero;
        const float v = add ? fmaf(x, l->a_mul, y * l->b_mul) : x * y * l->a_mul;
        word |= lane_hold(v, l->lo, l->hi, l->zero) << 8 * c;
      }
      lane_put(&l->y, g, p, word);
    }
}

void sumi_lane_add_ref(const struct sumi_lane_binary *l, SUMI_LANE_RANGE) {
  lane_binary(l, true, g0, g1, p0, p1);
}

void sumi_lane_mul_ref(const struct sumi_lane_binary *l, SUMI_LANE_RANGE) {
  lane_binary(l, false, g0, g1, p0, p1);
}

void sumi_lane_table_ref(const struct sumi_lane_table *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p++) {
      const uint32_t x = lane_get(&l->x, g, p);
      uint32_t word = x;
      if (l->table) {
        word = 0;
        for (int c = 0; c < 4; c++) word |= (uint32_t)l->table[lane_byte(x, c)] << 8 * c;
      }
      lane_put(&l->y, g, p, word);
    }
}

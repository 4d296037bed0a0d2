/* The loops of family lane_bf16: each leaf includes this once and compiles them for its own instruction set. Define LEAF as the
 * leaf's suffix first. */
#ifndef SUMI_KERNEL_LANE_BF16_INT_H
#define SUMI_KERNEL_LANE_BF16_INT_H

#include <string.h>

#include "base/half.h"
#include "kernel/lane/lane_bf16.h"

enum { VECTOR = 16, GROUPS = 8 /* planes done together: their channels of a pixel are a cache line */ };

#define LANE_PASTE(a, b) a##b
#define LANE_NAME(a, b) LANE_PASTE(a, b)
#define LANE_BF16(level, suffix, ...)                                                      \
  void sumi_lane_bf16_narrow_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE); \
  void sumi_lane_bf16_widen_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);  \
  void sumi_lane_bf16_max_##suffix(const struct sumi_pool_i8 *d, SUMI_LANE_RANGE);
#include "kernel/lane/lane_bf16.def"
#undef LANE_BF16

/* Compiled once for n = VECTOR, whose loops have no end to look for, and once for the end of a walk. */
#define LANE_BOTH inline __attribute__((always_inline))

static inline int64_t lane_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Without branches, so that loops vectorise; as sumi_bf16_from_f32. */
static inline uint32_t lane_round(float f) {
  const uint32_t u = sumi_f32_bits(f), nan = u >> 16 | 0x40, number = (u + 0x7fff + (u >> 16 & 1)) >> 16;
  return (u & 0x7fffffff) > 0x7f800000 ? nan : number;
}

static inline float lane_half(uint32_t word, int64_t which) {
  return sumi_f32_from_bits(which ? word & 0xffff0000u : word << 16);
}

static inline void lane_copy(uint32_t *to, const uint32_t *from, int64_t n) {
  if (n == VECTOR)
    memcpy(to, from, VECTOR * sizeof *to);
  else
    memcpy(to, from, (size_t)n * sizeof *to);
}

/* Words of vector i to the plane, n of them at most. */
static LANE_BOTH void lane_put(const struct sumi_lane_map *map, uint32_t *plane, int64_t i, int64_t n,
                               const uint32_t *word) {
  if (!map) {
    lane_copy(plane + i * VECTOR, word, n);
    return;
  }
  for (int32_t k = map->first[i]; k < map->first[i + 1]; k++) {
    uint32_t *to = plane + map->piece[k].at;
    const int lowest = __builtin_ctz(map->piece[k].mask);
    if (map->piece[k].mask >> lowest == (1 << map->piece[k].n) - 1)
      lane_copy(to, word + lowest, map->piece[k].n);
    else if (map->piece[k].mask == 0x5555 << lowest) /* one of two phases */
      for (int j = 0; j < VECTOR / 2; j++) to[j] = word[2 * j + lowest];
    else
      for (unsigned mask = map->piece[k].mask; mask; mask &= mask - 1) *to++ = word[__builtin_ctz(mask)];
  }
}

static LANE_BOTH void lane_get(const struct sumi_lane_map *map, const uint32_t *plane, int64_t i, int64_t n,
                               uint32_t *word) {
  memset(word, 0, VECTOR * sizeof *word);
  if (!map) {
    lane_copy(word, plane + i * VECTOR, n);
    return;
  }
  for (int32_t k = map->first[i]; k < map->first[i + 1]; k++) {
    const uint32_t *from = plane + map->piece[k].at;
    const int lowest = __builtin_ctz(map->piece[k].mask);
    if (map->piece[k].mask >> lowest == (1 << map->piece[k].n) - 1)
      lane_copy(word + lowest, from, map->piece[k].n);
    else
      for (unsigned mask = map->piece[k].mask; mask; mask &= mask - 1) word[__builtin_ctz(mask)] = *from++;
  }
}

/* word[k][j]: pixel p + j of plane g + k, j < n, k < GROUPS at most. Whatever lies beside counts as 0. */
static LANE_BOTH void lane_load(const struct sumi_lane_convert *l, int64_t g, int64_t groups, int64_t p,
                                int64_t n, uint32_t word[GROUPS][VECTOR]) {
  const float *const data = (const float *)l->data + 2 * g * l->channel + p * l->pixel;
  const int64_t channels = lane_min(2 * groups, l->channels - 2 * g), whole = channels / 2;
  if (channels % 2) memset(word[whole], 0, sizeof word[whole]);
  if (l->pixel == 1) {
    for (int64_t k = 0; k < whole; k++) {
      const float *const first = data + 2 * k * l->channel, *const second = first + l->channel;
      for (int64_t j = 0; j < n; j++) word[k][j] = lane_round(first[j]) | lane_round(second[j]) << 16;
    }
    for (int64_t j = 0; channels % 2 && j < n; j++)
      word[whole][j] = lane_round(data[2 * whole * l->channel + j]);
    return;
  }
  for (int64_t j = 0; j < n; j++) {
    const float *const from = data + j * l->pixel;
    for (int64_t k = 0; k < whole; k++)
      word[k][j] = lane_round(from[2 * k * l->channel]) | lane_round(from[(2 * k + 1) * l->channel]) << 16;
    if (channels % 2) word[whole][j] = lane_round(from[2 * whole * l->channel]);
  }
}

static LANE_BOTH void lane_store(const struct sumi_lane_convert *l, int64_t g, int64_t groups, int64_t p,
                                 int64_t n, uint32_t word[GROUPS][VECTOR]) {
  float *const data = (float *)l->data + 2 * g * l->channel + p * l->pixel;
  const int64_t channels = lane_min(2 * groups, l->channels - 2 * g);
  if (l->pixel == 1)
    for (int64_t c = 0; c < channels; c += 2) {
      float *const first = data + c * l->channel, *const second = first + l->channel;
      const uint32_t *const from = word[c / 2];
      for (int64_t j = 0; j < n; j++) first[j] = sumi_f32_from_bits(from[j] << 16);
      for (int64_t j = 0; c + 1 < channels && j < n; j++)
        second[j] = sumi_f32_from_bits(from[j] & 0xffff0000u);
    }
  else
    for (int64_t j = 0; j < n; j++)
      for (int64_t c = 0; c < channels; c++)
        data[c * l->channel + j * l->pixel] = lane_half(word[c / 2][j], c % 2);
}

/* Pixels [p, p + n) of `groups` planes from g on. */
static LANE_BOTH void lane_narrow(const struct sumi_lane_convert *l, int64_t g, int64_t groups, int64_t p,
                                  int64_t n) {
  uint32_t word[GROUPS][VECTOR];
  lane_load(l, g, groups, p, n, word);
  for (int64_t k = 0; k < groups; k++)
    lane_put(l->words.map, l->words.word + (g + k) * l->words.group, p / VECTOR, n, word[k]);
}

static LANE_BOTH void lane_widen(const struct sumi_lane_convert *l, int64_t g, int64_t groups, int64_t p,
                                 int64_t n) {
  uint32_t word[GROUPS][VECTOR];
  for (int64_t k = 0; k < groups; k++)
    lane_get(l->words.map, l->words.word + (g + k) * l->words.group, p / VECTOR, n, word[k]);
  lane_store(l, g, groups, p, n, word);
}

void LANE_NAME(sumi_lane_bf16_narrow_, LEAF)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0, groups; g < g1; g += groups) {
    int64_t p = p0;
    groups = lane_min(GROUPS, g1 - g);
    for (; p + VECTOR <= p1; p += VECTOR) lane_narrow(l, g, groups, p, VECTOR);
    if (p < p1) lane_narrow(l, g, groups, p, p1 - p);
  }
}

void LANE_NAME(sumi_lane_bf16_widen_, LEAF)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {
  for (int64_t g = g0, groups; g < g1; g += groups) {
    int64_t p = p0;
    groups = lane_min(GROUPS, g1 - g);
    for (; p + VECTOR <= p1; p += VECTOR) lane_widen(l, g, groups, p, VECTOR);
    if (p < p1) lane_widen(l, g, groups, p, p1 - p);
  }
}

typedef int16_t halves __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint16_t uhalves __attribute__((vector_size(64)));

/* As signed integers with the rest of a negative number inverted, numbers keep their order; NaN counts as the largest, but for
 * all ones, the smallest. */
void LANE_NAME(sumi_lane_bf16_max_, LEAF)(const struct sumi_pool_i8 *d, SUMI_LANE_RANGE) {
  enum { NEGATIVE_NANS = 0x7e }; /* integers above the smallest that are negative NaN */
  for (int64_t g = g0; g < g1; g++)
    for (int64_t v = p0 / VECTOR; v * VECTOR < p1; v++) {
      if (!sumi_lane_wanted(d->map, v)) continue;
      halves best = {0};
      best -= INT16_MAX;
      best -= 1;
      for (int64_t t = 0; t < d->taps; t++) {
        const halves x = *(const halves *)(d->x + g * d->x_group + 4 * VECTOR * v + d->off[t]);
        const halves key = x ^ (x >> 15 & INT16_MAX);
        const halves nan = (halves)((uhalves)(key + INT16_MAX) < NEGATIVE_NANS);
        const halves all = (key & ~nan) | (nan & INT16_MAX), more = (halves)(all > best);
        best = (all & more) | (best & ~more);
      }
      best ^= best >> 15 & INT16_MAX;
      uint32_t word[VECTOR];
      memcpy(word, &best, sizeof word);
      lane_put(d->map, d->y + g * d->y_group, v, VECTOR, word);
    }
}

#endif

/* Family pool_i8 in portable C: the loops of its header, 16 words of a plane at a time. */
#include <math.h>
#include <string.h>

#include "kernel/pool/pool_i8_int.h"

enum { VECTOR = 16, BYTES = 4 * VECTOR };

static uint8_t hold(const struct sumi_pool_i8 *d, float v) {
  const float lo = d->lo - d->zero, hi = d->hi - d->zero, above = v > lo ? v : lo;
  return (uint8_t)(int32_t)(rintf(above < hi ? above : hi) + d->zero);
}

/* What a loop makes of 16 words at x, bytes in and out; p: their first pixel. */
typedef void (*vector_fn)(const struct sumi_pool_i8 *d, const uint8_t *x, int64_t p, uint8_t *y);

static void max_vector(const struct sumi_pool_i8 *d, const uint8_t *x, int64_t p, uint8_t *y) {
  (void)p;
  memset(y, 0, BYTES);
  for (int64_t t = 0; t < d->taps; t++)
    for (int j = 0; j < BYTES; j++) y[j] = x[d->off[t] + j] > y[j] ? x[d->off[t] + j] : y[j];
}

static void average_vector(const struct sumi_pool_i8 *d, const uint8_t *x, int64_t p, uint8_t *y) {
  int32_t sum[BYTES];
  for (int j = 0; j < BYTES; j++) sum[j] = -(int32_t)((float)d->taps * d->x_zero);
  for (int64_t t = 0; t < d->taps; t++)
    for (int j = 0; j < BYTES; j++) sum[j] += x[d->off[t] + j];
  for (int j = 0; j < BYTES; j++) {
    const int64_t at = p + j / 4 < d->map->pixels ? p + j / 4 : p;
    y[j] = hold(d, (float)sum[j] * d->scale[d->step * at]);
  }
}

static void walk(const struct sumi_pool_i8 *d, POOL_I8_RANGE, vector_fn vector) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t v = p0 / VECTOR; v * VECTOR < p1; v++) {
      uint32_t word[VECTOR];
      if (d->map->first[v] == d->map->first[v + 1]) continue;
      vector(d, d->x + g * d->x_group + BYTES * v, v * VECTOR, (uint8_t *)word);
      for (int32_t k = d->map->first[v]; k < d->map->first[v + 1]; k++) {
        uint32_t *to = d->y + g * d->y_group + d->map->piece[k].at;
        for (unsigned mask = d->map->piece[k].mask; mask; mask &= mask - 1) *to++ = word[__builtin_ctz(mask)];
      }
    }
}

void sumi_pool_i8_max_ref(const struct sumi_pool_i8 *d, POOL_I8_RANGE) {
  walk(d, g0, g1, p0, p1, max_vector);
}

void sumi_pool_i8_average_ref(const struct sumi_pool_i8 *d, POOL_I8_RANGE) {
  walk(d, g0, g1, p0, p1, average_vector);
}

static void add_words(const uint8_t *x, int64_t n, int32_t sum[4]) {
  for (int64_t j = 0; j < n; j++)
    for (int c = 0; c < 4; c++) sum[c] += x[4 * j + c];
}

void sumi_pool_i8_mean_ref(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1) {
  for (int64_t g = g0; g < g1; g++) {
    const uint8_t *const x = d->x + g * d->x_group;
    int32_t sum[4] = {0, 0, 0, 0};
    if (!d->map) add_words(x, d->pixels, sum);
    for (int64_t k = 0; d->map && k < d->map->first[(d->pixels + VECTOR - 1) / VECTOR]; k++)
      add_words(x + 4 * (int64_t)d->map->piece[k].at, d->map->piece[k].n, sum);
    const int32_t none = (int32_t)((double)d->pixels * (double)d->x_zero);
    uint8_t *const y = (uint8_t *)(d->y + g * d->y_group);
    for (int c = 0; c < 4; c++) y[c] = hold(d, (float)(sum[c] - none) * *d->scale);
  }
}

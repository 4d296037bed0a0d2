/* The frame of family pool_i8, written in the words of simd/words_*.h: a leaf includes its instruction set's first. Sums are
 * taken in 16 bits, two channels a word, as long as they fit, then in 32. */
#ifndef SUMI_KERNEL_POOL_I8_FRAME_H
#define SUMI_KERNEL_POOL_I8_FRAME_H

#include "kernel/pool/pool_i8_int.h"

enum { MOST_16 = 257 }; /* bytes whose sum fits 16 bits */

/* Sums by channel: those of 16 bits are moved to those of 32 before they overflow. */
struct pool_sums {
  wvec even, odd;
  ivec sum[4];
};

INLINE void pool_clear(struct pool_sums *s) { s->even = s->odd = w_set(0); }
INLINE struct pool_sums pool_zero(void) {
  const wvec none = w_set(0);
  return (struct pool_sums){none, none, {none, none, none, none}};
}
INLINE void pool_add(struct pool_sums *s, wvec w) {
  s->even = w_add16(s->even, w_even(w));
  s->odd = w_add16(s->odd, w_odd(w));
}
INLINE void pool_flush(struct pool_sums *s) {
  UNROLL for (int c = 0; c < 4; c++) s->sum[c] = w_add32(s->sum[c], i_half(c & 1 ? s->odd : s->even, c >> 1));
  pool_clear(s);
}

INLINE void pool_store(const struct sumi_lane_map *map, int64_t v, uint32_t *plane, wvec w) {
  for (int32_t k = map->first[v]; k < map->first[v + 1]; k++) w_put(&map->piece[k], plane, w);
}

INLINE void pool_i8_max(const struct sumi_pool_i8 *d, POOL_I8_RANGE) {
  for (int64_t g = g0; g < g1; g++)
    for (int64_t v = p0 / WORDS; v * WORDS < p1; v++) {
      if (d->map->first[v] == d->map->first[v + 1]) continue;
      const uint8_t *const x = d->x + g * d->x_group + 4 * WORDS * v;
      wvec w = w_set(0);
      for (int64_t t = 0; t < d->taps; t++) w = w_max(w, w_all(x + d->off[t]));
      pool_store(d->map, v, d->y + g * d->y_group, w);
    }
}

INLINE void pool_i8_average(const struct sumi_pool_i8 *d, POOL_I8_RANGE) {
  const wvec zero = w_pairs(d->zero, d->zero), lo = w_set((uint32_t)d->lo * 0x01010101u),
             hi = w_set((uint32_t)d->hi * 0x01010101u);
  const ivec none = w_set((uint32_t) - (int32_t)((float)d->taps * d->x_zero));
  for (int64_t g = g0; g < g1; g++)
    for (int64_t v = p0 / WORDS; v * WORDS < p1; v++) {
      if (d->map->first[v] == d->map->first[v + 1]) continue;
      const uint8_t *const x = d->x + g * d->x_group + 4 * WORDS * v;
      struct pool_sums s = pool_zero();
      UNROLL for (int c = 0; c < 4; c++) s.sum[c] = none;
      for (int64_t t = 0; t < d->taps;) {
        const int64_t stop = d->taps - t > MOST_16 ? t + MOST_16 : d->taps;
        for (; t < stop; t++) pool_add(&s, w_all(x + d->off[t]));
        pool_flush(&s);
      }
      const int64_t left = d->map->pixels - v * WORDS;
      const fvec scale =
          d->step ? f_load(left < WORDS ? left : WORDS, d->scale + v * WORDS) : f_set(*d->scale);
      UNROLL for (int c = 0; c < 4; c++) s.sum[c] = i_round(f_low(f_mul(f_of(s.sum[c]), scale)));
      pool_store(d->map, v, d->y + g * d->y_group, w_min(w_max(w_join(s.sum, zero, zero), lo), hi));
    }
}

/* Sums of a plane's pixels. */
INLINE void pool_plane(const struct sumi_pool_i8 *d, const uint32_t *x, struct pool_sums *s) {
  for (int64_t v = 0, till = MOST_16; v * WORDS < d->pixels; v++) {
    const int64_t left = d->pixels - v * WORDS;
    wvec w = w_set(0);
    if (!d->map) w = w_load(left < WORDS ? left : WORDS, x + v * WORDS);
    for (int32_t k = d->map ? d->map->first[v] : 0; d->map && k < d->map->first[v + 1]; k++)
      w = w_take(&d->map->piece[k], x, w);
    pool_add(s, w);
    if (v + 1 < till) continue;
    pool_flush(s);
    till += MOST_16;
  }
  pool_flush(s);
}

INLINE void pool_i8_mean(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1) {
  const wvec zero = w_pairs(d->zero, d->zero), lo = w_set((uint32_t)d->lo * 0x01010101u),
             hi = w_set((uint32_t)d->hi * 0x01010101u);
  const int32_t none = -(int32_t)((double)d->pixels * (double)d->x_zero);
  for (int64_t g = g0; g < g1; g++) {
    struct pool_sums s = pool_zero();
    pool_plane(d, (const uint32_t *)(const void *)(d->x + g * d->x_group), &s);
    UNROLL for (int c = 0; c < 4; c++) {
      const ivec sum = w_set((uint32_t)i_sum(s.sum[c]) + (uint32_t)none);
      s.sum[c] = i_round(f_low(f_mul(f_of(sum), f_set(*d->scale))));
    }
    w_store(1, d->y + g * d->y_group, w_min(w_max(w_join(s.sum, zero, zero), lo), hi));
  }
}

/* The functions of a leaf. */
#define POOL_I8_LEAF(suffix)                                                              \
  void sumi_pool_i8_max_##suffix(const struct sumi_pool_i8 *d, POOL_I8_RANGE) {           \
    pool_i8_max(d, g0, g1, p0, p1);                                                       \
  }                                                                                       \
  void sumi_pool_i8_average_##suffix(const struct sumi_pool_i8 *d, POOL_I8_RANGE) {       \
    pool_i8_average(d, g0, g1, p0, p1);                                                   \
  }                                                                                       \
  void sumi_pool_i8_mean_##suffix(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1) { \
    pool_i8_mean(d, g0, g1);                                                              \
  }

#endif

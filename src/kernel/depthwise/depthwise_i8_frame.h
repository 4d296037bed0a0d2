/* The frame of family depthwise_i8, written in the words of simd/words_*.h. A leaf includes those first, and defines
 *
 *   dw_weights             the words of a quad for four channels, as its instructions want them;  dw_weights_of(wvec)
 *   dw_dot(sum, x, w)      sum[j] += four bytes of x[j], unsigned, times four bytes of w[j], signed
 *   dw_finish(s, m, v, sum)   the end of rows m .. m + 3 of vector v: sum[i * 16 + lane], 64-byte aligned
 *
 * A quad of taps is brought to 16 words for every fourth pixel: word c of quad j of x[k] holds the four taps of channel c at
 * pixel 4 j + k. Sums then come as words of one channel, a broadcast vector of four scales fits them all, and packing
 * puts four pixels' channels in their places. */
#ifndef SUMI_KERNEL_DEPTHWISE_I8_FRAME_H
#define SUMI_KERNEL_DEPTHWISE_I8_FRAME_H

#include <math.h>

#include "kernel/depthwise/depthwise_i8_int.h"

enum { DW_MOST = 32 }; /* quads that are kept as the instructions want them */

/* What all tiles of a group have in common. */
struct dw_group {
  const struct sumi_spmm_i8 *s;
  const uint8_t *x;
  int64_t m;
  bool quick; /* bytes out, no stage; scales below 1, so that conversion to integers does not overflow */
  wvec bias, lo, hi, zero;
  fvec scale;
  uint32_t *plane;
};

INLINE bool dw_beside(const int32_t *off) {
  return off[1] - off[0] == 4 && off[2] - off[0] == 8 && off[3] - off[0] == 12;
}

INLINE bool dw_quick(const struct sumi_spmm_i8 *s, int64_t g0, int64_t g1) {
  int small = 1;
  for (int64_t m = 4 * g0; m < 4 * g1; m++) small &= fabsf(s->scale[m]) < 1;
  return small && !s->y_f32 && !s->n_stage && !s->shift && !s->act && s->post == 1;
}

INLINE struct dw_group dw_group_of(const struct sumi_depthwise_i8 *d, int64_t g, bool quick) {
  const struct sumi_spmm_i8 *s = &d->s;
  return (struct dw_group){.s = s,
                           .x = s->x + g * d->x_group,
                           .m = 4 * g,
                           .quick = quick,
                           .bias = w_four(s->bias + 4 * g),
                           .lo = w_set((uint32_t)s->lo * 0x01010101u),
                           .hi = w_set((uint32_t)s->hi * 0x01010101u),
                           .zero = w_pairs(s->zero, s->zero),
                           .scale = f_four(s->scale + 4 * g),
                           .plane = s->y ? s->y + g * s->y_group : NULL};
}

/* Adds a quad of taps; beside is a constant where this is inlined. */
INLINE void dw_add(const bool beside, const uint8_t *x, const int32_t *off, dw_weights w, ivec *sum) {
  wvec a[4];
  UNROLL for (int i = 0; i < 4; i++) a[i] = beside ? w_turn(w_all(x + off[0] + 4 * i)) : w_all(x + off[i]);
  if (!beside) w_zip(a);
  UNROLL for (int i = 0; i < 4; i++) dw_dot(&sum[i], a[i], w);
}

INLINE void dw_store(const struct sumi_lane_map *map, int64_t v, uint32_t *plane, wvec w) {
  const struct sumi_lane_piece *q = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  if (q->n == WORDS)
    w_store(WORDS, plane + q->at, w);
  else
    for (; q < end; q++) w_put(q, plane, w);
}

INLINE void dw_end(const struct dw_group *g, const table256 *table, const struct sumi_lane_map *map,
                   int64_t v, ivec *sum) {
  if (!g->quick) {
    _Alignas(64) int32_t rows[4 * WORDS];
    w_transpose(sum);
    UNROLL for (int i = 0; i < 4; i++) w_store(WORDS, (uint32_t *)rows + i * WORDS, sum[i]);
    dw_finish(g->s, g->m, v, rows);
    return;
  }
  UNROLL for (int i = 0; i < 4; i++) sum[i] = i_round(f_mul(f_of(sum[i]), g->scale));
  wvec w = w_min(w_max(w_stack(sum, g->zero, g->zero), g->lo), g->hi);
  if (g->s->table) w = t_look(table, w);
  dw_store(map, v, g->plane, w);
}

/* One group. quads and beside, of which bit e says whether quad e reads four words side by side, are constants where this is
 * inlined, or quads is 0: then there are n_list, and beside holds for the first 64 of them. */
INLINE void dw_walk(const int quads, const uint64_t beside, const struct dw_group *g, const int32_t *packed,
                    const table256 *table, int64_t v0, int64_t v1) {
  const struct sumi_spmm_i8 *s = g->s;
  const struct sumi_lane_map map = *s->map;
  const int64_t n = quads ? quads : s->n_list;
  const int32_t *const off = s->off;
  dw_weights w[DW_MOST];
  for (int64_t e = 0; e < n && e < DW_MOST; e++) w[e] = dw_weights_of(w_four(packed + 4 * e));
  for (int64_t v = v0; v < v1; v++) {
    if (map.first[v] == map.first[v + 1]) continue;
    const uint8_t *const x = g->x + v * WORDS * 4;
    ivec sum[4] = {g->bias, g->bias, g->bias, g->bias};
    if (quads) {
      UNROLL for (int e = 0; e < quads; e++) dw_add(beside >> e & 1, x, off + 4 * e, w[e], sum);
    } else {
      for (int64_t e = 0; e < n; e++) {
        const dw_weights here = e < DW_MOST ? w[e] : dw_weights_of(w_four(packed + 4 * e));
        if (e < 64 && beside >> e & 1)
          dw_add(true, x, off + 4 * e, here, sum);
        else
          dw_add(false, x, off + 4 * e, here, sum);
      }
    }
    dw_end(g, table, &map, v, sum);
  }
}

INLINE void dw_run(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0, int64_t p1) {
  static const uint8_t none[256];
  enum {
    WINDOW_3 = 7,
    WINDOW_3_STRIDE_2 = 4,
    WINDOW_5 = 0x5f,
    WINDOW_5_STRIDE_2 = 0x9f
  }; /* what sumi_depthwise_i8_taps makes of them */
  const struct sumi_spmm_i8 *s = &d->s;
  const table256 table = t_load(s->table ? s->table : none);
  const bool quick = dw_quick(s, g0, g1);
  uint64_t beside = 0;
  for (int64_t e = 0; e < s->n_list && e < 64; e++) beside |= (uint64_t)dw_beside(s->off + 4 * e) << e;
  for (int64_t g = g0; g < g1; g++) {
    const struct dw_group group = dw_group_of(d, g, quick);
    const int32_t *const w = s->w + g * s->n_list * 4;
    const int64_t v0 = p0 / WORDS, v1 = (p1 + WORDS - 1) / WORDS;
    if (s->n_list == 3 && beside == WINDOW_3)
      dw_walk(3, WINDOW_3, &group, w, &table, v0, v1);
    else if (s->n_list == 3 && beside == WINDOW_3_STRIDE_2)
      dw_walk(3, WINDOW_3_STRIDE_2, &group, w, &table, v0, v1);
    else if (s->n_list == 7 && beside == WINDOW_5)
      dw_walk(7, WINDOW_5, &group, w, &table, v0, v1);
    else if (s->n_list == 8 && beside == WINDOW_5_STRIDE_2)
      dw_walk(8, WINDOW_5_STRIDE_2, &group, w, &table, v0, v1);
    else
      dw_walk(0, beside, &group, w, &table, v0, v1);
  }
}

#endif

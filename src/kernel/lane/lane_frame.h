/* The frame of family lane, written in the words of simd/words_*.h: a leaf includes its instruction set's words first.
 *
 * A division is dear, and is seldom needed: where x * (r less a little) and x * (r and a little more), r = 1 / scale,
 * round to the same number, x / scale rounds to it too. Vectors in which a lane does not are divided. */
#ifndef SUMI_KERNEL_LANE_FRAME_H
#define SUMI_KERNEL_LANE_FRAME_H

#include <string.h>

#include "kernel/lane/lane_int.h"

static inline int64_t lane_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Vector i of a walk: n words from pixel 16 i on. */
INLINE wvec lane_from(const struct sumi_lane_map *map, const uint32_t *plane, int64_t i, int64_t n) {
  if (!map) return w_load(n, plane + i * WORDS);
  wvec w = w_set(0);
  for (int32_t k = map->first[i]; k < map->first[i + 1]; k++) w = w_take(&map->piece[k], plane, w);
  return w;
}
INLINE void lane_to(const struct sumi_lane_map *map, uint32_t *plane, int64_t i, int64_t n, wvec w) {
  if (!map)
    w_store(n, plane + i * WORDS, w);
  else
    for (int32_t k = map->first[i]; k < map->first[i + 1]; k++) w_put(&map->piece[k], plane, w);
}

/* ---- row-major data: channels of one pixel side by side (rows) or pixels of one channel (planes) ---------------- */

/* A tile is 16 pixels of 16 channels. The row of pixel p lies here, so that w_transpose makes words of it. */
static inline int lane_row(int64_t p) { return (int)(p % 4 * 4 + p / 4) * WORDS; }

/* 1 / scale a little smaller and a little larger: by 2^-21, more than all roundings together. */
struct lane_quant {
  fvec scale, less, more;
};
INLINE struct lane_quant lane_quant(fvec scale) {
  return (struct lane_quant){scale, f_inverse(scale, 1 - 0x1p-21f), f_inverse(scale, 1 + 0x1p-21f)};
}
INLINE ivec lane_divide(const struct lane_quant *q, fvec x) { return i_round(f_held(f_div(x, q->scale))); }

/* One group of planes. Channels that are not there are far below zero: they saturate to 0. */
INLINE void lane_quantize_planes(const struct sumi_lane_convert *l, int64_t g, int64_t p0, int64_t p1) {
  const int64_t channels = lane_min(4, l->channels - 4 * g);
  struct lane_quant q[4];
  float zero[4] = {0, 0, 0, 0};
  for (int64_t c = 0; c < channels; c++) {
    q[c] = lane_quant(f_set(l->scale[(4 * g + c) * l->step]));
    zero[c] = l->zero[(4 * g + c) * l->step];
  }
  const wvec z01 = w_pairs(zero[0], zero[1]), z23 = w_pairs(zero[2], zero[3]);
  const float *const data = (const float *)l->data + 4 * g * l->channel;
  uint32_t *const plane = l->words.word + g * l->words.group;
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    ivec v[4];
    UNROLL for (int c = 0; c < 4; c++) {
      v[c] = w_set(0x80000000u);
      if (c >= channels) continue;
      const fvec x = f_load(n, data + c * l->channel + p);
      v[c] = i_round(f_mul(x, q[c].less));
      if (!i_sure(v[c], i_round(f_mul(x, q[c].more)))) v[c] = lane_divide(&q[c], x);
    }
    lane_to(l->words.map, plane, p / WORDS, n, w_join(v, z01, z23));
  }
}

/* Scales or zero points of channels [c, c + n); others there where there is no channel. */
INLINE fvec lane_param(const float *param, int step, int64_t c, int64_t n, float others) {
  float v[WORDS];
  for (int64_t j = 0; j < WORDS; j++) v[j] = j < n ? param[(c + j) * step] : others;
  return f_load(WORDS, v);
}

/* Four groups of rows, from channel c on. */
INLINE void lane_quantize_rows(const struct sumi_lane_convert *l, int64_t c, int64_t c1, int64_t p0,
                               int64_t p1) {
  _Alignas(64) uint8_t row[WORDS * WORDS] = {0};
  const int64_t channels = lane_min(WORDS, lane_min(c1, l->channels) - c);
  const struct lane_quant q = lane_quant(lane_param(l->scale, l->step, c, channels, 1));
  const ivec zero = i_round(lane_param(l->zero, l->step, c, channels, 0));
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    const float *data = (const float *)l->data + c + p * l->pixel;
    for (int64_t k = 0; k < n; k++, data += l->pixel) {
      const fvec x = f_load(channels, data);
      ivec v = i_round(f_mul(x, q.less));
      if (!i_sure(v, i_round(f_mul(x, q.more)))) v = lane_divide(&q, x);
      i_bytes(v, zero, row + lane_row(k));
    }
    wvec w[4];
    UNROLL for (int k = 0; k < 4; k++) w[k] = w_load(WORDS, (const uint32_t *)(row + 64 * k));
    w_transpose(w);
    for (int64_t g = 0; 4 * g < channels; g++)
      lane_to(l->words.map, l->words.word + (c / 4 + g) * l->words.group, p / WORDS, n, w[g]);
  }
}

INLINE void lane_dequantize_planes(const struct sumi_lane_convert *l, int64_t g, int64_t p0, int64_t p1) {
  const int64_t channels = lane_min(4, l->channels - 4 * g);
  const uint32_t *const plane = l->words.word + g * l->words.group;
  float *const data = (float *)l->data + 4 * g * l->channel;
  fvec scale[4], zero[4];
  for (int64_t c = 0; c < channels; c++) {
    scale[c] = f_set(l->scale[(4 * g + c) * l->step]);
    zero[c] = f_set(l->zero[(4 * g + c) * l->step]);
  }
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    const wvec w = lane_from(l->words.map, plane, p / WORDS, n);
    UNROLL for (int c = 0; c < 4; c++) if (c < channels)
        f_store(n, data + c * l->channel + p, f_mul(f_sub(f_byte(w, c), zero[c]), scale[c]));
  }
}

/* The words of a tile as rows. */
INLINE void lane_tile(const struct sumi_lane_planes *x, int64_t g, int64_t groups, int64_t i, int64_t n,
                      uint8_t *row) {
  wvec w[4];
  for (int64_t k = 0; k < 4; k++)
    w[k] = k < groups ? lane_from(x->map, x->word + (g + k) * x->group, i, n) : w_set(0);
  w_transpose(w);
  UNROLL for (int k = 0; k < 4; k++) w_store(WORDS, (uint32_t *)(row + 64 * k), w[k]);
}

INLINE void lane_dequantize_rows(const struct sumi_lane_convert *l, int64_t c, int64_t c1, int64_t p0,
                                 int64_t p1) {
  _Alignas(64) uint8_t row[WORDS * WORDS];
  const int64_t channels = lane_min(WORDS, lane_min(c1, l->channels) - c);
  const fvec scale = lane_param(l->scale, l->step, c, channels, 1);
  const fvec zero = lane_param(l->zero, l->step, c, channels, 0);
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    float *data = (float *)l->data + c + p * l->pixel;
    lane_tile(&l->words, c / 4, (channels + 3) / 4, p / WORDS, n, row);
    for (int64_t k = 0; k < n; k++, data += l->pixel)
      f_store(channels, data, f_mul(f_sub(f_row(row + lane_row(k)), zero), scale));
  }
}

/* Bytes of one group of planes: 16 pixels of 4 channels at once, or what there is of them through a buffer. */
INLINE void lane_pack_planes(const struct sumi_lane_convert *l, int64_t g, int64_t p0, int64_t p1) {
  const int64_t channels = lane_min(4, l->channels - 4 * g);
  const wvec flip = w_set(l->flip * 0x01010101u & 0xffffffffu >> 8 * (4 - channels));
  const uint8_t *data = (const uint8_t *)l->data + 4 * g * l->channel;
  uint8_t four[4 * WORDS] = {0};
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    const bool all = n == WORDS && channels == 4;
    for (int64_t c = 0; c < channels && !all; c++)
      memcpy(four + c * WORDS, data + c * l->channel + p, (size_t)n);
    const wvec w = all ? w_weave(data + p, l->channel) : w_weave(four, WORDS);
    lane_to(l->words.map, l->words.word + g * l->words.group, p / WORDS, n, w_xor(w, flip));
  }
}

INLINE void lane_unpack_planes(const struct sumi_lane_convert *l, int64_t g, int64_t p0, int64_t p1) {
  const int64_t channels = lane_min(4, l->channels - 4 * g);
  const wvec flip = w_set(l->flip * 0x01010101u);
  uint8_t *const data = (uint8_t *)l->data + 4 * g * l->channel;
  uint8_t four[4 * WORDS];
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    w_unweave(w_xor(lane_from(l->words.map, l->words.word + g * l->words.group, p / WORDS, n), flip), four);
    for (int64_t c = 0; c < channels; c++)
      if (n == WORDS)
        memcpy(data + c * l->channel + p, four + c * WORDS, WORDS);
      else
        memcpy(data + c * l->channel + p, four + c * WORDS, (size_t)n);
  }
}

INLINE void lane_pack_rows(const struct sumi_lane_convert *l, int64_t c, int64_t c1, int64_t p0, int64_t p1) {
  _Alignas(64) uint8_t row[WORDS * WORDS] = {0};
  const int64_t channels = lane_min(WORDS, lane_min(c1, l->channels) - c);
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    const uint8_t *const data = (const uint8_t *)l->data + c + p * l->pixel;
    for (int64_t k = 0; k < n; k++)
      for (int64_t j = 0; j < channels; j++) row[lane_row(k) + j] = data[k * l->pixel + j] ^ l->flip;
    wvec w[4];
    UNROLL for (int k = 0; k < 4; k++) w[k] = w_load(WORDS, (const uint32_t *)(row + 64 * k));
    w_transpose(w);
    for (int64_t g = 0; 4 * g < channels; g++)
      lane_to(l->words.map, l->words.word + (c / 4 + g) * l->words.group, p / WORDS, n, w[g]);
  }
}

INLINE void lane_unpack_rows(const struct sumi_lane_convert *l, int64_t c, int64_t c1, int64_t p0,
                             int64_t p1) {
  _Alignas(64) uint8_t row[WORDS * WORDS];
  const int64_t channels = lane_min(WORDS, lane_min(c1, l->channels) - c);
  for (int64_t p = p0; p < p1; p += WORDS) {
    const int64_t n = lane_min(WORDS, p1 - p);
    uint8_t *const data = (uint8_t *)l->data + c + p * l->pixel;
    lane_tile(&l->words, c / 4, (channels + 3) / 4, p / WORDS, n, row);
    for (int64_t k = 0; k < n; k++)
      for (int64_t j = 0; j < channels; j++) data[k * l->pixel + j] = row[lane_row(k) + j] ^ l->flip;
  }
}

/* Defines lane_<verb> of rows or planes: channels of a pixel, or pixels of a channel, lie side by side. */
#define LANE_CONVERT(verb)                                                                       \
  INLINE void lane_##verb(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {                  \
    if (l->pixel != 1 || (l->channel == 1 && l->channels > 1))                                   \
      for (int64_t c = 4 * g0; c < 4 * g1; c += WORDS) lane_##verb##_rows(l, c, 4 * g1, p0, p1); \
    else                                                                                         \
      for (int64_t g = g0; g < g1; g++) lane_##verb##_planes(l, g, p0, p1);                      \
  }
LANE_CONVERT(quantize)
LANE_CONVERT(dequantize)
LANE_CONVERT(pack)
LANE_CONVERT(unpack)
#undef LANE_CONVERT

/* ---- words to words ---------------------------------------------------------------------------------------------- */

INLINE void lane_binary(const struct sumi_lane_binary *l, const bool add, SUMI_LANE_RANGE) {
  const fvec a_zero = f_set(l->a_zero), a_mul = f_set(l->a_mul), b_zero = f_set(l->b_zero),
             b_mul = f_set(l->b_mul);
  const wvec zero = w_pairs(l->zero, l->zero), lo = w_set((uint32_t)l->lo * 0x01010101u),
             hi = w_set((uint32_t)l->hi * 0x01010101u);
  for (int64_t g = g0; g < g1; g++) {
    const uint32_t *const pa = l->a.word + g * l->a.group, *const pb = l->b.word + g * l->b.group;
    uint32_t *const py = l->y.word + g * l->y.group;
    wvec b = w_set(l->b_step ? 0 : *pb);
    for (int64_t p = p0; p < p1; p += WORDS) {
      const int64_t i = p / WORDS, n = lane_min(WORDS, p1 - p);
      const wvec a = lane_from(l->a.map, pa, i, n);
      if (l->b_step) b = lane_from(l->b.map, pb, i, n);
      ivec v[4];
      UNROLL for (int c = 0; c < 4; c++) {
        const fvec x = f_sub(f_byte(a, c), a_zero), y = f_sub(f_byte(b, c), b_zero);
        v[c] = i_round(f_low(add ? f_fma(x, a_mul, f_mul(y, b_mul)) : f_mul(f_mul(x, y), a_mul)));
      }
      lane_to(l->y.map, py, i, n, w_min(w_max(w_join(v, zero, zero), lo), hi));
    }
  }
}

INLINE void lane_table(const struct sumi_lane_table *l, SUMI_LANE_RANGE) {
  static const uint8_t none[256];
  const table256 table = t_load(l->table ? l->table : none);
  for (int64_t g = g0; g < g1; g++)
    for (int64_t p = p0; p < p1; p += WORDS) {
      const int64_t i = p / WORDS, n = lane_min(WORDS, p1 - p);
      const wvec x = lane_from(l->x.map, l->x.word + g * l->x.group, i, n);
      lane_to(l->y.map, l->y.word + g * l->y.group, i, n, l->table ? t_look(&table, x) : x);
    }
}

/* The functions of a leaf. */
#define LANE_LEAF(suffix)                                                                  \
  void sumi_lane_quantize_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {   \
    lane_quantize(l, g0, g1, p0, p1);                                                      \
  }                                                                                        \
  void sumi_lane_dequantize_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) { \
    lane_dequantize(l, g0, g1, p0, p1);                                                    \
  }                                                                                        \
  void sumi_lane_pack_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {       \
    lane_pack(l, g0, g1, p0, p1);                                                          \
  }                                                                                        \
  void sumi_lane_unpack_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE) {     \
    lane_unpack(l, g0, g1, p0, p1);                                                        \
  }                                                                                        \
  void sumi_lane_add_##suffix(const struct sumi_lane_binary *l, SUMI_LANE_RANGE) {         \
    lane_binary(l, true, g0, g1, p0, p1);                                                  \
  }                                                                                        \
  void sumi_lane_mul_##suffix(const struct sumi_lane_binary *l, SUMI_LANE_RANGE) {         \
    lane_binary(l, false, g0, g1, p0, p1);                                                 \
  }                                                                                        \
  void sumi_lane_table_##suffix(const struct sumi_lane_table *l, SUMI_LANE_RANGE) {        \
    lane_table(l, g0, g1, p0, p1);                                                         \
  }

#endif

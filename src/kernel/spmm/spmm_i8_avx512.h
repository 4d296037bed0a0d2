/* What the AVX-512 leaves of the 8-bit loop share: the end of a tile. 32-bit sums of 4 rows x 16 pixels become
 * 16 words (or 4 x 16 floats), and those go where the map says; the formulas are spmm_i8.h's, to the bit.
 * Needs AVX-512 F, BW, DQ, VL only.
 *
 * Use. Once a call: const struct i8_end end = i8_end_of(s, b0, b1); A vector of 16 pixels that begins at p is
 * vector v = p / 16; leave it out where !sumi_lane_wanted(s->map, v). When the sums of rows m .. m + 3 (m a multiple of
 * 4), bias included, lie in memory at sum[i * stride + lane], 64-byte aligned:
 *   i8_finish(&end, m, v, sum, stride);
 * Where they are in registers and end.quick holds (the common end: bytes, no stage, no table, small scales):
 *   i8_store(s->map, v, i8_plane(s, m), i8_quick(&end, end.plain, m, a, b, c, d));
 * i8_quick_tile does that for a tile, for tiles with a residual whose result may be any byte, and for float32 and what an
 * activation is to see. The rest goes through memory: with everything inlined, tiles grow threefold. */
#ifndef SUMI_KERNEL_SPMM_I8_AVX512_H
#define SUMI_KERNEL_SPMM_I8_AVX512_H

#include <immintrin.h>
#include <math.h>

#include "kernel/spmm/spmm_i8_int.h"

/* The only stage, which adds the residual and nothing else, with its figures in vectors. */
struct i8_adder {
  __m512 lo, hi, mul, r_less, r_bare_less, r_mul;
  __m512i bits, pick[I8_WORD_ROWS], zero, least, most;
  bool plain;  /* bytes as they come from packing */
  bool r_bare; /* no zero point on the residual */
};

/* What a call's tiles have in common at their end. */
struct i8_end {
  const struct sumi_spmm_i8 *s;
  bool quick, direct; /* direct: with a shift or a factor behind it */
  bool plain;         /* of quick ones: bytes as they come from packing */
  bool real;          /* float32 and nothing behind the sum but scale and shift */
  bool residual;   /* bytes out of one stage that adds the residual and nothing else, scales as for quick */
  uint32_t lo, hi; /* in four bytes */
  uint32_t zero;   /* in two halves */
  struct i8_adder adder; /* where residual */
};

INLINE void i8_adder_init(struct i8_adder *a, const struct sumi_spmm_i8 *s) {
  const struct sumi_spmm_i8_stage *const t = &s->stage[0];
  *a = (struct i8_adder){.lo = _mm512_set1_ps(s->lo - s->zero),
                         .hi = _mm512_set1_ps(s->hi - s->zero),
                         .mul = _mm512_set1_ps(t->mul),
                         .r_less = _mm512_set1_ps(0x1p23f + t->r_zero),
                         .r_bare_less = _mm512_set1_ps(0x1p23f * t->r_mul),
                         .r_mul = _mm512_set1_ps(t->r_mul),
                         .bits = _mm512_set1_epi32(0x4b000000), /* 2^23 */
                         .zero = _mm512_set1_epi16((short)t->zero),
                         .least = _mm512_set1_epi8((char)(uint8_t)t->lo),
                         .most = _mm512_set1_epi8((char)(uint8_t)t->hi),
                         .plain = t->zero == 0 && t->lo == 0 && t->hi == 255,
                         .r_bare = t->r_zero == 0};
  for (int k = 0; k < I8_WORD_ROWS; k++)
    a->pick[k] = _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_setr_epi32(0, 4, 8, 12)), _mm512_set1_epi32(k));
}

INLINE struct i8_end i8_end_of(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1) {
  const int64_t m1 = b1 * s->block < s->rows ? b1 * s->block : s->rows;
  const bool direct = s->shift || s->post != 1;
  int small =
      1; /* |v * post| < 2^31: conversion to integers does not overflow, and the clamp may follow it */
  for (int64_t m = b0 * s->block; m < m1; m++)
    small &= fabsf(s->scale[m] * s->post) < 0.5f && (!s->shift || fabsf(s->shift[m] * s->post) < 0x1p29f);
  const struct sumi_spmm_i8_stage *t = &s->stage[0];
  const bool plain = small && !s->y_f32 && !s->table && !s->act && !direct;
  struct i8_end end = {.s = s,
                       .residual = plain && s->n_stage == 1 && !t->add && !t->act && fabsf(t->mul) < 1e5f &&
                                   fabsf(t->r_mul) < 1e5f,
                       .quick = small && !s->y_f32 && !s->n_stage && !s->table && !s->act,
                       .direct = direct,
                       .real = s->y_f32 && !s->act,
                       .plain = !direct && s->zero == 0 && s->lo == 0 && s->hi == 255,
                       .lo = (uint32_t)s->lo * 0x01010101u,
                       .hi = (uint32_t)s->hi * 0x01010101u,
                       .zero = (uint32_t)s->zero * 0x00010001u};
  if (end.residual) i8_adder_init(&end.adder, s);
  return end;
}

/* ---- maps ------------------------------------------------------------------------------------------------------- */

INLINE uint32_t *i8_plane(const struct sumi_spmm_i8 *s, int64_t m) {
  return s->y + m / I8_WORD_ROWS * s->y_group;
}

/* A vector in the order of SUMI_LANES_APART. */
INLINE __m512i i8_apart(__m512i words) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15),
                                  words);
}

/* Stores the lanes of one piece of a vector in the map's order to the plane. */
INLINE void i8_store_piece(const struct sumi_lane_map *map, const struct sumi_lane_piece *k, void *plane,
                           __m512i words) {
  int32_t *const to = plane;
  if (map->order != SUMI_LANES_ANY)
    _mm512_mask_storeu_epi32(to + k->lane_0, k->ordered, words);
  else
    _mm512_mask_storeu_epi32(to + k->at, (__mmask16)((1 << k->n) - 1),
                             _mm512_maskz_compress_epi32(k->mask, words));
}

/* Where vectors v, v + 1, ... of a flat map go: in one run, of which the last vector may hold less than 16 words. */
struct i8_run {
  int64_t at;
  __mmask16 last;
};

INLINE struct i8_run i8_run_of(const struct sumi_lane_map *map, int64_t v, const int vectors) {
  const int64_t left = map->pixels - I8_VECTOR * (v + vectors - 1);
  return (struct i8_run){map->flat + I8_VECTOR * v, (__mmask16)(left < I8_VECTOR ? (1 << left) - 1 : 0xffff)};
}

/* Stores the lanes of vector v to the plane. */
INLINE void i8_store(const struct sumi_lane_map *map, int64_t v, void *plane, __m512i words) {
  if (map->flat >= 0) {
    const struct i8_run run = i8_run_of(map, v, 1);
    _mm512_mask_storeu_epi32((int32_t *)plane + run.at, run.last, words);
    return;
  }
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  if (map->order == SUMI_LANES_APART) words = i8_apart(words);
  for (; k < end; k++) i8_store_piece(map, k, plane, words);
}

/* Stores vectors v, v + 1, ... by way of memory. One loop over the pieces of them all: how many each vector has cannot be
 * foretold. */
INLINE void i8_store_vectors(const struct sumi_lane_map *map, int64_t v, const int vectors, void *plane,
                             const __m512i words[]) {
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end =
                                                                    map->piece + map->first[v + vectors];
  _Alignas(64) uint32_t there[I8_MOST_VECTORS * I8_VECTOR];
  if (map->order == SUMI_LANES_APART) {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_si512(there + I8_VECTOR * u, i8_apart(words[u]));
  } else {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_si512(there + I8_VECTOR * u, words[u]);
  }
  for (; k < end; k++)
    i8_store_piece(map, k, plane, _mm512_load_si512(there + I8_VECTOR * (uint8_t)(k->vector - v)));
}

/* Stores vectors v, v + 1, ... from registers. */
INLINE void i8_put(const struct sumi_lane_map *map, int64_t v, const int vectors, void *plane,
                   const __m512i words[]) {
  if (map->flat < 0) {
    i8_store_vectors(map, v, vectors, plane, words);
    return;
  }
  const struct i8_run run = i8_run_of(map, v, vectors);
  int32_t *const to = (int32_t *)plane + run.at;
  UNROLL for (int u = 0; u < vectors - 1; u++) _mm512_storeu_si512(to + I8_VECTOR * u, words[u]);
  _mm512_mask_storeu_epi32(to + I8_VECTOR * (vectors - 1), run.last, words[vectors - 1]);
}

/* What i8_store would have stored: lanes in no piece are 0. */
INLINE __m512i i8_load(const struct sumi_lane_map *map, int64_t v, const uint32_t *plane) {
  const struct sumi_lane_piece *k = map->piece + map->first[v], *const end = map->piece + map->first[v + 1];
  if (end - k == 1 && k->mask == 0xffff) return _mm512_loadu_si512(plane + k->at);
  __m512i words = _mm512_setzero_si512();
  for (; k < end; k++)
    words = map->order == SUMI_LANES_TOGETHER ? _mm512_mask_loadu_epi32(words, k->mask, plane + k->lane_0)
                                              : _mm512_mask_expandloadu_epi32(words, k->mask, plane + k->at);
  return words;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

/* Two rows each, as _mm512_packs_epi32 leaves them, to words of bytes, cut to 0..255. */
INLINE __m512i i8_words(__m512i ab, __m512i cd) {
  const __m512i order =
      _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  return _mm512_shuffle_epi8(_mm512_packus_epi16(ab, cd), order);
}

/* Rows of whole numbers v, |v| <= 2^31, to words of bytes v + zero, cut to 0..255. */
INLINE __m512i i8_pack(__m512i a, __m512i b, __m512i c, __m512i d, __m512i zero) {
  return i8_words(_mm512_adds_epi16(_mm512_packs_epi32(a, b), zero),
                  _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero));
}

INLINE __m512 i8_scaled(const struct sumi_spmm_i8 *s, int64_t m, __m512i sum) {
  return _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(s->scale[m]));
}

/* The same with the shift. */
INLINE __m512 i8_shifted(const struct sumi_spmm_i8 *s, int64_t m, __m512i sum) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_set1_ps(s->scale[m]),
                         _mm512_set1_ps(s->shift ? s->shift[m] : 0));
}

/* Sums of rows m .. m + 3 to words, where end.quick. Limits are whole numbers, so rounding may come before
 * the clamp, which then is one of bytes. plain: end.plain, nothing to add and to clamp. */
INLINE __m512i i8_quick(const struct i8_end *end, const bool plain, int64_t m, __m512i a, __m512i b,
                        __m512i c, __m512i d) {
  const __m512 post = _mm512_set1_ps(end->s->post);
#define ROUNDED(v, i)                                                                          \
  _mm512_cvtps_epi32(!plain && end->direct ? _mm512_mul_ps(i8_shifted(end->s, m + i, v), post) \
                                           : i8_scaled(end->s, m + i, v))
  if (plain)
    return i8_words(_mm512_packs_epi32(ROUNDED(a, 0), ROUNDED(b, 1)),
                    _mm512_packs_epi32(ROUNDED(c, 2), ROUNDED(d, 3)));
  const __m512i q =
      i8_pack(ROUNDED(a, 0), ROUNDED(b, 1), ROUNDED(c, 2), ROUNDED(d, 3), _mm512_set1_epi32((int)end->zero));
#undef ROUNDED
  return _mm512_min_epu8(_mm512_max_epu8(q, _mm512_set1_epi32((int)end->lo)),
                         _mm512_set1_epi32((int)end->hi));
}

/* min(max(v, lo - zero), hi - zero); a NaN becomes the lower one. */
INLINE __m512 i8_clamp(__m512 v, float lo, float hi, float zero) {
  return _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(lo - zero)), _mm512_set1_ps(hi - zero));
}

/* Byte i of each word, less zero. 2^23 + byte is a float whose low bits are the byte. */
INLINE __m512 i8_byte(__m512i words, int i, float zero) {
  const __m512i bits = _mm512_set1_epi32(0x4b000000); /* 2^23 */
  const __m512i pick =
      _mm512_add_epi8(_mm512_broadcast_i32x4(_mm_setr_epi32(0, 4, 8, 12)), _mm512_set1_epi32(i));
  const __m512i v = _mm512_mask_shuffle_epi8(bits, 0x1111111111111111, words, pick);
  return _mm512_sub_ps(_mm512_castsi512_ps(v), _mm512_set1_ps(0x1p23f + zero));
}

/* act(q) * post on four rows; the function sees lanes that are dropped too. */
INLINE void i8_apply(sumi_unary_fn act, const float *param, float post, __m512 q[4]) {
  _Alignas(64) float v[I8_WORD_ROWS * I8_VECTOR];
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) _mm512_store_ps(v + i * I8_VECTOR, q[i]);
  act(v, v, I8_WORD_ROWS * I8_VECTOR, param);
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] =
      _mm512_mul_ps(_mm512_load_ps(v + i * I8_VECTOR), _mm512_set1_ps(post));
}

/* One stage on four rows of whole numbers, their zero point taken off. */
INLINE void i8_stage(const struct sumi_spmm_i8 *s, const struct sumi_spmm_i8_stage *t, int64_t m, int64_t v,
                     __m512 q[4]) {
  const __m512 mul = _mm512_set1_ps(t->mul);
  if (t->add) {
    UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] =
        _mm512_fmadd_ps(q[i], mul, _mm512_set1_ps(t->add[m + i]));
  } else {
    const __m512i r = i8_load(s->r_map, v, t->r + m / I8_WORD_ROWS * t->r_group);
    const __m512 r_mul = _mm512_set1_ps(t->r_mul);
    UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] =
        _mm512_fmadd_ps(q[i], mul, _mm512_mul_ps(i8_byte(r, i, t->r_zero), r_mul));
  }
  if (t->act) i8_apply(t->act, t->act_param, t->post, q);
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] = i8_clamp(q[i], t->lo, t->hi, t->zero);
}

/* table[byte] for every byte. The table is 128 words of two bytes in four registers: a word is found by the
 * byte's upper seven bits and shifted by its lowest. */
INLINE __m512i i8_look_up(const uint8_t *table, __m512i bytes) {
  const __m512i t0 = _mm512_load_si512(table), t1 = _mm512_load_si512(table + 64),
                t2 = _mm512_load_si512(table + 128), t3 = _mm512_load_si512(table + 192);
  const __m512i low = _mm512_set1_epi16(255), one = _mm512_set1_epi16(1);
  __m512i found[2];
  UNROLL for (int odd = 0; odd < 2; odd++) {
    const __m512i v = odd ? _mm512_srli_epi16(bytes, 8) : _mm512_and_si512(bytes, low),
                  at = _mm512_srli_epi16(v, 1);
    const __mmask32 upper = _mm512_test_epi16_mask(v, _mm512_set1_epi16(128));
    const __m512i pair = _mm512_mask_mov_epi16(_mm512_permutex2var_epi16(t0, at, t1), upper,
                                               _mm512_permutex2var_epi16(t2, at, t3));
    found[odd] = _mm512_srlv_epi16(pair, _mm512_slli_epi16(_mm512_and_si512(v, one), 3));
  }
  return _mm512_or_si512(_mm512_and_si512(found[0], low), _mm512_slli_epi16(found[1], 8));
}

/* Four rows of a tile's sums to their places. */
INLINE void i8_quick_rows(const int vectors, const struct i8_end *end, const bool plain, int64_t m, int64_t v,
                          const __m512i sum[][I8_MOST_VECTORS]) {
  __m512i words[I8_MOST_VECTORS];
  UNROLL for (int u = 0; u < vectors; u++) {
    words[u] = i8_quick(end, plain, m, sum[0][u], sum[1][u], sum[2][u], sum[3][u]);
  }
  i8_put(end->s->map, v, vectors, i8_plane(end->s, m), words);
}

/* The same where end.real. */
INLINE void i8_real_rows(const int vectors, const struct i8_end *end, int64_t m, int64_t v,
                         const __m512i sum[][I8_MOST_VECTORS]) {
  const struct sumi_spmm_i8 *const s = end->s;
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) {
    __m512i value[I8_MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) value[u] = _mm512_castps_si512(i8_shifted(s, m + i, sum[i][u]));
    i8_put(s->map, v, vectors, s->y_f32 + (m + i) * s->y_row, value);
  }
}

/* ---- with a residual ---------------------------------------------------------------------------------------------- */

/* Sums of four rows and words of the residual to words: the bits of i8_finish_any. plain, bare: as in t. Bare bytes b:
 * 2^23 * r_mul is a float32, and one operation takes it off (2^23 + b) * r_mul and rounds once. */
INLINE __m512i i8_added(const struct i8_adder *t, const bool plain, const bool bare, const float *scale,
                        const __m512i sum[I8_WORD_ROWS], __m512i r) {
  const __m512 even = _mm512_set1_ps(0x1.8p23f); /* added to a small number, it rounds to nearest even */
  __m512i q[I8_WORD_ROWS];
  UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) {
    const __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(sum[k]), _mm512_set1_ps(scale[k]));
    const __m512 whole =
        _mm512_sub_ps(_mm512_add_ps(_mm512_min_ps(_mm512_max_ps(v, t->lo), t->hi), even), even);
    const __m512 byte =
        _mm512_castsi512_ps(_mm512_mask_shuffle_epi8(t->bits, 0x1111111111111111, r, t->pick[k]));
    const __m512 add = bare ? _mm512_fmsub_ps(byte, t->r_mul, t->r_bare_less)
                            : _mm512_mul_ps(_mm512_sub_ps(byte, t->r_less), t->r_mul);
    q[k] = _mm512_cvtps_epi32(_mm512_fmadd_ps(whole, t->mul, add));
  }
  if (plain) return i8_words(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
  const __m512i words = i8_pack(q[0], q[1], q[2], q[3], t->zero);
  return _mm512_min_epu8(_mm512_max_epu8(words, t->least), t->most);
}

/* Four rows of a tile's sums where end.residual and the adder is plain. bare: as there. */
INLINE void i8_added_rows(const int vectors, const struct i8_end *end, const bool bare, int64_t m, int64_t v,
                          const __m512i sum[][I8_MOST_VECTORS]) {
  const struct sumi_spmm_i8 *const s = end->s;
  const uint32_t *r = s->stage[0].r + m / I8_WORD_ROWS * s->stage[0].r_group;
  _Alignas(64) uint32_t buffer[I8_MOST_VECTORS * I8_VECTOR];
  __mmask16 last = 0xffff;
  if (s->r_map->flat < 0) {
    for (int u = 0; u < vectors; u++) _mm512_store_si512(buffer + u * I8_VECTOR, i8_load(s->r_map, v + u, r));
    r = buffer;
  } else {
    const struct i8_run run = i8_run_of(s->r_map, v, vectors);
    r += run.at, last = run.last;
  }
  __m512i words[I8_MOST_VECTORS];
  UNROLL for (int u = 0; u < vectors; u++) {
    const __m512i q[I8_WORD_ROWS] = {sum[0][u], sum[1][u], sum[2][u], sum[3][u]},
                  there = u + 1 < vectors ? _mm512_loadu_si512(r + I8_VECTOR * u)
                                          : _mm512_maskz_loadu_epi32(last, r + I8_VECTOR * u);
    words[u] = i8_added(&end->adder, true, bare, s->scale + m, q, there);
  }
  i8_put(s->map, v, vectors, i8_plane(s, m), words);
}

/* ---- any end ---------------------------------------------------------------------------------------------------- */

/* Four rows of real values, after s->act and not yet times s->post, to bytes. */
INLINE void i8_finish_bytes(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, __m512 q[I8_WORD_ROWS]) {
  float zero = s->zero;
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] =
      i8_clamp(_mm512_mul_ps(q[i], _mm512_set1_ps(s->post)), s->lo, s->hi, zero);
  for (const struct sumi_spmm_i8_stage *t = s->stage; t < s->stage + s->n_stage; t++) {
    UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] =
        _mm512_roundscale_ps(q[i], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    i8_stage(s, t, m, v, q);
    zero = t->zero;
  }
  const __m512i words = i8_pack(_mm512_cvtps_epi32(q[0]), _mm512_cvtps_epi32(q[1]), _mm512_cvtps_epi32(q[2]),
                                _mm512_cvtps_epi32(q[3]), _mm512_set1_epi16((short)zero));
  i8_store(s->map, v, i8_plane(s, m), s->table ? i8_look_up(s->table, words) : words);
}

/* Four rows of real values to where they go. */
INLINE void i8_finish_values(const struct sumi_spmm_i8 *s, int64_t m, int64_t v, __m512 q[I8_WORD_ROWS]) {
  if (!s->y_f32) {
    i8_finish_bytes(s, m, v, q);
    return;
  }
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++)
      i8_store(s->map, v, s->y_f32 + (m + i) * s->y_row, _mm512_castps_si512(q[i]));
}

static __attribute__((noinline, unused)) void i8_finish_any(const struct sumi_spmm_i8 *s, int64_t m,
                                                            int64_t v, const int32_t *sum, int64_t stride) {
  __m512 q[I8_WORD_ROWS];
  UNROLL for (int i = 0; i < I8_WORD_ROWS; i++) q[i] =
      i8_shifted(s, m + i, _mm512_load_si512(sum + i * stride));
  i8_finish_values(s, m, v, q);
}

/* A tile's values [rows][vectors] through s->act, which is called once, to their end: it sees lanes that are dropped, too. */
static __attribute__((noinline, unused)) void i8_finish_act(const struct sumi_spmm_i8 *s, int64_t m,
                                                            int64_t v, int rows, int vectors, float *value) {
  s->act(value, value, (int64_t)rows * vectors * I8_VECTOR, s->act_param);
  for (int i = 0; i < rows; i += I8_WORD_ROWS)
    for (int u = 0; u < vectors; u++) {
      __m512 q[I8_WORD_ROWS];
      UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) q[k] =
          _mm512_load_ps(value + ((i + k) * vectors + u) * I8_VECTOR);
      i8_finish_values(s, m + i, v + u, q);
    }
}

/* A tile's sums [rows][vectors] in memory, rows stride apart, where end.residual. plain, bare: as in the adder. */
INLINE void i8_finish_added(const struct i8_end *end, const bool plain, const bool bare, int64_t m, int64_t v,
                            int rows, int vectors, const int32_t *sum, int64_t stride) {
  const struct sumi_spmm_i8 *const s = end->s;
  const struct i8_adder t = end->adder;
  for (int i = 0; i < rows; i += I8_WORD_ROWS, m += I8_WORD_ROWS, sum += I8_WORD_ROWS * stride) {
    const uint32_t *const r = s->stage[0].r + m / I8_WORD_ROWS * s->stage[0].r_group;
    for (int u = 0; u < vectors; u++) {
      const int32_t *const at = sum + u * I8_VECTOR;
      __m512i q[I8_WORD_ROWS];
      UNROLL for (int k = 0; k < I8_WORD_ROWS; k++) q[k] = _mm512_load_si512(at + k * stride);
      i8_store(s->map, v + u, i8_plane(s, m),
               i8_added(&t, plain, bare, s->scale + m, q, i8_load(s->r_map, v + u, r)));
    }
  }
}

static __attribute__((noinline, unused)) void i8_finish_residual(const struct i8_end *end, int64_t m,
                                                                 int64_t v, int rows, int vectors,
                                                                 const int32_t *sum, int64_t stride) {
  if (end->adder.plain)
    i8_finish_added(end, true, false, m, v, rows, vectors, sum, stride);
  else
    i8_finish_added(end, false, false, m, v, rows, vectors, sum, stride);
}

/* Rows m .. m + 3 of vector v: sums at sum[i * stride + lane], 64-byte aligned, stride a multiple of 16. */
INLINE void i8_finish(const struct i8_end *end, int64_t m, int64_t v, const int32_t *sum, int64_t stride) {
  if (!end->quick) {
    i8_finish_any(end->s, m, v, sum, stride);
    return;
  }
  const __m512i a = _mm512_load_si512(sum), b = _mm512_load_si512(sum + stride),
                c = _mm512_load_si512(sum + 2 * stride), d = _mm512_load_si512(sum + 3 * stride);
  i8_store(end->s->map, v, i8_plane(end->s, m), i8_quick(end, false, m, a, b, c, d));
}

/* A tile's sums [rows][vectors] in memory, rows stride apart, to their end. */
static __attribute__((noinline, unused)) void i8_finish_tile(const struct i8_end *end, int64_t m, int64_t v,
                                                             int rows, int vectors, const int32_t *sum,
                                                             int64_t stride) {
  if (end->residual) {
    i8_finish_residual(end, m, v, rows, vectors, sum, stride);
    return;
  }
  if (end->s->act) {
    _Alignas(64) float value[I8_WORD_ROWS * I8_MOST_VECTORS * I8_VECTOR]; /* more than I8_MOST_SUMS */
    float *to = value;
    for (int i = 0; i < rows; i++)
      for (int u = 0; u < vectors; u++, to += I8_VECTOR)
        _mm512_store_ps(to, i8_shifted(end->s, m + i, _mm512_load_si512(sum + i * stride + u * I8_VECTOR)));
    i8_finish_act(end->s, m, v, rows, vectors, value);
    return;
  }
  for (int i = 0; i < rows; i += I8_WORD_ROWS)
    for (int u = 0; u < vectors; u++) i8_finish(end, m + i, v + u, sum + i * stride + u * I8_VECTOR, stride);
}

/* ---- a tile in registers ------------------------------------------------------------------------------------------ */

/* A tile's sums [rows][vectors] to their places, straight from registers; false: by memory. rows, 4 or 8, and
 * vectors are constants; rows are no loop because clang would keep their sums in memory. */
INLINE bool i8_quick_tile(const int rows, const int vectors, const struct i8_end *end, int64_t m, int64_t v,
                          const __m512i sum[][I8_MOST_VECTORS]) {
  if (end->real) {
    i8_real_rows(vectors, end, m, v, sum);
    if (rows > I8_WORD_ROWS) i8_real_rows(vectors, end, m + I8_WORD_ROWS, v, sum + I8_WORD_ROWS);
    return true;
  }
  if (end->s->act) {
    _Alignas(64) float value[I8_MOST_SUMS * I8_VECTOR];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++)
          _mm512_store_ps(value + I8_VECTOR * (i * vectors + u), i8_shifted(end->s, m + i, sum[i][u]));
    }
    i8_finish_act(end->s, m, v, rows, vectors, value);
    return true;
  }
#define ROWS(function, which)                                                                        \
  do {                                                                                               \
    function(vectors, end, which, m, v, sum);                                                        \
    if (rows > I8_WORD_ROWS) function(vectors, end, which, m + I8_WORD_ROWS, v, sum + I8_WORD_ROWS); \
    return true;                                                                                     \
  } while (0)
  if (end->quick) {
    if (end->plain) ROWS(i8_quick_rows, true);
    ROWS(i8_quick_rows, false);
  }
  if (!end->residual || !end->adder.plain) return false;
  if (end->adder.r_bare) ROWS(i8_added_rows, true);
  ROWS(i8_added_rows, false);
#undef ROWS
}

#endif

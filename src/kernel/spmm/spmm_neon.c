/* spmm float32 with NEON: tiles of up to 8 rows x 2 vectors, 4 x 4, 2 x 8, 1 x 8 of 4 pixels, sums in registers. Each
 * list entry costs one load a vector, one scalar load a row, one multiply-add by element for each pair. Larger tiles do
 * not fit into 32 registers beside the weights that compilers load ahead. There are no masks: the last vector of a tile
 * that is not full is loaded and stored word by word, so nothing is read or written beyond the pixels. */
#include <arm_neon.h>
#include <stdbool.h>

#include "kernel/spmm/spmm_int.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
enum { LANES = 4, MOST_ROWS = 8, MOST_VECTORS = 8 };

typedef void (*tile_fn)(const struct sumi_spmm_f32 *s, const struct spmm_tile *t);

/* The first n words, 1..4; zeros behind them. */
INLINE float32x4_t load(const float *from, int n) {
  if (n == LANES) return vld1q_f32(from);
  const float32x4_t zero = vdupq_n_f32(0);
  if (n == 1) return vld1q_lane_f32(from, zero, 0);
  const float32x4_t two = vcombine_f32(vld1_f32(from), vget_low_f32(zero));
  return n == 2 ? two : vld1q_lane_f32(from + 2, two, 2);
}

INLINE void store(float *to, int n, float32x4_t v) {
  if (n == LANES) {
    vst1q_f32(to, v);
  } else if (n == 1) {
    vst1q_lane_f32(to, v, 0);
  } else {
    vst1_f32(to, vget_low_f32(v));
    if (n == 3) vst1q_lane_f32(to + 2, v, 2);
  }
}

/* By comparison, not FMAX and FMIN: those take +0 for the larger of two zeros. */
INLINE float32x4_t clip(const struct sumi_spmm_f32 *s, float32x4_t v) {
  const float32x4_t lo = vdupq_n_f32(s->lo), hi = vdupq_n_f32(s->hi);
  v = vbslq_f32(vcltq_f32(v, lo), lo, v);
  return vbslq_f32(vcgtq_f32(v, hi), hi, v);
}

/* rows, vectors and full are constants wherever this is inlined. */
INLINE void tile(const int rows, const int vectors, const bool full, const struct sumi_spmm_f32 *s,
                 const struct spmm_tile *t) {
  float32x4_t sum[MOST_ROWS][MOST_VECTORS];
  const int last = full ? LANES : (int)t->n_pixels - LANES * (vectors - 1);
#define WORDS(u) (!full && (u) + 1 == vectors ? last : LANES)
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) {
      sum[i][u] = s->bias        ? vdupq_n_f32(s->bias[t->m + i])
                  : s->lane_bias ? load(s->lane_bias + t->p + LANES * u, WORDS(u))
                                 : vdupq_n_f32(0);
    }
  }
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const int32_t *off = t->off, *const end = off + t->n_list;
  for (const char *w = (const char *)t->w; off < end; off++, w += w_entry) {
    const float *at = (const float *)(t->x + *off);
    float32x4_t x[MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = load(at + LANES * u, WORDS(u));
    UNROLL for (int i = 0; i < rows; i++) {
      const float b = *(const float *)(w + i * w_row);
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = vfmaq_n_f32(sum[i][u], x[u], b);
    }
  }
  if (spmm_is_plain(s)) {
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) {
        const int64_t at = t->p + LANES * u;
        if (s->add) sum[i][u] = vaddq_f32(sum[i][u], load(s->add + (t->m + i) * s->add_row + at, WORDS(u)));
        store(s->y + (t->m + i) * s->y_row + at, WORDS(u), clip(s, sum[i][u]));
      }
    }
  } else {
    float out[MOST_ROWS * MOST_VECTORS * LANES];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) vst1q_f32(out + LANES * (i * vectors + u), sum[i][u]);
    }
    spmm_finish(s, t, rows, out, LANES * vectors);
  }
#undef WORDS
}

/* clang-format off */
#define TILES(X)                                                    \
  X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)   \
  X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)   \
  X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(8, 1) X(8, 2)
/* clang-format on */
#define DEFINE(rows, vectors)                                                                     \
  static void full_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, true, s, t);                                                              \
  }                                                                                               \
  static void tail_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, false, s, t);                                                             \
  }
TILES(DEFINE)
static const tile_fn tiles[2][MOST_ROWS + 1][MOST_VECTORS + 1] = {
    {
#define ENTRY(rows, vectors) [rows][vectors] = tail_##rows##_##vectors,
        TILES(ENTRY)},
#undef ENTRY
    {
#define ENTRY(rows, vectors) [rows][vectors] = full_##rows##_##vectors,
        TILES(ENTRY)},
};

/* Rows of the next tile where so many are left. */
static int next_rows(int64_t left) { return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

/* Vectors of the next tile where so many are left: as even as can be. */
static int next_vectors(int rows, int64_t left) {
  const int most = rows > 4 ? 2 : rows > 2 ? 4 : 8;
  const int64_t tiles_left = (left + most - 1) / most;
  return (int)((left + tiles_left - 1) / tiles_left);
}

/* The tiles of one block of rows over pixels [p, end). */
static void run_block(const struct sumi_spmm_f32 *s, int64_t b, int64_t p, int64_t end) {
  const int64_t first = s->start ? s->start[b] : 0, rows = spmm_min(s->block, s->rows - b * s->block);
  struct spmm_tile t = {.off = s->off + first, .n_list = s->start ? s->start[b + 1] - first : s->n_list};
  const float *w = s->w + b * s->w_block + first * s->w_entry;
  for (t.p = p; t.p < end; t.p += t.n_pixels) {
    const int vectors = next_vectors(next_rows(rows), (end - t.p + LANES - 1) / LANES);
    t.n_pixels = spmm_min(LANES * vectors, end - t.p);
    t.x = (const char *)(s->x + t.p);
    const bool full = t.n_pixels == LANES * vectors;
    for (int64_t i = 0, n; i < rows; i += n) {
      n = next_rows(rows - i);
      t.m = b * s->block + i;
      t.w = w + i * s->w_row;
      tiles[full][n][vectors](s, &t);
    }
  }
}

void sumi_spmm_f32_neon(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  for (int64_t p = p0, end; p < p1; p = end) {
    end = spmm_panel_end(s, b0, b1, p, p1, 2 * LANES);
    for (int64_t b = b0; b < b1; b++) run_block(s, b, p, end);
  }
}

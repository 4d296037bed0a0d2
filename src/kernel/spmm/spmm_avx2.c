/* spmm float32 with AVX2 and FMA: tiles of up to 4 rows x 3 vectors, 2 x 4, 1 x 8 of 8 pixels, sums in
 * registers. Each list entry costs one load a vector, one broadcast a row, one multiply-add for each pair. A
 * tile that is not full masks its last vector, so nothing is read or written beyond the pixels. */
#include <immintrin.h>

#include "kernel/spmm/spmm_int.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
enum { LANES = 8, MOST_ROWS = 4, MOST_VECTORS = 8 };

typedef void (*tile_fn)(const struct sumi_spmm_f32 *s, const struct spmm_tile *t);

INLINE __m256i tail_mask(int64_t n_pixels, int vectors) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n_pixels - LANES * (vectors - 1)), lane);
}

INLINE __m256 load(const float *from, bool masked, __m256i mask) {
  return masked ? _mm256_maskload_ps(from, mask) : _mm256_loadu_ps(from);
}

INLINE void store_plain(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, int row, int u, bool masked,
                        __m256i mask, __m256 v) {
  const int64_t at = t->p + LANES * u;
  float *y = s->y + (t->m + row) * s->y_row + at;
  if (s->add) v = _mm256_add_ps(v, load(s->add + (t->m + row) * s->add_row + at, masked, mask));
  v = _mm256_max_ps(_mm256_set1_ps(s->lo), v); /* the second operand is what a NaN leaves */
  v = _mm256_min_ps(_mm256_set1_ps(s->hi), v);
  if (masked)
    _mm256_maskstore_ps(y, mask, v);
  else
    _mm256_storeu_ps(y, v);
}

/* rows, vectors and full are constants wherever this is inlined. */
INLINE void tile(const int rows, const int vectors, const bool full, const struct sumi_spmm_f32 *s,
                 const struct spmm_tile *t) {
  __m256 sum[MOST_ROWS][MOST_VECTORS];
  const __m256i last = tail_mask(t->n_pixels, vectors);
#define MASKED(u) (!full && (u) + 1 == vectors)
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) {
      sum[i][u] = s->bias        ? _mm256_set1_ps(s->bias[t->m + i])
                  : s->lane_bias ? load(s->lane_bias + t->p + LANES * u, MASKED(u), last)
                                 : _mm256_setzero_ps();
    }
  }
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const int32_t *off = t->off, *const end = off + t->n_list;
  for (const char *w = (const char *)t->w; off < end; off++, w += w_entry) {
    const float *at = (const float *)(t->x + *off);
    __m256 x[MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = load(at + LANES * u, MASKED(u), last);
    UNROLL for (int i = 0; i < rows; i++) {
      const __m256 b = _mm256_set1_ps(*(const float *)(w + i * w_row));
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = _mm256_fmadd_ps(x[u], b, sum[i][u]);
    }
  }
  if (spmm_is_plain(s)) {
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) store_plain(s, t, i, u, MASKED(u), last, sum[i][u]);
    }
  } else {
    _Alignas(32) float out[MOST_ROWS * MOST_VECTORS * LANES];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) _mm256_store_ps(out + LANES * (i * vectors + u), sum[i][u]);
    }
    spmm_finish(s, t, rows, out, LANES * vectors);
  }
#undef MASKED
}

#define TILES(X) \
  X(1, 1)        \
  X(1, 2)        \
  X(1, 3)        \
  X(1, 4)        \
  X(1, 5)        \
  X(1, 6) X(1, 7) X(1, 8) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(3, 1) X(3, 2) X(3, 3) X(4, 1) X(4, 2) X(4, 3)
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

/* Vectors of the next tile where so many are left: as even as can be. */
static int next_tile(int rows, int64_t left) {
  const int most = rows > 2 ? 3 : rows > 1 ? 4 : 8;
  const int64_t tiles_left = (left + most - 1) / most;
  return (int)((left + tiles_left - 1) / tiles_left);
}

/* The tiles of one block of rows over pixels [p, end). */
static void run_block(const struct sumi_spmm_f32 *s, int64_t b, int64_t p, int64_t end) {
  const int64_t first = s->start ? s->start[b] : 0, rows = spmm_min(s->block, s->rows - b * s->block);
  const int most_rows = (int)spmm_min(MOST_ROWS, spmm_min(s->block, s->rows));
  struct spmm_tile t = {.off = s->off + first, .n_list = s->start ? s->start[b + 1] - first : s->n_list};
  const float *w = s->w + b * s->w_block + first * s->w_entry;
  for (t.p = p; t.p < end; t.p += t.n_pixels) {
    const int vectors = next_tile(most_rows, (end - t.p + LANES - 1) / LANES);
    t.n_pixels = spmm_min(LANES * vectors, end - t.p);
    t.x = (const char *)(s->x + t.p);
    const bool full = t.n_pixels == LANES * vectors;
    for (int64_t i = 0; i < rows; i += most_rows) {
      t.m = b * s->block + i;
      t.w = w + i * s->w_row;
      tiles[full][spmm_min(most_rows, rows - i)][vectors](s, &t);
    }
  }
}

void sumi_spmm_f32_avx2(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  for (int64_t p = p0, end; p < p1; p = end) {
    end = spmm_panel_end(s, b0, b1, p, p1, 3 * LANES);
    for (int64_t b = b0; b < b1; b++) run_block(s, b, p, end);
  }
}

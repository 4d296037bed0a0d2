/* spmm float32 with AVX-512: tiles of up to 8 rows x 3 vectors, 4 x 6, 2 x 8 of 16 pixels, sums in registers.
 * Each list entry costs one load a vector, one broadcast a row, one multiply-add for each pair. The last
 * vector of a tile is always masked, so nothing is read or written beyond the pixels. */
#include <immintrin.h>

#include "kernel/spmm/spmm_int.h"

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
enum { LANES = 16, MOST_ROWS = 8, MOST_VECTORS = 8 };

typedef void (*tile_fn)(const struct sumi_spmm_f32 *s, const struct spmm_tile *t);

INLINE __mmask16 tail_mask(int64_t n_pixels, int vectors) {
  return (__mmask16)(0xffffu >> (LANES * vectors - n_pixels));
}

INLINE void store_plain(const struct sumi_spmm_f32 *s, const struct spmm_tile *t, int row, int u,
                        __mmask16 mask, __m512 v) {
  const int64_t at = t->p + LANES * u;
  if (s->add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, s->add + (t->m + row) * s->add_row + at));
  v = _mm512_max_ps(_mm512_set1_ps(s->lo), v); /* the second operand is what a NaN leaves */
  v = _mm512_min_ps(_mm512_set1_ps(s->hi), v);
  _mm512_mask_storeu_ps(s->y + (t->m + row) * s->y_row + at, mask, v);
}

/* rows and vectors are constants wherever this is inlined. */
INLINE void tile(const int rows, const int vectors, const struct sumi_spmm_f32 *s,
                 const struct spmm_tile *t) {
  __m512 sum[MOST_ROWS][MOST_VECTORS];
  const __mmask16 last = tail_mask(t->n_pixels, vectors);
#define MASK(u) ((u) + 1 < vectors ? (__mmask16)0xffff : last)
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) {
      sum[i][u] = s->bias        ? _mm512_set1_ps(s->bias[t->m + i])
                  : s->lane_bias ? _mm512_maskz_loadu_ps(MASK(u), s->lane_bias + t->p + LANES * u)
                                 : _mm512_setzero_ps();
    }
  }
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const int32_t *off = t->off, *const end = off + t->n_list;
  for (const char *w = (const char *)t->w; off < end; off++, w += w_entry) {
    const char *at = t->x + *off;
    __m512 x[MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = _mm512_maskz_loadu_ps(MASK(u), at + 4 * LANES * u);
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512 b = _mm512_set1_ps(*(const float *)(w + i * w_row));
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = _mm512_fmadd_ps(x[u], b, sum[i][u]);
    }
  }
  if (spmm_is_plain(s)) {
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) store_plain(s, t, i, u, MASK(u), sum[i][u]);
    }
  } else {
    _Alignas(64) float out[MOST_ROWS * MOST_VECTORS * LANES];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(out + LANES * (i * vectors + u), sum[i][u]);
    }
    spmm_finish(s, t, rows, out, LANES * vectors);
  }
#undef MASK
}

#define TILES(X)                                                                                          \
  X(1, 1)                                                                                                 \
  X(1, 2)                                                                                                 \
  X(1, 3)                                                                                                 \
  X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8) \
      X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)     \
          X(5, 1) X(5, 2) X(5, 3) X(6, 1) X(6, 2) X(6, 3) X(7, 1) X(7, 2) X(7, 3) X(8, 1) X(8, 2) X(8, 3)
#define DEFINE(rows, vectors)                                                                     \
  static void tile_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, s, t);                                                                    \
  }
TILES(DEFINE)
static const tile_fn tiles[MOST_ROWS + 1][MOST_VECTORS + 1] = {
#define ENTRY(rows, vectors) [rows][vectors] = tile_##rows##_##vectors,
    TILES(ENTRY)};

/* Vectors and rows of the next tile where so many vectors are left. Four vectors go as two tiles of 4x4,
 * which beats 8x3 and a lone vector. */
static int next_tile(int block, int64_t left, int *rows) {
  *rows = block;
  if (block > 4) {
    if (left != 4) return (int)spmm_min(left, 3);
    *rows = 4;
    return 4;
  }
  const int most = block > 2 ? 6 : 8;
  const int64_t tiles_left = (left + most - 1) / most;
  return (int)((left + tiles_left - 1) / tiles_left);
}

void sumi_spmm_f32_avx512(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const int block = (int)spmm_min(s->block, s->rows);
  struct spmm_tile t;
  for (t.p = p0; t.p < p1; t.p += t.n_pixels) {
    int most_rows;
    const int vectors = next_tile(block, (p1 - t.p + LANES - 1) / LANES, &most_rows);
    t.n_pixels = spmm_min(LANES * vectors, p1 - t.p);
    t.x = (const char *)(s->x + t.p);
    for (int64_t b = b0; b < b1; b++) {
      const int64_t first = s->start ? s->start[b] : 0;
      t.off = s->off + first;
      t.n_list = s->start ? s->start[b + 1] - first : s->n_list;
      const int64_t rows = spmm_min(s->block, s->rows - b * s->block);
      for (int64_t i = 0; i < rows; i += most_rows) {
        t.m = b * s->block + i;
        t.w = s->w + b * s->w_block + first * s->w_entry + i * s->w_row;
        tiles[spmm_min(most_rows, rows - i)][vectors](s, &t);
      }
    }
  }
}

/* spmm float32 with AVX-512. Lists of many rows, and windows, read x from copies (spmm_panels_avx512.c,
 * spmm_lists_avx512.c); everything else reads x where it lies. Tiles of up to 8 rows x 3 vectors, 4 x 6, 2 x 8 of 16
 * pixels, sums in registers. Each list entry costs one load a vector, one broadcast a row, one multiply-add for each
 * pair. The last vector of a tile is always masked, so nothing is read or written beyond the pixels; where 8 lanes are
 * enough for it, it is half as wide, which takes half the time on machines that split wide vectors. */
#include "kernel/spmm/spmm_avx512_int.h"

typedef void (*tile_fn)(const struct sumi_spmm_f32 *s, const struct spmm_tile *t);

/* rows, vectors and half are constants wherever this is inlined; half: the last vector has 8 lanes. */
INLINE void tile(const int rows, const int vectors, const bool half, const struct sumi_spmm_f32 *s,
                 const struct spmm_tile *t) {
  const int whole = vectors - half;
  __m512 sum[MOST_ROWS][MOST_VECTORS];
  __m256 side[MOST_ROWS];
  const __mmask16 last = lanes(t->n_pixels - LANES * (vectors - 1));
#define MASK(u) ((u) + 1 < vectors ? (__mmask16)0xffff : last)
  UNROLL for (int i = 0; i < rows; i++) {
    const float bias = s->bias ? s->bias[t->m + i] : 0;
    UNROLL for (int u = 0; u < whole; u++) sum[i][u] = _mm512_set1_ps(bias);
    if (half) side[i] = _mm256_set1_ps(bias);
  }
  if (s->lane_bias) {
    const float *from = s->lane_bias + t->p;
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < whole; u++) sum[i][u] = _mm512_maskz_loadu_ps(MASK(u), from + LANES * u);
      if (half) side[i] = _mm256_maskz_loadu_ps((__mmask8)last, from + LANES * whole);
    }
  }
  const int64_t w_row = 4 * s->w_row, w_entry = 4 * s->w_entry; /* bytes */
  const int32_t *off = t->off, *const end = off + t->n_list;
  for (const char *w = (const char *)t->w; off < end; off++, w += w_entry) {
    const char *at = t->x + *off;
    __m512 x[MOST_VECTORS];
    UNROLL for (int u = 0; u < whole; u++) x[u] = _mm512_maskz_loadu_ps(MASK(u), at + 4 * LANES * u);
    const __m256 z =
        half ? _mm256_maskz_loadu_ps((__mmask8)last, at + 4 * LANES * whole) : _mm256_setzero_ps();
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512 b = _mm512_set1_ps(*(const float *)(w + i * w_row));
      UNROLL for (int u = 0; u < whole; u++) sum[i][u] = _mm512_fmadd_ps(x[u], b, sum[i][u]);
      if (half) side[i] = _mm256_fmadd_ps(z, _mm512_castps512_ps256(b), side[i]);
    }
  }
#define SUM(i, u) (half && (u) == whole ? _mm512_castps256_ps512(side[i]) : sum[i][(u) < whole ? (u) : 0])
  if (!t->pieces) {
    const __m512 lo = _mm512_set1_ps(s->lo), hi = _mm512_set1_ps(s->hi);
    UNROLL for (int i = 0; i < rows; i++) {
      float *y = s->y + (t->m + i) * s->y_row + t->p;
      const float *add = s->add ? s->add + (t->m + i) * s->add_row + t->p : NULL;
      UNROLL for (int u = 0; u < vectors; u++) {
        __m512 v = SUM(i, u);
        if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(MASK(u), add + LANES * u));
        _mm512_mask_storeu_ps(y + LANES * u, MASK(u), _mm512_min_ps(hi, _mm512_max_ps(lo, v)));
      }
    }
  } else {
    _Alignas(64) float out[MOST_ROWS * MOST_VECTORS * LANES];
    UNROLL for (int i = 0; i < rows; i++) {
      UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(out + LANES * (i * vectors + u), SUM(i, u));
    }
    finish(s, t, rows, vectors, out);
  }
#undef MASK
#undef SUM
}

/* Row counts by vector counts whose accumulators fit the registers. */
#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILES_3(X) X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
#define TILES_5_8(X) \
  X(5, 1) X(5, 2) X(5, 3) X(6, 1) X(6, 2) X(6, 3) X(7, 1) X(7, 2) X(7, 3) X(8, 1) X(8, 2) X(8, 3)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_3(X) TILES_4(X) TILES_5_8(X)
/* Tiles whose last vector may be half as wide. */
#define HALVES(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(8, 1) X(8, 2) X(8, 3)
#define DEFINE(rows, vectors)                                                                     \
  static void tile_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, false, s, t);                                                             \
  }
#define DEFINE_HALF(rows, vectors)                                                                \
  static void half_##rows##_##vectors(const struct sumi_spmm_f32 *s, const struct spmm_tile *t) { \
    tile(rows, vectors, true, s, t);                                                              \
  }
TILES(DEFINE)
HALVES(DEFINE_HALF)
/* [0]: last vector of 16 lanes; [1]: of 8, NULL where there is no such tile. */
static const tile_fn tiles[2][MOST_ROWS + 1][MOST_VECTORS + 1] = {
    {
#define ENTRY(rows, vectors) [rows][vectors] = tile_##rows##_##vectors,
        TILES(ENTRY)},
#undef ENTRY
    {
#define ENTRY(rows, vectors) [rows][vectors] = half_##rows##_##vectors,
        HALVES(ENTRY)},
};
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

/* The tiles of one block of rows over pixels [p, end). */
static void run_block(const struct sumi_spmm_f32 *s, int64_t b, int64_t p, int64_t end,
                      struct pieces *pieces) {
  enum { BRIEF = 16 }; /* entries whose sums take less than the lines of y take to come */
  const int64_t first = s->start ? s->start[b] : 0, rows = spmm_min(s->block, s->rows - b * s->block);
  struct spmm_tile t = {
      .off = s->off + first, .n_list = s->start ? s->start[b + 1] - first : s->n_list, .pieces = pieces};
  const float *w = s->w + b * s->w_block + first * s->w_entry;
  for (t.p = p; t.p < end; t.p += t.n_pixels) {
    int most_rows;
    const int vectors =
        next_tile((int)spmm_min(s->block, s->rows), (end - t.p + LANES - 1) / LANES, &most_rows);
    t.n_pixels = spmm_min(LANES * vectors, end - t.p);
    t.x = (const char *)(s->x + t.p);
    if (pieces) find_pieces(s, &t, vectors, pieces);
    const bool half = t.n_pixels <= LANES * (vectors - 1) + HALF;
    for (int64_t i = 0; i < rows; i += most_rows) {
      t.m = b * s->block + i;
      t.w = w + i * s->w_row;
      const int64_t n_rows = spmm_min(most_rows, rows - i);
      if (!pieces && t.n_list <= BRIEF) {
        expect_rows(s->y + t.m * s->y_row + t.p, s->y_row, n_rows, vectors);
        if (s->add) expect_rows(s->add + t.m * s->add_row + t.p, s->add_row, n_rows, vectors);
      }
      const tile_fn narrow = half ? tiles[1][n_rows][vectors] : NULL;
      (narrow ? narrow : tiles[0][n_rows][vectors])(s, &t);
    }
  }
}

enum { LEAST_BLOCKS = 4 }; /* fewer do not repay copies of what they read */

static bool copies(const struct sumi_spmm_f32 *s, int64_t n_blocks) {
  return s->n_list && (s->window || (s->scratch && !s->start && n_blocks >= LEAST_BLOCKS));
}

void sumi_spmm_f32_avx512(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  if (s->col) {
    sumi_spmm_f32_avx512_lists(s, b0, b1, p0, p1);
    return;
  }
  if (s->strip || copies(s, b1 - b0)) {
    sumi_spmm_f32_avx512_panels(s, b0, b1, p0, p1);
    return;
  }
  struct pieces pieces = {.p = -1};
  for (int64_t p = p0, end; p < p1; p = end) {
    end = spmm_panel_end(s, b0, b1, p, p1, 3 * LANES);
    if (p1 - end < 2 * LANES && p1 - p <= 4 * LANES) end = p1; /* four vectors are one tile */
    for (int64_t b = b0; b < b1; b++) run_block(s, b, p, end, spmm_is_plain(s) ? NULL : &pieces);
  }
}

/* spmm, 8 bits, with AVX-512 VNNI: tiles of 8 rows x 3 vectors, 4 x 6, 2 x 8, 1 x 8 of 16 pixels, sums in registers. Each
 * list entry costs one load a vector, one broadcast a row, one VPDPBUSD (four multiply-adds a lane, modulo 2^32) a pair. */
#include "kernel/spmm/spmm_i8_avx512.h"

enum { MOST_ROWS = 8, MOST_VECTORS = 8, MOST_SUMS = 24 };

typedef void (*tile_fn)(const struct i8_end *end, const struct i8_tile *t);

/* The instruction itself: around the intrinsic gcc 12 copies sums from register to register. */
#define DOT(sum, x, w) __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w))

/* A tile's sums [rows][vectors] in memory to their end. */
static __attribute__((noinline)) void finish(const struct i8_end *end, int64_t m, int64_t v, int rows,
                                             int vectors, const int32_t *sum) {
  const int64_t stride = (int64_t)vectors * I8_VECTOR;
  for (int i = 0; i < rows; i += I8_WORD_ROWS)
    for (int u = 0; u < vectors; u++)
      i8_finish(end, m + i, v + u, sum + i * stride + (int64_t)u * I8_VECTOR, stride);
}

/* rows and vectors are constants wherever this is inlined. */
INLINE void tile(const int rows, const int vectors, const struct i8_end *end, const struct i8_tile *t) {
  const struct sumi_spmm_i8 *const s = end->s;
  __m512i sum[MOST_ROWS][MOST_VECTORS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) {
      sum[i][u] = _mm512_set1_epi32(s->bias[t->m + i]);
      __asm__("" : "+v"(sum[i][u])); /* a register of its own: no copies in the loop */
    }
  }
  const int64_t w_row = t->w_row, w_entry = t->w_entry;
  const int32_t *off = t->off, *const stop = off + t->n_list;
  for (const char *w = (const char *)t->w; off < stop; off++, w += w_entry) {
    const uint8_t *at = t->x + *off;
    __m512i x[MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = _mm512_loadu_si512(at + 64 * u);
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512i b = _mm512_set1_epi32(*(const int32_t *)(w + i * w_row));
      UNROLL for (int u = 0; u < vectors; u++) DOT(sum[i][u], x[u], b);
    }
  }
  if (rows >= I8_WORD_ROWS && end->quick) {
    UNROLL for (int i = 0; i + I8_WORD_ROWS <= rows; i += I8_WORD_ROWS) {
      uint32_t *const plane = i8_plane(s, t->m + i);
      UNROLL for (int u = 0; u < vectors; u++) {
        const __m512i words = i8_quick(end, t->m + i, sum[i][u], sum[i + 1][u], sum[i + 2][u], sum[i + 3][u]);
        i8_store(s->map, t->v + u, plane, words);
      }
    }
    return;
  }
  _Alignas(64) int32_t own[MOST_SUMS * I8_VECTOR];
  int32_t *const to = rows < I8_WORD_ROWS ? t->sum : own;
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++)
        _mm512_store_si512(to + I8_VECTOR * (i * vectors + u), sum[i][u]);
  }
  if (rows >= I8_WORD_ROWS) finish(end, t->m, t->v, rows, vectors, own);
}

/* Row counts by vector counts whose sums fit the registers. */
#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_4(X) X(8, 1) X(8, 2) X(8, 3)
#define DEFINE(rows, vectors)                                                              \
  static void tile_##rows##_##vectors(const struct i8_end *end, const struct i8_tile *t) { \
    tile(rows, vectors, end, t);                                                           \
  }
TILES(DEFINE)
static const tile_fn tiles[MOST_ROWS + 1][MOST_VECTORS + 1] = {
#define ENTRY(rows, vectors) [rows][vectors] = tile_##rows##_##vectors,
    TILES(ENTRY)
#undef ENTRY
};

/* Vectors of the next tile where so many are left: as many as fit, but no lone one after full tiles. */
static int next_vectors(int rows, int64_t left) {
  const int most = rows > 4 ? 3 : rows > 2 ? 6 : 8;
  const int64_t tiles_left = (left + most - 1) / most;
  return (int)((left + tiles_left - 1) / tiles_left);
}

/* Rows [m, m + 4) or [m, m + 8) of vectors [v, stop), all of them wanted. */
static void run_rows(const struct i8_end *end, int64_t m, int64_t v, int64_t stop) {
  const struct sumi_spmm_i8 *const s = end->s;
  const int64_t left = s->rows - m;
  const int rows = s->block >= MOST_ROWS && left >= MOST_ROWS ? MOST_ROWS
                   : s->block < I8_WORD_ROWS                  ? s->block
                                                              : I8_WORD_ROWS;
  _Alignas(64) int32_t sum[I8_WORD_ROWS * MOST_VECTORS * I8_VECTOR];
  for (int vectors; v < stop; v += vectors) {
    vectors = next_vectors(rows, stop - v);
    struct i8_tile t = {.x = s->x + 4 * I8_VECTOR * v, .v = v, .sum = sum};
    for (t.m = m; t.m < m + (rows < I8_WORD_ROWS ? I8_WORD_ROWS : rows); t.m += rows) {
      i8_list(s, t.m / s->block, &t);
      tiles[rows][vectors](end, &t);
      t.sum += rows * vectors * I8_VECTOR;
    }
    if (rows < I8_WORD_ROWS) finish(end, m, v, I8_WORD_ROWS, vectors, sum);
  }
}

void sumi_spmm_i8_avx512vnni(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const struct i8_end end = i8_end_of(s, b0, b1);
  const int64_t last = (p1 + I8_VECTOR - 1) / I8_VECTOR, m0 = b0 * s->block,
                m1 = i8_min(b1 * s->block, s->rows);
  const int64_t step = s->block > I8_WORD_ROWS ? s->block : I8_WORD_ROWS;
  for (int64_t v = p0 / I8_VECTOR, panel; v < last; v = panel) {
    panel = i8_panel_end(s, b0, b1, v, last, 3);
    for (int64_t m = m0; m < m1; m += step)
      for (int64_t from = v, stop; (from = i8_run(s->map, from, panel, &stop)) < panel; from = stop)
        run_rows(&end, m, from, stop);
  }
}

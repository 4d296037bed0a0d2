/* spmm, 8 bits, with AVX-512 VNNI: tiles of 8 rows x 3 vectors, 4 x 6, 2 x 8, 1 x 8 of 16 pixels, sums in registers. Each
 * list entry costs one load a vector, one broadcast a row, one VPDPBUSD (four multiply-adds a lane, modulo 2^32) a pair. */
#include "kernel/spmm/spmm_i8_avx512.h"

enum { MOST_ROWS = 8, MOST_VECTORS = 8, MOST_SUMS = 24, VECTOR_BYTES = 64 };

/* Tiles beside each other: vectors [v, stop), all of them wanted. */
typedef void (*tiles_fn)(const struct i8_end *end, const struct i8_tile *t, int64_t v, int64_t stop);

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

/* One tile. rows and vectors are constants wherever this is inlined. */
INLINE void tile(const int rows, const int vectors, const struct i8_end *end, const struct i8_tile *t,
                 int64_t v) {
  const struct sumi_spmm_i8 *const s = end->s;
  __m512i sum[MOST_ROWS][MOST_VECTORS];
  UNROLL for (int i = 0; i < rows; i++) {
    /* by hand, or sums begin as copies of one register and are copied again in the loop */
    UNROLL for (int u = 0; u < vectors;
                u++) __asm__ volatile("vpbroadcastd %1, %0" : "=v"(sum[i][u]) : "m"(s->bias[t->m + i]));
  }
  const int64_t w_row = t->w_row, w_entry = t->w_entry;
  const uint8_t *const from = s->x + VECTOR_BYTES * v;
  const int32_t *off = t->off, *const stop = off + t->n_list;
  for (const char *w = (const char *)t->w; off < stop; off++, w += w_entry) {
    const uint8_t *at = from + *off;
    __m512i x[MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = _mm512_loadu_si512(at + VECTOR_BYTES * u);
    UNROLL for (int i = 0; i < rows; i++) {
      const __m512i b = _mm512_set1_epi32(*(const int32_t *)(w + i * w_row));
      UNROLL for (int u = 0; u < vectors; u++) DOT(sum[i][u], x[u], b);
    }
  }
  if (rows >= I8_WORD_ROWS && end->quick) {
    const struct sumi_lane_piece *piece;
    const bool whole = i8_whole(s->map, v, vectors, &piece);
    UNROLL for (int i = 0; i + I8_WORD_ROWS <= rows; i += I8_WORD_ROWS) {
      uint32_t *const plane = i8_plane(s, t->m + i);
      __m512i words[MOST_VECTORS];
      UNROLL for (int u = 0; u < vectors; u++) words[u] =
          i8_quick(end, t->m + i, sum[i][u], sum[i + 1][u], sum[i + 2][u], sum[i + 3][u]);
      if (whole) {
        UNROLL for (int u = 0; u < vectors; u++) _mm512_storeu_si512(plane + piece[u].at, words[u]);
        continue;
      }
      _Alignas(64) uint32_t out[MOST_VECTORS * I8_VECTOR];
      UNROLL for (int u = 0; u < vectors; u++) _mm512_store_si512(out + I8_VECTOR * u, words[u]);
      i8_store_vectors(s->map, v, vectors, plane, out);
    }
    return;
  }
  _Alignas(64) int32_t own[MOST_SUMS * I8_VECTOR];
  int32_t *const to = rows < I8_WORD_ROWS ? t->sum : own;
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++)
        _mm512_store_si512(to + I8_VECTOR * (i * vectors + u), sum[i][u]);
  }
  if (rows >= I8_WORD_ROWS) finish(end, t->m, v, rows, vectors, own);
}

/* Row counts by vector counts whose sums fit the registers. */
#define TILES_1(X) X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8)
#define TILES_2(X) X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8)
#define TILES_4(X) X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
#define TILES(X) TILES_1(X) TILES_2(X) TILES_4(X) X(8, 1) X(8, 2) X(8, 3)
#define DEFINE(rows, vectors)                                                                        \
  static void tiles_##rows##_##vectors(const struct i8_end *end, const struct i8_tile *t, int64_t v, \
                                       int64_t stop) {                                               \
    for (; v < stop; v += vectors) tile(rows, vectors, end, t, v);                                   \
  }
TILES(DEFINE)
static const tiles_fn tiles[MOST_ROWS + 1][MOST_VECTORS + 1] = {
#define ENTRY(rows, vectors) [rows][vectors] = tiles_##rows##_##vectors,
    TILES(ENTRY)
#undef ENTRY
};

/* Blocks of whole words: 8 rows as tiles of 8 (what is left over of 4), 4 rows. */
static void run_rows(const struct i8_end *end, int64_t b, const struct i8_split *split) {
  const struct sumi_spmm_i8 *const s = end->s;
  struct i8_tile t = {.m = b * s->block};
  const int rows = (int)i8_min(s->block, s->rows - t.m);
  i8_list(s, b, &t);
  tiles[rows][split->vectors](end, &t, split->begin, split->middle);
  if (split->middle < split->end) tiles[rows][split->vectors - 1](end, &t, split->middle, split->end);
}

/* Four rows from blocks of 1 or 2: their sums meet in memory. */
static void run_word(const struct i8_end *end, int64_t m, const struct i8_split *split) {
  const struct sumi_spmm_i8 *const s = end->s;
  const int rows = s->block;
  _Alignas(64) int32_t sum[I8_WORD_ROWS * MOST_VECTORS * I8_VECTOR];
  struct i8_tile t[I8_WORD_ROWS];
  for (int i = 0; i < I8_WORD_ROWS / rows; i++) {
    t[i].m = m + i * rows;
    i8_list(s, t[i].m / rows, &t[i]);
  }
  int vectors = split->vectors;
  for (int64_t v = split->begin; v < split->end; v += vectors) {
    if (v == split->middle) vectors--;
    for (int i = 0; i < I8_WORD_ROWS / rows; i++) {
      t[i].sum = sum + i * rows * vectors * I8_VECTOR;
      tiles[rows][vectors](end, &t[i], v, v + vectors);
    }
    finish(end, m, v, I8_WORD_ROWS, vectors, sum);
  }
}

void sumi_spmm_i8_avx512vnni(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const struct i8_end end = i8_end_of(s, b0, b1);
  const int most = s->block > 4 ? 3 : s->block > 2 ? 6 : 8;
  struct i8_split split = {.end = p0 / I8_VECTOR};
  while (i8_next_panel(s, b0, b1, (p1 + I8_VECTOR - 1) / I8_VECTOR, most, &split)) {
    if (s->block >= I8_WORD_ROWS)
      for (int64_t b = b0; b < b1; b++) run_rows(&end, b, &split);
    else
      for (int64_t m = b0 * s->block; m < i8_min(b1 * s->block, s->rows); m += I8_WORD_ROWS)
        run_word(&end, m, &split);
  }
}

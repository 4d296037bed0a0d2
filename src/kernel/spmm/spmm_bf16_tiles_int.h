/* The frame of the bfloat16 loop for leaves with registers of sums: panels, blocks, tiles. A leaf includes spmm_bf16_avx512.h,
 * defines this, and then includes the frame:
 *   xs, ws              types: 16 words of x; a word of w for them all
 *   v_x(p) v_w(p)       loads: 64 bytes, one word
 *   v_dot(sum, x, w)    the sum with two products a pixel added
 *   MOST_1 .. MOST_8    vectors of 16 pixels in tiles of so many rows
 *   TILES(X)            X(rows, vectors) of every tile: rows 1, 2, 4, 8, vectors 1 to the most */
#ifndef SUMI_KERNEL_SPMM_BF16_TILES_INT_H
#define SUMI_KERNEL_SPMM_BF16_TILES_INT_H

enum { MOST_ROWS = 8, MOST_VECTORS = 8, MOST_SUMS = 24 };

/* One tile to sum[rows][vectors][16]; w is that of its first row. rows and vectors are constants wherever this is inlined. */
INLINE void tile(const int rows, const int vectors, const struct sumi_spmm_bf16 *s,
                 const struct bf16_list *list, const int32_t *w, int64_t v, float *sum) {
  __m512 in[MOST_ROWS][MOST_VECTORS];
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) in[i][u] = _mm512_setzero_ps();
  }
  const uint8_t *const from = s->x + BF16_VECTOR_BYTES * v;
  const int64_t w_entry = s->w_entry, w_row = s->w_row;
  for (const int32_t *off = list->off, *const stop = off + list->n; off < stop; off++, w += w_entry) {
    const uint8_t *const at = from + *off;
    xs x[MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = v_x(at + BF16_VECTOR_BYTES * u);
    UNROLL for (int i = 0; i < rows; i++) {
      const ws b = v_w(w + i * w_row);
      UNROLL for (int u = 0; u < vectors; u++) in[i][u] = v_dot(in[i][u], x[u], b);
    }
  }
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) _mm512_store_ps(sum + BF16_VECTOR * (i * vectors + u), in[i][u]);
  }
}

typedef void (*tile_fn)(const struct sumi_spmm_bf16 *s, const struct bf16_list *list, const int32_t *w,
                        int64_t v, float *sum);
#define DEFINE(rows, vectors)                                                                       \
  static void tile_##rows##_##vectors(const struct sumi_spmm_bf16 *s, const struct bf16_list *list, \
                                      const int32_t *w, int64_t v, float *sum) {                    \
    tile(rows, vectors, s, list, w, v, sum);                                                        \
  }
TILES(DEFINE)
#undef DEFINE
#define ENTRY(rows, vectors) [rows][vectors] = tile_##rows##_##vectors,
static const tile_fn tiles[MOST_ROWS + 1][MOST_VECTORS + 1] = {TILES(ENTRY)};
#undef ENTRY

/* The sums [rows][vectors][16] of a tile to their end. */
static void finish(const struct sumi_spmm_bf16 *s, int64_t m, int64_t v, int rows, int vectors, float *sum) {
  for (int u = 0; u < vectors; u++)
    bf16_finish(s, m, v + u, rows, sum + u * BF16_VECTOR, (int64_t)vectors * BF16_VECTOR);
}

/* The tallest tile for so many rows. */
static int tall(int64_t rows) { return rows >= 8 ? 8 : rows >= 4 ? 4 : rows >= 2 ? 2 : 1; }

static int most_vectors(int rows) {
  return rows == 8 ? MOST_8 : rows == 4 ? MOST_4 : rows == 2 ? MOST_2 : MOST_1;
}

/* Vectors [v, stop), all of them wanted, of a block of whole words. */
static void run_rows(const struct sumi_spmm_bf16 *s, int64_t b, int64_t v, int64_t stop) {
  _Alignas(64) float sum[MOST_SUMS * BF16_VECTOR];
  const int64_t m0 = b * s->block, m1 = bf16_min(m0 + s->block, bf16_rows(s));
  const struct bf16_list list = bf16_list_of(s, b);
  for (int64_t m = m0, rows; m < m1; m += rows) {
    rows = tall(m1 - m);
    for (int64_t at = v, n; at < stop; at += n) {
      n = bf16_min(most_vectors((int)rows), stop - at);
      tiles[rows][n](s, &list, list.w + (m - m0) * s->w_row, at, sum);
      finish(s, m, at, (int)rows, (int)n, sum);
    }
  }
}

/* The same for the two blocks of one row from b on. */
static void run_word(const struct sumi_spmm_bf16 *s, int64_t b, int64_t v, int64_t stop) {
  _Alignas(64) float sum[BF16_WORD_ROWS * MOST_VECTORS * BF16_VECTOR];
  const struct bf16_list first = bf16_list_of(s, b), second = bf16_list_of(s, b + 1);
  for (int64_t n; v < stop; v += n) {
    n = bf16_min(MOST_1, stop - v);
    tiles[1][n](s, &first, first.w, v, sum);
    tiles[1][n](s, &second, second.w, v, sum + n * BF16_VECTOR);
    finish(s, b, v, BF16_WORD_ROWS, (int)n, sum);
  }
}

/* Vectors of a panel: all blocks are done for a panel before the next one, so that what the lists read of x stays in
 * the second-level cache while the weights of a block stay in the first. Multiples of all tiles. */
static int64_t panel_of(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1) {
  enum { PANEL_BYTES = 384 << 10, UNIT = 24 };
  const int64_t list = !s->start ? s->n_list : b1 > b0 ? (s->start[b1] - s->start[b0]) / (b1 - b0) : 0;
  const int64_t fit = PANEL_BYTES / BF16_VECTOR_BYTES / (list + s->rows / BF16_WORD_ROWS + 1);
  return fit > UNIT ? fit / UNIT * UNIT : UNIT;
}

static void run(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const int64_t panel = panel_of(s, b0, b1), end = (p1 + BF16_VECTOR - 1) / BF16_VECTOR;
  for (int64_t v = p0 / BF16_VECTOR, stop; v < end; v = stop) {
    stop = v + 1;
    if (!sumi_lane_wanted(s->map, v)) continue;
    while (stop < end && stop < v + panel && sumi_lane_wanted(s->map, stop)) stop++;
    if (s->block == 1)
      for (int64_t b = b0; b < bf16_min(b1, bf16_rows(s)); b += BF16_WORD_ROWS) run_word(s, b, v, stop);
    else
      for (int64_t b = b0; b < b1; b++) run_rows(s, b, v, stop);
  }
}

#endif

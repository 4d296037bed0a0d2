/* The frame of the 8-bit loop for leaves with registers of sums: panels, blocks, tiles. A leaf includes an end,
 * spmm_i8_avx512.h or spmm_i8_avx2.h, defines this, and then includes the frame:
 *   sums, xs, ws                   types: 16 sums of a row; 16 words of x; a word of w for them all
 *   v_bias(p) v_x(p) v_w(p)        loads: one word everywhere, 64 bytes, one word
 *   v_dot(sum, x, w)               the sum with four products a pixel added, modulo 2^32
 *   v_keep(p, sum)                 stores 16 sums, 64-byte aligned
 *   TILE_ROWS                      rows of the largest tile
 *   MOST_1, MOST_2, MOST_4, MOST_8 vectors of 16 pixels in tiles of so many rows (8: if TILE_ROWS is)
 *   TILES(X)                       X(rows, vectors) of every tile
 *   WORDS(X)                       if it has the registers: X(rows, vectors) of blocks of 1 or 2 rows whose sums stay there until
 *                                  those of four rows are complete; MOST_1 and MOST_2 are the vectors of these, then. Without
 *                                  them the sums meet in memory. */
#ifndef SUMI_KERNEL_SPMM_I8_TILES_INT_H
#define SUMI_KERNEL_SPMM_I8_TILES_INT_H

/* Tiles beside each other: vectors [v, stop), all of them wanted. */
typedef void (*tiles_fn)(const struct i8_end *end, const struct i8_tile *t, int64_t v, int64_t stop);

/* rows and vectors are constants wherever the following are inlined. */

INLINE void begin_sums(const int rows, const int vectors, const struct sumi_spmm_i8 *s, int64_t m,
                       sums sum[][I8_MOST_VECTORS]) {
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = v_bias(s->bias + m + i);
  }
}

INLINE void add_list(const int rows, const int vectors, const struct sumi_spmm_i8 *s, const struct i8_tile *t,
                     int64_t v, sums sum[][I8_MOST_VECTORS]) {
  const int64_t w_row = t->w_row, w_entry = t->w_entry;
  const uint8_t *const from = s->x + I8_VECTOR_BYTES * v;
  const int32_t *off = t->off, *const stop = off + t->n_list;
  for (const char *w = (const char *)t->w; off < stop; off++, w += w_entry) {
    const uint8_t *const at = from + *off;
    if (rows == 8)
      _mm_prefetch(w + 2048, _MM_HINT_T1); /* dense weights are one stream, of half a line an entry */
    xs x[I8_MOST_VECTORS];
    UNROLL for (int u = 0; u < vectors; u++) x[u] = v_x(at + I8_VECTOR_BYTES * u);
    UNROLL for (int i = 0; i < rows; i++) {
      const ws b = v_w((const int32_t *)(w + i * w_row));
      UNROLL for (int u = 0; u < vectors; u++) sum[i][u] = v_dot(sum[i][u], x[u], b);
    }
  }
}

INLINE void keep_sums(const int rows, const int vectors, int32_t *to, sums sum[][I8_MOST_VECTORS]) {
  UNROLL for (int i = 0; i < rows; i++) {
    UNROLL for (int u = 0; u < vectors; u++) v_keep(to + I8_VECTOR * (i * vectors + u), sum[i][u]);
  }
}

INLINE void end_sums(const int rows, const int vectors, const struct i8_end *end, int64_t m, int64_t v,
                     sums sum[][I8_MOST_VECTORS]) {
  if (i8_quick_tile(rows, vectors, end, m, v, sum)) return;
  _Alignas(64) int32_t own[I8_MOST_SUMS * I8_VECTOR];
  keep_sums(rows, vectors, own, sum);
  i8_finish_tile(end, m, v, rows, vectors, own, (int64_t)vectors * I8_VECTOR);
}

/* One tile. */
INLINE void tile(const int rows, const int vectors, const struct i8_end *end, const struct i8_tile *t,
                 int64_t v) {
  sums sum[I8_MOST_ROWS][I8_MOST_VECTORS];
  begin_sums(rows, vectors, end->s, t->m, sum);
  add_list(rows, vectors, end->s, t, v, sum);
  if (rows < I8_WORD_ROWS)
    keep_sums(rows, vectors, t->sum, sum);
  else
    end_sums(rows, vectors, end, t->m, v, sum);
}

#define DEFINE(rows, vectors)                                                                        \
  static void tiles_##rows##_##vectors(const struct i8_end *end, const struct i8_tile *t, int64_t v, \
                                       int64_t stop) {                                               \
    for (; v < stop; v += vectors) tile(rows, vectors, end, t, v);                                   \
  }
TILES(DEFINE)
#undef DEFINE
#define ENTRY(rows, vectors) [rows][vectors] = tiles_##rows##_##vectors,
static const tiles_fn tiles[I8_MOST_ROWS + 1][I8_MOST_VECTORS + 1] = {TILES(ENTRY)};
#undef ENTRY

/* Blocks of whole words: TILE_ROWS rows at a time, the last ones perhaps 4. */
static void run_rows(const struct i8_end *end, int64_t b, const struct i8_split *split) {
  const struct sumi_spmm_i8 *const s = end->s;
  const int64_t m1 = i8_min((b + 1) * s->block, s->rows);
  struct i8_tile t = {.m = b * s->block};
  i8_list(s, b, &t);
  for (int64_t rows; t.m < m1; t.m += rows, t.w += rows * s->w_row) {
    rows = i8_min(TILE_ROWS, m1 - t.m);
    tiles[rows][split->vectors](end, &t, split->begin, split->middle);
    if (split->middle < split->end) tiles[rows][split->vectors - 1](end, &t, split->middle, split->end);
  }
}

#ifdef WORDS
#define DEFINE(rows, vectors)                                                                        \
  static void words_##rows##_##vectors(const struct i8_end *end, const struct i8_tile *t, int64_t v, \
                                       int64_t stop) {                                               \
    for (; v < stop; v += vectors) word_tile(rows, vectors, end, t, v);                              \
  }
/* Four rows of blocks with lists t[0], t[1], ... */
INLINE void word_tile(const int rows, const int vectors, const struct i8_end *end, const struct i8_tile *t,
                      int64_t v) {
  sums sum[I8_WORD_ROWS][I8_MOST_VECTORS];
  begin_sums(I8_WORD_ROWS, vectors, end->s, t->m, sum);
  UNROLL for (int i = 0; i < I8_WORD_ROWS / rows; i++)
      add_list(rows, vectors, end->s, &t[i], v, sum + i * rows);
  end_sums(I8_WORD_ROWS, vectors, end, t->m, v, sum);
}
WORDS(DEFINE)
#undef DEFINE
#define ENTRY(rows, vectors) [rows][vectors] = words_##rows##_##vectors,
static const tiles_fn words[I8_WORD_ROWS][I8_MOST_VECTORS + 1] = {WORDS(ENTRY)};
#undef ENTRY
#endif

/* Four rows from blocks of 1 or 2. */
static void run_word(const struct i8_end *end, int64_t m, const struct i8_split *split) {
  const struct sumi_spmm_i8 *const s = end->s;
  const int rows = s->block;
  struct i8_tile t[I8_WORD_ROWS];
  for (int i = 0; i < I8_WORD_ROWS / rows; i++) {
    t[i].m = m + i * rows;
    i8_list(s, t[i].m / rows, &t[i]);
  }
#ifdef WORDS
  words[rows][split->vectors](end, t, split->begin, split->middle);
  if (split->middle < split->end) words[rows][split->vectors - 1](end, t, split->middle, split->end);
#else
  _Alignas(64) int32_t sum[I8_WORD_ROWS * I8_MOST_VECTORS * I8_VECTOR];
  int vectors = split->vectors;
  for (int64_t v = split->begin; v < split->end; v += vectors) {
    if (v == split->middle) vectors--;
    for (int i = 0; i < I8_WORD_ROWS / rows; i++) {
      t[i].sum = sum + i * rows * vectors * I8_VECTOR;
      tiles[rows][vectors](end, &t[i], v, v + vectors);
    }
    i8_finish_tile(end, m, v, I8_WORD_ROWS, vectors, sum, (int64_t)vectors * I8_VECTOR);
  }
#endif
}

static void run(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1) {
  const struct i8_end end = i8_end_of(s, b0, b1);
  const int most = s->block == 1                     ? MOST_1
                   : s->block == 2                   ? MOST_2
                   : i8_min(s->block, TILE_ROWS) < 8 ? MOST_4
                                                     : MOST_8;
  struct i8_split split = {.end = p0 / I8_VECTOR};
  while (i8_next_panel(s, b0, b1, (p1 + I8_VECTOR - 1) / I8_VECTOR, most, &split)) {
    if (s->block >= I8_WORD_ROWS)
      for (int64_t b = b0; b < b1; b++) run_rows(&end, b, &split);
    else
      for (int64_t m = b0 * s->block; m < i8_min(b1 * s->block, s->rows); m += I8_WORD_ROWS)
        run_word(&end, m, &split);
  }
}

#endif

/* What the files of the 8-bit loop share: the kernels' entry functions, tiles, panels and runs of pixels.
 * Only static functions, so that each instruction-set file compiles its own. */
#ifndef SUMI_KERNEL_SPMM_I8_INT_H
#define SUMI_KERNEL_SPMM_I8_INT_H

#include "kernel/simd/inline.h"
#include "kernel/spmm/spmm_i8.h"

#define SPMM_I8(level, suffix, ...) \
  void sumi_spmm_i8_##suffix(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1);
#define SPMM_I8_FEW SPMM_I8
#include "kernel/spmm/spmm_i8.def"
#undef SPMM_I8_FEW
#undef SPMM_I8

/* Pixels of a vector in maps; rows of a word; no tile is larger. */
enum {
  I8_VECTOR = 16,
  I8_VECTOR_BYTES = 64,
  I8_WORD_ROWS = 4,
  I8_MOST_ROWS = 8,
  I8_MOST_VECTORS = 8,
  I8_MOST_SUMS = 24
};

/* Where a tile lies: rows from m, and the list they sum. */
struct i8_tile {
  const int32_t *w; /* of the first row and entry */
  const int32_t *off;
  int64_t n_list;
  int64_t w_entry, w_row; /* bytes */
  int64_t m;
  int32_t *sum; /* tiles of fewer rows than a word leave their sums here */
};

static inline int64_t i8_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* The list of block b, and its weights where they come by rows. */
static inline void i8_list(const struct sumi_spmm_i8 *s, int64_t b, struct i8_tile *t) {
  const int64_t first = s->start ? s->start[b] : 0;
  t->off = s->off + first;
  t->n_list = s->start ? s->start[b + 1] - first : s->n_list;
  t->w = s->w + b * s->w_block + first * s->w_entry;
  t->w_entry = s->w_entry * (int64_t)sizeof *s->w;
  t->w_row = s->w_row * (int64_t)sizeof *s->w;
}

/* A panel of vectors as tiles of one width, then of one vector less: no lone vector is left after full tiles.
 * */
struct i8_split {
  int vectors; /* of the tiles in [begin, middle); those in [middle, end) have one less */
  int64_t begin, middle, end;
};

/* Vectors of a panel: all blocks are done for a panel before the next one, so that what the lists read of x
 * stays in the second-level cache while the weights of a block stay in the first. */
static inline int64_t i8_panel(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1) {
  enum { SHORT = 16 };
  const int64_t list = !s->start ? s->n_list : b1 > b0 ? (s->start[b1] - s->start[b0]) / (b1 - b0) : 0;
  const int64_t bytes = (s->start && list >= SHORT ? 48 : 384) << 10;
  return bytes / I8_VECTOR_BYTES / (list + s->rows / I8_WORD_ROWS + 1);
}

/* The next panel after *split and before vector last: a run of vectors with pieces, or as much of one as
 * fits, in tiles of at most `most` vectors. False: there is none. */
static inline bool i8_next_panel(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t last, int most,
                                 struct i8_split *split) {
  int64_t v = split->end;
  while (v < last && !sumi_lane_wanted(s->map, v)) v++;
  const int64_t fit = i8_panel(s, b0, b1) / most * most, panel = fit > most ? fit : most;
  int64_t end = v;
  while (end < last && sumi_lane_wanted(s->map, end) && end - v < panel + most) end++;
  if (end - v >= panel + most) end = v + panel; /* no splinter after a panel */
  const int64_t n = end - v, tiles = (n + most - 1) / most;
  if (n == 0) return false;
  split->vectors = (int)((n + tiles - 1) / tiles);
  split->begin = v;
  split->middle = end - (tiles * split->vectors - n) * (split->vectors - 1);
  split->end = end;
  return true;
}

#endif

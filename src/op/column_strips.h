/* x as [outer, n, inner], its columns strip by strip: how operators on family reduce divide work among threads. Only inline
 * functions. */
#ifndef SUMI_OP_COLUMN_STRIPS_H
#define SUMI_OP_COLUMN_STRIPS_H

#include <stdint.h>

#include "base/size.h"

struct sumi_column_strips {
  int64_t outer, n, inner;
  int64_t wide, strips; /* columns of a strip at most; strips of one slab [n, inner] */
};

static inline struct sumi_column_strips sumi_column_strips(int64_t outer, int64_t n, int64_t inner,
                                                           int64_t wide) {
  return (struct sumi_column_strips){outer, n, inner, wide, (inner + wide - 1) / wide};
}

static inline int64_t sumi_column_strips_count(const struct sumi_column_strips *s) {
  return s->outer * s->strips;
}

/* So many strips make a tile that is worth starting. n and inner are not 0. */
static inline int64_t sumi_column_strips_tile(const struct sumi_column_strips *s) {
  enum { TILE_WORDS = 1 << 14 }; /* starting a tile costs nothing beside so many */
  return SUMI_MAX(TILE_WORDS / (s->n * SUMI_MIN(s->inner, s->wide)), 1);
}

/* Strip i: `wide` columns from `first` on of one slab. */
struct sumi_column_strip {
  int64_t slab, first, wide;
};

static inline struct sumi_column_strip sumi_column_strip(const struct sumi_column_strips *s, int64_t i) {
  const int64_t first = i % s->strips * s->wide;
  return (struct sumi_column_strip){i / s->strips, first, SUMI_MIN(s->inner - first, s->wide)};
}

#endif

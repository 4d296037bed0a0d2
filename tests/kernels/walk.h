/* Flat walks for the families on 8-bit lanes: where each pixel of a walk lies in a plane, as a list of places and as the
 * map of pieces that kernels are given. */
#ifndef SUMI_TESTS_KERNELS_WALK_H
#define SUMI_TESTS_KERNELS_WALK_H

#include "check.h"
#include "tensor/layout.h"

enum { WALK_MOST = 400 };

struct walk {
  int64_t pixels, words; /* words: of a plane, one more than the last place */
  int32_t place[WALK_MOST];
  struct sumi_lane_map map;
  const struct sumi_lane_map *given; /* &map; NULL: pixel p is word p, and all are placed */
  int32_t first[WALK_MOST / 16 + 2];
  struct sumi_lane_piece piece[WALK_MOST];
};

/* A walk of so many pixels: side by side, rows within a halo and perhaps phases, or anywhere with some dropped. */
void walk_random(struct check *c, int64_t pixels, struct walk *w);
/* From place[0 .. pixels), which is set. */
void walk_finish(struct walk *w);

/* Words and bytes in buffers of the harness. */
static inline uint32_t *words_of(struct guarded *g) { return (uint32_t *)(void *)g->data; }
void fill_words(struct check *c, struct guarded *g);
/* Compares n words, the expected ones poison where nothing shall be written. */
bool same_words(struct check *c, const char *where, const struct guarded *got, const uint32_t *want);
/* n words of poison, to be freed */
uint32_t *poison_words(size_t n);
/* Byte channel % 4 of a word of planes. */
static inline int byte_of(const uint32_t *plane, int64_t group, int64_t channel, int64_t at) {
  return (int)(plane[channel / 4 * group + at] >> 8 * (channel % 4) & 255);
}
void set_byte(uint32_t *plane, int64_t group, int64_t channel, int64_t at, int value);

#endif

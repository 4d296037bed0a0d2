/* How a value lies in memory: row-major, or in lanes. Pure arithmetic over caller's storage.
 *
 * In lanes one axis of the tensor holds the channels; v of them side by side fill a 32-bit word (v = 4 for 8 bits, 2 for
 * 16, 1 for 32). All other axes are pixels: images, rows, columns. The word of channels [g * v, g * v + v) at image n,
 * row y, column x, with Y = y + top and X = x + left, is
 *
 *   g * group + sumi_layout_at(n, y, x)
 *   at = ((Y % step_y) * step_x + X % step_x) * phase + n * image + Y / step_y * pitch + X / step_x
 *
 * A plane is the words of one group. Rows and columns outside the tensor (the halo) hold `fill` in every byte; the right
 * halo of a row is the left one of the next. With steps above 1 a plane is split into phases, so that a convolution of
 * that stride walks each of them with stride 1. 8-bit lanes hold unsigned bytes: signed tensors are stored plus 128. */
#ifndef SUMI_TENSOR_LAYOUT_H
#define SUMI_TENSOR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

/* What a reader wants around the tensor: halo rows and columns, and phases. */
struct sumi_halo {
  int64_t top, left, bottom, right;
  int step_y, step_x; /* 1 = none */
};

struct sumi_layout {
  int v;    /* channels in a word; 0 = row-major, and nothing below is set */
  int axis; /* of the channels */
  int64_t channels, groups, images, h, w;
  struct sumi_halo halo;
  int64_t pitch, image, phase,
      group;    /* words from row to row, image to image, phase to phase, plane to plane */
  uint8_t fill; /* the byte in the halo: the zero point as stored */
  size_t bytes; /* of all planes, and what kernels may read beyond the last one */
};

enum {
  SUMI_LAYOUT_MAX_STEP = 32,
  SUMI_LANE_OVER_WORDS = 64 /* kernels may read so many words beyond a plane's last pixel */
};

/* Lanes for a tensor of rank >= 1: axis is the channels'. axis 1 of rank 3 and more: axis 0 are images, the last axis
 * columns, what lies between rows. The last axis of any rank: all others together are the columns of one row.
 * SUMI_E_LIMIT where the sizes overflow 31 bits of words a plane or memory. */
sumi_status sumi_layout_lanes(const struct sumi_tensor *t, int axis, struct sumi_halo halo, uint8_t fill,
                              struct sumi_layout *out, struct sumi_err *err);

/* The word of (image, row, column) in a plane; halo coordinates (negative, or beyond h and w) are allowed. */
static inline int64_t sumi_layout_at(const struct sumi_layout *l, int64_t n, int64_t y, int64_t x) {
  const int64_t Y = y + l->halo.top, X = x + l->halo.left;
  const int64_t phase = Y % l->halo.step_y * l->halo.step_x + X % l->halo.step_x;
  return phase * l->phase + n * l->image + Y / l->halo.step_y * l->pitch + X / l->halo.step_x;
}

/* Whether the tensor's pixels are the first words of a plane, in their order. */
static inline bool sumi_layout_is_flat(const struct sumi_layout *l) {
  return l->images == 1 && l->h == 1 && !l->halo.top && !l->halo.left && l->halo.step_y == 1 &&
         l->halo.step_x == 1;
}

/* Whether both place all words alike. */
bool sumi_layout_equal(const struct sumi_layout *a, const struct sumi_layout *b);

/* Enlarges a wish so that both are served; false where their steps differ. */
bool sumi_halo_merge(struct sumi_halo *into, const struct sumi_halo *other);

/* Writes fill into every word of plane y that is no pixel. */
void sumi_layout_blank(const struct sumi_layout *l, uint32_t *plane);

/* ---- maps: where the pixels of a flat walk go ------------------------------------------------------------------ */

/* A kernel walks the words [0, n) of a plane of its input, 16 at a time. What it has for 16 consecutive words p is stored
 * in pieces: the lanes of mask, lowest first, go to consecutive words from at on of every plane of the output. Lanes in no
 * piece are computed and dropped; a vector without pieces need not be computed. */
struct sumi_lane_piece {
  int32_t at;
  int32_t lane_0; /* where lane 0 would go if it were in the piece: at less the lowest lane of `ordered` */
  uint16_t mask;
  uint16_t ordered; /* mask in the map's order */
  uint8_t n;        /* lanes in mask */
  uint8_t vector; /* of 16 words of the walk, modulo 256: pieces of several vectors need no look at `first` */
};

/* The order of a vector's lanes in which the lanes of every piece of a map are neighbours: one masked store each. */
enum sumi_lane_order {
  SUMI_LANES_TOGETHER, /* as they are */
  SUMI_LANES_APART,    /* 0, 2, .., 14, 1, 3, .., 15: pieces go to one of two phases */
  SUMI_LANES_ANY       /* none: lane_0 and ordered say nothing */
};

struct sumi_lane_map {
  int64_t pixels;       /* words of the walk */
  const int32_t *first; /* [(pixels + 15) / 16 + 1]: vector i has pieces [first[i], first[i + 1]) */
  const struct sumi_lane_piece *piece;
  enum sumi_lane_order order;
  int32_t flat; /* word p of the walk goes to flat + p, whatever p; -1: not so */
};

/* Whether vector v has pieces. */
static inline bool sumi_lane_wanted(const struct sumi_lane_map *map, int64_t v) {
  return map->first[v] < map->first[v + 1];
}

/* Whether the lanes of a piece are neighbours, from the lowest on: they stay where they are in the vector, only the
 * address moves. */
static inline bool sumi_lane_together(const struct sumi_lane_piece *k, int *lowest) {
  *lowest = __builtin_ctz(k->mask);
  return k->mask >> *lowest == (1 << k->n) - 1;
}

/* The map of places: place[pixels] is the word of the output for each word of the walk, -1 = dropped. first and piece become
 * the map's (piece [pixels] is always enough). */
struct sumi_lane_map sumi_lane_map_of(const int32_t *place, int64_t pixels, int32_t *first,
                                      struct sumi_lane_piece *piece);

#endif

/* The geometry of a convolution over planes in lanes (tensor/layout.h), for 8 bits and bfloat16: what halo and phases its input
 * needs, where its columns lie, where its pixels go. A flat walk over a plane of the input computes every output pixel. */
#ifndef SUMI_OP_LANE_CONV_H
#define SUMI_OP_LANE_CONV_H

#include "op/conv.h"
#include "op/lane_lower.h"
#include "op/lane_window.h"

struct sumi_lane_conv {
  bool pointwise; /* every pixel alone: no window */
  struct sumi_lane_window window;
};

/* NULL, or why it cannot be walked in lanes. */
const char *sumi_lane_conv_find(const struct sumi_conv *v, struct sumi_lane_conv *c);

/* Taps of the window, 1 where there is none. */
int64_t sumi_lane_conv_taps(const struct sumi_lane_conv *c);

/* The input as the walk reads it; fill: the byte of the padding. */
struct sumi_lane_wish sumi_lane_conv_wish(const struct sumi_lane_conv *c, uint8_t fill);

/* Offsets in bytes of all columns, in l's arena: tap by tap, the words of a tap side by side; NULL = out of memory.
 * x takes less than 2 GiB. */
int32_t *sumi_lane_conv_columns(struct sumi_lower *l, const struct sumi_lane_conv *c,
                                const struct sumi_layout *x);

/* The map of the walk over x that puts its pixels where `to` has them. */
sumi_status sumi_lane_conv_map(struct sumi_lower *l, const struct sumi_lane_conv *c,
                               const struct sumi_layout *x, const struct sumi_layout *to,
                               struct sumi_lane_map *map);

#endif

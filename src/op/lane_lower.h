/* What lowering to kernels in lanes shares: operands brought into lanes, results brought out of them, and maps. An
 * operator's lower takes any mixture of layouts: what does not lie as its kernel wants is copied through scratch. */
#ifndef SUMI_OP_LANE_LOWER_H
#define SUMI_OP_LANE_LOWER_H

#include "plan/lower.h"

/* A value as a kernel sees it: a buffer and how it lies there. */
struct sumi_lane_operand {
  int buffer;
  struct sumi_layout layout;
};

/* Input i in lanes that serve the wish. What lies otherwise is copied into scratch by a step of its own. */
sumi_status sumi_lower_lanes_in(struct sumi_lower *l, int i, const struct sumi_lane_wish *wish,
                                struct sumi_lane_operand *out);

/* Where output i may be written in lanes along axis: the output itself, or scratch. sumi_lower_lanes_done() after the
 * kernel's own steps copies it out. */
sumi_status sumi_lower_lanes_out(struct sumi_lower *l, int i, int axis, struct sumi_lane_operand *out);
sumi_status sumi_lower_lanes_done(struct sumi_lower *l, int i, const struct sumi_lane_operand *from);

/* Input i row-major, and row-major room for output i: for the reference function. */
sumi_status sumi_lower_rows_in(struct sumi_lower *l, int i, int *buffer);
sumi_status sumi_lower_rows_out(struct sumi_lower *l, int i, int *buffer);
sumi_status sumi_lower_rows_done(struct sumi_lower *l, int i, int buffer);

/* A step that writes the halo of every plane of an operand. Nothing is emitted where there is none. */
sumi_status sumi_lower_blank(struct sumi_lower *l, const struct sumi_lane_operand *operand);

/* The map of a walk over all words of a plane of `from`: every pixel goes to the same pixel of `to`. */
sumi_status sumi_lower_map_same(struct sumi_lower *l, const struct sumi_layout *from,
                                const struct sumi_layout *to, struct sumi_lane_map *map);

/* The map of a walk that computes pixel (n, y, x) of an h x w result at word n * from->image + y * from->pitch + x. */
sumi_status sumi_lower_map_window(struct sumi_lower *l, const struct sumi_layout *from, int64_t h, int64_t w,
                                  const struct sumi_layout *to, struct sumi_lane_map *map);

#endif

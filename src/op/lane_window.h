/* Sliding windows over planes in lanes: the halo and phases that they want, and where their taps lie. */
#ifndef SUMI_OP_LANE_WINDOW_H
#define SUMI_OP_LANE_WINDOW_H

#include "op/op_util.h"
#include "tensor/layout.h"

enum { SUMI_LANE_Y, SUMI_LANE_X, SUMI_LANE_DIMS };

/* A window over rows and columns; over one spatial dimension: one row. */
struct sumi_lane_window {
  int64_t kernel[SUMI_LANE_DIMS], stride[SUMI_LANE_DIMS], dilation[SUMI_LANE_DIMS], begin[SUMI_LANE_DIMS];
  int64_t in[SUMI_LANE_DIMS], out[SUMI_LANE_DIMS];
};

/* w over n spatial dimensions of sizes in[n]. NULL, or why it cannot be walked in lanes. */
const char *sumi_lane_window_find(const struct sumi_window *w, int n, const int64_t *in,
                                  struct sumi_lane_window *out);

/* What lies around the input: enough for every tap of every output. */
struct sumi_halo sumi_lane_window_halo(const struct sumi_lane_window *w);

/* Bytes from the start of a plane to where tap t, counted row by row, of the first output lies. */
int32_t sumi_lane_window_tap(const struct sumi_lane_window *w, const struct sumi_layout *l, int64_t t);

#endif

/* Where GridSample reads: shared by its reference function and what lowers it. */
#ifndef SUMI_OP_GRID_SAMPLE_H
#define SUMI_OP_GRID_SAMPLE_H

#include "graph/op.h"

enum sumi_grid_mode { SUMI_GRID_NEAREST, SUMI_GRID_LINEAR, SUMI_GRID_CUBIC };
enum sumi_grid_padding { SUMI_GRID_ZEROS, SUMI_GRID_BORDER, SUMI_GRID_REFLECTION };
enum { SUMI_GRID_TAPS = 4 }; /* the most along one dim */

struct sumi_grid_settings {
  enum sumi_grid_mode mode;
  enum sumi_grid_padding padding;
  bool align;
};

sumi_status sumi_grid_settings(const struct sumi_node *node, struct sumi_grid_settings *s,
                               struct sumi_err *err);

/* The pixels along one dim and their weights. */
struct sumi_grid_taps {
  int n;
  int64_t at[SUMI_GRID_TAPS]; /* -1: a zero */
  double weight[SUMI_GRID_TAPS];
};

/* Those of grid coordinate g among n pixels. */
void sumi_grid_taps(const struct sumi_grid_settings *s, double g, int64_t n, struct sumi_grid_taps *t);

#endif

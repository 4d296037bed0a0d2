/* What sumi.TurnWeights makes of one spatial dimension, for whoever writes the convolution that takes its result. */
#ifndef SUMI_OP_TURN_WEIGHTS_H
#define SUMI_OP_TURN_WEIGHTS_H

#include "graph/op.h"

struct sumi_turned_line {
  int64_t kernel, stride, begin; /* of the transposed convolution */
  int64_t low,
      high; /* the first and the last tap of the other: what it reads for pixel q is q + low .. q + high */
};

/* The lines of n spatial dimensions with the node's strides and pads (begins, then ends, which are not read); false: they are no
 * such numbers. */
bool sumi_turned_lines(const struct sumi_node *node, const int64_t *kernel, int n,
                       struct sumi_turned_line *line);

#endif

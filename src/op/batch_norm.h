/* What BatchNormalization shares with its lowering, with the pass that makes it part of a convolution, and with room
 * compress. */
#ifndef SUMI_OP_BATCH_NORM_H
#define SUMI_OP_BATCH_NORM_H

#include "graph/op.h"

/* Whether the node takes its statistics from the input and updates the running ones; how it says so changed. */
bool sumi_batch_norm_trains(const struct sumi_node *node);

/* y[c] = (x[c] - mean[c]) * scale[c] / sqrt(var[c] + epsilon) + bias[c] */
struct sumi_batch_norm {
  const float *scale, *bias, *mean, *var; /* [channels] */
  double epsilon;
};

/* The figures of a BatchNormalization that is nothing but this formula: with float32 constants of so many channels that
 * nobody can override, and no output but the first. False for any other node. */
bool sumi_batch_norm_fixed(const struct sumi_node *node, int64_t channels, struct sumi_batch_norm *out);

#endif

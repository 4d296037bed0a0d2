/* What BatchNormalization shares with its lowering. */
#ifndef SUMI_OP_BATCH_NORM_H
#define SUMI_OP_BATCH_NORM_H

#include "graph/op.h"

/* Whether the node takes its statistics from the input and updates the running ones; how it says so changed. */
bool sumi_batch_norm_trains(const struct sumi_node *node);

#endif

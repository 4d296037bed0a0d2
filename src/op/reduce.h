/* What the Reduce operators share with their lowering. */
#ifndef SUMI_OP_REDUCE_H
#define SUMI_OP_REDUCE_H

#include "graph/op.h"

/* Marks the dims of input 0 that the node combines: reduced[rank]. Axes that are an input are read from it. */
sumi_status sumi_reduce_axes(const struct sumi_call *c, bool *reduced);

#endif

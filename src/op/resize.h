/* What Resize and Upsample share with their lowering. */
#ifndef SUMI_OP_RESIZE_H
#define SUMI_OP_RESIZE_H

#include "graph/op.h"
#include "op/resize_axis.h"

/* How the node interpolates, and every axis of input 0: a[rank]. Reads scales, sizes and roi from their inputs. */
sumi_status sumi_resize_resolve(const struct sumi_call *c, struct sumi_resize_how *how,
                                struct sumi_resize_axis *a);

#endif

/* How Gather, GatherND, GatherElements, ScatterND and ScatterElements become steps: indices are checked in one walk, then runs of elements are copied. */
#ifndef SUMI_OP_INDEX_LOWER_H
#define SUMI_OP_INDEX_LOWER_H

#include "plan/lower.h"

sumi_status sumi_gather_lower(struct sumi_lower *l);
sumi_status sumi_gather_nd_lower(struct sumi_lower *l);
sumi_status sumi_gather_elements_lower(struct sumi_lower *l);
sumi_status sumi_scatter_nd_lower(struct sumi_lower *l);
sumi_status sumi_scatter_elements_lower(struct sumi_lower *l);

#endif

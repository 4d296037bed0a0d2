/* How GridSample becomes a step of families copy and resize on device cpu. */
#ifndef SUMI_OP_GRID_SAMPLE_LOWER_H
#define SUMI_OP_GRID_SAMPLE_LOWER_H

#include "plan/lower.h"

sumi_status sumi_grid_sample_lower(struct sumi_lower *l);

#endif

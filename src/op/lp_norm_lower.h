/* How LpNormalization becomes a step of families reduce and eltwise on device cpu. */
#ifndef SUMI_OP_LP_NORM_LOWER_H
#define SUMI_OP_LP_NORM_LOWER_H

#include "plan/lower.h"

sumi_status sumi_lp_norm_lower(struct sumi_lower *l);

#endif

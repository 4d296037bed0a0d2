/* How ArgMax, ArgMin and Hardmax become steps of family reduce on device cpu. */
#ifndef SUMI_OP_EXTREME_LOWER_H
#define SUMI_OP_EXTREME_LOWER_H

#include "plan/lower.h"

sumi_status sumi_arg_extreme_lower(struct sumi_lower *l);
sumi_status sumi_hardmax_lower(struct sumi_lower *l);

#endif

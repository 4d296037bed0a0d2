/* How the Reduce operators become steps of family reduce. */
#ifndef SUMI_OP_REDUCE_LOWER_H
#define SUMI_OP_REDUCE_LOWER_H

#include "plan/lower.h"

sumi_status sumi_reduce_lower(struct sumi_lower *l);

#endif

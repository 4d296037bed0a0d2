/* How MaxPool, AveragePool and the global pools become steps of family pool on device cpu. */
#ifndef SUMI_OP_POOL_LOWER_H
#define SUMI_OP_POOL_LOWER_H

#include "plan/lower.h"

sumi_status sumi_max_pool_lower(struct sumi_lower *l);
sumi_status sumi_average_pool_lower(struct sumi_lower *l);
sumi_status sumi_global_max_pool_lower(struct sumi_lower *l);
sumi_status sumi_global_average_pool_lower(struct sumi_lower *l);

#endif

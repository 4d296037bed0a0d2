/* MaxPool and com.microsoft.QLinearGlobalAveragePool of 8-bit values in lanes on device cpu: family pool_i8. */
#ifndef SUMI_OP_QPOOL_LOWER_H
#define SUMI_OP_QPOOL_LOWER_H

#include "plan/lower.h"

void sumi_qmax_pool_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qmax_pool_lower(struct sumi_lower *l);
void sumi_qmean_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qmean_lower(struct sumi_lower *l);

#endif

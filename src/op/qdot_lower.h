/* How sumi.QConv and sumi.QMatMul become steps of kernel family spmm_i8 on device cpu. */
#ifndef SUMI_OP_QDOT_LOWER_H
#define SUMI_OP_QDOT_LOWER_H

#include "plan/lower.h"

void sumi_qconv_lanes(const struct sumi_call *call, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qconv_lower(struct sumi_lower *l);

void sumi_qmatmul_lanes(const struct sumi_call *call, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qmatmul_lower(struct sumi_lower *l);

#endif

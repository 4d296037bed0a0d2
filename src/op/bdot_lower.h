/* How sumi.BConv and sumi.BMatMul become steps of kernel family spmm_bf16 on device cpu. */
#ifndef SUMI_OP_BDOT_LOWER_H
#define SUMI_OP_BDOT_LOWER_H

#include "plan/lower.h"

void sumi_bconv_lanes(const struct sumi_call *call, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_bconv_lower(struct sumi_lower *l);

void sumi_bmatmul_lanes(const struct sumi_call *call, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_bmatmul_lower(struct sumi_lower *l);

#endif

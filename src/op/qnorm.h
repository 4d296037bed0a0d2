/* Inputs of sumi.QNorm, and how it becomes steps of kernel family norm_i8 on device cpu. */
#ifndef SUMI_OP_QNORM_H
#define SUMI_OP_QNORM_H

#include "plan/lower.h"

enum {
  SUMI_QNORM_X, /* 8-bit with the two behind it, or float32 without them */
  SUMI_QNORM_X_SCALE,
  SUMI_QNORM_X_ZERO,
  SUMI_QNORM_C, /* float32 [channels], optional */
  SUMI_QNORM_R, /* 8-bit, optional with the two behind it */
  SUMI_QNORM_R_SCALE,
  SUMI_QNORM_R_ZERO,
  SUMI_QNORM_SCALE,   /* float32 [channels] */
  SUMI_QNORM_B,       /* float32 [channels], optional */
  SUMI_QNORM_Y_SCALE, /* optional with the one behind it: the result is float32 */
  SUMI_QNORM_Y_ZERO,
  SUMI_QNORM_INPUTS
};

void sumi_qnorm_lanes(const struct sumi_call *call, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_qnorm_lower(struct sumi_lower *l);

#endif

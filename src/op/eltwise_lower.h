/* How element-wise operators become steps of family eltwise on device cpu, and activations behind other kernels. */
#ifndef SUMI_OP_ELTWISE_LOWER_H
#define SUMI_OP_ELTWISE_LOWER_H

#include "kernel/eltwise/eltwise.h"
#include "op/activation.h"
#include "plan/lower.h"

/* One input: the operator is found by its name in the family's table. */
sumi_status sumi_unary_lower(struct sumi_lower *l);
/* Two inputs, broadcast. */
sumi_status sumi_binary_lower(struct sumi_lower *l);
/* Pow with one constant exponent that is a small whole number. */
sumi_status sumi_power_lower(struct sumi_lower *l);

/* Where: words chosen by a condition, broadcast. */
sumi_status sumi_select_lower(struct sumi_lower *l);

/* How an activation is applied to finished words: by a clip where that can say it, else by a function in place. */
struct sumi_epilogue {
  float lo, hi;
  sumi_unary_fn act; /* NULL = none */
  const float *param;
};
sumi_status sumi_lower_epilogue(struct sumi_lower *l, struct sumi_activation a, struct sumi_epilogue *out);

#endif

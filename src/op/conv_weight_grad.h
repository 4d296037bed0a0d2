/* How sumi.ConvWeightGrad becomes steps of kernel families on device cpu. */
#ifndef SUMI_OP_CONV_WEIGHT_GRAD_H
#define SUMI_OP_CONV_WEIGHT_GRAD_H

#include "op/conv.h"
#include "plan/lower.h"

sumi_status sumi_conv_weight_grad_lower(struct sumi_lower *l);

/* Whether it rounds to bfloat16. */
bool sumi_conv_weight_grad_rounds(const struct sumi_node *node);

#endif

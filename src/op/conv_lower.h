/* How Conv, FusedConv and FConv become steps of kernel families on device cpu. */
#ifndef SUMI_OP_CONV_LOWER_H
#define SUMI_OP_CONV_LOWER_H

#include "plan/lower.h"

sumi_status sumi_conv_lower(struct sumi_lower *l);

#endif

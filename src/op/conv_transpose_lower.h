/* How ConvTranspose becomes steps of kernel families on device cpu. */
#ifndef SUMI_OP_CONV_TRANSPOSE_LOWER_H
#define SUMI_OP_CONV_TRANSPOSE_LOWER_H

#include "plan/lower.h"

sumi_status sumi_conv_transpose_lower(struct sumi_lower *l);

#endif

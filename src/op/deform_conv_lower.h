/* How DeformConv becomes a step of families copy, resize and spmm on device cpu. */
#ifndef SUMI_OP_DEFORM_CONV_LOWER_H
#define SUMI_OP_DEFORM_CONV_LOWER_H

#include "plan/lower.h"

sumi_status sumi_deform_conv_lower(struct sumi_lower *l);

#endif

/* How com.microsoft.DynamicQuantizeMatMul becomes a step of families lane and spmm_i8 on device cpu. */
#ifndef SUMI_OP_DYNAMIC_MATMUL_LOWER_H
#define SUMI_OP_DYNAMIC_MATMUL_LOWER_H

#include "plan/lower.h"

sumi_status sumi_dynamic_matmul_lower(struct sumi_lower *l);

#endif

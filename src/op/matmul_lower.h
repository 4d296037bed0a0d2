/* How MatMul, FusedMatMul, Gemm and FusedGemm become steps of kernel families on device cpu. */
#ifndef SUMI_OP_MATMUL_LOWER_H
#define SUMI_OP_MATMUL_LOWER_H

#include "plan/lower.h"

sumi_status sumi_matmul_lower(struct sumi_lower *l);
sumi_status sumi_gemm_lower(struct sumi_lower *l);

#endif

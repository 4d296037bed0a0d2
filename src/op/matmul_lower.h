/* How MatMul, FusedMatMul, sumi.FMatMul, Gemm and FusedGemm become steps of kernel families on device cpu. */
#ifndef SUMI_OP_MATMUL_LOWER_H
#define SUMI_OP_MATMUL_LOWER_H

#include "op/activation.h"
#include "op/matmul.h"
#include "plan/lower.h"

sumi_status sumi_matmul_lower(struct sumi_lower *l);
sumi_status sumi_gemm_lower(struct sumi_lower *l);
sumi_status sumi_fmatmul_lower(struct sumi_lower *l);
/* y = a * b + c of inputs 0, 1 and 2 (which may be absent), row-major in a buffer of its own: what some operators begin
 * with. The inputs' own bytes stay. */
sumi_status sumi_projection_lower(struct sumi_lower *l, const struct sumi_tensor *y, int buffer);
/* y[m, n] = act(a[m, k] * b[n, k]^T + c[n]) of inputs 0, 1 and 2 (which may be absent), row-major: convolutions of one output pixel. */
sumi_status sumi_rows_lower(struct sumi_lower *l, int64_t m, int64_t n, int64_t k,
                            struct sumi_activation activation);
/* The product mm of inputs 0 and 1, whatever the node calls it. */
sumi_status sumi_matmul_lower_as(struct sumi_lower *l, const struct sumi_matmul *mm);

#endif

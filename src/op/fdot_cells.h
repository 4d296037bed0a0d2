/* How products of float32, where they may be narrowed, and of bfloat16 become cells of the card. */
#ifndef SUMI_OP_FDOT_CELLS_H
#define SUMI_OP_FDOT_CELLS_H

#include "graph/op.h"

sumi_status sumi_conv_cells(struct sumi_cells *c); /* Conv, FusedConv */
sumi_status sumi_fconv_cells(struct sumi_cells *c);
sumi_status sumi_matmul_cells(struct sumi_cells *c); /* MatMul, FusedMatMul */
sumi_status sumi_fmatmul_cells(struct sumi_cells *c);
sumi_status sumi_gemm_cells(struct sumi_cells *c); /* Gemm, FusedGemm */
sumi_status sumi_conv_transpose_cells(struct sumi_cells *c);

#endif

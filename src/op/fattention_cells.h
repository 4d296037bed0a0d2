/* How attention of float32, where it may be narrowed, and of bfloat16 becomes cells of the card. */
#ifndef SUMI_OP_FATTENTION_CELLS_H
#define SUMI_OP_FATTENTION_CELLS_H

#include "graph/op.h"

sumi_status sumi_attention_cells(struct sumi_cells *c); /* ai.onnx */
sumi_status sumi_ms_attention_cells(
    struct sumi_cells *c); /* com.microsoft, Attention and MultiHeadAttention */
sumi_status sumi_ms_multi_head_attention_cells(struct sumi_cells *c);

#endif

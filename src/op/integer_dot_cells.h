/* How the 8-bit products of the standard become cells of the card. */
#ifndef SUMI_OP_INTEGER_DOT_CELLS_H
#define SUMI_OP_INTEGER_DOT_CELLS_H

#include "graph/op.h"

sumi_status sumi_conv_integer_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_conv_cells(struct sumi_cells *c);
sumi_status sumi_matmul_integer_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_matmul_cells(struct sumi_cells *c);

#endif

/* How sumi.BConv and sumi.BMatMul become cells of the card. */
#ifndef SUMI_OP_BDOT_CELLS_H
#define SUMI_OP_BDOT_CELLS_H

#include "graph/op.h"

sumi_status sumi_bconv_cells(struct sumi_cells *c);
sumi_status sumi_bmatmul_cells(struct sumi_cells *c);

#endif

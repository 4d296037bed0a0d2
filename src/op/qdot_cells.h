/* How sumi.QConv and sumi.QMatMul become cells of the card: qdot.h's formula is ACT's (card/word.h), bit for
 * bit. */
#ifndef SUMI_OP_QDOT_CELLS_H
#define SUMI_OP_QDOT_CELLS_H

#include "graph/op.h"

sumi_status sumi_qconv_cells(struct sumi_cells *c);
sumi_status sumi_qmatmul_cells(struct sumi_cells *c);

#endif

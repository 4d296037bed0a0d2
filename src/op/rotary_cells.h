/* RotaryEmbedding, the standard's and that of com.microsoft, as cells of the card. */
#ifndef SUMI_OP_ROTARY_CELLS_H
#define SUMI_OP_ROTARY_CELLS_H

#include "plan/cell.h"

sumi_status sumi_rotary_embedding_cells(struct sumi_cells *c);
sumi_status sumi_ms_rotary_embedding_cells(struct sumi_cells *c);

#endif

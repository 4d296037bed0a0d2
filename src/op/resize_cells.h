/* Resize and Upsample as cells. */
#ifndef SUMI_OP_RESIZE_CELLS_H
#define SUMI_OP_RESIZE_CELLS_H

#include "plan/cell.h"

sumi_status sumi_resize_cells(struct sumi_cells *c);

#endif

/* The 8-bit operators of com.microsoft as cells. Scales and zero points must be constants. */
#ifndef SUMI_OP_MS_QLINEAR_CELLS_H
#define SUMI_OP_MS_QLINEAR_CELLS_H

#include "plan/cell.h"

sumi_status sumi_qlinear_add_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_mul_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_table_cells(
    struct sumi_cells *c); /* one input, element by element: its reference, of all bytes */
sumi_status sumi_qlinear_global_average_pool_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_softmax_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_concat_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_reduce_mean_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_where_cells(struct sumi_cells *c);

#endif

/* Sliding pools as cells: channels in lanes, a window's elements by distances. Input 0 is [batch, channels, ...], or has its channels
 * last. */
#ifndef SUMI_OP_POOL_CELLS_H
#define SUMI_OP_POOL_CELLS_H

#include "plan/cell.h"

sumi_status sumi_max_pool_cells(struct sumi_cells *c);
sumi_status sumi_average_pool_cells(struct sumi_cells *c);
sumi_status sumi_nhwc_max_pool_cells(struct sumi_cells *c);
sumi_status sumi_qlinear_average_pool_cells(struct sumi_cells *c);

#endif

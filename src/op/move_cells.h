/* Operators that only move elements, as cells: copies over as few loops as their operands' forms allow. */
#ifndef SUMI_OP_MOVE_CELLS_H
#define SUMI_OP_MOVE_CELLS_H

#include "op/move.h"
#include "plan/cell.h"

/* The boxes that fn tells, in the forms in which the inputs lie; outputs take input 0's (sumi_cells_follow). Inputs from n_data on
 * are lists that fn reads: refused where they are not constant. */
sumi_status sumi_moves_cells(struct sumi_cells *c, sumi_moves_fn *fn, int n_data);
/* The same for one output, whose dimension `inner` becomes that whose elements are neighbours. */
sumi_status sumi_moves_cells_inner(struct sumi_cells *c, sumi_moves_fn *fn, int n_data, int inner);

/* One copy of a box, strides and firsts in elements of the operands. from -1: the element's bytes `fill`. */
sumi_status sumi_box_cell(struct sumi_cells *c, const struct sumi_box *box, int to, int64_t to_first,
                          int from, int64_t from_first, uint32_t fill);

/* The dimension whose elements are neighbours; -1 = row-major. */
int sumi_cells_inner(const struct sumi_cells *c, int operand);
/* Output k takes input 0's form, the dimensions counted from the back. */
sumi_status sumi_cells_follow(struct sumi_cells *c, int k);

#endif

/* How operators that only move elements become steps: boxes in stretches for threads, transpositions of words by family
 * copy. */
#ifndef SUMI_OP_MOVE_LOWER_H
#define SUMI_OP_MOVE_LOWER_H

#include "op/move.h"
#include "plan/lower.h"

/* The boxes that fn tells. Inputs from n_data on are lists that fn reads: refused where they are not constant. */
sumi_status sumi_moves_lower(struct sumi_lower *l, sumi_moves_fn *fn, int n_data);

#endif

/* What the shape functions of the movement operators share: axes lists, and contents passed along. */
#ifndef SUMI_OP_DIMS_H
#define SUMI_OP_DIMS_H

#include "graph/op.h"

/* axis[n] in [-rank, rank) made >= 0 in out[n]; SUMI_E_VALUE where one is outside, comes twice, or n > rank.
 */
sumi_status sumi_op_axes(const int64_t *axis, int n, int rank, int *out, struct sumi_err *err);

/* Length of an input that lists integers: its dim 0, from its values or its shape; -1 unknown. SUMI_E_SHAPE
 * where its rank is not 1 (0 counts as a list of one), SUMI_E_LIMIT where it is longer than SUMI_MAX_RANK. */
sumi_status sumi_op_list_length(struct sumi_infer *ctx, int input, int *n);

/* Element v of a list of sizes as a dim: what an exact list says below zero is unknown. */
static inline sumi_dim sumi_op_dim(int64_t v, bool exact) { return exact && v < 0 ? SUMI_DIM_UNKNOWN : v; }

/* Output 0, whose shape is set, has the elements of input 0 in their order: passes on what is known of them.
 */
sumi_status sumi_op_pass_contents(struct sumi_infer *ctx);

/* The number that a one-element input holds; false where it is unknown. SUMI_E_SHAPE where it has another
 * count. */
sumi_status sumi_op_scalar(struct sumi_infer *ctx, int input, bool *known, int64_t *value);

/* The size that a one-element input of integers holds, as a dim; SUMI_E_SHAPE where it has another count, SUMI_E_VALUE where it
 * is negative. */
sumi_status sumi_op_scalar_dim(struct sumi_infer *ctx, int input, sumi_dim *size);

/* Checks that an input's rank, where known, is `rank`. */
sumi_status sumi_op_want_rank(struct sumi_infer *ctx, int input, int rank);

#endif

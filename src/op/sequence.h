/* Sequences and optionals in inference and at run time: what their operators share. */
#ifndef SUMI_OP_SEQUENCE_H
#define SUMI_OP_SEQUENCE_H

#include "graph/op.h"

/* Output 0 is of this kind; for kinds other than tensors nothing is known of shapes. */
void sumi_infer_kind(struct sumi_infer *ctx, sumi_kind kind, sumi_dtype dtype);

/* Output 0 becomes a sequence of deep copies of item[n]. */
sumi_status sumi_call_sequence(const struct sumi_call *c, sumi_dtype dtype,
                               const struct sumi_tensor *const *item, int64_t n);

/* Output 0 becomes a sequence of n tensors still to be filled: item k has the shape dim. Called once with n,
 * then for every item. */
sumi_status sumi_call_sequence_begin(const struct sumi_call *c, sumi_dtype dtype, int64_t n);
sumi_status sumi_call_sequence_item(const struct sumi_call *c, int64_t k, int rank, const int64_t *dim);

#endif

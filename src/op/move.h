/* Copying boxes of elements: what every operator that only moves data is made of.
 * Any element type; strings are moved by reference. Nothing is allocated. */
#ifndef SUMI_OP_MOVE_H
#define SUMI_OP_MOVE_H

#include "graph/op.h"

/* The largest rank of a box: two dimensions for each of a tensor's (Tile). */
enum { SUMI_MOVE_RANK = 2 * SUMI_MAX_RANK };

/* For all index tuples i of dim[rank]:
 *   dst[dst_first + sum i[k] * dst_stride[k]] = src[src_first + sum i[k] * src_stride[k]]
 * Offsets and strides are elements; strides may be 0 or negative. Every element touched lies in its tensor,
 * the destinations are distinct, and dst and src do not overlap: the caller has checked it. */
void sumi_move(sumi_dtype d, int rank, const int64_t *dim, void *dst, int64_t dst_first,
               const int64_t *dst_stride, const void *src, int64_t src_first, const int64_t *src_stride);

/* n copies of element src_first of src, or of the type's zero (empty string) where src is NULL. */
void sumi_fill(sumi_dtype d, void *dst, int64_t dst_first, int64_t n, const void *src, int64_t src_first);

/* Output 0 takes the elements of input 0 in their order; nothing to do where it lies over it. */
sumi_status sumi_ref_view(const struct sumi_call *c);

/* index in [-n, n) made >= 0; SUMI_E_VALUE otherwise. */
sumi_status sumi_index(int64_t index, int64_t n, int64_t *out, struct sumi_err *err);

#endif

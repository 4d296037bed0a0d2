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

/* The same box with fewer dims: those of 1 are gone, neighbours that are contiguous in both are one; where the source is
 * contiguous along another dim than the last, that dim is the last but one. */
struct sumi_box {
  int rank;
  int64_t dim[SUMI_MOVE_RANK], to[SUMI_MOVE_RANK],
      from[SUMI_MOVE_RANK]; /* strides of destination and source */
};
struct sumi_box sumi_box_make(int rank, const int64_t *dim, const int64_t *to, const int64_t *from);
void sumi_box_move(sumi_dtype d, const struct sumi_box *b, void *dst, int64_t dst_first, const void *src,
                   int64_t src_first);

/* Where the boxes of an operator that only moves go: done at once, or written into a plan. */
struct sumi_moves {
  sumi_status (*add)(struct sumi_moves *m, int out, int64_t to_first, const struct sumi_box *box, int in,
                     int64_t from_first);
  const struct sumi_call *call;
  /* Strides of input (output) k as it lies; NULL = row-major. */
  void (*in_strides)(const struct sumi_moves *m, int k, int64_t *stride);
  void (*out_strides)(const struct sumi_moves *m, int k, int64_t *stride);
};
/* What the strides of the boxes are to be made of. */
void sumi_moves_in(const struct sumi_moves *m, int k, int64_t *stride);
void sumi_moves_out(const struct sumi_moves *m, int k, int64_t *stride);
/* Tells all boxes of a call; dims and the contents of inputs that are lists are known, data may not be. */
typedef sumi_status sumi_moves_fn(const struct sumi_call *c, struct sumi_moves *m);
/* Output out's elements of a box from input in's; strides as in sumi_move. */
sumi_status sumi_moves_add(struct sumi_moves *m, int rank, const int64_t *dim, int out, int64_t to_first,
                           const int64_t *to, int in, int64_t from_first, const int64_t *from);
/* The reference of such an operator. */
sumi_status sumi_moves_run(const struct sumi_call *c, sumi_moves_fn *fn);

/* n copies of element src_first of src, or of the type's zero (empty string) where src is NULL. */
void sumi_fill(sumi_dtype d, void *dst, int64_t dst_first, int64_t n, const void *src, int64_t src_first);

/* Output 0 takes the elements of input 0 in their order; nothing to do where it lies over it. */
sumi_status sumi_ref_view(const struct sumi_call *c);

/* index in [-n, n) made >= 0; SUMI_E_VALUE otherwise. */
sumi_status sumi_index(int64_t index, int64_t n, int64_t *out, struct sumi_err *err);

#endif

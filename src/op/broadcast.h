/* Broadcasting for element-wise operators: shapes reduced to few loops, the rules from before operator set
 * 7, and symbolic contents of what shape arithmetic computes. */
#ifndef SUMI_OP_BROADCAST_H
#define SUMI_OP_BROADCAST_H

#include "graph/op.h"

enum { SUMI_BCAST_MAX = 3 };

/* Loop vectorisation hint: iterations do not depend on each other (an output lies apart from the inputs or
 * exactly over one of them). */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" /* a hint: loops with divisions stay as they are */
#define SUMI_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SUMI_IVDEP _Pragma("GCC ivdep")
#else
#define SUMI_IVDEP
#endif

/* n tensors seen with one shape. Neighbouring dims that all of them walk alike are one; dims of 1 are gone.
 * The last dim is the inner loop, where every stride is 0 or 1. rank >= 1. */
struct sumi_bcast {
  int n, rank;
  int64_t dim[SUMI_MAX_RANK];
  int64_t stride[SUMI_BCAST_MAX][SUMI_MAX_RANK]; /* elements */
};

/* Each t[k] must broadcast to dim[rank]. */
void sumi_bcast_init(struct sumi_bcast *b, int rank, const int64_t *dim, const struct sumi_tensor *const *t,
                     int n);

/* The rows of b: a walk over all dims but the last, offsets of the n tensors in .offset. */
struct sumi_walk sumi_bcast_rows(const struct sumi_bcast *b);

/* A binary operator's shapes: NumPy's rules from version 7 on, before that attributes broadcast and axis
 * (the second input is a stretch of the first's dims that starts at axis, by default at the end; or one
 * element). */
sumi_status sumi_infer_binary(struct sumi_infer *ctx, sumi_dtype dtype);

/* The second input's header as NumPy's rules want it: before version 7 with the dims of 1 that axis stands
 * for. */
struct sumi_tensor sumi_second_operand(const struct sumi_call *c);

/* The output's dimension at which the second input's dimension 0 lies. */
int sumi_second_axis(const struct sumi_node *node, int rank_a, int rank_b, int rank_out);

/* The first input that has an element type gives it. */
sumi_dtype sumi_infer_dtype(const struct sumi_infer *ctx, int first, int last);

/* How many integers are known of an input of rank 0 or 1 (at most SUMI_MAX_RANK); -1 = none. */
int sumi_content_count(const struct sumi_info *in);
/* The k-th, k taken modulo their number; SUMI_DIM_UNKNOWN where it is negative or not known. */
sumi_dim sumi_content_at(const struct sumi_info *in, int k);

/* Output 0 holds op of the contents of inputs 0 and 1, where they are known. */
sumi_status sumi_infer_content_of(struct sumi_infer *ctx, enum sumi_dim_op op);

#endif

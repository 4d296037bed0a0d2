/* Reductions, and operators over whole rows, as cells. Dimensions are those of a struct sumi_seen; `inner` is the set of those that
 * a row goes through. */
#ifndef SUMI_OP_ROWS_CELLS_H
#define SUMI_OP_ROWS_CELLS_H

#include "op/vector_cells.h"

/* An operand as it is; operand -1 where it is not given. */
struct sumi_seen sumi_see(const struct sumi_cells *c, int operand);
/* Broadcast to rank dimensions, its last ones to the last ones or its dimension 0 to `first`. */
struct sumi_seen sumi_see_broadcast(const struct sumi_cells *c, int operand, int rank, int first);
/* Output 0 with the dimensions of input 0, those that are reduced as 1, whether the output has kept them or not. */
struct sumi_seen sumi_see_reduced(const struct sumi_cells *c, const bool *reduced);
/* Dimension axis becomes [parts, dim / parts]. */
void sumi_seen_split(struct sumi_seen *s, int axis, int64_t parts);
/* The bits of marks[rank]. */
unsigned sumi_seen_set(const bool *marks, int rank);

/* A temporary with like's dimensions but for the set `without`, which are 1; `each` elements for every entry; the dimensions of
 * `inner` lie innermost. operand -1: out of memory. */
struct sumi_seen sumi_seen_temp(struct sumi_cells *c, sumi_dtype dtype, const struct sumi_seen *like,
                                unsigned without, unsigned inner, int64_t each);

/* Sees to it that one step leads through a row: x becomes a copy where it does not. */
sumi_status sumi_rows_straight(struct sumi_cells *c, struct sumi_seen *x, unsigned inner);

enum sumi_reduction_kind { SUMI_REDUCTION_SUM, SUMI_REDUCTION_MAX, SUMI_REDUCTION_MIN };
struct sumi_reduction {
  enum sumi_reduction_kind kind;
  const char *each; /* formula of an element a; NULL = a */
  const char *last; /* formula of the result a and the number of elements b, a float; NULL = a */
};
/* y (dimensions of `inner` 1) = last(each(x) combined). A largest or smallest element loses a NaN among others. */
sumi_status sumi_reduce_cells(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                              const struct sumi_reduction *r, const struct sumi_seen *y);

/* y = exp(x - max) / sum(exp(x - max)) over rows. */
sumi_status sumi_softmax_cells(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                               const struct sumi_seen *y);

/* y = finish((x - mean) * f * scale + bias) over rows, f = factor(mean of (x - mean)^2, epsilon), a formula in a and b. */
struct sumi_norm {
  struct sumi_seen x, y, scale, bias; /* scale, bias: operand -1 = none */
  struct sumi_seen mean, inverse;     /* where mean and f are stored as well; operand -1 = nowhere */
  unsigned inner;
  bool centred; /* else mean is 0 */
  const char *factor;
  float epsilon;
  int (*finish)(struct sumi_vector *p, const struct sumi_cells *c, int value); /* NULL = the value */
};
#define SUMI_NORM_FACTOR "1 / sqrtf(a + b)"
sumi_status sumi_norm_cells(struct sumi_cells *c, const struct sumi_norm *n);

#endif

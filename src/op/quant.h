/* What QuantizeLinear and DequantizeLinear share: where the scale of an element lies, and rows of elements
 * between float and quantised types. */
#ifndef SUMI_OP_QUANT_H
#define SUMI_OP_QUANT_H

#include "graph/op.h"
#include "par/par.h"

/* x is [outer, n, inner] along the quantisation axis, and the scale of element (o, k, i) lies
 *   per tensor  at 0 (outer = n = 1)
 *   per axis    at k
 *   blocked     at (o * ceil(n / block) + k / block) * inner + i */
struct sumi_quant_shape {
  int64_t outer, n, inner;
  int64_t block; /* 0: not blocked */
};

/* The checks of inputs x, scale and zero point: shapes as one of the three kinds wants them. */
sumi_status sumi_quant_infer(struct sumi_infer *ctx);
struct sumi_quant_shape sumi_quant_shape_of(const struct sumi_call *c);
/* The axis along which there is a scale for each entry. */
int sumi_quant_axis(const struct sumi_node *node, int rank);

/* Calls row for stretches of x[at .. at + n) whose scales lie at scale_at (step 0: one for all) or from
 * there on (step 1); long ones are shared by the threads of par (NULL = serial). */
typedef void (*sumi_quant_row)(const void *self, int64_t at, int64_t n, int64_t scale_at, int step);
void sumi_quant_each(const struct sumi_quant_shape *s, sumi_quant_row row, const void *self,
                     struct sumi_par *par);

/* The lowest and highest number of an integer type of at most 16 bits; false for other types. */
bool sumi_quant_range(sumi_dtype d, float *low, float *high);

/* y[at + i] = saturate(round(x[i]) + zero[i * step]), ties to even, in integer type d; a NaN becomes the
 * zero point. x holds quotients and is overwritten. n <= SUMI_LANE_CHUNK. */
void sumi_quant_store(sumi_dtype d, void *y, int64_t at, float *x, const float *zero, int step, int64_t n);

#endif

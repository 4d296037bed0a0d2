/* Products as cells of the card (plan/cell.h): what the operators that are products have in common. */
#ifndef SUMI_OP_DOT_CELLS_H
#define SUMI_OP_DOT_CELLS_H

#include "op/activation.h"
#include "op/conv.h"
#include "plan/cell.h"

/* The operands of a product. */
struct sumi_dot_operands {
  int x, w, y, residual; /* residual: -1 = none; of y's shape */
};

/* Sets p's operands, loops and steps for a convolution: x [batch, c_in, in...], w [c_out, c_group, kernel...]. Channel
 * parameters are [c_out]. Windows over more than two dimensions are refused. */
sumi_status sumi_dot_conv(struct sumi_cells *c, const struct sumi_conv *v, const struct sumi_dot_operands *o,
                          struct sumi_cell_product *p);

/* The same for y[.., n] = sum over k of x[.., k] * w[k, n]; transposed: w[n, k]. Channel parameters are [n]. */
sumi_status sumi_dot_lines(struct sumi_cells *c, const struct sumi_dot_operands *o, bool transposed,
                           struct sumi_cell_product *p);

/* ACT's function for an activation; false: it has none. */
bool sumi_dot_function(struct sumi_activation act, struct sumi_cell_product *p);

/* The same as operations of a vector program: the value of act(x). */
struct sumi_vector;
int sumi_dot_activation(struct sumi_vector *v, struct sumi_activation act, int x);

/* An operand of another element type, of the form of `like`. -1: out of memory. */
int sumi_dot_temp_like(struct sumi_cells *c, sumi_dtype dtype, int like);

/* A float32 or bfloat16 operand as bfloat16: constants are rounded at once, others by a cell where products may be narrowed.
 * Other types are refused. */
sumi_status sumi_dot_narrow(struct sumi_cells *c, int operand, int *out);

/* What follows a float sum: y = act(sum * scale + bias + r * residual). */
struct sumi_dot_real {
  float scale;
  const float *bias; /* [parameters] or NULL */
  float bias_mul;
  float r_mul;
  struct sumi_activation activation;
};

/* Adds product p, whose loops are set, with what follows; y is float32 or bfloat16. n: channel parameters. */
sumi_status sumi_dot_real(struct sumi_cells *c, struct sumi_cell_product *p, const struct sumi_dot_real *e,
                          int64_t n);

/* The contents of optional input i: NULL where it is not given. Refused where it is no constant. */
sumi_status sumi_dot_constant(struct sumi_cells *c, int i, const char *name, const float **data);

#endif

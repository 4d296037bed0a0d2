/* Products as cells of the card (plan/cell.h): what the operators that are products have in common. */
#ifndef SUMI_OP_DOT_CELLS_H
#define SUMI_OP_DOT_CELLS_H

#include "op/activation.h"
#include "op/conv.h"
#include "plan/cell.h"

/* The operands of a product. */
struct sumi_dot_operands {
  int x, w, y, residual; /* residual: -1 = none; of y's shape */
  uint32_t blank;        /* the element of x that adds nothing: its zero point's bits */
};

/* Sets p's operands, loops and steps for a convolution: x [batch, c_in, in...], w [c_out, c_group,
 * kernel...]. Channel parameters are [c_out]. A window over three dimensions is one over two: copies make the
 * first one's taps channels. */
sumi_status sumi_dot_conv(struct sumi_cells *c, const struct sumi_conv *v, const struct sumi_dot_operands *o,
                          struct sumi_cell_product *p);

/* Makes the taps of spatial dimension 0 of a convolution over three channels: *v, *o and their operands
 * become those of one without a kernel there, over input channels [kernel, c_in]. */
sumi_status sumi_dot_unfold(struct sumi_cells *c, struct sumi_conv *v, struct sumi_dot_operands *o);

/* The same for a matrix product of the node's attributes (op/matmul.h), times alpha; y is [batch..., m, n].
 * Channel parameters are [n]. */
sumi_status sumi_dot_matmul(struct sumi_cells *c, const struct sumi_dot_operands *o,
                            struct sumi_cell_product *p);

/* The same for a product of any strides: over loops, outermost first, those of pixels with w = 0; channels are neighbours in x,
 * outputs in y. Refused where the loops that walk w are more than the cell has. */
struct sumi_dot_loop {
  int64_t count, x, w, y; /* steps, elements */
};
struct sumi_dot_strides {
  int n;
  struct sumi_dot_loop loop[SUMI_MAX_RANK];
  int64_t channels, w_channel, outputs, w_output;
};
sumi_status sumi_dot_strided(struct sumi_cells *c, const struct sumi_dot_operands *o,
                             const struct sumi_dot_strides *s, struct sumi_cell_product *p);

/* ACT's function for an activation; false: it has none. */
bool sumi_dot_function(struct sumi_activation act, struct sumi_cell_product *p);

/* The same as operations of a vector program: the value of act(x). */
struct sumi_vector;
int sumi_dot_activation(struct sumi_vector *v, struct sumi_activation act, int x);

/* An operand of another element type, of the form of `like`. -1: out of memory. */
int sumi_dot_temp_like(struct sumi_cells *c, sumi_dtype dtype, int like);

/* Refuses element types that cannot be multiplied, nor narrowed. */
sumi_status sumi_dot_check_type(struct sumi_cells *c, sumi_dtype dtype);

/* A float32 or bfloat16 operand as bfloat16, where products may be narrowed: constants are rounded at once,
 * others by a cell. Other types are refused. axis: whose elements shall be neighbours in the end (-1 =
 * row-major), for operands whose form may still be chosen. */
sumi_status sumi_dot_narrow(struct sumi_cells *c, int operand, int axis, int *out);
/* The same for a constant whose item i of dimension 0 is multiplied by factor[i], rounded to float32 first. */
sumi_status sumi_dot_narrow_scaled(struct sumi_cells *c, int operand, const double *factor, int *out);

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

/* e->bias: the contents of optional input i, float32. Refused where it is no constant. */
sumi_status sumi_dot_bias(struct sumi_cells *c, int i, struct sumi_dot_real *e);

#endif

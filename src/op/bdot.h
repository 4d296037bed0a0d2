/* The dot products on bfloat16 that pass narrow-bf16 makes (sumi.BConv, sumi.BMatMul): what their nodes have in common.
 *   y = activation(sum of w * x + b + r)      x, w, r bfloat16, sums and b float32; y rounded once, where it is bfloat16 */
#ifndef SUMI_OP_BDOT_H
#define SUMI_OP_BDOT_H

#include "graph/op.h"

/* Inputs; b and r are optional. */
enum { SUMI_BDOT_X, SUMI_BDOT_W, SUMI_BDOT_B, SUMI_BDOT_R };

extern const struct sumi_port sumi_bdot_in[], sumi_bdot_out[];

/* The output's element type by attribute to: bfloat16 (16, the default) or float32 (1); SUMI_E_VALUE. */
sumi_status sumi_bdot_dtype(const struct sumi_node *node, sumi_dtype *dtype, struct sumi_err *err);

/* Rows of an attribute table. */
#define SUMI_BDOT_ATTRS \
  {"to", SUMI_ATTR_INT}, {"activation", SUMI_ATTR_STRING}, { "activation_params", SUMI_ATTR_FLOATS }

#endif

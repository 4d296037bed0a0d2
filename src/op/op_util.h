/* What many operator files need: attribute forms that recur, and the table of all operators. */
#ifndef SUMI_OP_OP_UTIL_H
#define SUMI_OP_OP_UTIL_H

#include <sumi/types.h>

#include "graph/op.h"
#include "op/ops.h"

/* Attribute "axis" of a tensor of the given rank (rank 0 counts as 1, as ONNX does for scalars), made >= 0.
 */
sumi_status sumi_op_axis(const struct sumi_node *node, int64_t otherwise, int rank, int *axis,
                         struct sumi_err *err);

/* Padding, strides and dilations of a sliding window (Conv, pools), resolved for given spatial sizes.
 * n spatial dims; size, out in elements; pad begin and end; auto_pad and ceil_mode are taken care of. Pads
 * may be negative: they cut. |pads|, kernel, stride and dilation are below 2^31. */
struct sumi_window {
  int n;
  int64_t kernel[SUMI_MAX_RANK], stride[SUMI_MAX_RANK], dilation[SUMI_MAX_RANK];
  int64_t begin[SUMI_MAX_RANK], end[SUMI_MAX_RANK];
  int64_t out[SUMI_MAX_RANK];
  bool same; /* auto_pad is SAME_UPPER or SAME_LOWER: pads depend on the size */
  bool ceil; /* a last window that only starts inside counts too */
};

/* Reads kernel (or attribute kernel_shape when NULL), strides, dilations, pads, auto_pad, ceil_mode of a node
 * whose input has n spatial dims size[n]; unknown sizes (negative) give SUMI_DIM_UNKNOWN in out and pads as
 * written. Every figure is checked: positive strides and dilations, kernel > 0, right counts, no overflow; a
 * window that does not fit even once is SUMI_E_SHAPE. An attribute kernel_shape beside kernel must say the
 * same. */
sumi_status sumi_op_window(const struct sumi_node *node, int n, const int64_t *size, const int64_t *kernel,
                           struct sumi_window *w, struct sumi_err *err);

/* The output size of spatial dimension i as an expression of a symbolic size; w->out[i] where that is known.
 */
sumi_dim sumi_op_window_dim(struct sumi_symbols *s, const struct sumi_window *w, int i, sumi_dim size);

/* Input i of a node where it is a constant that nobody can override, else NULL. */
const struct sumi_tensor *sumi_op_weight(const struct sumi_node *node, int i);

/* The share of the elements of input i that are not zero, counted in one pass, where it is a constant; 1
 * otherwise. Zero is what input zero_point says (-1 = no such input) where that is one constant, else 0. */
double sumi_op_density(const struct sumi_call *call, int i, int zero_point);

/* The bytes of all inputs and outputs of a call: the least a run reads and writes. */
double sumi_op_bytes(const struct sumi_call *call);

#endif

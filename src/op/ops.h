/* The operator table: every descriptor, and how a file's operator finds it. */
#ifndef SUMI_OP_OPS_H
#define SUMI_OP_OPS_H

#include "graph/op.h"

#define SUMI_OP(symbol) extern const struct sumi_op sumi_op_##symbol;
#include "op/ops.def"
#undef SUMI_OP

/* All descriptors, in the order of ops.def. */
const struct sumi_op *const *sumi_ops(size_t *n);

/* The operator that a file of this operator set version means by domain ("" = "ai.onnx") and name; NULL and a
 * reason in why: unknown operator, or only known from a later version on. */
const struct sumi_op *sumi_op_find(const char *domain, const char *name, int opset, char *why,
                                   size_t why_size);

/* By Sumi's own name ("Conv", "com.microsoft.Attention"). */
const struct sumi_op *sumi_op_by_name(const char *name);

#endif

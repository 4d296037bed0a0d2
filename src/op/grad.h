/* Gradients of operators: what an operator's `grad` is given, and the expressions it builds the answer of.
 *
 * With L a number that depends on the node's outputs y, dy[j] = dL/dy[j] (shape and type of y[j]); grad sets dx[i] = dL/dx[i]
 * (shape and type of x[i]) for every wanted input, as values of nodes it appends to the graph. Expressions are built inside out;
 * the first failure stays in .status, everything after it does nothing and is NULL, so that a rule looks at it once, at its end.
 * Shapes may be symbolic or unknown: rules that need numbers refuse in words. */
#ifndef SUMI_OP_GRAD_H
#define SUMI_OP_GRAD_H

#include "op/ops.h"

struct sumi_grad {
  struct sumi_graph *graph;
  const struct sumi_node *node;
  struct sumi_value *const *dy; /* [node->n_out]; NULL: L does not depend on that output */
  const bool *wanted;           /* [node->n_in] */
  struct sumi_value **dx;       /* [node->n_in]; all NULL before; NULL afterwards: zero */
  sumi_status status;
  struct sumi_err *err;
};

/* ---- expressions ----------------------------------------------------------------------------------------------- */

/* Output 0 of a new node of the newest version of op, an operator of ai.onnx; in[n], NULL = optional one not given. Attributes are
 * set on the value that comes back, before it is used. */
struct sumi_value *sumi_grad_op(struct sumi_grad *g, const struct sumi_op *op, int n,
                                struct sumi_value *const *in);
/* The node itself, with n_out outputs, of the given version. */
struct sumi_node *sumi_grad_node(struct sumi_grad *g, const struct sumi_op *op, int version, int n,
                                 struct sumi_value *const *in, int n_out);
/* A new node like g->node (operator, version, attributes, inputs) with another first input; its output 0. */
struct sumi_value *sumi_grad_again(struct sumi_grad *g, struct sumi_value *first);
/* What is known of v; NULL after a failure. */
const struct sumi_info *sumi_grad_info(struct sumi_grad *g, struct sumi_value *v);

/* Sets an attribute of v's node; v. */
struct sumi_value *sumi_grad_int(struct sumi_grad *g, struct sumi_value *v, const char *name, int64_t value);
struct sumi_value *sumi_grad_float(struct sumi_grad *g, struct sumi_value *v, const char *name, float value);
struct sumi_value *sumi_grad_list(struct sumi_grad *g, struct sumi_value *v, const char *name,
                                  const int64_t *value, int n);

#define SUMI_GRAD_1(name)                                                                        \
  static inline struct sumi_value *sumi_grad_##name(struct sumi_grad *g, struct sumi_value *a) { \
    return sumi_grad_op(g, &sumi_op_##name, 1, &a);                                              \
  }
#define SUMI_GRAD_2(name)                                                                      \
  static inline struct sumi_value *sumi_grad_##name(struct sumi_grad *g, struct sumi_value *a, \
                                                    struct sumi_value *b) {                    \
    return sumi_grad_op(g, &sumi_op_##name, 2, (struct sumi_value *[]){a, b});                 \
  }
#define SUMI_GRAD_3(name)                                                                         \
  static inline struct sumi_value *sumi_grad_##name(struct sumi_grad *g, struct sumi_value *a,    \
                                                    struct sumi_value *b, struct sumi_value *c) { \
    return sumi_grad_op(g, &sumi_op_##name, 3, (struct sumi_value *[]){a, b, c});                 \
  }
/* sumi_grad_NAME(g, inputs): that operator's value. */
SUMI_GRAD_1(neg)
SUMI_GRAD_1(exp)
SUMI_GRAD_1(log)
SUMI_GRAD_1(sqrt)
SUMI_GRAD_1(erf)
SUMI_GRAD_1(tanh)
SUMI_GRAD_1(sigmoid)
SUMI_GRAD_1(sign)
SUMI_GRAD_1(sin)
SUMI_GRAD_1(cos)
SUMI_GRAD_1(not )
SUMI_GRAD_1(size)
SUMI_GRAD_1(nonzero)
SUMI_GRAD_1(transpose)
SUMI_GRAD_2(add)
SUMI_GRAD_2(sub)
SUMI_GRAD_2(mul)
SUMI_GRAD_2(div)
SUMI_GRAD_2(pow)
SUMI_GRAD_2(equal)
SUMI_GRAD_2(less)
SUMI_GRAD_2(greater)
SUMI_GRAD_2(and)
SUMI_GRAD_2(unsqueeze)
SUMI_GRAD_2(expand)
SUMI_GRAD_2(matmul)
SUMI_GRAD_2(gemm)
SUMI_GRAD_2(conv)
SUMI_GRAD_2(conv_transpose)
SUMI_GRAD_2(pad)
SUMI_GRAD_3(where)
SUMI_GRAD_3(range)

/* A number of x's type; a list of int64; a tensor of x's type and the given shape that holds value[] in order. */
struct sumi_value *sumi_grad_scalar(struct sumi_grad *g, struct sumi_value *x, double value);
struct sumi_value *sumi_grad_ints(struct sumi_grad *g, const int64_t *value, int n);
struct sumi_value *sumi_grad_tensor(struct sumi_grad *g, struct sumi_value *x, int rank, const int64_t *dim,
                                    const double *value);
/* v as x's type. */
struct sumi_value *sumi_grad_cast(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x);

/* The dims [first, last) of x as a list of int64, a constant where they are numbers; last < 0: to the end. */
struct sumi_value *sumi_grad_dims(struct sumi_grad *g, struct sumi_value *x, int first, int last);
/* Lists one after the other; NULLs are left out. */
struct sumi_value *sumi_grad_join(struct sumi_grad *g, int n, struct sumi_value *const *list);
/* Reshape by a list that is taken as it is: 0 is 0 elements, -1 the rest. */
struct sumi_value *sumi_grad_reshape(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *shape);
struct sumi_value *sumi_grad_flat(struct sumi_grad *g, struct sumi_value *v);
/* v's elements in x's shape. */
struct sumi_value *sumi_grad_reshape_like(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x);
/* v broadcast to x's shape. */
struct sumi_value *sumi_grad_expand_like(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x);
/* value everywhere, shape and type of x; and a list of dims instead of x's shape. */
struct sumi_value *sumi_grad_fill_like(struct sumi_grad *g, struct sumi_value *x, double value);
struct sumi_value *sumi_grad_fill(struct sumi_grad *g, struct sumi_value *x, struct sumi_value *shape,
                                  double value);
/* The sum over axes (of a known number), which stay as dims of 1 where keep. */
struct sumi_value *sumi_grad_sum(struct sumi_grad *g, struct sumi_value *v, const int64_t *axes, int n,
                                 bool keep);
/* The gradient of broadcasting x to v's shape: v summed over what was repeated. Where dims are unknown, nodes find out. */
struct sumi_value *sumi_grad_sum_to(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *x);
/* v with its dims in another order. */
struct sumi_value *sumi_grad_permute(struct sumi_grad *g, struct sumi_value *v, const int64_t *perm, int n);
/* v's elements [start, end) of each axis; lists of int64. */
struct sumi_value *sumi_grad_slice(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *start,
                                   struct sumi_value *end, struct sumi_value *axes);
/* zeros of x's shape (a list), to which v's elements are added at the flat positions index. */
struct sumi_value *sumi_grad_scatter_like(struct sumi_grad *g, struct sumi_value *v, struct sumi_value *index,
                                          struct sumi_value *x);

/* Number of elements of x / those of y, as a number of x's type: how many are averaged. */
struct sumi_value *sumi_grad_ratio(struct sumi_grad *g, struct sumi_value *x, struct sumi_value *y);

/* The same shape, known to be. */
bool sumi_grad_same_shape(const struct sumi_info *a, const struct sumi_info *b);
/* The rank of v; a failure in words where it is unknown. */
int sumi_grad_rank(struct sumi_grad *g, struct sumi_value *v);
/* Fails where output i has a gradient, or is left out with one wanted. */
sumi_status sumi_grad_only(struct sumi_grad *g, int n_out);

/* ---- rules shared by families, named in the descriptors ---------------------------------------------------- */

#define SUMI_GRAD_RULE(symbol) sumi_status sumi_##symbol##_grad(struct sumi_grad *g);
#include "op/grad.def"
#undef SUMI_GRAD_RULE

#endif

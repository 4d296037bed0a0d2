/* What the passes over quantised networks share: reading QuantizeLinear (Q) and DequantizeLinear (DQ) of 8-bit tensors
 * with one constant scale and zero point, and putting integer operators in their place. Private to the passes. */
#ifndef SUMI_PASS_QDQ_H
#define SUMI_PASS_QDQ_H

#include "op/ops.h"
#include "pass/pass.h"

/* real = (q - zero) * scale, q of type uint8 or int8. */
struct sumi_qdq {
  float scale; /* finite, normal, positive */
  int32_t zero;
  sumi_dtype dtype;
  struct sumi_value *scale_value, *zero_value; /* zero_value NULL: 0 */
};

static inline bool sumi_qdq_is(const struct sumi_node *node, const char *op) {
  return node && sumi_streq(node->op->name, op);
}

/* The contents of a value that nobody can change; NULL = not constant. */
static inline const struct sumi_tensor *sumi_qdq_constant(const struct sumi_value *v) {
  return v && !v->is_input ? v->constant : NULL;
}

static inline struct sumi_value *sumi_qdq_input(const struct sumi_node *node, int i) {
  return i < node->n_in ? node->in[i] : NULL;
}

/* The only user of v; NULL where there are others, or v is an output. */
static inline struct sumi_node *sumi_qdq_user(const struct sumi_value *v) {
  return v->n_use == 1 && !v->is_output ? v->first_use->node : NULL;
}

/* The number that v, a float32 constant of one element, holds; NULL: it is none. */
const float *sumi_qdq_number(const struct sumi_value *v);

/* A scale that can be calculated with: finite, positive, not subnormal. */
bool sumi_qdq_is_scale(float x);

/* The DQ that makes v, the Q that alone uses v as its x; NULL where it is none or its parameters are not as above. */
struct sumi_node *sumi_qdq_dq(const struct sumi_value *v, struct sumi_qdq *p);
struct sumi_node *sumi_qdq_q(const struct sumi_value *v, struct sumi_qdq *p);
/* The parameters of a Q or DQ; false where they are not as above. */
bool sumi_qdq_read(const struct sumi_node *node, struct sumi_qdq *p);

static inline bool sumi_qdq_same(const struct sumi_qdq *a, const struct sumi_qdq *b) {
  return a->scale == b->scale && a->zero == b->zero && a->dtype == b->dtype;
}

/* A constant scalar of the zero point, the file's own where it has one. NULL: out of memory. */
struct sumi_value *sumi_qdq_zero(struct sumi_graph *g, struct sumi_qdq *p);

/* A new constant of t's type and shape whose elements *data are to be filled in; NULL: out of memory. */
struct sumi_value *sumi_qdq_new_constant(struct sumi_graph *g, const struct sumi_tensor *shape, void **data,
                                         struct sumi_err *err);

/* Takes out the node that makes v where nobody uses v, and then what that node used alone, as far as nothing but Q, DQ
 * and Transpose is met. */
void sumi_qdq_drop_unused(struct sumi_graph *g, struct sumi_value *v);

/* Gives node another operator and the inputs in[n_in] (attributes stay), and drops what is used no more. */
sumi_status sumi_qdq_become(struct sumi_graph *g, struct sumi_node *node, const struct sumi_op *op,
                            struct sumi_value *const *in, int n_in, struct sumi_err *err);

/* Output 0 of node, which chain[n] (each the only user of the one before) turns into something, becomes that: it takes over
 * the chain's uses and type, and the chain's nodes are taken out. */
void sumi_qdq_take_over(struct sumi_graph *g, struct sumi_node *node, struct sumi_node *const *chain, int n);

/* Relu, or Clip with constant limits: its name and figures for an attribute; NULL = another operator. */
const char *sumi_qdq_clamp(const struct sumi_node *node, float figure[2], size_t *n);

#endif

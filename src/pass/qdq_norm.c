/* qdq-norm: a sum of dequantised values, normalised over the last axis and quantised, becomes sumi.QNorm:
 *   DequantizeLinear, or an integer product's float32 result [-> Add of a constant a channel] [-> Add of dequantised values]
 *   -> LayerNormalization or RMSNormalization [-> QuantizeLinear]
 * Without the QuantizeLinear the result is float32. The Adds may stand in any order, and nobody else may use what lies in
 * between. */
#include "base/size.h"
#include "op/qnorm.h"
#include "pass/qdq.h"

enum { MOST_ADDS = 2 };

struct norm {
  struct sumi_node *node, *q, *add[MOST_ADDS]; /* q: NULL = none */
  int n_add;
  struct sumi_value *x, *c, *r; /* c, r: NULL = none */
  bool words;                   /* x is 8-bit, with parameters */
  struct sumi_qdq x_param, r_param, y_param;
};

/* ---- the pattern ------------------------------------------------------------------------------------------------- */

/* Of the same rank and channels, and not known to be smaller. */
static bool same_shape(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->rank < 1 || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++) {
    const bool open = i < a->rank - 1 && (a->dim[i] < 0 || b->dim[i] < 0);
    if (!open && (a->dim[i] < 0 || a->dim[i] != b->dim[i])) return false;
  }
  return true;
}

static bool is_channels(const struct sumi_value *v, const struct sumi_info *x) {
  const struct sumi_tensor *t = sumi_qdq_constant(v);
  return t && t->dtype == SUMI_FLOAT32 && t->rank == 1 && t->dim[0] == x->dim[x->rank - 1];
}

static bool is_product(const struct sumi_node *node) {
  return node && (node->op == &sumi_op_qmatmul || node->op == &sumi_op_qconv);
}

/* A summand takes its place: dequantised values as x or r, a float32 product as x, a constant as c. */
static bool read_term(struct norm *n, struct sumi_value *v) {
  const struct sumi_info *whole = &n->node->in[0]->info;
  struct sumi_qdq p;
  if (!v || whole->rank < 1) return false;
  if (is_channels(v, whole)) {
    if (n->c) return false;
    n->c = v;
    return true;
  }
  if (!same_shape(&v->info, whole)) return false;
  const struct sumi_node *dq = sumi_qdq_dq(v, &p);
  if (!dq && !(is_product(v->producer) && v->info.dtype == SUMI_FLOAT32)) return false;
  if (n->x && !dq) { /* what is dequantised can be the residual */
    if (!n->words || n->r) return false;
    n->r = n->x;
    n->r_param = n->x_param;
    n->x = NULL;
  }
  if (!n->x) {
    n->x = dq ? dq->in[0] : v;
    n->words = dq != NULL;
    if (dq) n->x_param = p;
    return true;
  }
  if (n->r) return false;
  n->r = dq->in[0];
  n->r_param = p;
  return true;
}

/* Reads the summands of v; an Add that only this uses is taken apart. */
static bool read_sum(struct norm *n, struct sumi_value *v) {
  struct sumi_node *add = v ? v->producer : NULL;
  if (!sumi_qdq_is(add, "Add") || add->version < 7 || v->n_use != 1 || v->is_output) return read_term(n, v);
  if (n->n_add == MOST_ADDS || add->in[0] == add->in[1]) return false;
  n->add[n->n_add++] = add;
  return read_sum(n, add->in[0]) && read_sum(n, add->in[1]);
}

static bool is_rms(const struct sumi_node *node) { return sumi_qdq_is(node, "RMSNormalization"); }

static bool reads_last_axis(const struct sumi_node *node) {
  const int rank = node->in[0]->info.rank;
  const int64_t axis = sumi_attr_int(node, "axis", -1);
  return rank > 0 && (axis == -1 || axis == rank - 1) && sumi_attr_int(node, "stash_type", 1) == 1;
}

static bool match(struct sumi_node *node, struct norm *n) {
  *n = (struct norm){.node = node};
  if ((!sumi_qdq_is(node, "LayerNormalization") && !is_rms(node)) || node->n_out != 1 || !node->out[0] ||
      !node->in[0] || node->in[0]->info.dtype != SUMI_FLOAT32 || !reads_last_axis(node))
    return false;
  const struct sumi_info *whole = &node->in[0]->info;
  if (!is_channels(node->in[1], whole)) return false;
  if (sumi_qdq_input(node, 2) && !is_channels(node->in[2], whole)) return false;
  n->q = sumi_qdq_q(node->out[0], &n->y_param);
  return read_sum(n, node->in[0]) && n->x;
}

/* ---- the change -------------------------------------------------------------------------------------------------- */

static sumi_status set_params(struct sumi_graph *g, struct sumi_qdq *p, struct sumi_value **in, int scale,
                              struct sumi_err *err) {
  in[scale] = p->scale_value;
  in[scale + 1] = sumi_qdq_zero(g, p);
  if (!in[scale + 1]) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status convert(struct sumi_graph *g, struct norm *n, struct sumi_err *err) {
  struct sumi_node *node = n->node;
  struct sumi_value *in[SUMI_QNORM_INPUTS] = {[SUMI_QNORM_X] = n->x,
                                              [SUMI_QNORM_C] = n->c,
                                              [SUMI_QNORM_R] = n->r,
                                              [SUMI_QNORM_SCALE] = node->in[1],
                                              [SUMI_QNORM_B] = sumi_qdq_input(node, 2)};
  if (n->words) SUMI_TRY(set_params(g, &n->x_param, in, SUMI_QNORM_X_SCALE, err));
  if (n->r) SUMI_TRY(set_params(g, &n->r_param, in, SUMI_QNORM_R_SCALE, err));
  if (n->q) SUMI_TRY(set_params(g, &n->y_param, in, SUMI_QNORM_Y_SCALE, err));
  int n_in = SUMI_QNORM_INPUTS;
  while (!in[n_in - 1]) n_in--;
  const bool rms = is_rms(node);
  SUMI_TRY(sumi_qdq_become(g, node, &sumi_op_qnorm, in, n_in, err));
  sumi_node_remove_attr(node, "axis");
  sumi_node_remove_attr(node, "stash_type");
  if (rms) SUMI_TRY(sumi_node_set_int(node, "centred", 0, err));
  for (int i = 0; i < n->n_add; i++) { /* each is used by the one before */
    struct sumi_value *a = n->add[i]->in[0], *b = n->add[i]->in[1];
    sumi_graph_remove_node(g, n->add[i]);
    sumi_qdq_drop_unused(g, a);
    sumi_qdq_drop_unused(g, b);
  }
  if (n->q) sumi_qdq_take_over(g, node, &n->q, 1);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct norm n;
    if (!sumi_node_removed(g->node[i]) && match(g->node[i], &n)) SUMI_TRY(convert(g, &n, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_norm = {
    .name = "qdq-norm",
    .what = "makes the normalisation of dequantised values one operator",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

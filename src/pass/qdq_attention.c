/* qdq-attention: scaled dot-product attention between 8-bit tensors becomes sumi.QAttention:
 *   q: Reshape to [B, S, H, D], Transpose to [B, H, S, D];  k: to [B, H, D, T];  v: to [B, H, T, D], each DequantizeLinear
 *   MatMul (q, k) [-> QuantizeLinear -> DequantizeLinear] [-> Mul or Div by a constant] [-> Add of a mask] -> Softmax
 *   -> QuantizeLinear -> DequantizeLinear -> MatMul (., v) -> QuantizeLinear -> Transpose to [B, S, H, D] -> Reshape
 * Nobody else may use what lies between the reshaped tensors and the result. */
#include "base/size.h"
#include "op/qattention.h"
#include "pass/qdq.h"

enum { MOST_NODES = 8 };

/* An operand on its way back from a MatMul: dequantised, transposed, reshaped. */
struct operand {
  struct sumi_qdq param;
  struct sumi_node *reshape;
};

struct attention {
  struct sumi_node *scores, *softmax, *node; /* node: the second MatMul */
  struct operand q, k, v;
  struct sumi_node *between[MOST_NODES]; /* from the scores to the softmax, both included */
  int n_between;
  struct sumi_value *mask; /* NULL = none */
  bool quantised, divide;
  float factor;
  struct sumi_qdq s_param, p_param, y_param;
  struct sumi_node *chain[3]; /* behind node: Q, Transpose, Reshape */
};

/* ---- operands ---------------------------------------------------------------------------------------------------- */

/* perm of a Transpose of 4 dimensions. */
static bool read_perm(const struct sumi_node *node, int64_t perm[4]) {
  int n;
  const int64_t *list = sumi_attr_ints(node, "perm", &n);
  for (int i = 0; i < 4; i++) perm[i] = n == 4 ? list[i] : 3 - i;
  return (n == 0 || n == 4) && node->in[0] && node->in[0]->info.rank == 4;
}

static bool is_perm(const int64_t *perm, const int64_t *want) {
  return perm[0] == want[0] && perm[1] == want[1] && perm[2] == want[2] && perm[3] == want[3];
}

static bool is_reshape(const struct sumi_node *node) {
  return sumi_qdq_is(node, "Reshape") && node->n_in == 2 && node->in[0] && node->in[1] &&
         !sumi_attr_int(node, "allowzero", 0);
}

/* v: DequantizeLinear of Transposes, together by perm, of a Reshape. */
static bool read_operand(const struct sumi_value *v, const int64_t *perm, struct operand *o) {
  struct sumi_node *node = sumi_qdq_dq(v, &o->param);
  int64_t all[4] = {0, 1, 2, 3};
  if (!node || !node->in[0]) return false;
  for (node = node->in[0]->producer; sumi_qdq_is(node, "Transpose"); node = node->in[0]->producer) {
    int64_t one[4];
    if (!read_perm(node, one)) return false;
    for (int i = 0; i < 4; i++) all[i] = one[all[i]];
  }
  if (!is_perm(all, perm) || !is_reshape(node)) return false;
  o->reshape = node;
  return node->in[0]->info.dtype == o->param.dtype;
}

/* ---- from the scores to the result ------------------------------------------------------------------------------- */

static struct sumi_node *step(struct attention *a, struct sumi_node *node) {
  a->between[a->n_between++] = node;
  return sumi_qdq_user(node->out[0]);
}

/* The operand of a node of two that is not v. */
static struct sumi_value *other_of(const struct sumi_node *node, const struct sumi_value *v) {
  return node->n_in == 2 && node->in[0] != node->in[1] ? node->in[node->in[0] == v] : NULL;
}

static bool is_scalar(const struct sumi_value *v, float *value) {
  const struct sumi_tensor *t = sumi_qdq_constant(v);
  if (!t || t->dtype != SUMI_FLOAT32 || sumi_tensor_count(t) != 1 || t->rank > 4) return false;
  *value = *(const float *)t->data;
  return true;
}

/* The mask does not make more of the scores, as far as is known. */
static bool fits(const struct sumi_info *mask, const struct sumi_info *scores) {
  if (mask->dtype != SUMI_FLOAT32 || mask->rank < 0 || mask->rank > 4 || scores->rank != 4) return false;
  for (int i = 0; i < mask->rank; i++) {
    const sumi_dim m = mask->dim[i], s = scores->dim[4 - mask->rank + i];
    if (m >= 0 && m != 1 && s >= 0 && m != s) return false;
  }
  return true;
}

static struct sumi_node *read_scaling(struct attention *a, struct sumi_node *user) {
  a->factor = 1;
  const bool div = sumi_qdq_is(user, "Div"), mul = sumi_qdq_is(user, "Mul");
  if ((!div && !mul) || user->version < 7) return user;
  const struct sumi_value *v = a->between[a->n_between - 1]->out[0];
  if ((div && user->in[0] != v) || !is_scalar(other_of(user, v), &a->factor)) return NULL;
  a->divide = div;
  return step(a, user);
}

static struct sumi_node *read_mask(struct attention *a, struct sumi_node *user) {
  if (!sumi_qdq_is(user, "Add") || user->version < 7) return user;
  a->mask = other_of(user, a->between[a->n_between - 1]->out[0]);
  if (!a->mask || !fits(&a->mask->info, &a->scores->out[0]->info)) return NULL;
  return step(a, user);
}

/* The parameters of a Q, and the DQ that undoes it. */
static struct sumi_node *read_pair(struct sumi_node *q, struct sumi_qdq *param) {
  struct sumi_qdq back;
  struct sumi_node *dq =
      sumi_qdq_is(q, "QuantizeLinear") && sumi_qdq_read(q, param) ? sumi_qdq_user(q->out[0]) : NULL;
  const bool pair =
      sumi_qdq_is(dq, "DequantizeLinear") && sumi_qdq_read(dq, &back) && sumi_qdq_same(param, &back);
  return pair ? dq : NULL;
}

static bool is_softmax(const struct sumi_node *node) {
  if (!sumi_qdq_is(node, "Softmax")) return false;
  const int64_t axis = sumi_attr_int(node, "axis", node->version < 13 ? 1 : -1);
  return axis == -1 || axis == 3;
}

static bool read_behind(struct attention *a) {
  static const int64_t perm[] = {0, 2, 1, 3};
  int64_t got[4];
  struct sumi_node *q = sumi_qdq_q(a->node->out[0], &a->y_param);
  struct sumi_node *transpose = q ? sumi_qdq_user(q->out[0]) : NULL;
  if (!sumi_qdq_is(transpose, "Transpose") || !read_perm(transpose, got) || !is_perm(got, perm)) return false;
  struct sumi_node *reshape = sumi_qdq_user(transpose->out[0]);
  if (!is_reshape(reshape) || reshape->in[0] != transpose->out[0]) return false;
  a->chain[0] = q, a->chain[1] = transpose, a->chain[2] = reshape;
  return true;
}

static bool match(struct sumi_node *scores, struct attention *a) {
  static const int64_t q_perm[] = {0, 2, 1, 3}, k_perm[] = {0, 2, 3, 1};
  *a = (struct attention){.scores = scores};
  if (!sumi_qdq_is(scores, "MatMul") || !read_operand(scores->in[0], q_perm, &a->q) ||
      !read_operand(scores->in[1], k_perm, &a->k))
    return false;
  struct sumi_node *user = step(a, scores), *dq = read_pair(user, &a->s_param);
  if (dq) {
    a->quantised = true;
    step(a, user);
    user = step(a, dq);
  }
  user = read_mask(a, read_scaling(a, user));
  if (!is_softmax(user)) return false;
  a->softmax = user;
  user = step(a, user);
  dq = read_pair(user, &a->p_param);
  a->node = dq ? sumi_qdq_user(dq->out[0]) : NULL;
  return sumi_qdq_is(a->node, "MatMul") && a->node->in[0] == dq->out[0] &&
         read_operand(a->node->in[1], q_perm, &a->v) && read_behind(a);
}

/* ---- the change -------------------------------------------------------------------------------------------------- */

static sumi_status set_param(struct sumi_graph *g, struct sumi_qdq *p, struct sumi_value **in, int scale,
                             struct sumi_err *err) {
  in[scale] = p->scale_value;
  in[scale + 1] = sumi_qdq_zero(g, p);
  if (!in[scale + 1]) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status set_operand(struct sumi_graph *g, struct operand *o, struct sumi_value **in, int x,
                               int shape, struct sumi_err *err) {
  in[x] = o->reshape->in[0];
  in[shape] = o->reshape->in[1];
  return set_param(g, &o->param, in, x + 1, err);
}

/* Takes out what led from the reshaped tensor to v where nobody uses it any more. */
static void drop_operand(struct sumi_graph *g, struct sumi_value *v, const struct operand *o) {
  sumi_qdq_drop_unused(g, v);
  const struct sumi_value *reshaped = o->reshape->out[0];
  if (!reshaped->n_use && !reshaped->is_output) sumi_graph_remove_node(g, o->reshape);
}

static sumi_status convert(struct sumi_graph *g, struct attention *a, struct sumi_err *err) {
  struct sumi_value *in[SUMI_QATTENTION_INPUTS] = {
      [SUMI_QATTENTION_MASK] = a->mask, [SUMI_QATTENTION_Y_SHAPE] = a->chain[2]->in[1]};
  SUMI_TRY(set_operand(g, &a->q, in, SUMI_QATTENTION_Q, SUMI_QATTENTION_Q_SHAPE, err));
  SUMI_TRY(set_operand(g, &a->k, in, SUMI_QATTENTION_K, SUMI_QATTENTION_K_SHAPE, err));
  SUMI_TRY(set_operand(g, &a->v, in, SUMI_QATTENTION_V, SUMI_QATTENTION_V_SHAPE, err));
  SUMI_TRY(set_param(g, &a->p_param, in, SUMI_QATTENTION_P_SCALE, err));
  SUMI_TRY(set_param(g, &a->y_param, in, SUMI_QATTENTION_Y_SCALE, err));
  if (a->quantised) SUMI_TRY(set_param(g, &a->s_param, in, SUMI_QATTENTION_S_SCALE, err));
  int n_in = SUMI_QATTENTION_INPUTS;
  while (!in[n_in - 1]) n_in--;
  struct sumi_value *q = a->scores->in[0], *k = a->scores->in[1], *v = a->node->in[1];
  const struct sumi_value *end = a->chain[2]->out[0];
  SUMI_TRY(sumi_node_set_float(a->node, "scale", a->factor, err));
  if (a->divide) SUMI_TRY(sumi_node_set_int(a->node, "divide", 1, err));
  a->node->out[0]->info = end->info;
  SUMI_TRY(sumi_qdq_become(g, a->node, &sumi_op_qattention, in, n_in, err));
  for (int i = a->n_between; i-- > 0;) sumi_graph_remove_node(g, a->between[i]);
  drop_operand(g, q, &a->q);
  drop_operand(g, k, &a->k);
  drop_operand(g, v, &a->v);
  sumi_qdq_take_over(g, a->node, a->chain, 3);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct attention a;
    if (!sumi_node_removed(g->node[i]) && match(g->node[i], &a)) SUMI_TRY(convert(g, &a, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_attention = {
    .name = "qdq-attention",
    .what = "makes attention between 8-bit tensors one operator",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

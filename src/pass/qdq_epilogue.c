/* qdq-epilogue: what follows an integer product on dequantised values, up to the next QuantizeLinear, becomes a further
 * stage of sumi.QConv or sumi.QMatMul:
 *   DequantizeLinear -> Add of a constant a channel [-> a function] -> QuantizeLinear               stage c
 *   DequantizeLinear -> Add of another dequantised tensor [-> Relu or Clip] -> QuantizeLinear       stage r
 * Only where nobody else uses what lies in between, and the other tensor has the same shape. Of two products that are
 * added, the later one takes the other as its residual. */
#include "op/qdot.h"
#include "pass/function.h"

static bool is_qdot(const struct sumi_node *node) {
  return node && (node->op == &sumi_op_qconv || node->op == &sumi_op_qmatmul);
}

static bool has(const struct sumi_node *node, int i) { return sumi_qdq_input(node, i) != NULL; }

/* A product's output on its way to a stage. */
struct tail {
  struct sumi_node *node, *dq, *add, *q;
  struct sumi_value *other;
  struct sumi_function f;
  struct sumi_qdq to; /* q's */
};

/* From the product to the other operand of the Add. */
static bool read_add(struct sumi_node *node, struct tail *t) {
  *t = (struct tail){.node = node};
  struct sumi_qdq p;
  t->dq = sumi_qdq_user(node->out[0]);
  if (!sumi_qdq_is(t->dq, "DequantizeLinear") || !sumi_qdq_read(t->dq, &p)) return false;
  t->add = sumi_qdq_user(t->dq->out[0]);
  if (!sumi_qdq_is(t->add, "Add") || t->add->version < 7 || t->add->in[0] == t->add->in[1]) return false;
  t->other = t->add->in[t->add->in[0] == t->dq->out[0]];
  return t->other != NULL;
}

/* The dequantised values are what the product quantised them to: the parameters are the same. */
static bool undoes(const struct tail *t) {
  const struct sumi_node *node = t->node;
  const int scale = has(node, SUMI_QDOT_C_SCALE) ? SUMI_QDOT_C_SCALE : SUMI_QDOT_Y_SCALE;
  const struct sumi_tensor *s = sumi_qdq_constant(node->in[scale]),
                           *z = sumi_qdq_constant(node->in[scale + 1]);
  struct sumi_qdq p;
  return s && z && sumi_qdq_read(t->dq, &p) && p.scale == *(const float *)s->data && p.dtype == z->dtype &&
         p.zero == sumi_get_i64(z->dtype, z->data, 0);
}

static bool read_behind(struct tail *t, bool any) {
  const struct sumi_value *v = t->add->out[0];
  if (sumi_function_match(v, &t->f)) {
    if ((!any && !sumi_function_is_clamp(&t->f)) || t->f.bias) return false;
    v = t->f.node[t->f.n_node - 1]->out[0];
  } else {
    t->f = (struct sumi_function){.name = ""};
  }
  t->q = sumi_qdq_q(v, &t->to);
  return t->q != NULL;
}

static bool same_shape(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->rank < 0 || a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] == SUMI_DIM_UNKNOWN || a->dim[i] != b->dim[i]) return false;
  return true;
}

/* Sets inputs [first, first + n) and takes the nodes up to q out. */
static sumi_status add_stage(struct sumi_graph *g, struct tail *t, int first, struct sumi_value *const *in,
                             int n, const char *prefix, struct sumi_err *err) {
  struct sumi_node *node = t->node, *chain[SUMI_FUNCTION_NODES + 3];
  int n_chain = 0;
  while (node->n_in < first + n)
    if (!sumi_node_add_input(node, NULL)) SUMI_FAIL_MEMORY(err);
  for (int i = 0; i < n; i++) sumi_node_set_input(node, first + i, in[i]);
  SUMI_TRY(sumi_function_set(node, prefix, &t->f, err));
  chain[n_chain++] = t->dq;
  chain[n_chain++] = t->add;
  for (int i = 0; i < t->f.n_node; i++) chain[n_chain++] = t->f.node[i];
  chain[n_chain++] = t->q;
  sumi_qdq_take_over(g, node, chain, n_chain);
  sumi_qdq_drop_unused(g, t->other);
  return SUMI_OK;
}

/* ---- stage c -------------------------------------------------------------------------------------------------------- */

static int64_t rows_of(const struct sumi_node *node) {
  const struct sumi_tensor *w = sumi_qdq_constant(node->in[SUMI_QDOT_W]);
  if (!w) return -1;
  return w->dim[node->op == &sumi_op_qconv || sumi_attr_int(node, "transB", 0) ? 0 : 1];
}

/* A constant that broadcasts to one figure a channel. */
static const struct sumi_tensor *row_constant(const struct tail *t, int64_t rows) {
  const struct sumi_tensor *c = sumi_qdq_constant(t->other);
  const int rank = t->node->out[0]->info.rank;
  if (!c || c->dtype != SUMI_FLOAT32 || rank < 0 || c->rank > rank) return NULL;
  const int64_t n = sumi_tensor_count(c);
  const int axis = c->rank - (t->node->op == &sumi_op_qconv ? rank - 1 : 1);
  return n == 1 || (n == rows && axis >= 0 && c->dim[axis] == rows) ? c : NULL;
}

static sumi_status try_constant(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  struct tail t;
  if (has(node, SUMI_QDOT_C) || has(node, SUMI_QDOT_R) || !has(node, SUMI_QDOT_Y_SCALE) ||
      !read_add(node, &t) || !undoes(&t) || !read_behind(&t, true))
    return SUMI_OK;
  const int64_t rows = rows_of(node);
  const struct sumi_tensor *c = row_constant(&t, rows);
  if (!c) return SUMI_OK;
  struct sumi_value *in[3] = {t.other, t.to.scale_value, sumi_qdq_zero(g, &t.to)};
  if (!in[2]) SUMI_FAIL_MEMORY(err);
  if (c->rank != 1 || c->dim[0] != rows) {
    const struct sumi_tensor row = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 1, .dim = {rows}};
    void *data;
    in[0] = sumi_qdq_new_constant(g, &row, &data, err);
    if (!in[0]) SUMI_FAIL_MEMORY(err);
    for (int64_t m = 0; m < rows; m++)
      ((float *)data)[m] = ((const float *)c->data)[sumi_tensor_count(c) == 1 ? 0 : m];
  }
  return add_stage(g, &t, SUMI_QDOT_C, in, 3, "c_", err);
}

/* ---- stage r -------------------------------------------------------------------------------------------------------- */

static bool read_residual(struct sumi_node *node, struct tail *t, struct sumi_qdq *r) {
  return is_qdot(node) && (has(node, SUMI_QDOT_Y_SCALE) || has(node, SUMI_QDOT_C_SCALE)) &&
         !has(node, SUMI_QDOT_R) && read_add(node, t) && undoes(t) && sumi_qdq_dq(t->other, r) &&
         same_shape(&node->out[0]->info, &t->other->info) && read_behind(t, false);
}

static sumi_status try_residual(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  struct tail t, other;
  struct sumi_qdq r, unused;
  if (!read_residual(node, &t, &r)) return SUMI_OK;
  struct sumi_value *value = t.other->producer->in[0];
  if (value->producer && value->producer->id > node->id && read_residual(value->producer, &other, &unused))
    return SUMI_OK; /* the later one will take this one */
  struct sumi_value *const in[] = {value, r.scale_value, sumi_qdq_zero(g, &r), t.to.scale_value,
                                   sumi_qdq_zero(g, &t.to)};
  if (!in[2] || !in[4]) SUMI_FAIL_MEMORY(err);
  return add_stage(g, &t, SUMI_QDOT_R, in, 5, "r_", err);
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node) || !is_qdot(node)) continue;
    SUMI_TRY(try_constant(g, node, err));
    SUMI_TRY(try_residual(g, node, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_epilogue = {
    .name = "qdq-epilogue",
    .what = "makes an added constant, a function and a residual part of the integer product before them",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

/* qdq-table: DequantizeLinear -> element-wise operators with constant scalars -> QuantizeLinear is a function of one 8-bit
 * value: one table of 256 results (sumi.QTable), computed here with the operators' own reference functions. The operators
 * may form any graph whose only varying input is the dequantised value, as x * Sigmoid(x) does; nobody else may use
 * what lies in between. Also a QuantizeLinear right behind a DequantizeLinear with other parameters. */
#include <string.h>

#include "pass/qdq.h"

enum { MAX_NODES = 16, MAX_INPUTS = 4, VALUES = 256 };

/* Element-wise operators that take float32 and nothing else that varies. */
static bool is_element_wise(const struct sumi_node *node) {
  static const char *const names[] = {"Abs",
                                      "Add",
                                      "Celu",
                                      "Ceil",
                                      "Clip",
                                      "Div",
                                      "Elu",
                                      "Erf",
                                      "Exp",
                                      "Floor",
                                      "Gelu",
                                      "HardSigmoid",
                                      "HardSwish",
                                      "LeakyRelu",
                                      "Log",
                                      "Max",
                                      "Min",
                                      "Mish",
                                      "Mul",
                                      "Neg",
                                      "PRelu",
                                      "Pow",
                                      "Reciprocal",
                                      "Relu",
                                      "Round",
                                      "Selu",
                                      "Sigmoid",
                                      "Softplus",
                                      "Softsign",
                                      "Sqrt",
                                      "Sub",
                                      "Swish",
                                      "Tanh",
                                      "ThresholdedRelu",
                                      "com.microsoft.FastGelu",
                                      "com.microsoft.Gelu",
                                      "com.microsoft.QuickGelu"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (sumi_qdq_is(node, names[i]))
      return node->version >= 7 || node->n_in == 1 || sumi_qdq_is(node, "Clip");
  return false;
}

/* The nodes between a DQ and a Q, in the order in which they run. */
struct cone {
  struct sumi_node *dq, *q;
  struct sumi_node *node[MAX_NODES];
  int n_node;
  struct sumi_qdq from, to;
};

static int index_of(const struct cone *c, const struct sumi_node *node) {
  for (int i = 0; i < c->n_node; i++)
    if (c->node[i] == node) return i;
  return -1;
}

/* Collects what makes v, v's own node last; depth bounds the recursion. */
static bool collect(struct cone *c, const struct sumi_value *v, int depth) {
  const struct sumi_tensor *t = sumi_qdq_constant(v);
  if (t) return t->dtype == SUMI_FLOAT32 && sumi_tensor_count(t) == 1;
  struct sumi_node *node = v->producer;
  if (!node || depth == MAX_NODES) return false;
  if (sumi_qdq_is(node, "DequantizeLinear")) {
    if (c->dq && c->dq->in[0] != node->in[0]) return false;
    struct sumi_qdq p;
    if (!sumi_qdq_read(node, &p) || (c->dq && !sumi_qdq_same(&p, &c->from))) return false;
    c->dq = node;
    c->from = p;
    return true;
  }
  if (index_of(c, node) >= 0) return true;
  if (!is_element_wise(node) || node->n_out != 1 || node->n_in > MAX_INPUTS || v->is_output ||
      v->info.dtype != SUMI_FLOAT32)
    return false;
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i] && !collect(c, node->in[i], depth + 1)) return false;
  if (c->n_node == MAX_NODES) return false;
  c->node[c->n_node++] = node;
  return true;
}

/* Nobody outside uses what the nodes put out. */
static bool is_closed(const struct cone *c) {
  for (int i = 0; i < c->n_node; i++)
    for (const struct sumi_use *u = c->node[i]->out[0]->first_use; u; u = u->next)
      if (!u->node || (u->node != c->q && index_of(c, u->node) < 0)) return false;
  return true;
}

/* The whole has the shape of the dequantised value: constants of a higher rank would add dimensions. */
static bool keeps_shape(const struct cone *c) {
  const int rank = c->dq->out[0]->info.rank;
  for (int i = 0; i < c->n_node; i++)
    for (int k = 0; k < c->node[i]->n_in; k++) {
      const struct sumi_tensor *t = sumi_qdq_constant(c->node[i]->in[k]);
      if (t && t->rank > 0 && (rank < 0 || t->rank > rank)) return false;
    }
  return true;
}

static bool match(struct sumi_node *q, struct cone *c) {
  *c = (struct cone){.q = q};
  return q->in[0] && q->out[0] && q->in[0]->info.dtype == SUMI_FLOAT32 && sumi_qdq_read(q, &c->to) &&
         collect(c, q->in[0], 0) && c->dq && is_closed(c) && keeps_shape(c);
}

/* ---- computing ------------------------------------------------------------------------------------------------------ */

static sumi_status run_node(const struct sumi_node *node, const struct sumi_tensor *const *in,
                            struct sumi_tensor *out, struct sumi_arena *arena, struct sumi_err *err) {
  struct sumi_tensor *const outs[] = {out};
  struct sumi_call call = {.node = node, .n_in = node->n_in, .n_out = 1, .in = in, .out = outs, .err = err};
  size_t bytes;
  SUMI_TRY(sumi_call_scratch(&call, &bytes));
  if (bytes && !(call.scratch = sumi_arena_alloc(arena, bytes))) SUMI_FAIL_MEMORY(err);
  return node->op->ref(&call);
}

/* Runs node on vectors of 256 values: of[i] is what node i of the cone put out. */
static sumi_status run_in_cone(const struct cone *c, const struct sumi_node *node,
                               const struct sumi_tensor *x, const struct sumi_tensor *real,
                               const struct sumi_tensor *of, struct sumi_tensor *out,
                               struct sumi_arena *arena, struct sumi_err *err) {
  const struct sumi_tensor *in[MAX_INPUTS] = {NULL};
  struct sumi_tensor scalar[MAX_INPUTS];
  for (int i = 0; i < node->n_in && i < MAX_INPUTS; i++) {
    const struct sumi_value *v = node->in[i];
    if (!v) continue;
    if (sumi_qdq_constant(v)) {
      scalar[i] = *v->constant;
      scalar[i].rank = 0;
      in[i] = &scalar[i];
    } else if (node == c->dq) {
      in[i] = x;
    } else {
      const int k = index_of(c, v->producer);
      in[i] = k < 0 ? real : &of[k];
    }
  }
  return run_node(node, in, out, arena, err);
}

static struct sumi_tensor vector(sumi_dtype d, void *data) {
  return (struct sumi_tensor){.kind = SUMI_TENSOR, .dtype = d, .rank = 1, .dim = {VALUES}, .data = data};
}

static sumi_status compute(const struct cone *c, uint8_t *table, struct sumi_arena *arena,
                           struct sumi_err *err) {
  uint8_t bytes[VALUES];
  for (int i = 0; i < VALUES; i++) bytes[i] = (uint8_t)i;
  float *data = SUMI_NEW_ARRAY(arena, (size_t)(MAX_NODES + 1) * VALUES, float);
  if (!data) SUMI_FAIL_MEMORY(err);
  const struct sumi_tensor x = vector(c->from.dtype, bytes);
  struct sumi_tensor real = vector(SUMI_FLOAT32, data), of[MAX_NODES], y = vector(c->to.dtype, table);
  for (int i = 0; i < c->n_node; i++) of[i] = vector(SUMI_FLOAT32, data + (i + 1) * VALUES);
  SUMI_TRY(run_in_cone(c, c->dq, &x, NULL, NULL, &real, arena, err));
  for (int i = 0; i < c->n_node; i++)
    SUMI_TRY(run_in_cone(c, c->node[i], NULL, &real, of, &of[i], arena, err));
  return run_in_cone(c, c->q, NULL, &real, of, &y, arena, err);
}

static sumi_status convert(struct sumi_graph *g, struct cone *c, struct sumi_err *err) {
  const struct sumi_tensor shape = vector(c->to.dtype, NULL);
  void *table;
  struct sumi_value *constant = sumi_qdq_new_constant(g, &shape, &table, err);
  if (!constant) SUMI_FAIL_MEMORY(err);
  struct sumi_arena arena;
  sumi_arena_init(&arena, g->allocator);
  const sumi_status status = compute(c, table, &arena, err);
  sumi_arena_fini(&arena);
  SUMI_TRY(status);
  struct sumi_value *x = c->dq->in[0], *real = c->dq->out[0];
  struct sumi_value *const in[] = {x, constant};
  SUMI_TRY(sumi_qdq_become(g, c->q, &sumi_op_qtable, in, 2, err));
  for (int i = c->n_node; i-- > 0;) sumi_graph_remove_node(g, c->node[i]);
  sumi_qdq_drop_unused(g, real);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct cone c;
    if (!sumi_node_removed(g->node[i]) && sumi_qdq_is(g->node[i], "QuantizeLinear") && match(g->node[i], &c))
      SUMI_TRY(convert(g, &c, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_table = {
    .name = "qdq-table",
    .what = "looks functions of one 8-bit value up in a table",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

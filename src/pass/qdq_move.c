/* qdq-move: operators that only move values, or choose the largest, work on the 8-bit values themselves: DequantizeLinear
 * moves behind them, where it is undone by a QuantizeLinear with the same parameters or taken by an integer product. A
 * QuantizeLinear behind a reshape or transposition moves before it. All of this is exact. */
#include "pass/qdq.h"

enum { VARIADIC = -1 };

/* How an operator moves its inputs [0, n_data); of other inputs only the types matter. */
struct mover {
  const char *op;
  int n_data;      /* VARIADIC = all */
  bool only_moves; /* every element of the input becomes one of the output: rounding may come first */
};

static const struct mover movers[] = {{"Reshape", 1, true},
                                      {"Flatten", 1, true},
                                      {"Squeeze", 1, true},
                                      {"Unsqueeze", 1, true},
                                      {"Transpose", 1, true},
                                      {"DepthToSpace", 1, true},
                                      {"SpaceToDepth", 1, true},
                                      {"MaxPool", 1},
                                      {"Slice", 1},
                                      {"Gather", 1},
                                      {"Split", 1},
                                      {"Expand", 1},
                                      {"Tile", 1},
                                      {"Concat", VARIADIC},
                                      {"Pad", 1},
                                      {"Resize", 1}};

static const struct mover *mover_of(const struct sumi_node *node) {
  for (size_t i = 0; i < sizeof movers / sizeof *movers; i++)
    if (sumi_qdq_is(node, movers[i].op)) return &movers[i];
  return NULL;
}

static int n_data(const struct mover *m, const struct sumi_node *node) {
  return m->n_data == VARIADIC ? node->n_in : m->n_data;
}

/* Resize takes neighbours as they are and nothing from outside. */
static bool only_copies(const struct sumi_node *node) {
  if (!sumi_qdq_is(node, "Resize")) return true;
  return sumi_attr_is(node, "mode", "nearest", "nearest") &&
         !sumi_attr_is(node, "coordinate_transformation_mode", "half_pixel", "tf_crop_and_resize");
}

/* A Pad with a constant that is 0 or none: the zero point in its place. */
static bool pads_zero(const struct sumi_node *node) {
  if (!sumi_qdq_is(node, "Pad")) return true;
  if (!sumi_attr_is(node, "mode", "constant", "constant"))
    return node->version >= 11 && !sumi_qdq_input(node, 2);
  if (node->version < 11) return false;
  if (!sumi_qdq_input(node, 2)) return true;
  const struct sumi_tensor *t = sumi_qdq_constant(node->in[2]);
  return t && sumi_tensor_count(t) == 1 && sumi_get_f64(t->dtype, t->data, 0) == 0;
}

/* A user of v that takes 8-bit values of parameters p as well: their Q, a product that will be integer, another move. */
static bool takes_bytes(const struct sumi_use *u, const struct sumi_qdq *p) {
  struct sumi_qdq q;
  if (!u->node) return false;
  if (sumi_qdq_is(u->node, "QuantizeLinear"))
    return u->index == 0 && sumi_qdq_read(u->node, &q) && sumi_qdq_same(&q, p);
  return mover_of(u->node) || sumi_qdq_is(u->node, "Conv") || sumi_qdq_is(u->node, "MatMul") ||
         sumi_qdq_is(u->node, "Gemm");
}

static bool stays_quantised(const struct sumi_value *v, const struct sumi_qdq *p) {
  for (const struct sumi_use *u = v->first_use; u; u = u->next)
    if (!takes_bytes(u, p)) return false;
  return v->n_use > 0;
}

static bool match(const struct mover *m, const struct sumi_node *node, struct sumi_qdq *p) {
  const int n = n_data(m, node);
  if (node->n_in < n || !n || !only_copies(node) || !pads_zero(node)) return false;
  for (int i = 0; i < n; i++) {
    struct sumi_qdq q;
    if (!sumi_qdq_dq(node->in[i], &q) || (i && !sumi_qdq_same(&q, p))) return false;
    *p = q;
  }
  if (!sumi_dtype_in(p->dtype, node->op->in[0].dtypes)) return false;
  if (sumi_qdq_is(node, "MaxPool") && node->n_out > 1 && node->out[1]) return false; /* indices */
  if (sumi_qdq_is(node, "Gather") && sumi_qdq_constant(node->in[0]->producer->in[0]))
    return true; /* a table */
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && !stays_quantised(node->out[i], p)) return false;
  return true;
}

/* v becomes 8-bit; its users get it dequantised. */
static sumi_status dequantise_behind(struct sumi_graph *g, struct sumi_value *v, const struct sumi_node *dq,
                                     struct sumi_qdq *p, struct sumi_err *err) {
  struct sumi_value *real = sumi_graph_add_value(g, NULL), *zero = sumi_qdq_zero(g, p);
  if (!real || !zero) SUMI_FAIL_MEMORY(err);
  real->info = v->info;
  v->info.dtype = p->dtype;
  sumi_graph_replace_uses(g, v, real);
  struct sumi_value *const in[] = {v, p->scale_value, zero};
  if (!sumi_graph_add_node(g, NULL, dq->op, dq->op_name, dq->version, in, 3, &real, 1)) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status convert(struct sumi_graph *g, const struct mover *m, struct sumi_node *node,
                           struct sumi_qdq *p, struct sumi_err *err) {
  const struct sumi_node *dq = node->in[0]->producer;
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i]) SUMI_TRY(dequantise_behind(g, node->out[i], dq, p, err));
  for (int i = 0, n = n_data(m, node); i < n; i++) {
    struct sumi_value *real = node->in[i];
    sumi_node_set_input(node, i, real->producer->in[0]);
    sumi_qdq_drop_unused(g, real);
  }
  if (!sumi_qdq_is(node, "Pad") || !sumi_attr_is(node, "mode", "constant", "constant")) return SUMI_OK;
  struct sumi_value *zero = sumi_qdq_zero(g, p);
  if (!zero || (node->n_in < 3 && !sumi_node_add_input(node, NULL))) SUMI_FAIL_MEMORY(err);
  sumi_node_set_input(node, 2, zero);
  return SUMI_OK;
}

/* A Q behind something that only moves: first Q, then the move. */
static void climb(struct sumi_graph *g, struct sumi_node *q) {
  struct sumi_qdq p;
  if (!sumi_qdq_read(q, &p)) return;
  for (;;) {
    struct sumi_value *moved = q->in[0], *bytes = q->out[0];
    struct sumi_node *move = moved->producer;
    const struct mover *m = move ? mover_of(move) : NULL;
    if (!m || !m->only_moves || move->n_out != 1 || sumi_qdq_user(moved) != q || !move->in[0] ||
        bytes->is_output || !sumi_dtype_in(p.dtype, move->op->in[0].dtypes) ||
        move->in[0]->info.dtype != SUMI_FLOAT32)
      return;
    sumi_node_set_input(q, 0, move->in[0]);
    sumi_graph_replace_uses(g, bytes, moved);
    sumi_node_set_input(move, 0, bytes);
    moved->info.dtype = p.dtype;
    bytes->info = q->in[0]->info;
    bytes->info.dtype = p.dtype;
  }
}

/* Q of what a DQ with the same parameters made: the values before. */
static void cancel(struct sumi_graph *g, struct sumi_node *q) {
  struct sumi_qdq to, from;
  const struct sumi_node *dq = sumi_qdq_read(q, &to) ? sumi_qdq_dq(q->in[0], &from) : NULL;
  if (!dq || !sumi_qdq_same(&to, &from)) return;
  struct sumi_value *real = q->in[0], *x = dq->in[0];
  if (q->out[0]->is_output && (x->is_input || x->is_output || x->constant))
    return; /* names that are promised */
  sumi_graph_replace_uses(g, q->out[0], x);
  sumi_graph_remove_node(g, q);
  sumi_qdq_drop_unused(g, real);
}

/* Of several Q of one value with the same parameters one is enough. */
static void merge(struct sumi_graph *g, struct sumi_node *q) {
  struct sumi_qdq p, other;
  if (!sumi_qdq_read(q, &p)) return;
  for (struct sumi_use *u = q->in[0]->first_use, *next; u; u = next) {
    next = u->next;
    struct sumi_node *twin = u->node;
    if (!twin || twin == q || !sumi_qdq_is(twin, "QuantizeLinear") || u->index != 0 ||
        twin->out[0]->is_output || !sumi_qdq_read(twin, &other) || !sumi_qdq_same(&p, &other))
      continue;
    sumi_graph_replace_uses(g, twin->out[0], q->out[0]);
    sumi_graph_remove_node(g, twin);
  }
}

static void each_q(struct sumi_graph *g, void (*f)(struct sumi_graph *g, struct sumi_node *q)) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (!sumi_node_removed(node) && sumi_qdq_is(node, "QuantizeLinear") && node->in[0] && node->out[0])
      f(g, node);
  }
}

/* The shape of dequantised values is that of the bytes. */
static void read_shapes_of_bytes(struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node) || (!sumi_qdq_is(node, "Shape") && !sumi_qdq_is(node, "Size")) ||
        !node->in[0])
      continue;
    struct sumi_value *real = node->in[0];
    if (!sumi_qdq_is(real->producer, "DequantizeLinear") || !real->producer->in[0]) continue;
    sumi_node_set_input(node, 0, real->producer->in[0]);
    sumi_qdq_drop_unused(g, real);
  }
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  read_shapes_of_bytes(g);
  each_q(g, merge);
  each_q(g, climb);
  for (size_t i = 0, n = g->n_node; i < n; i++) {
    struct sumi_node *node = g->node[i];
    const struct mover *m = sumi_node_removed(node) ? NULL : mover_of(node);
    struct sumi_qdq p;
    if (m && match(m, node, &p)) SUMI_TRY(convert(g, m, node, &p, err));
  }
  each_q(g, cancel);
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_move = {
    .name = "qdq-move",
    .what = "moves 8-bit values instead of dequantised ones",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

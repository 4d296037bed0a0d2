/* widen-short: nodes over float16 and bfloat16 for which device cpu has float32 kernels become float32 nodes: constants are
 * widened here, other inputs and the results by Cast. Where one such node feeds another, the two Casts in between are left
 * out, so the value is not rounded on its way. Nodes that only move elements follow where that costs no Cast. Types must be
 * known. */
#include "base/size.h"
#include "op/ops.h"
#include "pass/pass.h"

struct widening {
  struct sumi_graph *g;
  size_t n_node; /* nodes from here on are this pass's */
  struct sumi_err *err;
};

static bool is_short(const struct sumi_value *v) {
  return v && v->info.kind == SUMI_TENSOR &&
         sumi_dtype_in(v->info.dtype, SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16));
}

/* The port of input or output i: the last one takes all that follow. */
static const struct sumi_port *port_of(const struct sumi_port *ports, int i) {
  for (; i > 0 && ports[1].name; i--) ports++;
  return ports;
}

static bool is_constant(const struct sumi_value *v) { return v->constant && !v->is_input; }

static bool is_own_cast(const struct widening *w, const struct sumi_node *node) {
  return node && !sumi_node_removed(node) && node->id >= w->n_node && node->op == &sumi_op_cast;
}

/* Whether v is there in float32 already, or costs nothing at run time. */
static bool is_free(const struct widening *w, const struct sumi_value *v) {
  return is_constant(v) || is_own_cast(w, v->producer);
}

/* A node of which every short input and output has a port whose type may be float32, and follows an input. */
static bool takes(const struct widening *w, const struct sumi_node *node) {
  const struct sumi_op *op = node->op;
  const bool moves = op->flags & (SUMI_OP_VIEW | SUMI_OP_MOVES);
  if ((!op->lower && !moves) || node->n_captured) return false;
  bool letter[128] = {false}, any = false;
  for (int i = 0; i < node->n_in; i++) {
    if (node->in[i] && node->in[i]->info.dtype == SUMI_UNDEFINED) return false;
    if (!node->in[i] || !is_short(node->in[i])) continue;
    const struct sumi_port *port = port_of(op->in, i);
    if (!port->var || !(port->dtypes & SUMI_BIT(SUMI_FLOAT32))) return false;
    if (moves && !is_free(w, node->in[i])) return false;
    letter[port->var & 127] = any = true;
  }
  for (int i = 0; any && i < node->n_out; i++) {
    if (!node->out[i]) continue;
    const char var = port_of(op->out, i)->var;
    if (is_short(node->out[i]) ? !var || !letter[var & 127] : node->out[i]->info.dtype == SUMI_UNDEFINED)
      return false;
  }
  return any;
}

static sumi_status add_cast(struct widening *w, struct sumi_value *from, struct sumi_value *to) {
  struct sumi_node *cast = sumi_graph_add_node(w->g, NULL, &sumi_op_cast, "Cast", 13, &from, 1, &to, 1);
  if (!cast) SUMI_FAIL_MEMORY(w->err);
  return sumi_node_set_int(cast, "to", sumi_dtype_to_onnx(to->info.dtype), w->err);
}

static sumi_status widen_constant(struct widening *w, const struct sumi_value *v, struct sumi_value **out) {
  struct sumi_tensor t = *v->constant;
  const int64_t n = sumi_tensor_count(&t);
  size_t bytes;
  if (!sumi_size_mul((size_t)n, sizeof(float), &bytes))
    SUMI_FAIL(w->err, SUMI_E_LIMIT, "a constant is too large");
  struct sumi_blob *blob = sumi_blob_new(w->g->allocator, SUMI_MAX(bytes, 1));
  if (!blob) SUMI_FAIL_MEMORY(w->err);
  sumi_to_f32(t.dtype, t.data, 0, n, sumi_blob_bytes(blob));
  t.dtype = SUMI_FLOAT32;
  t.data = sumi_blob_bytes(blob);
  *out = sumi_graph_add_constant(w->g, NULL, &t, blob);
  if (!*out) SUMI_FAIL_MEMORY(w->err);
  return SUMI_OK;
}

/* The float32 of v. */
static sumi_status widened(struct widening *w, struct sumi_value *v, struct sumi_value **out) {
  if (is_constant(v)) return widen_constant(w, v, out);
  if (is_own_cast(w, v->producer)) {
    *out = v->producer->in[0];
    return SUMI_OK;
  }
  for (const struct sumi_use *use = v->first_use; use; use = use->next)
    if (is_own_cast(w, use->node)) {
      *out = use->node->out[0];
      return SUMI_OK;
    }
  if (!(*out = sumi_graph_add_value(w->g, NULL))) SUMI_FAIL_MEMORY(w->err);
  (*out)->info = v->info;
  (*out)->info.dtype = SUMI_FLOAT32;
  return add_cast(w, v, *out);
}

/* v becomes float32; who used it uses a Cast of it. */
static sumi_status narrow_behind(struct widening *w, struct sumi_value *v) {
  struct sumi_value *narrow = sumi_graph_add_value(w->g, NULL);
  if (!narrow) SUMI_FAIL_MEMORY(w->err);
  narrow->info = v->info;
  v->info.dtype = SUMI_FLOAT32;
  sumi_graph_replace_uses(w->g, v, narrow);
  return add_cast(w, v, narrow);
}

static sumi_status widen(struct widening *w, struct sumi_node *node) {
  for (int i = 0; i < node->n_in; i++) {
    struct sumi_value *wide;
    if (!node->in[i] || !is_short(node->in[i])) continue;
    SUMI_TRY(widened(w, node->in[i], &wide));
    sumi_node_set_input(node, i, wide);
  }
  for (int i = 0; i < node->n_out; i++)
    if (is_short(node->out[i])) SUMI_TRY(narrow_behind(w, node->out[i]));
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  struct widening w = {g, g->n_node, err};
  for (size_t i = 0; i < w.n_node; i++)
    if (takes(&w, g->node[i])) SUMI_TRY(widen(&w, g->node[i]));
  for (size_t i = w.n_node; i < g->n_node; i++)
    if (!g->node[i]->out[0]->n_use) sumi_graph_remove_node(g, g->node[i]);
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_widen_short = {
    .name = "widen-short",
    .what = "computes float16 and bfloat16 in float32 where there are kernels",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

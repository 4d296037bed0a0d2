/* expand-gradient: puts the backward computation in the place of every Gradient (ai.onnx.preview.training). Where an input is
 * another value than the one that xs or zs names, what lies between the names and y is computed once more from the inputs. */
#include "base/size.h"
#include "op/ops.h"
#include "pass/gradient.h"
#include "pass/pass.h"

static sumi_status find(struct sumi_graph *g, const char *name, struct sumi_value **out,
                        struct sumi_err *err) {
  *out = sumi_graph_find_value(g, name);
  if (!*out) SUMI_FAIL(err, SUMI_E_FORMAT, "there is no value '%.128s' in the graph", name);
  return SUMI_OK;
}

/* The values named in xs, then those in zs. */
static sumi_status named(const struct sumi_node *node, struct sumi_value **value, struct sumi_err *err) {
  static const char *const lists[] = {"xs", "zs"};
  for (size_t i = 0; i < SUMI_COUNT(lists); i++) {
    const struct sumi_attr *a = sumi_node_attr(node, lists[i]);
    for (size_t k = 0; a && k < a->n; k++) SUMI_TRY(find(node->graph, a->u.strings[k].data, value++, err));
  }
  return SUMI_OK;
}

/* A copy of node over the values that stand for its inputs; as[] then has its outputs'. */
static sumi_status copy_node(const struct sumi_node *node, struct sumi_value **as, struct sumi_arena *arena,
                             struct sumi_err *err) {
  struct sumi_graph *g = node->graph;
  struct sumi_value **in = SUMI_NEW_ARRAY(arena, (size_t)node->n_in, struct sumi_value *);
  struct sumi_value **out = SUMI_NEW_ARRAY(arena, (size_t)node->n_out, struct sumi_value *);
  if (!in || !out) SUMI_FAIL_MEMORY(err);
  for (int i = 0; i < node->n_in; i++) in[i] = node->in[i] ? as[node->in[i]->id] : NULL;
  for (int i = 0; i < node->n_out; i++) {
    if (!node->out[i]) continue;
    out[i] = sumi_graph_add_value(g, NULL);
    if (!out[i]) SUMI_FAIL_MEMORY(err);
    as[node->out[i]->id] = out[i];
  }
  struct sumi_node *copy =
      sumi_graph_add_node(g, NULL, node->op, node->op_name, node->version, in, node->n_in, out, node->n_out);
  if (!copy) SUMI_FAIL_MEMORY(err);
  copy->n_captured = node->n_captured;
  return sumi_node_copy_attrs(node, copy, err);
}

/* What *y is when the values name[n] are to[n]: the nodes between them are copied. */
static sumi_status substitute(struct sumi_graph *g, struct sumi_value *const *name,
                              struct sumi_value *const *to, int n, struct sumi_value **y,
                              struct sumi_arena *arena, struct sumi_err *err) {
  const size_t n_value = g->n_value, n_node = g->n_node;
  struct sumi_value **as = SUMI_NEW_ARRAY(arena, n_value, struct sumi_value *);
  bool *needed = SUMI_NEW_ARRAY(arena, n_value, bool), *given = SUMI_NEW_ARRAY(arena, n_value, bool);
  if (!as || !needed || !given) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n_value; i++) as[i] = g->value[i];
  for (int i = 0; i < n; i++) {
    as[name[i]->id] = to[i];
    given[name[i]->id] = true;
  }
  needed[(*y)->id] = true;
  for (size_t i = n_node; i-- > 0;) {
    const struct sumi_node *node = g->node[i];
    bool any = false;
    for (int k = 0; k < node->n_out; k++)
      any = any || (node->out[k] && needed[node->out[k]->id] && !given[node->out[k]->id]);
    for (int k = 0; k < node->n_in && any; k++)
      if (node->in[k]) needed[node->in[k]->id] = true;
  }
  for (size_t i = 0; i < n_node; i++) {
    const struct sumi_node *node = g->node[i];
    bool other = false, want = false;
    for (int k = 0; k < node->n_in; k++) other = other || (node->in[k] && as[node->in[k]->id] != node->in[k]);
    for (int k = 0; k < node->n_out; k++)
      want = want || (node->out[k] && needed[node->out[k]->id] && !given[node->out[k]->id]);
    if (other && want) SUMI_TRY(copy_node(node, as, arena, err));
  }
  *y = as[(*y)->id];
  return SUMI_OK;
}

/* Its outputs become copies of dx. */
static sumi_status replace(struct sumi_graph *g, struct sumi_node *node, struct sumi_value *const *dx,
                           struct sumi_err *err) {
  const int n = node->n_out;
  struct sumi_value **out = node->out;
  sumi_graph_remove_node(g, node);
  for (int i = 0; i < n; i++)
    if (out[i] && !sumi_graph_add_node(g, NULL, &sumi_op_identity, "Identity", SUMI_NEWEST_OPSET, &dx[i], 1,
                                       &out[i], 1))
      SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static void ignore(void *user, const struct sumi_node *node, const struct sumi_err *err) {
  (void)user, (void)node, (void)err;
}

static sumi_status expand_in(struct sumi_graph *g, struct sumi_node *node, struct sumi_arena *arena,
                             struct sumi_err *err) {
  const struct sumi_attr *xs = sumi_node_attr(node, "xs");
  struct sumi_value *y, **name = SUMI_NEW_ARRAY(arena, (size_t)node->n_in, struct sumi_value *),
                        **dx = SUMI_NEW_ARRAY(arena, (size_t)node->n_in, struct sumi_value *);
  const struct sumi_attr *zs = sumi_node_attr(node, "zs");
  if (!name || !dx) SUMI_FAIL_MEMORY(err);
  if (!xs || (size_t)node->n_in != xs->n + (zs ? zs->n : 0) || (size_t)node->n_out > xs->n)
    SUMI_FAIL(err, SUMI_E_ARG, "its inputs and outputs are not those that xs and zs name");
  SUMI_TRY(named(node, name, err));
  SUMI_TRY(find(g, sumi_attr_string(node, "y", ""), &y, err));
  if (y->producer == node) SUMI_FAIL(err, SUMI_E_FORMAT, "its y is its own output");
  bool same = true;
  for (int i = 0; i < node->n_in; i++) same = same && name[i] == node->in[i];
  if (!same) {
    SUMI_TRY(substitute(g, name, node->in, node->n_in, &y, arena, err));
    SUMI_TRY(sumi_graph_tidy(g, err));
  }
  SUMI_TRY(sumi_pass_infer(g, ignore, NULL, err));
  SUMI_TRY(sumi_gradient(g, y, NULL, node->in, xs->n, dx, err));
  return replace(g, node, dx, err);
}

static sumi_status expand(struct sumi_graph *g, struct sumi_node *node, struct sumi_err *err) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, g->allocator);
  sumi_status status = expand_in(g, node, &arena, err);
  sumi_arena_fini(&arena);
  if (status != SUMI_OK) return sumi_node_fail(node, err, status);
  return sumi_graph_tidy(g, err);
}

/* Every derivative of a derivative is some times as large as what it is taken of: a graph may grow so many times, and so many
 * nodes on top. */
enum { MAX_GROWTH = 64, FREE_NODES = 4096 };

/* One after the other, in order: a later one may name what an earlier one gives. */
static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  const size_t before = g->n_node;
  for (size_t i = 0; i < g->n_node;) {
    if (g->node[i]->op != &sumi_op_gradient) {
      i++;
      continue;
    }
    if (g->n_node > FREE_NODES && (g->n_node - FREE_NODES) / MAX_GROWTH >= before)
      SUMI_FAIL(err, SUMI_E_LIMIT,
                "derivatives of derivatives make %zu nodes of %zu, more than %d times as many", g->n_node,
                before, MAX_GROWTH);
    SUMI_TRY(expand(g, g->node[i], err));
    i = 0;
  }
  return SUMI_OK;
}

const struct sumi_pass sumi_pass_expand_gradient = {
    .name = "expand-gradient",
    .what = "puts the backward computation in the place of Gradient",
    .stage = SUMI_PASS_PORTABLE,
    .run = run,
};

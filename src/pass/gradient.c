/* The backward walk: every node on the way from x to y, from the last to the first, hands the gradients of its outputs on to its
 * inputs by its operator's rule; what reaches a value by several ways is added. */
#include "pass/gradient.h"

#include "base/size.h"
#include "op/grad.h"

struct backward {
  struct sumi_graph *graph;
  size_t n_value, n_node;    /* of the graph before: the walk does not see what it adds */
  bool *leaf;                /* [n_value] one of x */
  bool *depends;             /* [n_value] on one of x, or is one */
  struct sumi_value **total; /* [n_value] the gradient so far; NULL = zero */
  struct sumi_arena *arena;
  struct sumi_err *err;
};

static bool differentiable(const struct sumi_value *v) {
  return v->info.kind == SUMI_TENSOR &&
         (v->info.dtype == SUMI_UNDEFINED || sumi_dtype_in(v->info.dtype, SUMI_FLOATS));
}

static void mark(struct backward *b, struct sumi_value *const *x, size_t n) {
  for (size_t i = 0; i < n; i++) b->leaf[x[i]->id] = b->depends[x[i]->id] = differentiable(x[i]);
  for (size_t i = 0; i < b->n_node; i++) {
    const struct sumi_node *node = b->graph->node[i];
    bool any = false;
    for (int k = 0; k < node->n_in; k++) any = any || (node->in[k] && b->depends[node->in[k]->id]);
    for (int k = 0; k < node->n_out && any; k++)
      if (node->out[k] && differentiable(node->out[k])) b->depends[node->out[k]->id] = true;
  }
}

/* An expression over the graph that belongs to no node. */
static struct sumi_grad expression(const struct backward *b) {
  return (struct sumi_grad){.graph = b->graph, .err = b->err};
}

static sumi_status add_to(struct backward *b, const struct sumi_value *v, struct sumi_value *part) {
  struct sumi_value **total = &b->total[v->id];
  struct sumi_grad g = expression(b);
  *total = *total ? sumi_grad_add(&g, *total, part) : part;
  return g.status;
}

/* A rule's answer is as it was asked for, as far as both are known. */
static sumi_status check(struct sumi_grad *g, struct sumi_value *x, struct sumi_value *dx) {
  const struct sumi_info *got = sumi_grad_info(g, dx), *want = &x->info;
  if (!got) return g->status;
  bool fits = got->dtype == want->dtype && (got->rank < 0 || want->rank < 0 || got->rank == want->rank);
  for (int i = 0; fits && i < got->rank && i < want->rank; i++)
    fits = got->dim[i] < 0 || want->dim[i] < 0 || got->dim[i] == want->dim[i];
  if (!fits) SUMI_FAIL(g->err, SUMI_E_INTERNAL, "the gradient of '%s' has another type or shape", x->name);
  return SUMI_OK;
}

static sumi_status apply_rule(struct backward *b, struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  if (!node->op->grad) SUMI_FAIL(b->err, SUMI_E_UNSUPPORTED, "the operator has no gradient");
  SUMI_TRY(node->op->grad(g));
  SUMI_TRY(g->status);
  for (int i = 0; i < node->n_in; i++) {
    if (!g->wanted[i] || !g->dx[i]) continue;
    SUMI_TRY(check(g, node->in[i], g->dx[i]));
    SUMI_TRY(add_to(b, node->in[i], g->dx[i]));
  }
  return SUMI_OK;
}

static sumi_status visit(struct backward *b, const struct sumi_node *node) {
  struct sumi_value **dy = SUMI_NEW_ARRAY(b->arena, (size_t)node->n_out, struct sumi_value *);
  struct sumi_value **dx = SUMI_NEW_ARRAY(b->arena, (size_t)node->n_in, struct sumi_value *);
  bool *wanted = SUMI_NEW_ARRAY(b->arena, (size_t)node->n_in, bool);
  if (!dy || !dx || !wanted) SUMI_FAIL_MEMORY(b->err);
  bool any_out = false, any_in = false;
  for (int i = 0; i < node->n_out; i++) {
    const struct sumi_value *v = node->out[i];
    dy[i] = v && !b->leaf[v->id] && b->depends[v->id] ? b->total[v->id] : NULL;
    any_out = any_out || dy[i];
  }
  for (int i = 0; i < node->n_in; i++) {
    wanted[i] = node->in[i] && b->depends[node->in[i]->id];
    any_in = any_in || wanted[i];
  }
  if (!any_out || !any_in) return SUMI_OK;
  struct sumi_grad g = {.graph = b->graph, .node = node, .dy = dy, .wanted = wanted, .dx = dx, .err = b->err};
  const sumi_status status = apply_rule(b, &g);
  return status == SUMI_OK ? SUMI_OK : sumi_node_fail(node, b->err, status);
}

static sumi_status walk(struct backward *b, struct sumi_value *y, struct sumi_value *seed,
                        struct sumi_value *const *x, size_t n, struct sumi_value **dx) {
  struct sumi_grad g = expression(b);
  if (!sumi_dtype_in(y->info.dtype, SUMI_FLOATS) || y->info.kind != SUMI_TENSOR)
    SUMI_FAIL(b->err, SUMI_E_TYPE, "'%s' is no tensor of floating-point numbers and has no gradient",
              y->name);
  for (size_t i = 0; i < n; i++)
    if (!sumi_dtype_in(x[i]->info.dtype, SUMI_FLOATS) || x[i]->info.kind != SUMI_TENSOR)
      SUMI_FAIL(b->err, SUMI_E_TYPE,
                "there is no gradient with respect to '%s', no tensor of floating-point "
                "numbers",
                x[i]->name);
  mark(b, x, n);
  b->total[y->id] = seed ? seed : sumi_grad_fill_like(&g, y, 1);
  SUMI_TRY(g.status);
  for (size_t i = b->n_node; i-- > 0;) SUMI_TRY(visit(b, b->graph->node[i]));
  for (size_t i = 0; i < n; i++) {
    dx[i] = b->total[x[i]->id];
    if (!dx[i]) dx[i] = sumi_grad_fill_like(&g, x[i], 0);
    if (g.status == SUMI_OK) sumi_grad_info(&g, dx[i]);
  }
  return g.status;
}

sumi_status sumi_gradient(struct sumi_graph *g, struct sumi_value *y, struct sumi_value *seed,
                          struct sumi_value *const *x, size_t n, struct sumi_value **dx,
                          struct sumi_err *err) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, g->allocator);
  struct backward b = {.graph = g,
                       .n_value = g->n_value,
                       .n_node = g->n_node,
                       .leaf = SUMI_NEW_ARRAY(&arena, g->n_value, bool),
                       .depends = SUMI_NEW_ARRAY(&arena, g->n_value, bool),
                       .total = SUMI_NEW_ARRAY(&arena, g->n_value, struct sumi_value *),
                       .arena = &arena,
                       .err = err};
  const sumi_status status = b.leaf && b.depends && b.total
                                 ? walk(&b, y, seed, x, n, dx)
                                 : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  sumi_arena_fini(&arena);
  return status;
}

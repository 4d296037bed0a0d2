/* Captures made explicit: bodies get inputs for what they take from outside. Innermost bodies first, so that what they
 * capture from far out has become an input of their node before the body around them is looked at. */
#include "base/size.h"
#include "graph/graph.h"
#include "graph/graph_int.h"

/* The values that the bodies of one node capture; a value's mark is its place in the list + 1. */
struct captures {
  const struct sumi_allocator *allocator;
  struct sumi_value **value;
  size_t n, cap;
};

static sumi_status append(struct captures *c, struct sumi_value *v, struct sumi_err *err) {
  void *list = c->value;
  if (!sumi_grow(c->allocator, &list, &c->cap, c->n + 1, sizeof *c->value)) SUMI_FAIL_MEMORY(err);
  c->value = list;
  c->value[c->n++] = v;
  if (v) v->mark = c->n;
  return SUMI_OK;
}

static sumi_status capture(struct captures *c, struct sumi_value *v, struct sumi_err *err) {
  return v->mark ? SUMI_OK : append(c, v, err);
}

static bool in_scope(const struct sumi_graph *g, const struct sumi_value *v) {
  for (; g; g = g->parent)
    if (sumi_graph_owns(g, v)) return true;
  return false;
}

/* What body uses and does not own. */
static sumi_status collect(const struct sumi_graph *body, struct captures *c, struct sumi_err *err) {
  for (size_t i = 0; i < body->n_node; i++) {
    const struct sumi_node *n = body->node[i];
    for (int k = 0; k < n->n_in; k++) {
      if (!n->in[k] || sumi_graph_owns(body, n->in[k])) continue;
      if (!in_scope(body->parent, n->in[k]))
        SUMI_FAIL(err, SUMI_E_FORMAT, "node '%s' (%s) uses '%s', which no graph around it holds", n->name,
                  n->op_name, n->in[k]->name);
      SUMI_TRY(capture(c, n->in[k], err));
    }
  }
  for (size_t i = 0; i < body->n_output; i++) {
    if (sumi_graph_owns(body, body->output[i])) continue;
    if (!in_scope(body->parent, body->output[i]))
      SUMI_FAIL(err, SUMI_E_FORMAT, "body '%s' gives '%s', which no graph around it holds", body->name,
                body->output[i]->name);
    SUMI_TRY(capture(c, body->output[i], err));
  }
  return SUMI_OK;
}

static void set_output(struct sumi_graph *g, size_t i, struct sumi_value *v) {
  sumi_use_unlink(&g->output_use[i], g->output[i]);
  g->output[i] = v;
  sumi_use_link(&g->output_use[i], v);
  v->is_output = true;
}

/* Gives body inputs for all captures from the first-th on, and makes it use its captured inputs. The inputs for
 * capture 0 and on are the body's last ones. */
static sumi_status close_body(struct sumi_graph *body, const struct captures *c, size_t first,
                              struct sumi_err *err) {
  for (size_t i = first; i < c->n; i++) {
    struct sumi_info info = c->value[i]->info;
    info.data = NULL; /* contents are known of the captured value; the body's input may be bound to others */
    info.content = NULL;
    info.n_content = 0;
    if (!sumi_graph_add_input(body, c->value[i]->name, &info)) SUMI_FAIL_MEMORY(err);
  }
  struct sumi_value **input = body->input + (body->n_input - c->n);
  for (size_t i = 0; i < body->n_node; i++) {
    struct sumi_node *n = body->node[i];
    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] && !sumi_graph_owns(body, n->in[k])) sumi_node_set_input(n, k, input[n->in[k]->mark - 1]);
  }
  for (size_t i = 0; i < body->n_output; i++)
    if (!sumi_graph_owns(body, body->output[i])) set_output(body, i, input[body->output[i]->mark - 1]);
  return SUMI_OK;
}

static sumi_status close_node(struct sumi_node *node, struct captures *c, struct sumi_err *err) {
  for (int i = 0; i < node->n_attr; i++) { /* before any value is marked for this node */
    size_t n;
    struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++) {
      SUMI_ASSERT(err, body[k]->parent == node->graph && body[k]->n_input >= (size_t)node->n_captured);
      SUMI_TRY(sumi_graph_close_bodies(body[k], err));
    }
  }
  for (int i = node->n_in - node->n_captured; i < node->n_in; i++) SUMI_TRY(append(c, node->in[i], err));
  const size_t before = c->n;
  for (int i = 0; i < node->n_attr; i++) {
    size_t n;
    struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++) SUMI_TRY(collect(body[k], c, err));
  }
  for (int i = 0; i < node->n_attr && c->n; i++) {
    size_t n;
    struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++) SUMI_TRY(close_body(body[k], c, before, err));
  }
  for (size_t i = before; i < c->n; i++) {
    if (!sumi_node_add_input(node, c->value[i])) SUMI_FAIL_MEMORY(err);
    node->n_captured++;
  }
  return SUMI_OK;
}

static bool has_bodies(const struct sumi_node *node) {
  size_t n = 0;
  for (int i = 0; i < node->n_attr && !n; i++) sumi_attr_bodies(&node->attr[i], &n);
  return n > 0;
}

/* Recursion is as deep as bodies nest: SUMI_MAX_BODY_DEPTH. */
sumi_status sumi_graph_close_bodies(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    if (sumi_node_removed(g->node[i]) || !has_bodies(g->node[i])) continue;
    struct captures c = {.allocator = g->allocator};
    const sumi_status status = close_node(g->node[i], &c, err);
    for (size_t k = 0; k < c.n; k++)
      if (c.value[k]) c.value[k]->mark = 0;
    sumi_free(c.allocator, c.value, c.cap * sizeof *c.value);
    SUMI_TRY(status);
  }
  return SUMI_OK;
}

/* The verifier: what must hold of every graph between passes. It runs after the import and after every pass; what it
 * finds in a file's graph is the file's fault, after a pass it is ours. */
#include <inttypes.h>

#include "base/size.h"
#include "graph/graph_int.h"
#include "graph/op.h"

static const char *const type_names[] = {"an integer", "a float", "a string", "a tensor", "a graph", "a type",
                                         "integers",   "floats",  "strings",  "tensors",  "graphs"};
_Static_assert(SUMI_COUNT(type_names) == SUMI_N_ATTR_TYPES, "a name for every attribute type");

static sumi_status verify_value(const struct sumi_graph *g, size_t i, struct sumi_err *err) {
  const struct sumi_value *v = g->value[i];
  if (v->id != i) SUMI_FAIL(err, SUMI_E_INTERNAL, "value '%s' has number %zu at place %zu", v->name, v->id, i);
  if (sumi_graph_find_value(g, v->name) != v) SUMI_FAIL(err, SUMI_E_FORMAT, "two values are called '%s'", v->name);
  if (v->producer && (v->is_input || v->constant)) SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' is an input or constant and also computed", v->name);
  if (!v->producer && !v->is_input && !v->constant) SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' is used but never computed", v->name);
  return SUMI_OK;
}

static sumi_status verify_inputs(const struct sumi_graph *g, const struct sumi_node *node, struct sumi_err *err) {
  for (int i = 0; i < node->n_in; i++) {
    const struct sumi_value *v = node->in[i];
    if (!v) continue;
    if (!sumi_graph_owns(g, v)) SUMI_FAIL(err, SUMI_E_FORMAT, "input %d ('%s') belongs to another graph", i, v->name);
    const struct sumi_node *p = v->producer;
    if (p && (p->graph != g || p->id >= node->id)) SUMI_FAIL(err, SUMI_E_FORMAT, "input %d ('%s') is computed later", i, v->name);
  }
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && (!sumi_graph_owns(g, node->out[i]) || node->out[i]->producer != node))
      SUMI_FAIL(err, SUMI_E_FORMAT, "output %d ('%s') is computed by another node too", i, node->out[i]->name);
  return SUMI_OK;
}

/* given[n] against ports; NULL in given = left out. */
static sumi_status verify_ports(const struct sumi_port *port, struct sumi_value *const *given, int n, const char *what, struct sumi_err *err) {
  bool variadic = false;
  int i = 0;
  for (; port && port->name; port++) {
    variadic = port->flags & SUMI_PORT_VARIADIC;
    if ((i >= n || (!given[i] && !variadic)) && !(port->flags & SUMI_PORT_OPTIONAL))
      SUMI_FAIL(err, SUMI_E_ARG, "%s %d ('%s') is missing", what, i, port->name);
    if (variadic) break;
    i++;
  }
  if (!variadic && n > i) SUMI_FAIL(err, SUMI_E_ARG, "%d %ss are given, %d is the most", n, what, i);
  return SUMI_OK;
}

static const struct sumi_attr_spec *find_spec(const struct sumi_node *node, const struct sumi_attr *attr) {
  for (const struct sumi_attr_spec *s = node->op->attrs; s && s->name; s++)
    if (sumi_streq(s->name, attr->name) && s->type == attr->type && (!s->until || node->version < s->until)) return s;
  return NULL;
}

static sumi_status verify_attrs(const struct sumi_node *node, struct sumi_err *err) {
  for (int i = 0; i < node->n_attr; i++) {
    const struct sumi_attr *a = &node->attr[i];
    if (find_spec(node, a)) continue;
    for (const struct sumi_attr_spec *s = node->op->attrs; s && s->name; s++)
      if (sumi_streq(s->name, a->name) && s->type != a->type && (!s->until || node->version < s->until))
        SUMI_FAIL(err, SUMI_E_ARG, "attribute '%s' is %s, not %s", a->name, type_names[a->type], type_names[s->type]);
    SUMI_FAIL(err, SUMI_E_ARG, "the operator has no attribute '%s' in this version", a->name);
  }
  for (const struct sumi_attr_spec *s = node->op->attrs; s && s->name; s++)
    if (s->required && (!s->until || node->version < s->until) && !sumi_node_attr(node, s->name))
      SUMI_FAIL(err, SUMI_E_ARG, "attribute '%s' is missing", s->name);
  return SUMI_OK;
}

static sumi_status verify_bodies(const struct sumi_graph *g, const struct sumi_node *node, struct sumi_err *err) {
  if (node->n_captured < 0 || node->n_captured > node->n_in) SUMI_FAIL(err, SUMI_E_INTERNAL, "%d captured inputs of %d", node->n_captured, node->n_in);
  for (int i = 0; i < node->n_attr; i++) {
    size_t n;
    struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++) {
      if (body[k]->parent != g) SUMI_FAIL(err, SUMI_E_INTERNAL, "body '%s' lies in another graph", node->attr[i].name);
      if (body[k]->n_input < (size_t)node->n_captured)
        SUMI_FAIL(err, SUMI_E_INTERNAL, "body '%s' has %zu inputs for %d captured values", node->attr[i].name, body[k]->n_input, node->n_captured);
    }
  }
  return SUMI_OK;
}

static sumi_status verify_node(const struct sumi_graph *g, size_t i, struct sumi_err *err) {
  const struct sumi_node *node = g->node[i];
  if (node->id != i || node->graph != g || !node->op) SUMI_FAIL(err, SUMI_E_INTERNAL, "place %zu of graph '%s' is not tidy", i, g->name);
  sumi_status status = verify_inputs(g, node, err);
  if (status == SUMI_OK) status = verify_ports(node->op->in, node->in, node->n_in - node->n_captured, "input", err);
  if (status == SUMI_OK) status = verify_ports(node->op->out, node->out, node->n_out, "output", err);
  if (status == SUMI_OK) status = verify_attrs(node, err);
  if (status == SUMI_OK) status = verify_bodies(g, node, err);
  return status == SUMI_OK ? SUMI_OK : sumi_node_fail(node, err, status);
}

static sumi_status verify_graph(const struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_value; i++) SUMI_TRY(verify_value(g, i, err));
  for (size_t i = 0; i < g->n_input; i++)
    if (!sumi_graph_owns(g, g->input[i]) || !g->input[i]->is_input) SUMI_FAIL(err, SUMI_E_INTERNAL, "graph '%s': input %zu is not among its values", g->name, i);
  for (size_t i = 0; i < g->n_output; i++)
    if (!sumi_graph_owns(g, g->output[i]) || !g->output[i]->is_output) SUMI_FAIL(err, SUMI_E_INTERNAL, "graph '%s': output %zu is not among its values", g->name, i);
  for (size_t i = 0; i < g->n_node; i++) SUMI_TRY(verify_node(g, i, err));
  return SUMI_OK;
}

sumi_status sumi_graph_verify(const struct sumi_graph *g, struct sumi_err *err) {
  SUMI_TRY(verify_graph(g, err));
  for (const struct sumi_graph *body = g->first_body; body; body = body->next_body) SUMI_TRY(verify_graph(body, err));
  return SUMI_OK;
}

/* Whether a graph keeps the rules of graph.h. Values are looked at in the order of the nodes, so that order, single
 * production and being produced at all are one check. Changes nothing. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "graph/dim_int.h"
#include "graph/graph_int.h"
#include "graph/op.h"

/* ---- values ----------------------------------------------------------------------------------------------------- */

static sumi_status check_tensor(const struct sumi_tensor *t, struct sumi_err *err) {
  size_t bytes;
  if (t->kind != SUMI_TENSOR) SUMI_FAIL(err, SUMI_E_FORMAT, "a constant that is no tensor");
  if (t->rank < 0 || t->rank > SUMI_MAX_RANK) SUMI_FAIL(err, SUMI_E_FORMAT, "a constant of rank %d", t->rank);
  if (!sumi_dtype_in(t->dtype, SUMI_ANY)) SUMI_FAIL(err, SUMI_E_FORMAT, "a constant without element type");
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  if (bytes && !t->data) SUMI_FAIL(err, SUMI_E_FORMAT, "a constant without data");
  return SUMI_OK;
}

static sumi_status check_info(const struct sumi_graph *g, const struct sumi_info *info,
                              struct sumi_err *err) {
  if ((unsigned)info->kind >= SUMI_N_KINDS || (unsigned)info->dtype >= SUMI_N_DTYPES)
    SUMI_FAIL(err, SUMI_E_FORMAT, "kind %u, element type %u", (unsigned)info->kind, (unsigned)info->dtype);
  if (info->rank < -1 || info->rank > SUMI_MAX_RANK) SUMI_FAIL(err, SUMI_E_FORMAT, "rank %d", info->rank);
  for (int i = 0; i < info->rank; i++)
    if (info->dim[i] < SUMI_DIM_UNKNOWN && !sumi_dim_expr_of(g->symbols, info->dim[i]))
      SUMI_FAIL(err, SUMI_E_FORMAT, "dimension %d is no expression of this graph", i);
  return SUMI_OK;
}

static sumi_status check_value(const struct sumi_graph *g, size_t i, struct sumi_err *err) {
  const struct sumi_value *v = g->value[i];
  if (!v->name || !*v->name) SUMI_FAIL(err, SUMI_E_FORMAT, "value %zu has no name", i);
  if (v->id != i) SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' has id %zu, not %zu", v->name, v->id, i);
  if (sumi_graph_find_value(g, v->name) != v)
    SUMI_FAIL(err, SUMI_E_FORMAT, "two values are named '%s'", v->name);
  if (v->mark) SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' is still marked", v->name);
  if (v->producer && (v->is_input || v->constant))
    SUMI_FAIL(err, SUMI_E_FORMAT, "%s '%s' is made by node '%s' as well", v->is_input ? "input" : "constant",
              v->name, v->producer->name);
  struct sumi_err why = SUMI_ERR_INIT;
  sumi_status status = check_info(g, &v->info, &why);
  if (status == SUMI_OK && v->constant) status = check_tensor(v->constant, &why);
  if (status == SUMI_OK && v->constant && !v->is_input &&
      (v->info.dtype != v->constant->dtype || v->info.rank != v->constant->rank))
    status = sumi_err_set(&why, SUMI_E_TYPE, "the type differs from the constant's");
  if (status != SUMI_OK) SUMI_FAIL(err, status, "value '%s': %s", v->name, why.text);
  return SUMI_OK;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

/* n values against ports; missing ones matter for inputs only: an output that nobody wants may be left out. */
static sumi_status check_ports(const struct sumi_port *port, struct sumi_value *const *value, int n,
                               const char *what, bool required, struct sumi_err *err) {
  int i = 0;
  for (; port && port->name; port++) {
    const bool variadic = port->flags & SUMI_PORT_VARIADIC, optional = port->flags & SUMI_PORT_OPTIONAL;
    if (variadic) {
      if (i == n && !optional && required) SUMI_FAIL(err, SUMI_E_ARG, "no %s for '%s'", what, port->name);
      return SUMI_OK;
    }
    if (required && !optional && (i >= n || !value[i]))
      SUMI_FAIL(err, SUMI_E_ARG, "%s %d ('%s') is missing", what, i, port->name);
    i++;
  }
  if (n > i) SUMI_FAIL(err, SUMI_E_ARG, "%d %ss, the operator has %d at most", n, what, i);
  return SUMI_OK;
}

static bool row_is_current(const struct sumi_attr_spec *row, int version) {
  return !row->until || version < row->until;
}

static sumi_status check_attr(const struct sumi_node *node, const struct sumi_attr *a, struct sumi_err *err) {
  const struct sumi_attr_spec *named = NULL, *current = NULL;
  for (const struct sumi_attr_spec *row = node->op->attrs; row && row->name; row++) {
    if (!sumi_streq(row->name, a->name)) continue;
    named = row;
    if (!row_is_current(row, node->version)) continue;
    current = row;
    if (row->type == a->type) return SUMI_OK;
  }
  if (current)
    SUMI_FAIL(err, SUMI_E_TYPE, "attribute '%s' is of type %s, not %s", a->name,
              sumi_attr_type_label(a->type), sumi_attr_type_label(current->type));
  if (named)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "attribute '%s' is gone since version %d, this is version %d", a->name,
              named->until, node->version);
  SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the operator has no attribute '%s'", a->name);
}

static sumi_status check_attrs(const struct sumi_node *node, struct sumi_err *err) {
  for (int i = 0; i < node->n_attr; i++) {
    const struct sumi_attr *a = &node->attr[i];
    if (sumi_node_attr(node, a->name) != a) SUMI_FAIL(err, SUMI_E_FORMAT, "attribute '%s' twice", a->name);
    SUMI_TRY(check_attr(node, a, err));
    if (a->type == SUMI_ATTR_TENSOR) SUMI_TRY(check_tensor(a->u.t, err));
    for (size_t k = 0; a->type == SUMI_ATTR_TENSORS && k < a->n; k++)
      SUMI_TRY(check_tensor(&a->u.tensors[k], err));
  }
  for (const struct sumi_attr_spec *row = node->op->attrs; row && row->name; row++)
    if (row->required && row_is_current(row, node->version) && !sumi_node_attr(node, row->name))
      SUMI_FAIL(err, SUMI_E_ARG, "attribute '%s' is missing", row->name);
  return SUMI_OK;
}

static sumi_status check_bodies(const struct sumi_node *node, struct sumi_err *err) {
  for (int i = 0; i < node->n_attr; i++) {
    size_t n;
    struct sumi_graph *const *body = sumi_attr_bodies(&node->attr[i], &n);
    for (size_t k = 0; k < n; k++) {
      if (!body[k] || body[k]->parent != node->graph || body[k]->root != node->graph->root ||
          body[k]->depth != node->graph->depth + 1)
        SUMI_FAIL(err, SUMI_E_FORMAT, "attribute '%s' holds a graph that is no body of this one",
                  node->attr[i].name);
      if (body[k]->n_input < (size_t)node->n_captured)
        SUMI_FAIL(err, SUMI_E_FORMAT, "body '%s' has %zu inputs, but the node captures %d", body[k]->name,
                  body[k]->n_input, node->n_captured);
      SUMI_TRY(sumi_graph_verify(body[k], err)); /* as deep as bodies nest */
    }
  }
  return SUMI_OK;
}

static sumi_status check_inputs(const struct sumi_node *node, const unsigned char *made,
                                struct sumi_err *err) {
  const struct sumi_graph *g = node->graph;
  for (int i = 0; i < node->n_in; i++) {
    const struct sumi_value *v = node->in[i];
    if (!v) continue;
    if (!sumi_graph_owns(g, v))
      SUMI_FAIL(err, SUMI_E_FORMAT, "input %d ('%s') is no value of this graph", i, v->name);
    if (!made[v->id] && v->producer)
      SUMI_FAIL(err, SUMI_E_FORMAT, "input %d ('%s') is made later, by node '%s'", i, v->name,
                v->producer->name);
    if (!made[v->id]) SUMI_FAIL(err, SUMI_E_FORMAT, "nothing makes input %d ('%s')", i, v->name);
  }
  return SUMI_OK;
}

static sumi_status check_outputs(const struct sumi_node *node, unsigned char *made, struct sumi_err *err) {
  for (int i = 0; i < node->n_out; i++) {
    const struct sumi_value *v = node->out[i];
    if (!v) continue;
    if (!sumi_graph_owns(node->graph, v))
      SUMI_FAIL(err, SUMI_E_FORMAT, "output %d ('%s') is no value of this graph", i, v->name);
    if (made[v->id] || v->producer != node)
      SUMI_FAIL(err, SUMI_E_FORMAT, "output %d ('%s') is made twice", i, v->name);
    made[v->id] = 1;
  }
  return SUMI_OK;
}

static sumi_status check_node(const struct sumi_graph *g, size_t i, unsigned char *made,
                              struct sumi_err *err) {
  const struct sumi_node *n = g->node[i];
  if (sumi_node_removed(n))
    SUMI_FAIL(err, SUMI_E_STATE, "node '%s' was removed and the graph not tidied", n->name);
  if (n->graph != g || n->id != i)
    SUMI_FAIL(err, SUMI_E_FORMAT, "node '%s' has id %zu, not %zu, or another graph", n->name, n->id, i);
  if (!n->op || !n->op_name) SUMI_FAIL(err, SUMI_E_FORMAT, "node '%s' has no operator", n->name);
  if (sumi_graph_find_node(g, n->name) != n)
    SUMI_FAIL(err, SUMI_E_FORMAT, "two nodes are named '%s'", n->name);
  struct sumi_err why = SUMI_ERR_INIT;
  sumi_status status = SUMI_OK;
  if (n->n_captured < 0 || n->n_captured > n->n_in || n->version < 1)
    status = sumi_err_set(&why, SUMI_E_FORMAT, "version %d, %d of %d inputs captured", n->version,
                          n->n_captured, n->n_in);
  if (status == SUMI_OK) status = check_inputs(n, made, &why);
  if (status == SUMI_OK) status = check_outputs(n, made, &why);
  if (status == SUMI_OK) status = check_ports(n->op->in, n->in, n->n_in - n->n_captured, "input", true, &why);
  if (status == SUMI_OK) status = check_ports(n->op->out, n->out, n->n_out, "output", false, &why);
  if (status == SUMI_OK) status = check_attrs(n, &why);
  if (status == SUMI_OK) status = check_bodies(n, &why);
  if (status != SUMI_OK) SUMI_FAIL(err, status, "node '%s' (%s): %s", n->name, n->op_name, why.text);
  return SUMI_OK;
}

/* ---- graphs ----------------------------------------------------------------------------------------------------- */

static sumi_status check_interface(const struct sumi_graph *g, unsigned char *made, struct sumi_err *err) {
  size_t inputs = 0;
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_value *v = g->input[i];
    if (!sumi_graph_owns(g, v) || !v->is_input)
      SUMI_FAIL(err, SUMI_E_FORMAT, "input '%s' is no input value of this graph", v->name);
    if (made[v->id]) SUMI_FAIL(err, SUMI_E_FORMAT, "input '%s' stands twice", v->name);
    made[v->id] = 1;
  }
  for (size_t i = 0; i < g->n_value; i++) {
    inputs += g->value[i]->is_input;
    if (g->value[i]->constant) made[i] = 1;
  }
  if (inputs != g->n_input)
    SUMI_FAIL(err, SUMI_E_FORMAT, "%zu values are inputs, but the graph has %zu", inputs, g->n_input);
  return SUMI_OK;
}

/* Every use that the list names is one, and the list is as long as it says. */
static sumi_status check_uses(const struct sumi_graph *g, const struct sumi_value *v, struct sumi_err *err) {
  size_t n = 0;
  for (const struct sumi_use *u = v->first_use; u && n <= v->n_use; u = u->next, n++) {
    const bool input =
        u->node && u->node->graph == g && u->index < (size_t)u->node->n_in && u->node->in[u->index] == v;
    const bool output = !u->node && u->index < g->n_output && g->output[u->index] == v;
    if ((!input && !output) || *u->link != u)
      SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' has a use on its list that is none", v->name);
  }
  if (n != v->n_use)
    SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' has another number of uses than %zu", v->name, v->n_use);
  return SUMI_OK;
}

static sumi_status check_results(const struct sumi_graph *g, const unsigned char *made,
                                 struct sumi_err *err) {
  size_t uses = g->n_output, listed = 0;
  for (size_t i = 0; i < g->n_output; i++) {
    const struct sumi_value *v = g->output[i];
    if (!sumi_graph_owns(g, v) || !v->is_output)
      SUMI_FAIL(err, SUMI_E_FORMAT, "output '%s' is no output value of this graph", v->name);
    if (!made[v->id]) SUMI_FAIL(err, SUMI_E_FORMAT, "nothing makes output '%s'", v->name);
  }
  for (size_t i = 0; i < g->n_value; i++) {
    const struct sumi_value *v = g->value[i];
    if (v->producer && !made[i])
      SUMI_FAIL(err, SUMI_E_FORMAT, "value '%s' names a node that does not make it", v->name);
    SUMI_TRY(check_uses(g, v, err));
    listed += v->n_use;
  }
  for (size_t i = 0; i < g->n_node; i++)
    for (int k = 0; k < g->node[i]->n_in; k++) uses += g->node[i]->in[k] != NULL;
  if (uses != listed) SUMI_FAIL(err, SUMI_E_FORMAT, "%zu uses of values, but %zu are listed", uses, listed);
  return SUMI_OK;
}

static sumi_status verify(const struct sumi_graph *g, unsigned char *made, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_value; i++) SUMI_TRY(check_value(g, i, err));
  SUMI_TRY(check_interface(g, made, err));
  for (size_t i = 0; i < g->n_node; i++) SUMI_TRY(check_node(g, i, made, err));
  return check_results(g, made, err);
}

sumi_status sumi_graph_verify(const struct sumi_graph *g, struct sumi_err *err) {
  unsigned char *made = sumi_alloc(g->allocator, g->n_value); /* by value id: made so far */
  if (!made) SUMI_FAIL_MEMORY(err);
  const sumi_status status = verify(g, made, err);
  sumi_free(g->allocator, made, g->n_value);
  return status;
}

/* Copies of graphs: structure is copied, contents (names, attribute payloads, tensors' bytes) are shared with
 * the original through its arena and blobs, which live as long as the last graph that refers to them. */
#include "base/size.h"
#include "graph/graph.h"
#include "graph/graph_int.h"

static sumi_status copy_graph(const struct sumi_graph *from, struct sumi_graph *to, struct sumi_err *err);

static sumi_status copy_values(const struct sumi_graph *from, struct sumi_graph *to, struct sumi_err *err) {
  for (size_t i = 0; i < from->n_value; i++) {
    const struct sumi_value *v = from->value[i];
    struct sumi_value *w = sumi_graph_add_value(to, v->name);
    if (!w) SUMI_FAIL_MEMORY(err);
    w->info = v->info;
    w->constant = v->constant;
    w->blob = sumi_blob_ref(v->blob);
    w->is_input = v->is_input;
  }
  void *input = NULL;
  if (!sumi_grow(to->allocator, &input, &to->cap_input, from->n_input, sizeof *to->input))
    SUMI_FAIL_MEMORY(err);
  to->input = input;
  for (size_t i = 0; i < from->n_input; i++) to->input[to->n_input++] = to->value[from->input[i]->id];
  return SUMI_OK;
}

static sumi_status copy_body(const struct sumi_graph *body, struct sumi_graph *to, struct sumi_graph **out,
                             struct sumi_err *err) {
  *out = sumi_graph_new_body(to, body->name);
  if (!*out) SUMI_FAIL_MEMORY(err);
  return copy_graph(body, *out, err);
}

sumi_status sumi_node_copy_attrs(const struct sumi_node *from, struct sumi_node *to, struct sumi_err *err) {
  for (int i = 0; i < from->n_attr; i++) {
    struct sumi_attr *a = sumi_node_add_attr(to, from->attr[i].name, from->attr[i].type);
    if (!a) SUMI_FAIL_MEMORY(err);
    *a = from->attr[i];
    if (a->type == SUMI_ATTR_GRAPH) {
      SUMI_TRY(copy_body(a->u.g, to->graph, &a->u.g, err));
    } else if (a->type == SUMI_ATTR_GRAPHS) {
      struct sumi_graph **copy = SUMI_NEW_ARRAY(to->graph->arena, a->n, struct sumi_graph *);
      if (!copy) SUMI_FAIL_MEMORY(err);
      for (size_t k = 0; k < a->n; k++) SUMI_TRY(copy_body(a->u.graphs[k], to->graph, &copy[k], err));
      a->u.graphs = copy;
    }
  }
  return SUMI_OK;
}

/* The copies of n values; NULL stays NULL. list has room for n. */
static void mapped(const struct sumi_graph *to, struct sumi_value *const *from, int n,
                   struct sumi_value **list) {
  for (int i = 0; i < n; i++) list[i] = from[i] ? to->value[from[i]->id] : NULL;
}

static sumi_status copy_nodes(const struct sumi_graph *from, struct sumi_graph *to, struct sumi_err *err) {
  sumi_status status = SUMI_OK;
  void *list = NULL;
  size_t cap = 0;
  for (size_t i = 0; i < from->n_node && status == SUMI_OK; i++) {
    const struct sumi_node *n = from->node[i];
    if (sumi_node_removed(n)) continue;
    struct sumi_node *m = NULL;
    if (sumi_grow(to->allocator, &list, &cap, (size_t)n->n_in + (size_t)n->n_out,
                  sizeof(struct sumi_value *))) {
      struct sumi_value **in = list, **out = in ? in + n->n_in : NULL;
      mapped(to, n->in, n->n_in, in);
      mapped(to, n->out, n->n_out, out);
      m = sumi_graph_add_node(to, n->name, n->op, n->op_name, n->version, in, n->n_in, out, n->n_out);
    }
    if (m) {
      m->n_captured = n->n_captured;
      m->made_up = n->made_up;
      m->inlined = n->inlined;
    }
    status = m ? sumi_node_copy_attrs(n, m, err) : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  }
  sumi_free(to->allocator, list, cap * sizeof(struct sumi_value *));
  return status;
}

static sumi_status copy_graph(const struct sumi_graph *from, struct sumi_graph *to, struct sumi_err *err) {
  SUMI_TRY(copy_values(from, to, err));
  SUMI_TRY(copy_nodes(from, to, err));
  for (size_t i = 0; i < from->n_output; i++)
    if (!sumi_graph_add_output(to, to->value[from->output[i]->id])) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status copy_root(const struct sumi_graph *from, struct sumi_graph *to, struct sumi_err *err) {
  const struct sumi_graph *root = from->root;
  if (!sumi_graph_hold(to, sumi_blob_ref(root->arena_blob))) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < root->n_held; i++)
    if (!sumi_graph_hold(to, sumi_blob_ref(root->held[i]))) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < root->n_metadata; i++)
    if (!sumi_graph_set_metadata(to, root->metadata[i].key, root->metadata[i].value)) SUMI_FAIL_MEMORY(err);
  if (!sumi_symbols_copy(to->symbols, root->symbols)) SUMI_FAIL_MEMORY(err);
  return copy_graph(from, to, err);
}

struct sumi_graph *sumi_graph_clone(const struct sumi_graph *g, struct sumi_err *err) {
  struct sumi_graph *copy = sumi_graph_new(g->allocator, g->name);
  if (!copy) sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  if (copy && copy_root(g, copy, err) != SUMI_OK) {
    sumi_graph_free(copy);
    copy = NULL;
  }
  return copy;
}

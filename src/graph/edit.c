/* What passes do to a graph: replace uses, take nodes out, tidy up. Every step costs what it touches; nothing
 * searches the graph. */
#include "graph/graph.h"
#include "graph/graph_int.h"

/* a and b exchange names, in the table as well. */
static void exchange_names(struct sumi_graph *g, struct sumi_value *a, struct sumi_value *b) {
  const char *name = a->name;
  sumi_names_replace(&g->value_names, a->name, b);
  sumi_names_replace(&g->value_names, b->name, a);
  a->name = b->name;
  b->name = name;
}

bool sumi_graph_replace_uses(struct sumi_graph *g, struct sumi_value *from, struct sumi_value *to) {
  if (from == to) return true;
  const bool outputs = from->is_output && !to->is_input && !to->is_output;
  struct sumi_use *next;
  for (struct sumi_use *u = from->first_use; u; u = next) {
    next = u->next;
    if (!u->node && !outputs) continue;
    sumi_use_unlink(u, from);
    sumi_use_link(u, to);
    if (u->node)
      u->node->in[u->index] = to;
    else
      g->output[u->index] = to;
  }
  if (!outputs) return !from->is_output;
  from->is_output = false;
  to->is_output = true;
  exchange_names(g, from, to);
  return true;
}

size_t sumi_graph_count_uses(const struct sumi_graph *g, const struct sumi_value *v) {
  (void)g;
  return v->n_use;
}

void sumi_graph_remove_node(struct sumi_graph *g, struct sumi_node *node) {
  if (sumi_node_removed(node)) return;
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i]) {
      sumi_use_unlink(&node->use[i], node->in[i]);
      node->in[i] = NULL;
    }
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && node->out[i]->producer == node) node->out[i]->producer = NULL;
  sumi_names_remove(&g->node_names, node->name);
  node->graph = NULL;
}

void sumi_node_set_output(struct sumi_node *node, int i, struct sumi_value *v) {
  if (node->out[i] && node->out[i]->producer == node) node->out[i]->producer = NULL;
  node->out[i] = v;
  v->producer = node;
}

static void drop_removed(struct sumi_graph *g) {
  size_t n = 0;
  for (size_t i = 0; i < g->n_node; i++)
    if (!sumi_node_removed(g->node[i])) {
      g->node[n] = g->node[i];
      g->node[n]->id = n;
      n++;
    }
  g->n_node = n;
  n = 0;
  for (size_t i = 0; i < g->n_value; i++) {
    struct sumi_value *v = g->value[i];
    if (v->is_input || v->is_output || v->n_use || v->producer) {
      g->value[n] = v;
      v->id = n++;
    } else {
      sumi_names_remove(&g->value_names, v->name);
      sumi_blob_unref(v->blob);
      v->blob = NULL;
    }
  }
  g->n_value = n;
}

struct frame {
  struct sumi_node *node;
  int next_in;
};

enum { UNSEEN, OPEN, DONE };

/* Depth first over producers, in the order of the nodes: what is in order already stays so, and what is not
 * is pulled forward just before its first use. mark[n_node]; stack[n_node]; order[n_node]. */
static sumi_status sort(struct sumi_graph *g, unsigned char *mark, struct frame *stack,
                        struct sumi_node **order, struct sumi_err *err) {
  size_t n_order = 0;
  for (size_t i = 0; i < g->n_node; i++) {
    if (mark[i] != UNSEEN) continue;
    size_t depth = 0;
    stack[depth++] = (struct frame){g->node[i], 0};
    mark[i] = OPEN;
    while (depth) {
      struct frame *f = &stack[depth - 1];
      if (f->next_in == f->node->n_in) {
        mark[f->node->id] = DONE;
        order[n_order++] = f->node;
        depth--;
        continue;
      }
      const struct sumi_value *v = f->node->in[f->next_in++];
      struct sumi_node *p = v ? v->producer : NULL;
      if (!p || p->graph != g || mark[p->id] == DONE) continue;
      if (mark[p->id] == OPEN)
        SUMI_FAIL(err, SUMI_E_FORMAT, "node '%s' (%s) lies on a cycle", p->name, p->op_name);
      mark[p->id] = OPEN;
      stack[depth++] = (struct frame){p, 0};
    }
  }
  for (size_t i = 0; i < n_order; i++) {
    g->node[i] = order[i];
    g->node[i]->id = i;
  }
  return SUMI_OK;
}

sumi_status sumi_graph_tidy(struct sumi_graph *g, struct sumi_err *err) {
  drop_removed(g);
  const size_t n = g->n_node;
  unsigned char *mark = sumi_alloc(g->allocator, n);
  struct frame *stack = sumi_alloc(g->allocator, n * sizeof *stack);
  struct sumi_node **order = sumi_alloc(g->allocator, n * sizeof *order);
  const sumi_status status = mark && stack && order ? sort(g, mark, stack, order, err)
                                                    : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  sumi_free(g->allocator, mark, n);
  sumi_free(g->allocator, stack, n * sizeof *stack);
  sumi_free(g->allocator, order, n * sizeof *order);
  return status;
}

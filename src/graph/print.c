/* A graph as text: one line per node. */
#include "graph/graph.h"

void sumi_graph_print(const struct sumi_graph *g, size_t max_elements, bool annotate, struct sumi_text *out) {
  (void)max_elements;
  (void)annotate;
  for (size_t i = 0; i < g->n_node; i++) {
    const struct sumi_node *node = g->node[i];
    for (int k = 0; k < node->n_out; k++)
      sumi_text_add(out, "%s%s", k ? ", " : "", node->out[k] ? node->out[k]->name : "");
    sumi_text_add(out, " = %s (", node->op_name);
    for (int k = 0; k < node->n_in; k++)
      sumi_text_add(out, "%s%s", k ? ", " : "", node->in[k] ? node->in[k]->name : "");
    sumi_text_add(out, ")\n");
  }
}

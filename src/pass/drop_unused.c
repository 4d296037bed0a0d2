/* drop-unused: takes out nodes none of whose outputs anybody uses. */
#include "pass/pass.h"

static bool is_used(const struct sumi_node *node) {
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] && node->out[i]->n_use) return true;
  return false;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = g->n_node; i-- > 0;) /* users before producers */
    if (!is_used(g->node[i])) sumi_graph_remove_node(g, g->node[i]);
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_drop_unused = {
    .name = "drop-unused",
    .what = "takes out nodes whose outputs nobody uses",
    .stage = SUMI_PASS_PORTABLE,
    .run = run,
};

/* drop-identity: takes out nodes that hand their input on unchanged: Identity, Dropout while not training, and Cast to the
 * type that is there.
 * Keeps a node whose output is a graph output fed by an input, a constant or another output: the caller wants that name. */
#include "pass/pass.h"

static bool hands_on(const struct sumi_node *node) {
  if (!node->in[0] || !node->out[0]) return false;
  for (int i = 1; i < node->n_out; i++)
    if (node->out[i] && node->out[i]->n_use) return false; /* Dropout's mask is wanted */
  if (sumi_streq(node->op->name, "Identity")) return true;
  if (sumi_streq(node->op->name, "Cast") && node->version >= 6)
    return node->in[0]->info.dtype != SUMI_UNDEFINED &&
           node->in[0]->info.dtype == sumi_dtype_from_onnx(sumi_attr_int(node, "to", 0));
  if (!sumi_streq(node->op->name, "Dropout")) return false;
  if (node->version < 7) return sumi_attr_int(node, "is_test", 0) != 0;
  if (node->n_in < 3 || !node->in[2]) return true;
  const struct sumi_value *training = node->in[2];
  return training->constant && !training->is_input && training->constant->dtype == SUMI_BOOL &&
         sumi_tensor_count(training->constant) == 1 && !sumi_get_i64(SUMI_BOOL, training->constant->data, 0);
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  SUMI_TRY(sumi_pass_drop_unused.run(g, err)); /* a mask that goes to such nodes only is not wanted */
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (!hands_on(node)) continue;
    struct sumi_value *from = node->in[0], *to = node->out[0];
    if (to->is_output && !from->producer) continue;
    if (sumi_graph_replace_uses(g, to, from)) sumi_graph_remove_node(g, node);
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_drop_identity = {
    .name = "drop-identity",
    .what = "takes out Identity, Dropout and Cast to the same type",
    .stage = SUMI_PASS_PORTABLE,
    .run = run,
};

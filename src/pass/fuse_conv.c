/* fuse-conv: a residual Add and a function (pass/function.h) behind a Conv or sumi.FConv become part of it (a Conv becomes
 * com.microsoft.FusedConv), so that the kernel's epilogue does them while the result is still hot. Only where nobody else uses what
 * is in between; the Add only where both of its inputs have the same shape, and float32 throughout. */
#include "op/ops.h"
#include "pass/function.h"
#include "pass/pass.h"

/* A convolution that may become one with what is behind it, before this pass comes to it. */
static bool is_plain(const struct sumi_node *node) {
  return sumi_qdq_is(node, "Conv") || node->op == &sumi_op_fconv;
}

static bool is_conv(const struct sumi_node *node) {
  return is_plain(node) || node->op == &sumi_op_fused_conv;
}

static bool same_shape(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->rank < 0 || a->rank != b->rank || a->dtype != b->dtype) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] == SUMI_DIM_UNKNOWN || a->dim[i] != b->dim[i]) return false;
  return true;
}

static sumi_status become_fused(struct sumi_node *conv, struct sumi_err *err) {
  if (!sumi_qdq_is(conv, "Conv")) return SUMI_OK;
  conv->op = &sumi_op_fused_conv;
  conv->op_name = "com.microsoft.FusedConv";
  conv->version = 1;
  return sumi_node_attr(conv, "activation") ? SUMI_OK : sumi_node_set_string(conv, "activation", "", err);
}

static sumi_status add_residual(struct sumi_graph *g, struct sumi_node *conv, struct sumi_err *err) {
  struct sumi_node *add = sumi_qdq_user(conv->out[0]);
  if (!sumi_qdq_is(add, "Add") || add->version < 7 || (conv->n_in > 3 && conv->in[3]) ||
      *sumi_attr_string(conv, "activation", ""))
    return SUMI_OK;
  struct sumi_value *other = add->in[0] == conv->out[0] ? add->in[1] : add->in[0];
  if (other == conv->out[0] || !same_shape(&conv->out[0]->info, &other->info) ||
      other->info.dtype != SUMI_FLOAT32)
    return SUMI_OK;
  /* of two convolutions the later one takes the other as residual */
  if (other->producer && is_plain(other->producer) && sumi_qdq_user(other) == add &&
      other->producer->id > conv->id)
    return SUMI_OK;
  while (conv->n_in < 3)
    if (!sumi_node_add_input(conv, NULL)) SUMI_FAIL_MEMORY(err);
  if (conv->n_in > 3)
    sumi_node_set_input(conv, 3, other);
  else if (!sumi_node_add_input(conv, other))
    SUMI_FAIL_MEMORY(err);
  SUMI_TRY(become_fused(conv, err));
  if (sumi_graph_replace_uses(g, add->out[0], conv->out[0])) sumi_graph_remove_node(g, add);
  return SUMI_OK;
}

static sumi_status add_function(struct sumi_graph *g, struct sumi_node *conv, struct sumi_err *err) {
  struct sumi_function f;
  if (*sumi_attr_string(conv, "activation", "") || !sumi_function_match(conv->out[0], &f) || f.bias)
    return SUMI_OK;
  SUMI_TRY(become_fused(conv, err));
  SUMI_TRY(sumi_function_set(conv, "", &f, err));
  sumi_qdq_take_over(g, conv, f.node, f.n_node);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node) || !is_conv(node)) continue;
    if (!node->out[0] || node->out[0]->info.dtype != SUMI_FLOAT32) continue;
    SUMI_TRY(add_residual(g, node, err));
    SUMI_TRY(add_function(g, node, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_fuse_conv = {
    .name = "fuse-conv",
    .what = "makes a residual add and a function part of the convolution before them",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

/* fuse-conv: a residual Add and an activation (also x * Sigmoid(x), x * HardSigmoid(x)) behind a Conv or sumi.FConv become
 * part of it (a Conv becomes com.microsoft.FusedConv), so that the kernel's epilogue does them while the result is still hot. Only where nobody else uses what is in
 * between; the Add only where both of its inputs have the same shape, and float32 throughout. */
#include <math.h>

#include "op/ops.h"
#include "pass/pass.h"

static bool is_op(const struct sumi_node *node, const char *name) {
  return node && sumi_streq(node->op->name, name);
}

/* A convolution that may become one with what is behind it, before this pass comes to it. */
static bool is_plain(const struct sumi_node *node) {
  return is_op(node, "Conv") || node->op == &sumi_op_fconv;
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

/* A constant scalar of input i; false where it is there but not constant. Absent: *value as it was. */
static bool scalar(const struct sumi_node *node, int i, float *value) {
  if (i >= node->n_in || !node->in[i]) return true;
  const struct sumi_tensor *t = node->in[i]->is_input ? NULL : node->in[i]->constant;
  if (!t || t->dtype != SUMI_FLOAT32 || sumi_tensor_count(t) != 1) return false;
  *value = *(const float *)t->data;
  return true;
}

/* The activation's name and figures as FusedConv wants them; NULL = cannot be fused. */
static const char *activation_of(const struct sumi_node *node, float *figure, size_t *n) {
  static const char *const plain[] = {"Relu", "Sigmoid", "Tanh", "HardSwish"};
  *n = 0;
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
    if (is_op(node, plain[i])) return plain[i];
  if (is_op(node, "LeakyRelu")) {
    figure[(*n)++] = sumi_attr_float(node, "alpha", 0.01f);
    return "LeakyRelu";
  }
  if (is_op(node, "HardSigmoid")) {
    figure[(*n)++] = sumi_attr_float(node, "alpha", 0.2f);
    figure[(*n)++] = sumi_attr_float(node, "beta", 0.5f);
    return "HardSigmoid";
  }
  if (!is_op(node, "Clip")) return NULL;
  figure[0] = sumi_attr_float(node, "min", -3.402823466e+38f);
  figure[1] = sumi_attr_float(node, "max", 3.402823466e+38f);
  *n = 2;
  return scalar(node, 1, &figure[0]) && scalar(node, 2, &figure[1]) ? "Clip" : NULL;
}

static struct sumi_node *only_user(const struct sumi_value *v) {
  return v->n_use == 1 && !v->is_output ? v->first_use->node : NULL;
}

static sumi_status become_fused(struct sumi_node *conv, struct sumi_err *err) {
  if (!is_op(conv, "Conv")) return SUMI_OK;
  conv->op = &sumi_op_fused_conv;
  conv->op_name = "com.microsoft.FusedConv";
  conv->version = 1;
  return sumi_node_attr(conv, "activation") ? SUMI_OK : sumi_node_set_string(conv, "activation", "", err);
}

static sumi_status add_residual(struct sumi_graph *g, struct sumi_node *conv, struct sumi_err *err) {
  struct sumi_node *add = only_user(conv->out[0]);
  if (!is_op(add, "Add") || add->version < 7 || (conv->n_in > 3 && conv->in[3]) ||
      *sumi_attr_string(conv, "activation", ""))
    return SUMI_OK;
  struct sumi_value *other = add->in[0] == conv->out[0] ? add->in[1] : add->in[0];
  if (other == conv->out[0] || !same_shape(&conv->out[0]->info, &other->info) ||
      other->info.dtype != SUMI_FLOAT32)
    return SUMI_OK;
  /* of two convolutions the later one takes the other as residual */
  if (other->producer && is_plain(other->producer) && only_user(other) == add &&
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

static sumi_status add_activation(struct sumi_graph *g, struct sumi_node *conv, struct sumi_err *err) {
  struct sumi_node *act = only_user(conv->out[0]);
  float figure[2];
  size_t n;
  const char *name = act && act->in[0] == conv->out[0] ? activation_of(act, figure, &n) : NULL;
  if (!name || *sumi_attr_string(conv, "activation", "")) return SUMI_OK;
  SUMI_TRY(become_fused(conv, err));
  SUMI_TRY(sumi_node_set_string(conv, "activation", name, err));
  if (n) SUMI_TRY(sumi_node_set_floats(conv, "activation_params", figure, n, err));
  if (sumi_graph_replace_uses(g, act->out[0], conv->out[0])) sumi_graph_remove_node(g, act);
  return SUMI_OK;
}

/* The node that multiplies v by gate(v), where nobody else uses either: x * Sigmoid(x) and its relatives. */
static struct sumi_node *gated(const struct sumi_value *v, struct sumi_node **gate) {
  if (v->n_use != 2 || v->is_output) return NULL;
  struct sumi_node *a = v->first_use->node, *b = v->first_use->next->node;
  struct sumi_node *mul = is_op(a, "Mul") ? a : b;
  *gate = mul == a ? b : a;
  if (!is_op(mul, "Mul") || mul->version < 7 || *gate == mul || !(*gate)->out[0] ||
      only_user((*gate)->out[0]) != mul)
    return NULL;
  return mul->in[0] == (*gate)->out[0] || mul->in[1] == (*gate)->out[0] ? mul : NULL;
}

static sumi_status add_gate(struct sumi_graph *g, struct sumi_node *conv, struct sumi_err *err) {
  struct sumi_node *gate, *mul = gated(conv->out[0], &gate);
  if (!mul || *sumi_attr_string(conv, "activation", "")) return SUMI_OK;
  const bool hard = is_op(gate, "HardSigmoid") &&
                    fabsf(sumi_attr_float(gate, "alpha", 0.2f) * 6 - 1) < 1e-6f &&
                    sumi_attr_float(gate, "beta", 0.5f) == 0.5f;
  if (!hard && !is_op(gate, "Sigmoid")) return SUMI_OK;
  SUMI_TRY(become_fused(conv, err));
  SUMI_TRY(sumi_node_set_string(conv, "activation", hard ? "HardSwish" : "Swish", err));
  if (!sumi_graph_replace_uses(g, mul->out[0], conv->out[0])) return SUMI_OK;
  sumi_graph_remove_node(g, mul);
  sumi_graph_remove_node(g, gate);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    if (sumi_node_removed(node) || !is_conv(node)) continue;
    if (!node->out[0] || node->out[0]->info.dtype != SUMI_FLOAT32) continue;
    SUMI_TRY(add_residual(g, node, err));
    SUMI_TRY(add_activation(g, node, err));
    SUMI_TRY(add_gate(g, node, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_fuse_conv = {
    .name = "fuse-conv",
    .what = "makes a residual add and an activation part of the convolution before them",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

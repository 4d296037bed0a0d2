/* Which values are quantised.
 *
 * Every layer with 8 bits reads its input so; convolutions put out 8 bits as well, behind a Relu or Clip that alone reads
 * them. What stands between layers works on 8 bits where all its inputs come from such, so that residual networks stay in
 * 8 bits throughout, and transformers, whose layers are matrix products, only in their products. Outputs of the graph stay as
 * they are. */
#include "base/size.h"
#include "compress/quantize_int.h"
#include "op/ops.h"

/* Operators between layers. */
struct between {
  const char *op;
  bool all;   /* every input is data; else the first only */
  bool alike; /* the output has the input's scale */
};

static const struct between betweens[] = {{"Add", true, false},          {"Mul", true, false},
                                          {"Concat", true, false},       {"GlobalAveragePool", false, false},
                                          {"AveragePool", false, false}, {"ReduceMean", false, false},
                                          {"Relu", false, false},        {"Clip", false, false},
                                          {"LeakyRelu", false, false},   {"Sigmoid", false, false},
                                          {"HardSigmoid", false, false}, {"HardSwish", false, false},
                                          {"Tanh", false, false},        {"Elu", false, false},
                                          {"MaxPool", false, true},      {"Reshape", false, true},
                                          {"Flatten", false, true},      {"Squeeze", false, true},
                                          {"Unsqueeze", false, true},    {"Transpose", false, true},
                                          {"DepthToSpace", false, true}, {"SpaceToDepth", false, true},
                                          {"Pad", false, true}};

static const struct between *between_of(const struct sumi_node *node) {
  for (size_t i = 0; i < SUMI_COUNT(betweens); i++)
    if (quant_is(node, betweens[i].op)) return &betweens[i];
  return NULL;
}

struct quant_layer *quant_layer_of(const struct quant_job *j, const struct sumi_node *node) {
  for (size_t i = 0; i < j->n_layer; i++)
    if (j->layer[i].l.node == node) return j->layer[i].kept ? NULL : &j->layer[i];
  return NULL;
}

/* The contents of an initializer or of a Constant node's tensor; NULL = neither. */
static const struct sumi_tensor *constant_of(const struct sumi_value *v) {
  if (v->constant) return v->constant;
  return v->producer && quant_is(v->producer, "Constant") ? sumi_attr_tensor(v->producer, "value") : NULL;
}

/* A Pad with 0 alone; MaxPool without indices. */
static bool is_plain(const struct sumi_node *node) {
  for (int i = 1; i < node->n_out; i++)
    if (node->out[i] && node->out[i]->n_use) return false;
  if (!quant_is(node, "Pad")) return true;
  const struct sumi_tensor *t = node->n_in > 2 && node->in[2] ? constant_of(node->in[2]) : NULL;
  if (!sumi_attr_is(node, "mode", "constant", "constant") || node->version < 11) return false;
  return node->n_in < 3 || !node->in[2] ||
         (t && sumi_tensor_count(t) == 1 && sumi_get_f64(t->dtype, t->data, 0) == 0);
}

/* Relu, or Clip with limits that are constants. */
static bool is_clamp(const struct sumi_node *node) {
  if (quant_is(node, "Relu")) return true;
  if (!quant_is(node, "Clip")) return false;
  for (int i = 1; i < node->n_in; i++)
    if (node->in[i] && !constant_of(node->in[i])) return false;
  return true;
}

struct sumi_node *quant_clamp_behind(const struct sumi_value *v) {
  struct sumi_node *node = v->n_use == 1 && !v->is_output ? v->first_use->node : NULL;
  return node && v->first_use->index == 0 && is_clamp(node) ? node : NULL;
}

static bool is_float(const struct sumi_value *v) {
  return v && v->info.kind == SUMI_TENSOR && v->info.dtype == SUMI_FLOAT32;
}

static void want(struct quant_job *j, struct sumi_value *v) { j->value[v->id].is_wanted = true; }

/* v is made of 8 bits: it, or what a clamp makes of it, is quantised. */
static void want_result(struct quant_job *j, struct sumi_value *v) {
  struct sumi_node *clamp;
  j->like[v->id] = true;
  while ((clamp = quant_clamp_behind(v))) {
    v = clamp->out[0];
    j->like[v->id] = true;
  }
  if (!v->is_output && v->n_use) want(j, v);
}

static bool all_like(const struct sumi_node *node, const struct between *b, const bool *like) {
  const int n = b->all ? node->n_in : 1;
  if (node->n_captured || node->inlined || !is_plain(node) || (quant_is(node, "Clip") && !is_clamp(node)))
    return false;
  for (int i = 0; i < n; i++)
    if (i >= node->n_in || !is_float(node->in[i]) || node->in[i]->constant || !like[node->in[i]->id])
      return false;
  return is_float(node->out[0]);
}

static void plan_node(struct quant_job *j, struct sumi_node *node) {
  const struct quant_layer *l = quant_layer_of(j, node);
  if (l && quant_is(node, "Conv")) want_result(j, node->out[0]);
  if (l) return;
  const struct between *b = between_of(node);
  if (!b || !all_like(node, b, j->like)) return;
  if (quant_clamp_behind(node->in[0]) == node) return; /* part of what makes its input */
  j->spread[node->id] = true;
  const int n = b->all ? node->n_in : 1;
  for (int i = 0; i < n; i++) want(j, node->in[i]);
  struct sumi_value *y = node->out[0];
  j->like[y->id] = true;
  if (b->alike && !y->is_output && y->n_use) {
    want(j, y);
    j->value[y->id].alike = node->in[0];
  } else if (!b->alike) {
    want_result(j, y);
  }
}

void quant_plan(struct quant_job *j) {
  for (size_t i = 0; i < j->g->n_value; i++) {
    j->value[i].is_wanted = j->like[i] = false;
    j->value[i].alike = NULL;
  }
  for (size_t i = 0; i < j->g->n_node; i++) j->spread[i] = false;
  for (size_t i = 0; i < j->n_layer; i++) {
    if (j->layer[i].kept) continue;
    want(j, quant_x(&j->layer[i]));
    if (quant_is(j->layer[i].l.node, "Conv")) j->like[quant_x(&j->layer[i])->id] = true;
  }
  for (size_t i = 0; i < j->g->n_node; i++) plan_node(j, j->g->node[i]);
}

/* Node reads v in 8 bits itself. */
static bool works_on_bytes(const struct quant_job *j, const struct sumi_use *u) {
  const struct quant_layer *l = quant_layer_of(j, u->node);
  if (l) return (int)u->index == l->l.product.x;
  const struct between *b = between_of(u->node);
  return j->spread[u->node->id] && (b->all || u->index == 0);
}

/* What is made of 8 bits is rounded anyway: nobody needs it as it was, and its maker shall put out nothing else. Of other
 * values only those who work on 8 bits read the rounded ones: a residual beside a transformer's layers keeps its bits. */
bool quant_reads(const struct quant_job *j, const struct sumi_value *v, const struct sumi_use *u) {
  const struct sumi_node *node = u->node;
  if (!node || (int)u->index >= node->n_in - node->n_captured) return false;
  return (j->like[v->id] && v->producer) || works_on_bytes(j, u);
}

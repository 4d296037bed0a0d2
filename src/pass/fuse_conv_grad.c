/* fuse-conv-grad: the gradient of a convolution's weights, as op/window_grad.c writes it (a convolution of x with dy, batch and
 * channels exchanged in both and in the result), becomes sumi.ConvWeightGrad of x and dy as they lie. Without groups, float32. */
#include "op/ops.h"
#include "pass/pass.h"

/* The node is a Transpose that exchanges the first two of rank dimensions. */
static bool swaps(const struct sumi_node *node, int rank) {
  int n;
  if (!node || node->op != &sumi_op_transpose) return false;
  const int64_t *perm = sumi_attr_ints(node, "perm", &n);
  if (n != rank) return false;
  for (int i = 0; i < n; i++)
    if (perm[i] != (i < 2 ? 1 - i : i)) return false;
  return true;
}

/* What makes v, where nobody else reads it. */
static struct sumi_node *made_for_one(const struct sumi_value *v) {
  return v->n_use == 1 && !v->is_output ? v->producer : NULL;
}

static const struct sumi_tensor *constant(const struct sumi_node *node, int i) {
  return i < node->n_in && node->in[i] && !node->in[i]->is_input ? node->in[i]->constant : NULL;
}

/* A Slice that keeps the first of every spatial dimension and all of the others. */
static bool keeps_first(const struct sumi_node *slice, int rank) {
  const struct sumi_tensor *start = constant(slice, 1), *axes = constant(slice, 3);
  if (slice->n_in != 4 || !start || !axes || sumi_tensor_count(axes) != rank - 2) return false;
  for (int i = 0; i < rank - 2; i++)
    if (sumi_get_i64(start->dtype, start->data, i) || sumi_get_i64(axes->dtype, axes->data, i) != 2 + i)
      return false;
  return true;
}

struct match {
  struct sumi_node *slice, *conv, *x, *dy; /* slice may be NULL; x and dy are the Transposes */
  int64_t kernel[SUMI_MAX_RANK];
};

static bool find(const struct sumi_node *last, struct match *m) {
  const struct sumi_info *w = &last->out[0]->info;
  if (w->rank < 3 || w->dtype != SUMI_FLOAT32 || !swaps(last, w->rank)) return false;
  m->conv = made_for_one(last->in[0]);
  m->slice = m->conv && m->conv->op == &sumi_op_slice ? m->conv : NULL;
  if (m->slice) m->conv = keeps_first(m->slice, w->rank) ? made_for_one(m->slice->in[0]) : NULL;
  if (!m->conv || m->conv->op != &sumi_op_conv || m->conv->n_in != 2 ||
      sumi_attr_int(m->conv, "group", 1) != 1 || !sumi_attr_is(m->conv, "auto_pad", "NOTSET", "NOTSET"))
    return false;
  m->x = m->conv->in[0]->producer;
  m->dy = m->conv->in[1]->producer;
  for (int i = 2; i < w->rank; i++) {
    if (w->dim[i] < 1) return false;
    m->kernel[i - 2] = w->dim[i];
  }
  return swaps(m->x, w->rank) && swaps(m->dy, w->rank);
}

static sumi_status copy_ints(const struct sumi_node *from, const char *name, struct sumi_node *to,
                             const char *as, struct sumi_err *err) {
  int n;
  const int64_t *v = sumi_attr_ints(from, name, &n);
  return v ? sumi_node_set_ints(to, as, v, (size_t)n, err) : SUMI_OK;
}

static void remove_unused(struct sumi_graph *g, struct sumi_node *node) {
  if (node && !sumi_node_removed(node) && !node->out[0]->n_use && !node->out[0]->is_output)
    sumi_graph_remove_node(g, node);
}

/* The last Transpose becomes the operator. Strides of the one are dilations of the other. */
static sumi_status fuse(struct sumi_graph *g, struct sumi_node *node, const struct match *m,
                        struct sumi_err *err) {
  const int n = node->out[0]->info.rank - 2;
  if (!sumi_node_add_input(node, m->dy->in[0])) SUMI_FAIL_MEMORY(err);
  sumi_node_set_input(node, 0, m->x->in[0]);
  sumi_node_remove_attr(node, "perm");
  node->op = &sumi_op_conv_weight_grad;
  node->op_name = "sumi.ConvWeightGrad";
  node->version = 1;
  SUMI_TRY(sumi_node_set_ints(node, "kernel_shape", m->kernel, (size_t)n, err));
  SUMI_TRY(copy_ints(m->conv, "dilations", node, "strides", err));
  SUMI_TRY(copy_ints(m->conv, "strides", node, "dilations", err));
  SUMI_TRY(copy_ints(m->conv, "pads", node, "pads", err));
  remove_unused(g, m->slice);
  remove_unused(g, m->conv);
  remove_unused(g, m->x);
  if (m->dy != m->x) remove_unused(g, m->dy);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct match m;
    if (!sumi_node_removed(g->node[i]) && g->node[i]->op == &sumi_op_transpose && find(g->node[i], &m))
      SUMI_TRY(fuse(g, g->node[i], &m, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_fuse_conv_grad = {
    .name = "fuse-conv-grad",
    .what = "makes one operator of the convolution and transpositions that give a gradient of weights",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

/* fold-pad: a Pad of zeros before a Conv becomes part of the convolution's pads, so that nothing is copied for it:
 * mode constant, value 0 or none, constant pads that are not negative, spatial dimensions only, the convolution's own
 * pads explicit, nobody else reading the padded value. */
#include "base/text.h"
#include "pass/pass.h"

/* The integers of a constant input; NULL = not there or not constant. */
static const struct sumi_tensor *constant_input(const struct sumi_node *node, int i) {
  if (i >= node->n_in || !node->in[i] || node->in[i]->is_input) return NULL;
  return node->in[i]->constant;
}

static bool absent(const struct sumi_node *node, int i) { return i >= node->n_in || !node->in[i]; }

/* The padding value is zero. */
static bool pads_zero(const struct sumi_node *pad) {
  if (!sumi_attr_is(pad, "mode", "constant", "constant") || sumi_attr_float(pad, "value", 0) != 0)
    return false;
  if (absent(pad, 2)) return true;
  const struct sumi_tensor *t = constant_input(pad, 2);
  return t && sumi_tensor_count(t) == 1 && sumi_get_f64(t->dtype, t->data, 0) == 0;
}

/* Pads of the n spatial dimensions, begins then ends; false where they cannot be taken over. */
static bool spatial_pads(const struct sumi_node *pad, int n, int64_t *pads) {
  const int rank = n + 2;
  int64_t all[2 * SUMI_MAX_RANK];
  int n_attr;
  const int64_t *attr = sumi_attr_ints(pad, pad->version < 2 ? "paddings" : "pads", &n_attr);
  const struct sumi_tensor *t = constant_input(pad, 1);
  if (!absent(pad, 3)) return false; /* axes */
  if (t ? sumi_tensor_count(t) != 2 * rank : n_attr != 2 * rank) return false;
  for (int i = 0; i < 2 * rank; i++) all[i] = t ? sumi_get_i64(t->dtype, t->data, i) : attr[i];
  for (int i = 0; i < 2 * rank; i++)
    if (all[i] < 0 || all[i] > INT32_MAX / 4 || (i % rank < 2 && all[i])) return false;
  for (int i = 0; i < n; i++) {
    pads[i] = all[2 + i];
    pads[n + i] = all[rank + 2 + i];
  }
  return true;
}

static sumi_status fold(struct sumi_graph *g, struct sumi_node *conv, struct sumi_err *err) {
  struct sumi_node *pad = conv->in[0] ? conv->in[0]->producer : NULL;
  if (!pad || !sumi_streq(pad->op->name, "Pad") || conv->in[0]->n_use != 1 || conv->in[0]->is_output ||
      !pad->in[0])
    return SUMI_OK;
  const int rank = pad->in[0]->info.rank, n = rank - 2;
  if (n < 1 || pad->in[0]->info.dtype != SUMI_FLOAT32 ||
      !sumi_attr_is(conv, "auto_pad", "NOTSET", "NOTSET") || !pads_zero(pad))
    return SUMI_OK;
  int64_t pads[2 * SUMI_MAX_RANK];
  int n_own;
  const int64_t *own = sumi_attr_ints(conv, "pads", &n_own);
  if (!spatial_pads(pad, n, pads) || (n_own && n_own != 2 * n)) return SUMI_OK;
  for (int i = 0; i < n_own; i++) {
    if (own[i] < 0 || own[i] > INT32_MAX / 4) return SUMI_OK;
    pads[i] += own[i];
  }
  SUMI_TRY(sumi_node_set_ints(conv, "pads", pads, 2 * (size_t)n, err));
  sumi_node_set_input(conv, 0, pad->in[0]);
  sumi_graph_remove_node(g, pad);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++)
    if (!sumi_node_removed(g->node[i]) && sumi_streq(g->node[i]->op->name, "Conv"))
      SUMI_TRY(fold(g, g->node[i], err));
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_fold_pad = {
    .name = "fold-pad",
    .what = "puts a Pad of zeros into the pads of the convolution behind it",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

/* fold-batchnorm: a BatchNormalization behind a Conv whose weights are constant goes into them:
 *   w'[m] = w[m] * s[m], b'[m] = (b[m] - mean[m]) * s[m] + bias[m], with s = scale / sqrt(var + epsilon).
 * Float32 only. Figures are computed in double precision and rounded once. */
#include <math.h>
#include <string.h>

#include "pass/pass.h"

static const struct sumi_tensor *constant_f32(const struct sumi_node *node, int i, int64_t count) {
  if (i >= node->n_in || !node->in[i] || node->in[i]->is_input) return NULL;
  const struct sumi_tensor *t = node->in[i]->constant;
  return t && t->dtype == SUMI_FLOAT32 && (count < 0 || sumi_tensor_count(t) == count) ? t : NULL;
}

static bool only_output_0(const struct sumi_node *node) {
  for (int i = 1; i < node->n_out; i++)
    if (node->out[i]) return false;
  return node->out[0] != NULL;
}

struct parts {
  struct sumi_node *conv;
  const struct sumi_tensor *w, *b, *scale, *bias, *mean, *var;
  int64_t channels;
};

static bool match(const struct sumi_node *bn, struct parts *p) {
  if (!sumi_streq(bn->op->name, "BatchNormalization") || !only_output_0(bn) || bn->n_in != 5 || !bn->in[0])
    return false;
  if (sumi_attr_int(bn, "training_mode", 0) || (bn->version < 7 && !sumi_attr_int(bn, "is_test", 0)) ||
      !sumi_attr_int(bn, "spatial", 1))
    return false;
  p->conv = bn->in[0]->producer;
  if (!p->conv || !sumi_streq(p->conv->op->name, "Conv") || bn->in[0]->n_use != 1) return false;
  p->w = constant_f32(p->conv, 1, -1);
  if (!p->w || p->w->rank < 3) return false;
  p->channels = p->w->dim[0];
  const bool has_bias = p->conv->n_in > 2 && p->conv->in[2];
  p->b = constant_f32(p->conv, 2, p->channels);
  if (has_bias != (p->b != NULL)) return false;
  p->scale = constant_f32(bn, 1, p->channels);
  p->bias = constant_f32(bn, 2, p->channels);
  p->mean = constant_f32(bn, 3, p->channels);
  p->var = constant_f32(bn, 4, p->channels);
  return p->scale && p->bias && p->mean && p->var;
}

static struct sumi_value *new_constant(struct sumi_graph *g, const struct sumi_tensor *like, float **data) {
  struct sumi_blob *blob = sumi_blob_new(g->allocator, (size_t)sumi_tensor_count(like) * sizeof(float));
  if (!blob) return NULL;
  struct sumi_tensor t = *like;
  t.data = *data = sumi_blob_bytes(blob);
  return sumi_graph_add_constant(g, NULL, &t, blob);
}

static sumi_status fold(struct sumi_graph *g, struct sumi_node *bn, const struct parts *p,
                        struct sumi_err *err) {
  float *w, *b;
  const struct sumi_tensor vector = {
      .kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 1, .dim = {p->channels}};
  struct sumi_value *wv = new_constant(g, p->w, &w), *bv = new_constant(g, &vector, &b);
  if (!wv || !bv) SUMI_FAIL_MEMORY(err);
  const double epsilon = sumi_attr_float(bn, "epsilon", 1e-5f);
  const int64_t each = p->channels ? sumi_tensor_count(p->w) / p->channels : 0;
  for (int64_t m = 0; m < p->channels; m++) {
    const double s = ((const float *)p->scale->data)[m] / sqrt(((const float *)p->var->data)[m] + epsilon);
    const double b0 = p->b ? ((const float *)p->b->data)[m] : 0;
    b[m] = (float)((b0 - ((const float *)p->mean->data)[m]) * s + ((const float *)p->bias->data)[m]);
    const float *from = (const float *)p->w->data + m * each;
    for (int64_t i = 0; i < each; i++) w[m * each + i] = (float)(from[i] * s);
  }
  sumi_node_set_input(p->conv, 1, wv);
  if (p->conv->n_in > 2)
    sumi_node_set_input(p->conv, 2, bv);
  else if (!sumi_node_add_input(p->conv, bv))
    SUMI_FAIL_MEMORY(err);
  if (sumi_graph_replace_uses(g, bn->out[0], p->conv->out[0])) sumi_graph_remove_node(g, bn);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct parts p;
    if (match(g->node[i], &p)) SUMI_TRY(fold(g, g->node[i], &p, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_fold_batchnorm = {
    .name = "fold-batchnorm",
    .what = "puts BatchNormalization into the weights of the convolution before it",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

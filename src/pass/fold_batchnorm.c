/* fold-batchnorm: a BatchNormalization behind a Conv whose weights are constant becomes factors of them and another bias
 * (sumi.FConv):
 *   s[m] = scale / sqrt(var + epsilon), b'[m] = (b[m] - mean[m]) * s[m] + bias[m].
 * Float32 only, figures in double precision. The weights are not touched: they may be as large as the file, and where a
 * compiled file holds them packed nobody reads them. */
#include <math.h>
#include <string.h>

#include "op/batch_norm.h"
#include "op/ops.h"
#include "pass/pass.h"

static const struct sumi_tensor *constant_f32(const struct sumi_node *node, int i, int64_t count) {
  if (i >= node->n_in || !node->in[i] || node->in[i]->is_input) return NULL;
  const struct sumi_tensor *t = node->in[i]->constant;
  return t && t->dtype == SUMI_FLOAT32 && (count < 0 || sumi_tensor_count(t) == count) ? t : NULL;
}

enum { B = 2, S = 4 }; /* inputs of sumi.FConv */

struct parts {
  struct sumi_node *conv;
  const struct sumi_tensor *w, *b;
  struct sumi_batch_norm norm;
  const double *factor; /* [channels] that the convolution has already; NULL = none */
  int64_t channels;
};

static bool match(const struct sumi_node *bn, struct parts *p) {
  p->conv = bn->n_in && bn->in[0] ? bn->in[0]->producer : NULL;
  if (!p->conv || bn->in[0]->n_use != 1) return false;
  const bool again = p->conv->op == &sumi_op_fconv; /* behind another BatchNormalization */
  if (!again && !sumi_streq(p->conv->op->name, "Conv")) return false;
  p->factor = again ? p->conv->in[S]->constant->data : NULL;
  p->w = constant_f32(p->conv, 1, -1);
  if (!p->w || p->w->rank < 3) return false;
  p->channels = p->w->dim[0];
  const bool has_bias = p->conv->n_in > B && p->conv->in[B];
  p->b = constant_f32(p->conv, B, p->channels);
  return has_bias == (p->b != NULL) && sumi_batch_norm_fixed(bn, p->channels, &p->norm);
}

/* A constant [n] of dtype, whose elements are at *data. */
static struct sumi_value *new_vector(struct sumi_graph *g, sumi_dtype dtype, int64_t n, void **data) {
  size_t bytes;
  struct sumi_blob *blob = sumi_dtype_bytes(dtype, n, &bytes) ? sumi_blob_new(g->allocator, bytes) : NULL;
  if (!blob) return NULL;
  const struct sumi_tensor t = {
      .kind = SUMI_TENSOR, .dtype = dtype, .rank = 1, .dim = {n}, .data = sumi_blob_bytes(blob)};
  *data = t.data;
  return sumi_graph_add_constant(g, NULL, &t, blob);
}

/* Input i of conv, which has room for it or is one short. */
static bool set_input(struct sumi_node *conv, int i, struct sumi_value *v) {
  while (conv->n_in < i)
    if (!sumi_node_add_input(conv, NULL)) return false;
  if (conv->n_in == i) return sumi_node_add_input(conv, v);
  sumi_node_set_input(conv, i, v);
  return true;
}

static sumi_status fold(struct sumi_graph *g, struct sumi_node *bn, const struct parts *p,
                        struct sumi_err *err) {
  void *factor, *bias;
  struct sumi_value *sv = new_vector(g, SUMI_FLOAT64, p->channels, &factor),
                    *bv = new_vector(g, SUMI_FLOAT32, p->channels, &bias);
  if (!sv || !bv) SUMI_FAIL_MEMORY(err);
  double *s = factor;
  float *b = bias;
  for (int64_t m = 0; m < p->channels; m++) {
    const double b0 = p->b ? ((const float *)p->b->data)[m] : 0;
    s[m] = p->norm.scale[m] / sqrt(p->norm.var[m] + p->norm.epsilon);
    b[m] = (float)((b0 - p->norm.mean[m]) * s[m] + p->norm.bias[m]);
    if (p->factor) s[m] *= p->factor[m];
  }
  if (!set_input(p->conv, B, bv) || !set_input(p->conv, S, sv)) SUMI_FAIL_MEMORY(err);
  p->conv->op = &sumi_op_fconv;
  p->conv->op_name = "sumi.FConv";
  p->conv->version = 1;
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
    .what = "makes BatchNormalization factors and bias of the convolution before it",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

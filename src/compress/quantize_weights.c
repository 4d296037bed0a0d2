/* Layers that may get 8 bits, their weights in 8 bits, and convolutions in pairs whose channels are evened out. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/quantize_int.h"
#include "op/ops.h"

/* ---- finding ---------------------------------------------------------------------------------------------------- */

/* The constant with one number a row that the node adds, or the Add behind it. */
static struct sumi_value *bias_of(const struct sumi_layer *l) {
  const int b = l->product.b;
  struct sumi_value *v = b >= 0 && b < l->node->n_in ? l->node->in[b] : l->bias;
  const struct sumi_tensor *t = v ? v->constant : NULL;
  return t && t->dtype == SUMI_FLOAT32 && sumi_tensor_count(t) == l->product.rows ? v : NULL;
}

/* By the node's name, its weights' or its output's. */
static bool is_called(const struct sumi_layer *l, const char *name) {
  const struct sumi_value *y = l->node->out[0];
  return sumi_streq(name, l->node->name) || sumi_streq(name, l->weight->name) ||
         (y && sumi_streq(name, y->name));
}

static bool is_named(const struct quant_job *j, const struct sumi_layer *l) {
  for (size_t i = 0; i < j->o->n_keep; i++)
    if (is_called(l, j->o->keep[i])) return true;
  return false;
}

/* Why a layer cannot get 8 bits; NULL = it can. */
static const char *refusal(const struct quant_job *j, const struct sumi_layer *l) {
  const struct sumi_node *node = l->node;
  const bool gemm = quant_is(node, "Gemm");
  if (is_named(j, l)) return "asked for";
  if (node->inlined) return "it stands in a local function of the file";
  if (!gemm && !quant_is(node, "Conv") && !quant_is(node, "MatMul"))
    return "only Conv, Gemm and MatMul have an 8-bit form";
  if (l->weight->constant->dtype != SUMI_FLOAT32) return "its weights are not float32";
  if (gemm && (sumi_attr_float(node, "alpha", 1) != 1 || sumi_attr_float(node, "beta", 1) != 1 ||
               sumi_attr_int(node, "transA", 0)))
    return "alpha and beta are not 1, or transA is set";
  if (l->product.x < 0 || !node->in[l->product.x] || node->in[l->product.x]->constant ||
      node->in[l->product.x]->info.dtype != SUMI_FLOAT32)
    return "its input is no float32 value";
  return NULL;
}

static void add_layer(struct quant_job *j, struct sumi_layer l) {
  const struct sumi_node *node = l.node;
  const bool first = quant_is(node, "Conv") || (quant_is(node, "Gemm") && sumi_attr_int(node, "transB", 0));
  j->layer[j->n_layer++] = (struct quant_layer){
      .l = l, .bias = bias_of(&l), .axis = first ? 0 : 1, .kept = refusal(j, &l), .error = -1};
}

sumi_status quant_find_layers(struct quant_job *j, struct sumi_err *err) {
  struct sumi_layer *unique;
  size_t n_unique, next = 0;
  SUMI_TRY(sumi_layers_find(j->g, j->arena, &unique, &n_unique, err));
  /* one row for every node: nodes that share weights are layers of their own here */
  j->layer = SUMI_NEW_ARRAY(j->arena, n_unique + j->g->n_node, struct quant_layer);
  if (!j->layer) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < j->g->n_node; i++) {
    struct sumi_node *node = j->g->node[i];
    const size_t before = next;
    for (; next < n_unique && unique[next].node == node; next++)
      if (next == before) add_layer(j, unique[next]);
    struct sumi_op_product p;
    if (next == before && node->op->product && node->op->product(node, 0, &p))
      add_layer(j, (struct sumi_layer){node, p, node->in[p.w], NULL});
  }
  for (size_t i = 0; i < j->o->n_keep; i++) {
    bool found = false;
    for (size_t k = 0; k < j->n_layer && !found; k++) found = is_called(&j->layer[k].l, j->o->keep[i]);
    if (!found) SUMI_FAIL(err, SUMI_E_ARG, "there is no layer '%s' to keep in float", j->o->keep[i]);
  }
  return SUMI_OK;
}

/* ---- 8 bits ----------------------------------------------------------------------------------------------------- */

static int64_t place(const struct sumi_op_product *p, int64_t row, int64_t col) {
  return p->first + row * p->row_step + col / p->channels * p->tap_step + col % p->channels * p->channel_step;
}

float quant_bias_at(const struct quant_layer *l, int64_t row) {
  return l->bias ? ((const float *)l->bias->constant->data)[row] : 0;
}

/* The largest magnitude of each row; SUMI_E_VALUE where it is not finite. */
static sumi_status row_peaks(const struct quant_layer *l, float *peak, struct sumi_err *err) {
  const float *w = l->l.weight->constant->data;
  const int64_t cols = sumi_layer_cols(&l->l);
  for (int64_t r = 0; r < l->l.product.rows; r++) {
    peak[r] = 0;
    for (int64_t c = 0; c < cols; c++) {
      const float x = fabsf(w[place(&l->l.product, r, c)]);
      if (!isfinite(x))
        SUMI_FAIL(err, SUMI_E_VALUE, "the weights '%s' of layer '%s' are not finite", l->l.weight->name,
                  l->l.node->name);
      peak[r] = SUMI_MAX(peak[r], x);
    }
    if (!isfinite(quant_bias_at(l, r)))
      SUMI_FAIL(err, SUMI_E_VALUE, "the bias '%s' of layer '%s' is not finite", l->bias->name,
                l->l.node->name);
  }
  return SUMI_OK;
}

/* scale[rows] = peak / 127; a row of zeros takes the largest; none so small that the bias in units of x_scale * scale
 * leaves 30 bits. */
static void row_scales(const struct quant_job *j, const struct quant_layer *l, float *scale) {
  const int64_t rows = l->l.product.rows;
  const float x_scale = quant_params(j, quant_x(l))->range.scale;
  float most = 0;
  for (int64_t r = 0; r < rows; r++) most = SUMI_MAX(most, scale[r]);
  if (most == 0) most = 1;
  for (int64_t r = 0; r < rows; r++) {
    const float peak = j->o->per_tensor || scale[r] == 0 ? most : scale[r];
    const double bias_unit = fabs((double)quant_bias_at(l, r)) / (double)x_scale / (1 << 30);
    scale[r] = SUMI_MAX(SUMI_MAX(peak / 127, (float)bias_unit), FLT_MIN * 1024 / SUMI_MIN(x_scale, 1.0f));
  }
  if (!j->o->per_tensor) return;
  for (int64_t r = 0; r < rows; r++) most = r ? SUMI_MAX(most, scale[r]) : scale[0];
  for (int64_t r = 0; r < rows; r++) scale[r] = most;
}

sumi_status quant_weights(struct quant_job *j, struct quant_layer *l, struct sumi_err *err) {
  const struct sumi_tensor *t = l->l.weight->constant;
  const int64_t rows = l->l.product.rows, cols = sumi_layer_cols(&l->l);
  const float *w = t->data;
  if (!l->w_scale) l->w_scale = SUMI_NEW_ARRAY(j->arena, (size_t)rows, float);
  if (!l->w) l->w = SUMI_NEW_ARRAY(j->arena, (size_t)sumi_tensor_count(t), int8_t);
  if (!l->w_scale || !l->w) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(row_peaks(l, l->w_scale, err));
  row_scales(j, l, l->w_scale);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++) {
      const int64_t at = place(&l->l.product, r, c);
      const float q = nearbyintf(w[at] / l->w_scale[r]);
      l->w[at] = (int8_t)SUMI_MAX(-127.0f, SUMI_MIN(q, 127.0f));
    }
  return SUMI_OK;
}

/* ---- equalisation ----------------------------------------------------------------------------------------------- */

/* The convolution that alone reads y, perhaps behind a Relu. */
static struct quant_layer *reader_of(const struct quant_job *j, const struct sumi_value *y) {
  for (int i = 0; i < 2; i++) {
    if (y->n_use != 1 || y->is_output || !y->first_use->node) return NULL;
    struct sumi_node *node = y->first_use->node;
    struct quant_layer *l = quant_layer_of(j, node);
    if (l) return y->first_use->index == 0 && quant_is(node, "Conv") ? l : NULL;
    if (!quant_is(node, "Relu")) return NULL;
    y = node->out[0];
  }
  return NULL;
}

/* peak[channel of x] of the weights that read it. w is [rows, cols]. */
static void input_peaks(const struct quant_layer *l, const float *w, float *peak) {
  const struct sumi_op_product *p = &l->l.product;
  const int64_t cols = sumi_layer_cols(&l->l);
  memset(peak, 0, (size_t)(p->groups * p->channels) * sizeof *peak);
  for (int64_t r = 0; r < p->rows; r++)
    for (int64_t c = 0; c < cols; c++) {
      float *at = &peak[r / (p->rows / p->groups) * p->channels + c % p->channels];
      *at = SUMI_MAX(*at, fabsf(w[r * cols + c]));
    }
}

/* Row r of a is divided by s[r], what reads it in b multiplied (Nagel et al. 2019, arXiv 1906.04721):
 * s = sqrt(peak of the row / peak of its readers). */
static sumi_status equalise_pair(struct quant_job *j, struct quant_layer *a, struct quant_layer *b,
                                 struct sumi_err *err) {
  const struct sumi_op_product *p = &a->l.product, *q = &b->l.product;
  const int64_t rows = p->rows, a_cols = sumi_layer_cols(&a->l), b_cols = sumi_layer_cols(&b->l);
  float *wa = SUMI_NEW_ARRAY(j->arena, (size_t)(rows * a_cols), float),
        *wb = SUMI_NEW_ARRAY(j->arena, (size_t)(q->rows * b_cols), float),
        *bias = SUMI_NEW_ARRAY(j->arena, (size_t)rows, float),
        *in = SUMI_NEW_ARRAY(j->arena, (size_t)rows, float),
        *s = SUMI_NEW_ARRAY(j->arena, (size_t)rows, float);
  if (!wa || !wb || !bias || !in || !s) SUMI_FAIL_MEMORY(err);
  sumi_layer_read(&a->l, wa);
  sumi_layer_read(&b->l, wb);
  if (a->bias) sumi_layer_read_bias(&a->l, bias);
  input_peaks(b, wb, in);
  for (int64_t r = 0; r < rows; r++) {
    float out = 0;
    for (int64_t c = 0; c < a_cols; c++) out = SUMI_MAX(out, fabsf(wa[r * a_cols + c]));
    s[r] = out > 0 && in[r] > 0 ? SUMI_MAX(1e-2f, SUMI_MIN(sqrtf(out / in[r]), 1e2f)) : 1;
    for (int64_t c = 0; c < a_cols; c++) wa[r * a_cols + c] /= s[r];
    bias[r] /= s[r];
  }
  for (int64_t r = 0; r < q->rows; r++)
    for (int64_t c = 0; c < b_cols; c++)
      wb[r * b_cols + c] *= s[r / (q->rows / q->groups) * q->channels + c % q->channels];
  SUMI_TRY(sumi_layer_write(&a->l, wa, err));
  SUMI_TRY(sumi_layer_write(&b->l, wb, err));
  if (a->bias) SUMI_TRY(sumi_layer_write_bias(&a->l, bias, err));
  a->weights_changed = b->weights_changed = a->equalised = b->equalised = true;
  a->bias_changed |= a->bias != NULL;
  return SUMI_OK;
}

sumi_status quant_equalise(struct quant_job *j, struct sumi_err *err) {
  for (size_t i = 0; i < j->n_layer; i++) {
    struct quant_layer *a = &j->layer[i];
    if (a->kept || !quant_is(a->l.node, "Conv") || a->l.weight->n_use != 1 || a->bias != a->l.bias) continue;
    struct quant_layer *b = reader_of(j, a->l.node->out[0]);
    if (!b || b->l.weight->n_use != 1 || b->l.product.groups * b->l.product.channels != a->l.product.rows)
      continue;
    SUMI_TRY(equalise_pair(j, a, b, err));
  }
  return SUMI_OK;
}

/* Products with constant weights as matrices: finding them, reading and writing their weights and biases. */
#include "compress/layer.h"

#include <stdio.h>

#include "base/reread.h"
#include "base/size.h"
#include "op/ops.h"

bool sumi_layer_takes(const struct sumi_tensor *t) {
  return t && t->kind == SUMI_TENSOR &&
         (t->dtype == SUMI_FLOAT32 || t->dtype == SUMI_FLOAT64 || t->dtype == SUMI_FLOAT16 ||
          t->dtype == SUMI_BFLOAT16);
}

/* v where it is a constant of one number a row that nobody can override and nobody else reads. */
static struct sumi_value *row_vector(struct sumi_value *v, int64_t rows) {
  if (!v || v->is_input || v->n_use != 1 || !sumi_layer_takes(v->constant)) return NULL;
  const struct sumi_tensor *t = v->constant;
  return t->rank >= 1 && t->dim[t->rank - 1] == rows && sumi_tensor_count(t) == rows ? v : NULL;
}

static struct sumi_value *find_bias(const struct sumi_node *node, const struct sumi_op_product *p) {
  if (p->b >= 0) return p->b < node->n_in ? row_vector(node->in[p->b], p->rows) : NULL;
  /* a MatMul's: the constant of the Add that alone reads it; other operators' outputs are not their products */
  const struct sumi_value *y = node->out[0];
  const bool plain = node->op == &sumi_op_matmul || node->op == &sumi_op_fused_matmul;
  if (!plain || !y || y->is_output || y->n_use != 1) return NULL;
  const struct sumi_node *add = y->first_use->node;
  if (!add || add->op != &sumi_op_add) return NULL;
  return row_vector(add->in[add->in[0] == y], p->rows);
}

static bool is_known(const struct sumi_layer *layers, size_t n, const struct sumi_value *weight,
                     int64_t first) {
  for (size_t i = 0; i < n; i++)
    if (layers[i].weight == weight && layers[i].product.first == first) return true;
  return false;
}

static size_t parts_of(const struct sumi_node *node) {
  struct sumi_op_product p;
  int n = 0;
  while (node->op->product && node->op->product(node, n, &p)) n++;
  return (size_t)n;
}

sumi_status sumi_layers_find(const struct sumi_graph *g, struct sumi_arena *arena, struct sumi_layer **out,
                             size_t *n, struct sumi_err *err) {
  size_t most = 0;
  for (size_t i = 0; i < g->n_node; i++) most += parts_of(g->node[i]);
  *n = 0;
  if (!(*out = SUMI_NEW_ARRAY(arena, most, struct sumi_layer))) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < g->n_node; i++) {
    struct sumi_node *node = g->node[i];
    struct sumi_op_product p;
    for (int part = 0; node->op->product && node->op->product(node, part, &p); part++) {
      struct sumi_value *w = node->in[p.w];
      if (!sumi_layer_takes(w->constant) || is_known(*out, *n, w, p.first)) continue;
      (*out)[(*n)++] = (struct sumi_layer){node, p, w, find_bias(node, &p)};
    }
  }
  return SUMI_OK;
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

void sumi_layer_read(const struct sumi_layer *l, float *w) {
  const struct sumi_tensor *t = l->weight->constant;
  const int64_t cols = sumi_layer_cols(l);
  for (int64_t r = 0; r < l->product.rows; r++)
    for (int64_t c = 0; c < cols; c++)
      w[r * cols + c] = (float)sumi_get_f64(t->dtype, t->data, sumi_layer_place(l, r, c));
}

void sumi_constants_keep(const struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_value; i++) sumi_reread_fill(g->value[i]->blob, true);
}

sumi_status sumi_constant_own(struct sumi_graph *g, struct sumi_value *v, void **data, struct sumi_err *err) {
  size_t bytes;
  struct sumi_tensor *t = SUMI_NEW(g->arena, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(err);
  *t = *v->constant;
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  struct sumi_blob *blob = sumi_blob_new(g->allocator, SUMI_MAX(bytes, (size_t)1));
  if (!blob) SUMI_FAIL_MEMORY(err);
  *data = sumi_blob_bytes(blob);
  sumi_copy(t->dtype, *data, 0, t->data, 0, sumi_tensor_count(t));
  t->data = *data;
  sumi_graph_set_constant(v, t, blob);
  return SUMI_OK;
}

sumi_status sumi_layer_write(struct sumi_layer *l, const float *w, struct sumi_err *err) {
  void *data;
  SUMI_TRY(sumi_constant_own(l->node->graph, l->weight, &data, err));
  const int64_t cols = sumi_layer_cols(l);
  for (int64_t r = 0; r < l->product.rows; r++)
    for (int64_t c = 0; c < cols; c++)
      sumi_set_f64(l->weight->constant->dtype, data, sumi_layer_place(l, r, c), (double)w[r * cols + c]);
  return SUMI_OK;
}

/* ---- biases ----------------------------------------------------------------------------------------------------- */

bool sumi_layer_has_bias(const struct sumi_layer *l) {
  const int b = l->product.b;
  return l->bias || (b >= 0 && (b >= l->node->n_in || !l->node->in[b]));
}

void sumi_layer_read_bias(const struct sumi_layer *l, float *b) {
  const struct sumi_tensor *t = l->bias ? l->bias->constant : NULL;
  for (int64_t r = 0; r < l->product.rows; r++) b[r] = t ? (float)sumi_get_f64(t->dtype, t->data, r) : 0;
}

/* A constant of zeros as the node's bias. */
static sumi_status add_bias(struct sumi_layer *l, struct sumi_err *err) {
  struct sumi_node *node = l->node;
  const sumi_dtype dtype = l->weight->constant->dtype;
  struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = dtype, .rank = 1, .dim = {l->product.rows}};
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(dtype, t.dim, 1, &bytes, err));
  struct sumi_blob *blob = sumi_blob_new(node->graph->allocator, SUMI_MAX(bytes, (size_t)1));
  if (!blob) SUMI_FAIL_MEMORY(err);
  t.data = sumi_blob_bytes(blob);
  char name[300];
  snprintf(name, sizeof name, "%.250s_bias", l->weight->name);
  struct sumi_value *v = sumi_graph_add_constant(node->graph, name, &t, blob);
  if (!v) SUMI_FAIL_MEMORY(err);
  if (l->product.b < node->n_in)
    sumi_node_set_input(node, l->product.b, v);
  else if (!sumi_node_add_input(node, v))
    SUMI_FAIL_MEMORY(err);
  l->bias = v;
  return SUMI_OK;
}

sumi_status sumi_layer_write_bias(struct sumi_layer *l, const float *b, struct sumi_err *err) {
  SUMI_ASSERT(err, sumi_layer_has_bias(l));
  void *data;
  if (!l->bias) SUMI_TRY(add_bias(l, err));
  SUMI_TRY(sumi_constant_own(l->node->graph, l->bias, &data, err));
  for (int64_t r = 0; r < l->product.rows; r++) sumi_set_f64(l->bias->constant->dtype, data, r, (double)b[r]);
  return SUMI_OK;
}

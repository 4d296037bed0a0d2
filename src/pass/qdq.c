/* What the passes over quantised networks share. See the header. */
#include "pass/qdq.h"

#include <float.h>
#include <math.h>

enum { ONNX_FLOAT = 1 };

bool sumi_qdq_is_scale(float x) { return x >= FLT_MIN && x <= FLT_MAX; }

static bool is_byte(sumi_dtype d) { return d == SUMI_UINT8 || d == SUMI_INT8; }

/* The type of the 8-bit side where no zero point says it. */
static sumi_dtype default_type(const struct sumi_node *node) {
  if (sumi_qdq_is(node, "DequantizeLinear")) return node->in[0]->info.dtype;
  const int64_t wanted = sumi_attr_int(node, "output_dtype", 0);
  return wanted ? sumi_dtype_from_onnx(wanted) : SUMI_UINT8;
}

bool sumi_qdq_read(const struct sumi_node *node, struct sumi_qdq *p) {
  const struct sumi_tensor *scale = sumi_qdq_constant(sumi_qdq_input(node, 1)),
                           *zero = sumi_qdq_constant(sumi_qdq_input(node, 2));
  if (!node->in[0] || !scale || scale->dtype != SUMI_FLOAT32 || sumi_tensor_count(scale) != 1 ||
      scale->rank > 1 || sumi_attr_int(node, "block_size", 0) ||
      sumi_attr_int(node, "precision", ONNX_FLOAT) > ONNX_FLOAT)
    return false;
  if (sumi_qdq_input(node, 2) && (!zero || sumi_tensor_count(zero) != 1 || zero->rank > 1)) return false;
  if (sumi_qdq_is(node, "DequantizeLinear") && sumi_attr_int(node, "output_dtype", ONNX_FLOAT) > ONNX_FLOAT)
    return false;
  *p = (struct sumi_qdq){.scale = *(const float *)scale->data,
                         .zero = zero ? (int32_t)sumi_get_i64(zero->dtype, zero->data, 0) : 0,
                         .dtype = zero ? zero->dtype : default_type(node),
                         .scale_value = node->in[1],
                         .zero_value = sumi_qdq_input(node, 2)};
  return is_byte(p->dtype) && sumi_qdq_is_scale(p->scale);
}

struct sumi_node *sumi_qdq_dq(const struct sumi_value *v, struct sumi_qdq *p) {
  struct sumi_node *node = v ? v->producer : NULL;
  return sumi_qdq_is(node, "DequantizeLinear") && sumi_qdq_read(node, p) ? node : NULL;
}

struct sumi_node *sumi_qdq_q(const struct sumi_value *v, struct sumi_qdq *p) {
  struct sumi_node *node = sumi_qdq_user(v);
  return sumi_qdq_is(node, "QuantizeLinear") && node->in[0] == v && v->info.dtype == SUMI_FLOAT32 &&
                 sumi_qdq_read(node, p)
             ? node
             : NULL;
}

struct sumi_value *sumi_qdq_new_constant(struct sumi_graph *g, const struct sumi_tensor *shape, void **data,
                                         struct sumi_err *err) {
  size_t bytes;
  if (sumi_shape_bytes(shape->dtype, shape->dim, shape->rank, &bytes, err) != SUMI_OK) return NULL;
  struct sumi_blob *blob = sumi_blob_new(g->allocator, bytes ? bytes : 1);
  if (!blob) return NULL;
  struct sumi_tensor own = *shape;
  *data = own.data = sumi_blob_bytes(blob);
  struct sumi_value *v = sumi_graph_add_constant(g, NULL, &own, blob);
  if (!v) return NULL;
  v->info = (struct sumi_info){.kind = SUMI_TENSOR, .dtype = own.dtype, .rank = own.rank};
  for (int i = 0; i < own.rank; i++) v->info.dim[i] = own.dim[i];
  return v;
}

struct sumi_value *sumi_qdq_zero(struct sumi_graph *g, struct sumi_qdq *p) {
  if (p->zero_value) return p->zero_value;
  const struct sumi_tensor scalar = {.kind = SUMI_TENSOR, .dtype = p->dtype};
  void *data;
  struct sumi_value *v = sumi_qdq_new_constant(g, &scalar, &data, NULL);
  if (v) sumi_set_i64(p->dtype, data, 0, p->zero);
  return p->zero_value = v;
}

void sumi_qdq_drop_unused(struct sumi_graph *g, struct sumi_value *v) {
  while (v && !v->n_use && !v->is_output && v->producer && v->producer->n_out == 1 &&
         (sumi_qdq_is(v->producer, "DequantizeLinear") || sumi_qdq_is(v->producer, "QuantizeLinear") ||
          sumi_qdq_is(v->producer, "Transpose"))) {
    struct sumi_value *before = v->producer->in[0];
    sumi_graph_remove_node(g, v->producer);
    v = before;
  }
}

sumi_status sumi_qdq_become(struct sumi_graph *g, struct sumi_node *node, const struct sumi_op *op,
                            struct sumi_value *const *in, int n_in, struct sumi_err *err) {
  const int n_old = node->n_in;
  struct sumi_value **old = SUMI_NEW_ARRAY(g->arena, (size_t)n_old, struct sumi_value *);
  if (!old) SUMI_FAIL_MEMORY(err);
  for (int i = 0; i < n_old; i++) old[i] = node->in[i];
  while (node->n_in < n_in)
    if (!sumi_node_add_input(node, NULL)) SUMI_FAIL_MEMORY(err);
  for (int i = 0; i < n_in; i++) sumi_node_set_input(node, i, in[i]);
  sumi_node_keep_inputs(node, n_in);
  for (int i = 0; i < n_old; i++) sumi_qdq_drop_unused(g, old[i]);
  node->op = op;
  node->op_name = op->name;
  node->version = 1;
  return SUMI_OK;
}

void sumi_qdq_take_over(struct sumi_graph *g, struct sumi_node *node, struct sumi_node *const *chain, int n) {
  struct sumi_value *end = chain[n - 1]->out[0];
  node->out[0]->info.dtype = end->info.dtype;
  for (int i = 0; i < n; i++) sumi_graph_remove_node(g, chain[i]);
  sumi_graph_replace_uses(g, end,
                          node->out[0]); /* which is no input, and no output: its only user was the chain */
}

const float *sumi_qdq_number(const struct sumi_value *v) {
  const struct sumi_tensor *t = sumi_qdq_constant(v);
  return t && t->dtype == SUMI_FLOAT32 && sumi_tensor_count(t) == 1 ? t->data : NULL;
}

/* A constant scalar of input i; false where it is there but not constant. Absent: *value as it was. */
static bool scalar(const struct sumi_node *node, int i, float *value) {
  if (!sumi_qdq_input(node, i)) return true;
  const float *number = sumi_qdq_number(node->in[i]);
  if (number) *value = *number;
  return number;
}

const char *sumi_qdq_clamp(const struct sumi_node *node, float figure[2], size_t *n) {
  *n = 0;
  if (sumi_qdq_is(node, "Relu")) return "Relu";
  if (!sumi_qdq_is(node, "Clip")) return NULL;
  figure[0] = sumi_attr_float(node, "min", -FLT_MAX);
  figure[1] = sumi_attr_float(node, "max", FLT_MAX);
  *n = 2;
  return scalar(node, 1, &figure[0]) && scalar(node, 2, &figure[1]) ? "Clip" : NULL;
}

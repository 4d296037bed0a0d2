/* qdq-open: quantised operators of the QLinear kind (QLinearConv, QLinearMatMul, com.microsoft.QGemm, QLinearAdd ...) become
 * DequantizeLinear -> the operator on real numbers -> QuantizeLinear, the form that the passes behind this one know. Only
 * with constant float32 scales, and products only with constant weights. */
#include "base/size.h"
#include "pass/qdq.h"

enum { MAX_OPERANDS = 2, QDQ_VERSION = 13 };

struct form {
  const char *name;
  const struct sumi_op *op;
  const char *op_name;
  int version;
  int n_operand, operand[MAX_OPERANDS]; /* inputs, each followed by its scale and zero point */
  int y;                                /* the result's scale */
  bool product;                         /* operand 1 is a constant with channels */
  int bias;                             /* int32 in units of the sum; -1 = none */
};

static const struct form forms[] = {
    {"QLinearConv", &sumi_op_conv, "Conv", 11, 2, {0, 3}, 6, true, 8},
    {"QLinearMatMul", &sumi_op_matmul, "MatMul", 13, 2, {0, 3}, 6, true, -1},
    {"com.microsoft.QGemm", &sumi_op_gemm, "Gemm", 13, 2, {0, 3}, 7, true, 6},
    {"com.microsoft.QLinearAdd", &sumi_op_add, "Add", 14, 2, {0, 3}, 6, false, -1},
    {"com.microsoft.QLinearMul", &sumi_op_mul, "Mul", 14, 2, {0, 3}, 6, false, -1},
    {"com.microsoft.QLinearSigmoid", &sumi_op_sigmoid, "Sigmoid", 13, 1, {0}, 3, false, -1},
    {"com.microsoft.QLinearLeakyRelu", &sumi_op_leaky_relu, "LeakyRelu", 6, 1, {0}, 3, false, -1},
    {"com.microsoft.QLinearGlobalAveragePool",
     &sumi_op_global_average_pool,
     "GlobalAveragePool",
     1,
     1,
     {0},
     3,
     false,
     -1},
};

static const struct form *form_of(const struct sumi_node *node) {
  for (size_t i = 0; i < SUMI_COUNT(forms); i++)
    if (sumi_qdq_is(node, forms[i].name)) return &forms[i];
  return NULL;
}

/* Input i is a constant float32 of one figure, or (many) a list. */
static const struct sumi_tensor *scale_of(const struct sumi_node *node, int i, bool many) {
  const struct sumi_tensor *t = sumi_qdq_constant(sumi_qdq_input(node, i));
  return t && t->dtype == SUMI_FLOAT32 && t->rank <= 1 && (many || sumi_tensor_count(t) == 1) ? t : NULL;
}

static bool is_zero(const struct sumi_tensor *t) {
  for (int64_t i = 0, n = sumi_tensor_count(t); i < n; i++)
    if (sumi_get_i64(t->dtype, t->data, i)) return false;
  return true;
}

static bool is_byte(const struct sumi_value *v) {
  return v && (v->info.dtype == SUMI_UINT8 || v->info.dtype == SUMI_INT8);
}

static bool match(const struct form *f, const struct sumi_node *node) {
  for (int k = 0; k < f->n_operand; k++) {
    const int i = f->operand[k];
    const bool weights = f->product && k == 1;
    const struct sumi_tensor *scale = scale_of(node, i + 1, weights),
                             *zero = sumi_qdq_constant(sumi_qdq_input(node, i + 2));
    if (!is_byte(sumi_qdq_input(node, i)) || !scale || (sumi_qdq_input(node, i + 2) && !zero)) return false;
    if (!weights) continue;
    const struct sumi_tensor *w = sumi_qdq_constant(node->in[i]);
    if (!w || (f->op != &sumi_op_conv && w->rank != 2) ||
        (zero && !is_zero(zero) && sumi_tensor_count(zero) != sumi_tensor_count(scale)))
      return false;
  }
  if (sumi_qdq_is(node, "com.microsoft.QGemm") && sumi_attr_float(node, "alpha", 1) != 1) return false;
  if (f->bias >= 0 && sumi_qdq_input(node, f->bias) && !sumi_qdq_constant(node->in[f->bias])) return false;
  return !sumi_attr_int(node, "channels_last", 0) &&
         (!sumi_qdq_input(node, f->y) || scale_of(node, f->y, false));
}

/* A DQ of v; axis of the scales. NULL: out of memory. */
static struct sumi_value *dequantised(struct sumi_graph *g, struct sumi_value *v, struct sumi_value *scale,
                                      struct sumi_value *zero, int64_t axis, struct sumi_err *err) {
  struct sumi_value *real = sumi_graph_add_value(g, NULL), *const in[] = {v, scale, zero};
  struct sumi_node *node = real ? sumi_graph_add_node(g, NULL, &sumi_op_dequantize_linear, "DequantizeLinear",
                                                      QDQ_VERSION, in, zero ? 3 : 2, &real, 1)
                                : NULL;
  if (!node) return NULL;
  real->info = v->info;
  if (v->constant) {
    real->info = (struct sumi_info){.kind = SUMI_TENSOR, .rank = v->constant->rank};
    for (int i = 0; i < v->constant->rank; i++) real->info.dim[i] = v->constant->dim[i];
  }
  real->info.dtype = SUMI_FLOAT32;
  return scale->constant->rank == 0 || sumi_node_set_int(node, "axis", axis, err) == SUMI_OK ? real : NULL;
}

/* The bias' scales: those of the sums. */
static struct sumi_value *bias_scale(struct sumi_graph *g, const struct form *f, const struct sumi_node *node,
                                     struct sumi_err *err) {
  const struct sumi_tensor *x = node->in[f->operand[0] + 1]->constant,
                           *w = node->in[f->operand[1] + 1]->constant;
  void *data;
  struct sumi_value *v = sumi_qdq_new_constant(g, w, &data, err);
  for (int64_t m = 0; v && m < sumi_tensor_count(w); m++)
    ((float *)data)[m] = *(const float *)x->data * ((const float *)w->data)[m];
  return v;
}

/* The real operator's inputs, as DQs of node's. */
static sumi_status make_inputs(struct sumi_graph *g, const struct form *f, const struct sumi_node *node,
                               struct sumi_value **in, int *n_in, struct sumi_err *err) {
  *n_in = f->n_operand;
  for (int k = 0; k < f->n_operand; k++) {
    const int i = f->operand[k];
    struct sumi_value *zero = sumi_qdq_input(node, i + 2);
    if (zero && zero->constant && is_zero(zero->constant)) zero = NULL; /* its shape may not be the scale's */
    const bool by_row = f->op == &sumi_op_conv || sumi_attr_int(node, "transB", 0);
    in[k] = dequantised(g, node->in[i], node->in[i + 1], zero, by_row ? 0 : 1, err);
    if (!in[k]) SUMI_FAIL_MEMORY(err);
  }
  struct sumi_value *bias = f->bias >= 0 ? sumi_qdq_input(node, f->bias) : NULL;
  if (!bias) return SUMI_OK;
  struct sumi_value *scale = bias_scale(g, f, node, err);
  in[*n_in] = scale ? dequantised(g, bias, scale, NULL, bias->constant->rank - 1, err) : NULL;
  if (!in[(*n_in)++]) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

/* node's output becomes real; what used it gets it quantised. */
static sumi_status quantise_behind(struct sumi_graph *g, struct sumi_node *node, struct sumi_value *scale,
                                   struct sumi_value *zero, struct sumi_err *err) {
  struct sumi_value *real = node->out[0], *bytes = sumi_graph_add_value(g, NULL);
  struct sumi_qdq p = {.dtype = real->info.dtype, .zero_value = zero};
  struct sumi_value *const in[] = {real, scale, sumi_qdq_zero(g, &p)};
  if (!bytes || !in[2]) SUMI_FAIL_MEMORY(err);
  bytes->info = real->info;
  real->info.dtype = SUMI_FLOAT32;
  sumi_graph_replace_uses(g, real, bytes);
  return sumi_graph_add_node(g, NULL, &sumi_op_quantize_linear, "QuantizeLinear", QDQ_VERSION, in, 3, &bytes,
                             1)
             ? SUMI_OK
             : sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
}

static sumi_status open_node(struct sumi_graph *g, const struct form *f, struct sumi_node *node,
                             struct sumi_err *err) {
  struct sumi_value *in[MAX_OPERANDS + 1], *scale = sumi_qdq_input(node, f->y),
                                           *zero = sumi_qdq_input(node, f->y + 1);
  int n_in;
  SUMI_TRY(make_inputs(g, f, node, in, &n_in, err));
  if (scale) SUMI_TRY(quantise_behind(g, node, scale, zero, err));
  SUMI_TRY(sumi_qdq_become(g, node, f->op, in, n_in, err));
  node->op_name = f->op_name;
  node->version = f->version;
  sumi_node_remove_attr(node, "channels_last");
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0, n = g->n_node; i < n; i++) {
    const struct form *f = form_of(g->node[i]);
    if (f && g->node[i]->out[0] && match(f, g->node[i])) SUMI_TRY(open_node(g, f, g->node[i], err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_open = {
    .name = "qdq-open",
    .what = "writes quantised operators as real ones between DequantizeLinear and QuantizeLinear",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

/* QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu, QLinearGlobalAveragePool, QLinearSoftmax, QLinearConcat
 * (com.microsoft): 8-bit tensors of real values scale * (q - zero_point), one scale and zero point a tensor; each is
 *   y = quantise(f(real values)),  quantise(r) = round_half_to_even(r / scale) + zero_point, saturated
 * A zero point that is not given is 0. Source: ONNX Runtime, docs/ContribOperators.md. quantise is float32; sums, products,
 * means and softmax are the float32 expressions below, which the card follows, so that its bytes are the same. */
#include <math.h>

#include "base/fmath.h"
#include "base/size.h"
#include "op/by_item.h"
#include "op/ms_qlinear.h"
#include "op/ms_qlinear_cells.h"
#include "op/qeltwise_lower.h"
#include "op/qpool_lower.h"
#include "op/row_sum.h"

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define FLOAT SUMI_BIT(SUMI_FLOAT32)

struct sumi_ms_quant sumi_ms_quant_of(const struct sumi_call *c, int scale, int zero) {
  const struct sumi_tensor *z = sumi_call_has(c, zero) ? c->in[zero] : NULL;
  return (struct sumi_ms_quant){sumi_get_f64(c->in[scale]->dtype, c->in[scale]->data, 0),
                                z ? sumi_get_f64(z->dtype, z->data, 0) : 0};
}

double sumi_ms_real(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant q) {
  return (sumi_get_f64(t->dtype, t->data, i) - q.zero) * q.scale;
}

void sumi_ms_quantise(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant q, double r) {
  const double low = t->dtype == SUMI_INT8 ? -128 : 0, x = (double)rintf((float)r / (float)q.scale) + q.zero;
  sumi_set_f64(t->dtype, t->data, i, x > low ? fmin(x, low + 255) : low); /* NaN: the lowest */
}

void sumi_ms_mean(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant qx, struct sumi_ms_quant qy,
                  int64_t sum, int64_t n) {
  const float centred = (float)(sum - n * (int64_t)qx.zero);
  sumi_ms_quantise(t, i, (struct sumi_ms_quant){1, qy.zero},
                   (double)(centred * (float)(qx.scale / qy.scale / (double)n)));
}

sumi_status sumi_ms_want_single(const struct sumi_infer *ctx, int first, uint32_t data) {
  for (int i = first; i < ctx->n_in; i++) {
    if (data >> i & 1 || !sumi_infer_has(ctx, i)) continue;
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 0, 1));
    if (ctx->in[i].rank == 1) SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, 1, "count of scales or zero points"));
  }
  return SUMI_OK;
}

/* ---- two operands ------------------------------------------------------------------------------------------------ */

enum { A, A_SCALE, A_ZERO, SECOND, B_SCALE, B_ZERO, C_SCALE, C_ZERO };

static sumi_status binary_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_ms_want_single(ctx, 1, 1 << SECOND));
  const struct sumi_info *a = &ctx->in[A], *b = &ctx->in[SECOND];
  struct sumi_info pair[] = {*a, *b};
  struct sumi_infer both = *ctx; /* the operands side by side */
  both.in = pair;
  both.n_in = 2;
  return sumi_infer_broadcast(&both, 0, 0, 2, a->dtype);
}

static float centred(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant q) {
  return (float)(sumi_get_f64(t->dtype, t->data, i) - q.zero);
}

/* A + B: a * (a_scale / c_scale) + b * (b_scale / c_scale), a and b less their zero points; A * B: a * b * (a_scale * b_scale /
 * c_scale). */
static sumi_status binary(const struct sumi_call *c, bool add) {
  const struct sumi_tensor *a = c->in[A], *b = c->in[SECOND], *y = c->out[0];
  const struct sumi_ms_quant qa = sumi_ms_quant_of(c, A_SCALE, A_ZERO),
                             qb = sumi_ms_quant_of(c, B_SCALE, B_ZERO),
                             qc = sumi_ms_quant_of(c, C_SCALE, C_ZERO);
  const float ma = (float)(add ? qa.scale / qc.scale : qa.scale * qb.scale / qc.scale),
              mb = (float)(qb.scale / qc.scale);
  int64_t sa[SUMI_MAX_RANK], sb[SUMI_MAX_RANK], i = 0;
  sumi_broadcast_strides(a, y->rank, y->dim, sa);
  sumi_broadcast_strides(b, y->rank, y->dim, sb);
  for (struct sumi_walk w = sumi_walk_start(y->rank, y->dim, sa, sb, NULL, NULL); !w.done;
       sumi_walk_next(&w)) {
    const float x0 = centred(a, w.offset[0], qa), x1 = centred(b, w.offset[1], qb);
    sumi_ms_quantise(y, i++, (struct sumi_ms_quant){1, qc.zero},
                     (double)(add ? x0 * ma + x1 * mb : x0 * x1 * ma));
  }
  return SUMI_OK;
}

static sumi_status add_ref(const struct sumi_call *c) { return binary(c, true); }
static sumi_status mul_ref(const struct sumi_call *c) { return binary(c, false); }

/* ---- one operand ------------------------------------------------------------------------------------------------- */

enum { X, X_SCALE, X_ZERO, Y_SCALE, Y_ZERO };

static sumi_status unary_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_ms_want_single(ctx, 1, 1 << X));
  sumi_infer_out_like(ctx, 0, &ctx->in[X], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status sigmoid_ref(const struct sumi_call *c) {
  const struct sumi_ms_quant qx = sumi_ms_quant_of(c, X_SCALE, X_ZERO),
                             qy = sumi_ms_quant_of(c, Y_SCALE, Y_ZERO);
  for (int64_t i = 0; i < sumi_tensor_count(c->in[X]); i++)
    sumi_ms_quantise(c->out[0], i, qy, 1 / (1 + exp(-sumi_ms_real(c->in[X], i, qx))));
  return SUMI_OK;
}

static sumi_status leaky_relu_ref(const struct sumi_call *c) {
  const struct sumi_ms_quant qx = sumi_ms_quant_of(c, X_SCALE, X_ZERO),
                             qy = sumi_ms_quant_of(c, Y_SCALE, Y_ZERO);
  const double alpha = (double)sumi_attr_float(c->node, "alpha", 0.01f);
  for (int64_t i = 0; i < sumi_tensor_count(c->in[X]); i++) {
    const double r = sumi_ms_real(c->in[X], i, qx);
    sumi_ms_quantise(c->out[0], i, qy, r < 0 ? alpha * r : r);
  }
  return SUMI_OK;
}

static sumi_status pool_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[X];
  const bool last = sumi_attr_int(ctx->node, "channels_last", 0) != 0;
  sumi_dim dim[SUMI_MAX_RANK];
  SUMI_TRY(sumi_ms_want_single(ctx, 1, 1 << X));
  SUMI_TRY(sumi_ms_want_rank(ctx, X, 3, SUMI_MAX_RANK));
  for (int k = 0; k < x->rank; k++) dim[k] = k == 0 || k == (last ? x->rank - 1 : 1) ? x->dim[k] : 1;
  sumi_infer_out(ctx, 0, x->dtype, x->rank, dim);
  return SUMI_OK;
}

static sumi_status pool_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[X];
  const struct sumi_ms_quant qx = sumi_ms_quant_of(c, X_SCALE, X_ZERO),
                             qy = sumi_ms_quant_of(c, Y_SCALE, Y_ZERO);
  const bool last = sumi_attr_int(c->node, "channels_last", 0) != 0;
  const int64_t channels = x->dim[last ? x->rank - 1 : 1];
  const int64_t n = last ? sumi_dims_count(x->dim, 1, x->rank - 1) : sumi_dims_count(x->dim, 2, x->rank);
  for (int64_t b = 0; b < x->dim[0]; b++)
    for (int64_t k = 0; k < channels; k++) {
      int64_t sum = 0;
      for (int64_t i = 0; i < n; i++)
        sum +=
            sumi_get_i64(x->dtype, x->data, last ? (b * n + i) * channels + k : (b * channels + k) * n + i);
      sumi_ms_mean(c->out[0], b * channels + k, qx, qy, sum, n);
    }
  return SUMI_OK;
}

/* Before operator set 13 of ai.onnx, which attribute opset names, everything from axis on is one dimension. */
static sumi_status softmax_axis(const struct sumi_node *node, int rank, bool *flat, int *axis,
                                struct sumi_err *err) {
  *flat = sumi_attr_int(node, "opset", 13) < 13;
  return sumi_op_axis(node, *flat ? 1 : -1, rank, axis, err);
}

static sumi_status softmax_infer(struct sumi_infer *ctx) {
  int axis;
  bool flat;
  if (ctx->in[X].rank >= 0) SUMI_TRY(softmax_axis(ctx->node, ctx->in[X].rank, &flat, &axis, ctx->err));
  return unary_infer(ctx);
}

/* e = exp(x - largest x); e * (1 / sum of e). */
static void softmax_row(const struct sumi_call *c, struct sumi_ms_quant qx, struct sumi_ms_quant qy,
                        int64_t first, int64_t n, int64_t step) {
  struct sumi_row_sum sum = {{0}};
  float max = -INFINITY;
  for (int64_t k = 0; k < n; k++) max = fmaxf(max, (float)sumi_ms_real(c->in[X], first + k * step, qx));
  for (int64_t k = 0; k < n; k++)
    sumi_row_sum_add(&sum, k, sumi_exp_f32((float)sumi_ms_real(c->in[X], first + k * step, qx) - max));
  const float inverse = 1 / sumi_row_sum_total(&sum);
  for (int64_t k = 0; k < n; k++) {
    const float e = sumi_exp_f32((float)sumi_ms_real(c->in[X], first + k * step, qx) - max);
    sumi_ms_quantise(c->out[0], first + k * step, qy, (double)(e * inverse));
  }
}

static sumi_status softmax_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[X];
  const struct sumi_ms_quant qx = sumi_ms_quant_of(c, X_SCALE, X_ZERO),
                             qy = sumi_ms_quant_of(c, Y_SCALE, Y_ZERO);
  int axis;
  bool flat;
  SUMI_TRY(softmax_axis(c->node, x->rank, &flat, &axis, c->err));
  const int64_t outer = sumi_dims_count(x->dim, 0, axis);
  const int64_t n = flat ? sumi_dims_count(x->dim, axis, x->rank) : x->rank ? x->dim[axis] : 1;
  const int64_t inner = flat || !x->rank ? 1 : sumi_dims_count(x->dim, axis + 1, x->rank);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      const int64_t first = o * n * inner + i;
      softmax_row(c, qx, qy, first, n, inner);
    }
  return SUMI_OK;
}

/* ---- QLinearConcat: Y_scale, Y_zero_point, then (tensor, scale, zero point) for each ----------------------------- */

static sumi_status concat_infer(struct sumi_infer *ctx) {
  const int n = ctx->n_in - 2;
  if (n < 3 || n % 3)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "%d inputs behind the result's are no tensors with scale and zero point",
              n);
  const struct sumi_info *first = &ctx->in[2];
  int axis = 0;
  if (first->rank >= 0) SUMI_TRY(sumi_op_axis(ctx->node, 0, first->rank, &axis, ctx->err));
  sumi_dim dim[SUMI_MAX_RANK], total = 0;
  for (int k = 0; k < first->rank; k++) dim[k] = first->dim[k];
  for (int i = 2; i < ctx->n_in; i += 3) {
    const struct sumi_info *x = &ctx->in[i];
    if (!sumi_dtype_in(x->dtype, BYTES) || ctx->in[i + 1].dtype != SUMI_FLOAT32 ||
        ctx->in[i + 2].dtype != x->dtype)
      SUMI_FAIL(ctx->err, SUMI_E_TYPE,
                "input %d is no 8-bit tensor followed by a float32 scale and a zero point of its type", i);
    if (first->rank < 0 || x->rank < 0) {
      sumi_infer_out_unknown(ctx, 0, ctx->in[1].dtype);
      return SUMI_OK;
    }
    if (x->rank != first->rank)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, the first tensor %d", i, x->rank, first->rank);
    for (int k = 0; k < x->rank; k++) {
      if (k != axis && x->dim[k] >= 0 && dim[k] >= 0 && x->dim[k] != dim[k])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of input %d does not fit the first tensor's", k, i);
      if (k != axis) dim[k] = sumi_ms_same(dim[k], x->dim[k]);
    }
    if (x->rank) total = i == 2 ? x->dim[axis] : sumi_dim_add(ctx->symbols, total, x->dim[axis]);
  }
  if (!first->rank) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "scalars cannot be concatenated");
  dim[axis] = total;
  sumi_infer_out(ctx, 0, ctx->in[1].dtype, first->rank, dim);
  return SUMI_OK;
}

static sumi_status concat_ref(const struct sumi_call *c) {
  const struct sumi_tensor *y = c->out[0];
  const struct sumi_ms_quant qy = sumi_ms_quant_of(c, 0, 1);
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, 0, y->rank, &axis, c->err));
  const int64_t outer = sumi_dims_count(y->dim, 0, axis), row = sumi_dims_count(y->dim, axis, y->rank);
  int64_t after = 0;
  for (int i = 2; i < c->n_in; i += 3) {
    const struct sumi_tensor *x = c->in[i];
    const struct sumi_ms_quant qx = sumi_ms_quant_of(c, i + 1, i + 2);
    const int64_t n = sumi_dims_count(x->dim, axis, x->rank);
    for (int64_t o = 0; o < outer; o++)
      for (int64_t k = 0; k < n; k++)
        sumi_ms_quantise(y, o * row + after + k, qy, sumi_ms_real(x, o * n + k, qx));
    after += n;
  }
  return SUMI_OK;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static const struct sumi_attr_spec alpha_attrs[] = {{"alpha", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_attr_spec pool_attrs[] = {{"channels_last", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec softmax_attrs[] = {
    {"axis", SUMI_ATTR_INT}, {"opset", SUMI_ATTR_INT, true}, {NULL}};
static const struct sumi_attr_spec concat_attrs[] = {{"axis", SUMI_ATTR_INT, true}, {NULL}};
static const struct sumi_port binary_in[] = {{"A", BYTES, 'T'},
                                             {"A_scale", FLOAT},
                                             {"A_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                             {"B", BYTES, 'T'},
                                             {"B_scale", FLOAT},
                                             {"B_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                             {"C_scale", FLOAT},
                                             {"C_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                             {NULL}};
static const struct sumi_port unary_in[] = {{"X", BYTES, 'T'},
                                            {"X_scale", FLOAT},
                                            {"X_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                            {"Y_scale", FLOAT},
                                            {"Y_zero_point", BYTES, 'T', SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port concat_in[] = {
    {"Y_scale", FLOAT},
    {"Y_zero_point", BYTES, 'T'},
    {"inputs", BYTES | FLOAT, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED},
    {NULL}};
static const struct sumi_port out[] = {{"Y", BYTES, 'T'}, {NULL}};

/* Operands that are quantised before and dequantised behind the operator lie in lanes between. Their scales are powers of
 * two: float32 and double precision then round alike. */
#define LANES(inputs, constants, before, call)                                                           \
  "g (" inputs ") => (y) <float s = {0.25}, float t = {0.5}, float r = {0.5}, uint8 z = {120}" constants \
  "> { " before " c = com.microsoft." call " y = DequantizeLinear (c, r, z) }"
#define QUANTISED "p = QuantizeLinear (a, s, z) q = QuantizeLinear (b, t, z)"

/* Scales and zero points are constants here: random ones would saturate everything. */
#define CASE(inputs, constants, call) "g (" inputs ") => (y) <" constants "> { y = com.microsoft." call " }"
#define SCALES "float s = {0.05}, float t = {0.02}, float r = {0.1}"
static const struct sumi_case add_cases[] = {
    {CASE("uint8[2,3,4] a, uint8[4] b", SCALES ", uint8 z = {3}", "QLinearAdd (a, s, z, b, t, z, r, z)"),
     .atol = 1, .low = 0, .high = 255,
     .why = "broadcast; in float32 sums beside the middle may round to the other side"},
    {CASE("int8[2,3] a, int8[2,3] b", SCALES, "QLinearAdd (a, s, , b, t, , r)"), .atol = 1, .low = -128,
     .high = 127, .why = "no zero points; as above"},
    {LANES("float[2,6,5,7] a, float[2,6,5,7] b", "", QUANTISED, "QLinearAdd (p, s, z, q, t, z, r, z)"),
     .low = -40, .high = 40, .why = "images in lanes"},
    {LANES("float[3,40,21] a, float[3,40,21] b", "", QUANTISED, "QLinearAdd (p, s, z, q, t, z, r, z)"),
     .low = -40, .high = 40, .why = "tokens in lanes"},
    {LANES("float[2,3,5,7] a", ", uint8[3,1,1] k = {9, 200, 31}", "p = QuantizeLinear (a, s, z)",
           "QLinearAdd (k, t, z, p, s, z, r, z)"),
     .low = -40, .high = 40, .why = "one value a channel in lanes"},
    {LANES("float[2,3,5,7] a", ", uint8 k = {9}", "p = QuantizeLinear (a, s, z)",
           "QLinearAdd (p, s, z, k, t, z, r, z)"),
     .low = -40, .high = 40, .why = "one value in lanes"},
    {NULL},
};
static const struct sumi_case mul_cases[] = {
    {CASE("int8[2,3,4] a, int8[3,1] b", SCALES ", int8 z = {3}", "QLinearMul (a, s, z, b, t, z, r, z)"),
     .atol = 1, .low = -128, .high = 127, .why = "broadcast; rounding as of a sum"},
    {LANES("float[1,6,5,7] a, float[1,6,1,1] b", "", QUANTISED, "QLinearMul (p, s, z, q, t, z, r, z)"),
     .low = -8, .high = 8, .why = "images in lanes times one value a channel"},
    {LANES("float[2,6,5,7] a, float[2,6,5,7] b", "", QUANTISED, "QLinearMul (p, s, z, q, t, z, r, z)"),
     .low = -8, .high = 8, .why = "images in lanes"},
    {LANES("float[2,6,5,7] a, float[2,6,1,1] b", "", QUANTISED, "QLinearMul (p, s, z, q, t, z, r, z)"),
     .low = -8, .high = 8, .why = "one value a channel and image"},
    {NULL},
};
static const struct sumi_case sigmoid_cases[] = {
    {CASE("uint8[300] x", "float s = {0.05}, float t = {0.004}, uint8 z = {128}",
          "QLinearSigmoid (x, s, z, t)"),
     .low = 0, .high = 255, .why = "all bytes"},
    {"g (float[2,6,5,7] x) => (y) <float s = {0.05}, float t = {0.004}, int8 z = {-12}, int8 w = {-128}> { p "
     "= "
     "QuantizeLinear (x, s, z) q = com.microsoft.QLinearSigmoid (p, s, z, t, w) y = DequantizeLinear (q, t, "
     "w) }",
     .low = -9, .high = 9, .why = "in lanes"},
    {NULL},
};
static const struct sumi_case leaky_relu_cases[] = {
    {CASE("int8[300] x", "float s = {0.05}, float t = {0.03}, int8 z = {7}",
          "QLinearLeakyRelu <alpha = 0.2> (x, s, z, t, z)"),
     .low = -128, .high = 127, .why = "all bytes"},
    {NULL},
};
static const struct sumi_case pool_cases[] = {
    {CASE("uint8[2,3,4,5] x", SCALES ", uint8 z = {9}", "QLinearGlobalAveragePool (x, s, z, t, z)"), .low = 0,
     .high = 255},
    {CASE("uint8[2,4,5,3] x", SCALES ", uint8 z = {9}",
          "QLinearGlobalAveragePool <channels_last = 1> (x, s, z, t, z)"),
     .low = 0, .high = 255},
    {LANES("float[2,6,4,8] a", "", "p = QuantizeLinear (a, s, z)",
           "QLinearGlobalAveragePool (p, s, z, r, z)"),
     .low = -40, .high = 40, .why = "images in lanes"},
    {LANES("float[1,5,3,8] a", "", "p = QuantizeLinear (a, s, z) m = MaxPool <kernel_shape = [2, 1]> (p)",
           "QLinearGlobalAveragePool (m, s, z, r, z)"),
     .low = -40, .high = 40, .why = "images in lanes"},
    {NULL},
};
static const struct sumi_case softmax_cases[] = {
    {CASE("uint8[3,7] x", "float s = {0.05}, float t = {0.00390625}, uint8 z = {0}",
          "QLinearSoftmax <opset = 13> (x, s, z, t, z)"),
     .low = 0, .high = 255},
    {CASE("uint8[2,3,4] x", "float s = {0.05}, float t = {0.00390625}, uint8 z = {0}",
          "QLinearSoftmax <opset = 12, axis = 1> (x, s, z, t, z)"),
     .low = 0, .high = 255, .why = "one long dimension"},
    {NULL},
};
static const struct sumi_case concat_cases[] = {
    {CASE("uint8[2,3] a, uint8[2,4] b", SCALES ", uint8 z = {3}",
          "QLinearConcat <axis = 1> (r, z, a, s, z, b, t, z)"),
     .low = 0, .high = 255},
    {LANES("float[2,8,3,5] a, float[2,5,3,5] b", "", QUANTISED,
           "QLinearConcat <axis = 1> (r, z, p, s, z, q, t, z)"),
     .low = -40, .high = 40, .why = "images in lanes"},
    {LANES("float[2,3,3,5] a, float[2,5,3,5] b", "", QUANTISED,
           "QLinearConcat <axis = 1> (r, z, p, s, z, q, t, z)"),
     .low = -40, .high = 40, .why = "channels that are not whole words"},
    {NULL},
};

#define QLINEAR(symbol, op_name, op_formula, attributes, inputs, infer_fn, ref_fn, op_cases, lower_fn, \
                lanes_fn, op_by_item, cells_fn)                                                        \
  const struct sumi_op sumi_op_ms_##symbol = {.name = "com.microsoft." op_name,                        \
                                              .formula = op_formula,                                   \
                                              .known_as = {{"com.microsoft", op_name, {1}}},           \
                                              .attrs = attributes,                                     \
                                              .in = inputs,                                            \
                                              .out = out,                                              \
                                              .infer = infer_fn,                                       \
                                              .by_item = op_by_item,                                   \
                                              .ref = ref_fn,                                           \
                                              .lower = lower_fn,                                       \
                                              .cells = cells_fn,                                       \
                                              .lanes = lanes_fn,                                       \
                                              .cases = op_cases};
QLINEAR(qlinear_add, "QLinearAdd", "quantise(a + b)", NULL, binary_in, binary_infer, add_ref, add_cases,
        sumi_qadd_lower, sumi_qbinary_lanes, sumi_by_item_elements, sumi_qlinear_add_cells)
QLINEAR(qlinear_mul, "QLinearMul", "quantise(a * b)", NULL, binary_in, binary_infer, mul_ref, mul_cases,
        sumi_qmul_lower, sumi_qbinary_lanes, sumi_by_item_elements, sumi_qlinear_mul_cells)
QLINEAR(qlinear_sigmoid, "QLinearSigmoid", "quantise(1 / (1 + exp(-x)))", NULL, unary_in, unary_infer,
        sigmoid_ref, sigmoid_cases, sumi_qunary_lower, sumi_qunary_lanes, sumi_by_item_elements,
        sumi_qlinear_table_cells)
QLINEAR(qlinear_leaky_relu, "QLinearLeakyRelu", "quantise(x < 0 ? alpha x : x)", alpha_attrs, unary_in,
        unary_infer, leaky_relu_ref, leaky_relu_cases, sumi_qunary_lower, sumi_qunary_lanes,
        sumi_by_item_elements, sumi_qlinear_table_cells)
QLINEAR(qlinear_global_average_pool, "QLinearGlobalAveragePool", "quantise(mean of each channel)", pool_attrs,
        unary_in, pool_infer, pool_ref, pool_cases, sumi_qmean_lower, sumi_qmean_lanes, sumi_by_item_first,
        sumi_qlinear_global_average_pool_cells)
QLINEAR(qlinear_softmax, "QLinearSoftmax", "quantise(softmax(x))", softmax_attrs, unary_in, softmax_infer,
        softmax_ref, softmax_cases, NULL, NULL, sumi_by_item_elements, sumi_qlinear_softmax_cells)
QLINEAR(qlinear_concat, "QLinearConcat", "quantise(concatenated)", concat_attrs, concat_in, concat_infer,
        concat_ref, concat_cases, sumi_qconcat_lower, sumi_qconcat_lanes, sumi_by_item_elements,
        sumi_qlinear_concat_cells)

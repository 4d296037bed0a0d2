/* sumi.QNorm: layer normalisation of dequantised values with its quantisation, made by passes of DequantizeLinear, Add,
 * LayerNormalization (or RMSNormalization) and QuantizeLinear (files cannot name it). Over the last axis:
 *   v = dequantise(x) (float32 x: as it is) + c + dequantise(r), from left to right in float32; r broadcasts
 *   t = (v - mean) / sqrt(mean of squares around it + epsilon) * scale + b       centred = 0: mean is 0
 *   y = quantise(t)                                                              without y_scale: t
 * Everything is float32, sums are those of row_sum.h, so that the card gives the same y; kernels are within one step of it. */
#include "op/qnorm.h"
#include "op/by_item.h"

#include <inttypes.h>

#include "base/size.h"
#include "op/op_util.h"
#include "op/quant.h"
#include "op/quant_cells.h"
#include "op/row_sum.h"

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define FLOAT SUMI_BIT(SUMI_FLOAT32)

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static const struct sumi_port ports_in[] = {{"x", BYTES | FLOAT},
                                            {"x_scale", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"x_zero", BYTES, 0, SUMI_PORT_OPTIONAL},
                                            {"c", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"r", BYTES, 'R', SUMI_PORT_OPTIONAL},
                                            {"r_scale", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"r_zero", BYTES, 'R', SUMI_PORT_OPTIONAL},
                                            {"scale", FLOAT},
                                            {"b", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"y_scale", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"y_zero", BYTES, 0, SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port ports_out[] = {{"y", BYTES | FLOAT}, {NULL}};

/* Input i, where given, has one element (n = 1) or is [n]. */
static sumi_status check_count(const struct sumi_infer *ctx, int i, sumi_dim n) {
  if (!sumi_infer_has(ctx, i) || ctx->in[i].rank < 0) return SUMI_OK;
  const struct sumi_info *p = &ctx->in[i];
  if (n == 1 && p->rank == 0) return SUMI_OK;
  if (p->rank == 1 && (p->dim[0] < 0 || n < 0 || p->dim[0] == n)) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' is not [%" PRId64 "]", ports_in[i].name, n);
}

/* Inputs a and b are given together. */
static sumi_status check_pair(const struct sumi_infer *ctx, int a, int b) {
  if (sumi_infer_has(ctx, a) == sumi_infer_has(ctx, b)) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_ARG, "'%s' and '%s' must be given together", ports_in[a].name, ports_in[b].name);
}

/* The result has the shape of x and r together, which have the same channels. */
static sumi_status infer_sum(struct sumi_infer *ctx, sumi_dtype dtype) {
  const struct sumi_info *x = &ctx->in[SUMI_QNORM_X], *r = &ctx->in[SUMI_QNORM_R];
  struct sumi_info both[2] = {*x, *x};
  if (sumi_infer_has(ctx, SUMI_QNORM_R)) both[1] = *r;
  if (x->rank > 0 && both[1].rank >= 0) {
    const sumi_dim n = x->dim[x->rank - 1], m = both[1].rank ? both[1].dim[both[1].rank - 1] : 1;
    if (n >= 0 && m >= 0 && n != m)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the residual has %" PRId64 " channels, the input %" PRId64, m, n);
  }
  struct sumi_infer sum = *ctx;
  sum.in = both;
  sum.n_in = 2;
  return sumi_infer_broadcast(&sum, 0, 0, 2, dtype);
}

static sumi_status qnorm_infer(struct sumi_infer *ctx) {
  static const int scalar[] = {SUMI_QNORM_X_SCALE, SUMI_QNORM_X_ZERO,  SUMI_QNORM_R_SCALE,
                               SUMI_QNORM_R_ZERO,  SUMI_QNORM_Y_SCALE, SUMI_QNORM_Y_ZERO};
  static const int channel[] = {SUMI_QNORM_C, SUMI_QNORM_SCALE, SUMI_QNORM_B};
  const struct sumi_info *x = &ctx->in[SUMI_QNORM_X];
  if (x->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input is a scalar");
  const sumi_dim n = x->rank > 0 ? x->dim[x->rank - 1] : SUMI_DIM_UNKNOWN;
  for (size_t i = 0; i < SUMI_COUNT(scalar); i++) SUMI_TRY(check_count(ctx, scalar[i], 1));
  for (size_t i = 0; i < SUMI_COUNT(channel); i++) SUMI_TRY(check_count(ctx, channel[i], n));
  SUMI_TRY(check_pair(ctx, SUMI_QNORM_X_SCALE, SUMI_QNORM_X_ZERO));
  SUMI_TRY(check_pair(ctx, SUMI_QNORM_R, SUMI_QNORM_R_SCALE));
  SUMI_TRY(check_pair(ctx, SUMI_QNORM_R, SUMI_QNORM_R_ZERO));
  SUMI_TRY(check_pair(ctx, SUMI_QNORM_Y_SCALE, SUMI_QNORM_Y_ZERO));
  const sumi_dtype d = x->dtype;
  if (d != SUMI_UNDEFINED && (d != SUMI_FLOAT32) != sumi_infer_has(ctx, SUMI_QNORM_X_SCALE))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "'x_scale' belongs to an 8-bit input");
  if (d != SUMI_FLOAT32 && sumi_infer_has(ctx, SUMI_QNORM_X_ZERO) && ctx->in[SUMI_QNORM_X_ZERO].dtype != d)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "'x' and 'x_zero' have different types");
  return infer_sum(ctx,
                   sumi_infer_has(ctx, SUMI_QNORM_Y_ZERO) ? ctx->in[SUMI_QNORM_Y_ZERO].dtype : SUMI_FLOAT32);
}

/* ---- the formula ------------------------------------------------------------------------------------------------- */

static float dequantised(const struct sumi_call *c, int i, int64_t at) {
  const struct sumi_tensor *x = c->in[i];
  if (x->dtype == SUMI_FLOAT32) return ((const float *)x->data)[at];
  const int64_t zero = sumi_get_i64(x->dtype, c->in[i + 2]->data, 0);
  return (float)(sumi_get_i64(x->dtype, x->data, at) - zero) * *(const float *)c->in[i + 1]->data;
}

struct row {
  const struct sumi_call *c;
  int64_t x, r, y; /* where it begins */
};

/* v of channel i. */
static float value(const void *user, int64_t i) {
  const struct row *row = user;
  const struct sumi_call *c = row->c;
  float v = dequantised(c, SUMI_QNORM_X, row->x + i);
  if (sumi_call_has(c, SUMI_QNORM_C)) v += ((const float *)c->in[SUMI_QNORM_C]->data)[i];
  if (sumi_call_has(c, SUMI_QNORM_R)) v += dequantised(c, SUMI_QNORM_R, row->r + i);
  return v;
}

static void store(const struct sumi_call *c, int64_t at, float t) {
  const struct sumi_tensor *y = c->out[0];
  if (!sumi_call_has(c, SUMI_QNORM_Y_SCALE)) {
    ((float *)y->data)[at] = t;
    return;
  }
  const float zero = (float)sumi_get_i64(y->dtype, c->in[SUMI_QNORM_Y_ZERO]->data, 0);
  t /= *(const float *)c->in[SUMI_QNORM_Y_SCALE]->data;
  sumi_quant_store(y->dtype, y->data, at, &t, &zero, 0, 1);
}

static void norm_row(const struct row *row, int64_t n) {
  const struct sumi_call *c = row->c;
  const float *scale = c->in[SUMI_QNORM_SCALE]->data,
              *b = sumi_call_has(c, SUMI_QNORM_B) ? c->in[SUMI_QNORM_B]->data : NULL;
  const bool centred = sumi_attr_int(c->node, "centred", 1) != 0;
  const struct sumi_row_moments m =
      sumi_row_moments(value, row, n, centred, sumi_attr_float(c->node, "epsilon", 1e-5f));
  for (int64_t i = 0; i < n; i++) {
    const float t = (value(row, i) - m.mean) * m.inverse * scale[i];
    store(c, row->y + i, b ? t + b[i] : t);
  }
}

static sumi_status qnorm_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[SUMI_QNORM_X], *y = c->out[0];
  const int64_t n = y->dim[y->rank - 1];
  int64_t x_stride[SUMI_MAX_RANK], r_stride[SUMI_MAX_RANK];
  sumi_broadcast_strides(x, y->rank, y->dim, x_stride);
  sumi_broadcast_strides(sumi_call_has(c, SUMI_QNORM_R) ? c->in[SUMI_QNORM_R] : x, y->rank, y->dim, r_stride);
  struct row row = {.c = c};
  if (!n) return SUMI_OK;
  for (struct sumi_walk w = sumi_walk_start(y->rank - 1, y->dim, x_stride, r_stride, NULL, NULL); !w.done;
       sumi_walk_next(&w), row.y += n) {
    row.x = w.offset[0];
    row.r = w.offset[1];
    norm_row(&row, n);
  }
  return SUMI_OK;
}

/* ---- cells --------------------------------------------------------------------------------------------------------- */

/* Input i as a real value, of a program over y's dimensions; -1: its scale is not constant. */
static int real_value(struct sumi_vector *p, const struct sumi_cells *c, int i) {
  const int v = sumi_vector_load(p, sumi_vector_view(p, i));
  double scale;
  int32_t zero;
  if (c->in[i]->dtype == SUMI_FLOAT32) return v;
  if (!sumi_quant_constants(c, i + 1, i + 2, &scale, &zero))
    return sumi_vector_fail(p, "a scale or zero point is not constant");
  return SUMI_VECTOR(p, "a * b", sumi_quant_centred(p, v, zero), sumi_vector_float(p, (float)scale));
}

static int quantised(struct sumi_vector *p, const struct sumi_cells *c, int value) {
  double scale;
  int32_t zero;
  if (!sumi_quant_constants(c, SUMI_QNORM_Y_SCALE, SUMI_QNORM_Y_ZERO, &scale, &zero))
    return sumi_vector_fail(p, "a scale or zero point is not constant");
  return sumi_quant_round(p, SUMI_VECTOR(p, "a / b", value, sumi_vector_float(p, (float)scale)),
                          sumi_vector_int(p, zero));
}

/* v = x + c + r in float32. */
static sumi_status sum_cell(struct sumi_cells *c, const struct sumi_seen *v) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, v, 0);
  int sum = real_value(&p, c, SUMI_QNORM_X);
  if (sumi_cells_has(c, SUMI_QNORM_C))
    sum = SUMI_VECTOR(&p, "a + b", sum, sumi_vector_load(&p, sumi_vector_view(&p, SUMI_QNORM_C)));
  if (sumi_cells_has(c, SUMI_QNORM_R)) sum = SUMI_VECTOR(&p, "a + b", sum, real_value(&p, c, SUMI_QNORM_R));
  sumi_vector_store(&p, sumi_vector_see(&p, v), sum);
  return sumi_vector_end(&p);
}

static sumi_status qnorm_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0), rank = c->out[0]->rank;
  sumi_cells_same_form(c, y, SUMI_QNORM_X);
  struct sumi_norm n = {.y = sumi_see(c, y),
                        .scale = sumi_see_broadcast(c, SUMI_QNORM_SCALE, rank, rank - 1),
                        .bias = sumi_see(c, -1),
                        .mean = sumi_see(c, -1),
                        .inverse = sumi_see(c, -1),
                        .inner = 1u << (rank - 1),
                        .centred = sumi_attr_int(c->node, "centred", 1) != 0,
                        .factor = SUMI_NORM_FACTOR,
                        .epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f)};
  if (sumi_cells_has(c, SUMI_QNORM_B)) n.bias = sumi_see_broadcast(c, SUMI_QNORM_B, rank, rank - 1);
  if (sumi_cells_has(c, SUMI_QNORM_Y_SCALE)) n.finish = quantised;
  n.x = sumi_seen_temp(c, SUMI_FLOAT32, &n.y, 0, n.inner, 1);
  if (n.x.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sum_cell(c, &n.x));
  return sumi_norm_cells(c, &n);
}

/* ---- the descriptor ---------------------------------------------------------------------------------------------- */

static const struct sumi_attr_spec attrs[] = {
    {"epsilon", SUMI_ATTR_FLOAT}, {"centred", SUMI_ATTR_INT}, {NULL}};

#define XZ "float xs = {0.04}, uint8 xz = {131}"
#define RZ "float rs = {0.03}, uint8 rz = {11}"
#define YZ "float ys = {0.03}, uint8 yz = {117}"
#define WHY "sums in float32 may round to the next byte"
static const struct sumi_case cases[] = {
    {"g (uint8[2,7,48] x, uint8[2,7,48] r, float[48] c, float[48] s, float[48] b) => (y) <" XZ ", " RZ ", " YZ
     "> { y = sumi.QNorm (x, xs, xz, c, r, rs, rz, s, b, ys, yz) }",
     .atol = 1, .low = -3, .high = 255, .why = WHY},
    {"g (float[1,70,20] x, uint8[1,70,20] r, float[20] s, float[20] b) => (y) <" RZ ", " YZ
     "> { y = sumi.QNorm <epsilon = 1e-12> (x, , , , r, rs, rz, s, b, ys, yz) }",
     .atol = 1, .low = 0, .high = 8, .why = WHY},
    {"g (int8[5,33] x, float[33] s) => (y) <float xs = {0.1}, int8 xz = {-3}, float ys = {0.02}, int8 yz = "
     "{5}"
     "> { y = sumi.QNorm <centred = 0> (x, xs, xz, , , , , s, , ys, yz) }",
     .atol = 1, .low = -2, .high = 2, .why = WHY},
    {"g (float[3,17] x, uint8[3,17] r, float[17] s, float[17] b) => (y) <" RZ
     "> { y = sumi.QNorm (x, , , , r, rs, rz, s, b) }",
     .rtol = 1e-4, .low = 0, .high = 8, .why = "statistics of 17 elements in float32"},
    {"g (uint8[3,1,8] x, uint8[2,8] r, float[8] s) => (y) <" XZ ", " RZ ", " YZ
     "> { y = sumi.QNorm (x, xs, xz, , r, rs, rz, s, , ys, yz) }",
     .atol = 1, .low = -3, .high = 255, .why = "a sum larger than either"},
    {NULL},
};

const struct sumi_op sumi_op_qnorm = {
    .name = "sumi.QNorm",
    .formula = "quantise(LayerNormalization(dequantise(x) + c + dequantise(r)))",
    .known_as = {{"sumi", "QNorm", {1}}},
    .attrs = attrs,
    .in = ports_in,
    .out = ports_out,
    .flags = SUMI_OP_INTERNAL,
    .infer = qnorm_infer,
    .by_item = sumi_by_item_elements,
    .ref = qnorm_ref,
    .cells = qnorm_cells,
    .lower = sumi_qnorm_lower,
    .lanes = sumi_qnorm_lanes,
    .cases = cases,
};

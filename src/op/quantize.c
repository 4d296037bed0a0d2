/* QuantizeLinear: y = saturate(round(x / scale) + zero point), ties to even; one scale, one for each entry
 * along an axis, or one for each block along it. The quotient is taken in float32, or in float16 or
 * bfloat16 where attribute precision or the types of both x and scale say so. To float8 and shorter floats:
 * (x / scale) + zero point in that type, attribute saturate as in Cast. The output's type: the zero
 * point's, else output_dtype's, else uint8. A division by 0 gives infinity, and so the limit. */
#include "base/half.h"
#include "base/size.h"
#include "op/by_item.h"
#include "op/call_lower.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/quant.h"
#include "op/quant_cells.h"
#include "op/quant_lower.h"

static sumi_dtype output_type(const struct sumi_node *node) {
  return sumi_dtype_from_onnx(sumi_attr_int(node, "output_dtype", 0));
}

#define OUT_TYPES                                                                              \
  (SUMI_BIT(SUMI_INT8) | SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT16) | SUMI_BIT(SUMI_UINT16) | \
   SUMI_TINY_INTS | SUMI_TINY_FLOATS | (SUMI_FLOAT8S & ~SUMI_BIT(SUMI_FLOAT8E8M0)))
#define SHORT_FLOATS (SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16))

static sumi_status quantize_infer(struct sumi_infer *ctx) {
  const sumi_dtype wanted = output_type(ctx->node);
  const int64_t precision = sumi_attr_int(ctx->node, "precision", 0);
  if (sumi_attr_int(ctx->node, "output_dtype", 0) && !sumi_dtype_in(wanted, OUT_TYPES))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "output_dtype is no type to quantise to");
  if (precision && !sumi_dtype_in(sumi_dtype_from_onnx(precision), SHORT_FLOATS | SUMI_BIT(SUMI_FLOAT32)))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "precision is neither float32, float16 nor bfloat16");
  sumi_dtype dtype = wanted == SUMI_UNDEFINED ? SUMI_UINT8 : wanted;
  if (sumi_infer_has(ctx, 2)) {
    dtype = ctx->in[2].dtype;
    if (wanted != SUMI_UNDEFINED && dtype != SUMI_UNDEFINED && wanted != dtype)
      SUMI_FAIL(ctx->err, SUMI_E_TYPE, "output_dtype is %s, the zero point %s", sumi_dtype_label(wanted),
                sumi_dtype_label(dtype));
  }
  SUMI_TRY(sumi_quant_infer(ctx));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  if (ctx->n_out && !ctx->out[0].absent) ctx->out[0].dtype = dtype; /* also where it is not known */
  return SUMI_OK;
}

struct job {
  const struct sumi_call *call;
  sumi_dtype precision; /* float16 or bfloat16: round to it; else float32 */
  bool saturate;
};

static void round_to(sumi_dtype precision, float *x, int64_t n) {
  if (precision == SUMI_FLOAT16)
    for (int64_t i = 0; i < n; i++) x[i] = sumi_f32_from_f16(sumi_f16_from_f32(x[i]));
  if (precision == SUMI_BFLOAT16)
    for (int64_t i = 0; i < n; i++) x[i] = sumi_f32_from_bf16(sumi_bf16_from_f32(x[i]));
}

/* At most SUMI_LANE_CHUNK elements. */
static void chunk(const struct job *job, int64_t at, int64_t n, int64_t scale_at, int step) {
  const struct sumi_tensor *x = job->call->in[0], *y = job->call->out[0];
  const struct sumi_tensor *zero_point = sumi_call_has(job->call, 2) ? job->call->in[2] : NULL;
  float value[SUMI_LANE_CHUNK], scale[SUMI_LANE_CHUNK], zero[SUMI_LANE_CHUNK];
  const int64_t scales = step ? n : 1;
  sumi_lane_load(SUMI_LANE_F32, x->dtype, x->data, at, n, value);
  sumi_lane_load(SUMI_LANE_F32, job->call->in[1]->dtype, job->call->in[1]->data, scale_at, scales, scale);
  for (int64_t i = 0; i < scales; i++) zero[i] = 0;
  if (zero_point) sumi_lane_load(SUMI_LANE_F32, zero_point->dtype, zero_point->data, scale_at, scales, zero);
  round_to(job->precision, value, n);
  round_to(job->precision, scale, scales);
  if (step) {
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) value[i] /= scale[i];
  } else {
    const float s = *scale;
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) value[i] /= s;
  }
  round_to(job->precision, value, n);
  if (sumi_dtype_is_int(y->dtype))
    sumi_quant_store(y->dtype, y->data, at, value, zero, step, n);
  else
    for (int64_t i = 0; i < n; i++)
      sumi_set_tiny(y->dtype, y->data, at + i, value[i] + zero[i * step], job->saturate, 0);
}

static void row(const void *self, int64_t at, int64_t n, int64_t scale_at, int step) {
  for (int64_t i = 0; i < n; i += SUMI_LANE_CHUNK)
    chunk(self, at + i, SUMI_MIN(n - i, SUMI_LANE_CHUNK), scale_at + i * step, step);
}

static sumi_status quantize_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  const struct sumi_quant_shape shape = sumi_quant_shape_of(c);
  const int64_t precision = sumi_attr_int(c->node, "precision", 0);
  const bool both_short = c->in[0]->dtype == c->in[1]->dtype && sumi_dtype_in(c->in[0]->dtype, SHORT_FLOATS);
  const struct job job = {.call = c,
                          .precision = precision    ? sumi_dtype_from_onnx(precision)
                                       : both_short ? c->in[0]->dtype
                                                    : SUMI_FLOAT32,
                          .saturate = sumi_attr_int(c->node, "saturate", 1) != 0};
  sumi_quant_each(&shape, row, &job, tools ? tools->par : NULL);
  return SUMI_OK;
}

static sumi_status quantize_ref(const struct sumi_call *c) { return quantize_run(c, NULL); }

static sumi_status quantize_lower(struct sumi_lower *l) {
  const sumi_status status = sumi_quantize_lower(l);
  return status == SUMI_E_UNSUPPORTED ? sumi_call_lower(l, quantize_run, NULL, 0, -1, "stretches") : status;
}

static sumi_status quantize_cells(struct sumi_cells *c) {
  const int64_t precision = sumi_attr_int(c->node, "precision", 0);
  if (sumi_attr_int(c->node, "block_size", 0)) return sumi_cells_refuse(c, "scales of blocks");
  if (c->in[1]->dtype != SUMI_FLOAT32 || (precision && sumi_dtype_from_onnx(precision) != SUMI_FLOAT32))
    return sumi_cells_refuse(c, "quotients that are not float32");
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, 1);
  const int x = SUMI_VECTOR(&p, "(float)a", sumi_vector_load(&p, sumi_vector_view(&p, 0)));
  const int scale = sumi_quant_operand(&p, c, 1),
            zero = sumi_cells_has(c, 2) ? sumi_quant_operand(&p, c, 2) : sumi_vector_int(&p, 0);
  const int q = sumi_quant_round(&p, SUMI_VECTOR(&p, "a / b", x, scale), zero);
  sumi_vector_store(&p, sumi_vector_view(&p, y), q);
  return sumi_vector_end(&p);
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT},         {"saturate", SUMI_ATTR_INT},
                                              {"output_dtype", SUMI_ATTR_INT}, {"block_size", SUMI_ATTR_INT},
                                              {"precision", SUMI_ATTR_INT},    {NULL}};
static const struct sumi_port in[] = {
    {"x", SUMI_BIT(SUMI_FLOAT32) | SHORT_FLOATS | SUMI_BIT(SUMI_INT32)},
    {"y_scale", SUMI_BIT(SUMI_FLOAT32) | SHORT_FLOATS | SUMI_BIT(SUMI_INT32) | SUMI_BIT(SUMI_FLOAT8E8M0)},
    {"y_zero_point", OUT_TYPES, 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"y", OUT_TYPES}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3,700] x) => (y) <float s = {0.05}, uint8 z = {131}> { y = QuantizeLinear (x, s, z) }",
     .low = -9, .high = 9, .why = "saturates at both ends"},
    {"g (float[2,3,5,7] x) => (y) <float[3] s = {0.5, 0.01, 0.3}, int8[3] z = {0, -7, 100}> { y = "
     "QuantizeLinear (x, s, z) }",
     .why = "channels"},
    {"g (float[4,3] x) => (y) <float[3] s = {0.5, 0.01, 0.3}, int8[3] z = {0, -7, 100}> { y = QuantizeLinear "
     "<axis = -1> (x, s, z) }"},
    {"g (float[3,5] x) => (y) <float s = {0.5}> { y = QuantizeLinear <output_dtype = 22> (x, s) }", .low = -9,
     .high = 9, .why = "int4"},
    {"g (float[2,4] x) => (y) <float[2,2] s = {0.5, 0.1, 0.3, 0.7}, uint16[2,2] z = {0, 9, 500, 7}> { y = "
     "QuantizeLinear <block_size = 2> (x, s, z) }"},
    {"g (float[33] x) => (y) <float s = {0.5}> { y = QuantizeLinear <output_dtype = 17> (x, s) }",
     .low = -900, .high = 900, .why = "float8"},
    {NULL},
};

const struct sumi_op sumi_op_quantize_linear = {
    .name = "QuantizeLinear",
    .formula = "saturate(round(x / scale) + zero point)",
    .known_as = {{"", "QuantizeLinear", {10, 13, 19, 21, 23, 24, 25, 28}},
                 {"com.microsoft", "QuantizeLinear", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = quantize_infer,
    .by_item = sumi_by_item_first,
    .ref = quantize_ref,
    .cells = quantize_cells,
    .lower = quantize_lower,
    .lanes = sumi_quantize_lanes,
    .cases = cases,
};

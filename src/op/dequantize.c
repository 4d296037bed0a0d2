/* DequantizeLinear: y = (x - zero point) * scale; one scale, one for each entry along an axis, or one for
 * each block along it. Computed in float32 and rounded once to the output's type: output_dtype's, else the
 * scale's. */
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

#define OUT_TYPES (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16))
#define IN_TYPES                                                                               \
  (SUMI_BIT(SUMI_INT8) | SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT16) | SUMI_BIT(SUMI_UINT16) | \
   SUMI_BIT(SUMI_INT32) | SUMI_TINY_INTS | SUMI_TINY_FLOATS | (SUMI_FLOAT8S & ~SUMI_BIT(SUMI_FLOAT8E8M0)))

static sumi_status dequantize_infer(struct sumi_infer *ctx) {
  const sumi_dtype wanted = output_type(ctx->node);
  if (sumi_attr_int(ctx->node, "output_dtype", 0) && !sumi_dtype_in(wanted, OUT_TYPES))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "output_dtype is neither float32, float16 nor bfloat16");
  SUMI_TRY(sumi_quant_infer(ctx));
  const sumi_dtype scale = ctx->in[1].dtype;
  if (wanted == SUMI_UNDEFINED && scale == SUMI_FLOAT8E8M0)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "a float8e8m0 scale needs output_dtype");
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  if (ctx->n_out && !ctx->out[0].absent) ctx->out[0].dtype = wanted == SUMI_UNDEFINED ? scale : wanted;
  return SUMI_OK;
}

/* One scale, from the types that networks are full of, straight to float32. */
#define LOOP(name, T)                                                                        \
  static void name(const T *x, float scale, float zero, float *y, int64_t n) {               \
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) y[i] = ((float)(int32_t)x[i] - zero) * scale; \
  }
LOOP(row_u8, uint8_t)
LOOP(row_i8, int8_t)
LOOP(row_i32, int32_t)

/* At most SUMI_LANE_CHUNK elements. */
static void chunk(const struct sumi_call *c, int64_t at, int64_t n, int64_t scale_at, int step) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0], *zero_point = sumi_call_has(c, 2) ? c->in[2] : NULL;
  float value[SUMI_LANE_CHUNK], scale[SUMI_LANE_CHUNK], zero[SUMI_LANE_CHUNK];
  const int64_t scales = step ? n : 1;
  sumi_lane_load(SUMI_LANE_F32, c->in[1]->dtype, c->in[1]->data, scale_at, scales, scale);
  for (int64_t i = 0; i < scales; i++) zero[i] = 0;
  if (zero_point) sumi_lane_load(SUMI_LANE_F32, zero_point->dtype, zero_point->data, scale_at, scales, zero);
  sumi_lane_load(SUMI_LANE_F32, x->dtype, x->data, at, n, value);
  if (step) {
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) value[i] = (value[i] - zero[i]) * scale[i];
  } else {
    const float s = *scale, z = *zero;
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) value[i] = (value[i] - z) * s;
  }
  sumi_lane_store(SUMI_LANE_F32, y->dtype, y->data, at, n, value);
}

static void row(const void *self, int64_t at, int64_t n, int64_t scale_at, int step) {
  const struct sumi_call *c = self;
  const struct sumi_tensor *x = c->in[0], *s = c->in[1];
  if (!step && c->out[0]->dtype == SUMI_FLOAT32) {
    const float scale = (float)sumi_get_f64(s->dtype, s->data, scale_at);
    const float zero = sumi_call_has(c, 2) ? (float)sumi_get_f64(x->dtype, c->in[2]->data, scale_at) : 0;
    float *y = (float *)c->out[0]->data + at;
    if (x->dtype == SUMI_UINT8) {
      row_u8((const uint8_t *)x->data + at, scale, zero, y, n);
      return;
    }
    if (x->dtype == SUMI_INT8) {
      row_i8((const int8_t *)x->data + at, scale, zero, y, n);
      return;
    }
    if (x->dtype == SUMI_INT32) {
      row_i32((const int32_t *)x->data + at, scale, zero, y, n);
      return;
    }
  }
  for (int64_t i = 0; i < n; i += SUMI_LANE_CHUNK)
    chunk(c, at + i, SUMI_MIN(n - i, SUMI_LANE_CHUNK), scale_at + i * step, step);
}

static sumi_status dequantize_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  const struct sumi_quant_shape shape = sumi_quant_shape_of(c);
  sumi_quant_each(&shape, row, c, tools ? tools->par : NULL);
  return SUMI_OK;
}

static sumi_status dequantize_ref(const struct sumi_call *c) { return dequantize_run(c, NULL); }

static sumi_status dequantize_lower(struct sumi_lower *l) {
  const sumi_status status = sumi_dequantize_lower(l);
  return status == SUMI_E_UNSUPPORTED ? sumi_call_lower(l, dequantize_run, NULL, 0, -1, "stretches") : status;
}

static sumi_status dequantize_cells(struct sumi_cells *c) {
  if (sumi_attr_int(c->node, "block_size", 0)) return sumi_cells_refuse(c, "scales of blocks");
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, 1);
  int x = SUMI_VECTOR(&p, "(float)a", sumi_vector_load(&p, sumi_vector_view(&p, 0)));
  const int scale = sumi_quant_operand(&p, c, 1);
  if (sumi_cells_has(c, 2)) x = SUMI_VECTOR(&p, "a - (float)b", x, sumi_quant_operand(&p, c, 2));
  sumi_vector_store(&p, sumi_vector_view(&p, y), SUMI_VECTOR(&p, "a * b", x, scale));
  return sumi_vector_end(&p);
}

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT}, {"output_dtype", SUMI_ATTR_INT}, {"block_size", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"x", IN_TYPES, 'T'},
    {"x_scale", OUT_TYPES | SUMI_BIT(SUMI_FLOAT8E8M0)},
    {"x_zero_point", IN_TYPES, 'T', SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"y", OUT_TYPES}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (uint8[3,700] x) => (y) <float s = {0.05}, uint8 z = {131}> { y = DequantizeLinear (x, s, z) }",
     .high = 255},
    {"g (int8[2,3,5,7] x) => (y) <float[3] s = {0.5, 0.01, 0.3}, int8[3] z = {0, -7, 100}> { y = "
     "DequantizeLinear (x, s, z) }",
     .low = -128, .high = 127},
    {"g (int8[4,3] x) => (y) <float16[3] s = {0.5, 0.01, 0.3}> { y = DequantizeLinear <axis = -1> (x, s) }",
     .low = -128, .high = 127},
    {"g (int4[2,4] x) => (y) <float[2,2] s = {0.5, 0.1, 0.3, 0.7}> { y = DequantizeLinear <block_size = 2> "
     "(x, s) }",
     .low = -8, .high = 7},
    {"g (int32[33] x) => (y) <float s = {0.5}> { y = DequantizeLinear (x, s) }", .low = -900, .high = 900},
    {"g (float[2,6,5,7] x) => (y) <float s = {0.05}, uint8 z = {131}> { q = QuantizeLinear (x, s, z) y = "
     "DequantizeLinear (q, s, z) }",
     .low = -9, .high = 9, .why = "images in lanes"},
    {"g (float[2,6,5,7] x) => (y) <float[6] s = {0.5, 0.01, 0.3, 0.1, 0.2, 0.4}, int8[6] z = {0, -7, 100, 1, "
     "2, 3}> "
     "{ q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z) }",
     .low = -9, .high = 9, .why = "channels of images in lanes"},
    {"g (float[3,5,21] x) => (y) <float s = {0.05}, int8 z = {-5}> { q = QuantizeLinear (x, s, z) y = "
     "DequantizeLinear (q, s, z) }",
     .low = -9, .high = 9, .why = "tokens in lanes"},
    {"g (float[40,3] x) => (y) <float[3] s = {0.5, 0.01, 0.3}> { q = QuantizeLinear <axis = -1> (x, s) y = "
     "DequantizeLinear <axis = -1> (q, s) }",
     .low = -9, .high = 9, .why = "channels of tokens in lanes"},
    {NULL},
};

const struct sumi_op sumi_op_dequantize_linear = {
    .name = "DequantizeLinear",
    .formula = "(x - zero point) scale",
    .known_as = {{"", "DequantizeLinear", {10, 13, 19, 21, 23, 24, 25, 28}},
                 {"com.microsoft", "DequantizeLinear", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = dequantize_infer,
    .by_item = sumi_by_item_first,
    .ref = dequantize_ref,
    .cells = dequantize_cells,
    .lower = dequantize_lower,
    .lanes = sumi_dequantize_lanes,
    .cases = cases,
};

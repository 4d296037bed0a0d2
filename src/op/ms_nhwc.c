/* NhwcConv, NhwcFusedConv, NhwcMaxPool, QLinearConv (com.microsoft): Conv, FusedConv, MaxPool and QLinearConv whose images lie
 * as [batch, height, width, channels]; weights as in the standard. QLinearConv does where channels_last is 1.
 * Source: ONNX Runtime, the schemas of its contributed operators. */
#include "op/ms_twin.h"
#include "op/pool_cells.h"

#define FORM(name, op, ver, inputs)                                                                      \
  static const struct sumi_nhwc name##_form = {&sumi_op_##op, ver, inputs};                              \
  static sumi_status name##_infer(struct sumi_infer *ctx) { return sumi_nhwc_infer(ctx, &name##_form); } \
  static sumi_status name##_scratch(const struct sumi_call *c, size_t *bytes) {                          \
    return sumi_nhwc_scratch(c, &name##_form, bytes);                                                    \
  }                                                                                                      \
  static sumi_status name##_ref(const struct sumi_call *c) { return sumi_nhwc_ref(c, &name##_form); }

FORM(conv, conv, 11, 1)
FORM(fused, fused_conv, 1, 1 | 1 << 3)
FORM(pool, max_pool, 12, 1)
FORM(last_qconv, qlinear_conv, 10, 1)

/* ---- QLinearConv: either order ----------------------------------------------------------------------------------- */

static bool is_last(const struct sumi_node *node) { return sumi_attr_int(node, "channels_last", 0) != 0; }

static sumi_status qconv_infer(struct sumi_infer *ctx) {
  return is_last(ctx->node) ? last_qconv_infer(ctx) : sumi_op_qlinear_conv.infer(ctx);
}

static sumi_status qconv_scratch(const struct sumi_call *c, size_t *bytes) {
  *bytes = 0;
  return is_last(c->node) ? last_qconv_scratch(c, bytes) : SUMI_OK;
}

static sumi_status qconv_ref(const struct sumi_call *c) {
  return is_last(c->node) ? last_qconv_ref(c) : sumi_op_qlinear_conv.ref(c);
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

#define WINDOW_ATTRS                                                                         \
  {"auto_pad", SUMI_ATTR_STRING}, {"dilations", SUMI_ATTR_INTS}, {"pads", SUMI_ATTR_INTS}, { \
    "strides", SUMI_ATTR_INTS                                                                \
  }
#define CONV_ATTRS \
  WINDOW_ATTRS, {"group", SUMI_ATTR_INT}, { "kernel_shape", SUMI_ATTR_INTS }
#define BYTES (SUMI_BIT(SUMI_INT8) | SUMI_BIT(SUMI_UINT8))
#define SCALE SUMI_BIT(SUMI_FLOAT32)

static const struct sumi_attr_spec conv_attrs[] = {CONV_ATTRS, {NULL}};
static const struct sumi_attr_spec fused_attrs[] = {
    CONV_ATTRS, {"activation", SUMI_ATTR_STRING}, {"activation_params", SUMI_ATTR_FLOATS}, {NULL}};
static const struct sumi_attr_spec qconv_attrs[] = {CONV_ATTRS, {"channels_last", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec pool_attrs[] = {
    WINDOW_ATTRS, {"kernel_shape", SUMI_ATTR_INTS, true}, {"ceil_mode", SUMI_ATTR_INT}, {NULL}};

static const struct sumi_port conv_in[] = {
    {"X", SUMI_FLOATS, 'T'}, {"W", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port fused_in[] = {{"X", SUMI_FLOATS, 'T'},
                                            {"W", SUMI_FLOATS, 'T'},
                                            {"B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                            {"Z", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port conv_out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port pool_in[] = {{"x", BYTES | SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port pool_out[] = {{"y", BYTES | SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port qconv_in[] = {{"x", BYTES, 'X'},
                                            {"x_scale", SCALE},
                                            {"x_zero_point", BYTES, 'X'},
                                            {"w", BYTES, 'W'},
                                            {"w_scale", SCALE},
                                            {"w_zero_point", BYTES, 'W'},
                                            {"y_scale", SCALE},
                                            {"y_zero_point", BYTES, 'Y'},
                                            {"B", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port qconv_out[] = {{"y", BYTES, 'Y'}, {NULL}};

static const struct sumi_case conv_cases[] = {
    {"g (float[2,5,7,4] x, float[6,2,3,3] w, float[6] b) => (y) { y = com.microsoft.NhwcConv <group = 2, "
     "pads = "
     "[1, 1, 1, 1], strides = [2, 1]> (x, w, b) }",
     .rtol = 1e-5, .why = "18 products, summed in another order"},
    {"g (float16[1,9,3] x, float16[2,3,3] w) => (y) { y = com.microsoft.NhwcConv (x, w) }", .rtol = 2e-3,
     .why = "one spatial dimension; rounded once to 11 bits"},
    {NULL},
};
static const struct sumi_case fused_cases[] = {
    {"g (float[2,5,6,3] x, float[4,3,1,1] w, float[4] b, float[2,5,6,4] z) => (y) "
     "{ y = com.microsoft.NhwcFusedConv <activation = \"Relu\"> (x, w, b, z) }",
     .rtol = 1e-5, .why = "the residual has its channels last, too"},
    {NULL},
};
static const struct sumi_case pool_cases[] = {
    {"g (uint8[2,7,8,3] x) => (y) { y = com.microsoft.NhwcMaxPool <kernel_shape = [3, 2], strides = [2, 2], "
     "pads "
     "= [1, 0, 1, 1]> (x) }",
     .low = 0, .high = 255},
    {"g (int8[1,6,6,5] x) => (y) { y = com.microsoft.NhwcMaxPool <kernel_shape = [3, 3], strides = [2, 2], "
     "ceil_mode = 1> (x) }",
     .low = -128, .high = 127},
    {NULL},
};
static const struct sumi_case qconv_cases[] = {
    {"g (uint8[1,6,5,3] x, int8[4,3,3,3] w, int32[4] b) => (y) <float xs = {0.5}, uint8 xz = {3}, float[4] "
     "ws = "
     "{0.1, 0.2, 0.3, 0.4}, int8[4] wz = {0, 0, 0, 0}, float ys = {0.7}, uint8 yz = {128}> { y = "
     "com.microsoft.QLinearConv <pads = [1, 1, 1, 1], channels_last = 1> (x, xs, xz, w, ws, wz, ys, yz, b) }",
     .why = "channels last"},
    {"g (int8[1,4,5,5] x, int8[4,1,3,3] w) => (y) <float xs = {0.5}, int8 xz = {-3}, float ws = {0.1}, int8 "
     "wz = "
     "{1}, float ys = {0.2}, int8 yz = {5}> { y = com.microsoft.QLinearConv <group = 4> (x, xs, xz, w, ws, "
     "wz, "
     "ys, yz) }",
     .why = "channels first"},
    {NULL},
};

#define DESCRIPTOR(symbol, label, text, part, attr_list, how) \
  const struct sumi_op sumi_op_ms_##symbol = {                \
      .name = "com.microsoft." label,                         \
      .formula = text,                                        \
      .known_as = {{"com.microsoft", label, {1}}},            \
      .attrs = attr_list,                                     \
      .in = part##_in,                                        \
      .out = part##_out,                                      \
      .infer = part##_infer,                                  \
      .ref = part##_ref,                                      \
      .scratch = part##_scratch,                              \
      .cells = how,                                           \
      .cases = part##_cases,                                  \
  };

#define fused_out conv_out
DESCRIPTOR(nhwc_conv, "NhwcConv", "Conv with channels last", conv, conv_attrs, NULL)
DESCRIPTOR(nhwc_fused_conv, "NhwcFusedConv", "FusedConv with channels last", fused, fused_attrs, NULL)
DESCRIPTOR(nhwc_max_pool, "NhwcMaxPool", "MaxPool with channels last", pool, pool_attrs,
           sumi_nhwc_max_pool_cells)
DESCRIPTOR(qlinear_conv, "QLinearConv", "QLinearConv with channels first or last", qconv, qconv_attrs, NULL)

/* sumi.BConv: FusedConv on bfloat16, made by pass narrow-bf16 (files cannot name it):
 *   y[b, m, o] = act(bias[m] + sum over taps k, channels c of w[m, c, k] * x[b, c, o * stride + k * dilation - begin] + r[b, m, o])
 * x, w, r are bfloat16, bias and all sums float32; y is bfloat16, or float32 with to = 1. */
#include "op/bdot.h"
#include "op/bdot_cells.h"
#include "op/bdot_lower.h"
#include "op/by_item.h"
#include "op/conv.h"
#include "op/widen.h"

const struct sumi_port sumi_bdot_in[] = {{"X", SUMI_BIT(SUMI_BFLOAT16)},
                                         {"W", SUMI_BIT(SUMI_BFLOAT16)},
                                         {"B", SUMI_BIT(SUMI_FLOAT32), .flags = SUMI_PORT_OPTIONAL},
                                         {"R", SUMI_BIT(SUMI_BFLOAT16), .flags = SUMI_PORT_OPTIONAL},
                                         {NULL}};
const struct sumi_port sumi_bdot_out[] = {{"Y", SUMI_BIT(SUMI_BFLOAT16) | SUMI_BIT(SUMI_FLOAT32)}, {NULL}};

sumi_status sumi_bdot_dtype(const struct sumi_node *node, sumi_dtype *dtype, struct sumi_err *err) {
  *dtype = sumi_dtype_from_onnx(sumi_attr_int(node, "to", sumi_dtype_to_onnx(SUMI_BFLOAT16)));
  if (*dtype != SUMI_BFLOAT16 && *dtype != SUMI_FLOAT32)
    SUMI_FAIL(err, SUMI_E_VALUE, "attribute to names neither bfloat16 nor float32");
  return SUMI_OK;
}

static sumi_status bconv_infer(struct sumi_infer *ctx) {
  sumi_dtype dtype = SUMI_UNDEFINED;
  SUMI_TRY(sumi_bdot_dtype(ctx->node, &dtype, ctx->err));
  return sumi_conv_infer_all(ctx, dtype);
}

static void bconv_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[SUMI_BDOT_X], c->in[SUMI_BDOT_W], &v, NULL) == SUMI_OK)
    sumi_conv_cost(c, &v, SUMI_BDOT_W, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {{"auto_pad", SUMI_ATTR_STRING},
                                              {"dilations", SUMI_ATTR_INTS},
                                              {"group", SUMI_ATTR_INT},
                                              {"kernel_shape", SUMI_ATTR_INTS},
                                              {"pads", SUMI_ATTR_INTS},
                                              {"strides", SUMI_ATTR_INTS},
                                              SUMI_BDOT_ATTRS,
                                              {NULL}};

/* Results near a tie round the other way where the sum was taken in another order: one unit of 8 bits. */
#define UNIT .rtol = 0x1.02p-7, .atol = 1e-5
static const struct sumi_case cases[] = {
    {"g (bfloat16[1,3,9,9] x, bfloat16[4,3,3,3] w, float[4] b) => (y) "
     "{ y = sumi.BConv <pads = [1, 1, 1, 1]> (x, w, b) }",
     UNIT, .why = "an odd number of channels; may round the other way"},
    {"g (bfloat16[2,8,7,5] x, bfloat16[6,4,3,2] w) => (y) "
     "{ y = sumi.BConv <group = 2, strides = [2, 1], pads = [0, 2, 1, 0], dilations = [2, 1]> (x, w) }",
     UNIT, .why = "groups, asymmetric pads, strides, dilations; may round the other way"},
    {"g (bfloat16[1,36,7,7] x, bfloat16[21,36,1,1] w, float[21] b) => (y) "
     "{ y = sumi.BConv <activation = \"Relu\"> (x, w, b) }",
     UNIT, .why = "1x1, an odd number of rows; may round the other way"},
    {"g (bfloat16[1,36,7,7] x, bfloat16[21,36,1,1] w, float[21] b) => (y) "
     "{ y = sumi.BConv <to = 1, strides = [2, 2], activation = \"Clip\", activation_params = [-0.5, 1.5]> "
     "(x, w, b) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "float32 out; 36 products in another order"},
    {"g (bfloat16[1,36,7,7] x, bfloat16[21,36,1,1] w) => (y) "
     "{ y = sumi.BConv <activation = \"Clip\", activation_params = [0.0, 6.0]> (x, w) }",
     UNIT, .why = "limits that are bfloat16; may round the other way"},
    {"g (bfloat16[2,36,7,7] x, bfloat16[150,36,1,1] w, float[150] b) => (y) "
     "{ y = sumi.BConv <activation = \"Clip\", activation_params = [0.0, 6.0]> (x, w, b) }",
     UNIT, .why = "many rows; may round the other way"},
    {"g (bfloat16[1,192,6,6] x, bfloat16[192,2,3,3] w, float[192] b) => (y) "
     "{ y = sumi.BConv <group = 96, activation = \"HardSigmoid\"> (x, w, b) }",
     UNIT, .why = "many groups; may round the other way"},
    {"g (bfloat16[2,16,6,6] x, bfloat16[34,16,3,3] w, bfloat16[2,34,4,4] r) => (y) "
     "{ y = sumi.BConv <activation = \"HardSwish\"> (x, w, , r) }",
     .rtol = 0x1.02p-7, .atol = 0.02,
     .why = "a residual and a function of sums that cancel; may round the other way"},
    {"g (bfloat16[2,8,20] x, bfloat16[4,8,3] w, float[4] b, bfloat16[2,4,18] r) => (y) "
     "{ y = sumi.BConv <to = 1, activation = \"Sigmoid\"> (x, w, b, r) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "one spatial dimension, float32 out"},
    {NULL},
};

static bool bconv_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_only(c, carries, 1 << SUMI_BDOT_X | 1 << SUMI_BDOT_R);
}

const struct sumi_op sumi_op_bconv = {
    .name = "sumi.BConv",
    .formula = "activation(Conv(x, w, b) + r) on bfloat16, sums in float32",
    .known_as = {{"sumi", "BConv", {1}}},
    .attrs = attrs,
    .in = sumi_bdot_in,
    .out = sumi_bdot_out,
    .flags = SUMI_OP_INTERNAL,
    .infer = bconv_infer,
    .by_item = bconv_by_item,
    .ref = sumi_conv_ref,
    .lower = sumi_bconv_lower,
    .cells = sumi_bconv_cells,
    .lanes = sumi_bconv_lanes,
    .scratch = sumi_widen_scratch,
    .cost = bconv_cost,
    .cases = cases,
};

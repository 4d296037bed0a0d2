/* sumi.ConvWeightGrad: the gradient of a convolution's weights without groups, made by pass fuse-conv-grad (files cannot name it):
 *   dw[m, c, k] = sum over n, o of dy[n, m, o] * x[n, c, o * stride + k * dilation - begin], x 0 outside
 * The attributes are the convolution's; kernel_shape says how many taps there are. With narrow = 1, x and dy are rounded to that
 * first. The reference sums in float64. */
#include "op/conv_weight_grad.h"

#include <inttypes.h>

#include "base/half.h"

enum { X, DY };

static bool differ(sumi_dim a, sumi_dim b) { return a >= 0 && b >= 0 && a != b; }

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[X], *dy = &ctx->in[DY];
  if (x->rank < 0 || dy->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, SUMI_FLOAT32);
    return SUMI_OK;
  }
  if (x->rank < 3 || x->rank != dy->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, the output's gradient %d", x->rank, dy->rank);
  if (differ(x->dim[0], dy->dim[0]))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " images, and gradients of %" PRId64, x->dim[0], dy->dim[0]);
  struct sumi_window w;
  SUMI_TRY(sumi_op_window(ctx->node, x->rank - 2, x->dim + 2, NULL, &w, ctx->err));
  sumi_dim dim[SUMI_MAX_RANK] = {dy->dim[1], x->dim[1]};
  for (int i = 0; i < w.n; i++) {
    if (differ(w.out[i], dy->dim[2 + i]))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
                "spatial dimension %d of the output's gradient is %" PRId64 ", the window gives %" PRId64, i,
                dy->dim[2 + i], w.out[i]);
    dim[2 + i] = w.kernel[i];
  }
  sumi_infer_out(ctx, 0, SUMI_FLOAT32, x->rank, dim);
  return SUMI_OK;
}

bool sumi_conv_weight_grad_rounds(const struct sumi_node *node) {
  return sumi_attr_int(node, "narrow", 0) != 0;
}

static double value(float x, bool rounds) {
  return (double)(rounds ? sumi_f32_from_bf16(sumi_bf16_from_f32(x)) : x);
}

static sumi_status ref(const struct sumi_call *c) {
  struct sumi_conv v;
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[X], c->out[0], &v, c->err));
  const float *x = c->in[X]->data, *dy = c->in[DY]->data;
  const bool rounds = sumi_conv_weight_grad_rounds(c->node);
  float *dw = c->out[0]->data;
  for (int64_t i = 0; i < v.c_out * v.c_in * v.taps; i++) {
    const int64_t k = i % v.taps, channel = i / v.taps % v.c_in, m = i / v.taps / v.c_in;
    double sum = 0;
    for (int64_t o = 0; o < v.out_pixels; o++) {
      const int64_t from = sumi_conv_source(&v, o, k);
      for (int64_t n = 0; n < v.batch && from >= 0; n++)
        sum += value(dy[(n * v.c_out + m) * v.out_pixels + o], rounds) *
               value(x[(n * v.c_in + channel) * v.in_pixels + from], rounds);
    }
    dw[i] = (float)sum;
  }
  return SUMI_OK;
}

static void cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[X], c->out[0], &v, NULL) == SUMI_OK)
    sumi_conv_cost(c, &v, DY, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {{"narrow", SUMI_ATTR_INT},
                                              {"dilations", SUMI_ATTR_INTS},
                                              {"kernel_shape", SUMI_ATTR_INTS, .required = true},
                                              {"pads", SUMI_ATTR_INTS},
                                              {"strides", SUMI_ATTR_INTS},
                                              {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_BIT(SUMI_FLOAT32)}, {"dY", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};
static const struct sumi_port out[] = {{"dW", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};

#define SUMS "sums of a few hundred products in float32"

static const struct sumi_case cases[] = {
    {"g (float[3,5,7,9] x, float[3,6,7,9] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS},
    {"g (float[70,33,8,8] x, float[70,40,4,4] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; a row and a column that no window reaches, several chunks of images"},
    {"g (float[2,32,9,9] x, float[2,48,5,3] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <kernel_shape = [1, 1], strides = [2, 3]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS},
    {"g (float[2,20,17,19] x, float[2,9,15,6] dy) => (dw) { dw = sumi.ConvWeightGrad <kernel_shape = [3, 2], "
     "dilations = [2, 3], pads = [1, 0, 1, 2], strides = [1, 3]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; dilated, taps of a row apart"},
    {"g (float[4,6,50] x, float[4,3,47] dy) => (dw) { dw = sumi.ConvWeightGrad <kernel_shape = [4]> (x, dy) "
     "}",
     .rtol = 1e-5, .why = SUMS "; 1-D"},
    {"g (float[1,2,8,8] x, float[1,3,5,4] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <kernel_shape = [3, 3], pads = [-1, 0, 0, -2]> (x, dy) }",
     .rtol = 1e-5, .why = "negative pads cut"},
    {"g (float[1,2,4,4,4] x, float[1,3,3,3,3] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <kernel_shape = [2, 2, 2]> (x, dy) }",
     .rtol = 1e-5, .why = "3-D: the reference function"},
    {"g (float[5,5,7,9] x, float[5,6,7,9] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <narrow = 1, kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; an image without a partner"},
    {"g (float[38,33,8,8] x, float[38,40,4,4] dy) => (dw) { dw = sumi.ConvWeightGrad <narrow = 1, "
     "kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; blocks of rows that are not full"},
    {"g (float[9,20,17,19] x, float[9,9,15,6] dy) => (dw) { dw = sumi.ConvWeightGrad <narrow = 1, "
     "kernel_shape = [3, 2], dilations = [2, 3], pads = [1, 0, 1, 2], strides = [1, 3]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; dilated, taps of a row apart, entries that fill no step"},
    {"g (float[7,3,40,40] x, float[7,17,40,40] dy) => (dw) { dw = sumi.ConvWeightGrad <narrow = 1, "
     "kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; several chunks"},
    {"g (float[4,6,50] x, float[4,3,47] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <narrow = 1, kernel_shape = [4]> (x, dy) }",
     .rtol = 1e-5, .why = SUMS "; 1-D"},
    {"g (float[0,2,4,4] x, float[0,3,3,3] dy) => (dw) "
     "{ dw = sumi.ConvWeightGrad <kernel_shape = [2, 2]> (x, dy) }",
     .why = "no images: zeros"},
    {NULL},
};

const struct sumi_op sumi_op_conv_weight_grad = {
    .name = "sumi.ConvWeightGrad",
    .formula = "the gradient of Conv's weights from its input and its output's gradient",
    .known_as = {{"sumi", "ConvWeightGrad", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_INTERNAL,
    .infer = infer,
    .ref = ref,
    .lower = sumi_conv_weight_grad_lower,
    .cost = cost,
    .cases = cases,
};

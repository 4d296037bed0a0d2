/* Conv, com.microsoft.FusedConv: convolution in 1 to 10 spatial dimensions, groups, strides, dilations, any
 * padding. y[b, m, o] = act(bias[m] + sum over taps k, channels c of w[m, c, k] * x[b, c, o * stride + k *
 * dilation - begin] + z) FusedConv adds the residual z and the activation; passes make it as well. float32
 * accumulates in float32 in exactly the order bias, then tap by tap (row-major), channel by channel, then z;
 * float16 and bfloat16 the same, rounded once at the end; float64 is the textbook loop. */
#include "op/conv.h"
#include "op/by_item.h"

#include <inttypes.h>

#include "base/size.h"
#include "op/conv_lower.h"
#include "op/fdot_cells.h"
#include "op/grad.h"
#include "op/widen.h"

sumi_status sumi_conv_infer_all(struct sumi_infer *ctx, sumi_dtype dtype) {
  SUMI_TRY(sumi_conv_infer(ctx, 0, 1, dtype));
  SUMI_TRY(sumi_conv_check_bias(ctx, 2, ctx->in[1].rank >= 0 ? ctx->in[1].dim[0] : SUMI_DIM_UNKNOWN));
  struct sumi_activation act;
  SUMI_TRY(sumi_activation_resolve(ctx->node, &act, ctx->err));
  const struct sumi_info *y = &ctx->out[0];
  if (!sumi_infer_has(ctx, 3) || ctx->in[3].rank < 0 || y->rank < 0) return SUMI_OK;
  const struct sumi_info *z = &ctx->in[3];
  if (z->rank != y->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the residual has rank %d, the output %d", z->rank, y->rank);
  for (int i = 0; i < z->rank; i++)
    if (z->dim[i] >= 0 && y->dim[i] >= 0 && z->dim[i] != y->dim[i])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of the residual is %" PRId64 ", of the output %" PRId64,
                i, z->dim[i], y->dim[i]);
  return SUMI_OK;
}

/* y[o] += sum over c of w[c * w_stride] * x[c * x_stride + o * stride], channels in order. Four channels at a
 * time only save loads of y: the sum is still taken one after another. */
static void add_tap(int64_t channels, const float *restrict x, int64_t x_stride, const float *restrict w,
                    int64_t w_stride, int64_t stride, int64_t n, float *restrict y) {
  int64_t c = 0;
  for (; c + 4 <= channels; c += 4, x += 4 * x_stride, w += 4 * w_stride) {
    const float w0 = w[0], w1 = w[w_stride], w2 = w[2 * w_stride], w3 = w[3 * w_stride];
    const float *x1 = x + x_stride, *x2 = x1 + x_stride, *x3 = x2 + x_stride;
    if (stride == 1)
      for (int64_t o = 0; o < n; o++) y[o] = y[o] + w0 * x[o] + w1 * x1[o] + w2 * x2[o] + w3 * x3[o];
    else
      for (int64_t o = 0; o < n; o++)
        y[o] = y[o] + w0 * x[o * stride] + w1 * x1[o * stride] + w2 * x2[o * stride] + w3 * x3[o * stride];
  }
  for (; c < channels; c++, x += x_stride, w += w_stride)
    for (int64_t o = 0; o < n; o++) y[o] += w[0] * x[o * stride];
}

static sumi_status conv_infer(struct sumi_infer *ctx) { return sumi_conv_infer_all(ctx, ctx->in[0].dtype); }

struct row {
  const struct sumi_conv *v;
  const float *x, *w; /* of one group and output channel: [c_group, in...], [c_group, kernel...] */
  float *y;
};

static void row_tap(void *user, int64_t x, int64_t w, int64_t o, int64_t n) {
  const struct row *r = user;
  const struct sumi_conv *v = r->v;
  add_tap(v->c_group, r->x + x, v->in_pixels, r->w + w, v->taps, v->window.stride[v->n - 1], n, r->y + o);
}

static void conv_f32(const struct sumi_conv *v, const float *x, const float *w, const float *bias,
                     const float *z, float *y) {
  for (struct sumi_conv_rows it = sumi_conv_rows_start(v); !it.done; sumi_conv_rows_next(&it))
    for (int64_t m = it.group * it.v.m_group; m < (it.group + 1) * it.v.m_group; m++) {
      const int64_t offset = (it.batch * v->c_out + m) * v->out_pixels + it.pixel;
      struct row r = {&it.v, x + (it.batch * v->c_in + it.group * v->c_group) * v->in_pixels,
                      w + m * v->c_group * v->taps, y + offset};
      for (int64_t o = 0; o < it.n; o++) r.y[o] = bias ? bias[m] : 0;
      sumi_conv_rows_taps(&it, row_tap, &r);
      if (z)
        for (int64_t o = 0; o < it.n; o++) r.y[o] += z[offset + o];
      sumi_activation_apply(v->activation, r.y, it.n);
    }
}

static void conv_f64(const struct sumi_conv *v, const double *x, const double *w, const double *bias,
                     const double *z, double *y) {
  for (int64_t bm = 0; v->out_pixels && bm < v->batch * v->c_out; bm++)
    for (int64_t o = 0; o < v->out_pixels; o++) {
      const int64_t m = bm % v->c_out, first = bm / v->c_out * v->c_in + m / v->m_group * v->c_group;
      double sum = bias ? bias[m] : 0;
      for (int64_t k = 0; v->c_group && k < v->taps; k++) {
        const int64_t i = sumi_conv_source(v, o, k);
        if (i < 0) continue;
        for (int64_t c = 0; c < v->c_group; c++)
          sum += w[(m * v->c_group + c) * v->taps + k] * x[(first + c) * v->in_pixels + i];
      }
      if (z) sum += z[bm * v->out_pixels + o];
      sumi_activation_apply_f64(v->activation, &sum, 1);
      y[bm * v->out_pixels + o] = sum;
    }
}

sumi_status sumi_conv_ref(const struct sumi_call *c) {
  struct sumi_conv v;
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[0], c->in[1], &v, c->err));
  if (c->in[0]->dtype == SUMI_FLOAT64) {
    conv_f64(&v, c->in[0]->data, c->in[1]->data, sumi_call_has(c, 2) ? c->in[2]->data : NULL,
             sumi_call_has(c, 3) ? c->in[3]->data : NULL, c->out[0]->data);
    return SUMI_OK;
  }
  struct sumi_wide f;
  sumi_widen(c, &f);
  conv_f32(&v, f.in[0], f.in[1], f.in[2], f.in[3], f.out[0]);
  sumi_narrow(c, &f);
  return SUMI_OK;
}

static void conv_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[0], c->in[1], &v, NULL) == SUMI_OK) sumi_conv_cost(c, &v, 1, -1, cost);
}

#define CONV_ATTRS                                                                         \
  {"auto_pad", SUMI_ATTR_STRING}, {"dilations", SUMI_ATTR_INTS}, {"group", SUMI_ATTR_INT}, \
      {"kernel_shape", SUMI_ATTR_INTS}, {"pads", SUMI_ATTR_INTS}, {                        \
    "strides", SUMI_ATTR_INTS                                                              \
  }

static const struct sumi_attr_spec conv_attrs[] = {CONV_ATTRS, {NULL}};
static const struct sumi_attr_spec fused_attrs[] = {
    CONV_ATTRS, {"activation", SUMI_ATTR_STRING}, {"activation_params", SUMI_ATTR_FLOATS}, {NULL}};

#define CONV_IN \
  {"X", SUMI_FLOATS, 'T'}, {"W", SUMI_FLOATS, 'T'}, { "B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL }

static const struct sumi_port conv_in[] = {CONV_IN, {NULL}};
static const struct sumi_port fused_in[] = {CONV_IN, {"Z", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case conv_cases[] = {
    {"g (float[1,3,7,7] x, float[4,3,3,3] w, float[4] b) => (y) { y = Conv <pads = [1, 1, 1, 1]> (x, w, b) }",
     .rtol = 1e-5, .why = "27 products, summed in another order"},
    {"g (float[2,8,5,6] x, float[8,2,3,2] w) => (y) { y = Conv <group = 4, strides = [2, 1], pads = [0, 2, "
     "1, 0]> (x, w) }",
     .rtol = 1e-5, .why = "groups, asymmetric pads and strides"},
    {"g (float[1,6,9,9] x, float[6,1,3,3] w) => (y) { y = Conv <group = 6, dilations = [2, 3], pads = [2, 3, "
     "2, 3]> (x, w) }",
     .rtol = 1e-5, .why = "depthwise, dilated"},
    {"g (float[1,32,7,7] x, float[16,32,1,1] w, float[16] b) => (y) { y = Conv (x, w, b) }", .rtol = 1e-5,
     .why = "1x1"},
    {"g (float[1,3,224,224] x, float[8,3,7,7] w) => (y) { y = Conv <strides = [2, 2], pads = [3, 3, 3, 3]> "
     "(x, w) }",
     .rtol = 1e-5, .why = "the stem of ResNet: 147 products"},
    {"g (float[1,3,48,64] x, float[8,3,16,16] w, float[8] b) => (y) { y = Conv <strides = [16, 16]> (x, w, "
     "b) }",
     .rtol = 1e-5, .why = "patches: as many phases as taps"},
    {"g (float[2,4,200] x, float[6,2,90] w, float[6] b) => (y) "
     "{ y = Conv <group = 2, strides = [40], pads = [7, 3]> (x, w, b) }",
     .rtol = 1e-5, .why = "a Fourier transform's frames: more phases than planes are made for"},
    {"g (float[1,2,80,90] x, float[3,2,40,35] w) => (y) { y = Conv <strides = [36, 2], pads = [1, 1, 0, 2]> "
     "(x, w) }",
     .rtol = 1e-5, .why = "the same in two dimensions"},
    {"g (float[2,3,17] x, float[5,3,4] w) => (y) { y = Conv <auto_pad = \"SAME_LOWER\", strides = [3]> (x, "
     "w) }",
     .rtol = 1e-5, .why = "1-D, more padding in front"},
    {"g (float[1,2,5,4,6] x, float[3,2,2,3,2] w) => (y) { y = Conv <auto_pad = \"SAME_UPPER\"> (x, w) }",
     .rtol = 1e-5, .why = "3-D, more padding behind"},
    {"g (float[1,2,8,8] x, float[3,2,3,3] w) => (y) { y = Conv <pads = [-1, 0, -2, -1]> (x, w) }",
     .rtol = 1e-5, .why = "negative pads cut"},
    {"g (double[1,2,5,5] x, double[3,2,3,3] w) => (y) { y = Conv (x, w) }", .rtol = 1e-13},
    {"<opset_import: [\"\": 11]> g (float16[1,2,5,5] x, float16[3,2,3,3] w) => (y) { y = Conv (x, w) }",
     .rtol = 2e-3, .why = "rounded once to 11 bits"},
    {"g (bfloat16[1,2,5,5] x, bfloat16[3,2,3,3] w, bfloat16[3] b) => (y) { y = Conv (x, w, b) }",
     .rtol = 1e-2, .why = "rounded once to 8 bits"},
    {"g (float[19,5,9,9] x, float[40,5,3,3] w, float[40] b) => (y) "
     "{ y = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w, b) }",
     .rtol = 1e-5, .why = "a batch of which threads take whole images, phases copied"},
    {"g (float[2,6,13,31] x, float[40,3,3,5] w, float[40] b) => (y) "
     "{ y = Conv <group = 2, pads = [1, 2, 0, 2], strides = [2, 2]> (x, w, b) }",
     .rtol = 1e-5, .why = "every other word of rows of 16 pixels"},
    {"g (float[13,4,8,8] x) => (y) <float[1,4,1,2] w = {1, 2, 3, 4, 5, 6, 7, 8}> { y = Conv <pads = [0, 1, "
     "0, "
     "0]> (x, w) }",
     .rtol = 1e-5, .why = "the same with constant weights"},
    {"g (float[2,3,1,2] x, float[9] b) => (y) <float[9,3,1,2] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, "
     "-4, "
     "-5, -6, -7, -8, -9, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9, 1, 2, 3, 4, 5, 6, "
     "7, "
     "8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9}> { y = Conv <strides = [3, 1]> (x, w, b) }",
     .rtol = 1e-5, .why = "one output pixel that sees all: a matrix product"},
    {"g (float[0,2,5,5] x, float[3,2,3,3] w) => (y) { y = Conv (x, w) }", .why = "an empty batch"},
    {NULL},
};

static const struct sumi_case fused_cases[] = {
    {"g (float[1,3,7,7] x, float[4,3,3,3] w, float[4] b) => (y) "
     "{ y = com.microsoft.FusedConv <activation = \"Relu\", pads = [1, 1, 1, 1]> (x, w, b) }",
     .rtol = 1e-5},
    {"g (float[1,3,7,7] x, float[4,3,1,1] w, float[4] b, float[1,4,7,7] z) => (y) "
     "{ y = com.microsoft.FusedConv <activation = \"Clip\", activation_params = [-0.5, 1.5]> (x, w, b, z) }",
     .rtol = 1e-5, .why = "the residual comes before the activation"},
    {"g (float[1,3,7,7] x, float[4,3,1,1] w, float[1,4,7,7] z) => (y) "
     "{ y = com.microsoft.FusedConv <activation = \"HardSwish\"> (x, w, , z) }",
     .rtol = 1e-5, .why = "a residual without bias"},
    {"g (float[2,4,7,7] x, float[4,1,3,3] w, float[4] b, float[2,4,7,7] z) => (y) { y = "
     "com.microsoft.FusedConv "
     "<activation = \"Clip\", activation_params = [-0.5, 1.5], group = 4, pads = [1, 1, 1, 1]> (x, w, b, z) "
     "}",
     .rtol = 1e-5, .why = "depthwise with a residual"},
    {"g (float[1,4,7,7] x, float[4,1,3,3] w, float[1,4,7,7] z) => (y) { y = com.microsoft.FusedConv "
     "<activation = \"HardSwish\", group = 4, pads = [1, 1, 1, 1]> (x, w, , z) }",
     .rtol = 1e-5, .why = "the same without bias, a function behind it"},
    {"g (float[1,3,7,7] x, float[4,3,1,1] w) => (y) "
     "{ y = com.microsoft.FusedConv <activation = \"LeakyRelu\", activation_params = [0.3]> (x, w) }",
     .rtol = 1e-5},
    {NULL},
};

static bool conv_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_only(c, carries, 1 << 0 | 1 << 3);
}

const struct sumi_op sumi_op_conv = {
    .name = "Conv",
    .formula = "bias + sum of w * x over channels and taps of a sliding window",
    .known_as = {{"", "Conv", {1, 11, 22}}},
    .attrs = conv_attrs,
    .in = conv_in,
    .out = out,
    .infer = conv_infer,
    .by_item = conv_by_item,
    .ref = sumi_conv_ref,
    .lower = sumi_conv_lower,
    .cells = sumi_conv_cells,
    .scratch = sumi_widen_scratch,
    .cost = conv_cost,
    .grad = sumi_conv_grad,
    .product = sumi_conv_product,
    .cases = conv_cases,
};

const struct sumi_op sumi_op_fused_conv = {
    .name = "com.microsoft.FusedConv",
    .formula = "activation(Conv(x, w, b) + z)",
    .known_as = {{"com.microsoft", "FusedConv", {1}}},
    .attrs = fused_attrs,
    .in = fused_in,
    .out = out,
    .infer = conv_infer,
    .by_item = conv_by_item,
    .ref = sumi_conv_ref,
    .lower = sumi_conv_lower,
    .cells = sumi_conv_cells,
    .scratch = sumi_widen_scratch,
    .cost = conv_cost,
    .product = sumi_conv_product,
    .cases = fused_cases,
};

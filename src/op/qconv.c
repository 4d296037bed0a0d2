/* sumi.QConv: a convolution of 8-bit values with its requantisation, made by passes of DequantizeLinear, Conv and
 * QuantizeLinear (files cannot name it):
 *   dot[b, m, o] = b[m] + sum over channels c, taps k of w[m, c, k] * (x[b, c, o * stride + k * dilation - begin] - x_zero)
 * and what qdot.h does with it. Padding counts as x_zero: it adds nothing. Sums are exact modulo 2^32. */
#include "op/by_item.h"
#include "op/conv.h"
#include "op/qdot.h"
#include "op/qdot_cells.h"
#include "op/qdot_lower.h"

static sumi_status qconv_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_conv_infer(ctx, SUMI_QDOT_X, SUMI_QDOT_W, sumi_qdot_dtype(ctx)));
  const struct sumi_info *w = &ctx->in[SUMI_QDOT_W];
  return sumi_qdot_infer(ctx, w->rank > 0 ? w->dim[0] : SUMI_DIM_UNKNOWN);
}

struct row {
  const struct sumi_conv *v;
  const uint8_t *x; /* of one group: [c_group, in...] */
  const int8_t *w;  /* of one output channel: [c_group, kernel...] */
  uint8_t flip;
  int16_t zero;
  uint32_t sum[SUMI_CONV_ROW];
};

static void row_tap(void *user, int64_t x, int64_t w, int64_t o, int64_t n) {
  struct row *r = user;
  const int64_t stride = r->v->window.stride[r->v->n - 1];
  const uint8_t flip = r->flip;
  const int16_t zero = r->zero;
  uint32_t *sum = r->sum + o;
  for (int64_t c = 0; c < r->v->c_group; c++) {
    const uint8_t *from = r->x + x + c * r->v->in_pixels;
    const int32_t weight = r->w[w + c * r->v->taps];
    if (!weight) continue;
    if (stride == 1)
      for (int64_t j = 0; j < n; j++) sum[j] += (uint32_t)(weight * (int16_t)((from[j] ^ flip) - zero));
    else
      for (int64_t j = 0; j < n; j++)
        sum[j] += (uint32_t)(weight * (int16_t)((from[j * stride] ^ flip) - zero));
  }
}

static sumi_status qconv_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[SUMI_QDOT_X], *w = c->in[SUMI_QDOT_W];
  struct sumi_conv v;
  struct sumi_qdot q;
  SUMI_TRY(sumi_conv_resolve(c->node, x, w, &v, c->err));
  SUMI_TRY(sumi_qdot_resolve(c->node, c->in, c->n_in, v.c_out, &q, c->err));
  const size_t bytes = q.real ? sizeof(float) : 1; /* of an element of y */
  const uint8_t *residual = sumi_call_has(c, SUMI_QDOT_R) ? c->in[SUMI_QDOT_R]->data : NULL;
  struct row r = {.flip = q.x_flip, .zero = (int16_t)q.x_zero};
  for (struct sumi_conv_rows it = sumi_conv_rows_start(&v); !it.done; sumi_conv_rows_next(&it))
    for (int64_t m = it.group * v.m_group; m < (it.group + 1) * v.m_group; m++) {
      const int64_t at = (it.batch * v.c_out + m) * v.out_pixels + it.pixel;
      r.v = &it.v;
      r.x = (const uint8_t *)x->data + (it.batch * v.c_in + it.group * v.c_group) * v.in_pixels;
      r.w = (const int8_t *)w->data + m * v.c_group * v.taps;
      for (int64_t o = 0; o < it.n; o++) r.sum[o] = 0;
      sumi_conv_rows_taps(&it, row_tap, &r);
      sumi_qdot_finish(&q, m, r.sum, it.n, residual ? residual + at : NULL,
                       (char *)c->out[0]->data + (size_t)at * bytes, 1);
    }
  return SUMI_OK;
}

static void qconv_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[SUMI_QDOT_X], c->in[SUMI_QDOT_W], &v, NULL) == SUMI_OK)
    sumi_conv_cost(c, &v, SUMI_QDOT_W, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {{"auto_pad", SUMI_ATTR_STRING},
                                              {"dilations", SUMI_ATTR_INTS},
                                              {"group", SUMI_ATTR_INT},
                                              {"kernel_shape", SUMI_ATTR_INTS},
                                              {"pads", SUMI_ATTR_INTS},
                                              {"strides", SUMI_ATTR_INTS},
                                              SUMI_QDOT_ATTRS,
                                              {NULL}};

/* Scales are constants: random ones would saturate everything. */
#define CASE(inputs, constants, call) "g (" inputs ") => (y) <" constants "> { y = sumi.QConv " call " }"
#define X "float xs = {0.04}, uint8 xz = {131}"
#define XS "float xs = {0.04}, int8 xz = {-7}"
#define Y "float ys = {0.5}, uint8 yz = {117}"
#define WS4 "float[4] ws = {0.01, 0.02, 0.015, 0.03}"
static const struct sumi_case cases[] = {
    {CASE("uint8[1,3,9,9] x, int8[4,3,3,3] w, int32[4] b", X ", " Y ", " WS4,
          "<pads = [1, 1, 1, 1]> (x, xs, xz, w, ws, b, ys, yz)"),
     .low = -128, .high = 255, .why = "scales by channel, padding is the zero point"},
    {CASE("int8[2,8,7,5] x, int8[4,4,3,2] w", XS ", float ys = {0.3}, int8 yz = {-20}, float ws = {0.01}",
          "<group = 2, strides = [2, 1], pads = [0, 2, 1, 0], dilations = [2, 1]> (x, xs, xz, w, ws, , ys, "
          "yz)"),
     .low = -128, .high = 127, .why = "signed, one scale, groups, asymmetric pads, strides, dilations"},
    {CASE("uint8[1,6,9,9] x, int8[6,1,3,3] w, int32[6] b",
          X ", float ys = {0.2}, int8 yz = {0}, float ws = {0.02}",
          "<group = 6, strides = [2, 2], pads = [1, 1, 1, 1], activation = \"Relu\"> (x, xs, xz, w, ws, b, "
          "ys, yz)"),
     .low = -128, .high = 255, .why = "depthwise, unsigned to signed, Relu above the zero point"},
    {CASE("uint8[1,36,7,7] x, int8[20,36,1,1] w", X ", " Y ", float ws = {0.01}",
          "<activation = \"Clip\", activation_params = [-3.3, 21.0]> (x, xs, xz, w, ws, , ys, yz)"),
     .low = -128, .high = 255, .why = "limits inside the byte's"},
    {CASE("uint8[1,8,6,6] x, int8[4,8,1,1] w, float[4] c",
          X ", " Y ", " WS4 ", float cs = {0.25}, uint8 cz = {9}",
          "<strides = [2, 2], c_activation = \"Clip\", c_activation_params = [0.0, 6.0]> "
          "(x, xs, xz, w, ws, , ys, yz, c, cs, cz)"),
     .low = -128, .high = 255, .why = "a constant a channel"},
    {CASE("uint8[1,8,6,6] x, int8[4,8,3,3] w, int8[1,4,4,4] r",
          X ", " Y ", " WS4 ", float rs = {0.7}, int8 rz = {5}, float ss = {0.6}, uint8 sz = {60}",
          "<r_activation = \"Relu\"> (x, xs, xz, w, ws, , ys, yz, , , , r, rs, rz, ss, sz)"),
     .low = -128, .high = 255, .why = "a residual of the other type"},
    {CASE("uint8[2,8,20] x, int8[4,8,3] w, int32[4] b, float[4] c, uint8[2,4,18] r",
          X ", " Y ", " WS4 ", float cs = {0.1}, int8 cz = {-100}, float rs = {0.2}, uint8 rz = {5}, "
            "float ss = {0.15}, int8 sz = {-60}",
          "<c_activation = \"HardSwish\"> (x, xs, xz, w, ws, b, ys, yz, c, cs, cz, r, rs, rz, ss, sz)"),
     .atol = 2, .low = -128, .high = 255, .why = "every stage; the function may round to the next byte"},
    {CASE("int8[2,3,5,6,4] x, int8[4,3,3,2,3] w", XS ", float ys = {0.3}, int8 yz = {-20}, float ws = {0.01}",
          "<strides = [2, 1, 1], dilations = [1, 2, 1], pads = [1, 0, 1, 2, 1, 1]> (x, xs, xz, w, ws, , ys, "
          "yz)"),
     .low = -128, .high = 127, .why = "three dimensions"},
    {CASE("uint8[2,3,7,4,5] x, int8[4,3,3,1,1] w", X ", " Y ", " WS4,
          "<strides = [2, 1, 2], pads = [1, 0, 0, 1, 0, 0], activation = \"Relu\"> (x, xs, xz, w, ws, , ys, "
          "yz)"),
     .low = -128, .high = 255, .why = "a window over the first of three dimensions only"},
    {CASE("uint8[1,8,6,6] x, int8[4,8,3,3] w, float[4] c", X ", " WS4, "(x, xs, xz, w, ws, , , , c)"),
     .rtol = 1e-6, .low = -128, .high = 255,
     .why = "a real result: float32, the sum may be fused with the constant"},
    {NULL},
};

static bool qconv_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_only(c, carries, 1 << SUMI_QDOT_X | 1 << SUMI_QDOT_R);
}

const struct sumi_op sumi_op_qconv = {
    .name = "sumi.QConv",
    .formula = "quantise(Conv(x - x_zero, w) + b), + c, + r, each quantised again",
    .known_as = {{"sumi", "QConv", {1}}},
    .attrs = attrs,
    .in = sumi_qdot_in,
    .out = sumi_qdot_out,
    .flags = SUMI_OP_INTERNAL,
    .infer = qconv_infer,
    .by_item = qconv_by_item,
    .ref = qconv_ref,
    .lower = sumi_qconv_lower,
    .cells = sumi_qconv_cells,
    .lanes = sumi_qconv_lanes,
    .cost = qconv_cost,
    .cases = cases,
};

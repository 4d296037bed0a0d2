/* ConvInteger: y[b, m, o] = sum over channels and taps of (w - w_zero) * (x - x_zero) in int32; padding adds
 * nothing. QLinearConv: y = saturate(round((bias + that sum) * x_scale * w_scale / y_scale) + y_zero),
 * float32 scaling as in requantize.h. w_zero and w_scale are one or one per output channel. Sums are exact
 * modulo 2^32. */
#include <inttypes.h>

#include "base/size.h"
#include "op/conv.h"
#include "op/integer_dot_cells.h"
#include "op/requantize.h"

/* Input i, where given, has one element, or one per output channel where channels says so. */
static sumi_status check_parameter(const struct sumi_infer *ctx, int i, const char *name, bool channels) {
  if (!sumi_infer_has(ctx, i)) return SUMI_OK;
  const struct sumi_info *p = &ctx->in[i], *w = &ctx->in[channels ? (i > 3 ? 3 : 1) : 0];
  if (p->rank < 0 || p->rank == 0) return SUMI_OK;
  if (p->rank > 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s has rank %d, at most 1 is possible", name, p->rank);
  if (p->dim[0] < 0 || p->dim[0] == 1) return SUMI_OK;
  if (!channels) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s has %" PRId64 " elements, not 1", name, p->dim[0]);
  if (w->rank > 0 && w->dim[0] >= 0 && w->dim[0] != p->dim[0])
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s has %" PRId64 " elements for %" PRId64 " output channels", name,
              p->dim[0], w->dim[0]);
  return SUMI_OK;
}

static sumi_status integer_infer(struct sumi_infer *ctx) {
  SUMI_TRY(check_parameter(ctx, 2, "x_zero_point", false));
  SUMI_TRY(check_parameter(ctx, 3, "w_zero_point", true));
  return sumi_conv_infer(ctx, 0, 1, SUMI_INT32);
}

static sumi_status qlinear_infer(struct sumi_infer *ctx) {
  SUMI_TRY(check_parameter(ctx, 1, "x_scale", false));
  SUMI_TRY(check_parameter(ctx, 2, "x_zero_point", false));
  SUMI_TRY(check_parameter(ctx, 4, "w_scale", true));
  SUMI_TRY(check_parameter(ctx, 5, "w_zero_point", true));
  SUMI_TRY(check_parameter(ctx, 6, "y_scale", false));
  SUMI_TRY(check_parameter(ctx, 7, "y_zero_point", false));
  SUMI_TRY(sumi_conv_check_bias(ctx, 8, ctx->in[3].rank > 0 ? ctx->in[3].dim[0] : SUMI_DIM_UNKNOWN));
  return sumi_conv_infer(ctx, 0, 3, ctx->in[7].dtype);
}

struct row {
  const struct sumi_conv *v;
  const uint8_t *x,
      *w; /* of one group and output channel: [c_group, in...], [c_group, kernel...]; int8 or uint8 */
  bool x_signed, w_signed;
  int16_t x_zero, w_zero;
  uint32_t sum[SUMI_CONV_ROW];
};

/* sum[j] += w * (x[j * stride] - x_zero); both factors are below 2^9, so 16-bit differences hold them. */
#define ADD_CHANNEL(function, type)                                                                          \
  static void function(uint32_t *sum, const type *x, int16_t x_zero, int16_t w, int64_t stride, int64_t n) { \
    if (stride == 1)                                                                                         \
      for (int64_t j = 0; j < n; j++) sum[j] += (uint32_t)((int32_t)w * (int16_t)(x[j] - x_zero));           \
    else                                                                                                     \
      for (int64_t j = 0; j < n; j++) sum[j] += (uint32_t)((int32_t)w * (int16_t)(x[j * stride] - x_zero));  \
  }

ADD_CHANNEL(add_u8, uint8_t)
ADD_CHANNEL(add_s8, int8_t)

static void row_tap(void *user, int64_t x, int64_t w, int64_t o, int64_t n) {
  struct row *r = user;
  const int64_t stride = r->v->window.stride[r->v->n - 1];
  for (int64_t c = 0; c < r->v->c_group; c++) {
    const uint8_t bits = r->w[w + c * r->v->taps], *from = r->x + x + c * r->v->in_pixels;
    const int16_t weight = (int16_t)((r->w_signed ? (int8_t)bits : bits) - r->w_zero);
    if (r->x_signed)
      add_s8(r->sum + o, (const int8_t *)from, r->x_zero, weight, stride, n);
    else
      add_u8(r->sum + o, from, r->x_zero, weight, stride, n);
  }
}

static int64_t parameter_at(const struct sumi_tensor *t,
                            int64_t channel) { /* index into one, or one per channel */
  return t->rank == 0 || t->dim[0] == 1 ? 0 : channel;
}

static int16_t zero_point(const struct sumi_tensor *t, int64_t channel) {
  return t ? (int16_t)sumi_get_i64(t->dtype, t->data, parameter_at(t, channel)) : 0;
}

/* Parameters of both operators by the roles they share. */
struct integer_conv {
  const struct sumi_tensor *x, *w, *x_zero, *w_zero;
  struct sumi_conv v;
};

/* The piece's sums of output channel m are left in r->sum. */
static void piece(const struct integer_conv *q, const struct sumi_conv_rows *it, int64_t m, struct row *r) {
  const struct sumi_conv *v = &q->v;
  r->v = &it->v;
  r->x = (const uint8_t *)q->x->data + (it->batch * v->c_in + it->group * v->c_group) * v->in_pixels;
  r->w = (const uint8_t *)q->w->data + m * v->c_group * v->taps;
  r->x_signed = q->x->dtype == SUMI_INT8;
  r->w_signed = q->w->dtype == SUMI_INT8;
  r->x_zero = zero_point(q->x_zero, 0);
  r->w_zero = zero_point(q->w_zero, m);
  for (int64_t o = 0; o < it->n; o++) r->sum[o] = 0;
  sumi_conv_rows_taps(it, row_tap, r);
}

static sumi_status integer_ref(const struct sumi_call *c) {
  struct integer_conv q = {c->in[0], c->in[1], sumi_call_has(c, 2) ? c->in[2] : NULL,
                           sumi_call_has(c, 3) ? c->in[3] : NULL};
  SUMI_TRY(sumi_conv_resolve(c->node, q.x, q.w, &q.v, c->err));
  struct row r;
  for (struct sumi_conv_rows it = sumi_conv_rows_start(&q.v); !it.done; sumi_conv_rows_next(&it))
    for (int64_t m = it.group * it.v.m_group; m < (it.group + 1) * it.v.m_group; m++) {
      piece(&q, &it, m, &r);
      uint32_t *y = (uint32_t *)c->out[0]->data + (it.batch * q.v.c_out + m) * q.v.out_pixels + it.pixel;
      for (int64_t o = 0; o < it.n; o++) y[o] = r.sum[o];
    }
  return SUMI_OK;
}

static sumi_status qlinear_ref(const struct sumi_call *c) {
  struct integer_conv q = {c->in[0], c->in[3], c->in[2], c->in[5]};
  SUMI_TRY(sumi_conv_resolve(c->node, q.x, q.w, &q.v, c->err));
  const float x_scale = *(const float *)c->in[1]->data, y_scale = *(const float *)c->in[6]->data;
  const float *w_scale = c->in[4]->data;
  const int32_t *bias = sumi_call_has(c, 8) ? c->in[8]->data : NULL;
  const struct sumi_tensor *y = c->out[0];
  struct row r;
  for (struct sumi_conv_rows it = sumi_conv_rows_start(&q.v); !it.done; sumi_conv_rows_next(&it))
    for (int64_t m = it.group * it.v.m_group; m < (it.group + 1) * it.v.m_group; m++) {
      piece(&q, &it, m, &r);
      const float multiplier = x_scale * w_scale[parameter_at(c->in[4], m)] / y_scale;
      const int32_t zero = zero_point(c->in[7], 0);
      uint8_t *out = (uint8_t *)y->data + (it.batch * q.v.c_out + m) * q.v.out_pixels + it.pixel;
      for (int64_t o = 0; o < it.n; o++) {
        const uint32_t sum = r.sum[o] + (bias ? (uint32_t)bias[m] : 0);
        out[o] = (uint8_t)sumi_requantize((int32_t)sum, multiplier, zero, y->dtype);
      }
    }
  return SUMI_OK;
}

static void integer_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[0], c->in[1], &v, NULL) == SUMI_OK) sumi_conv_cost(c, &v, 1, 3, cost);
}

static void qlinear_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[0], c->in[3], &v, NULL) == SUMI_OK) sumi_conv_cost(c, &v, 3, 5, cost);
}

#define BYTES (SUMI_BIT(SUMI_INT8) | SUMI_BIT(SUMI_UINT8))
#define SCALE SUMI_BIT(SUMI_FLOAT32)

static const struct sumi_attr_spec attrs[] = {
    {"auto_pad", SUMI_ATTR_STRING},
    {"dilations", SUMI_ATTR_INTS},
    {"group", SUMI_ATTR_INT},
    {"kernel_shape", SUMI_ATTR_INTS},
    {"pads", SUMI_ATTR_INTS},
    {"strides", SUMI_ATTR_INTS},
    {NULL},
};
static const struct sumi_port integer_in[] = {{"x", BYTES, 'X'},
                                              {"w", BYTES, 'W'},
                                              {"x_zero_point", BYTES, 'X', SUMI_PORT_OPTIONAL},
                                              {"w_zero_point", BYTES, 'W', SUMI_PORT_OPTIONAL},
                                              {NULL}};
static const struct sumi_port integer_out[] = {{"y", SUMI_BIT(SUMI_INT32)}, {NULL}};
static const struct sumi_port qlinear_in[] = {{"x", BYTES, 'X'},
                                              {"x_scale", SCALE},
                                              {"x_zero_point", BYTES, 'X'},
                                              {"w", BYTES, 'W'},
                                              {"w_scale", SCALE},
                                              {"w_zero_point", BYTES, 'W'},
                                              {"y_scale", SCALE},
                                              {"y_zero_point", BYTES, 'Y'},
                                              {"B", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                              {NULL}};
static const struct sumi_port qlinear_out[] = {{"y", BYTES, 'Y'}, {NULL}};

static const struct sumi_case integer_cases[] = {
    {"g (uint8[1,3,6,6] x, int8[4,3,3,3] w, uint8 xz) => (y) { y = ConvInteger <pads = [1, 1, 1, 1]> (x, w, "
     "xz) }",
     .why = "padding is the zero point"},
    {"g (uint8[2,4,9] x, uint8[6,2,3] w, uint8 xz, uint8[6] wz) => (y) "
     "{ y = ConvInteger <group = 2, strides = [2]> (x, w, xz, wz) }",
     .why = "a zero point per output channel"},
    {"g (int8[1,2,4,4] x, int8[3,2,1,1] w) => (y) { y = ConvInteger (x, w) }"},
    {NULL},
};
static const struct sumi_case qlinear_cases[] = {
    {"g (uint8[1,3,6,6] x, int8[4,3,3,3] w, int32[4] b) => (y) <float xs = {0.5}, uint8 xz = {3}, float[4] "
     "ws = {0.1, 0.2, "
     "0.3, 0.4}, int8[4] wz = {0, 0, 0, 0}, float ys = {0.7}, uint8 yz = {128}> "
     "{ y = QLinearConv <pads = [1, 1, 1, 1]> (x, xs, xz, w, ws, wz, ys, yz, b) }",
     .why = "a scale per output channel, and a bias"},
    {"g (int8[1,4,5,5] x, int8[4,1,3,3] w) => (y) <float xs = {0.5}, int8 xz = {-3}, float ws = {0.1}, int8 "
     "wz = {1}, "
     "float ys = {0.2}, int8 yz = {5}> { y = QLinearConv <group = 4> (x, xs, xz, w, ws, wz, ys, yz) }",
     .why = "depthwise, with a zero point in the weights"},
    {NULL},
};

const struct sumi_op sumi_op_conv_integer = {
    .name = "ConvInteger",
    .formula = "sum of (w - w_zero) * (x - x_zero) over channels and taps",
    .known_as = {{"", "ConvInteger", {10}}},
    .attrs = attrs,
    .in = integer_in,
    .out = integer_out,
    .infer = integer_infer,
    .ref = integer_ref,
    .cells = sumi_conv_integer_cells,
    .cost = integer_cost,
    .cases = integer_cases,
};

const struct sumi_op sumi_op_qlinear_conv = {
    .name = "QLinearConv",
    .formula = "quantize(bias + ConvInteger(x, w)) with x_scale * w_scale / y_scale",
    .known_as = {{"", "QLinearConv", {10}}},
    .attrs = attrs,
    .in = qlinear_in,
    .out = qlinear_out,
    .infer = qlinear_infer,
    .ref = qlinear_ref,
    .cells = sumi_qlinear_conv_cells,
    .cost = qlinear_cost,
    .cases = qlinear_cases,
};

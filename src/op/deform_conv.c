/* DeformConv in two dimensions: a convolution whose every tap reads x at a shifted, fractional position, interpolated
 * linearly from its four neighbours (0 outside), times an optional mask:
 *   y[b, m, o] = bias[m] + sum over channels c, taps k of w[m, c, k] * mask[b, g, k, o] *
 *                x[b, c, o * stride + k * dilation - begin + offset[b, g, k, :, o]]
 * g is the offset group of channel c. In double precision, rounded once. Other numbers of dimensions are refused: the
 * standard's reference does not define them. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/conv.h"
#include "op/deform_conv_lower.h"

enum { X, W, OFFSET, BIAS, MASK };

static sumi_status check_map(const struct sumi_infer *ctx, int i, sumi_dim channels) {
  if (!sumi_infer_has(ctx, i) || ctx->in[i].rank < 0) return SUMI_OK;
  const struct sumi_info *p = &ctx->in[i], *x = &ctx->in[X], *y = &ctx->out[0];
  if (p->rank != 4) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not 4", i, p->rank);
  const sumi_dim want[4] = {x->rank == 4 ? x->dim[0] : SUMI_DIM_UNKNOWN, channels,
                            y->rank == 4 ? y->dim[2] : SUMI_DIM_UNKNOWN,
                            y->rank == 4 ? y->dim[3] : SUMI_DIM_UNKNOWN};
  for (int k = 0; k < 4; k++)
    if (p->dim[k] >= 0 && want[k] >= 0 && p->dim[k] != want[k])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of input %d is %" PRId64 ", not %" PRId64, k, i,
                p->dim[k], want[k]);
  return SUMI_OK;
}

static sumi_status deform_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[X], *w = &ctx->in[W];
  if ((x->rank >= 0 && x->rank != 4) || (w->rank >= 0 && w->rank != 4))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED,
              "the input has rank %d and the weights %d, only two spatial dimensions are defined", x->rank,
              w->rank);
  SUMI_TRY(sumi_conv_infer(ctx, X, W, x->dtype));
  SUMI_TRY(sumi_conv_check_bias(ctx, BIAS, w->rank == 4 ? w->dim[0] : SUMI_DIM_UNKNOWN));
  const int64_t groups = sumi_attr_int(ctx->node, "offset_group", 1);
  const sumi_dim channels = x->rank == 4 ? x->dim[1] : SUMI_DIM_UNKNOWN;
  if (groups < 1 || groups > INT32_MAX || (channels >= 0 && channels % groups))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "offset_group %" PRId64 " does not divide %" PRId64 " channels", groups,
              channels);
  sumi_dim maps = SUMI_DIM_UNKNOWN; /* groups * taps */
  if (w->rank == 4 && w->dim[2] >= 0 && w->dim[3] >= 0 &&
      (!sumi_i64_mul(w->dim[2], w->dim[3], &maps) || !sumi_i64_mul(maps, 2 * groups, &maps)))
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "too many taps");
  SUMI_TRY(check_map(ctx, OFFSET, maps));
  return check_map(ctx, MASK, maps >= 0 ? maps / 2 : maps);
}

/* Element (r, c) of a plane [h, w], 0 outside. */
static double pixel(const struct sumi_tensor *x, int64_t first, int64_t h, int64_t w, double r, double c) {
  return r < 0 || c < 0 || r >= (double)h || c >= (double)w
             ? 0
             : sumi_get_f64(x->dtype, x->data, first + (int64_t)r * w + (int64_t)c);
}

static double interpolate(const struct sumi_tensor *x, int64_t first, int64_t h, int64_t w, double r,
                          double c) {
  /* far away (or no number at all) every neighbour is outside */
  if (!(r > -1 && r < (double)h && c > -1 && c < (double)w)) return 0;
  const double r0 = floor(r), c0 = floor(c), fr = r - r0, fc = c - c0;
  return (1 - fr) * ((1 - fc) * pixel(x, first, h, w, r0, c0) + fc * pixel(x, first, h, w, r0, c0 + 1)) +
         fr * ((1 - fc) * pixel(x, first, h, w, r0 + 1, c0) + fc * pixel(x, first, h, w, r0 + 1, c0 + 1));
}

/* Output pixel o = (oy, ox) of image b and output channel m. */
static double deform_at(const struct sumi_call *call, const struct sumi_conv *v, int64_t b, int64_t m,
                        int64_t oy, int64_t ox) {
  const struct sumi_tensor *x = call->in[X], *w = call->in[W], *offset = call->in[OFFSET];
  const struct sumi_tensor *mask = sumi_call_has(call, MASK) ? call->in[MASK] : NULL;
  const struct sumi_window *win = &v->window;
  const int64_t groups = sumi_attr_int(call->node, "offset_group", 1), o = oy * win->out[1] + ox;
  double sum = sumi_call_has(call, BIAS) ? sumi_get_f64(call->in[BIAS]->dtype, call->in[BIAS]->data, m) : 0;
  for (int64_t c = 0; c < v->c_group; c++) {
    const int64_t channel = m / v->m_group * v->c_group + c, g = channel / (v->c_in / groups);
    for (int64_t k = 0; k < v->taps; k++) {
      const int64_t map = (b * groups + g) * v->taps + k, at = map * 2 * v->out_pixels + o;
      const double r = (double)(oy * win->stride[0] + k / win->kernel[1] * win->dilation[0] - win->begin[0]) +
                       sumi_get_f64(offset->dtype, offset->data, at);
      const double s = (double)(ox * win->stride[1] + k % win->kernel[1] * win->dilation[1] - win->begin[1]) +
                       sumi_get_f64(offset->dtype, offset->data, at + v->out_pixels);
      double value = interpolate(x, (b * v->c_in + channel) * v->in_pixels, v->in[0], v->in[1], r, s);
      if (mask) value *= sumi_get_f64(mask->dtype, mask->data, map * v->out_pixels + o);
      sum += value * sumi_get_f64(w->dtype, w->data, (m * v->c_group + c) * v->taps + k);
    }
  }
  return sum;
}

static sumi_status deform_ref(const struct sumi_call *c) {
  struct sumi_conv v;
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[X], c->in[W], &v, c->err));
  const struct sumi_tensor *y = c->out[0];
  for (int64_t bm = 0; v.out_pixels && bm < v.batch * v.c_out; bm++)
    for (int64_t o = 0; o < v.out_pixels; o++)
      sumi_set_f64(y->dtype, y->data, bm * v.out_pixels + o,
                   deform_at(c, &v, bm / v.c_out, bm % v.c_out, o / v.window.out[1], o % v.window.out[1]));
  return SUMI_OK;
}

static void deform_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_resolve(c->node, c->in[X], c->in[W], &v, NULL) == SUMI_OK) sumi_conv_cost(c, &v, W, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {
    {"dilations", SUMI_ATTR_INTS},
    {"group", SUMI_ATTR_INT},
    {"kernel_shape", SUMI_ATTR_INTS},
    {"offset_group", SUMI_ATTR_INT},
    {"pads", SUMI_ATTR_INTS},
    {"strides", SUMI_ATTR_INTS},
    {NULL},
};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'},
                                      {"W", SUMI_FLOATS, 'T'},
                                      {"offset", SUMI_FLOATS, 'T'},
                                      {"B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {"mask", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,4,5,6] x, float[2,2,3,2] w, float[2,24,3,5] d, float[2] b, float[2,12,3,5] m) => (y) "
     "{ y = DeformConv <group = 2, offset_group = 2> (x, w, d, b, m) }",
     .rtol = 1e-5, .why = "groups, bias and mask; sums of 12 interpolated products"},
    {"g (float[1,1,4,4] x, float[1,1,2,2] w, float[1,8,3,3] d) => (y) { y = DeformConv <strides = [2, 2], "
     "pads = [1, 1, 1, 1]> "
     "(x, w, d) }",
     .rtol = 1e-5},
    {"g (float[1,16,22,24] x, float[8,16,3,3] w, float[1,18,22,24] d) => (y) { y = DeformConv <pads = [1, 1, "
     "1, 1]> "
     "(x, w, d) }",
     .low = -9, .high = 9, .rtol = 1e-5, .why = "several chunks of pixels, many places outside"},
    {"g (float[1,6,9,8] x, float[1,16,4,6] d, float[1,8,4,6] m) => (y) <float[3,2,2,2] w = {0, 0, 0, 0, 0, "
     "0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}> { y = DeformConv <group = 3, offset_group = "
     "2, dilations = [2, 1], "
     "strides = [2, 1], pads = [0, 0, 1, -1]> (x, w, d, , m) }",
     .rtol = 1e-5, .why = "constant, sparse weights of groups; no bias"},
    {"g (float[1,2,0,4] x, float[1,2,1,1] w, float[1,2,2,6] d) => (y) { y = DeformConv <pads = [1, 1, 1, 1]> "
     "(x, w, d) }",
     .why = "an image of nothing but padding"},
    {NULL},
};

const struct sumi_op sumi_op_deform_conv = {
    .name = "DeformConv",
    .formula = "Conv whose taps read x at shifted, interpolated positions",
    .known_as = {{"", "DeformConv", {19, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = deform_infer,
    .ref = deform_ref,
    .lower = sumi_deform_conv_lower,
    .cost = deform_cost,
    .cases = cases,
};

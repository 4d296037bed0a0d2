/* ConvTranspose: y[b, m, o] = bias[m] + sum over channels c, taps k and pixels i with o = i * stride + k *
 * dilation - begin of x[b, c, i] * w[c, m, k]. Its output's size is stride * (in - 1) + output_padding + span
 * - pads; with output_shape or auto_pad SAME_* (in * stride) the pads follow from the size, the odd one in
 * front except for SAME_UPPER. Operator set 1 says the opposite of the last rule in one place and the same in
 * another; the later text is taken. float32 accumulates in float32 in the order bias, tap by tap (row-major),
 * channel by channel; float16 and bfloat16 the same, rounded once; float64 is the textbook loop. */
#include <inttypes.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/conv.h"
#include "op/conv_transpose_lower.h"
#include "op/fdot_cells.h"
#include "op/widen.h"

/* The figures of output_padding or output_shape; the latter may also be written with batch and channels in
 * front. */
static sumi_status figures(const struct sumi_node *node, const char *name, int n, const int64_t **v,
                           struct sumi_err *err) {
  int have;
  *v = sumi_attr_ints(node, name, &have);
  if (!have) *v = NULL;
  if (have && have != n && !(have == n + 2 && sumi_streq(name, "output_shape")))
    SUMI_FAIL(err, SUMI_E_VALUE, "%s has %d entries, the input has %d spatial dimensions", name, have, n);
  if (have == n + 2) *v += 2;
  for (int i = 0; i < n && *v; i++)
    if ((*v)[i] < 0 || (*v)[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "%s[%d] is %" PRId64, name, i, (*v)[i]);
  return SUMI_OK;
}

/* Sizes of y (and pads where they follow from them); a size of x may be unknown or symbolic. */
static sumi_status window(const struct sumi_node *node, struct sumi_symbols *symbols, int n,
                          const sumi_dim *size, const sumi_dim *kernel, struct sumi_window *w,
                          struct sumi_err *err) {
  /* everything but the sizes is read and checked as for Conv */
  sumi_dim unknown[SUMI_MAX_RANK];
  for (int i = 0; i < SUMI_MAX_RANK; i++) unknown[i] = SUMI_DIM_UNKNOWN;
  SUMI_TRY(sumi_op_window(node, n, unknown, kernel, w, err));
  const int64_t *extra, *shape;
  SUMI_TRY(figures(node, "output_padding", n, &extra, err));
  SUMI_TRY(figures(node, "output_shape", n, &shape, err));
  const bool upper = sumi_attr_is(node, "auto_pad", "NOTSET", "SAME_UPPER");
  for (int i = 0; i < n; i++) {
    if (shape) w->out[i] = shape[i];
    if (w->kernel[i] < 0) continue;
    const int64_t rest = w->dilation[i] * (w->kernel[i] - 1) + 1 + (extra ? extra[i] : 0); /* < 2^63 */
    if (size[i] < 0) {
      const int64_t add = rest - w->stride[i] - w->begin[i] - w->end[i];
      const sumi_dim wide = sumi_dim_mul(symbols, size[i], w->stride[i]);
      if (!shape && size[i] != SUMI_DIM_UNKNOWN)
        w->out[i] = w->same   ? wide
                    : add < 0 ? sumi_dim_sub(symbols, wide, -add)
                              : sumi_dim_add(symbols, wide, add);
      continue;
    }
    int64_t wide, full;
    if (!sumi_i64_mul(size[i], w->stride[i], &wide) || !sumi_i64_add(wide - w->stride[i], rest, &full))
      SUMI_FAIL(err, SUMI_E_LIMIT, "the output's dimension %d passes 2^63", i);
    if (!size[i]) full = 0;
    if (shape || w->same) {
      if (!shape) w->out[i] = wide;
      const int64_t total = SUMI_MAX(full - w->out[i], 0);
      w->begin[i] = upper ? total / 2 : total - total / 2;
      w->end[i] = total - w->begin[i];
      continue;
    }
    if (!sumi_i64_add(full, -w->begin[i] - w->end[i], &w->out[i]))
      SUMI_FAIL(err, SUMI_E_LIMIT, "the output's dimension %d passes 2^63", i);
    if (w->out[i] < 0)
      SUMI_FAIL(err, SUMI_E_SHAPE,
                "pads %" PRId64 " and %" PRId64 " leave nothing of %" PRId64 " in dimension %d", w->begin[i],
                w->end[i], full, i);
  }
  return SUMI_OK;
}

static sumi_status check_ranks(int x, int w, struct sumi_err *err) {
  if ((x >= 0 && x < 3) || (w >= 0 && w < 3) || (x >= 0 && w >= 0 && x != w))
    SUMI_FAIL(err, SUMI_E_SHAPE,
              "the input has rank %d and the weights %d; both must be the same, at least 3", x, w);
  return SUMI_OK;
}

/* x is [batch, c_in, ...], w is [c_in, m_group, ...]; dims may be unknown. */
static sumi_status channels(const struct sumi_node *node, const sumi_dim *x, const sumi_dim *w,
                            int64_t *group, struct sumi_err *err) {
  *group = sumi_attr_int(node, "group", 1);
  int64_t c_out;
  if (*group < 1 || *group > INT32_MAX) SUMI_FAIL(err, SUMI_E_VALUE, "group is %" PRId64, *group);
  if (w[0] >= 0 && w[0] % *group)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%" PRId64 " input channels are no multiple of group %" PRId64, w[0],
              *group);
  if (w[1] >= 0 && !sumi_i64_mul(w[1], *group, &c_out))
    SUMI_FAIL(err, SUMI_E_LIMIT, "too many output channels");
  if (x[1] >= 0 && w[0] >= 0 && x[1] != w[0])
    SUMI_FAIL(err, SUMI_E_SHAPE, "the input has %" PRId64 " channels, the weights are for %" PRId64, x[1],
              w[0]);
  return SUMI_OK;
}

static sumi_status transpose_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *w = &ctx->in[1];
  SUMI_TRY(check_ranks(x->rank, w->rank, ctx->err));
  const int rank = x->rank >= 0 ? x->rank : w->rank;
  if (rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  sumi_dim unknown[SUMI_MAX_RANK], out[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) unknown[i] = SUMI_DIM_UNKNOWN;
  const sumi_dim *xd = x->rank >= 0 ? x->dim : unknown, *wd = w->rank >= 0 ? w->dim : unknown;
  int64_t group;
  SUMI_TRY(channels(ctx->node, xd, wd, &group, ctx->err));
  struct sumi_window win;
  SUMI_TRY(window(ctx->node, ctx->symbols, rank - 2, xd + 2, wd + 2, &win, ctx->err));
  out[0] = xd[0];
  out[1] = wd[1] >= 0 ? wd[1] * group : sumi_dim_mul(ctx->symbols, wd[1], group);
  SUMI_TRY(sumi_conv_check_bias(ctx, 2, out[1]));
  for (int i = 2; i < rank; i++) out[i] = win.out[i - 2];
  sumi_infer_out(ctx, 0, x->dtype, rank, out);
  return SUMI_OK;
}

sumi_status sumi_conv_transpose_resolve(const struct sumi_node *node, const struct sumi_tensor *x,
                                        const struct sumi_tensor *w, struct sumi_conv *v,
                                        struct sumi_err *err) {
  SUMI_TRY(check_ranks(x->rank, w->rank, err));
  *v = (struct sumi_conv){.batch = x->dim[0], .c_in = x->dim[1], .m_group = w->dim[1], .n = x->rank - 2};
  SUMI_TRY(channels(node, x->dim, w->dim, &v->group, err));
  v->c_group = v->c_in / v->group;
  v->c_out = v->m_group * v->group;
  for (int i = 0; i < v->n; i++) v->in[i] = x->dim[2 + i];
  SUMI_TRY(window(node, NULL, v->n, v->in, w->dim + 2, &v->window, err));
  v->in_pixels = sumi_dims_count(v->in, 0, v->n);
  v->out_pixels = sumi_dims_count(v->window.out, 0, v->n);
  v->taps = sumi_dims_count(v->window.kernel, 0, v->n);
  return SUMI_OK;
}

/* y[i * stride] += sum over c of w[c * w_stride] * x[c * x_stride + i], channels in order. */
static void add_tap(int64_t channels_n, const float *restrict x, int64_t x_stride, const float *restrict w,
                    int64_t w_stride, int64_t stride, int64_t n, float *restrict y) {
  int64_t c = 0;
  for (; c + 4 <= channels_n; c += 4, x += 4 * x_stride, w += 4 * w_stride) {
    const float w0 = w[0], w1 = w[w_stride], w2 = w[2 * w_stride], w3 = w[3 * w_stride];
    const float *x1 = x + x_stride, *x2 = x1 + x_stride, *x3 = x2 + x_stride;
    if (stride == 1)
      for (int64_t i = 0; i < n; i++) y[i] = y[i] + w0 * x[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i];
    else
      for (int64_t i = 0; i < n; i++)
        y[i * stride] = y[i * stride] + w0 * x[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i];
  }
  for (; c < channels_n; c++, x += x_stride, w += w_stride)
    for (int64_t i = 0; i < n; i++) y[i * stride] += w[0] * x[i];
}

/* Adds all taps to row at[0..n - 1) of one output channel. x is [c_group, in...], w that channel's first
 * weight of the group's first input channel. */
static void add_row(const struct sumi_conv *v, const float *x, const float *w, const int64_t *at, float *y) {
  const struct sumi_window *win = &v->window;
  const int last = v->n - 1;
  for (int64_t tap = 0; v->c_group && tap < v->taps; tap += win->kernel[last]) {
    int64_t k = tap / win->kernel[last], line = 0, pitch = v->in[last];
    bool inside = true;
    for (int d = last - 1; d >= 0 && inside; d--) {
      const int64_t i = at[d] + win->begin[d] - k % win->kernel[d] * win->dilation[d];
      k /= win->kernel[d];
      inside = i >= 0 && i % win->stride[d] == 0 && i / win->stride[d] < v->in[d];
      if (inside) line += i / win->stride[d] * pitch;
      pitch *= v->in[d];
    }
    for (int64_t kx = 0; inside && kx < win->kernel[last]; kx++) {
      /* inputs i in [lo, hi) land on outputs i * stride + shift inside the row */
      const int64_t stride = win->stride[last], shift = kx * win->dilation[last] - win->begin[last];
      const int64_t room = win->out[last] - shift;
      const int64_t lo = shift < 0 ? (-shift + stride - 1) / stride : 0;
      const int64_t hi = room <= 0 ? 0 : SUMI_MIN((room + stride - 1) / stride, v->in[last]);
      if (lo < hi)
        add_tap(v->c_group, x + line + lo, v->in_pixels, w + tap + kx, v->m_group * v->taps, stride, hi - lo,
                y + lo * stride + shift);
    }
  }
}

static void transpose_f32(const struct sumi_conv *v, const float *x, const float *w, const float *bias,
                          float *y) {
  const int64_t width = v->window.out[v->n - 1];
  for (int64_t bm = 0; v->out_pixels && bm < v->batch * v->c_out; bm++) {
    const int64_t m = bm % v->c_out,
                  first = m / v->m_group * v->c_group; /* first input channel of the group */
    const float *from = x + (bm / v->c_out * v->c_in + first) * v->in_pixels;
    const float *weights = w + (first * v->m_group + m % v->m_group) * v->taps;
    for (struct sumi_walk row = sumi_walk_start(v->n - 1, v->window.out, NULL, NULL, NULL, NULL); !row.done;
         sumi_walk_next(&row), y += width) {
      for (int64_t o = 0; o < width; o++) y[o] = bias ? bias[m] : 0;
      add_row(v, from, weights, row.index, y);
    }
  }
}

/* The output pixel that tap k of input pixel i lands on; -1 outside. */
static int64_t target(const struct sumi_conv *v, int64_t i, int64_t k) {
  const struct sumi_window *w = &v->window;
  int64_t pixel = 0, pitch = 1;
  for (int d = v->n - 1; d >= 0; d--) {
    const int64_t o = i % v->in[d] * w->stride[d] + k % w->kernel[d] * w->dilation[d] - w->begin[d];
    if (o < 0 || o >= w->out[d]) return -1;
    i /= v->in[d];
    k /= w->kernel[d];
    pixel += o * pitch;
    pitch *= w->out[d];
  }
  return pixel;
}

static void transpose_f64(const struct sumi_conv *v, const double *x, const double *w, const double *bias,
                          double *y) {
  for (int64_t bm = 0; v->out_pixels && bm < v->batch * v->c_out; bm++, y += v->out_pixels) {
    const int64_t m = bm % v->c_out, first = m / v->m_group * v->c_group;
    for (int64_t o = 0; o < v->out_pixels; o++) y[o] = bias ? bias[m] : 0;
    for (int64_t k = 0; v->c_group && v->in_pixels && k < v->taps; k++)
      for (int64_t i = 0; i < v->in_pixels; i++) {
        const int64_t o = target(v, i, k);
        for (int64_t c = 0; o >= 0 && c < v->c_group; c++)
          y[o] += x[(bm / v->c_out * v->c_in + first + c) * v->in_pixels + i] *
                  w[((first + c) * v->m_group + m % v->m_group) * v->taps + k];
      }
  }
}

static sumi_status transpose_ref(const struct sumi_call *c) {
  struct sumi_conv v;
  SUMI_TRY(sumi_conv_transpose_resolve(c->node, c->in[0], c->in[1], &v, c->err));
  if (c->in[0]->dtype == SUMI_FLOAT64) {
    transpose_f64(&v, c->in[0]->data, c->in[1]->data, sumi_call_has(c, 2) ? c->in[2]->data : NULL,
                  c->out[0]->data);
    return SUMI_OK;
  }
  struct sumi_wide f;
  sumi_widen(c, &f);
  transpose_f32(&v, f.in[0], f.in[1], f.in[2], f.out[0]);
  sumi_narrow(c, &f);
  return SUMI_OK;
}

static void transpose_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_conv v;
  if (sumi_conv_transpose_resolve(c->node, c->in[0], c->in[1], &v, NULL) != SUMI_OK) return;
  cost->dense_macs =
      (double)v.batch * (double)v.in_pixels * (double)v.c_in * (double)v.m_group * (double)v.taps;
  cost->macs = cost->dense_macs * sumi_op_density(c, 1, -1);
  cost->bytes = sumi_op_bytes(c);
}

static const struct sumi_attr_spec attrs[] = {
    {"auto_pad", SUMI_ATTR_STRING},     {"dilations", SUMI_ATTR_INTS},    {"group", SUMI_ATTR_INT},
    {"kernel_shape", SUMI_ATTR_INTS},   {"pads", SUMI_ATTR_INTS},         {"strides", SUMI_ATTR_INTS},
    {"output_padding", SUMI_ATTR_INTS}, {"output_shape", SUMI_ATTR_INTS}, {NULL},
};
static const struct sumi_port in[] = {
    {"X", SUMI_FLOATS, 'T'}, {"W", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[1,3,4,5] x, float[3,2,3,3] w, float[2] b) => (y) { y = ConvTranspose (x, w, b) }",
     .rtol = 1e-5, .why = "27 products in another order"},
    {"g (float[2,4,4,5] x, float[4,3,3,2] w) => (y) "
     "{ y = ConvTranspose <group = 2, strides = [2, 3], pads = [1, 0, 0, 1], output_padding = [1, 1]> (x, w) "
     "}",
     .rtol = 1e-5, .why = "groups, and pads that cut"},
    {"g (float[1,2,5] x, float[2,3,4] w) => (y) { y = ConvTranspose <strides = [2], output_shape = [9]> (x, "
     "w) }",
     .rtol = 1e-5, .why = "3 to cut: 2 in front"},
    {"g (float[1,2,5] x, float[2,3,4] w) => (y) { y = ConvTranspose <strides = [3], auto_pad = "
     "\"SAME_UPPER\"> (x, w) }",
     .rtol = 1e-5},
    {"g (float[1,2,5,4] x, float[2,3,2,3] w, float[3] b) => (y) { y = ConvTranspose <strides = [3, 2]> (x, "
     "w, "
     "b) }",
     .rtol = 1e-5, .why = "rows that nothing reaches but the bias"},
    {"g (float[1,2,3,3] x, float[2,1,2,2] w) => (y) { y = ConvTranspose <dilations = [2, 2]> (x, w) }",
     .rtol = 1e-5},
    {"g (float[1,2,3,3,2] x, float[2,1,2,2,3] w) => (y) { y = ConvTranspose <strides = [1, 2, 1]> (x, w) }",
     .rtol = 1e-5},
    {"g (float[17,5,6,6] x, float[5,40,3,3] w, float[40] b) => (y) "
     "{ y = ConvTranspose <pads = [1, 1, 1, 1]> (x, w, b) }",
     .rtol = 1e-5, .why = "one phase; a batch of which threads take whole images"},
    {"g (float[9,4,5,5] x, float[4,3,3,3] w) => (y) "
     "{ y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]> (x, w) }",
     .rtol = 1e-5, .why = "the same in four phases"},
    {"g (double[1,2,3,3] x, double[2,1,2,2] w) => (y) { y = ConvTranspose <strides = [2, 2]> (x, w) }",
     .rtol = 1e-13},
    {"g (float16[1,2,3,3] x, float16[2,1,2,2] w) => (y) { y = ConvTranspose (x, w) }", .rtol = 2e-3,
     .why = "rounded once to 11 bits"},
    {NULL},
};

const struct sumi_op sumi_op_conv_transpose = {
    .name = "ConvTranspose",
    .formula = "bias + every input pixel spreads w * x over a window of the output",
    .known_as = {{"", "ConvTranspose", {1, 11, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = transpose_infer,
    .by_item = sumi_by_item_first,
    .ref = transpose_ref,
    .lower = sumi_conv_transpose_lower,
    .cells = sumi_conv_transpose_cells,
    .scratch = sumi_widen_scratch,
    .cost = transpose_cost,
    .cases = cases,
};

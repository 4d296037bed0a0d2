/* Geometry of convolutions: what attributes and shapes mean together, for inference, reference functions and
 * lowering. The only place that checks a convolution's shapes. */
#include <inttypes.h>

#include "base/size.h"
#include "op/conv.h"

/* x is [batch, c_in, ...], w is [c_out, c_group, ...]; dims may be unknown (negative): nothing is said about
 * them. */
static sumi_status check_channels(const struct sumi_node *node, sumi_dim c_in, sumi_dim c_out,
                                  sumi_dim c_group, int64_t *group, struct sumi_err *err) {
  const int64_t g = sumi_attr_int(node, "group", 1);
  if (g < 1 || g > INT32_MAX) SUMI_FAIL(err, SUMI_E_VALUE, "group is %" PRId64, g);
  *group = g;
  if (c_out >= 0 && c_out % g)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%" PRId64 " output channels are no multiple of group %" PRId64, c_out, g);
  if (c_in >= 0 && c_group >= 0 && (c_in % g || c_in / g != c_group))
    SUMI_FAIL(err, SUMI_E_SHAPE,
              "the input has %" PRId64 " channels, the weights are for %" PRId64 " in each of %" PRId64
              " groups",
              c_in, c_group, g);
  return SUMI_OK;
}

static sumi_status check_ranks(int x, int w, struct sumi_err *err) {
  if (x >= 0 && x < 3) SUMI_FAIL(err, SUMI_E_SHAPE, "the input has rank %d, at least 3 is needed", x);
  if (w >= 0 && w < 3) SUMI_FAIL(err, SUMI_E_SHAPE, "the weights have rank %d, at least 3 is needed", w);
  if (x >= 0 && w >= 0 && x != w) SUMI_FAIL(err, SUMI_E_SHAPE, "the input has rank %d, the weights %d", x, w);
  return SUMI_OK;
}

sumi_status sumi_conv_infer(struct sumi_infer *ctx, int ix, int iw, sumi_dtype dtype) {
  const struct sumi_info *x = &ctx->in[ix], *w = &ctx->in[iw];
  SUMI_TRY(check_ranks(x->rank, w->rank, ctx->err));
  const int rank = x->rank >= 0 ? x->rank : w->rank;
  if (rank < 0) {
    sumi_infer_out_unknown(ctx, 0, dtype);
    return SUMI_OK;
  }
  sumi_dim unknown[SUMI_MAX_RANK], out[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) unknown[i] = SUMI_DIM_UNKNOWN;
  const sumi_dim *xd = x->rank >= 0 ? x->dim : unknown, *wd = w->rank >= 0 ? w->dim : unknown;
  int64_t group;
  SUMI_TRY(check_channels(ctx->node, xd[1], wd[0], wd[1], &group, ctx->err));
  struct sumi_window window;
  SUMI_TRY(sumi_op_window(ctx->node, rank - 2, xd + 2, wd + 2, &window, ctx->err));
  out[0] = xd[0];
  out[1] = wd[0];
  for (int i = 2; i < rank; i++) out[i] = sumi_op_window_dim(ctx->symbols, &window, i - 2, xd[i]);
  sumi_infer_out(ctx, 0, dtype, rank, out);
  return SUMI_OK;
}

sumi_status sumi_conv_check_bias(const struct sumi_infer *ctx, int i, sumi_dim c_out) {
  if (!sumi_infer_has(ctx, i) || ctx->in[i].rank < 0) return SUMI_OK;
  const struct sumi_info *b = &ctx->in[i];
  if (b->rank != 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the bias has rank %d, not 1", b->rank);
  if (b->dim[0] >= 0 && c_out >= 0 && b->dim[0] != c_out)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the bias has %" PRId64 " elements for %" PRId64 " output channels",
              b->dim[0], c_out);
  return SUMI_OK;
}

static void products(struct sumi_conv *v) {
  v->in_pixels = sumi_dims_count(v->in, 0, v->n);
  v->out_pixels = sumi_dims_count(v->window.out, 0, v->n);
  v->taps = sumi_dims_count(v->window.kernel, 0, v->n);
}

sumi_status sumi_conv_resolve(const struct sumi_node *node, const struct sumi_tensor *x,
                              const struct sumi_tensor *w, struct sumi_conv *v, struct sumi_err *err) {
  SUMI_TRY(check_ranks(x->rank, w->rank, err));
  *v = (struct sumi_conv){.batch = x->dim[0], .c_in = x->dim[1], .c_out = w->dim[0], .c_group = w->dim[1]};
  SUMI_TRY(check_channels(node, v->c_in, v->c_out, v->c_group, &v->group, err));
  v->m_group = v->c_out / v->group;
  v->n = x->rank - 2;
  for (int i = 0; i < v->n; i++) v->in[i] = x->dim[2 + i];
  SUMI_TRY(sumi_op_window(node, v->n, v->in, w->dim + 2, &v->window, err));
  products(v);
  return sumi_activation_resolve(node, &v->activation, err);
}

bool sumi_conv_product(const struct sumi_node *node, int part, struct sumi_op_product *p) {
  const struct sumi_tensor *w = sumi_op_weight(node, 1);
  const int64_t groups = sumi_attr_int(node, "group", 1);
  if (part || !w || w->rank < 3 || groups < 1 || w->dim[0] % groups) return false;
  const int64_t taps = sumi_dims_count(w->dim, 2, w->rank);
  *p = (struct sumi_op_product){.x = 0,
                                .w = 1,
                                .b = 2,
                                .rows = w->dim[0],
                                .groups = groups,
                                .taps = taps,
                                .channels = w->dim[1],
                                .row_step = w->dim[1] * taps,
                                .tap_step = 1,
                                .channel_step = taps,
                                .axis = 1,
                                .window = true};
  return true;
}

int64_t sumi_conv_source(const struct sumi_conv *v, int64_t o, int64_t k) {
  int64_t pixel = 0, pitch = 1;
  for (int d = v->n - 1; d >= 0; d--) {
    const struct sumi_window *w = &v->window;
    const int64_t i = o % w->out[d] * w->stride[d] + k % w->kernel[d] * w->dilation[d] - w->begin[d];
    if (i < 0 || i >= v->in[d]) return -1;
    o /= w->out[d];
    k /= w->kernel[d];
    pixel += i * pitch;
    pitch *= v->in[d];
  }
  return pixel;
}

/* The outputs o of [0, out) whose input o * stride + shift lies in [0, in): [*lo, *hi), empty as lo = hi. */
static void range(int64_t in, int64_t out, int64_t stride, int64_t shift, int64_t *lo, int64_t *hi) {
  const int64_t room = in - shift; /* o * stride < room */
  *lo = shift < 0 ? (-shift + stride - 1) / stride : 0;
  *hi = room <= 0 ? 0 : (room + stride - 1) / stride;
  if (*hi > out) *hi = out;
  if (*lo > *hi) *lo = *hi;
}

/* A 1x1 convolution without stride and padding has one long row. */
static void flatten(struct sumi_conv *v) {
  for (int i = 0; i < v->n; i++)
    if (v->window.kernel[i] != 1 || v->window.stride[i] != 1 || v->window.begin[i] || v->window.end[i])
      return;
  v->n = 1;
  v->in[0] = v->window.out[0] = v->in_pixels;
}

static void rows_place(struct sumi_conv_rows *it) {
  const int64_t width = it->v.window.out[it->v.n - 1];
  it->n = SUMI_MIN(width - it->first, SUMI_CONV_ROW);
  it->pixel = it->row * width + it->first;
}

struct sumi_conv_rows sumi_conv_rows_start(const struct sumi_conv *v) {
  struct sumi_conv_rows it = {.v = *v, .done = !v->batch || !v->c_out || !v->out_pixels};
  if (!it.done) {
    flatten(&it.v);
    rows_place(&it);
  }
  return it;
}

void sumi_conv_rows_next(struct sumi_conv_rows *it) {
  const int64_t width = it->v.window.out[it->v.n - 1];
  it->first += it->n;
  if (it->first == width) {
    it->first = 0;
    if (++it->row == it->v.out_pixels / width) {
      it->row = 0;
      if (++it->group == it->v.group) {
        it->group = 0;
        it->done = ++it->batch == it->v.batch;
      }
    }
  }
  rows_place(it);
}

void sumi_conv_rows_taps(const struct sumi_conv_rows *it, sumi_conv_tap_fn *tap_fn, void *user) {
  const struct sumi_conv *v = &it->v;
  const struct sumi_window *win = &v->window;
  const int last = v->n - 1;
  if (!v->c_group) return;
  for (int64_t tap = 0; tap < v->taps; tap += win->kernel[last]) {
    int64_t k = tap / win->kernel[last], o = it->row, line = 0, pitch = v->in[last];
    bool inside = true;
    for (int d = last - 1; d >= 0 && inside; d--) {
      const int64_t i =
          o % win->out[d] * win->stride[d] + k % win->kernel[d] * win->dilation[d] - win->begin[d];
      o /= win->out[d];
      k /= win->kernel[d];
      inside = i >= 0 && i < v->in[d];
      if (inside) line += i * pitch;
      pitch *= v->in[d];
    }
    if (!inside) continue;
    for (int64_t kx = 0; kx < win->kernel[last]; kx++) {
      const int64_t stride = win->stride[last],
                    shift = it->first * stride + kx * win->dilation[last] - win->begin[last];
      int64_t lo, hi;
      range(v->in[last], it->n, stride, shift, &lo, &hi);
      if (lo < hi) tap_fn(user, line + lo * stride + shift, tap + kx, lo, hi - lo);
    }
  }
}

void sumi_conv_cost(const struct sumi_call *call, const struct sumi_conv *v, int iw, int zero_point,
                    struct sumi_cost *cost) {
  cost->dense_macs =
      (double)v->batch * (double)v->out_pixels * (double)v->c_out * (double)v->c_group * (double)v->taps;
  cost->macs = cost->dense_macs * sumi_op_density(call, iw, zero_point);
  cost->bytes = sumi_op_bytes(call);
}

/* MaxPool, AveragePool, LpPool: over the elements of a sliding window that lie inside the input,
 *   MaxPool     the largest (and where it was: an index over all of x); NaN if one is NaN; the lowest value
 * of the type for a window without elements AveragePool their mean; with count_include_pad padding counts as
 * zeros, but not what lies beyond it (a window that sticks out because of ceil_mode); 0 for a window without
 * elements LpPool      (sum |x|^p)^(1/p) Sums are taken in double precision and rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/grad.h"
#include "op/pool.h"
#include "op/pool_cells.h"
#include "op/pool_lower.h"
#include "op/qpool_lower.h"

sumi_status sumi_pool_p(const struct sumi_node *node, double *p, struct sumi_err *err) {
  const struct sumi_attr *a = sumi_node_attr(node, "p");
  *p = !a ? 2 : a->type == SUMI_ATTR_FLOAT ? (double)a->u.f : (double)a->u.i;
  if (!(*p > 0)) SUMI_FAIL(err, SUMI_E_VALUE, "p is %g, it must be positive", *p);
  return SUMI_OK;
}

static sumi_status pool_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  int n;
  sumi_attr_ints(ctx->node, "kernel_shape", &n); /* says the rank where x does not */
  if (n < 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "attribute kernel_shape is empty");
  if (n > SUMI_MAX_RANK - 2) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "kernel_shape has %d entries", n);
  if (x->rank >= 0 && x->rank != n + 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, kernel_shape is for %d", x->rank, n + 2);
  const int64_t order = sumi_attr_int(ctx->node, "storage_order", 0);
  if (order != 0 && order != 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "storage_order is %" PRId64, order);
  double p;
  SUMI_TRY(sumi_pool_p(ctx->node, &p, ctx->err));
  sumi_dim size[SUMI_MAX_RANK], y[SUMI_MAX_RANK];
  for (int i = 0; i < n + 2; i++) size[i] = y[i] = x->rank >= 0 ? x->dim[i] : SUMI_DIM_UNKNOWN;
  struct sumi_window w;
  SUMI_TRY(sumi_op_window(ctx->node, n, size + 2, NULL, &w, ctx->err));
  for (int i = 0; i < n; i++) y[2 + i] = sumi_op_window_dim(ctx->symbols, &w, i, size[2 + i]);
  sumi_infer_out(ctx, 0, x->dtype, n + 2, y);
  sumi_infer_out(ctx, 1, SUMI_INT64, n + 2, y);
  return SUMI_OK;
}

sumi_status sumi_pool_resolve(const struct sumi_node *node, const struct sumi_tensor *x, struct sumi_pool *v,
                              struct sumi_err *err) {
  if (x->rank < 3) SUMI_FAIL(err, SUMI_E_SHAPE, "the input has rank %d, at least 3 is needed", x->rank);
  *v = (struct sumi_pool){.batch = x->dim[0],
                          .channels = x->dim[1],
                          .n = x->rank - 2,
                          .count_include_pad = sumi_attr_int(node, "count_include_pad", 0) != 0,
                          .column_major = sumi_attr_int(node, "storage_order", 0) != 0};
  for (int i = 0; i < v->n; i++) v->in[i] = x->dim[2 + i];
  SUMI_TRY(sumi_op_window(node, v->n, v->in, NULL, &v->window, err));
  v->in_pixels = sumi_dims_count(v->in, 0, v->n);
  v->out_pixels = sumi_dims_count(v->window.out, 0, v->n);
  return SUMI_OK;
}

/* The window of one output pixel: taps [first, first + count) of each dimension lie inside the input. */
struct box {
  int64_t count[SUMI_MAX_RANK];
  int64_t stride[SUMI_MAX_RANK]; /* elements from tap to tap */
  int64_t at[SUMI_MAX_RANK];     /* the first one's position */
  int64_t origin;                /* the first one's offset in its plane */
  double inside, padded;         /* taps inside the input, and inside the padded input */
};

/* The k of [0, kernel) with low <= start + k * dilation < high: [*from, *from + result). */
static int64_t taps_between(int64_t start, int64_t kernel, int64_t dilation, int64_t low, int64_t high,
                            int64_t *from) {
  *from = start < low ? (low - start + dilation - 1) / dilation : 0;
  const int64_t to = start >= high ? 0 : SUMI_MIN((high - start + dilation - 1) / dilation, kernel);
  return SUMI_MAX(to - *from, 0);
}

int64_t sumi_pool_taps(const struct sumi_pool *v, int d, int64_t o, bool padded) {
  const struct sumi_window *w = &v->window;
  int64_t from;
  return taps_between(o * w->stride[d] - w->begin[d], w->kernel[d], w->dilation[d], padded ? -w->begin[d] : 0,
                      padded ? v->in[d] + w->end[d] : v->in[d], &from);
}

static struct box box_at(const struct sumi_pool *v, const int64_t *o) {
  const struct sumi_window *w = &v->window;
  struct box b = {.inside = 1, .padded = 1};
  int64_t pitch = 1;
  for (int d = v->n - 1; d >= 0; d--) {
    const int64_t start = o[d] * w->stride[d] - w->begin[d];
    int64_t from;
    b.padded *=
        (double)taps_between(start, w->kernel[d], w->dilation[d], -w->begin[d], v->in[d] + w->end[d], &from);
    b.count[d] = taps_between(start, w->kernel[d], w->dilation[d], 0, v->in[d], &from);
    b.inside *= (double)b.count[d];
    b.at[d] = b.count[d] ? start + from * w->dilation[d] : 0;
    b.stride[d] = b.count[d] ? w->dilation[d] * pitch : 0;
    b.origin += b.at[d] * pitch;
    pitch *= v->in[d];
  }
  return b;
}

/* What one output pixel becomes. x_first is its plane's first element. index (may be NULL) is MaxPool's. */
typedef double pool_fn(const struct sumi_pool *v, const struct box *b, const struct sumi_tensor *x,
                       int64_t x_first, double p, int64_t *index);

static double pool_max(const struct sumi_pool *v, const struct box *b, const struct sumi_tensor *x,
                       int64_t x_first, double p, int64_t *index) {
  (void)p;
  double best = -INFINITY;
  int64_t at = b->origin, position[SUMI_MAX_RANK];
  bool any = false;
  for (struct sumi_walk w = sumi_walk_start(v->n, b->count, b->stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w)) {
    const double value = sumi_get_f64(x->dtype, x->data, x_first + b->origin + w.offset[0]);
    if (any && !(value > best) && !(isnan(value) && !isnan(best))) continue;
    any = true;
    best = value;
    at = b->origin + w.offset[0];
    for (int d = 0; d < v->n; d++) position[d] = b->at[d] + w.index[d] * v->window.dilation[d];
  }
  if (index && any && v->column_major) {
    at = 0;
    for (int d = v->n - 1; d >= 0; d--) at = at * v->in[d] + position[d];
  }
  if (index) *index = any ? x_first + at : 0;
  return best;
}

static double pool_average(const struct sumi_pool *v, const struct box *b, const struct sumi_tensor *x,
                           int64_t x_first, double p, int64_t *index) {
  (void)p, (void)index;
  double sum = 0;
  for (struct sumi_walk w = sumi_walk_start(v->n, b->count, b->stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    sum += sumi_get_f64(x->dtype, x->data, x_first + b->origin + w.offset[0]);
  const double n = v->count_include_pad ? b->padded : b->inside;
  return n > 0 ? sum / n : 0;
}

static double pool_lp(const struct sumi_pool *v, const struct box *b, const struct sumi_tensor *x,
                      int64_t x_first, double p, int64_t *index) {
  (void)index;
  double sum = 0;
  for (struct sumi_walk w = sumi_walk_start(v->n, b->count, b->stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w)) {
    const double value = sumi_get_f64(x->dtype, x->data, x_first + b->origin + w.offset[0]);
    sum += p == 2 ? value * value : pow(fabs(value), p);
  }
  return p == 2 ? sqrt(sum) : pow(sum, 1 / p);
}

/* The lowest value of an integer type; no bound for floats (NaN must pass). */
static double lowest(sumi_dtype d) { return d == SUMI_INT8 ? -128 : d == SUMI_UINT8 ? 0 : -INFINITY; }

static sumi_status pool_run(const struct sumi_call *c, pool_fn *f) {
  struct sumi_pool v;
  SUMI_TRY(sumi_pool_resolve(c->node, c->in[0], &v, c->err));
  double p;
  SUMI_TRY(sumi_pool_p(c->node, &p, c->err));
  const struct sumi_tensor *y = c->out[0];
  int64_t *index = sumi_call_wants(c, 1) ? c->out[1]->data : NULL;
  for (int64_t plane = 0; v.out_pixels && plane < v.batch * v.channels; plane++) {
    int64_t o = plane * v.out_pixels;
    for (struct sumi_walk w = sumi_walk_start(v.n, v.window.out, NULL, NULL, NULL, NULL); !w.done;
         sumi_walk_next(&w), o++) {
      const struct box b = box_at(&v, w.index);
      const double value = f(&v, &b, c->in[0], plane * v.in_pixels, p, index ? index + o : NULL);
      if (y) sumi_set_f64(y->dtype, y->data, o, value < lowest(y->dtype) ? lowest(y->dtype) : value);
    }
  }
  return SUMI_OK;
}

static sumi_status max_ref(const struct sumi_call *c) { return pool_run(c, pool_max); }
static sumi_status average_ref(const struct sumi_call *c) { return pool_run(c, pool_average); }
static sumi_status lp_ref(const struct sumi_call *c) { return pool_run(c, pool_lp); }

#define POOL_ATTRS                                                                                  \
  {"auto_pad", SUMI_ATTR_STRING}, {"kernel_shape", SUMI_ATTR_INTS, true}, {"pads", SUMI_ATTR_INTS}, \
      {"strides", SUMI_ATTR_INTS}, {"ceil_mode", SUMI_ATTR_INT}, {                                  \
    "dilations", SUMI_ATTR_INTS                                                                     \
  }
#define MAX_TYPES (SUMI_FLOATS | SUMI_BIT(SUMI_INT8) | SUMI_BIT(SUMI_UINT8))

static const struct sumi_attr_spec max_attrs[] = {POOL_ATTRS, {"storage_order", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec average_attrs[] = {
    POOL_ATTRS, {"count_include_pad", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec lp_attrs[] = {
    POOL_ATTRS, {"p", SUMI_ATTR_FLOAT, .until = 2}, {"p", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port max_in[] = {{"X", MAX_TYPES, 'T'}, {NULL}};
static const struct sumi_port max_out[] = {
    {"Y", MAX_TYPES, 'T'}, {"Indices", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case max_cases[] = {
    {"g (float[2,3,7,8] x) => (y, i) { y, i = MaxPool <kernel_shape = [3, 2], strides = [2, 2], pads = [1, "
     "0, 1, 1]> (x) }",
     .why = "uneven padding, indices over all of x"},
    {"g (float[1,2,5,4,6] x) => (y, i) { y, i = MaxPool <kernel_shape = [2, 2, 2], storage_order = 1> (x) }",
     .why = "column-major indices"},
    {"g (float[2,3,5,7,8] x) => (y) { y = MaxPool <kernel_shape = [2, 3, 2], strides = [2, 2, 1], pads = [1, "
     "1, 0, 0, 1, 1], "
     "dilations = [2, 1, 2]> (x) }",
     .why = "volumes"},
    {"g (float[2,3,4,7,8] x) => (y, i) { y, i = MaxPool <kernel_shape = [3, 2, 2], dilations = [2, 1, 3], "
     "pads = [2, 1, 3, 2, "
     "0, 1]> (x) }",
     .why = "indices in volumes"},
    {"g (float[2,9] x) => (i) <int64[3] s = {2, 1, 9}> { v = Reshape (x, s) n = Log (v) y, i = MaxPool "
     "<kernel_shape = [2]> (n) }",
     .why = "the first NaN's index"},
    {"g (float[1,2,6,6] x) => (y) { y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1> (x) "
     "}",
     .why = "the last window sticks out"},
    {"g (float[1,1,1,5] x) => (y) { y = MaxPool <kernel_shape = [1, 1], strides = [1, 3], pads = [0, 0, 0, "
     "1], ceil_mode = 1> "
     "(x) }",
     .why = "a last window that would start in the right padding is left out"},
    {"g (float[1,2,9] x) => (y) { y = MaxPool <kernel_shape = [3], dilations = [2], auto_pad = "
     "\"SAME_LOWER\"> (x) }"},
    {"g (uint8[1,2,5,5] x) => (y) { y = MaxPool <kernel_shape = [2, 2]> (x) }"},
    {"g (float[1,6,11,9] x) => (y) { y = MaxPool <kernel_shape = [5, 5], pads = [2, 2, 2, 2]> (x) }",
     .why = "large windows, as in spatial pyramids"},
    {"g (bfloat16[2,3,7,9] x) => (y) { y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, "
     "1, 1]> (x) }",
     .why = "an odd number of channels"},
    {"<opset_import: [\"\": 8]> g (float16[1,2,5,5] x) => (y) { y = MaxPool <kernel_shape = [2, 2]> (x) }"},
    {"g (float[2,6,9,9] x) => (y) <float s = {0.25}, int8 z = {7}> { q = QuantizeLinear (x, s, z) m = "
     "MaxPool "
     "<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (q) y = DequantizeLinear (m, s, z) }",
     .low = -40, .high = 40, .why = "8-bit images in lanes"},
    {"g (float[2,5,30] x) => (y) <float s = {0.25}, uint8 z = {7}> { q = QuantizeLinear (x, s, z) m = "
     "MaxPool "
     "<kernel_shape = [3], dilations = [4], pads = [0, 2]> (q) y = DequantizeLinear <axis = 1> (m, s, z) }",
     .low = -40, .high = 40, .why = "8-bit rows in lanes"},
    {"g (int8[1,5,8,7] x) => (y) { y = MaxPool <kernel_shape = [2, 3], strides = [3, 1], ceil_mode = 1> (x) "
     "}",
     .low = -128, .high = 127},
    {NULL},
};
static const struct sumi_case average_cases[] = {
    {"g (float[2,3,7,8] x) => (y) { y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x) }",
     .rtol = 1e-6, .why = "padding is not counted"},
    {"g (float[2,3,7,8] x) => (y) { y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], "
     "count_include_pad = 1> (x) }",
     .rtol = 1e-6, .why = "padding is counted"},
    {"g (float[2,3,5,7,8] x) => (y) { y = AveragePool <kernel_shape = [3, 3, 2], strides = [2, 2, 1], pads = "
     "[1, 1, 1, 1, 1, "
     "0]> (x) }",
     .rtol = 1e-6, .why = "volumes"},
    {"g (float[2,3,5,7,8] x) => (y) { y = AveragePool <kernel_shape = [2, 3, 2], strides = [3, 2, 1], pads = "
     "[1, 1, 1, 1, 1, "
     "0], ceil_mode = 1, count_include_pad = 1> (x) }",
     .rtol = 1e-6, .why = "volumes, padding is counted"},
    {"g (float[1,2,6] x) => (y) { y = AveragePool <kernel_shape = [3], strides = [2], pads = [0, 0], "
     "ceil_mode = 1, "
     "count_include_pad = 1> (x) }",
     .rtol = 1e-6, .why = "what sticks out of the padding is never counted"},
    {"g (float[1,2,6,6] x) => (y) { y = AveragePool <kernel_shape = [2, 3], dilations = [2, 1], auto_pad = "
     "\"SAME_UPPER\"> (x) "
     "}",
     .rtol = 1e-6},
    {"g (float[1,10,11,9] x) => (y) { y = AveragePool <kernel_shape = [5, 4], strides = [3, 2], pads = [2, "
     "2, 1, 1]> "
     "(x) }",
     .rtol = 1e-5, .why = "sums of 20 elements in float32"},
    {NULL},
};
static const struct sumi_case lp_cases[] = {
    {"g (float[2,3,7,8] x) => (y) { y = LpPool <kernel_shape = [3, 2], pads = [1, 1, 0, 1], p = 3> (x) }",
     .rtol = 1e-6},
    {"g (float[1,2,6,7] x) => (y) { y = LpPool <kernel_shape = [3, 3], strides = [2, 2]> (x) }",
     .rtol = 1e-6},
    {"<opset_import: [\"\": 1]> g (float[2,3,7] x) => (y) { y = LpPool <kernel_shape = [2], p = 1.5> (x) }",
     .rtol = 1e-6, .why = "p was a float once"},
    {NULL},
};

static bool pool_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_first(c, carries) && !sumi_call_wants(c, 1); /* indices count through the batch */
}

const struct sumi_op sumi_op_max_pool = {
    .name = "MaxPool",
    .formula = "the largest element of a sliding window",
    .known_as = {{"", "MaxPool", {1, 8, 10, 11, 12, 22}}},
    .attrs = max_attrs,
    .in = max_in,
    .out = max_out,
    .infer = pool_infer,
    .by_item = pool_by_item,
    .ref = max_ref,
    .lower = sumi_max_pool_lower,
    .cells = sumi_max_pool_cells,
    .lanes = sumi_qmax_pool_lanes,
    .grad = sumi_max_pool_grad,
    .cases = max_cases,
};

const struct sumi_op sumi_op_average_pool = {
    .name = "AveragePool",
    .formula = "the mean of a sliding window",
    .known_as = {{"", "AveragePool", {1, 7, 10, 11, 19, 22}}},
    .attrs = average_attrs,
    .in = in,
    .out = out,
    .infer = pool_infer,
    .by_item = pool_by_item,
    .ref = average_ref,
    .lower = sumi_average_pool_lower,
    .cells = sumi_average_pool_cells,
    .grad = sumi_average_pool_grad,
    .cases = average_cases,
};

const struct sumi_op sumi_op_lp_pool = {
    .name = "LpPool",
    .formula = "(sum |x|^p)^(1/p) over a sliding window",
    .known_as = {{"", "LpPool", {1, 2, 11, 18, 22}}},
    .attrs = lp_attrs,
    .in = in,
    .out = out,
    .infer = pool_infer,
    .by_item = pool_by_item,
    .ref = lp_ref,
    .cases = lp_cases,
};

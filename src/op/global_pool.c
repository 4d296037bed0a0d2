/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool: one figure for every [batch, channel], over all spatial
 * elements: the mean, the largest (NaN if one is), (sum |x|^p)^(1/p). Sums are taken in double precision. Of
 * no elements the mean is NaN and the largest minus infinity. */
#include <math.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/grad.h"
#include "op/pool.h"
#include "op/pool_lower.h"
#include "op/rows_cells.h"

static sumi_status global_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  double p;
  SUMI_TRY(sumi_pool_p(ctx->node, &p, ctx->err));
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (x->rank < 2) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 2 is needed", x->rank);
  sumi_dim y[SUMI_MAX_RANK];
  for (int i = 0; i < x->rank; i++) y[i] = i < 2 ? x->dim[i] : 1;
  sumi_infer_out(ctx, 0, x->dtype, x->rank, y);
  return SUMI_OK;
}

/* What a plane's n elements from first on become. */
typedef double plane_fn(const struct sumi_tensor *x, int64_t first, int64_t n, double p);

static double plane_average(const struct sumi_tensor *x, int64_t first, int64_t n, double p) {
  (void)p;
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += sumi_get_f64(x->dtype, x->data, first + i);
  return n ? sum / (double)n : NAN;
}

static double plane_max(const struct sumi_tensor *x, int64_t first, int64_t n, double p) {
  (void)p;
  double best = -INFINITY;
  for (int64_t i = 0; i < n; i++) {
    const double value = sumi_get_f64(x->dtype, x->data, first + i);
    if (value > best || isnan(value)) best = value;
  }
  return best;
}

static double plane_lp(const struct sumi_tensor *x, int64_t first, int64_t n, double p) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += pow(fabs(sumi_get_f64(x->dtype, x->data, first + i)), p);
  return pow(sum, 1 / p);
}

static sumi_status global_run(const struct sumi_call *c, plane_fn *f) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t planes = x->dim[0] * x->dim[1], pixels = sumi_dims_count(x->dim, 2, x->rank);
  double p;
  SUMI_TRY(sumi_pool_p(c->node, &p, c->err));
  for (int64_t i = 0; i < planes; i++) sumi_set_f64(y->dtype, y->data, i, f(x, i * pixels, pixels, p));
  return SUMI_OK;
}

static sumi_status average_ref(const struct sumi_call *c) { return global_run(c, plane_average); }
static sumi_status max_ref(const struct sumi_call *c) { return global_run(c, plane_max); }
static sumi_status lp_ref(const struct sumi_call *c) { return global_run(c, plane_lp); }

static sumi_status global_cells(struct sumi_cells *c, const struct sumi_reduction *r) {
  const struct sumi_seen x = sumi_see(c, 0), y = sumi_see(c, sumi_cells_out(c, 0));
  if (!sumi_tensor_count(c->in[0])) return sumi_cells_refuse(c, "an empty tensor");
  return sumi_reduce_cells(c, &x, ((1u << x.rank) - 1) & ~3u, r, &y);
}
static sumi_status average_cells(struct sumi_cells *c) {
  return global_cells(c, &(const struct sumi_reduction){SUMI_REDUCTION_SUM, .last = "a / b"});
}
static sumi_status max_cells(struct sumi_cells *c) {
  return global_cells(c, &(const struct sumi_reduction){SUMI_REDUCTION_MAX});
}

static const struct sumi_attr_spec lp_attrs[] = {
    {"p", SUMI_ATTR_FLOAT, .until = 2}, {"p", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case average_cases[] = {
    {"g (float[2,3,7,7] x) => (y) { y = GlobalAveragePool (x) }", .rtol = 1e-6,
     .why = "49 elements in another order"},
    {"g (float[2,16,7,5] x) => (y) { y = GlobalAveragePool (x) }", .rtol = 1e-6},
    {"g (float[1,20,12,11] x) => (y) { y = GlobalAveragePool (x) }", .rtol = 3e-6,
     .why = "132 elements in float32"},
    {"g (float[1,9,7,15,8] x) => (y) { y = GlobalAveragePool (x) }", .rtol = 1e-5,
     .why = "840 elements in float32"},
    {"g (float16[2,3,50] x) => (y) { y = GlobalAveragePool (x) }", .rtol = 1e-3,
     .why = "rounded once to 11 bits"},
    {NULL},
};
static const struct sumi_case max_cases[] = {
    {"g (float[2,3,7,5] x) => (y) { y = GlobalMaxPool (x) }"},
    {"g (double[2,3,2,2,2] x) => (y) { y = GlobalMaxPool (x) }"},
    {"g (float[2,17,11,13] x) => (y) { y = GlobalMaxPool (x) }"},
    {NULL},
};
static const struct sumi_case lp_cases[] = {
    {"g (float[2,3,7,5] x) => (y) { y = GlobalLpPool (x) }", .rtol = 1e-6},
    {"<opset_import: [\"\": 1]> g (float[2,3,7] x) => (y) { y = GlobalLpPool <p = 2.5> (x) }", .rtol = 1e-6},
    {NULL},
};

const struct sumi_op sumi_op_global_average_pool = {
    .name = "GlobalAveragePool",
    .formula = "the mean of every channel",
    .known_as = {{"", "GlobalAveragePool", {1, 22}}},
    .in = in,
    .out = out,
    .infer = global_infer,
    .by_item = sumi_by_item_first,
    .ref = average_ref,
    .cells = average_cells,
    .lower = sumi_global_average_pool_lower,
    .grad = sumi_global_average_pool_grad,
    .cases = average_cases,
};

const struct sumi_op sumi_op_global_max_pool = {
    .name = "GlobalMaxPool",
    .formula = "the largest element of every channel",
    .known_as = {{"", "GlobalMaxPool", {1, 22}}},
    .in = in,
    .out = out,
    .infer = global_infer,
    .by_item = sumi_by_item_first,
    .ref = max_ref,
    .cells = max_cells,
    .lower = sumi_global_max_pool_lower,
    .cases = max_cases,
};

const struct sumi_op sumi_op_global_lp_pool = {
    .name = "GlobalLpPool",
    .formula = "(sum |x|^p)^(1/p) of every channel",
    .known_as = {{"", "GlobalLpPool", {1, 2, 22}}},
    .attrs = lp_attrs,
    .in = in,
    .out = out,
    .infer = global_infer,
    .ref = lp_ref,
    .cases = lp_cases,
};

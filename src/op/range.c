/* Range: y[i] = start + i * delta for i in [0, n), n = max(ceil((limit - start) / delta), 0).
 * Integers exactly; floats in double precision, rounded once (stash_type, version 27, asks for float or
 * better). */
#include <inttypes.h>
#include <math.h>

#include "op/dims.h"
#include "op/op_util.h"

/* The number of elements of integers, exact for any start, limit and delta != 0; false: more than 2^63. */
static bool count_ints(int64_t start, int64_t limit, int64_t delta, int64_t *n) {
  const bool up = delta > 0;
  *n = 0;
  if (up ? start >= limit : start <= limit) return true;
  const uint64_t span = up ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
  const uint64_t step = up ? (uint64_t)delta : 0 - (uint64_t)delta, count = 1 + (span - 1) / step;
  *n = (int64_t)count;
  return count <= INT64_MAX;
}

static sumi_status count(struct sumi_infer *ctx, int64_t *n) {
  const struct sumi_tensor *t[3] = {ctx->in[0].data, ctx->in[1].data, ctx->in[2].data};
  if (sumi_dtype_is_float(t[0]->dtype)) {
    const double start = sumi_get_f64(t[0]->dtype, t[0]->data, 0),
                 limit = sumi_get_f64(t[1]->dtype, t[1]->data, 0);
    const double delta = sumi_get_f64(t[2]->dtype, t[2]->data, 0);
    const double count = ceil((limit - start) / delta);
    if (delta == 0 || isnan(count))
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "from %g to %g by %g", start, limit, delta);
    if (count > 0x1p62)
      SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "from %g to %g by %g are %g elements", start, limit, delta, count);
    *n = count > 0 ? (int64_t)count : 0;
    return SUMI_OK;
  }
  const int64_t start = sumi_get_i64(t[0]->dtype, t[0]->data, 0),
                limit = sumi_get_i64(t[1]->dtype, t[1]->data, 0);
  const int64_t delta = sumi_get_i64(t[2]->dtype, t[2]->data, 0);
  if (!delta) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "delta is 0");
  if (!count_ints(start, limit, delta, n)) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "too many elements");
  return SUMI_OK;
}

/* One integer as a dim. */
static sumi_status as_dim(struct sumi_infer *ctx, int i, sumi_dim *d) {
  const int64_t *v;
  int n;
  *d = SUMI_DIM_UNKNOWN;
  if (ctx->in[i].rank > 1 || !sumi_dtype_in(ctx->in[i].dtype, SUMI_INDICES)) return SUMI_OK;
  SUMI_TRY(sumi_infer_ints(ctx, i, &v, &n));
  if (n == 1) *d = sumi_op_dim(v[0], ctx->in[i].data);
  return SUMI_OK;
}

static sumi_status range_infer(struct sumi_infer *ctx) {
  sumi_dim n = SUMI_DIM_UNKNOWN, start, limit, delta;
  for (int i = 0; i < 3; i++) {
    bool known;
    int64_t value;
    SUMI_TRY(sumi_op_scalar(ctx, i, &known, &value));
  }
  if (ctx->in[0].data && ctx->in[1].data && ctx->in[2].data) {
    SUMI_TRY(count(ctx, &n));
  } else {
    SUMI_TRY(as_dim(ctx, 0, &start));
    SUMI_TRY(as_dim(ctx, 1, &limit));
    SUMI_TRY(as_dim(ctx, 2, &delta));
    if (start == 0 && delta == 1)
      n = limit;
    else if (delta == 1)
      n = sumi_dim_apply(ctx->symbols, SUMI_DIM_MAX, sumi_dim_sub(ctx->symbols, limit, start), 0);
  }
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, 1, &n);
  return SUMI_OK;
}

static sumi_status range_ref(const struct sumi_call *c) {
  const struct sumi_tensor *start = c->in[0], *delta = c->in[2], *y = c->out[0];
  const int64_t n = y->dim[0];
  if (sumi_dtype_is_float(y->dtype)) {
    const double first = sumi_get_f64(start->dtype, start->data, 0),
                 step = sumi_get_f64(delta->dtype, delta->data, 0);
    for (int64_t i = 0; i < n; i++) sumi_set_f64(y->dtype, y->data, i, first + (double)i * step);
  } else {
    const uint64_t first = (uint64_t)sumi_get_i64(start->dtype, start->data, 0),
                   step = (uint64_t)sumi_get_i64(delta->dtype, delta->data, 0);
    for (int64_t i = 0; i < n; i++) sumi_set_i64(y->dtype, y->data, i, (int64_t)(first + (uint64_t)i * step));
  }
  return SUMI_OK;
}

#define TYPES (SUMI_FLOATS | SUMI_BIT(SUMI_INT16) | SUMI_INDICES)
static const struct sumi_attr_spec attrs[] = {{"stash_type", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"start", TYPES, 'T'}, {"limit", TYPES, 'T'}, {"delta", TYPES, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", TYPES, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g () => (y) <int64[] a = {10}, int64[] b = {4}, int64[] c = {-2}> { y = Range (a, b, c) }"},
    {"g () => (y) <float[] a = {1}, float[] b = {5}, float[] c = {1.5}> { y = Range (a, b, c) }"},
    {"g () => (y) <int32[] a = {4}, int32[] b = {4}, int32[] c = {1}> { y = Range (a, b, c) }",
     .why = "empty"},
    {NULL},
};

const struct sumi_op sumi_op_range = {
    .name = "Range",
    .formula = "start + i * delta",
    .known_as = {{"", "Range", {11, 27}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = range_infer,
    .ref = range_ref,
    .cases = cases,
};

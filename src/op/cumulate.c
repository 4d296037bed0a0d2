/* CumSum, CumProd: along an axis, y[k] = x[0] + ... + x[k] (or the product). exclusive leaves x[k] out,
 * reverse starts from the end. Floats accumulate in double precision, integers modulo 2^64. */
#include "op/lane.h"
#include "op/op_util.h"

static sumi_status axis_of(const struct sumi_tensor *t, int rank, int *axis, struct sumi_err *err) {
  return sumi_axis(sumi_get_i64(t->dtype, t->data, 0), rank ? rank : 1, axis, err);
}

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_info *axis = &ctx->in[1];
  for (int i = 0; i < axis->rank; i++)
    if (axis->dim[i] >= 0 && axis->dim[i] != 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the axis is not a scalar");
  int unused;
  if (axis->data && ctx->in[0].rank >= 0) SUMI_TRY(axis_of(axis->data, ctx->in[0].rank, &unused, ctx->err));
  return sumi_infer_same(ctx);
}

static sumi_status run(const struct sumi_call *c, bool product) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int axis;
  SUMI_TRY(axis_of(c->in[1], x->rank, &axis, c->err));
  const bool exclusive = sumi_attr_int(c->node, "exclusive", 0) != 0,
             reverse = sumi_attr_int(c->node, "reverse", 0) != 0;
  /* x is [outer, n, inner] */
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), n = x->rank ? x->dim[axis] : 1;
  const int64_t inner = x->rank ? sumi_dims_count(x->dim, axis + 1, x->rank) : 1;
  const bool is_float = sumi_dtype_is_float(x->dtype);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t j = 0; j < inner; j++) {
      double f = product ? 1 : 0;
      uint64_t u = product ? 1 : 0;
      for (int64_t k = 0; k < n; k++) {
        const int64_t at = (o * n + (reverse ? n - 1 - k : k)) * inner + j;
        const double old_f = f;
        const uint64_t old_u = u;
        if (is_float) {
          const double v = sumi_get_f64(x->dtype, x->data, at);
          f = product ? f * v : f + v;
          sumi_set_f64(y->dtype, y->data, at, exclusive ? old_f : f);
        } else {
          const uint64_t v = (uint64_t)sumi_get_i64(x->dtype, x->data, at);
          u = product ? u * v : u + v;
          sumi_set_i64(y->dtype, y->data, at, (int64_t)(exclusive ? old_u : u));
        }
      }
    }
  return SUMI_OK;
}

static sumi_status cum_sum_ref(const struct sumi_call *c) { return run(c, false); }
static sumi_status cum_prod_ref(const struct sumi_call *c) { return run(c, true); }

#define TYPES (SUMI_FLOATS | SUMI_INDICES | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT64))
static const struct sumi_attr_spec attrs[] = {
    {"exclusive", SUMI_ATTR_INT}, {"reverse", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"x", TYPES, 'T'}, {"axis", SUMI_INDICES}, {NULL}};
static const struct sumi_port out[] = {{"y", TYPES, 'T'}, {NULL}};

static const struct sumi_case cum_sum_cases[] = {
    {"g (float[3,5,7] x) => (y) <int64 axis = {1}> { y = CumSum (x, axis) }", .rtol = 1e-6},
    {"g (int32[40] x) => (y) <int32 axis = {-1}> { y = CumSum <exclusive = 1, reverse = 1> (x, axis) }"},
    {NULL},
};
static const struct sumi_case cum_prod_cases[] = {
    {"g (float[3,5,7] x) => (y) <int64 axis = {1}> { y = CumProd <reverse = 1> (x, axis) }", .rtol = 1e-6},
    {NULL}};

const struct sumi_op sumi_op_cum_sum = {
    .name = "CumSum",
    .formula = "x[0] + ... + x[k] along axis",
    .known_as = {{"", "CumSum", {11, 14}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = infer,
    .ref = cum_sum_ref,
    .cases = cum_sum_cases,
};

const struct sumi_op sumi_op_cum_prod = {
    .name = "CumProd",
    .formula = "x[0] ... x[k] along axis",
    .known_as = {{"", "CumProd", {26}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = infer,
    .ref = cum_prod_ref,
    .cases = cum_prod_cases,
};

/* Softmax, LogSoftmax: along an axis, y = exp(x - max) / sum(exp(x - max)), or its logarithm.
 * From version 13 the axis is one dimension (default -1); before, everything from the axis on is one long dimension
 * (default 1). Sums are taken in double precision. */
#include <math.h>

#include "base/size.h"
#include "op/op_util.h"

static sumi_status softmax_infer(struct sumi_infer *ctx) {
  int axis;
  if (ctx->in[0].rank >= 0)
    SUMI_TRY(sumi_op_axis(ctx->node, ctx->node->version < 13 ? 1 : -1, ctx->in[0].rank, &axis, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status softmax_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const bool before_13 = c->node->version < 13, log_form = sumi_streq(c->node->op->name, "LogSoftmax");
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, before_13 ? 1 : -1, x->rank, &axis, c->err));
  /* x is [outer, n, inner] */
  const int64_t outer = sumi_dims_count(x->dim, 0, axis);
  const int64_t n = before_13 ? sumi_dims_count(x->dim, axis, x->rank) : x->rank ? x->dim[axis] : 1;
  const int64_t inner = before_13 || !x->rank ? 1 : sumi_dims_count(x->dim, axis + 1, x->rank);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      const int64_t first = o * n * inner + i;
      double max = -INFINITY, sum = 0;
      for (int64_t k = 0; k < n; k++) max = fmax(max, sumi_get_f64(x->dtype, x->data, first + k * inner));
      for (int64_t k = 0; k < n; k++) sum += exp(sumi_get_f64(x->dtype, x->data, first + k * inner) - max);
      for (int64_t k = 0; k < n; k++) {
        const double t = sumi_get_f64(x->dtype, x->data, first + k * inner) - max;
        sumi_set_f64(y->dtype, y->data, first + k * inner, log_form ? t - log(sum) : exp(t) / sum);
      }
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,5,7] x) => (y) { y = Softmax (x) }", .rtol = 1e-6, .why = "float exp against double exp"},
    {"g (float[3,4,65] x) => (y) { y = Softmax <axis = 1> (x) }", .rtol = 1e-6},
    {"<opset_import: [\"\": 11]> g (float[2,3,4] x) => (y) { y = Softmax (x) }", .rtol = 1e-6},
    {"g (float[4,33] x) => (y) { y = LogSoftmax (x) }", .rtol = 1e-6},
    {NULL},
};

const struct sumi_op sumi_op_softmax = {
    .name = "Softmax",
    .formula = "exp(x - max) / sum(exp(x - max)) along axis",
    .known_as = {{"", "Softmax", {1, 11, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = softmax_infer,
    .ref = softmax_ref,
    .cases = cases,
};

const struct sumi_op sumi_op_log_softmax = {
    .name = "LogSoftmax",
    .formula = "x - max - log(sum(exp(x - max))) along axis",
    .known_as = {{"", "LogSoftmax", {1, 11, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = softmax_infer,
    .ref = softmax_ref,
    .cases = cases,
};

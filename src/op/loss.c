/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: x is [N, C, rest...], target [N, rest...], weight [C].
 *   loss[n, p] = -y[n, target[n, p], p] * weight[target[n, p]]; 0 where the target is ignore_index
 * with y = x, or y = log(softmax(x)) along the classes, which is also the second output. reduction "none" gives
 * these, "sum" their sum, "mean" their sum over the sum of the weights that were applied (NaN where that is 0).
 * Targets are checked here. Computed in double precision and rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"

enum reduction { NONE, SUM, MEAN };

static sumi_status read_reduction(const struct sumi_node *node, enum reduction *r, struct sumi_err *err) {
  static const char *const names[] = {"none", "sum", "mean"};
  const char *name = sumi_attr_string(node, "reduction", "mean");
  for (int i = NONE; i <= MEAN; i++)
    if (sumi_streq(name, names[i])) {
      *r = (enum reduction)i;
      return SUMI_OK;
    }
  SUMI_FAIL(err, SUMI_E_VALUE, "reduction is '%s'", name);
}

static sumi_status agree(struct sumi_infer *ctx, sumi_dim a, sumi_dim b, const char *what) {
  if (a >= 0 && b >= 0 && a != b)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s: %" PRId64 " and %" PRId64, what, a, b);
  return SUMI_OK;
}

static sumi_status loss_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *target = &ctx->in[1];
  enum reduction reduction = MEAN;
  SUMI_TRY(read_reduction(ctx->node, &reduction, ctx->err));
  if (x->rank == 0 || x->rank == 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the rank is %d, at least 2 is wanted", x->rank);
  const int rank = x->rank > 0 ? x->rank - 1 : target->rank;
  if (target->rank >= 0 && (target->rank != rank || rank == 0))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the target has rank %d, the scores have rank %d", target->rank,
              x->rank);
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) {
    dim[i] = x->rank < 0 ? SUMI_DIM_UNKNOWN : x->dim[i ? i + 1 : 0];
    if (target->rank < 0) continue;
    SUMI_TRY(agree(ctx, dim[i], target->dim[i], "scores and target differ in a dimension"));
    if (dim[i] < 0) dim[i] = target->dim[i];
  }
  if (sumi_infer_has(ctx, 2) && ctx->in[2].rank >= 0) {
    SUMI_TRY(sumi_op_want_rank(ctx, 2, 1));
    if (x->rank >= 0) SUMI_TRY(agree(ctx, x->dim[1], ctx->in[2].dim[0], "classes and weights"));
  }
  if (reduction != NONE)
    sumi_infer_out(ctx, 0, x->dtype, 0, NULL);
  else if (rank >= 0)
    sumi_infer_out(ctx, 0, x->dtype, rank, dim);
  else
    sumi_infer_out_unknown(ctx, 0, x->dtype);
  sumi_infer_out_like(ctx, 1, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

/* log(sum(exp(x))) over the classes at x[first], x[first + step] ...; 0 without classes. */
static double log_sum(const struct sumi_tensor *x, int64_t first, int64_t step, int64_t classes) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = 0; k < classes; k++) max = fmax(max, sumi_get_f64(x->dtype, x->data, first + k * step));
  for (int64_t k = 0; k < classes; k++) sum += exp(sumi_get_f64(x->dtype, x->data, first + k * step) - max);
  return classes ? max + log(sum) : 0;
}

/* The class at element i of the target; -1: ignored. */
static sumi_status class_at(const struct sumi_call *c, const struct sumi_attr *ignore, int64_t i,
                            int64_t *class) {
  const int64_t classes = c->in[0]->dim[1];
  *class = sumi_get_i64(c->in[1]->dtype, c->in[1]->data, i);
  if (ignore && *class == ignore->u.i)
    *class = -1;
  else if (*class < 0 || *class >= classes)
    SUMI_FAIL(c->err, SUMI_E_VALUE,
              "the target's element %" PRId64 " is %" PRId64 ", outside [0, %" PRId64 ")", i, *class,
              classes);
  return SUMI_OK;
}

static sumi_status loss(const struct sumi_call *c, bool softmax) {
  const struct sumi_tensor *x = c->in[0], *weight = sumi_call_has(c, 2) ? c->in[2] : NULL;
  const struct sumi_attr *ignore = sumi_node_attr(c->node, "ignore_index");
  const int64_t classes = x->dim[1], places = sumi_dims_count(x->dim, 2, x->rank), n = x->dim[0] * places;
  enum reduction reduction = MEAN;
  double sum = 0, applied = 0;
  SUMI_TRY(read_reduction(c->node, &reduction, c->err));
  for (int64_t i = 0; i < n; i++) {
    const int64_t first = i / places * classes * places + i % places;
    const double shift = softmax ? log_sum(x, first, places, classes) : 0;
    for (int64_t k = 0; sumi_call_wants(c, 1) && k < classes; k++)
      sumi_set_f64(x->dtype, c->out[1]->data, first + k * places,
                   sumi_get_f64(x->dtype, x->data, first + k * places) - shift);
    if (!sumi_call_wants(c, 0)) continue;
    int64_t class;
    double value = 0;
    SUMI_TRY(class_at(c, ignore, i, &class));
    if (class >= 0) {
      const double w = weight ? sumi_get_f64(weight->dtype, weight->data, class) : 1;
      value = -(sumi_get_f64(x->dtype, x->data, first + class * places) - shift) * w;
      sum += value;
      applied += w;
    }
    if (reduction == NONE) sumi_set_f64(x->dtype, c->out[0]->data, i, value);
  }
  if (reduction != NONE && sumi_call_wants(c, 0))
    sumi_set_f64(x->dtype, c->out[0]->data, 0, reduction == SUM ? sum : sum / applied);
  return SUMI_OK;
}

static sumi_status nll_ref(const struct sumi_call *c) { return loss(c, false); }
static sumi_status cross_entropy_ref(const struct sumi_call *c) { return loss(c, true); }

static const struct sumi_attr_spec attrs[] = {
    {"ignore_index", SUMI_ATTR_INT}, {"reduction", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'},
                                      {"target", SUMI_INDICES},
                                      {"weight", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {
    {"loss", SUMI_FLOATS, 'T'}, {"log_prob", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port nll_out[] = {{"loss", SUMI_FLOATS, 'T'}, {NULL}};

#define WHY "double sums rounded once; the random targets are 0..7"
static const struct sumi_case nll_cases[] = {
    {"g (float[3,8] x, int64[3] t) => (y) { y = NegativeLogLikelihoodLoss (x, t) }", .rtol = 1e-6,
     .why = WHY},
    {"g (float16[2,8,3,5] x, int32[2,3,5] t, float16[8] w) => (y) "
     "{ y = NegativeLogLikelihoodLoss <reduction = \"none\", ignore_index = 3> (x, t, w) }",
     .rtol = 1e-3, .why = "one rounding to float16"},
    {"g (double[2,8,7] x, int64[2,7] t, double[8] w) => (y) "
     "{ y = NegativeLogLikelihoodLoss <reduction = \"sum\", ignore_index = -1> (x, t, w) }",
     .rtol = 1e-12, .why = WHY},
    {NULL},
};
static const struct sumi_case cross_entropy_cases[] = {
    {"g (float[3,8] x, int64[3] t) => (y, p) { y, p = SoftmaxCrossEntropyLoss (x, t) }", .rtol = 1e-6,
     .why = WHY},
    {"g (bfloat16[2,8,3,5] x, int32[2,3,5] t, bfloat16[8] w) => (y) "
     "{ y = SoftmaxCrossEntropyLoss <reduction = \"none\", ignore_index = 3> (x, t, w) }",
     .rtol = 8e-3, .why = "one rounding to bfloat16"},
    {"g (double[2,8,7] x, int64[2,7] t, double[8] w) => (y, p) "
     "{ y, p = SoftmaxCrossEntropyLoss <ignore_index = 3> (x, t, w) }",
     .rtol = 1e-12, .low = 0.1, .high = 7, .why = "the weights' sum is away from 0"},
    {NULL},
};

const struct sumi_op sumi_op_negative_log_likelihood_loss = {
    .name = "NegativeLogLikelihoodLoss",
    .formula = "-x[target] * weight[target], reduced",
    .known_as = {{"", "NegativeLogLikelihoodLoss", {12, 13, 22}}},
    .attrs = attrs,
    .in = in,
    .out = nll_out,
    .infer = loss_infer,
    .ref = nll_ref,
    .cases = nll_cases,
};

const struct sumi_op sumi_op_softmax_cross_entropy_loss = {
    .name = "SoftmaxCrossEntropyLoss",
    .formula = "-log(softmax(x))[target] * weight[target], reduced",
    .known_as = {{"", "SoftmaxCrossEntropyLoss", {12, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = loss_infer,
    .ref = cross_entropy_ref,
    .cases = cross_entropy_cases,
};

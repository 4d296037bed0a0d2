/* MeanVarianceNormalization: y = (x - mean) / (deviation + 1e-9), mean and (population) standard deviation over the
 * dimensions in axes (default 0, 2, 3) for every index of the others. In double precision; the variance is the mean of
 * squared distances, never negative, where the standard's expansion subtracts two large figures. */
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"
#include "op/rows_cells.h"

/* Marks the dimensions to normalise over. */
static sumi_status reduced(const struct sumi_node *node, int rank, bool *marks, struct sumi_err *err) {
  static const int64_t usual[] = {0, 2, 3};
  int n, axis[SUMI_MAX_RANK];
  const int64_t *given = sumi_attr_ints(node, "axes", &n);
  if (!given) n = (int)SUMI_COUNT(usual);
  for (int i = 0; i < rank; i++) marks[i] = false;
  SUMI_TRY(sumi_op_axes(given ? given : usual, n, rank, axis, err));
  for (int i = 0; i < n; i++) marks[axis[i]] = true;
  return SUMI_OK;
}

static sumi_status mvn_infer(struct sumi_infer *ctx) {
  bool marks[SUMI_MAX_RANK];
  if (ctx->in[0].rank >= 0) SUMI_TRY(reduced(ctx->node, ctx->in[0].rank, marks, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

/* Elements at offsets first + walk over dim, stride. */
static void normalise(const struct sumi_tensor *x, const struct sumi_tensor *y, int64_t first,
                      const int64_t *dim, const int64_t *stride) {
  double sum = 0, square = 0, n = 0;
  for (struct sumi_walk w = sumi_walk_start(x->rank, dim, stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), n++)
    sum += sumi_get_f64(x->dtype, x->data, first + w.offset[0]);
  const double mean = sum / n;
  for (struct sumi_walk w = sumi_walk_start(x->rank, dim, stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w)) {
    const double d = sumi_get_f64(x->dtype, x->data, first + w.offset[0]) - mean;
    square += d * d;
  }
  const double deviation = sqrt(square / n) + 1e-9;
  for (struct sumi_walk w = sumi_walk_start(x->rank, dim, stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    sumi_set_f64(y->dtype, y->data, first + w.offset[0],
                 (sumi_get_f64(x->dtype, x->data, first + w.offset[0]) - mean) / deviation);
}

static sumi_status mvn_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  bool marks[SUMI_MAX_RANK];
  int64_t inner[SUMI_MAX_RANK], outer[SUMI_MAX_RANK], stride[SUMI_MAX_RANK];
  SUMI_TRY(reduced(c->node, x->rank, marks, c->err));
  sumi_strides(x->dim, x->rank, stride);
  if (!sumi_tensor_count(x)) return SUMI_OK;
  for (int i = 0; i < x->rank; i++) {
    inner[i] = marks[i] ? x->dim[i] : 1;
    outer[i] = marks[i] ? 1 : x->dim[i];
  }
  for (struct sumi_walk w = sumi_walk_start(x->rank, outer, stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    normalise(x, c->out[0], w.offset[0], inner, stride);
  return SUMI_OK;
}

static sumi_status mvn_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0), rank = c->in[0]->rank;
  bool marks[SUMI_MAX_RANK];
  SUMI_TRY(reduced(c->node, rank, marks, c->err));
  sumi_cells_same_form(c, y, 0);
  const struct sumi_norm n = {.x = sumi_see(c, 0),
                              .y = sumi_see(c, y),
                              .scale = sumi_see(c, -1),
                              .bias = sumi_see(c, -1),
                              .mean = sumi_see(c, -1),
                              .inverse = sumi_see(c, -1),
                              .inner = sumi_seen_set(marks, rank),
                              .centred = true,
                              .factor = "1 / (sqrtf(a) + b)",
                              .epsilon = 1e-9f};
  return sumi_norm_cells(c, &n);
}

static const struct sumi_attr_spec attrs[] = {{"axes", SUMI_ATTR_INTS}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,4,5] x) => (y) { y = MeanVarianceNormalization (x) }", .rtol = 1e-5,
     .why = "40 elements in float32"},
    {"g (float[2,3,4] x) => (y) { y = MeanVarianceNormalization <axes = [-1]> (x) }", .rtol = 1e-5},
    {NULL},
};

const struct sumi_op sumi_op_mean_variance_normalization = {
    .name = "MeanVarianceNormalization",
    .formula = "(x - mean) / (deviation + 1e-9) over axes",
    .known_as = {{"", "MeanVarianceNormalization", {9, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = mvn_infer,
    .ref = mvn_ref,
    .cells = mvn_cells,
    .cases = cases,
};

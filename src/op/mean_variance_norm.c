/* MeanVarianceNormalization: y = (x - mean) / (deviation + 1e-9), mean and (population) standard deviation over the
 * dimensions in axes (default 0, 2, 3) for every index of the others. In double precision; the variance is the mean of
 * squared distances, never negative, where the standard's expansion subtracts two large figures. */
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/lane.h"
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

/* The elements that share a mean: runs of `run` elements from first + walk over rank dims, strides on. */
struct group {
  int rank;
  int64_t dim[SUMI_MAX_RANK], stride[SUMI_MAX_RANK], run;
};

static double sum_of(const double *x, int64_t n) {
  double part[4] = {0};
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int k = 0; k < 4; k++) part[k] += x[i + k];
  for (; i < n; i++) part[0] += x[i];
  return part[0] + part[1] + (part[2] + part[3]);
}

/* The sum over the group of x - mean, or of its square. */
static double sum_group(const struct sumi_tensor *x, const struct group *g, int64_t first, double mean,
                        bool squares) {
  double value[SUMI_LANE_CHUNK], sum = 0;
  for (struct sumi_walk w = sumi_walk_start(g->rank, g->dim, g->stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    for (int64_t i = 0; i < g->run; i += SUMI_LANE_CHUNK) {
      const int64_t n = SUMI_MIN(g->run - i, SUMI_LANE_CHUNK);
      sumi_lane_load(SUMI_LANE_F64, x->dtype, x->data, first + w.offset[0] + i, n, value);
      for (int64_t k = 0; k < n; k++) value[k] -= mean;
      for (int64_t k = 0; k < n && squares; k++) value[k] *= value[k];
      sum += sum_of(value, n);
    }
  return sum;
}

static void normalise(const struct sumi_tensor *x, const struct sumi_tensor *y, const struct group *g,
                      int64_t first) {
  const double n = (double)(sumi_dims_count(g->dim, 0, g->rank) * g->run);
  const double mean = sum_group(x, g, first, 0, false) / n;
  const double deviation = sqrt(sum_group(x, g, first, mean, true) / n) + 1e-9;
  double value[SUMI_LANE_CHUNK];
  for (struct sumi_walk w = sumi_walk_start(g->rank, g->dim, g->stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    for (int64_t i = 0; i < g->run; i += SUMI_LANE_CHUNK) {
      const int64_t at = first + w.offset[0] + i, some = SUMI_MIN(g->run - i, SUMI_LANE_CHUNK);
      sumi_lane_load(SUMI_LANE_F64, x->dtype, x->data, at, some, value);
      for (int64_t k = 0; k < some; k++) value[k] = (value[k] - mean) / deviation;
      sumi_lane_store(SUMI_LANE_F64, y->dtype, y->data, at, some, value);
    }
}

static sumi_status mvn_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  bool marks[SUMI_MAX_RANK];
  struct group g = {.rank = x->rank, .run = 1};
  int64_t outer[SUMI_MAX_RANK], stride[SUMI_MAX_RANK];
  SUMI_TRY(reduced(c->node, x->rank, marks, c->err));
  sumi_strides(x->dim, x->rank, stride);
  if (!sumi_tensor_count(x)) return SUMI_OK;
  for (int i = 0; i < x->rank; i++) {
    g.dim[i] = marks[i] ? x->dim[i] : 1;
    g.stride[i] = stride[i];
    outer[i] = marks[i] ? 1 : x->dim[i];
  }
  for (; g.rank && marks[g.rank - 1]; g.rank--) g.run *= x->dim[g.rank - 1];
  for (struct sumi_walk w = sumi_walk_start(x->rank, outer, stride, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    normalise(x, c->out[0], &g, w.offset[0]);
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
    {"g (float[2,3,17,18] x) => (y) { y = MeanVarianceNormalization (x) }", .rtol = 1e-5,
     .why = "runs of more than a chunk"},
    {"g (float16[2,3,4] x) => (y) { y = MeanVarianceNormalization <axes = [0, 1]> (x) }", .rtol = 1e-3},
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

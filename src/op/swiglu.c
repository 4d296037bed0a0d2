/* SwiGLU (Shazeer 2020, "GLU Variants Improve Transformer"): y = a sigmoid(alpha a) b; a and b have one shape. */
#include <inttypes.h>
#include <math.h>

#include "base/fmath.h"
#include "op/lane.h"
#include "op/op_util.h"
#include "op/vector_cells.h"

static sumi_status swiglu_infer(struct sumi_infer *ctx) {
  const struct sumi_info *a = &ctx->in[0], *b = &ctx->in[1];
  if (a->rank >= 0 && b->rank >= 0 && a->rank != b->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the ranks are %d and %d", a->rank, b->rank);
  for (int i = 0; i < a->rank && i < b->rank; i++)
    if (a->dim[i] >= 0 && b->dim[i] >= 0 && a->dim[i] != b->dim[i])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 " and %" PRId64, i, a->dim[i], b->dim[i]);
  sumi_infer_out_like(ctx, 0, a->rank >= 0 ? a : b, SUMI_UNDEFINED);
  return SUMI_OK;
}

static void loop_f32(const void *const *in, const int64_t *step, void *to, int64_t n, const void *param) {
  const float *a = in[0], *b = in[1], alpha = *(const float *)param;
  float *y = to;
  SUMI_IVDEP for (int64_t i = 0; i < n; i++) y[i] =
      a[i * step[0]] * sumi_sigmoid_f32(alpha * a[i * step[0]]) * b[i * step[1]];
}

static void loop_f64(const void *const *in, const int64_t *step, void *to, int64_t n, const void *param) {
  const double *a = in[0], *b = in[1], alpha = *(const float *)param;
  double *y = to;
  for (int64_t i = 0; i < n; i++) y[i] = a[i * step[0]] / (1 + exp(-alpha * a[i * step[0]])) * b[i * step[1]];
}

static sumi_status swiglu_ref(const struct sumi_call *c) {
  const float alpha = sumi_attr_float(c->node, "alpha", 1);
  const enum sumi_lane lane = sumi_lane_of(c->in[0]->dtype);
  const struct sumi_map map = {.n_in = 2,
                               .in = {c->in[0], c->in[1]},
                               .out = c->out[0],
                               .lane = lane,
                               .loop = lane == SUMI_LANE_F32 ? loop_f32 : loop_f64,
                               .param = &alpha};
  sumi_map_run(&map);
  return SUMI_OK;
}

static sumi_status swiglu_cells(struct sumi_cells *c) {
  return sumi_eltwise_cells(
      c, &(const struct sumi_eltwise_formula){.real = "a * sumi_sigmoid_f32(alpha * a) * b",
                                              .alpha = sumi_attr_float(c->node, "alpha", 1)});
}

static const struct sumi_attr_spec attrs[] = {{"alpha", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_port in[] = {{"A", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3,37] a, float[3,37] b) => (y) { y = SwiGLU (a, b) }", .rtol = 4e-7,
     .why = "a sigmoid in float32"},
    {"g (double[3,5] a, double[3,5] b) => (y) { y = SwiGLU <alpha = 1.7> (a, b) }", .rtol = 1e-15},
    {"g (bfloat16[2,300] a, bfloat16[2,300] b) => (y) { y = SwiGLU <alpha = -0.5> (a, b) }", .rtol = 8e-3,
     .why = "one rounding to bfloat16"},
    {NULL},
};

const struct sumi_op sumi_op_swiglu = {
    .name = "SwiGLU",
    .formula = "a sigmoid(alpha a) b",
    .known_as = {{"", "SwiGLU", {28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = swiglu_infer,
    .ref = swiglu_ref,
    .cells = swiglu_cells,
    .cases = cases,
};

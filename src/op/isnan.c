/* IsNaN, IsInf: bool[i] = x[i] is not a number; is infinite, of the signs that attributes detect_positive
 * and detect_negative ask for. */
#include <math.h>

#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

SUMI_UNARY_LOOP(nan_f32, float, uint8_t, a != a)
SUMI_UNARY_LOOP(nan_f64, double, uint8_t, a != a)
SUMI_UNARY_LOOP(positive_f32, float, uint8_t, a == INFINITY)
SUMI_UNARY_LOOP(positive_f64, double, uint8_t, a == INFINITY)
SUMI_UNARY_LOOP(negative_f32, float, uint8_t, a == -INFINITY)
SUMI_UNARY_LOOP(negative_f64, double, uint8_t, a == -INFINITY)
SUMI_UNARY_LOOP(either_f32, float, uint8_t, fabsf(a) == INFINITY)
SUMI_UNARY_LOOP(either_f64, double, uint8_t, fabs(a) == INFINITY)
SUMI_UNARY_LOOP(never_f32, float, uint8_t, a != a && a == a)
SUMI_UNARY_LOOP(never_f64, double, uint8_t, a != a && a == a)

static sumi_status infer(struct sumi_infer *ctx) {
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_BOOL);
  return SUMI_OK;
}

static sumi_status run(const struct sumi_call *c, sumi_loop f32, sumi_loop f64) {
  struct sumi_map map = {
      .n_in = 1, .in = {c->in[0]}, .out = c->out[0], .lane = sumi_lane_of(c->in[0]->dtype), .to_bool = true};
  map.loop = map.lane == SUMI_LANE_F64 ? f64 : f32;
  sumi_map_run(&map);
  return SUMI_OK;
}

static sumi_status is_nan_cells(struct sumi_cells *c) {
  return sumi_eltwise_cells(c, &(const struct sumi_eltwise_formula){.real = "a != a"});
}

/* alpha: infinity. */
static sumi_status is_inf_cells(struct sumi_cells *c) {
  static const char *const formula[] = {"a != a && a == a", "a == -alpha", "a == alpha", "fabsf(a) == alpha"};
  const int which = (sumi_attr_int(c->node, "detect_positive", 1) ? 2 : 0) +
                    (sumi_attr_int(c->node, "detect_negative", 1) ? 1 : 0);
  return sumi_eltwise_cells(c,
                            &(const struct sumi_eltwise_formula){.real = formula[which], .alpha = INFINITY});
}

static sumi_status is_nan_ref(const struct sumi_call *c) { return run(c, nan_f32, nan_f64); }

static sumi_status is_inf_ref(const struct sumi_call *c) {
  static const sumi_loop f32[] = {never_f32, negative_f32, positive_f32, either_f32};
  static const sumi_loop f64[] = {never_f64, negative_f64, positive_f64, either_f64};
  const int which = (sumi_attr_int(c->node, "detect_positive", 1) ? 2 : 0) +
                    (sumi_attr_int(c->node, "detect_negative", 1) ? 1 : 0);
  return run(c, f32[which], f64[which]);
}

#define TYPES (SUMI_FLOATS | (SUMI_FLOAT8S & ~SUMI_BIT(SUMI_FLOAT8E8M0)))
static const struct sumi_attr_spec is_inf_attrs[] = {
    {"detect_positive", SUMI_ATTR_INT}, {"detect_negative", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"X", TYPES}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_BIT(SUMI_BOOL)}, {NULL}};
static const struct sumi_case is_nan_cases[] = {{"g (float[33] x) => (y) { r = Log (x) y = IsNaN (r) }",
                                                 .why = "the logarithm of a negative number is none"},
                                                {NULL}};
static const struct sumi_case is_inf_cases[] = {
    {"g (float[33] x) => (y) { f = Floor (x) r = Reciprocal (f) y = IsInf <detect_negative = 0> (r) }",
     .why = "1 / 0 is infinite"},
    {NULL},
};

const struct sumi_op sumi_op_is_nan = {
    .name = "IsNaN",
    .formula = "x is not a number",
    .known_as = {{"", "IsNaN", {9, 13, 20}}},
    .in = in,
    .out = out,
    .infer = infer,
    .ref = is_nan_ref,
    .cells = is_nan_cells,
    .cases = is_nan_cases,
};

const struct sumi_op sumi_op_is_inf = {
    .name = "IsInf",
    .formula = "x is infinite",
    .known_as = {{"", "IsInf", {10, 20}}},
    .attrs = is_inf_attrs,
    .in = in,
    .out = out,
    .infer = infer,
    .ref = is_inf_ref,
    .cells = is_inf_cells,
    .cases = is_inf_cases,
};

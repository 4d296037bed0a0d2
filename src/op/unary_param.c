/* Functions of one number with up to two constants alpha and beta from attributes: LeakyRelu and its
 * relatives, and Affine, ParametricSoftplus and ScaledTanh, which were experimental in operator set 1 and
 * are still met in old files. Computes as unary.c does; integers (Shrink) go through float64. */
#include <math.h>

#include "base/fmath.h"
#include "op/by_item.h"
#include "op/eltwise_lower.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

/* An attribute that holds a constant, and its default; before version 6 another one may hold. */
struct constant {
  const char *name;
  float otherwise, before_6;
};

static void read_constants(const struct sumi_node *node, const struct constant *constants, float value[2]) {
  value[0] = value[1] = 0;
  for (int i = 0; i < 2 && constants[i].name; i++) {
    const bool old = node->version < 6 && constants[i].before_6;
    value[i] = sumi_attr_float(node, constants[i].name, old ? constants[i].before_6 : constants[i].otherwise);
  }
}

static sumi_status run(const struct sumi_call *c, const struct constant *constants, const sumi_loop *loop) {
  const struct sumi_tensor *x = c->in[0];
  float value[2];
  read_constants(c->node, constants, value);
  struct sumi_map map = {
      .n_in = 1, .in = {x}, .out = c->out[0], .lane = sumi_lane_of(x->dtype), .param = value};
  if (map.lane > SUMI_LANE_F64) map.lane = SUMI_LANE_F64;
  map.loop = loop[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

static sumi_status run_cells(struct sumi_cells *c, const struct constant *constants, const char *formula) {
  float value[2];
  read_constants(c->node, constants, value);
  const struct sumi_eltwise_formula f = {.real = formula, .alpha = value[0], .beta = value[1]};
  return sumi_eltwise_cells(c, &f);
}

/* expr is in a (the element), alpha and beta. */
#define LOOP(name, T, expr)                                                                                \
  static void name(const void *const *from, const int64_t *step, void *to, int64_t n, const void *param) { \
    (void)step;                                                                                            \
    const T *x = from[0], alpha = ((const float *)param)[0], beta = ((const float *)param)[1];             \
    (void)alpha, (void)beta;                                                                               \
    T *y = to;                                                                                             \
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                                                           \
      const T a = x[i];                                                                                    \
      y[i] = expr;                                                                                         \
    }                                                                                                      \
  }

#define LIST(...) \
  { __VA_ARGS__ }

/* ACTIVATION(symbol, name, formula, versions, types, constants, attributes, case, its tolerance, float32
 * and float64 expressions, gradient) */
#define DESCRIPTOR(symbol, label, text, versions, types, constants, attr_list, case_text, tolerance, f32,  \
                   f64, how, rule)                                                                         \
  LOOP(symbol##_f32, float, f32)                                                                           \
  LOOP(symbol##_f64, double, f64)                                                                          \
  static const sumi_loop symbol##_loops[] = {symbol##_f32, symbol##_f64};                                  \
  static sumi_status symbol##_ref(const struct sumi_call *c) { return run(c, constants, symbol##_loops); } \
  static const struct sumi_port symbol##_in[] = {{"X", types, 'T'}, {NULL}};                               \
  static const struct sumi_port symbol##_out[] = {{"Y", types, 'T'}, {NULL}};                              \
  static const struct sumi_case symbol##_cases[] = {                                                       \
      {"g (float[3,37] x) => (y) { y = " case_text " }", .rtol = tolerance}, {NULL}};                      \
  const struct sumi_op sumi_op_##symbol = {                                                                \
      .name = label,                                                                                       \
      .formula = text,                                                                                     \
      .known_as = {{"", label, LIST versions}},                                                            \
      .attrs = attr_list,                                                                                  \
      .in = symbol##_in,                                                                                   \
      .out = symbol##_out,                                                                                 \
      .flags = SUMI_OP_IN_PLACE,                                                                           \
      .infer = sumi_infer_same,                                                                            \
      .by_item = sumi_by_item_elements,                                                                    \
      .ref = symbol##_ref,                                                                                 \
      .lower = sumi_unary_lower,                                                                           \
      .cells = how,                                                                                        \
      .grad = rule,                                                                                        \
      .cases = symbol##_cases,                                                                             \
  };

/* HOST_ACTIVATION: one that the card's vector engine has no operation for. */
#define ACTIVATION(symbol, label, text, versions, types, constants, attr_list, case_text, tolerance, f32, \
                   f64, rule)                                                                             \
  static sumi_status symbol##_cells(struct sumi_cells *c) { return run_cells(c, constants, #f32); }       \
  DESCRIPTOR(symbol, label, text, versions, types, constants, attr_list, case_text, tolerance, f32, f64,  \
             symbol##_cells, rule)
#define HOST_ACTIVATION(symbol, label, text, versions, types, constants, attr_list, case_text, tolerance, \
                        f32, f64, rule)                                                                   \
  DESCRIPTOR(symbol, label, text, versions, types, constants, attr_list, case_text, tolerance, f32, f64,  \
             NULL, rule)

#define CONSUMED \
  { "consumed_inputs", SUMI_ATTR_INTS, false, 6 }
static const struct sumi_attr_spec alpha_attrs[] = {{"alpha", SUMI_ATTR_FLOAT}, CONSUMED, {NULL}};
static const struct sumi_attr_spec alpha_beta_attrs[] = {
    {"alpha", SUMI_ATTR_FLOAT}, {"beta", SUMI_ATTR_FLOAT}, CONSUMED, {NULL}};
static const struct sumi_attr_spec selu_attrs[] = {
    {"alpha", SUMI_ATTR_FLOAT}, {"gamma", SUMI_ATTR_FLOAT}, CONSUMED, {NULL}};
static const struct sumi_attr_spec shrink_attrs[] = {
    {"lambd", SUMI_ATTR_FLOAT}, {"bias", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_attr_spec gelu_attrs[] = {{"approximate", SUMI_ATTR_STRING}, {NULL}};

static const struct constant leaky[] = {{"alpha", 0.01f}, {NULL}};
static const struct constant one[] = {{"alpha", 1}, {NULL}};
static const struct constant line[] = {{"alpha", 1}, {"beta", 0}};
static const struct constant scaled[] = {{"alpha", 1}, {"beta", 1}};
static const struct constant hard[] = {{"alpha", 0.2f}, {"beta", 0.5f}};
static const struct constant selu_constants[] = {{"alpha", 1.67326319217681884765625f, 1.6732f},
                                                 {"gamma", 1.05070102214813232421875f, 1.0507f}};
static const struct constant shrink_constants[] = {{"lambd", 0.5f}, {"bias", 0}};

static double sigmoid_f64(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double softplus(double x) { return log1p(exp(-fabs(x))) + (x > 0 ? x : 0); }

/* Exact where nothing is said: one rounding per operation on either side. */
ACTIVATION(leaky_relu, "LeakyRelu", "x < 0 ? alpha x : x", (1, 6, 16), SUMI_FLOATS, leaky, alpha_attrs,
           "LeakyRelu <alpha = 0.1> (x)", 0, a < 0 ? alpha * a : a, a < 0 ? alpha * a : a,
           sumi_leaky_relu_grad)
ACTIVATION(thresholded_relu, "ThresholdedRelu", "x > alpha ? x : 0", (10, 22), SUMI_FLOATS, one, alpha_attrs,
           "ThresholdedRelu <alpha = 0.3> (x)", 0, a <= alpha ? 0 : a, a <= alpha ? 0 : a, NULL)
ACTIVATION(hard_sigmoid, "HardSigmoid", "max(0, min(1, alpha x + beta))", (1, 6, 22), SUMI_FLOATS, hard,
           alpha_beta_attrs, "HardSigmoid <alpha = 0.4> (x)", 2e-7,
           alpha *a + beta < 0    ? 0
           : alpha * a + beta > 1 ? 1
                                  : alpha * a + beta,
           alpha *a + beta < 0    ? 0
           : alpha * a + beta > 1 ? 1
                                  : alpha * a + beta,
           sumi_hard_sigmoid_grad)
ACTIVATION(elu, "Elu", "x < 0 ? alpha (exp(x) - 1) : x", (1, 6, 22), SUMI_FLOATS, one, alpha_attrs,
           "Elu <alpha = 2.0> (x)", 3e-7, a < 0 ? alpha * sumi_expm1_f32(a) : a, a < 0 ? alpha * expm1(a) : a,
           NULL)
ACTIVATION(selu, "Selu", "gamma (x <= 0 ? alpha (exp(x) - 1) : x)", (1, 6, 22), SUMI_FLOATS, selu_constants,
           selu_attrs, "Selu (x)", 3e-7, beta *(a <= 0 ? alpha * sumi_expm1_f32(a) : a),
           beta *(a <= 0 ? alpha * expm1(a) : a), NULL)
ACTIVATION(celu, "Celu", "max(0, x) + min(0, alpha (exp(x / alpha) - 1))", (12, 28), SUMI_FLOATS, one,
           alpha_attrs, "Celu <alpha = 2.0> (x)", 3e-7, a < 0 ? alpha * sumi_expm1_f32(a / alpha) : a,
           a < 0 ? alpha * expm1(a / alpha) : a, NULL)
ACTIVATION(swish, "Swish", "x / (1 + exp(-alpha x))", (24), SUMI_FLOATS, one, alpha_attrs,
           "Swish <alpha = 1.5> (x)", 4e-7, a *sumi_sigmoid_f32(alpha *a), a *sigmoid_f64(alpha *a),
           sumi_swish_grad)
ACTIVATION(shrink, "Shrink", "x < -lambd ? x + bias : x > lambd ? x - bias : 0", (9), SUMI_NUMBERS,
           shrink_constants, shrink_attrs, "Shrink <lambd = 0.7, bias = 0.2> (x)", 0,
           a < -alpha   ? a + beta
           : a <= alpha ? 0
                        : a - beta,
           a < -alpha   ? a + beta
           : a <= alpha ? 0
                        : a - beta,
           NULL)
ACTIVATION(affine, "Affine", "alpha x + beta", (1), SUMI_FLOATS, line, alpha_beta_attrs,
           "Affine <alpha = 2.5, beta = -1.0> (x)", 2e-7, alpha *a + beta, alpha *a + beta, NULL)
ACTIVATION(scaled_tanh, "ScaledTanh", "alpha tanh(beta x)", (1), SUMI_FLOATS, scaled, alpha_beta_attrs,
           "ScaledTanh <alpha = 1.5, beta = 0.7> (x)", 3e-7, alpha *sumi_tanh_f32(beta *a),
           alpha *tanh(beta *a), NULL)
HOST_ACTIVATION(parametric_softplus, "ParametricSoftplus", "alpha ln(1 + exp(beta x))", (1), SUMI_FLOATS,
                scaled, alpha_beta_attrs, "ParametricSoftplus <alpha = 1.5, beta = 0.7> (x)", 3e-7,
                alpha *(float)softplus(beta *a), alpha *softplus(beta *a), NULL)

/* ---- Gelu: attribute approximate chooses the formula --------------------------------------------------- */

#define GELU_ERF 0.5f * a *(1.0f + sumi_erf_f32(a * (float)M_SQRT1_2))
#define GELU_TANH 0.5f * a *(1.0f + sumi_tanh_f32(0.797884561f * (a + 0.044715f * a * a * a)))
LOOP(gelu_erf_f32, float, GELU_ERF)
LOOP(gelu_erf_f64, double, 0.5 * a * (1 + erf(a * M_SQRT1_2)))
LOOP(gelu_tanh_f32, float, GELU_TANH)
LOOP(gelu_tanh_f64, double, 0.5 * a * (1 + tanh(sqrt(2 / M_PI) * (a + 0.044715 * a * a * a))))

static sumi_status gelu_infer(struct sumi_infer *ctx) {
  const char *form = sumi_attr_string(ctx->node, "approximate", "none");
  if (!sumi_streq(form, "none") && !sumi_streq(form, "tanh"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "approximate is '%s'", form);
  return sumi_infer_same(ctx);
}

static sumi_status gelu_cells(struct sumi_cells *c) {
  const bool with_tanh = sumi_attr_is(c->node, "approximate", "none", "tanh");
  const struct sumi_eltwise_formula f = {.real = with_tanh ? SUMI_FORMULA_TEXT(GELU_TANH)
                                                           : SUMI_FORMULA_TEXT(GELU_ERF)};
  return sumi_eltwise_cells(c, &f);
}

static sumi_status gelu_ref(const struct sumi_call *c) {
  static const sumi_loop with_erf[] = {gelu_erf_f32, gelu_erf_f64},
                         with_tanh[] = {gelu_tanh_f32, gelu_tanh_f64};
  static const struct constant none[] = {{NULL}};
  return run(c, none, sumi_attr_is(c->node, "approximate", "none", "tanh") ? with_tanh : with_erf);
}

static const struct sumi_port gelu_in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port gelu_out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_case gelu_cases[] = {
    {"g (float[3,37] x) => (y) { y = Gelu (x) }", .rtol = 3e-7, .why = "erf and tanh below 1.5 ulp each"},
    {"g (float[3,37] x) => (y) { y = Gelu <approximate = \"tanh\"> (x) }", .rtol = 3e-7},
    {NULL},
};

const struct sumi_op sumi_op_gelu = {
    .name = "Gelu",
    .formula = "x / 2 (1 + erf(x / sqrt(2)))",
    .known_as = {{"", "Gelu", {20}}},
    .attrs = gelu_attrs,
    .in = gelu_in,
    .out = gelu_out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = gelu_infer,
    .ref = gelu_ref,
    .lower = sumi_unary_lower,
    .cells = gelu_cells,
    .grad = sumi_gelu_grad,
    .cases = gelu_cases,
};

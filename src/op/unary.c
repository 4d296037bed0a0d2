/* Functions of one number, y = f(x), without attributes. Float types compute in float32 or float64; what
 * takes integers beside them says so. Float32 exp, erf, tanh and the logistic function are base/fmath.h's
 * (below 2.5 ulp); the others are the C library's. Integers under a float formula (Erf before version 13)
 * go through float64. */
#include <math.h>

#include "base/fmath.h"
#include "op/by_item.h"
#include "op/eltwise_lower.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

#define SIGNED_NUMBERS (SUMI_FLOATS | SUMI_SIGNED)

/* x tanh(ln(1 + w)) = x n / (n + 2) with w = e^x, n = w (w + 2); from x = 20 on the quotient is 1. Below 5 ulp. */
static inline float mish_f32(float x) {
  const float w = sumi_exp_f32(x > 20 ? 20 : x), n = w * (w + 2);
  return x * (n / (n + 2));
}

static double softplus_f64(double x) { return log1p(exp(-fabs(x))) + (x > 0 ? x : 0); }
static double sigmoid_f64(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }

static sumi_status run(const struct sumi_call *c, const sumi_loop *loop) {
  const struct sumi_tensor *x = c->in[0];
  struct sumi_map map = {.n_in = 1, .in = {x}, .out = c->out[0], .lane = sumi_lane_of(x->dtype)};
  if (!loop[map.lane]) map.lane = SUMI_LANE_F64;
  map.loop = loop[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"consumed_inputs", SUMI_ATTR_INTS, false, 6}, {NULL}};

#define LIST(...) \
  { __VA_ARGS__ }

/* The ports, loops and descriptor of one function; how: its cells. */
#define DESCRIPTOR(symbol, label, text, versions, types, attr_list, tolerance, from, to, how, rule)          \
  static sumi_status symbol##_ref(const struct sumi_call *c) { return run(c, symbol##_loops); }              \
  static const struct sumi_port symbol##_in[] = {{"X", types, 'T'}, {NULL}};                                 \
  static const struct sumi_port symbol##_out[] = {{"Y", types, 'T'}, {NULL}};                                \
  static const struct sumi_case symbol##_cases[] = {                                                         \
      {"g (float[3,37] x) => (y) { y = " label " (x) }", .rtol = tolerance, .low = from, .high = to},        \
      {"g (float16[65] x) => (y) { y = " label " (x) }", .rtol = tolerance * 8192, .low = from, .high = to}, \
      {NULL},                                                                                                \
  };                                                                                                         \
  const struct sumi_op sumi_op_##symbol = {                                                                  \
      .name = label,                                                                                         \
      .formula = text,                                                                                       \
      .known_as = {{"", label, LIST versions}},                                                              \
      .attrs = attr_list,                                                                                    \
      .in = symbol##_in,                                                                                     \
      .out = symbol##_out,                                                                                   \
      .flags = SUMI_OP_IN_PLACE,                                                                             \
      .infer = sumi_infer_same,                                                                              \
      .by_item = sumi_by_item_elements,                                                                      \
      .ref = symbol##_ref,                                                                                   \
      .lower = sumi_unary_lower,                                                                             \
      .cells = how,                                                                                          \
      .grad = rule,                                                                                          \
      .cases = symbol##_cases,                                                                               \
  };

/* Cells by the float32 and integer expressions as text. */
#define CELLS(symbol, real_form, whole_form)                                                   \
  static sumi_status symbol##_cells(struct sumi_cells *c) {                                    \
    return sumi_eltwise_cells(c, &(const struct sumi_eltwise_formula){real_form, whole_form}); \
  }

/* FUNCTION(symbol, name, formula, versions, types, attributes, case tolerance and input range, float32 and
 * float64 expressions, gradient); HOST_FUNCTION: one that the card's vector engine has no operation for. */
#define HOST_FUNCTION(symbol, label, text, versions, types, attr_list, tolerance, from, to, f32, f64, rule) \
  SUMI_UNARY_LOOP(symbol##_f32_loop, float, float, f32)                                                     \
  SUMI_UNARY_LOOP(symbol##_f64_loop, double, double, f64)                                                   \
  static const sumi_loop symbol##_loops[SUMI_N_LANES] = {symbol##_f32_loop, symbol##_f64_loop};             \
  DESCRIPTOR(symbol, label, text, versions, types, attr_list, tolerance, from, to, NULL, rule)

#define FUNCTION(symbol, label, text, versions, types, attr_list, tolerance, from, to, f32, f64, rule) \
  SUMI_UNARY_LOOP(symbol##_f32_loop, float, float, f32)                                                \
  SUMI_UNARY_LOOP(symbol##_f64_loop, double, double, f64)                                              \
  static const sumi_loop symbol##_loops[SUMI_N_LANES] = {symbol##_f32_loop, symbol##_f64_loop};        \
  CELLS(symbol, #f32, NULL)                                                                            \
  DESCRIPTOR(symbol, label, text, versions, types, attr_list, tolerance, from, to, symbol##_cells, rule)

/* The same with an expression for integers, modulo 2^64. */
#define NUMBER_FUNCTION(symbol, label, text, versions, types, attr_list, f32, f64, i64, u64, rule) \
  SUMI_UNARY_LOOP(symbol##_f32_loop, float, float, f32)                                            \
  SUMI_UNARY_LOOP(symbol##_f64_loop, double, double, f64)                                          \
  SUMI_UNARY_LOOP(symbol##_i64_loop, int64_t, int64_t, i64)                                        \
  SUMI_UNARY_LOOP(symbol##_u64_loop, uint64_t, uint64_t, u64)                                      \
  static const sumi_loop symbol##_loops[SUMI_N_LANES] = {symbol##_f32_loop, symbol##_f64_loop,     \
                                                         symbol##_i64_loop, symbol##_u64_loop};    \
  CELLS(symbol, #f32, #i64)                                                                        \
  DESCRIPTOR(symbol, label, text, versions, types, attr_list, 0, -8, 8, symbol##_cells, rule)

/* Comparisons are written so that a NaN gives a NaN. Tolerances: 0 where the result is exact or correctly
 * rounded. */
NUMBER_FUNCTION(abs, "Abs", "|x|", (1, 6, 13), SUMI_NUMBERS, attrs, fabsf(a), fabs(a),
                (int64_t)(a < 0 ? 0 - (uint64_t)a : (uint64_t)a), a, sumi_abs_grad)
NUMBER_FUNCTION(neg, "Neg", "-x", (1, 6, 13), SIGNED_NUMBERS, attrs, -a, -a, (int64_t)(0 - (uint64_t)a), a,
                sumi_neg_grad)
NUMBER_FUNCTION(relu, "Relu", "max(x, 0)", (1, 6, 13, 14), SIGNED_NUMBERS, attrs, 0 > a ? 0 : a,
                0 > a ? 0 : a, 0 > a ? 0 : a, a, sumi_relu_grad)
NUMBER_FUNCTION(sign, "Sign", "-1, 0 or 1", (9, 13), SUMI_NUMBERS, NULL,
                a != a ? a : (float)((a > 0) - (a < 0)), a != a ? a : (double)((a > 0) - (a < 0)),
                (a > 0) - (a < 0), a > 0, NULL)

FUNCTION(sigmoid, "Sigmoid", "1 / (1 + exp(-x))", (1, 6, 13), SUMI_FLOATS, attrs, 3e-7, -20, 20,
         sumi_sigmoid_f32(a), sigmoid_f64(a), sumi_sigmoid_grad)
FUNCTION(tanh, "Tanh", "tanh(x)", (1, 6, 13), SUMI_FLOATS, attrs, 2e-7, -5, 5, sumi_tanh_f32(a), tanh(a),
         sumi_tanh_grad)
FUNCTION(erf, "Erf", "2 / sqrt(pi) * integral from 0 to x of exp(-t^2)", (9, 13), SUMI_NUMBERS, NULL, 2e-7,
         -4, 4, sumi_erf_f32(a), erf(a), sumi_erf_grad)
FUNCTION(exp, "Exp", "e^x", (1, 6, 13), SUMI_FLOATS, attrs, 2e-7, -9, 9, sumi_exp_f32(a), exp(a),
         sumi_exp_grad)
HOST_FUNCTION(log, "Log", "ln(x)", (1, 6, 13), SUMI_FLOATS, attrs, 2e-7, 0.01, 9, logf(a), log(a),
              sumi_log_grad)
FUNCTION(sqrt, "Sqrt", "sqrt(x)", (1, 6, 13), SUMI_FLOATS, attrs, 0, 0, 9, sqrtf(a), sqrt(a), sumi_sqrt_grad)
FUNCTION(reciprocal, "Reciprocal", "1 / x", (1, 6, 13), SUMI_FLOATS, attrs, 0, 0.1, 9, 1 / a, 1 / a,
         sumi_reciprocal_grad)
FUNCTION(round, "Round", "x to the nearest integer, ties to even", (11, 22), SUMI_FLOATS, NULL, 0, -9, 9,
         sumi_rint_f32(a), rint(a), NULL)
FUNCTION(floor, "Floor", "the largest integer <= x", (1, 6, 13), SUMI_FLOATS, attrs, 0, -9, 9,
         sumi_floor_f32(a), floor(a), NULL)
FUNCTION(ceil, "Ceil", "the smallest integer >= x", (1, 6, 13), SUMI_FLOATS, attrs, 0, -9, 9,
         sumi_ceil_f32(a), ceil(a), NULL)

HOST_FUNCTION(sin, "Sin", "sin(x)", (7, 22), SUMI_FLOATS, NULL, 2e-7, -9, 9, sinf(a), sin(a), sumi_sin_grad)
HOST_FUNCTION(cos, "Cos", "cos(x)", (7, 22), SUMI_FLOATS, NULL, 2e-7, -9, 9, cosf(a), cos(a), sumi_cos_grad)
HOST_FUNCTION(tan, "Tan", "tan(x)", (7, 22), SUMI_FLOATS, NULL, 2e-7, -1.5, 1.5, tanf(a), tan(a), NULL)
HOST_FUNCTION(asin, "Asin", "arcsin(x)", (7, 22), SUMI_FLOATS, NULL, 2e-7, -1, 1, asinf(a), asin(a), NULL)
HOST_FUNCTION(acos, "Acos", "arccos(x)", (7, 22), SUMI_FLOATS, NULL, 2e-7, -1, 1, acosf(a), acos(a), NULL)
HOST_FUNCTION(atan, "Atan", "arctan(x)", (7, 22), SUMI_FLOATS, NULL, 2e-7, -9, 9, atanf(a), atan(a), NULL)
HOST_FUNCTION(sinh, "Sinh", "sinh(x)", (9, 22), SUMI_FLOATS, NULL, 2e-7, -5, 5, sinhf(a), sinh(a), NULL)
HOST_FUNCTION(cosh, "Cosh", "cosh(x)", (9, 22), SUMI_FLOATS, NULL, 2e-7, -5, 5, coshf(a), cosh(a), NULL)
HOST_FUNCTION(asinh, "Asinh", "arsinh(x)", (9, 22), SUMI_FLOATS, NULL, 2e-7, -9, 9, asinhf(a), asinh(a), NULL)
HOST_FUNCTION(acosh, "Acosh", "arcosh(x)", (9, 22), SUMI_FLOATS, NULL, 2e-7, 1, 9, acoshf(a), acosh(a), NULL)
HOST_FUNCTION(atanh, "Atanh", "artanh(x)", (9, 22), SUMI_FLOATS, NULL, 2e-7, -0.9, 0.9, atanhf(a), atanh(a),
              NULL)

HOST_FUNCTION(softplus, "Softplus", "ln(1 + exp(x))", (1, 22), SUMI_FLOATS, NULL, 3e-7, -20, 20,
              sumi_softplus_f32(a), softplus_f64(a), sumi_softplus_grad)
FUNCTION(softsign, "Softsign", "x / (1 + |x|)", (1, 22), SUMI_FLOATS, NULL, 0, -9, 9, a / (1 + fabsf(a)),
         a / (1 + fabs(a)), NULL)
FUNCTION(mish, "Mish", "x * tanh(ln(1 + exp(x)))", (18, 22), SUMI_FLOATS, NULL, 5e-7, -20, 20, mish_f32(a),
         a *tanh(softplus_f64(a)), NULL)
FUNCTION(hard_swish, "HardSwish", "x * max(0, min(1, x / 6 + 0.5))", (14, 22), SUMI_FLOATS, NULL, 2e-7, -5, 5,
         a *(a *(1 / 6.f) + 0.5f < 0    ? 0
             : a * (1 / 6.f) + 0.5f > 1 ? 1
                                        : a * (1 / 6.f) + 0.5f),
         a *(a / 6 + 0.5 < 0   ? 0
             : a / 6 + 0.5 > 1 ? 1
                               : a / 6 + 0.5),
         sumi_hard_swish_grad)

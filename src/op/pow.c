/* Pow: z[i] = x[i] ^ y[i], broadcast as arith.c does; from version 12 on the exponent may be of another
 * type. Integer to the power of integer wraps modulo 2^bits; a negative exponent gives 1 / x^|y| cut to an
 * integer, 0 for x = 0. Mixed types compute in float64. The exponents 1, 2 and 3 of float32 are products
 * (below 1.1 ulp); others are the C library's powf. */
#include <math.h>

#include "op/eltwise_lower.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

static int64_t power_i64(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, square = (uint64_t)base;
  for (uint64_t e = (uint64_t)exponent; e; e >>= 1, square *= square)
    if (e & 1) result *= square;
  return (int64_t)result;
}

static uint64_t power_u64(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

SUMI_BINARY_LOOP(general_f32, float, float, powf(a, b))
SUMI_BINARY_LOOP(general_f64, double, double, pow(a, b))
SUMI_BINARY_LOOP(general_i64, int64_t, int64_t, power_i64(a, b))
SUMI_BINARY_LOOP(general_u64, uint64_t, uint64_t, power_u64(a, b))
SUMI_UNARY_LOOP(first_f32, float, float, a)
SUMI_UNARY_LOOP(square_f32, float, float, a *a)
SUMI_UNARY_LOOP(cube_f32, float, float, a *a *a)

static void pow_f32(const void *const *in, const int64_t *step, void *y, int64_t n, const void *param) {
  const float exponent = *(const float *)in[1];
  const bool constant = !step[1] && step[0];
  if (constant && exponent == 1)
    first_f32(in, step, y, n, param);
  else if (constant && exponent == 2)
    square_f32(in, step, y, n, param);
  else if (constant && exponent == 3)
    cube_f32(in, step, y, n, param);
  else
    general_f32(in, step, y, n, param);
}

/* Integers stay integers when both are; a float with a short float or a short integer is exact in float32. */
static enum sumi_lane choose_lane(sumi_dtype x, sumi_dtype y) {
  const enum sumi_lane a = sumi_lane_of(x), b = sumi_lane_of(y);
  if (a == b || (a == SUMI_LANE_F32 && b > SUMI_LANE_F64 && sumi_dtype_bits(y) <= 16)) return a;
  return a > SUMI_LANE_F64 && b > SUMI_LANE_F64 ? SUMI_LANE_I64 : SUMI_LANE_F64;
}

static sumi_status pow_infer(struct sumi_infer *ctx) { return sumi_infer_binary(ctx, ctx->in[0].dtype); }

static sumi_status pow_ref(const struct sumi_call *c) {
  static const sumi_loop loop[] = {pow_f32, general_f64, general_i64, general_u64};
  const struct sumi_tensor b = sumi_second_operand(c);
  struct sumi_map map = {
      .n_in = 2, .in = {c->in[0], &b}, .out = c->out[0], .lane = choose_lane(c->in[0]->dtype, b.dtype)};
  map.loop = loop[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

/* x to a whole power, by squares. */
static int whole_power(struct sumi_vector *p, int x, int exponent) {
  int y = -1;
  for (int e = exponent; e; e >>= 1, x = SUMI_VECTOR(p, "a * a", x))
    if (e & 1) y = y < 0 ? x : SUMI_VECTOR(p, "a * b", y, x);
  return y;
}

static sumi_status pow_cells(struct sumi_cells *c) {
  enum { MOST = 64 }; /* twelve products */
  const struct sumi_tensor *exponent = c->in[1];
  if (!exponent->data || sumi_tensor_count(exponent) != 1)
    return sumi_cells_refuse(c, "the exponent is not one constant");
  const double e = sumi_get_f64(exponent->dtype, exponent->data, 0);
  const bool whole = e >= -MOST && e <= MOST && e == (int)e;
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, 1), x = sumi_vector_load(&p, sumi_vector_view(&p, 0));
  if (x >= 0 && !p.value[x].real && !(whole && e >= 0))
    return sumi_cells_refuse(c, "integers to a power that is no whole number");
  int v = -1;
  if (e == 0)
    v = x >= 0 && p.value[x].real ? sumi_vector_float(&p, 1) : sumi_vector_int(&p, 1);
  else if (whole)
    v = whole_power(&p, x, (int)fabs(e));
  else if (fabs(e) == 0.5)
    /* of -infinity: infinity; of -0: 0 */
    v = SUMI_VECTOR(&p, "sqrtf((fabsf(a) == b ? b : a) + 0)", x, sumi_vector_float(&p, INFINITY));
  else
    return sumi_cells_refuse(c, "an exponent of %g: the vector engine has no logarithm", e);
  if (e < 0) v = SUMI_VECTOR(&p, "1 / a", v);
  sumi_vector_store_wrapped(&p, sumi_vector_view(&p, y), v);
  return sumi_vector_end(&p);
}

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT, false, 7}, {"broadcast", SUMI_ATTR_INT, false, 7}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_NUMBERS, 'T'}, {"Y", SUMI_NUMBERS}, {NULL}};
static const struct sumi_port out[] = {{"Z", SUMI_NUMBERS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3,17] x, float[17] y) => (z) { z = Pow (x, y) }", .rtol = 2e-7, .low = 0.1, .high = 3,
     .why = "powf is below 1 ulp"},
    {"g (float[3,17] x) => (z) <float two = {2}> { z = Pow (x, two) }", .why = "a square is rounded once"},
    {"g (float[3,17] x) => (z) <int64 three = {3}> { z = Pow (x, three) }", .rtol = 2e-7},
    {"g (float[3,1700] x) => (z) <float[1,1] nine = {9}> { z = Pow (x, nine) }", .rtol = 2e-6,
     .why = "four squares or products, each rounded"},
    {"g (float[3,17] x) => (z) <float sixteenth = {0.0625}> { z = Pow (x, sixteenth) }", .rtol = 2e-7,
     .low = 0, .high = 3},
    {"g (float[3,17] x) => (z) <float half = {-0.5}> { z = Pow (x, half) }", .rtol = 3e-7, .low = 0.1,
     .high = 3},
    {"g (float[3,17] x) => (z) <float minus = {-3}> { z = Pow (x, minus) }", .rtol = 3e-7, .low = 0.1,
     .high = 3},
    {"g (int32[3,17] x) => (z) <int32 six = {6}> { z = Pow (x, six) }", .low = -60, .high = 60,
     .why = "wraps"},
    {"g (int32[3,17] x, int32[17] y) => (z) { z = Pow (x, y) }", .low = -3, .high = 40,
     .why = "wraps; negative exponents"},
    {"<opset_import: [\"\": 5]> g (float[2,3,4] x, float[3] y) => (z) { z = Pow <axis = 1, broadcast = 1> "
     "(x, y) }",
     .rtol = 2e-7, .low = 0.1, .high = 3},
    {NULL},
};

const struct sumi_op sumi_op_pow = {
    .name = "Pow",
    .formula = "x ^ y",
    .known_as = {{"", "Pow", {1, 7, 12, 13, 15}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = pow_infer,
    .ref = pow_ref,
    .grad = sumi_pow_grad,
    .lower = sumi_power_lower,
    .cells = pow_cells,
    .cases = cases,
};

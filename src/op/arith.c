/* Add, Sub, Mul, Div: two inputs, NumPy broadcasting from version 7 on, attributes axis and broadcast
 * before. Integers wrap modulo 2^bits; Div truncates toward zero, and x / 0 is 0 for integers. float16 and
 * bfloat16 are computed in float32 and rounded once. */
#include "op/by_item.h"
#include "op/eltwise_lower.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

/* a / b where b may be 0 and the quotient may not fit: INT64_MIN / -1 wraps. */
static inline int64_t quotient_i64(int64_t a, int64_t b) {
  return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
static inline int32_t quotient_i32(int32_t a, int32_t b) {
  return b == 0 ? 0 : b == -1 ? (int32_t)(0 - (uint32_t)a) : a / b;
}
static inline uint64_t quotient_u64(uint64_t a, uint64_t b) { return b ? a / b : 0; }

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT, false, 7},
    {"broadcast", SUMI_ATTR_INT, false, 7},
    {"consumed_inputs", SUMI_ATTR_INTS, false, 6},
    {NULL},
};
static const struct sumi_port in[] = {{"A", SUMI_NUMBERS, 'T'}, {"B", SUMI_NUMBERS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"C", SUMI_NUMBERS, 'T'}, {NULL}};

static sumi_status infer(struct sumi_infer *ctx, enum sumi_dim_op op) {
  SUMI_TRY(sumi_infer_binary(ctx, sumi_infer_dtype(ctx, 0, 2)));
  return sumi_infer_content_of(ctx, op);
}

static sumi_status run(const struct sumi_call *c, const sumi_loop *loop, sumi_loop i32) {
  const struct sumi_tensor b = sumi_second_operand(c);
  struct sumi_map map = {.n_in = 2,
                         .in = {c->in[0], &b},
                         .out = c->out[0],
                         .lane = sumi_lane_of(c->out[0]->dtype),
                         .own = SUMI_INT32,
                         .own_loop = i32};
  map.loop = loop[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

/* ARITH(symbol, name, formula, operator on floats, expressions of int64_t, uint64_t and int32_t, operator on symbolic dims,
 * cases) */
#define ARITH(symbol, label, text, op, i64, u64, i32, dim_op, case_list)                              \
  SUMI_BINARY_LOOP(symbol##_f32, float, float, a op b)                                                \
  SUMI_BINARY_LOOP(symbol##_f64, double, double, a op b)                                              \
  SUMI_BINARY_LOOP(symbol##_i64, int64_t, int64_t, i64)                                               \
  SUMI_BINARY_LOOP(symbol##_u64, uint64_t, uint64_t, u64)                                             \
  SUMI_BINARY_LOOP(symbol##_i32, int32_t, int32_t, i32)                                               \
  static const sumi_loop symbol##_loops[] = {symbol##_f32, symbol##_f64, symbol##_i64, symbol##_u64}; \
  static sumi_status symbol##_infer(struct sumi_infer *ctx) { return infer(ctx, dim_op); }            \
  static sumi_status symbol##_ref(const struct sumi_call *c) {                                        \
    return run(c, symbol##_loops, symbol##_i32);                                                      \
  }                                                                                                   \
  static sumi_status symbol##_cells(struct sumi_cells *c) {                                           \
    return sumi_binary_cells(c, "a " #op " b", #i64);                                                 \
  }                                                                                                   \
  const struct sumi_op sumi_op_##symbol = {                                                           \
      .name = label,                                                                                  \
      .formula = text,                                                                                \
      .known_as = {{"", label, {1, 6, 7, 13, 14}}},                                                   \
      .attrs = attrs,                                                                                 \
      .in = in,                                                                                       \
      .out = out,                                                                                     \
      .flags = SUMI_OP_IN_PLACE,                                                                      \
      .infer = symbol##_infer,                                                                        \
      .by_item = sumi_by_item_elements,                                                               \
      .ref = symbol##_ref,                                                                            \
      .lower = sumi_binary_lower,                                                                     \
      .cells = symbol##_cells,                                                                        \
      .grad = sumi_##symbol##_grad,                                                                   \
      .cases = case_list,                                                                             \
  };

static const struct sumi_case add_cases[] = {
    {"g (float[2,3,17] x, float[2,3,17] y) => (z) { z = Add (x, y) }", .why = "one shape: exact"},
    {"g (float[2,5,3,7] x, float[5,1,1] y) => (z) { z = Add (x, y) }", .why = "per channel"},
    {"g (float[7] x, float[2,3,1] y) => (z) { z = Add (x, y) }", .why = "both are broadcast"},
    {"<opset_import: [\"\": 6]> g (float[2,3,4] x, float[3] y) => (z) { z = Add <axis = 1, broadcast = 1> "
     "(x, y) }"},
    {"g (float16[33] x, float16[1] y) => (z) { z = Add (x, y) }"},
    {"g (int8[9] x, int8[9] y) => (z) { z = Add (x, y) }", .low = -128, .high = 127, .why = "wraps"},
    {"g (int32[3,1,9] x) => (z) <int32[2,1] y = {2147483647, -2147483648}> { z = Add (x, y) }",
     .why = "wraps"},
    {NULL},
};
static const struct sumi_case sub_cases[] = {
    {"g (float[3,1,9] x, float[4,1] y) => (z) { z = Sub (x, y) }"},
    {"g (uint8[19] x, uint8[19] y) => (z) { z = Sub (x, y) }", .high = 255, .why = "wraps below zero"},
    {NULL},
};
static const struct sumi_case mul_cases[] = {
    {"g (float[2,3,5,5] x, float[2,3,1,1] y) => (z) { z = Mul (x, y) }", .why = "squeeze and excitation"},
    {"g (float x, float[11] y) => (z) { z = Mul (x, y) }", .why = "a scalar in front"},
    {NULL},
};
static const struct sumi_case div_cases[] = {
    {"g (float[4,6] x, float[6] y) => (z) { z = Div (x, y) }", .low = 0.5, .high = 2},
    {"g (int32[50] x, int32[50] y) => (z) { z = Div (x, y) }", .low = -9, .high = 9,
     .why = "signs and zeros"},
    {"g () => (z) <int32[4] x = {-2147483648, -2147483648, 7, -7}, int32[4] y = {-1, 0, -2, 2}> { z = Div "
     "(x, y) }",
     .why = "the quotient that does not fit wraps"},
    {NULL},
};

ARITH(add, "Add", "a + b", +, (int64_t)((uint64_t)a + (uint64_t)b), a + b,
      (int32_t)((uint32_t)a + (uint32_t)b), SUMI_DIM_ADD, add_cases)
ARITH(sub, "Sub", "a - b", -, (int64_t)((uint64_t)a - (uint64_t)b), a - b,
      (int32_t)((uint32_t)a - (uint32_t)b), SUMI_DIM_SUB, sub_cases)
ARITH(mul, "Mul", "a * b", *, (int64_t)((uint64_t)a *(uint64_t)b), a *b, (int32_t)((uint32_t)a *(uint32_t)b),
      SUMI_DIM_MUL, mul_cases)
ARITH(div, "Div", "a / b", /, quotient_i64(a, b), quotient_u64(a, b), quotient_i32(a, b), SUMI_DIM_DIV,
      div_cases)

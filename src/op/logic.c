/* And, Or, Xor, Not on bool, and BitwiseAnd, BitwiseOr, BitwiseXor, BitwiseNot, BitShift on integers. A
 * bool read from outside counts as true whatever its bits. */
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

static const struct sumi_attr_spec old_attrs[] = {
    {"axis", SUMI_ATTR_INT, false, 7}, {"broadcast", SUMI_ATTR_INT, false, 7}, {NULL}};
static const struct sumi_port bool_in[] = {
    {"A", SUMI_BIT(SUMI_BOOL), 'T'}, {"B", SUMI_BIT(SUMI_BOOL), 'T'}, {NULL}};
static const struct sumi_port bool_out[] = {{"C", SUMI_BIT(SUMI_BOOL), 'T'}, {NULL}};
static const struct sumi_port int_in[] = {{"A", SUMI_INTS, 'T'}, {"B", SUMI_INTS, 'T'}, {NULL}};
static const struct sumi_port int_out[] = {{"C", SUMI_INTS, 'T'}, {NULL}};

static sumi_status infer(struct sumi_infer *ctx) {
  return sumi_infer_binary(ctx, sumi_infer_dtype(ctx, 0, 2));
}

static sumi_status run(const struct sumi_call *c, sumi_loop loop, enum sumi_lane lane, sumi_loop bool_loop) {
  const struct sumi_tensor b = sumi_second_operand(c);
  const struct sumi_map map = {.n_in = 2,
                               .in = {c->in[0], &b},
                               .out = c->out[0],
                               .lane = lane,
                               .loop = loop,
                               .to_bool = b.dtype == SUMI_BOOL,
                               .own = bool_loop ? SUMI_BOOL : SUMI_UNDEFINED,
                               .own_loop = bool_loop};
  sumi_map_run(&map);
  return SUMI_OK;
}

SUMI_BINARY_LOOP(and_bytes, uint8_t, uint8_t, (a != 0) & (b != 0))
SUMI_BINARY_LOOP(or_bytes, uint8_t, uint8_t, (a | b) != 0)
SUMI_BINARY_LOOP(xor_bytes, uint8_t, uint8_t, (a != 0) ^ (b != 0))

/* BINARY(symbol, name, formula, versions, attributes, in, out, element type of the cases, expression, its
 * output type, the loop over bools as they lie) */
#define LIST(...) \
  { __VA_ARGS__ }
#define BINARY(symbol, label, text, versions, attr_list, in_ports, out_ports, type, expr, O, bytes)     \
  SUMI_BINARY_LOOP(symbol##_loop, uint64_t, O, expr)                                                    \
  static sumi_status symbol##_ref(const struct sumi_call *c) {                                          \
    return run(c, symbol##_loop, SUMI_LANE_U64, bytes);                                                 \
  }                                                                                                     \
  static sumi_status symbol##_cells(struct sumi_cells *c) { return sumi_binary_cells(c, NULL, #expr); } \
  static const struct sumi_case symbol##_cases[] = {                                                    \
      {"g (" type "[3,1,9] x, " type "[4,1] y) => (z) { z = " label " (x, y) }"}, {NULL}};              \
  const struct sumi_op sumi_op_##symbol = {                                                             \
      .name = label,                                                                                    \
      .formula = text,                                                                                  \
      .known_as = {{"", label, LIST versions}},                                                         \
      .attrs = attr_list,                                                                               \
      .in = in_ports,                                                                                   \
      .out = out_ports,                                                                                 \
      .flags = SUMI_OP_IN_PLACE,                                                                        \
      .infer = infer,                                                                                   \
      .ref = symbol##_ref,                                                                              \
      .cells = symbol##_cells,                                                                          \
      .cases = symbol##_cases,                                                                          \
  };

BINARY(and, "And", "a and b", (1, 7), old_attrs, bool_in, bool_out, "bool", a &&b, uint8_t, and_bytes)
BINARY(or, "Or", "a or b", (1, 7), old_attrs, bool_in, bool_out, "bool", a || b, uint8_t, or_bytes)
BINARY(xor, "Xor", "a differs from b", (1, 7), old_attrs, bool_in, bool_out, "bool", !a != !b, uint8_t,
       xor_bytes)
BINARY(bitwise_and, "BitwiseAnd", "a & b", (18), NULL, int_in, int_out, "int32", a &b, uint64_t, NULL)
BINARY(bitwise_or, "BitwiseOr", "a | b", (18), NULL, int_in, int_out, "uint8", a | b, uint64_t, NULL)
BINARY(bitwise_xor, "BitwiseXor", "a ^ b", (18), NULL, int_in, int_out, "int8", a ^ b, uint64_t, NULL)

/* ---- one input ----------------------------------------------------------------------------------------- */

SUMI_UNARY_LOOP(not_loop, uint64_t, uint8_t, !a)
SUMI_UNARY_LOOP(not_bytes, uint8_t, uint8_t, a == 0)
SUMI_UNARY_LOOP(bitwise_not_loop, uint64_t, uint64_t, ~a)

static sumi_status run_one(const struct sumi_call *c, sumi_loop loop, sumi_loop bool_loop) {
  const struct sumi_map map = {.n_in = 1,
                               .in = {c->in[0]},
                               .out = c->out[0],
                               .lane = SUMI_LANE_U64,
                               .loop = loop,
                               .to_bool = c->in[0]->dtype == SUMI_BOOL,
                               .own = bool_loop ? SUMI_BOOL : SUMI_UNDEFINED,
                               .own_loop = bool_loop};
  sumi_map_run(&map);
  return SUMI_OK;
}
static sumi_status not_cells(struct sumi_cells *c) {
  return sumi_eltwise_cells(c, &(const struct sumi_eltwise_formula){.whole = "!a"});
}
static sumi_status bitwise_not_cells(struct sumi_cells *c) {
  return sumi_eltwise_cells(c, &(const struct sumi_eltwise_formula){.whole = "~a"});
}

static sumi_status not_ref(const struct sumi_call *c) { return run_one(c, not_loop, not_bytes); }
static sumi_status bitwise_not_ref(const struct sumi_call *c) { return run_one(c, bitwise_not_loop, NULL); }

static const struct sumi_case not_cases[] = {{"g (bool[3,9] x) => (y) { y = Not (x) }"}, {NULL}};
static const struct sumi_case bitwise_not_cases[] = {{"g (int16[3,9] x) => (y) { y = BitwiseNot (x) }"},
                                                     {"g (int8[3,9] x) => (y) { y = BitwiseNot (x) }"},
                                                     {NULL}};

const struct sumi_op sumi_op_not = {
    .name = "Not",
    .formula = "not x",
    .known_as = {{"", "Not", {1}}},
    .in = bool_in + 1,
    .out = bool_out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = sumi_infer_same,
    .ref = not_ref,
    .cells = not_cells,
    .cases = not_cases,
};

const struct sumi_op sumi_op_bitwise_not = {
    .name = "BitwiseNot",
    .formula = "~x",
    .known_as = {{"", "BitwiseNot", {18}}},
    .in = int_in + 1,
    .out = int_out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = sumi_infer_same,
    .ref = bitwise_not_ref,
    .cells = bitwise_not_cells,
    .cases = bitwise_not_cases,
};

/* BitShift: vacated bits are the sign (0 for unsigned types); shifts beyond the width leave only those. */

SUMI_BINARY_LOOP(left_loop, uint64_t, uint64_t, b < 64 ? a << b : 0)
SUMI_BINARY_LOOP(right_i64_loop, int64_t, int64_t, b >= 0 && b < 64 ? a >> b : a < 0 ? -1 : 0)
SUMI_BINARY_LOOP(right_u64_loop, uint64_t, uint64_t, b < 64 ? a >> b : 0)

static sumi_status bit_shift_infer(struct sumi_infer *ctx) {
  const char *direction = sumi_attr_string(ctx->node, "direction", "");
  if (!sumi_streq(direction, "LEFT") && !sumi_streq(direction, "RIGHT"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "direction is '%s'", direction);
  return infer(ctx);
}

static sumi_status bit_shift_ref(const struct sumi_call *c) {
  if (sumi_attr_is(c->node, "direction", "", "LEFT")) return run(c, left_loop, SUMI_LANE_U64, NULL);
  const enum sumi_lane lane = sumi_lane_of(c->in[0]->dtype);
  return run(c, lane == SUMI_LANE_I64 ? right_i64_loop : right_u64_loop, lane, NULL);
}

static const struct sumi_attr_spec bit_shift_attrs[] = {{"direction", SUMI_ATTR_STRING, true}, {NULL}};
static const struct sumi_case bit_shift_cases[] = {
    {"g (uint8[3,9] x, uint8[9] y) => (z) { z = BitShift <direction = \"LEFT\"> (x, y) }", .high = 255,
     .why = "also beyond the width"},
    {"g (uint32[3,9] x, uint32[9] y) => (z) { z = BitShift <direction = \"RIGHT\"> (x, y) }", .high = 40},
    {NULL},
};

const struct sumi_op sumi_op_bit_shift = {
    .name = "BitShift",
    .formula = "a << b or a >> b",
    .known_as = {{"", "BitShift", {11, 28}}},
    .attrs = bit_shift_attrs,
    .in = int_in,
    .out = int_out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = bit_shift_infer,
    .ref = bit_shift_ref,
    .cases = bit_shift_cases,
};

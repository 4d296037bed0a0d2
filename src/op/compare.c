/* Equal, Greater, GreaterOrEqual, Less, LessOrEqual: bool[i] = a[i] ? b[i], broadcast as arith.c does. A
 * NaN is neither equal, less nor greater; strings compare equal byte by byte. */
#include <string.h>

#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

static const struct sumi_attr_spec old_attrs[] = {
    {"axis", SUMI_ATTR_INT, false, 7}, {"broadcast", SUMI_ATTR_INT, false, 7}, {NULL}};
static const struct sumi_port out[] = {{"C", SUMI_BIT(SUMI_BOOL)}, {NULL}};

static sumi_status infer(struct sumi_infer *ctx) { return sumi_infer_binary(ctx, SUMI_BOOL); }

/* Dims are never negative: a symbol differs from every negative number, and equals itself. */
static sumi_status equal_infer(struct sumi_infer *ctx) {
  SUMI_TRY(infer(ctx));
  const struct sumi_info *a = &ctx->in[0], *b = &ctx->in[1];
  const int na = sumi_content_count(a), nb = sumi_content_count(b);
  if (na <= 0 || nb <= 0 || (na != nb && na != 1 && nb != 1)) return SUMI_OK;
  sumi_dim content[SUMI_MAX_RANK];
  const int n = na == 1 ? nb : na;
  for (int i = 0; i < n; i++) {
    const sumi_dim x = sumi_content_at(a, i), y = sumi_content_at(b, i);
    const bool x_negative = a->data && x < 0,
               y_negative = b->data && y < 0; /* of data only: what is not representable */
    if (x_negative && y_negative)
      return SUMI_OK; /* both are data: computed, not inferred */
    else if ((x_negative && y != SUMI_DIM_UNKNOWN) || (y_negative && x != SUMI_DIM_UNKNOWN))
      content[i] = 0;
    else if (x == SUMI_DIM_UNKNOWN || y == SUMI_DIM_UNKNOWN || (x != y && (x < 0 || y < 0)))
      content[i] = SUMI_DIM_UNKNOWN;
    else
      content[i] = x == y;
  }
  return sumi_infer_content(ctx, 0, content, n);
}

static sumi_status run(const struct sumi_call *c, const sumi_loop *loop) {
  const struct sumi_tensor b = sumi_second_operand(c);
  struct sumi_map map = {
      .n_in = 2, .in = {c->in[0], &b}, .out = c->out[0], .lane = sumi_lane_of(b.dtype), .to_bool = true};
  map.loop = loop[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

static void run_strings(const struct sumi_call *c) {
  struct sumi_bcast b;
  const struct sumi_tensor second = sumi_second_operand(c), *t[] = {c->in[0], &second};
  sumi_bcast_init(&b, c->out[0]->rank, c->out[0]->dim, t, 2);
  const struct sumi_str *p = c->in[0]->data, *q = c->in[1]->data;
  const int64_t n = b.dim[b.rank - 1], step_p = b.stride[0][b.rank - 1], step_q = b.stride[1][b.rank - 1];
  uint8_t *y = c->out[0]->data;
  for (struct sumi_walk w = sumi_bcast_rows(&b); !w.done; sumi_walk_next(&w))
    for (int64_t i = 0; i < n; i++) {
      const struct sumi_str u = p[w.offset[0] + i * step_p], v = q[w.offset[1] + i * step_q];
      *y++ = u.size == v.size && (!u.size || !memcmp(u.data, v.data, u.size));
    }
}

/* COMPARE(symbol, name, operator, versions, types, attributes, infer) */
#define LIST(...) \
  { __VA_ARGS__ }
#define COMPARE(symbol, label, op, versions, types, attr_list, infer_fn, ref_fn)                      \
  SUMI_BINARY_LOOP(symbol##_f32, float, uint8_t, a op b)                                              \
  SUMI_BINARY_LOOP(symbol##_f64, double, uint8_t, a op b)                                             \
  SUMI_BINARY_LOOP(symbol##_i64, int64_t, uint8_t, a op b)                                            \
  SUMI_BINARY_LOOP(symbol##_u64, uint64_t, uint8_t, a op b)                                           \
  static const sumi_loop symbol##_loops[] = {symbol##_f32, symbol##_f64, symbol##_i64, symbol##_u64}; \
  static sumi_status symbol##_ref(const struct sumi_call *c) { ref_fn(c, symbol##_loops); }           \
  static sumi_status symbol##_cells(struct sumi_cells *c) {                                           \
    return sumi_binary_cells(c, "a " #op " b", "a " #op " b");                                        \
  }                                                                                                   \
  static const struct sumi_port symbol##_in[] = {{"A", types, 'T'}, {"B", types, 'T'}, {NULL}};       \
  static const struct sumi_case symbol##_cases[] = {                                                  \
      {"g (int32[3,1,9] x, int32[4,1] y) => (z) { z = " label " (x, y) }"},                           \
      {"g (float[2,33] x, float[33] y) => (z) { z = " label " (x, y) }"},                             \
      {NULL},                                                                                         \
  };                                                                                                  \
  const struct sumi_op sumi_op_##symbol = {                                                           \
      .name = label,                                                                                  \
      .formula = "a " #op " b",                                                                       \
      .known_as = {{"", label, LIST versions}},                                                       \
      .attrs = attr_list,                                                                             \
      .in = symbol##_in,                                                                              \
      .out = out,                                                                                     \
      .infer = infer_fn,                                                                              \
      .ref = symbol##_ref,                                                                            \
      .cells = symbol##_cells,                                                                        \
      .cases = symbol##_cases,                                                                        \
  };

#define NUMBERS_ONLY(c, loops) return run(c, loops)
#define OR_STRINGS(c, loops)                                  \
  if ((c)->in[0]->dtype != SUMI_STRING) return run(c, loops); \
  run_strings(c);                                             \
  return SUMI_OK

COMPARE(equal, "Equal", ==, (1, 7, 11, 13, 19), SUMI_NUMBERS | SUMI_BIT(SUMI_BOOL) | SUMI_BIT(SUMI_STRING),
        old_attrs, equal_infer, OR_STRINGS)
COMPARE(greater, "Greater", >, (1, 7, 9, 13), SUMI_NUMBERS, old_attrs, infer, NUMBERS_ONLY)
COMPARE(less, "Less", <, (1, 7, 9, 13), SUMI_NUMBERS, old_attrs, infer, NUMBERS_ONLY)
COMPARE(greater_or_equal, "GreaterOrEqual", >=, (12, 16), SUMI_NUMBERS, NULL, infer, NUMBERS_ONLY)
COMPARE(less_or_equal, "LessOrEqual", <=, (12, 16), SUMI_NUMBERS, NULL, infer, NUMBERS_ONLY)

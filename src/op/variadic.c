/* Min, Max, Sum, Mean: any number of inputs of one type, broadcast together, combined from the first to the
 * last. A NaN anywhere gives a NaN. float16 and bfloat16 are rounded after each combination, as in NumPy. */
#include "base/size.h"
#include "op/grad.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

static sumi_status infer(struct sumi_infer *ctx) {
  if (ctx->n_in < 1) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are no inputs");
  for (int i = 0; i < ctx->n_in; i++)
    if (!sumi_infer_has(ctx, i)) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is left out", i);
  return sumi_infer_broadcast(ctx, 0, 0, ctx->n_in, sumi_infer_dtype(ctx, 0, ctx->n_in));
}

static sumi_status min_infer(struct sumi_infer *ctx) {
  SUMI_TRY(infer(ctx));
  return ctx->n_in == 2 ? sumi_infer_content_of(ctx, SUMI_DIM_MIN) : SUMI_OK;
}

static sumi_status max_infer(struct sumi_infer *ctx) {
  SUMI_TRY(infer(ctx));
  return ctx->n_in == 2 ? sumi_infer_content_of(ctx, SUMI_DIM_MAX) : SUMI_OK;
}

/* With one input it is combined with nothing: copied. */
static void run(const struct sumi_call *c, const sumi_loop *loop) {
  const struct sumi_tensor *y = c->out[0];
  if (c->n_in == 1) sumi_copy(y->dtype, y->data, 0, c->in[0]->data, 0, sumi_tensor_count(y));
  for (int i = 1; i < c->n_in; i++) {
    struct sumi_map map = {
        .n_in = 2, .in = {i == 1 ? c->in[0] : y, c->in[i]}, .out = y, .lane = sumi_lane_of(y->dtype)};
    map.loop = loop[map.lane];
    sumi_map_run(&map);
  }
}

/* The order of the comparison lets a NaN on either side through: b when the comparison fails, a when a is a
 * NaN. */
#define LOOPS(symbol, f, i)                             \
  SUMI_BINARY_LOOP(symbol##_f32, float, float, f)       \
  SUMI_BINARY_LOOP(symbol##_f64, double, double, f)     \
  SUMI_BINARY_LOOP(symbol##_i64, int64_t, int64_t, i)   \
  SUMI_BINARY_LOOP(symbol##_u64, uint64_t, uint64_t, i) \
  static const sumi_loop symbol##_loops[] = {symbol##_f32, symbol##_f64, symbol##_i64, symbol##_u64};

LOOPS(min, ((a < b) | (a != a)) ? a : b, a < b ? a : b)
LOOPS(max, ((a > b) | (a != a)) ? a : b, a > b ? a : b)

SUMI_BINARY_LOOP(sum_f32, float, float, a + b)
SUMI_BINARY_LOOP(sum_f64, double, double, a + b)
SUMI_BINARY_LOOP(divide_f32, float, float, a / b)
SUMI_BINARY_LOOP(divide_f64, double, double, a / b)
static const sumi_loop sum_loops[] = {sum_f32, sum_f64, NULL, NULL},
                       divide_loops[] = {divide_f32, divide_f64, NULL, NULL};

/* Inputs [first, first + n) after `before` (-1: nothing) into operand to; last: a formula of the result. */
static sumi_status add_cell(struct sumi_cells *c, int to, int before, int first, int n, const char *formula,
                            const char *last) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over(&p, to, 0);
  const bool real = sumi_dtype_is_float(c->operand[to].dtype);
  int v = before < 0 ? -1 : sumi_vector_load(&p, sumi_vector_view(&p, before));
  for (int i = first; i < first + n; i++) {
    const int x = sumi_vector_load(&p, sumi_vector_view(&p, i));
    v = before < 0 && i == first ? x : SUMI_VECTOR(&p, formula, v, x);
  }
  if (last) v = SUMI_VECTOR(&p, last, v, sumi_vector_float(&p, (float)c->n_in));
  if (real)
    sumi_vector_store(&p, sumi_vector_view(&p, to), v);
  else
    sumi_vector_store_wrapped(&p, sumi_vector_view(&p, to), v);
  return sumi_vector_end(&p);
}

/* Three operands a cell, through temporaries; bfloat16 is rounded after each combination. */
static sumi_status run_cells(struct sumi_cells *c, const char *formula, const char *last) {
  const int y = sumi_cells_out(c, 0), n = c->n_in;
  const bool each = c->operand[y].dtype == SUMI_BFLOAT16;
  for (int i = n - 1; i >= 0; i--) sumi_cells_same_form(c, y, i);
  int before = -1;
  for (int at = 0; at < n;) {
    const int some = SUMI_MIN((each ? 1 : 2) + (before < 0), n - at);
    const bool end = at + some == n && !(each && last);
    int to = y;
    if (!end) {
      to = sumi_cells_temp(c, c->operand[y].dtype, c->operand[y].rank, c->operand[y].dim);
      if (to < 0) return SUMI_E_MEMORY;
      sumi_cells_same_form(c, to, y);
    }
    SUMI_TRY(add_cell(c, to, before, at, some, formula, end ? last : NULL));
    at += some;
    before = to;
  }
  return before == y ? SUMI_OK : add_cell(c, y, before, 0, 0, formula, last);
}

static sumi_status min_cells(struct sumi_cells *c) {
  const bool real = sumi_dtype_is_float(c->in[0]->dtype);
  return run_cells(c, real ? "((a < b) | (a != a)) ? a : b" : "a < b ? a : b", NULL);
}
static sumi_status max_cells(struct sumi_cells *c) {
  const bool real = sumi_dtype_is_float(c->in[0]->dtype);
  return run_cells(c, real ? "((a > b) | (a != a)) ? a : b" : "a > b ? a : b", NULL);
}
static sumi_status sum_cells(struct sumi_cells *c) { return run_cells(c, "a + b", NULL); }
static sumi_status mean_cells(struct sumi_cells *c) { return run_cells(c, "a + b", "a / b"); }

static sumi_status min_ref(const struct sumi_call *c) {
  run(c, min_loops);
  return SUMI_OK;
}

static sumi_status max_ref(const struct sumi_call *c) {
  run(c, max_loops);
  return SUMI_OK;
}

static sumi_status sum_ref(const struct sumi_call *c) {
  run(c, sum_loops);
  return SUMI_OK;
}

static sumi_status mean_ref(const struct sumi_call *c) {
  run(c, sum_loops);
  double count = c->n_in;
  const struct sumi_tensor *y = c->out[0], n = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT64, .data = &count};
  struct sumi_map map = {.n_in = 2, .in = {y, &n}, .out = y, .lane = sumi_lane_of(y->dtype)};
  map.loop = divide_loops[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"consumed_inputs", SUMI_ATTR_INTS, false, 6}, {NULL}};
static const struct sumi_port number_in[] = {{"data_0", SUMI_NUMBERS, 'T', SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port number_out[] = {{"result", SUMI_NUMBERS, 'T'}, {NULL}};
static const struct sumi_port float_in[] = {{"data_0", SUMI_FLOATS, 'T', SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port float_out[] = {{"result", SUMI_FLOATS, 'T'}, {NULL}};

#define LIST(...) \
  { __VA_ARGS__ }
#define VARIADIC(symbol, label, text, versions, in_ports, out_ports, infer_fn, rule)                       \
  static const struct sumi_case symbol##_cases[] = {                                                       \
      {"g (float[2,3,9] x, float[3,1] y, float[9] z) => (r) { r = " label " (x, y, z) }"},                 \
      {"g (float[1,9] x, float[1] y, float[4,1] z) => (r) { r = " label " (x, y, z) }",                    \
       .why = "the last input widens"},                                                                    \
      {"g (float16[17] x, float16[17] y) => (r) { r = " label " (x, y) }"},                                \
      {"g (float[17] x) => (r) { r = " label " (x) }"},                                                    \
      {"g (float[3,5] x, float[5] y, float z, float[3,1] u, float[3,5] v, float[5] w) => (r) { r = " label \
       " (x, y, z, u, v, w) }"},                                                                           \
      {"g (bfloat16[3,5] x, bfloat16[5] y, bfloat16[3,1] z) => (r) { r = " label " (x, y, z) }",           \
       .why = "rounded each time"},                                                                        \
      {NULL},                                                                                              \
  };                                                                                                       \
  const struct sumi_op sumi_op_##symbol = {                                                                \
      .name = label,                                                                                       \
      .formula = text,                                                                                     \
      .known_as = {{"", label, LIST versions}},                                                            \
      .attrs = attrs,                                                                                      \
      .in = in_ports,                                                                                      \
      .out = out_ports,                                                                                    \
      .infer = infer_fn,                                                                                   \
      .ref = symbol##_ref,                                                                                 \
      .cells = symbol##_cells,                                                                             \
      .grad = rule,                                                                                        \
      .cases = symbol##_cases,                                                                             \
  };

VARIADIC(min, "Min", "min(x0, x1, ...)", (1, 6, 8, 12, 13), number_in, number_out, min_infer, NULL)
VARIADIC(max, "Max", "max(x0, x1, ...)", (1, 6, 8, 12, 13), number_in, number_out, max_infer, NULL)
VARIADIC(sum, "Sum", "x0 + x1 + ...", (1, 6, 8, 13), float_in, float_out, infer, sumi_sum_grad)
VARIADIC(mean, "Mean", "(x0 + x1 + ...) / n", (1, 6, 8, 13), float_in, float_out, infer, NULL)

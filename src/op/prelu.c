/* PRelu: y = x < 0 ? slope * x : x. From version 7 on slope broadcasts to x; before, it has one entry or
 * one for each channel (dimension 1 of x). */
#include <inttypes.h>

#include "op/by_item.h"
#include "op/eltwise_lower.h"
#include "op/lane.h"
#include "op/ops.h"
#include "op/vector_cells.h"

SUMI_BINARY_LOOP(prelu_f32, float, float, a < 0 ? a * b : a)
SUMI_BINARY_LOOP(prelu_f64, double, double, a < 0 ? a * b : a)
SUMI_BINARY_LOOP(prelu_i64, int64_t, int64_t, a < 0 ? (int64_t)((uint64_t)a * (uint64_t)b) : a)
SUMI_BINARY_LOOP(prelu_u64, uint64_t, uint64_t, a + 0 * b)

/* The dimension of x that dimension i of slope lies on; -1 = before the first. */
static int place(const struct sumi_node *node, int rank, int slope_rank, int i) {
  return node->version < 7 && slope_rank == 1 && rank > 1 ? 1 : i + rank - slope_rank;
}

static sumi_status prelu_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *slope = &ctx->in[1];
  for (int i = 0; x->rank >= 0 && i < slope->rank; i++) {
    const int at = place(ctx->node, x->rank, slope->rank, i);
    if (slope->dim[i] < 0 || slope->dim[i] == 1 ||
        (at >= 0 && (x->dim[at] < 0 || x->dim[at] == slope->dim[i])))
      continue;
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
              "dimension %d of slope is %" PRId64 ", which does not broadcast to the input", i,
              slope->dim[i]);
  }
  if (x->rank >= 0 && slope->rank > x->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "slope's rank %d passes the input's %d", slope->rank, x->rank);
  return sumi_infer_same(ctx);
}

static sumi_status prelu_ref(const struct sumi_call *c) {
  static const sumi_loop loop[] = {prelu_f32, prelu_f64, prelu_i64, prelu_u64};
  const struct sumi_tensor *x = c->in[0];
  struct sumi_tensor slope = *c->in[1];
  slope.rank = x->rank;
  for (int i = 0; i < x->rank; i++) slope.dim[i] = 1;
  for (int i = 0; i < c->in[1]->rank; i++)
    slope.dim[place(c->node, x->rank, c->in[1]->rank, i)] = c->in[1]->dim[i];
  struct sumi_map map = {.n_in = 2, .in = {x, &slope}, .out = c->out[0], .lane = sumi_lane_of(x->dtype)};
  map.loop = loop[map.lane];
  sumi_map_run(&map);
  return SUMI_OK;
}

static sumi_status prelu_cells(struct sumi_cells *c) {
  const int rank = c->in[1]->rank, first = rank ? place(c->node, c->in[0]->rank, rank, 0) : 0;
  return sumi_eltwise_cells(
      c, &(const struct sumi_eltwise_formula){
             .real = "a < 0 ? a * b : a", .whole = "a < 0 ? a * b : a", .second = first + 1});
}

#define TYPES (SUMI_FLOATS | SUMI_INDICES | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT64))
static const struct sumi_attr_spec attrs[] = {{"consumed_inputs", SUMI_ATTR_INTS, false, 6}, {NULL}};
static const struct sumi_port in[] = {{"X", TYPES, 'T'}, {"slope", TYPES, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", TYPES, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,5,7] x, float[3,1,1] slope) => (y) { y = PRelu (x, slope) }"},
    {"<opset_import: [\"\": 6]> g (float[2,3,5,7] x, float[3] slope) => (y) { y = PRelu (x, slope) }",
     .why = "channels"},
    {NULL},
};

const struct sumi_op sumi_op_prelu = {
    .name = "PRelu",
    .formula = "x < 0 ? slope x : x",
    .known_as = {{"", "PRelu", {1, 6, 7, 9, 16}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = prelu_infer,
    .by_item = sumi_by_item_elements,
    .ref = prelu_ref,
    .lower = sumi_binary_lower,
    .cells = prelu_cells,
    .cases = cases,
};

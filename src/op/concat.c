/* Concat: the inputs one after the other along axis (required from version 4; 1 in version 1). */
#include <inttypes.h>

#include "op/by_item.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"
#include "op/qeltwise_lower.h"

/* Dims other than the axis must agree; what one input knows holds for all. */
static sumi_status join_dim(struct sumi_infer *ctx, int input, int i, sumi_dim *dim) {
  const sumi_dim d = ctx->in[input].dim[i];
  if (*dim >= 0 && d >= 0 && *dim != d)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
              "dimension %d is %" PRId64 " in input 0 or after it and %" PRId64 " in input %d", i, *dim, d,
              input);
  if (d >= 0 || *dim == SUMI_DIM_UNKNOWN) *dim = d;
  return SUMI_OK;
}

/* Lists of integers joined: the elements that are known, unknown ones between them. */
static sumi_status join_contents(struct sumi_infer *ctx) {
  sumi_dim content[SUMI_MAX_RANK];
  int n = 0;
  bool any = false;
  for (int k = 0; k < ctx->n_in; k++) {
    const struct sumi_info *in = &ctx->in[k];
    const int64_t *v;
    int m;
    if (in->rank != 1 || in->dim[0] < 0 || in->dim[0] > SUMI_MAX_RANK - n) return SUMI_OK;
    SUMI_TRY(sumi_infer_ints(ctx, k, &v, &m));
    any |= m > 0;
    for (int i = 0; i < in->dim[0]; i++)
      content[n++] = m < 0 ? SUMI_DIM_UNKNOWN : sumi_op_dim(v[i], in->data);
  }
  return any ? sumi_infer_content(ctx, 0, content, n) : SUMI_OK;
}

static sumi_status concat_infer(struct sumi_infer *ctx) {
  if (ctx->node->version >= 4 && !sumi_node_attr(ctx->node, "axis"))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there is no axis");
  if (ctx->n_in < 1) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are no inputs");
  const int64_t wanted = sumi_attr_int(ctx->node, "axis", 1);
  int rank = -1, axis = 0;
  bool all = true;
  for (int k = 0; k < ctx->n_in; k++) {
    const int r = ctx->in[k].rank;
    if (ctx->in[k].absent) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is missing", k);
    all &= r >= 0;
    if (rank >= 0 && r >= 0 && r != rank)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not %d", k, r, rank);
    if (r >= 0) rank = r;
  }
  sumi_dim dim[SUMI_MAX_RANK];
  if (rank >= 0) {
    SUMI_TRY(sumi_axis(wanted, rank, &axis, ctx->err));
    for (int i = 0; i < rank; i++) dim[i] = SUMI_DIM_UNKNOWN;
    sumi_dim sum = all ? 0 : SUMI_DIM_UNKNOWN;
    for (int k = 0; k < ctx->n_in; k++) {
      if (ctx->in[k].rank < 0) continue;
      sum = sumi_dim_add(ctx->symbols, sum, ctx->in[k].dim[axis]);
      for (int i = 0; i < rank; i++)
        if (i != axis) SUMI_TRY(join_dim(ctx, k, i, &dim[i]));
    }
    dim[axis] = sum;
  }
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, rank, dim);
  return rank == 1 && sumi_dtype_in(ctx->in[0].dtype, SUMI_INDICES) ? join_contents(ctx) : SUMI_OK;
}

static sumi_status concat_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *y = c->out[0];
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 1), y->rank, &axis, c->err));
  int64_t to[SUMI_MAX_RANK], from[SUMI_MAX_RANK], at = 0;
  sumi_moves_out(m, 0, to);
  for (int k = 0; k < c->n_in; k++) {
    sumi_moves_in(m, k, from);
    SUMI_TRY(sumi_moves_add(m, y->rank, c->in[k]->dim, 0, at, to, k, 0, from));
    at += c->in[k]->dim[axis] * to[axis];
  }
  return SUMI_OK;
}

static sumi_status concat_ref(const struct sumi_call *c) { return sumi_moves_run(c, concat_moves); }
static sumi_status concat_lower(struct sumi_lower *l) {
  return sumi_concat_in_lanes(l) ? sumi_concat_lower(l) : sumi_moves_lower(l, concat_moves, l->n_in);
}
static sumi_status concat_cells(struct sumi_cells *c) { return sumi_moves_cells(c, concat_moves, c->n_in); }

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"inputs", SUMI_ANY, 'T', SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port out[] = {{"concat_result", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3] x, float[2,5] y, float[2,1] z) => (w) { w = Concat <axis = 1> (x, y, z) }"},
    {"g (float[2,3,4] x, float[2,0,4] y, float[2,2,4] z) => (w) { w = Concat <axis = -2> (x, y, z) }",
     .why = "an empty input"},
    {"g (int64[3] x, int64[1] y) => (w) { w = Concat <axis = 0> (x, y) }"},
    {"<opset_import: [\"\": 1]> g (float[2,3] x, float[2,5] y) => (w) { w = Concat (x, y) }",
     .why = "axis 1 by default"},
    {"g (float[2,8,3,5] a, float[2,5,3,5] b) => (y) <float s = {0.25}, int8 z = {7}> { p = QuantizeLinear "
     "(a, s, z) q = "
     "QuantizeLinear (b, s, z) c = Concat <axis = 1> (p, q) y = DequantizeLinear (c, s, z) }",
     .low = -40, .high = 40, .why = "images in lanes"},
    {"g (float[7,4] a, float[7,8] b) => (y) <float s = {0.25}, uint8 z = {7}> { p = QuantizeLinear (a, s, z) "
     "q = "
     "QuantizeLinear (b, s, z) c = Concat <axis = -1> (p, q) y = DequantizeLinear (c, s, z) }",
     .low = -40, .high = 40, .why = "tokens in lanes"},
    {NULL},
};

const struct sumi_op sumi_op_concat = {
    .name = "Concat",
    .formula = "inputs one after the other along axis",
    .known_as = {{"", "Concat", {1, 4, 11, 13}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = concat_infer,
    .by_item = sumi_by_item_elements,
    .flags = SUMI_OP_MOVES,
    .ref = concat_ref,
    .lower = concat_lower,
    .cells = concat_cells,
    .lanes = sumi_concat_lanes,
    .grad = sumi_concat_grad,
    .cases = cases,
};

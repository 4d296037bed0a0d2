/* Expand: broadcast of the input with the shape that the second input lists, both ways as NumPy does.
 * Tile: the input repeated repeats[i] times along axis i; version 1 repeats it `tiles` times along one
 * `axis`. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"

/* a dim of the input against what the list wants. */
static sumi_status join(struct sumi_infer *ctx, sumi_dim have, sumi_dim want, sumi_dim *dim) {
  if (have == 1 || want == have)
    *dim = want;
  else if (want == 1)
    *dim = have;
  else if (have >= 0 && want >= 0)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a dimension of %" PRId64 " does not broadcast with %" PRId64, have,
              want);
  else
    *dim = have >= 0 ? have : want >= 0 ? want : SUMI_DIM_UNKNOWN; /* the symbol is the number or 1 */
  return SUMI_OK;
}

/* One integer repeated. */
static sumi_status expand_contents(struct sumi_infer *ctx, const sumi_dim *dim, int rank) {
  const int64_t *v;
  int n;
  if (rank > 1 || (rank == 1 && (dim[0] < 0 || dim[0] > SUMI_MAX_RANK)) || ctx->in[0].rank > 1)
    return SUMI_OK;
  if (!sumi_dtype_in(ctx->in[0].dtype, SUMI_INDICES)) return SUMI_OK;
  SUMI_TRY(sumi_infer_ints(ctx, 0, &v, &n));
  if (n < 1) return SUMI_OK;
  const int count = rank ? (int)dim[0] : 1;
  sumi_dim content[SUMI_MAX_RANK];
  for (int i = 0; i < count; i++) content[i] = sumi_op_dim(v[n == 1 ? 0 : i], ctx->in[0].data);
  return sumi_infer_content(ctx, 0, content, count);
}

static sumi_status expand_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  const int64_t *list;
  int n, length;
  SUMI_TRY(sumi_op_list_length(ctx, 1, &length));
  SUMI_TRY(sumi_infer_ints(ctx, 1, &list, &n));
  if (in->rank < 0 || length < 0) {
    sumi_infer_out_unknown(ctx, 0, in->dtype);
    return SUMI_OK;
  }
  const int rank = SUMI_MAX(in->rank, length);
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) {
    const int a = i - (rank - in->rank), b = i - (rank - length);
    const sumi_dim have = a < 0 ? 1 : in->dim[a], want = b < 0 ? 1 : n < 0 ? SUMI_DIM_UNKNOWN : list[b];
    if (n >= 0 && b >= 0 && ctx->in[1].data && want < 0)
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "shape[%d] is %" PRId64, b, want);
    SUMI_TRY(join(ctx, have, want, &dim[i]));
  }
  sumi_infer_out(ctx, 0, in->dtype, rank, dim);
  return expand_contents(ctx, dim, rank);
}

static sumi_status expand_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int64_t from[SUMI_MAX_RANK], to[SUMI_MAX_RANK];
  int64_t own[SUMI_MAX_RANK];
  sumi_moves_in(m, 0, own);
  sumi_moves_out(m, 0, to);
  for (int i = 0; i < y->rank; i++) {
    const int k = i - (y->rank - x->rank);
    from[i] = k < 0 || x->dim[k] == 1 ? 0 : own[k];
  }
  return sumi_moves_add(m, y->rank, y->dim, 0, 0, to, 0, 0, from);
}

static sumi_status expand_ref(const struct sumi_call *c) { return sumi_moves_run(c, expand_moves); }
static sumi_status expand_lower(struct sumi_lower *l) { return sumi_moves_lower(l, expand_moves, 2); }
static sumi_status expand_cells(struct sumi_cells *c) { return sumi_moves_cells(c, expand_moves, 2); }

/* ---- Tile ---------------------------------------------------------------------------------------------- */

static sumi_status tile_dim(struct sumi_infer *ctx, sumi_dim *dim, int64_t times, bool exact) {
  if (exact && times < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "repeats %" PRId64 " times", times);
  *dim = sumi_dim_mul(ctx->symbols, *dim, times);
  return SUMI_OK;
}

/* Version 1: tiles and axis are scalars of the data's type. */
static sumi_status tile_1_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  bool know_tiles, know_axis;
  int64_t tiles, axis;
  int a;
  if (!sumi_infer_has(ctx, 2)) SUMI_FAIL(ctx->err, SUMI_E_ARG, "there is no axis");
  SUMI_TRY(sumi_op_scalar(ctx, 1, &know_tiles, &tiles));
  SUMI_TRY(sumi_op_scalar(ctx, 2, &know_axis, &axis));
  sumi_infer_out_like(ctx, 0, in, SUMI_UNDEFINED);
  if (in->rank < 0 || ctx->out[0].absent) return SUMI_OK;
  for (int i = 0; i < in->rank && !know_axis; i++) ctx->out[0].dim[i] = SUMI_DIM_UNKNOWN;
  if (!know_axis) return SUMI_OK;
  SUMI_TRY(sumi_axis(axis, in->rank, &a, ctx->err));
  return tile_dim(ctx, &ctx->out[0].dim[a], know_tiles ? tiles : SUMI_DIM_UNKNOWN, know_tiles);
}

static sumi_status tile_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  if (ctx->node->version < 6) return tile_1_infer(ctx);
  const int64_t *list;
  int n, length;
  SUMI_TRY(sumi_op_list_length(ctx, 1, &length));
  SUMI_TRY(sumi_infer_ints(ctx, 1, &list, &n));
  const int rank = in->rank >= 0 ? in->rank : length;
  if (in->rank >= 0 && length >= 0 && in->rank != length)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%d repeats for rank %d", length, in->rank);
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) {
    dim[i] = in->rank >= 0 ? in->dim[i] : SUMI_DIM_UNKNOWN;
    SUMI_TRY(tile_dim(ctx, &dim[i], n < 0 ? SUMI_DIM_UNKNOWN : list[i], n >= 0 && ctx->in[1].data));
  }
  sumi_infer_out(ctx, 0, in->dtype, rank, dim);
  return SUMI_OK;
}

static sumi_status tile_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int64_t own[SUMI_MAX_RANK], wide[SUMI_MAX_RANK];
  sumi_moves_in(m, 0, own);
  sumi_moves_out(m, 0, wide);
  int64_t dim[SUMI_MOVE_RANK], from[SUMI_MOVE_RANK], to[SUMI_MOVE_RANK];
  for (int i = 0; i < x->rank; i++) { /* y's dim i is [times, x's dim i] */
    dim[2 * i] = x->dim[i] ? y->dim[i] / x->dim[i] : 0;
    from[2 * i] = 0;
    to[2 * i] = wide[i] * x->dim[i];
    dim[2 * i + 1] = x->dim[i];
    from[2 * i + 1] = own[i];
    to[2 * i + 1] = wide[i];
  }
  return sumi_moves_add(m, 2 * x->rank, dim, 0, 0, to, 0, 0, from);
}

static sumi_status tile_ref(const struct sumi_call *c) { return sumi_moves_run(c, tile_moves); }
static sumi_status tile_lower(struct sumi_lower *l) { return sumi_moves_lower(l, tile_moves, l->n_in); }
static sumi_status tile_cells(struct sumi_cells *c) { return sumi_moves_cells(c, tile_moves, c->n_in); }

static const struct sumi_port expand_in[] = {
    {"input", SUMI_ANY, 'T'}, {"shape", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port tile_in[] = {
    {"input", SUMI_ANY, 'T'},
    {"repeats", SUMI_BIT(SUMI_INT64) | SUMI_FLOATS},
    {"axis", SUMI_FLOATS, 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case expand_cases[] = {
    {"g (float[3,1] x) => (y) <int64[3] s = {2, 1, 6}> { y = Expand (x, s) }"},
    {"g (float[3,4] x) => (y) <int64[1] s = {1}> { y = Expand (x, s) }",
     .why = "the input is larger than the shape"},
    {"g (uint8[1,5] x) => (y) <int64[2] s = {40, 5}> { y = Expand (x, s) }"},
    {NULL},
};
static const struct sumi_case tile_cases[] = {
    {"g (float[2,3] x) => (y) <int64[2] r = {2, 3}> { y = Tile (x, r) }"},
    {"g (int8[2,1,3] x) => (y) <int64[3] r = {1, 4, 1}> { y = Tile (x, r) }"},
    {"g (float[2,3] x) => (y) <int64[2] r = {0, 3}> { y = Tile (x, r) }", .why = "nothing"},
    {NULL},
};

const struct sumi_op sumi_op_expand = {
    .name = "Expand",
    .formula = "x broadcast to a shape",
    .known_as = {{"", "Expand", {8, 13}}},
    .in = expand_in,
    .out = out,
    .infer = expand_infer,
    .flags = SUMI_OP_MOVES,
    .ref = expand_ref,
    .lower = expand_lower,
    .cells = expand_cells,
    .grad = sumi_expand_grad,
    .cases = expand_cases,
};

const struct sumi_op sumi_op_tile = {
    .name = "Tile",
    .formula = "x repeated along its axes",
    .known_as = {{"", "Tile", {1, 6, 13}}},
    .in = tile_in,
    .out = out,
    .infer = tile_infer,
    .flags = SUMI_OP_MOVES,
    .ref = tile_ref,
    .lower = tile_lower,
    .cells = tile_cells,
    .cases = tile_cases,
};

/* Split: the input cut along axis into as many parts as there are outputs. The sizes are given by the
 * attribute (before 13) or the input split; without them the parts are equal, from version 18 on with a
 * smaller last one (or last ones) where the dim does not divide. Version 1's split may also be an input, of
 * the data's type. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"
#include "op/qeltwise_lower.h"

/* size[n_out] of equal parts of a dim. */
static sumi_status equal_parts(struct sumi_infer *ctx, sumi_dim dim, int i, sumi_dim *size) {
  struct sumi_symbols *s = ctx->symbols;
  const int64_t n = ctx->n_out;
  if (ctx->node->version < 18) {
    if (dim >= 0 && dim % n)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " is not divisible into %" PRId64 " equal parts", dim, n);
    *size = sumi_dim_div(s, dim, n);
  } else if (dim >= 0) {
    const int64_t part = dim / n + (dim % n != 0), begin = SUMI_MIN(dim, i * part);
    *size = SUMI_MIN(part, dim - begin);
  } else {
    *size = i == n - 1 ? SUMI_DIM_UNKNOWN : sumi_dim_div(s, sumi_dim_add(s, dim, n - 1), n);
  }
  return SUMI_OK;
}

/* The sizes that are listed must be as many as the outputs and fill the dim. */
static sumi_status check_sizes(struct sumi_infer *ctx, const int64_t *v, int n, sumi_dim dim) {
  if (n != ctx->n_out)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "split lists %d sizes for %d outputs", n, ctx->n_out);
  const bool exact = !sumi_infer_has(ctx, 1) || ctx->in[1].data;
  int64_t sum = 0;
  for (int i = 0; i < n; i++) {
    if (v[i] < 0 && exact) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "split[%d] is %" PRId64, i, v[i]);
    if (v[i] < 0) return SUMI_OK;
    if (!sumi_i64_add(sum, v[i], &sum))
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "the sizes in split add up to more than 2^63");
  }
  if (dim >= 0 && sum != dim)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the sizes in split add up to %" PRId64 ", the dimension is %" PRId64,
              sum, dim);
  return SUMI_OK;
}

static sumi_status split_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  const int64_t *v = NULL;
  int n = 0, axis;
  const int64_t count = sumi_attr_int(ctx->node, "num_outputs", ctx->n_out);
  const bool listed = sumi_infer_has(ctx, 1) || sumi_node_attr(ctx->node, "split");
  if (listed && sumi_node_attr(ctx->node, "num_outputs"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "both split and num_outputs are given");
  if (count != ctx->n_out || !count)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "num_outputs is %" PRId64 ", there are %d outputs", count, ctx->n_out);
  if (listed) SUMI_TRY(sumi_infer_ints_or_attr(ctx, 1, "split", &v, &n));
  if (in->rank < 0) {
    for (int i = 0; i < ctx->n_out; i++) sumi_infer_out_unknown(ctx, i, in->dtype);
    return SUMI_OK;
  }
  SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), in->rank, &axis, ctx->err));
  if (listed && n >= 0) SUMI_TRY(check_sizes(ctx, v, n, in->dim[axis]));
  int64_t at = 0; /* where output i begins; -1: unknown from here on */
  for (int i = 0; i < ctx->n_out; i++) {
    sumi_dim dim[SUMI_MAX_RANK];
    for (int k = 0; k < in->rank; k++) dim[k] = in->dim[k];
    dim[axis] = SUMI_DIM_UNKNOWN;
    if (!listed)
      SUMI_TRY(equal_parts(ctx, in->dim[axis], i, &dim[axis]));
    else if (n >= 0)
      dim[axis] = v[i];
    sumi_infer_out(ctx, i, in->dtype, in->rank, dim);
    if (at < 0 || dim[axis] < 0) {
      at = -1;
    } else {
      if (in->content && in->rank == 1 && dim[axis] <= in->n_content - at)
        SUMI_TRY(sumi_infer_content(ctx, i, in->content + at, (int)dim[axis]));
      at += dim[axis];
    }
  }
  return SUMI_OK;
}

static sumi_status split_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *x = c->in[0];
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), x->rank, &axis, c->err));
  int64_t from[SUMI_MAX_RANK], to[SUMI_MAX_RANK];
  sumi_moves_in(m, 0, from);
  /* an output that nobody wants has no size here: equal parts are as large as the first, listed ones are
   * looked up */
  int64_t buf[4 * SUMI_MAX_RANK];
  const int64_t *v;
  int n;
  SUMI_TRY(sumi_call_ints_or_attr(c, 1, "split", buf, &v, &n));
  const int64_t equal = x->dim[axis] / c->n_out + (x->dim[axis] % c->n_out != 0);
  int64_t at = 0;
  for (int i = 0; i < c->n_out; i++) {
    if (sumi_call_wants(c, i)) {
      sumi_moves_out(m, i, to);
      SUMI_TRY(sumi_moves_add(m, x->rank, c->out[i]->dim, i, 0, to, 0, at * from[axis], from));
    }
    at += n ? v[i] : SUMI_MIN(equal, x->dim[axis] - SUMI_MIN(x->dim[axis], i * equal));
  }
  return SUMI_OK;
}

static sumi_status split_ref(const struct sumi_call *c) { return sumi_moves_run(c, split_moves); }
static sumi_status split_lower(struct sumi_lower *l) {
  return sumi_split_in_lanes(l) ? sumi_split_lower(l) : sumi_moves_lower(l, split_moves, 1);
}
static sumi_status split_cells(struct sumi_cells *c) { return sumi_moves_cells(c, split_moves, 1); }

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT},
    {"split", SUMI_ATTR_INTS, false, 13},
    {"num_outputs", SUMI_ATTR_INT},
    {NULL},
};
static const struct sumi_port in[] = {
    {"input", SUMI_ANY, 'T'},
    {"split", SUMI_BIT(SUMI_INT64) | SUMI_FLOATS, 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"outputs", SUMI_ANY, 'T', SUMI_PORT_VARIADIC}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,6] x) => (a, b, c) <int64[3] s = {1, 3, 2}> { a, b, c = Split <axis = 1> (x, s) }"},
    {"g (float[2,6,3] x) => (a, b) { a, b = Split <axis = -2, num_outputs = 2> (x) }"},
    {"g (float[7] x) => (a, b, c, d) { a, b, c, d = Split <num_outputs = 4> (x) }", .why = "2, 2, 2, 1"},
    {"g (float[5] x) => (a, b, c, d) { a, b, c, d = Split <num_outputs = 4> (x) }", .why = "2, 2, 1, 0"},
    {"<opset_import: [\"\": 11]> g (float[2,6] x) => (a, b) { a, b = Split <axis = 1, split = [2, 4]> (x) }"},
    {"g (float[2,13,3,5] x) => (a, b, c) <float s = {0.25}, int8 z = {7}, int64[3] n = {4, 8, 1}> { q = "
     "QuantizeLinear "
     "(x, s, z) u, v, w = Split <axis = 1> (q, n) a = DequantizeLinear (u, s, z) b = DequantizeLinear (v, s, "
     "z) c = "
     "DequantizeLinear (w, s, z) }",
     .low = -40, .high = 40, .why = "images in lanes"},
    {NULL},
};

const struct sumi_op sumi_op_split = {
    .name = "Split",
    .formula = "parts of x along axis",
    .known_as = {{"", "Split", {1, 2, 11, 13, 18}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = split_infer,
    .flags = SUMI_OP_MOVES,
    .ref = split_ref,
    .lower = split_lower,
    .cells = split_cells,
    .lanes = sumi_split_lanes,
    .grad = sumi_split_grad,
    .cases = cases,
};

/* Transpose: y[i[perm[0]], i[perm[1]], ...] = x[i[0], i[1], ...]; perm reverses the dims by default. */
#include "op/by_item.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move_cells.h"
#include "op/move_lower.h"
#include "op/op_util.h"

static sumi_status permutation(const struct sumi_node *node, int rank, int *perm, struct sumi_err *err) {
  int n;
  const int64_t *p = sumi_attr_ints(node, "perm", &n);
  if (!sumi_node_attr(node, "perm")) {
    for (int i = 0; i < rank; i++) perm[i] = rank - 1 - i;
    return SUMI_OK;
  }
  if (n != rank) SUMI_FAIL(err, SUMI_E_VALUE, "perm has %d entries for rank %d", n, rank);
  return sumi_op_axes(p, n, rank, perm, err);
}

static sumi_status transpose_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  int perm[SUMI_MAX_RANK], n;
  sumi_attr_ints(ctx->node, "perm", &n);
  sumi_dim dim[SUMI_MAX_RANK];
  if (in->rank >= 0) {
    SUMI_TRY(permutation(ctx->node, in->rank, perm, ctx->err));
    for (int i = 0; i < in->rank; i++) dim[i] = in->dim[perm[i]];
    sumi_infer_out(ctx, 0, in->dtype, in->rank, dim);
    return in->rank <= 1 ? sumi_op_pass_contents(ctx) : SUMI_OK;
  }
  if (n > SUMI_MAX_RANK) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "perm has %d entries", n);
  for (int i = 0; i < n; i++) dim[i] = SUMI_DIM_UNKNOWN;
  sumi_infer_out(ctx, 0, in->dtype, n ? n : -1, dim);
  return SUMI_OK;
}

static sumi_status transpose_moves(const struct sumi_call *c, struct sumi_moves *m) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int perm[SUMI_MAX_RANK];
  SUMI_TRY(permutation(c->node, x->rank, perm, c->err));
  int64_t from[SUMI_MAX_RANK], own[SUMI_MAX_RANK], to[SUMI_MAX_RANK];
  sumi_moves_in(m, 0, own);
  sumi_moves_out(m, 0, to);
  for (int i = 0; i < x->rank; i++) from[i] = own[perm[i]];
  return sumi_moves_add(m, y->rank, y->dim, 0, 0, to, 0, 0, from);
}

static sumi_status transpose_ref(const struct sumi_call *c) { return sumi_moves_run(c, transpose_moves); }
static sumi_status transpose_lower(struct sumi_lower *l) { return sumi_moves_lower(l, transpose_moves, 1); }
/* The dimension whose elements are neighbours in x stays so in y: most transpositions are then plain copies. */
static sumi_status transpose_cells(struct sumi_cells *c) {
  const int rank = c->in[0]->rank;
  int perm[SUMI_MAX_RANK], inner = sumi_cells_inner(c, 0), to = -1;
  SUMI_TRY(permutation(c->node, rank, perm, c->err));
  for (int i = 0; i < rank; i++)
    if (perm[i] == (inner < 0 ? rank - 1 : inner)) to = i;
  return sumi_moves_cells_inner(c, transpose_moves, 1, to);
}

static const struct sumi_attr_spec attrs[] = {{"perm", SUMI_ATTR_INTS}, {NULL}};
static const struct sumi_port in[] = {{"data", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"transposed", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[67,45] x) => (y) { y = Transpose (x) }", .why = "blocks with rests"},
    {"g (float[2,3,4,5] x) => (y) { y = Transpose <perm = [0, 2, 3, 1]> (x) }", .why = "NCHW to NHWC"},
    {"g (float[2,3,4,5] x) => (y) { y = Transpose <perm = [2, 0, 3, 1]> (x) }"},
    {"g (float[2,3,4,5] x) => (y) { y = Transpose <perm = [1, 0, 2, 3]> (x) }", .why = "whole rows move"},
    {"g (float16[33,2,35] x) => (y) { y = Transpose <perm = [2, 1, 0]> (x) }"},
    {"g (uint8[33,2,35] x) => (y) { y = Transpose <perm = [2, 0, 1]> (x) }"},
    {"g (double[9,5] x) => (y) { y = Transpose (x) }"},
    {NULL},
};

static bool transpose_by_item(const struct sumi_call *c, const bool *carries) {
  const struct sumi_attr *perm = sumi_node_attr(c->node, "perm");
  return sumi_by_item_first(c, carries) && perm && perm->n && perm->u.ints[0] == 0;
}

const struct sumi_op sumi_op_transpose = {
    .name = "Transpose",
    .formula = "dims permuted",
    .known_as = {{"", "Transpose", {1, 13, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = transpose_infer,
    .by_item = transpose_by_item,
    .flags = SUMI_OP_MOVES,
    .ref = transpose_ref,
    .lower = transpose_lower,
    .cells = transpose_cells,
    .grad = sumi_transpose_grad,
    .cases = cases,
};

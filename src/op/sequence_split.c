/* SplitToSequence: the input cut along axis into pieces of the listed sizes, or of one size (a scalar; the
 * last piece
 *   may be smaller), or of 1 where no split is given; then keepdims = 0 drops the axis.
 * ConcatFromSequence: the tensors of a sequence joined along axis, or stacked along a new one. */
#include <inttypes.h>

#include "base/size.h"
#include "op/move.h"
#include "op/op_util.h"
#include "op/sequence.h"

static sumi_status split_infer(struct sumi_infer *ctx) {
  int axis;
  if (ctx->in[0].rank >= 0)
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", 0), ctx->in[0].rank, &axis, ctx->err));
  if (sumi_infer_has(ctx, 1) && ctx->in[1].rank > 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "split has rank %d", ctx->in[1].rank);
  sumi_infer_kind(ctx, SUMI_SEQUENCE, ctx->in[0].dtype);
  return SUMI_OK;
}

/* The number of pieces; each is given by piece_size. */
static sumi_status count_pieces(const struct sumi_call *c, int64_t dim, int64_t *pieces) {
  *pieces = dim;
  if (!sumi_call_has(c, 1)) return SUMI_OK;
  const struct sumi_tensor *split = c->in[1];
  if (split->rank == 0) {
    const int64_t each = sumi_get_i64(split->dtype, split->data, 0);
    if (each < 1) SUMI_FAIL(c->err, SUMI_E_VALUE, "split is %" PRId64, each);
    *pieces = dim / each + (dim % each != 0);
    return SUMI_OK;
  }
  int64_t sum = 0;
  *pieces = split->dim[0];
  for (int64_t i = 0; i < *pieces; i++) {
    const int64_t size = sumi_get_i64(split->dtype, split->data, i);
    if (size < 0 || !sumi_i64_add(sum, size, &sum))
      SUMI_FAIL(c->err, SUMI_E_VALUE, "split[%" PRId64 "] is %" PRId64, i, size);
  }
  if (sum != dim)
    SUMI_FAIL(c->err, SUMI_E_VALUE, "the sizes in split add up to %" PRId64 ", the dimension is %" PRId64,
              sum, dim);
  return SUMI_OK;
}

static int64_t piece_size(const struct sumi_tensor *split, int64_t k, int64_t rest) {
  if (!split) return 1;
  const int64_t size = sumi_get_i64(split->dtype, split->data, split->rank ? k : 0);
  return SUMI_MIN(size, rest);
}

static sumi_status split_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *split = sumi_call_has(c, 1) ? c->in[1] : NULL;
  const bool keep = split || sumi_attr_int(c->node, "keepdims", 1) != 0;
  int axis;
  int64_t pieces;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), x->rank, &axis, c->err));
  SUMI_TRY(count_pieces(c, x->dim[axis], &pieces));
  SUMI_TRY(sumi_call_sequence_begin(c, x->dtype, pieces));
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  int64_t at = 0;
  for (int64_t k = 0; k < pieces; k++) {
    const int64_t size = piece_size(split, k, x->dim[axis] - at), row = size * inner;
    int64_t dim[SUMI_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++)
      if (i != axis || keep) dim[rank++] = i == axis ? size : x->dim[i];
    SUMI_TRY(sumi_call_sequence_item(c, k, rank, dim));
    sumi_move(x->dtype, 2, (const int64_t[]){outer, row}, c->out[0]->items[k]->data, 0,
              (const int64_t[]){row, 1}, x->data, at * inner, (const int64_t[]){x->dim[axis] * inner, 1});
    at += size;
  }
  return SUMI_OK;
}

/* ---- ConcatFromSequence -------------------------------------------------------------------------------- */

static sumi_status concat_infer(struct sumi_infer *ctx) {
  const int64_t new_axis = sumi_attr_int(ctx->node, "new_axis", 0);
  if (new_axis != 0 && new_axis != 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "new_axis is %" PRId64, new_axis);
  sumi_infer_out_unknown(ctx, 0, ctx->in[0].dtype);
  return SUMI_OK;
}

static sumi_status concat_ref(const struct sumi_call *c) {
  const struct sumi_tensor *s = c->in[0];
  const bool stack = sumi_attr_int(c->node, "new_axis", 0) != 0;
  if (!s->n_items) SUMI_FAIL(c->err, SUMI_E_VALUE, "the sequence is empty");
  const struct sumi_tensor *first = s->items[0];
  const int rank = first->rank + stack;
  int axis;
  int64_t dim[SUMI_MAX_RANK + 1], sum = 0;
  if (rank > SUMI_MAX_RANK)
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the output's rank is %d; at most %d is supported", rank, SUMI_MAX_RANK);
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", 0), rank, &axis, c->err));
  for (int64_t k = 0; k < s->n_items; k++) {
    const struct sumi_tensor *t = s->items[k];
    bool fits = t->rank == first->rank && t->dtype == first->dtype;
    for (int i = 0; fits && i < t->rank; i++) fits = (i == axis && !stack) || t->dim[i] == first->dim[i];
    if (!fits)
      SUMI_FAIL(c->err, SUMI_E_SHAPE, "tensor %" PRId64 " of the sequence does not fit the first", k);
    if (!sumi_i64_add(sum, stack ? 1 : t->dim[axis], &sum))
      SUMI_FAIL(c->err, SUMI_E_LIMIT, "the sequence is too long");
  }
  for (int i = 0; i < rank; i++) dim[i] = i == axis ? sum : first->dim[i - (stack && i > axis)];
  SUMI_TRY(sumi_call_output(c, 0, first->dtype, rank, dim));
  const int64_t outer = sumi_dims_count(dim, 0, axis), inner = sumi_dims_count(dim, axis + 1, rank);
  int64_t at = 0;
  for (int64_t k = 0; k < s->n_items; k++) {
    const int64_t row = (stack ? 1 : s->items[k]->dim[axis]) * inner;
    sumi_move(first->dtype, 2, (const int64_t[]){outer, row}, c->out[0]->data, at,
              (const int64_t[]){sum * inner, 1}, s->items[k]->data, 0, (const int64_t[]){row, 1});
    at += row;
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec split_attrs[] = {
    {"axis", SUMI_ATTR_INT}, {"keepdims", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec concat_attrs[] = {
    {"axis", SUMI_ATTR_INT, true}, {"new_axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port split_in[] = {
    {"input", SUMI_ANY, 'T'}, {"split", SUMI_INDICES, 0, SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port split_out[] = {{"output_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE}, {NULL}};
static const struct sumi_port concat_in[] = {{"input_sequence", SUMI_ANY, 'T', SUMI_PORT_SEQUENCE}, {NULL}};
static const struct sumi_port concat_out[] = {{"concat_result", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case split_cases[] = {
    {"g (float[2,5] x) => (y) <int64[] n = {2}, int64[] p = {2}> { s = SplitToSequence <axis = 1> (x, n) y = "
     "SequenceAt (s, p) }",
     .why = "the last piece is smaller"},
    {"g (float[2,5] x) => (y) { s = SplitToSequence <axis = 1, keepdims = 0> (x) y = ConcatFromSequence "
     "<axis = 0, new_axis = 1> (s) }"},
    {NULL},
};
static const struct sumi_case concat_cases[] = {
    {"g (float[2,3] x, float[2,1] y) => (z) { s = SequenceConstruct (x, y) z = ConcatFromSequence <axis = "
     "-1> (s) }"},
    {NULL},
};

const struct sumi_op sumi_op_split_to_sequence = {
    .name = "SplitToSequence",
    .formula = "pieces of x along axis",
    .known_as = {{"", "SplitToSequence", {11, 24}}},
    .attrs = split_attrs,
    .in = split_in,
    .out = split_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = split_infer,
    .ref = split_ref,
    .cases = split_cases,
};

const struct sumi_op sumi_op_concat_from_sequence = {
    .name = "ConcatFromSequence",
    .formula = "the tensors of a sequence joined or stacked along axis",
    .known_as = {{"", "ConcatFromSequence", {11}}},
    .attrs = concat_attrs,
    .in = concat_in,
    .out = concat_out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = concat_infer,
    .ref = concat_ref,
    .cases = concat_cases,
};

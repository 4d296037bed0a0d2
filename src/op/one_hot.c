/* OneHot: along a new axis of length depth, values[1] at the index and values[0] elsewhere. Indices in
 * [-depth, depth) count, others give values[0] everywhere. */
#include <inttypes.h>

#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status one_hot_infer(struct sumi_infer *ctx) {
  const struct sumi_info *index = &ctx->in[0];
  bool known;
  int64_t depth = SUMI_DIM_UNKNOWN;
  int axis;
  SUMI_TRY(sumi_op_scalar(ctx, 1, &known, &depth));
  if (known && depth < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "depth is %" PRId64, depth);
  if (!known) {
    const int64_t *v;
    int n = -1;
    if (ctx->in[1].rank <= 1) SUMI_TRY(sumi_infer_ints(ctx, 1, &v, &n));
    depth = n == 1 ? v[0] : SUMI_DIM_UNKNOWN;
  }
  SUMI_TRY(sumi_op_want_rank(ctx, 2, 1));
  if (ctx->in[2].rank == 1 && ctx->in[2].dim[0] >= 0 && ctx->in[2].dim[0] != 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "values has %" PRId64 " elements, not 2", ctx->in[2].dim[0]);
  sumi_dim dim[SUMI_MAX_RANK];
  if (index->rank >= 0) {
    if (index->rank >= SUMI_MAX_RANK)
      SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output's rank is %d", index->rank + 1);
    SUMI_TRY(sumi_axis(sumi_attr_int(ctx->node, "axis", -1), index->rank + 1, &axis, ctx->err));
    for (int i = 0, k = 0; i <= index->rank; i++) dim[i] = i == axis ? depth : index->dim[k++];
  }
  sumi_infer_out(ctx, 0, ctx->in[2].dtype, index->rank < 0 ? -1 : index->rank + 1, dim);
  return SUMI_OK;
}

static sumi_status one_hot_ref(const struct sumi_call *c) {
  const struct sumi_tensor *index = c->in[0], *values = c->in[2], *y = c->out[0];
  int axis;
  SUMI_TRY(sumi_axis(sumi_attr_int(c->node, "axis", -1), y->rank, &axis, c->err));
  const int64_t outer = sumi_dims_count(y->dim, 0, axis), depth = y->dim[axis],
                inner = sumi_dims_count(y->dim, axis + 1, y->rank);
  sumi_fill(y->dtype, y->data, 0, outer * depth * inner, values->data, 0);
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      int64_t at;
      if (sumi_index(sumi_get_i64(index->dtype, index->data, o * inner + i), depth, &at, NULL) == SUMI_OK)
        sumi_copy(y->dtype, y->data, (o * depth + at) * inner + i, values->data, 1, 1);
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"indices", SUMI_NUMBERS}, {"depth", SUMI_NUMBERS}, {"values", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g () => (y) <int64[2,2] i = {0, -1, 7, 2}, int64[] d = {3}, float[2] v = {2, 5}> { y = OneHot (i, d, "
     "v) }",
     .why = "7 is none"},
    {"g () => (y) <int64[3] i = {1, 0, 2}, int64[1] d = {4}, int32[2] v = {0, 1}> { y = OneHot <axis = 0> "
     "(i, d, v) }"},
    {NULL},
};

const struct sumi_op sumi_op_one_hot = {
    .name = "OneHot",
    .formula = "values[j == index] along a new axis",
    .known_as = {{"", "OneHot", {9, 11, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = one_hot_infer,
    .ref = one_hot_ref,
    .cases = cases,
};

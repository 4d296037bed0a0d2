/* Squeeze: drops the dims of 1 that axes lists, or all of them where it lists none.
 * Unsqueeze: puts dims of 1 at the places that axes lists, counted in the output's rank.
 * axes is an attribute before version 13 and an input from then on. Both are views. */
#include <inttypes.h>

#include "op/by_item.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status out_of_rank(struct sumi_infer *ctx, int rank) {
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < rank && i < SUMI_MAX_RANK; i++) dim[i] = SUMI_DIM_UNKNOWN;
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, rank, dim);
  return SUMI_OK;
}

/* Squeeze without axes: possible where every dim is a number. */
static sumi_status squeeze_all(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  sumi_dim dim[SUMI_MAX_RANK];
  int n = 0;
  for (int i = 0; i < in->rank; i++) {
    if (in->dim[i] < 0) {
      sumi_infer_out_unknown(ctx, 0, in->dtype);
      return SUMI_OK;
    }
    if (in->dim[i] != 1) dim[n++] = in->dim[i];
  }
  sumi_infer_out(ctx, 0, in->dtype, n, dim);
  return sumi_op_pass_contents(ctx);
}

static sumi_status squeeze_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  const int64_t *list;
  int n, length = -1, axis[SUMI_MAX_RANK];
  if (sumi_infer_has(ctx, 1)) SUMI_TRY(sumi_op_list_length(ctx, 1, &length));
  SUMI_TRY(sumi_infer_ints_or_attr(ctx, 1, "axes", &list, &n));
  if (in->rank < 0 || (n < 0 && length < 0)) {
    sumi_infer_out_unknown(ctx, 0, in->dtype);
    return SUMI_OK;
  }
  if (!sumi_infer_has(ctx, 1) && !sumi_node_attr(ctx->node, "axes")) return squeeze_all(ctx);
  if (n < 0 && length > in->rank) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "%d axes for rank %d", length, in->rank);
  if (n < 0) return out_of_rank(ctx, in->rank - length);
  SUMI_TRY(sumi_op_axes(list, n, in->rank, axis, ctx->err));
  bool drop[SUMI_MAX_RANK] = {false};
  for (int i = 0; i < n; i++) {
    drop[axis[i]] = true;
    if (in->dim[axis[i]] >= 0 && in->dim[axis[i]] != 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d is %" PRId64 ", not 1", axis[i], in->dim[axis[i]]);
  }
  sumi_dim dim[SUMI_MAX_RANK];
  int rank = 0;
  for (int i = 0; i < in->rank; i++)
    if (!drop[i]) dim[rank++] = in->dim[i];
  sumi_infer_out(ctx, 0, in->dtype, rank, dim);
  return sumi_op_pass_contents(ctx);
}

static sumi_status unsqueeze_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  const int64_t *list;
  int n, length = -1, axis[SUMI_MAX_RANK];
  if (sumi_infer_has(ctx, 1))
    SUMI_TRY(sumi_op_list_length(ctx, 1, &length));
  else if (!sumi_node_attr(ctx->node, "axes"))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are no axes");
  SUMI_TRY(sumi_infer_ints_or_attr(ctx, 1, "axes", &list, &n));
  if (in->rank < 0 || (n < 0 && length < 0)) {
    sumi_infer_out_unknown(ctx, 0, in->dtype);
    return SUMI_OK;
  }
  const int added = n < 0 ? length : n, rank = in->rank + added;
  if (added > SUMI_MAX_RANK || rank > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output's rank is %d; at most %d is supported", rank,
              SUMI_MAX_RANK);
  if (n < 0) return out_of_rank(ctx, rank);
  SUMI_TRY(sumi_op_axes(list, n, rank, axis, ctx->err));
  bool is_new[SUMI_MAX_RANK] = {false};
  for (int i = 0; i < n; i++) is_new[axis[i]] = true;
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0, k = 0; i < rank; i++) dim[i] = is_new[i] ? 1 : in->dim[k++];
  sumi_infer_out(ctx, 0, in->dtype, rank, dim);
  return sumi_op_pass_contents(ctx);
}

static const struct sumi_attr_spec attrs[] = {{"axes", SUMI_ATTR_INTS, false, 13}, {NULL}};
static const struct sumi_port in[] = {
    {"data", SUMI_ANY, 'T'},
    {"axes", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};

static const struct sumi_case squeeze_cases[] = {
    {"g (float[1,3,1,4] x) => (y) <int64[2] a = {0, -2}> { y = Squeeze (x, a) }"},
    {"g (float[1,3,1,4] x) => (y) { y = Squeeze (x) }", .why = "all dims of 1"},
    {"<opset_import: [\"\": 11]> g (float[1,3,1,4] x) => (y) { y = Squeeze <axes = [2]> (x) }"},
    {NULL},
};
static const struct sumi_case unsqueeze_cases[] = {
    {"g (float[3,4] x) => (y) <int64[2] a = {-1, 0}> { y = Unsqueeze (x, a) }",
     .why = "axes count in the output, in any order"},
    {"<opset_import: [\"\": 11]> g (float[3,4] x) => (y) { y = Unsqueeze <axes = [1, 3]> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_squeeze = {
    .name = "Squeeze",
    .formula = "x without dims of 1",
    .known_as = {{"", "Squeeze", {1, 11, 13, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_VIEW,
    .infer = squeeze_infer,
    .by_item = sumi_by_item_first,
    .ref = sumi_ref_view,
    .grad = sumi_reshape_grad,
    .cases = squeeze_cases,
};

const struct sumi_op sumi_op_unsqueeze = {
    .name = "Unsqueeze",
    .formula = "x with dims of 1 added",
    .known_as = {{"", "Unsqueeze", {1, 11, 13, 21, 23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_VIEW,
    .infer = unsqueeze_infer,
    .by_item = sumi_by_item_first,
    .ref = sumi_ref_view,
    .grad = sumi_reshape_grad,
    .cases = unsqueeze_cases,
};

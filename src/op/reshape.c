/* Reshape: the same elements in the shape that the second input lists; version 1 has it as an attribute. A 0
 * in the list copies the input's dim (allowzero, version 14: it is a zero); one -1 stands for what is left.
 * Flatten: to [product of dims before axis, product of the rest]. Both are views. */
#include <inttypes.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/dims.h"
#include "op/grad.h"
#include "op/move.h"
#include "op/op_util.h"

/* What the one open dim must be: the product of the input's dims by that of the others. Dims that stand on
 * both sides cancel first, which also settles zeros copied from the input. dim[hole] is not read. */
static sumi_status fill_hole(struct sumi_infer *ctx, sumi_dim *dim, int rank, int hole) {
  const struct sumi_info *in = &ctx->in[0];
  dim[hole] = SUMI_DIM_UNKNOWN;
  if (in->rank < 0) return SUMI_OK;
  bool used[SUMI_MAX_RANK] = {false};
  sumi_dim have = 1, want = 1;
  for (int i = 0; i < rank; i++) {
    if (i == hole) continue;
    int k = 0;
    while (k < in->rank && (used[k] || in->dim[k] == SUMI_DIM_UNKNOWN || in->dim[k] != dim[i])) k++;
    if (k < in->rank)
      used[k] = true;
    else
      want = sumi_dim_mul(ctx->symbols, want, dim[i]);
  }
  for (int k = 0; k < in->rank; k++)
    if (!used[k]) have = sumi_dim_mul(ctx->symbols, have, in->dim[k]);
  if (have >= 0 && want >= 0 && (want == 0 || have % want != 0))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the -1 would stand for %" PRId64 " / %" PRId64, have, want);
  dim[hole] = sumi_dim_div(ctx->symbols, have, want);
  return SUMI_OK;
}

static bool all_known(const sumi_dim *dim, int rank) {
  for (int i = 0; i < rank; i++)
    if (dim[i] < 0) return false;
  return rank >= 0;
}

/* The counts must agree where both shapes are numbers. */
static sumi_status check_count(struct sumi_infer *ctx, const sumi_dim *dim, int rank) {
  const struct sumi_info *in = &ctx->in[0];
  if (!all_known(in->dim, in->rank) || !all_known(dim, rank)) return SUMI_OK;
  int64_t have, want;
  SUMI_TRY(sumi_shape_count(in->dim, in->rank, &have, ctx->err));
  SUMI_TRY(sumi_shape_count(dim, rank, &want, ctx->err));
  if (have == want) return SUMI_OK;
  char a[256], b[256];
  SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%s has %" PRId64 " elements, %s has %" PRId64,
            sumi_shape_print(in->dim, in->rank, a, sizeof a), have, sumi_shape_print(dim, rank, b, sizeof b),
            want);
}

/* list[n] as dims. exact: the numbers of the file, where 0 and -1 have their meanings; otherwise dims that
 * inference found, where an unknown one may be -1 or any size: if it is the only one, the count settles it
 * either way. */
static sumi_status resolve(struct sumi_infer *ctx, const int64_t *list, int n, bool exact, sumi_dim *dim) {
  const struct sumi_info *in = &ctx->in[0];
  const bool allow_zero = sumi_attr_int(ctx->node, "allowzero", 0) != 0;
  int hole = -1, holes = 0;
  bool zero = false;
  for (int i = 0; i < n; i++) {
    dim[i] = list[i];
    if (exact && list[i] < -1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "shape[%d] is %" PRId64, i, list[i]);
    if (list[i] == -1) {
      hole = i;
      holes++;
    } else if (list[i] == 0 && !allow_zero) {
      if (in->rank >= 0 && i >= in->rank)
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "shape[%d] is 0, to be copied from an input of rank %d", i,
                  in->rank);
      dim[i] = in->rank < 0 ? SUMI_DIM_UNKNOWN : in->dim[i];
    } else if (list[i] == 0) {
      zero = true;
    }
  }
  if (exact && holes > 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "shape has %d times -1", holes);
  if (exact && holes && zero) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "shape has both 0 and -1 with allowzero");
  return holes == 1 ? fill_hole(ctx, dim, n, hole) : SUMI_OK;
}

static sumi_status reshape_infer(struct sumi_infer *ctx) {
  sumi_dim dim[SUMI_MAX_RANK];
  const int64_t *list;
  int n, length = -1;
  const bool exact = !sumi_infer_has(ctx, 1) || ctx->in[1].data;
  if (sumi_infer_has(ctx, 1))
    SUMI_TRY(sumi_op_list_length(ctx, 1, &length));
  else if (!sumi_node_attr(ctx->node, "shape"))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there is no shape");
  SUMI_TRY(sumi_infer_ints_or_attr(ctx, 1, "shape", &list, &n));
  if (n > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "rank %d; at most %d is supported", n, SUMI_MAX_RANK);
  if (n >= 0) {
    SUMI_TRY(resolve(ctx, list, n, exact, dim));
    SUMI_TRY(check_count(ctx, dim, n));
    sumi_infer_out(ctx, 0, ctx->in[0].dtype, n, dim);
  } else {
    for (int i = 0; i < length; i++) dim[i] = SUMI_DIM_UNKNOWN;
    if (length >= 0) SUMI_TRY(check_count(ctx, dim, length)); /* an empty list is a scalar's shape */
    sumi_infer_out(ctx, 0, ctx->in[0].dtype, length, dim);
  }
  return sumi_op_pass_contents(ctx);
}

static sumi_status flatten_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  sumi_dim dim[2] = {SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  if (in->rank >= 0) {
    int64_t axis = sumi_attr_int(ctx->node, "axis", 1);
    if (axis < -in->rank || axis > in->rank)
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "axis %" PRId64 " is outside [-%d, %d]", axis, in->rank, in->rank);
    if (axis < 0) axis += in->rank;
    dim[0] = dim[1] = 1;
    for (int i = 0; i < in->rank; i++)
      dim[i >= axis] = sumi_dim_mul(ctx->symbols, dim[i >= axis], in->dim[i]);
  }
  sumi_infer_out(ctx, 0, in->dtype, 2, dim);
  return sumi_op_pass_contents(ctx);
}

static const struct sumi_attr_spec reshape_attrs[] = {
    {"allowzero", SUMI_ATTR_INT},
    {"shape", SUMI_ATTR_INTS, false, 5},
    {"consumed_inputs", SUMI_ATTR_INTS, false, 5},
    {NULL},
};
static const struct sumi_port reshape_in[] = {
    {"data", SUMI_ANY, 'T'},
    {"shape", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port reshape_out[] = {{"reshaped", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case reshape_cases[] = {
    {"g (float[2,3,4] x) => (y) <int64[2] s = {4, 6}> { y = Reshape (x, s) }"},
    {"g (float[2,3,4] x) => (y) <int64[3] s = {0, -1, 2}> { y = Reshape (x, s) }"},
    {"g (float[0,3,4] x) => (y) <int64[3] s = {3, 4, 0}> { y = Reshape <allowzero = 1> (x, s) }"},
    {"<opset_import: [\"\": 1]> g (float[2,3,4] x) => (y) { y = Reshape <shape = [6, -1]> (x) }",
     .why = "attribute form"},
    {"g (float[1,2,4,3] x) => (y) <int64[3] s = {1, 4, 6}> "
     "{ t = Transpose <perm = [0, 2, 1, 3]> (x) r = Reshape (t, s) y = Neg (r) }",
     .why = "between others: the same memory"},
    {NULL},
};

const struct sumi_op sumi_op_reshape = {
    .name = "Reshape",
    .formula = "the same elements in another shape",
    .known_as = {{"", "Reshape", {1, 5, 13, 14, 19, 21, 23, 24, 25}}},
    .attrs = reshape_attrs,
    .in = reshape_in,
    .out = reshape_out,
    .flags = SUMI_OP_VIEW,
    .infer = reshape_infer,
    .by_item = sumi_by_item_first,
    .ref = sumi_ref_view,
    .grad = sumi_reshape_grad,
    .cases = reshape_cases,
};

static const struct sumi_attr_spec flatten_attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port flatten_in[] = {{"input", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_port flatten_out[] = {{"output", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case flatten_cases[] = {
    {"g (float[2,3,4] x) => (y) { y = Flatten (x) }"},
    {"g (float[2,3,4] x) => (y) { y = Flatten <axis = 3> (x) }", .why = "axis may be the rank"},
    {"g (float[2,3,4] x) => (y) { y = Flatten <axis = -1> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_flatten = {
    .name = "Flatten",
    .formula = "[dims before axis, dims from axis on]",
    .known_as = {{"", "Flatten", {1, 9, 11, 13, 21, 23, 24, 25}}},
    .attrs = flatten_attrs,
    .in = flatten_in,
    .out = flatten_out,
    .flags = SUMI_OP_VIEW,
    .infer = flatten_infer,
    .by_item = sumi_by_item_first,
    .ref = sumi_ref_view,
    .grad = sumi_reshape_grad,
    .cases = flatten_cases,
};

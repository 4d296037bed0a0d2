/* CenterCropPad: every listed axis cropped or padded with zeros to its target, the middle kept in the
 * middle; an odd element is cropped, or padded, at the end. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status crop_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  int n_axes, n, length, axis[SUMI_MAX_RANK];
  const int64_t *axes = sumi_attr_ints(ctx->node, "axes", &n_axes), *target;
  const bool listed = sumi_node_attr(ctx->node, "axes") != NULL;
  sumi_dim dim[SUMI_MAX_RANK];
  SUMI_TRY(sumi_op_list_length(ctx, 1, &length));
  SUMI_TRY(sumi_infer_ints(ctx, 1, &target, &n));
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (listed) SUMI_TRY(sumi_op_axes(axes, n_axes, x->rank, axis, ctx->err));
  const int want = listed ? n_axes : x->rank;
  if (length >= 0 && length != want)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "shape has %d entries, not %d", length, want);
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  for (int i = 0; i < want; i++) {
    if (n >= 0 && ctx->in[1].data && target[i] < 0)
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "shape[%d] is %" PRId64, i, target[i]);
    dim[listed ? axis[i] : i] = n < 0 ? SUMI_DIM_UNKNOWN : target[i];
  }
  sumi_infer_out(ctx, 0, x->dtype, x->rank, dim);
  return SUMI_OK;
}

static sumi_status crop_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int64_t dim[SUMI_MAX_RANK], from[SUMI_MAX_RANK], to[SUMI_MAX_RANK], x_first = 0, y_first = 0;
  sumi_strides(x->dim, x->rank, from);
  sumi_strides(y->dim, y->rank, to);
  for (int i = 0; i < x->rank; i++) {
    dim[i] = SUMI_MIN(x->dim[i], y->dim[i]);
    x_first += (x->dim[i] - dim[i]) / 2 * from[i];
    y_first += (y->dim[i] - dim[i]) / 2 * to[i];
  }
  sumi_fill(y->dtype, y->data, 0, sumi_tensor_count(y), NULL, 0);
  sumi_move(x->dtype, x->rank, dim, y->data, y_first, to, x->data, x_first, from);
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"axes", SUMI_ATTR_INTS}, {NULL}};
static const struct sumi_port in[] = {{"input_data", SUMI_ANY, 'T'}, {"shape", SUMI_INDICES}, {NULL}};
static const struct sumi_port out[] = {{"output_data", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[7,4] x) => (y) <int64[2] s = {4, 7}> { y = CenterCropPad (x, s) }"},
    {"g (float[7,4,2] x) => (y) <int64[1] s = {3}> { y = CenterCropPad <axes = [-2]> (x, s) }"},
    {NULL},
};

const struct sumi_op sumi_op_center_crop_pad = {
    .name = "CenterCropPad",
    .formula = "the middle of x, with zeros around it",
    .known_as = {{"", "CenterCropPad", {18}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = crop_infer,
    .ref = crop_ref,
    .cases = cases,
};

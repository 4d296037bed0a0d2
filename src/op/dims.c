/* Shared pieces of the movement operators' shape functions. */
#include "op/dims.h"

#include <inttypes.h>

sumi_status sumi_op_axes(const int64_t *axis, int n, int rank, int *out, struct sumi_err *err) {
  bool seen[SUMI_MAX_RANK] = {false};
  if (n > rank) SUMI_FAIL(err, SUMI_E_VALUE, "%d axes for rank %d", n, rank);
  for (int i = 0; i < n; i++) {
    SUMI_TRY(sumi_axis(axis[i], rank, &out[i], err));
    if (seen[out[i]]) SUMI_FAIL(err, SUMI_E_VALUE, "axis %" PRId64 " is listed twice", axis[i]);
    seen[out[i]] = true;
  }
  return SUMI_OK;
}

sumi_status sumi_op_list_length(struct sumi_infer *ctx, int input, int *n) {
  const struct sumi_info *in = &ctx->in[input];
  *n = -1;
  if (in->rank < 0) return SUMI_OK;
  if (in->rank > 1)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d where a list is wanted", input, in->rank);
  const sumi_dim length = in->rank ? in->dim[0] : 1;
  if (length > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "input %d lists %" PRId64 " dimensions; at most %d are supported",
              input, length, SUMI_MAX_RANK);
  if (length >= 0) *n = (int)length;
  return SUMI_OK;
}

sumi_status sumi_op_pass_contents(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  struct sumi_info *out = &ctx->out[0];
  if (ctx->n_out < 1 || out->absent || in->kind != SUMI_TENSOR || out->rank < 0) return SUMI_OK;
  if (in->content && out->rank <= 1) SUMI_TRY(sumi_infer_content(ctx, 0, in->content, in->n_content));
  if (!in->data) return SUMI_OK;
  for (int i = 0; i < out->rank; i++)
    if (out->dim[i] < 0) return SUMI_OK;
  struct sumi_tensor *t = SUMI_NEW(ctx->arena, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(ctx->err);
  *t = *in->data;
  t->rank = out->rank;
  for (int i = 0; i < out->rank; i++) t->dim[i] = out->dim[i];
  out->data = t;
  return SUMI_OK;
}

sumi_status sumi_op_scalar(struct sumi_infer *ctx, int input, bool *known, int64_t *value) {
  const struct sumi_info *in = &ctx->in[input];
  *known = false;
  for (int i = 0; i < in->rank; i++)
    if (in->dim[i] >= 0 && in->dim[i] != 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has dimension %" PRId64 " where one number is wanted",
                input, in->dim[i]);
  if (!in->data || in->rank < 0) return SUMI_OK;
  *known = true;
  *value = sumi_get_i64(in->data->dtype, in->data->data, 0);
  return SUMI_OK;
}

sumi_status sumi_op_scalar_dim(struct sumi_infer *ctx, int input, sumi_dim *size) {
  bool known;
  int64_t value;
  const int64_t *values;
  int n = -1;
  *size = SUMI_DIM_UNKNOWN;
  SUMI_TRY(sumi_op_scalar(ctx, input, &known, &value));
  if (known && value < 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "input %d is a size of %" PRId64, input, value);
  if (ctx->in[input].rank >= 0 && ctx->in[input].rank <= 1)
    SUMI_TRY(sumi_infer_ints(ctx, input, &values, &n));
  if (known || n == 1) *size = known ? value : values[0];
  return SUMI_OK;
}

sumi_status sumi_op_want_rank(struct sumi_infer *ctx, int input, int rank) {
  if (ctx->in[input].rank >= 0 && ctx->in[input].rank != rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not %d", input, ctx->in[input].rank, rank);
  return SUMI_OK;
}

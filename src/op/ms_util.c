/* Shape checks and scratch booking of the com.microsoft operators. */
#include "op/ms_util.h"

#include <inttypes.h>

#include "base/size.h"

sumi_dim sumi_ms_dim(const struct sumi_infer *ctx, int i, int axis) {
  if (!sumi_infer_has(ctx, i) || ctx->in[i].rank <= axis) return SUMI_DIM_UNKNOWN;
  return ctx->in[i].dim[axis];
}

sumi_status sumi_ms_want_rank(const struct sumi_infer *ctx, int i, int low, int high) {
  if (!sumi_infer_has(ctx, i)) return SUMI_OK;
  const int rank = ctx->in[i].rank;
  if (rank < 0 || (rank >= low && rank <= high)) return SUMI_OK;
  const char *name = ctx->node->op->in[i].name;
  if (low == high) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has rank %d, not %d", name, rank, low);
  SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' has rank %d, not %d to %d", name, rank, low, high);
}

sumi_status sumi_ms_want_dim(const struct sumi_infer *ctx, int i, int axis, sumi_dim want, const char *what) {
  const sumi_dim have = sumi_ms_dim(ctx, i, axis);
  if (have < 0 || want < 0 || have == want) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of '%s' is %" PRId64 ", the %s is %" PRId64, axis,
            ctx->node->op->in[i].name, have, what, want);
}

sumi_status sumi_ms_book(size_t *bytes, int64_t n, size_t item_bytes, struct sumi_err *err) {
  size_t block, total;
  if (n < 0 || !sumi_size_mul((size_t)n, item_bytes, &block) || !sumi_size_align(block, SUMI_ALIGN, &block) ||
      !sumi_size_add(*bytes, block, &total))
    SUMI_FAIL(err, SUMI_E_LIMIT, "scratch of %" PRId64 " items of %zu bytes is too large", n, item_bytes);
  *bytes = total;
  return SUMI_OK;
}

void *sumi_ms_take(char **scratch, int64_t n, size_t item_bytes) {
  char *block = *scratch;
  const size_t bytes = (size_t)n * item_bytes;
  *scratch = block + (bytes + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
  return block;
}

void sumi_ms_cost_bytes(const struct sumi_call *c, struct sumi_cost *cost) {
  size_t bytes;
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && sumi_dtype_bytes(c->in[i]->dtype, sumi_tensor_count(c->in[i]), &bytes))
      cost->bytes += (double)bytes;
  for (int i = 0; i < c->n_out; i++)
    if (c->out[i] && sumi_dtype_bytes(c->out[i]->dtype, sumi_tensor_count(c->out[i]), &bytes))
      cost->bytes += (double)bytes;
}

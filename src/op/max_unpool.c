/* MaxUnpool: zeros, but element I[i] of the tensor that MaxPool had is x[i]. That tensor's size is (in - 1) * stride +
 * kernel - pads; where output_shape gives a larger one, it lies at its low corner. Of equal indices the last one counts. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/op_util.h"

/* The spatial sizes that MaxPool had, from those of x; negative where unknown. */
static sumi_status pooled_from(const struct sumi_node *node, struct sumi_symbols *symbols, int n,
                               const sumi_dim *in, sumi_dim *out, struct sumi_err *err) {
  sumi_dim unknown[SUMI_MAX_RANK];
  struct sumi_window w;
  for (int i = 0; i < SUMI_MAX_RANK; i++) unknown[i] = SUMI_DIM_UNKNOWN;
  SUMI_TRY(sumi_op_window(node, n, unknown, NULL, &w, err));
  for (int i = 0; i < n; i++) {
    const int64_t add = w.kernel[i] - w.stride[i] - w.begin[i] - w.end[i];
    if (in[i] < 0) {
      const sumi_dim wide = sumi_dim_mul(symbols, in[i], w.stride[i]);
      out[i] = add < 0 ? sumi_dim_sub(symbols, wide, -add) : sumi_dim_add(symbols, wide, add);
      continue;
    }
    if (!sumi_i64_mul(in[i], w.stride[i], &out[i]) || !sumi_i64_add(out[i], add, &out[i]))
      SUMI_FAIL(err, SUMI_E_LIMIT, "the output's dimension %d passes 2^63", i);
    if (out[i] < 0) SUMI_FAIL(err, SUMI_E_SHAPE, "pads leave nothing of dimension %d", i);
  }
  return SUMI_OK;
}

static sumi_status unpool_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *index = &ctx->in[1];
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (x->rank < 3) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 3 is needed", x->rank);
  if (index->rank >= 0 && index->rank != x->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "x has rank %d, the indices %d", x->rank, index->rank);
  for (int i = 0; i < index->rank; i++)
    if (x->dim[i] >= 0 && index->dim[i] >= 0 && x->dim[i] != index->dim[i])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of x is %" PRId64 ", of the indices %" PRId64, i,
                x->dim[i], index->dim[i]);
  sumi_dim y[SUMI_MAX_RANK] = {x->dim[0], x->dim[1]};
  SUMI_TRY(pooled_from(ctx->node, ctx->symbols, x->rank - 2, x->dim + 2, y + 2, ctx->err));
  if (sumi_infer_has(ctx, 2)) {
    const int64_t *shape;
    int n;
    SUMI_TRY(sumi_infer_ints(ctx, 2, &shape, &n));
    if (n >= 0 && n != x->rank)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "output_shape has %d entries for a tensor of rank %d", n, x->rank);
    for (int i = 0; i < x->rank; i++) {
      const sumi_dim want = n < 0 ? SUMI_DIM_UNKNOWN : shape[i];
      if (n >= 0 && ctx->in[2].data && (want < 0 || (y[i] >= 0 && (i < 2 ? want != y[i] : want < y[i]))))
        SUMI_FAIL(ctx->err, SUMI_E_VALUE, "output_shape[%d] is %" PRId64 ", the pooled tensor had %" PRId64,
                  i, want, y[i]);
      y[i] = want;
    }
  }
  sumi_infer_out(ctx, 0, x->dtype, x->rank, y);
  return SUMI_OK;
}

static sumi_status unpool_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t *index = c->in[1]->data;
  const int n = x->rank;
  int64_t had[SUMI_MAX_RANK] = {x->dim[0], x->dim[1]}, stride[SUMI_MAX_RANK], count;
  SUMI_TRY(pooled_from(c->node, NULL, n - 2, x->dim + 2, had + 2, c->err));
  SUMI_TRY(sumi_shape_count(had, n, &count, c->err));
  sumi_strides(y->dim, n, stride);
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(y->dtype, y->dim, n, &bytes, c->err));
  if (bytes) memset(y->data, 0, bytes);
  bool same = true; /* as large as what was pooled: an index is the place */
  for (int d = 0; d < n; d++) same &= had[d] == y->dim[d];
  const int64_t elements = sumi_tensor_count(x);
  for (int64_t i = 0; i < elements; i++) {
    if (index[i] < 0 || index[i] >= count)
      SUMI_FAIL(c->err, SUMI_E_VALUE,
                "index %" PRId64 " is outside the %" PRId64 " elements that were pooled", index[i], count);
    int64_t at = same ? index[i] : 0, rest = index[i];
    for (int d = n - 1; d >= 0 && !same; d--) {
      at += rest % had[d] * stride[d];
      rest /= had[d];
    }
    if (y->dtype == SUMI_FLOAT32)
      ((float *)y->data)[at] = ((const float *)x->data)[i];
    else
      sumi_copy(y->dtype, y->data, at, x->data, i, 1);
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"kernel_shape", SUMI_ATTR_INTS, true}, {"pads", SUMI_ATTR_INTS}, {"strides", SUMI_ATTR_INTS}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'},
                                      {"I", SUMI_BIT(SUMI_INT64)},
                                      {"output_shape", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,6,8] x) => (y) { m, i = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x) "
     "y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (m, i) }"},
    {"g (float[1,1,2,2] x) => (y) <int64[1,1,2,2] i = {5, 7, 13, 15}, int64[4] s = {1, 1, 5, 5}> "
     "{ y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i, s) }",
     .why = "indices count in what was pooled, 4 by 4"},
    {NULL},
};

const struct sumi_op sumi_op_max_unpool = {
    .name = "MaxUnpool",
    .formula = "zeros but y[I[i]] = x[i]",
    .known_as = {{"", "MaxUnpool", {9, 11, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = unpool_infer,
    .ref = unpool_ref,
    .cases = cases,
};

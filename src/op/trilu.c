/* Trilu: of each matrix (the last two dims), the part on and above the k-th diagonal (upper = 1) or on and
 * below it; the rest is 0. k > 0 lies above the main diagonal. */
#include <string.h>

#include "base/size.h"
#include "op/broadcast.h"
#include "op/ops.h"

static sumi_status trilu_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  if (x->rank >= 0 && x->rank < 2) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "rank %d is no matrix", x->rank);
  if (sumi_infer_has(ctx, 1))
    for (int i = 0; i < ctx->in[1].rank; i++)
      if (ctx->in[1].dim[i] >= 0 && ctx->in[1].dim[i] != 1)
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "k is not a scalar");
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status trilu_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const bool upper = sumi_attr_int(c->node, "upper", 1) != 0;
  const int64_t rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1],
                matrices = sumi_dims_count(x->dim, 0, x->rank - 2);
  int64_t k = sumi_call_has(c, 1) ? *(const int64_t *)c->in[1]->data : 0;
  k = k < -rows ? -rows : k > columns ? columns : k;
  size_t bytes;
  SUMI_ASSERT(c->err, sumi_dtype_bytes(x->dtype, 1, &bytes));
  const char *from = x->data;
  char *to = y->data;
  for (int64_t m = 0; m < matrices; m++)
    for (int64_t i = 0; i < rows; i++, from += (size_t)columns * bytes, to += (size_t)columns * bytes) {
      /* kept: [first, last) */
      const int64_t edge = i + k < -1 ? -1 : i + k,
                    first = upper ? (edge < 0 ? 0 : SUMI_MIN(edge, columns)) : 0;
      const int64_t last = upper ? columns : SUMI_MIN(edge + 1, columns);
      memset(to, 0, (size_t)first * bytes);
      memmove(to + (size_t)first * bytes, from + (size_t)first * bytes, (size_t)(last - first) * bytes);
      memset(to + (size_t)last * bytes, 0, (size_t)(columns - last) * bytes);
    }
  return SUMI_OK;
}

#define TYPES (SUMI_NUMBERS | SUMI_COMPLEX | SUMI_BIT(SUMI_BOOL) | SUMI_BIT(SUMI_STRING))
static const struct sumi_attr_spec attrs[] = {{"upper", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"input", TYPES, 'T'}, {"k", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port out[] = {{"output", TYPES, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[3,5,7] x) => (y) { y = Trilu (x) }"},
    {"g (int64[6,4] x) => (y) <int64 k = {-2}> { y = Trilu <upper = 0> (x, k) }"},
    {NULL},
};

const struct sumi_op sumi_op_trilu = {
    .name = "Trilu",
    .formula = "the upper or lower triangle of x",
    .known_as = {{"", "Trilu", {14}}, {"com.microsoft", "Trilu", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = trilu_infer,
    .ref = trilu_ref,
    .cases = cases,
};

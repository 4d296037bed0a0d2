/* ReverseSequence: along the time axis, the first sequence_lens[b] elements of batch entry b in reverse, the
 * rest as it is. Batch and time are the first two dims, in the order that the attributes say. */
#include <inttypes.h>

#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"

static sumi_status reverse_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *lengths = &ctx->in[1];
  const int64_t batch = sumi_attr_int(ctx->node, "batch_axis", 1),
                time = sumi_attr_int(ctx->node, "time_axis", 0);
  if (batch < 0 || batch > 1 || time != 1 - batch)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE,
              "batch_axis is %" PRId64 ", time_axis %" PRId64 ": one must be 0, the other 1", batch, time);
  SUMI_TRY(sumi_op_want_rank(ctx, 1, 1));
  if (x->rank >= 0 && x->rank < 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the rank is %d, at least 2 is wanted", x->rank);
  if (x->rank >= 0 && lengths->rank == 1 && x->dim[batch] >= 0 && lengths->dim[0] >= 0 &&
      x->dim[batch] != lengths->dim[0])
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "there are %" PRId64 " lengths for a batch of %" PRId64,
              lengths->dim[0], x->dim[batch]);
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status reverse_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int batch = (int)sumi_attr_int(c->node, "batch_axis", 1), time = 1 - batch;
  const int64_t inner = sumi_dims_count(x->dim, 2, x->rank), *lengths = c->in[1]->data;
  const int64_t step = batch ? x->dim[1] * inner : inner, entry = batch ? inner : x->dim[1] * inner;
  SUMI_TRY(sumi_ref_view(c));
  for (int64_t b = 0; b < x->dim[batch]; b++) {
    const int64_t n = lengths[b];
    if (n < 0 || n > x->dim[time])
      SUMI_FAIL(c->err, SUMI_E_VALUE, "sequence_lens[%" PRId64 "] is %" PRId64 " of %" PRId64, b, n,
                x->dim[time]);
    if (n > 1)
      sumi_move(x->dtype, 2, (const int64_t[]){n, inner}, y->data, b * entry, (const int64_t[]){step, 1},
                x->data, b * entry + (n - 1) * step, (const int64_t[]){-step, 1});
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"batch_axis", SUMI_ATTR_INT}, {"time_axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"input", SUMI_ANY, 'T'}, {"sequence_lens", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_ANY, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[4,3,2] x) => (y) <int64[3] n = {4, 0, 3}> { y = ReverseSequence (x, n) }"},
    {"g (float[3,4] x) => (y) <int64[3] n = {1, 2, 4}> { y = ReverseSequence <batch_axis = 0, time_axis = 1> "
     "(x, n) }"},
    {NULL},
};

const struct sumi_op sumi_op_reverse_sequence = {
    .name = "ReverseSequence",
    .formula = "y[t, b] = x[n[b] - 1 - t, b] for t < n[b]",
    .known_as = {{"", "ReverseSequence", {10, 28}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = reverse_infer,
    .ref = reverse_ref,
    .cases = cases,
};

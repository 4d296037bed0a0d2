/* NGramRepeatBlock (com.microsoft): scores [batch, vocabulary], with -inf where the token behind input_ids [batch, length]
 * would end an n-gram of ngram_size tokens that input_ids of the same sequence hold already.
 * Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/ms_util.h"

static sumi_status block_infer(struct sumi_infer *ctx) {
  const int64_t size = sumi_attr_int(ctx->node, "ngram_size", 0);
  if (size <= 0) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "ngram_size is %" PRId64, size);
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, 1, 2, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, 1, 0, sumi_ms_dim(ctx, 0, 0), "batch size"));
  sumi_infer_out_like(ctx, 0, &ctx->in[1], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status block_ref(const struct sumi_call *c) {
  const struct sumi_tensor *ids = c->in[0], *y = c->out[0];
  const int64_t length = ids->dim[1], words = y->dim[1], behind = sumi_attr_int(c->node, "ngram_size", 1) - 1;
  sumi_copy(y->dtype, y->data, 0, c->in[1]->data, 0, sumi_tensor_count(y));
  for (int64_t b = 0; b < ids->dim[0]; b++) {
    const int64_t *id = (const int64_t *)ids->data + b * length;
    for (int64_t i = 0; behind < length && i < length - behind; i++) {
      bool same = true; /* the last tokens stand at i, too */
      for (int64_t k = 0; k < behind && same; k++) same = id[i + k] == id[length - behind + k];
      if (!same) continue;
      const int64_t word = id[i + behind];
      if (word < 0 || word >= words)
        SUMI_FAIL(c->err, SUMI_E_VALUE, "token %" PRId64 " is outside the vocabulary of %" PRId64, word,
                  words);
      sumi_set_f64(y->dtype, y->data, b * words + word, -INFINITY);
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"ngram_size", SUMI_ATTR_INT, true}, {NULL}};
static const struct sumi_port in[] = {
    {"input_ids", SUMI_BIT(SUMI_INT64)}, {"scores", SUMI_MS_T, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"scores_out", SUMI_MS_T, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[2,5] s) => (y) <int64[2,7] i = {0, 1, 2, 0, 1, 3, 0, 4, 4, 4, 4, 2, 4, 4}> { y = "
     "com.microsoft.NGramRepeatBlock <ngram_size = 3> (i, s) }",
     .why = "one sequence repeats, one does not"},
    {"g (float[1,5] s) => (y) <int64[1,2] i = {3, 0}> { y = com.microsoft.NGramRepeatBlock <ngram_size = 1> "
     "(i, s) }",
     .why = "no token twice"},
    {NULL},
};

const struct sumi_op sumi_op_ms_ngram_repeat_block = {
    .name = "com.microsoft.NGramRepeatBlock",
    .formula = "scores, -inf for tokens that would repeat an n-gram",
    .known_as = {{"com.microsoft", "NGramRepeatBlock", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = block_infer,
    .ref = block_ref,
    .cases = cases,
};

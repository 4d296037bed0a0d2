/* MultiHeadAttention (com.microsoft): self- or cross-attention of projected q, k and v, each with its part of bias:
 *   output = sumi_ms_attend (ms_attention_core.h); k and v go behind past_key and past_value; present_* = both;
 *   qk = the scores before the softmax.
 * Forms: query, key, value [batch, tokens, hidden]; key and value may be [batch, heads, tokens, head] (they take no
 * bias then); key [batch, tokens, heads, 2, head] holds value too; query [batch, tokens, heads, 3, head] all three.
 * With past_sequence_length the past is a cache longer than what it holds, and so is the present.
 * Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>

#include "base/size.h"
#include "op/fattention_cells.h"
#include "op/ms_attention_core.h"

enum { QUERY, KEY, VALUE, BIAS, MASK, ADD, PAST_KEY, PAST_VALUE, PAST_LENGTH, CACHE_INDIRECTION };

/* Which of the four forms; both for infer (ranks) and for ref. */
enum form { SEPARATE, HEADS, PACKED_KV, PACKED_QKV, UNKNOWN_FORM };

static enum form form_of(bool has_key, int query_rank, int key_rank) {
  if (!has_key) return query_rank < 0 ? UNKNOWN_FORM : PACKED_QKV;
  if (key_rank < 0) return UNKNOWN_FORM;
  return key_rank == 5 ? PACKED_KV : key_rank == 4 ? HEADS : SEPARATE;
}

struct shape {
  sumi_dim batch, s, l, past, d /* hidden size of q and k */, dv, rows /* of the present */;
};

static sumi_status split(const struct sumi_infer *ctx, sumi_dim hidden, int64_t heads, sumi_dim *head) {
  *head = hidden >= 0 ? hidden / heads : SUMI_DIM_UNKNOWN;
  if (hidden >= 0 && hidden % heads)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a hidden size of %" PRId64 " does not split into %" PRId64 " heads",
              hidden, heads);
  return SUMI_OK;
}

static sumi_dim times(sumi_dim heads, sumi_dim head) {
  return head >= 0 && head <= INT32_MAX && heads <= INT32_MAX ? heads * head : SUMI_DIM_UNKNOWN;
}

/* Batch, lengths and hidden sizes of query, key and value. */
static sumi_status infer_qkv(const struct sumi_infer *ctx, enum form form, int64_t heads, struct shape *x) {
  SUMI_TRY(sumi_ms_want_rank(ctx, QUERY, form == PACKED_QKV ? 5 : 3, form == PACKED_QKV ? 5 : 3));
  SUMI_TRY(sumi_ms_want_rank(ctx, KEY, 3, 5));
  SUMI_TRY(sumi_ms_want_rank(ctx, VALUE, form == HEADS ? 4 : 3, form == HEADS ? 4 : 3));
  if ((form == SEPARATE || form == HEADS) != sumi_infer_has(ctx, VALUE))
    SUMI_FAIL(ctx->err, SUMI_E_ARG,
              "'value' must be given if and only if it is not packed into 'key' or 'query'");
  x->batch = sumi_ms_same(sumi_ms_dim(ctx, QUERY, 0), sumi_ms_dim(ctx, KEY, 0));
  SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 0, x->batch, "batch size"));
  SUMI_TRY(sumi_ms_want_dim(ctx, VALUE, 0, x->batch, "batch size"));
  x->s = sumi_ms_dim(ctx, QUERY, 1);
  if (form == PACKED_QKV) {
    SUMI_TRY(sumi_ms_want_dim(ctx, QUERY, 2, heads, "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, QUERY, 3, 3, "number of q, k and v"));
    x->l = x->s;
    x->d = x->dv = times(heads, sumi_ms_dim(ctx, QUERY, 4));
    return SUMI_OK;
  }
  x->d = sumi_ms_dim(ctx, QUERY, 2);
  x->l = sumi_ms_dim(ctx, KEY, form == HEADS ? 2 : 1);
  sumi_dim head;
  SUMI_TRY(split(ctx, x->d, heads, &head));
  if (form == PACKED_KV) {
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 2, heads, "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 3, 2, "number of k and v"));
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 4, head, "head size"));
    x->dv = x->d;
  } else if (form == HEADS) {
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 1, heads, "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 3, head, "head size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, VALUE, 1, heads, "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, VALUE, 2, x->l, "number of keys"));
    x->dv = times(heads, sumi_ms_dim(ctx, VALUE, 3));
  } else {
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY, 2, x->d, "hidden size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, VALUE, 1, x->l, "number of keys"));
    x->dv = sumi_ms_dim(ctx, VALUE, 2);
    x->l = sumi_ms_same(x->l, sumi_ms_dim(ctx, VALUE, 1));
  }
  return SUMI_OK;
}

static sumi_status infer_past(const struct sumi_infer *ctx, int64_t heads, sumi_dim head, sumi_dim head_v,
                              struct shape *x) {
  x->past = 0;
  if (sumi_infer_has(ctx, PAST_KEY) != sumi_infer_has(ctx, PAST_VALUE))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'past_key' and 'past_value' must be given together");
  if (!sumi_infer_has(ctx, PAST_KEY)) return SUMI_OK;
  for (int i = PAST_KEY; i <= PAST_VALUE; i++) {
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 4, 4));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, x->batch, "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 1, heads, "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 3, i == PAST_KEY ? head : head_v, "head size"));
  }
  x->past = sumi_ms_dim(ctx, PAST_KEY, 2);
  return sumi_ms_want_dim(ctx, PAST_VALUE, 2, x->past, "number of past keys");
}

static sumi_status infer_bias_vector(const struct sumi_infer *ctx, enum form form, const struct shape *x) {
  SUMI_TRY(sumi_ms_want_rank(ctx, BIAS, 1, 1));
  if (sumi_infer_has(ctx, BIAS) && form == PACKED_KV)
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "'bias' is not defined for packed keys and values");
  const sumi_dim both = sumi_dim_add(ctx->symbols, sumi_dim_mul(ctx->symbols, x->d, 2), x->dv);
  return sumi_ms_want_dim(ctx, BIAS, 0, both, "sum of the hidden sizes");
}

static sumi_status mha_infer(struct sumi_infer *ctx) {
  const int64_t heads = sumi_attr_int(ctx->node, "num_heads", 0);
  if (heads <= 0 || heads > INT32_MAX) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "num_heads is %" PRId64, heads);
  if (sumi_infer_has(ctx, CACHE_INDIRECTION))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "'cache_indirection' belongs to the decoding kernels of CUDA");
  const struct sumi_info *query = &ctx->in[QUERY];
  const enum form form =
      form_of(sumi_infer_has(ctx, KEY), query->rank, sumi_infer_has(ctx, KEY) ? ctx->in[KEY].rank : 0);
  if (form == UNKNOWN_FORM) {
    for (int i = 0; i < 4; i++) sumi_infer_out_unknown(ctx, i, query->dtype);
    return SUMI_OK;
  }
  struct shape x = {0};
  sumi_dim head, head_v;
  SUMI_TRY(infer_qkv(ctx, form, heads, &x));
  SUMI_TRY(split(ctx, x.d, heads, &head));
  SUMI_TRY(split(ctx, x.dv, heads, &head_v));
  SUMI_TRY(infer_bias_vector(ctx, form, &x));
  SUMI_TRY(infer_past(ctx, heads, head, head_v, &x));
  x.rows = sumi_dim_add(ctx->symbols, x.past, x.l);
  sumi_dim t = x.rows;
  if (sumi_infer_has(ctx, PAST_LENGTH)) {
    if (!sumi_infer_has(ctx, PAST_KEY))
      SUMI_FAIL(ctx->err, SUMI_E_ARG, "'past_sequence_length' is given without a past");
    SUMI_TRY(sumi_ms_want_rank(ctx, PAST_LENGTH, 0, 1));
    if (ctx->in[PAST_LENGTH].rank == 1)
      SUMI_TRY(sumi_ms_want_dim(ctx, PAST_LENGTH, 0, 1, "count of past_sequence_length"));
    if (ctx->n_out > 3 && !ctx->out[3].absent)
      SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED,
                "'qk' of a shared buffer has a shape that depends on its filling");
    x.rows = x.past;
    t = SUMI_DIM_UNKNOWN;
  }
  SUMI_TRY(sumi_ms_infer_mask(ctx, MASK, x.batch, x.s, t, false));
  SUMI_TRY(sumi_ms_infer_bias(ctx, ADD, x.batch, heads, x.s, t));
  const sumi_dim y[] = {x.batch, x.s, x.dv}, key[] = {x.batch, heads, x.rows, head},
                 value[] = {x.batch, heads, x.rows, head_v};
  const sumi_dim qk[] = {x.batch, heads, x.s, t};
  sumi_infer_out(ctx, 0, query->dtype, 3, y);
  sumi_infer_out(ctx, 1, query->dtype, 4, key);
  sumi_infer_out(ctx, 2, query->dtype, 4, value);
  sumi_infer_out(ctx, 3, query->dtype, 4, qk);
  return SUMI_OK;
}

/* ---- reference
 * --------------------------------------------------------------------------------------------------- */

static enum form call_form(const struct sumi_call *c) {
  return form_of(sumi_call_has(c, KEY), c->in[QUERY]->rank, sumi_call_has(c, KEY) ? c->in[KEY]->rank : 0);
}

/* As in Attention, the past of a shared buffer counts whole here. */
static void sizes(const struct sumi_call *c, struct sumi_ms_attention *a) {
  const struct sumi_tensor *q = c->in[QUERY], *k = sumi_call_has(c, KEY) ? c->in[KEY] : NULL;
  const enum form form = call_form(c);
  *a = (struct sumi_ms_attention){
      .batch = q->dim[0], .s = q->dim[1], .heads = sumi_attr_int(c->node, "num_heads", 0)};
  a->l = !k ? a->s : k->dim[form == HEADS ? 2 : 1];
  a->h = form == PACKED_QKV ? q->dim[4] : q->dim[2] / a->heads;
  a->hv = form == SEPARATE ? c->in[VALUE]->dim[2] / a->heads : form == HEADS ? c->in[VALUE]->dim[3] : a->h;
  a->past = sumi_call_has(c, PAST_KEY) ? c->in[PAST_KEY]->dim[2] : 0;
  a->t = a->past + a->l;
  sumi_ms_attention_attrs(a, c->node);
  if (sumi_call_has(c, MASK)) a->mask = c->in[MASK];
  if (sumi_call_has(c, ADD)) a->bias = c->in[ADD];
}

static sumi_status mha_scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_ms_attention a;
  sizes(c, &a);
  *bytes = 0;
  return sumi_ms_attention_book(&a, bytes, c->err);
}

/* Where one of q, k and v lies in its input: element of (b, token, head) = first + (b*n + token)*token_step +
 * head*head_step or, with heads outside, (b*heads + head)*n*width + token*width. */
struct source {
  const struct sumi_tensor *tensor;
  int64_t first, token_step, head_step;
  bool heads_outside;
};

/* Copies to to[batch, heads, rows, width] at row after, adding bias (of which the part starts at element
 * bias_first). */
static void gather(const struct sumi_call *c, const struct sumi_ms_attention *a, const struct source *from,
                   int64_t n, int64_t width, int64_t bias_first, float *to, int64_t rows, int64_t after) {
  const struct sumi_tensor *x = from->tensor,
                           *bias = sumi_call_has(c, BIAS) && bias_first >= 0 ? c->in[BIAS] : NULL;
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t i = 0; i < a->heads; i++)
      for (int64_t t = 0; t < n; t++) {
        float *row = to + ((b * a->heads + i) * rows + after + t) * width;
        const int64_t at = from->heads_outside
                               ? ((b * a->heads + i) * n + t) * width
                               : from->first + (b * n + t) * from->token_step + i * from->head_step;
        sumi_to_f32(x->dtype, x->data, at, width, row);
        for (int64_t k = 0; bias && k < width; k++)
          row[k] += (float)sumi_get_f64(bias->dtype, bias->data, bias_first + i * width + k);
      }
}

static void gather_qkv(const struct sumi_call *c, const struct sumi_ms_attention *a) {
  const enum form form = call_form(c);
  const int64_t h = a->h, hv = a->hv, d = a->heads * h, dv = a->heads * hv;
  struct source q = {c->in[QUERY], 0, d, h, false}, k, v;
  if (form == PACKED_QKV) {
    q = (struct source){c->in[QUERY], 0, 3 * d, 3 * h, false};
    k = (struct source){c->in[QUERY], h, 3 * d, 3 * h, false};
    v = (struct source){c->in[QUERY], 2 * h, 3 * d, 3 * h, false};
  } else if (form == PACKED_KV) {
    k = (struct source){c->in[KEY], 0, 2 * d, 2 * h, false};
    v = (struct source){c->in[KEY], h, 2 * d, 2 * h, false};
  } else {
    k = (struct source){c->in[KEY], 0, d, h, form == HEADS};
    v = (struct source){c->in[VALUE], 0, dv, hv, form == HEADS};
  }
  gather(c, a, &q, a->s, h, 0, a->q, a->s, 0);
  gather(c, a, &k, a->l, h, form == HEADS ? -1 : d, a->k, a->t, a->past);
  gather(c, a, &v, a->l, hv, form == HEADS ? -1 : 2 * d, a->v, a->t, a->past);
}

static sumi_status mha_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct sumi_ms_attention a;
  sizes(c, &a);
  a.tools = tools;
  const bool shared = sumi_call_has(c, PAST_LENGTH);
  const int64_t rows = a.past; /* of the cache */
  if (shared) SUMI_TRY(sumi_ms_past_length(&a, c->in[PAST_LENGTH], rows, c->err));
  char *scratch = c->scratch;
  sumi_ms_attention_take(&a, &scratch);
  if (rows) {
    sumi_ms_past(&a, c->in[PAST_KEY], 0, rows, a.h, a.k);
    sumi_ms_past(&a, c->in[PAST_VALUE], 0, rows, a.hv, a.v);
  }
  gather_qkv(c, &a);
  for (int i = 1; i <= 2; i++) {
    if (!sumi_call_wants(c, i)) continue;
    struct sumi_tensor *present = c->out[i];
    const struct sumi_tensor *past = shared ? c->in[PAST_KEY + i - 1] : NULL;
    if (shared) sumi_copy(present->dtype, present->data, 0, past->data, 0, sumi_tensor_count(past));
    sumi_ms_present(&a, i == 1 ? a.k : a.v, i == 1 ? a.h : a.hv, present, 0, present->dim[2]);
  }
  sumi_ms_attend(&a, sumi_call_wants(c, 0) ? c->out[0] : NULL, sumi_call_wants(c, 3) ? c->out[3] : NULL);
  return SUMI_OK;
}

static sumi_status mha_ref(const struct sumi_call *c) { return mha_run(c, NULL); }

static sumi_status mha_lower(struct sumi_lower *l) {
  const struct sumi_call c = sumi_lower_call(l);
  struct sumi_ms_attention a;
  sizes(&c, &a);
  return sumi_ms_attention_lower(l, mha_run, &a, -1);
}

static void mha_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_ms_attention a;
  sizes(c, &a);
  cost->macs = cost->dense_macs =
      (double)a.batch * (double)a.heads * (double)a.s * (double)a.t * (double)(a.h + a.hv);
  sumi_ms_cost_bytes(c, cost);
}

static const struct sumi_attr_spec attrs[] = {{"num_heads", SUMI_ATTR_INT, true},
                                              {"unidirectional", SUMI_ATTR_INT},
                                              {"scale", SUMI_ATTR_FLOAT},
                                              {"mask_filter_value", SUMI_ATTR_FLOAT},
                                              {NULL}};
static const struct sumi_port in[] = {{"query", SUMI_MS_T, 'T'},
                                      {"key", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"value", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"key_padding_mask", SUMI_BIT(SUMI_INT32), 'M', SUMI_PORT_OPTIONAL},
                                      {"attention_bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_key", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_value", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_sequence_length", SUMI_BIT(SUMI_INT32), 'M', SUMI_PORT_OPTIONAL},
                                      {"cache_indirection", SUMI_BIT(SUMI_INT32), 'M', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_MS_T, 'T'},
                                       {"present_key", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                       {"present_value", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                       {"qk", SUMI_MS_T, 'Q', SUMI_PORT_OPTIONAL},
                                       {NULL}};

#define MHA(attributes, inputs) " = com.microsoft.MultiHeadAttention <" attributes "> (" inputs ") }"
static const struct sumi_case cases[] = {
    {"g (float[2,5,12] q, float[2,4,12] k, float[2,4,6] v, float[30] b) => (y) { y" MHA("num_heads = 3",
                                                                                        "q, k, v, b"),
     .rtol = 1e-5, .why = "cross-attention; float sums in another order than the reference's"},
    {"g (float[2,5,2,3,4] q, int32[2] m) => (y, k, v) { y, k, v" MHA("num_heads = 2, unidirectional = 1",
                                                                     "q, , , , m"),
     .rtol = 1e-5, .why = "q, k, v in one"},
    {"g (float[2,3,8] q, float[2,5,2,2,4] k, float[1,1,3,5] r) => (y, s) { y, , , s" MHA(
         "num_heads = 2, scale = 0.25", "q, k, , , , r"),
     .rtol = 1e-5, .why = "k, v in one; scores"},
    {"g (float[2,3,8] q, float[2,2,5,4] k, float[2,2,5,4] v) => (y) { y" MHA("num_heads = 2", "q, k, v"),
     .rtol = 1e-5, .why = "k and v by heads"},
    {"g (float[2,3,8] q, float[2,3,8] k, float[2,3,8] v, int32[2,7] m, float[2,2,4,4] p, float[2,2,4,4] o) "
     "=> (y, r, s) { y, r, s" MHA("num_heads = 2, mask_filter_value = -7.0", "q, k, v, , m, , p, o"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "past"},
    {"g (float[2,5,2,3,4] q, float[24] b, int32[2,5] m, float[1,2,5,5] r) => (y) { y" MHA(
         "num_heads = 2, unidirectional = 1, mask_filter_value = -3.0", "q, , , b, m, r"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "q, k, v in one with biases, three masks"},
    {"g (float[2,3,8] q, float[2,5,2,2,4] k, int32[2,3,5] m) => (y) { y" MHA("num_heads = 2", "q, k, , , m"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "k, v in one, a mask by query"},
    {"g (float[1,131,16] q, float[1,131,16] k, float[1,131,12] v, int32[1,131] m) => (y) { y" MHA(
         "num_heads = 2, unidirectional = 1", "q, k, v, , m"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "more queries than two blocks"},
    {"g (float16[2,3,8] q, float16[2,3,8] k, float16[2,3,8] v) => (y) { y" MHA("num_heads = 2", "q, k, v"),
     .rtol = 2e-3, .why = "float16 result"},
    {NULL},
};

const struct sumi_op sumi_op_ms_multi_head_attention = {
    .name = "com.microsoft.MultiHeadAttention",
    .formula = "softmax(scale q k^T + bias + mask) v",
    .known_as = {{"com.microsoft", "MultiHeadAttention", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = mha_infer,
    .ref = mha_ref,
    .lower = mha_lower,
    .cells = sumi_ms_multi_head_attention_cells,
    .scratch = mha_scratch,
    .cost = mha_cost,
    .cases = cases,
};

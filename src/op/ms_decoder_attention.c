/* DecoderMaskedMultiHeadAttention (com.microsoft): attention of one query token a sequence, as decoders run it,
 *   output = sumi_ms_attend (ms_attention_core.h) of query, key and value, each with its part of bias
 * Self-attention: query, key, value [batch, 1, hidden], or all three side by side in query; key and value go behind
 * past_key and past_value; with past_present_share_buffer these are caches filled to past_sequence_length, in plain order.
 * Cross-attention: key and value are [batch, heads, keys, head], and bias is added to query alone. With beams, batch is
 * sequences * beam_width, and past token t of beam j of sequence i is that of beam cache_indirection[i, j, t].
 * Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/ms_attention_core.h"

enum { QUERY, KEY, VALUE, MASK, ADD, PAST_KEY, PAST_VALUE, PAST_LENGTH, BEAMS, INDIRECTION, BIAS };

struct shape {
  sumi_dim batch, h, hv, past, keys, t;
};

static bool shares_buffer(const struct sumi_node *node) {
  return sumi_attr_int(node, "past_present_share_buffer", 0) != 0;
}

/* ---- inference --------------------------------------------------------------------------------------------------- */

/* Sizes of the heads from the hidden sizes. */
static sumi_status infer_heads(const struct sumi_infer *ctx, int64_t heads, struct shape *x) {
  const sumi_dim d = sumi_ms_dim(ctx, QUERY, 2), dv = sumi_ms_dim(ctx, VALUE, 2);
  const sumi_dim past = sumi_infer_has(ctx, PAST_VALUE) ? sumi_ms_dim(ctx, PAST_VALUE, 3) : SUMI_DIM_UNKNOWN;
  if (d > INT32_MAX || dv > INT32_MAX || past > INT32_MAX)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the hidden sizes are too large");
  int64_t q = d;
  x->hv = past;
  if (!sumi_infer_has(ctx, KEY)) {
    if (d >= 0 && x->hv < 0) x->hv = d / heads / 3;
    q = d >= 0 ? (d - heads * x->hv) / 2 : d;
    if (d >= 0 && (d < heads * x->hv || 2 * q + heads * x->hv != d))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " columns do not split into q, k and v", d);
  } else if (ctx->in[KEY].rank == 4) {
    x->hv = sumi_ms_dim(ctx, VALUE, 3);
    if (x->hv > INT32_MAX) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the heads are too large");
  } else if (dv >= 0) {
    x->hv = dv / heads;
    if (dv % heads)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a hidden size of %" PRId64 " does not split into %" PRId64 " heads",
                dv, heads);
  }
  x->h = q >= 0 ? q / heads : SUMI_DIM_UNKNOWN;
  if (q >= 0 && q % heads)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a hidden size of %" PRId64 " does not split into %" PRId64 " heads", q,
              heads);
  return SUMI_OK;
}

static sumi_status infer_caches(const struct sumi_infer *ctx, int64_t heads, const struct shape *x) {
  const bool cross = sumi_infer_has(ctx, KEY) && ctx->in[KEY].rank == 4;
  for (int i = 0; i < 2; i++) {
    const int port = (cross ? KEY : PAST_KEY) + i;
    SUMI_TRY(sumi_ms_want_rank(ctx, port, 4, 4));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 0, x->batch, "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 1, heads, "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 2, cross ? x->keys : x->past, "number of keys"));
    SUMI_TRY(sumi_ms_want_dim(ctx, port, 3, i ? x->hv : x->h, "head size"));
    if (cross || !sumi_infer_has(ctx, KEY)) continue;
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY + i, 0, x->batch, "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY + i, 1, 1, "number of tokens"));
    SUMI_TRY(sumi_ms_want_dim(ctx, KEY + i, 2,
                              i          ? heads * x->hv
                              : x->h < 0 ? x->h
                                         : heads * x->h,
                              "hidden size"));
  }
  return SUMI_OK;
}

static sumi_status infer_beams(struct sumi_infer *ctx, const struct shape *x) {
  bool known = false;
  int64_t width = 1;
  if (!sumi_infer_has(ctx, INDIRECTION)) return SUMI_OK;
  if (sumi_infer_has(ctx, BEAMS)) SUMI_TRY(sumi_op_scalar(ctx, BEAMS, &known, &width));
  SUMI_TRY(sumi_ms_want_rank(ctx, INDIRECTION, 3, 3));
  if (known) SUMI_TRY(sumi_ms_want_dim(ctx, INDIRECTION, 1, width, "number of beams"));
  const sumi_dim n = sumi_ms_dim(ctx, INDIRECTION, 0), beams = sumi_ms_dim(ctx, INDIRECTION, 1);
  int64_t all;
  if (n >= 0 && beams >= 0 && x->batch >= 0 && (!sumi_i64_mul(n, beams, &all) || all != x->batch))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " sequences of %" PRId64 " beams are no batch of %" PRId64,
              n, beams, x->batch);
  return SUMI_OK;
}

static sumi_status infer_lengths(const struct sumi_infer *ctx, bool cross, struct shape *x) {
  const bool shared = shares_buffer(ctx->node) && !cross;
  if (sumi_infer_has(ctx, PAST_KEY) != sumi_infer_has(ctx, PAST_VALUE))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'past_key' and 'past_value' must be given together");
  if (shared && (!sumi_infer_has(ctx, PAST_KEY) || !sumi_infer_has(ctx, PAST_LENGTH)))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "past_present_share_buffer is set without a past and its length");
  SUMI_TRY(sumi_ms_want_rank(ctx, PAST_LENGTH, 0, 1));
  if (sumi_infer_has(ctx, PAST_LENGTH) && ctx->in[PAST_LENGTH].rank == 1)
    SUMI_TRY(sumi_ms_want_dim(ctx, PAST_LENGTH, 0, 1, "count of past_sequence_length"));
  x->keys = cross ? sumi_ms_dim(ctx, KEY, 2) : 1;
  x->past = !cross && sumi_infer_has(ctx, PAST_KEY) ? sumi_ms_dim(ctx, PAST_KEY, 2) : 0;
  x->t = cross ? x->keys : shared ? SUMI_DIM_UNKNOWN : sumi_dim_add(ctx->symbols, x->past, 1);
  return SUMI_OK;
}

static sumi_status decoder_infer(struct sumi_infer *ctx) {
  const int64_t heads = sumi_attr_int(ctx->node, "num_heads", 0);
  if (heads <= 0 || heads > INT32_MAX) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "num_heads is %" PRId64, heads);
  if (sumi_attr_int(ctx->node, "output_qk", 0) || (ctx->n_out > 3 && !ctx->out[3].absent))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "the output qk is not known here");
  if (sumi_infer_has(ctx, KEY) != sumi_infer_has(ctx, VALUE))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'key' and 'value' must be given together");
  SUMI_TRY(sumi_ms_want_rank(ctx, QUERY, 3, 3));
  SUMI_TRY(sumi_ms_want_rank(ctx, KEY, 3, 4));
  const int rank = sumi_infer_has(ctx, KEY) ? ctx->in[KEY].rank : 3;
  if (rank >= 0) SUMI_TRY(sumi_ms_want_rank(ctx, VALUE, rank, rank));
  struct shape x = {.batch = sumi_ms_dim(ctx, QUERY, 0)};
  SUMI_TRY(sumi_ms_want_dim(ctx, QUERY, 1, 1, "number of tokens"));
  if (rank < 0) {
    for (int i = 0; i < 3; i++) sumi_infer_out_unknown(ctx, i, ctx->in[QUERY].dtype);
    return SUMI_OK;
  }
  SUMI_TRY(infer_heads(ctx, heads, &x));
  SUMI_TRY(infer_lengths(ctx, rank == 4, &x));
  SUMI_TRY(infer_caches(ctx, heads, &x));
  SUMI_TRY(infer_beams(ctx, &x));
  SUMI_TRY(sumi_ms_want_rank(ctx, MASK, 2, 2));
  SUMI_TRY(sumi_ms_infer_mask(ctx, MASK, x.batch, 1, x.t, false));
  SUMI_TRY(sumi_ms_infer_bias(ctx, ADD, x.batch, heads, 1, x.t));
  SUMI_TRY(sumi_ms_want_rank(ctx, BIAS, 1, 1));
  const sumi_dim d = x.h >= 0 ? heads * x.h : SUMI_DIM_UNKNOWN,
                 dv = x.hv >= 0 ? heads * x.hv : SUMI_DIM_UNKNOWN;
  if (d >= 0 && dv >= 0) SUMI_TRY(sumi_ms_want_dim(ctx, BIAS, 0, 2 * d + dv, "sum of the hidden sizes"));
  const sumi_dim rows = shares_buffer(ctx->node) && rank == 3 ? x.past : x.t, y[] = {x.batch, 1, dv};
  const sumi_dim key[] = {x.batch, heads, rows, x.h}, value[] = {x.batch, heads, rows, x.hv};
  sumi_infer_out(ctx, 0, ctx->in[QUERY].dtype, 3, y);
  sumi_infer_out(ctx, 1, ctx->in[QUERY].dtype, 4, key);
  sumi_infer_out(ctx, 2, ctx->in[QUERY].dtype, 4, value);
  return SUMI_OK;
}

/* ---- reference --------------------------------------------------------------------------------------------------- */

static bool is_cross(const struct sumi_call *c) { return sumi_call_has(c, KEY) && c->in[KEY]->rank == 4; }

/* The past of a shared buffer counts whole here. */
static void sizes(const struct sumi_call *c, struct sumi_ms_attention *a) {
  const struct sumi_tensor *q = c->in[QUERY];
  const int64_t heads = sumi_attr_int(c->node, "num_heads", 1), d = q->dim[2];
  *a = (struct sumi_ms_attention){.batch = q->dim[0], .heads = heads, .s = 1, .l = 1};
  const bool past = sumi_call_has(c, PAST_VALUE) && !is_cross(c);
  if (is_cross(c)) {
    a->l = c->in[KEY]->dim[2];
    a->hv = c->in[VALUE]->dim[3];
    a->h = d / heads;
  } else if (sumi_call_has(c, KEY)) {
    a->hv = c->in[VALUE]->dim[2] / heads;
    a->h = d / heads;
  } else {
    a->hv = past ? c->in[PAST_VALUE]->dim[3] : d / heads / 3;
    a->h = (d / heads - a->hv) / 2;
  }
  a->past = past ? c->in[PAST_KEY]->dim[2] : 0;
  a->t = a->past + a->l;
  sumi_ms_attention_attrs(a, c->node);
  a->causal = false;
  a->mask = sumi_call_has(c, MASK) ? c->in[MASK] : NULL;
  a->bias = sumi_call_has(c, ADD) ? c->in[ADD] : NULL;
}

static sumi_status decoder_scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_ms_attention a;
  sizes(c, &a);
  *bytes = 0;
  return sumi_ms_attention_book(&a, bytes, c->err);
}

/* One of q, k, v of the token, n columns of x from column first on, to row at of the heads of to [batch, heads, rows,
 * width]; bias starts at element bias_first. */
static void place(const struct sumi_call *c, const struct sumi_ms_attention *a, const struct sumi_tensor *x,
                  int64_t first, int64_t width, int64_t bias_first, float *to, int64_t rows, int64_t at) {
  const struct sumi_tensor *bias = sumi_call_has(c, BIAS) ? c->in[BIAS] : NULL;
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t n = 0; n < a->heads; n++) {
      float *row = to + ((b * a->heads + n) * rows + at) * width;
      sumi_to_f32(x->dtype, x->data, b * x->dim[2] + first + n * width, width, row);
      for (int64_t k = 0; bias && k < width; k++)
        row[k] += (float)sumi_get_f64(bias->dtype, bias->data, bias_first + n * width + k);
    }
}

/* Replaces the past rows of every sequence by those of the beams they come from. */
static sumi_status follow_beams(const struct sumi_call *c, const struct sumi_ms_attention *a) {
  const struct sumi_tensor *from = c->in[INDIRECTION], *past[2] = {c->in[PAST_KEY], c->in[PAST_VALUE]};
  const int64_t beams = from->dim[1], length = from->dim[2];
  if (a->past > length)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "'cache_indirection' is for %" PRId64 " tokens, the past has %" PRId64,
              length, a->past);
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t t = 0; t < a->past; t++) {
      const int64_t beam = ((const int32_t *)from->data)[b * length + t];
      if (beam < 0 || beam >= beams)
        SUMI_FAIL(c->err, SUMI_E_VALUE, "token %" PRId64 " comes from beam %" PRId64 " of %" PRId64, t, beam,
                  beams);
      for (int64_t n = 0; n < a->heads; n++) {
        const int64_t source = ((b / beams * beams + beam) * a->heads + n) * past[0]->dim[2] + t,
                      row = (b * a->heads + n) * a->t + t;
        sumi_to_f32(past[0]->dtype, past[0]->data, source * a->h, a->h, a->k + row * a->h);
        sumi_to_f32(past[1]->dtype, past[1]->data, source * a->hv, a->hv, a->v + row * a->hv);
      }
    }
  return SUMI_OK;
}

/* Keys and values to where they are kept: before the beams are followed, which only reading does. */
static void keep(const struct sumi_call *c, const struct sumi_ms_attention *a) {
  for (int i = 0; i < 2; i++) {
    if (!sumi_call_wants(c, 1 + i)) continue;
    struct sumi_tensor *present = c->out[1 + i];
    const struct sumi_tensor *past = shares_buffer(c->node) && !is_cross(c) ? c->in[PAST_KEY + i] : NULL;
    if (past) sumi_copy(present->dtype, present->data, 0, past->data, 0, sumi_tensor_count(past));
    sumi_ms_present(a, i ? a->v : a->k, i ? a->hv : a->h, present, 0, present->dim[2]);
  }
}

static sumi_status decoder_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct sumi_ms_attention a;
  sizes(c, &a);
  a.tools = tools;
  const int64_t rows = a.past, d = a.heads * a.h;
  if (shares_buffer(c->node) && !is_cross(c))
    SUMI_TRY(sumi_ms_past_length(&a, c->in[PAST_LENGTH], rows, c->err));
  char *scratch = c->scratch;
  sumi_ms_attention_take(&a, &scratch);
  const struct sumi_tensor *q = c->in[QUERY], *k = sumi_call_has(c, KEY) ? c->in[KEY] : q,
                           *v = sumi_call_has(c, VALUE) ? c->in[VALUE] : q;
  place(c, &a, q, 0, a.h, 0, a.q, 1, 0);
  if (is_cross(c)) {
    sumi_to_f32(k->dtype, k->data, 0, sumi_tensor_count(k), a.k);
    sumi_to_f32(v->dtype, v->data, 0, sumi_tensor_count(v), a.v);
  } else {
    if (rows) sumi_ms_past(&a, c->in[PAST_KEY], 0, rows, a.h, a.k);
    if (rows) sumi_ms_past(&a, c->in[PAST_VALUE], 0, rows, a.hv, a.v);
    place(c, &a, k, k == q ? d : 0, a.h, d, a.k, a.t, a.past);
    place(c, &a, v, v == q ? 2 * d : 0, a.hv, 2 * d, a.v, a.t, a.past);
  }
  keep(c, &a);
  if (rows && sumi_call_has(c, INDIRECTION)) SUMI_TRY(follow_beams(c, &a));
  sumi_ms_attend(&a, sumi_call_wants(c, 0) ? c->out[0] : NULL, NULL);
  return SUMI_OK;
}

static sumi_status decoder_ref(const struct sumi_call *c) { return decoder_run(c, NULL); }

static sumi_status decoder_lower(struct sumi_lower *l) {
  const struct sumi_call c = sumi_lower_call(l);
  struct sumi_ms_attention a;
  sizes(&c, &a);
  return sumi_ms_attention_lower(l, decoder_run, &a, -1);
}

static void decoder_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_ms_attention a;
  sizes(c, &a);
  cost->macs = cost->dense_macs = (double)a.batch * (double)a.heads * (double)a.t * (double)(a.h + a.hv);
  sumi_ms_cost_bytes(c, cost);
}

static const struct sumi_attr_spec attrs[] = {
    {"num_heads", SUMI_ATTR_INT, true},     {"scale", SUMI_ATTR_FLOAT},
    {"mask_filter_value", SUMI_ATTR_FLOAT}, {"past_present_share_buffer", SUMI_ATTR_INT},
    {"output_qk", SUMI_ATTR_INT},           {NULL}};
#define OPTIONAL(name) \
  { name, SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL }
#define COUNT(name) \
  { name, SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL }
static const struct sumi_port in[] = {{"query", SUMI_MS_T, 'T'},  OPTIONAL("key"),
                                      OPTIONAL("value"),          COUNT("mask_index"),
                                      OPTIONAL("attention_bias"), OPTIONAL("past_key"),
                                      OPTIONAL("past_value"),     COUNT("past_sequence_length"),
                                      COUNT("beam_width"),        COUNT("cache_indirection"),
                                      OPTIONAL("bias"),           {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_MS_T, 'T'},
                                       OPTIONAL("present_key"),
                                       OPTIONAL("present_value"),
                                       {"qk", SUMI_MS_T, 'Q', SUMI_PORT_OPTIONAL},
                                       {NULL}};

#define DECODER(attributes, inputs) \
  " = com.microsoft.DecoderMaskedMultiHeadAttention <num_heads = 2" attributes "> (" inputs ") }"
static const char sums[] = "float sums in another order than the reference's";
static const struct sumi_case cases[] = {
    {"g (float[4,1,8] q, float[4,1,8] k, float[4,1,6] v, float[4,2,5,4] p, float[4,2,5,3] o, float[22] b) => "
     "(y, r, "
     "s) <int32[1] n = {3}, int32 w = {2}, int32[2,2,5] f = {0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, "
     "1, 1, 0, "
     "0}> { y, r, s" DECODER(", past_present_share_buffer = 1", "q, k, v, , , p, o, n, w, f, b"),
     .rtol = 1e-5, .why = "beams in a shared cache"},
    {"g (float[2,1,24] q, int32[2,4] m, float[1,1,1,4] r, float[2,2,3,4] p, float[2,2,3,4] o) => (y, s, t) { "
     "y, s, "
     "t" DECODER(", mask_filter_value = -5.0", "q, , , m, r, p, o"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "q, k, v in one; a past that grows"},
    {"g (float[2,1,8] q, float[2,2,5,4] k, float[2,2,5,3] v, int32[2,5] m) => (y) { y" DECODER(
         ", scale = 0.3", "q, k, v, m"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = sums},
    {NULL},
};

const struct sumi_op sumi_op_ms_decoder_attention = {
    .name = "com.microsoft.DecoderMaskedMultiHeadAttention",
    .formula = "softmax(scale q k^T + bias + mask) v of one token behind a cache",
    .known_as = {{"com.microsoft", "DecoderMaskedMultiHeadAttention", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = decoder_infer,
    .ref = decoder_ref,
    .lower = decoder_lower,
    .scratch = decoder_scratch,
    .cost = decoder_cost,
    .cases = cases,
};

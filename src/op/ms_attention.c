/* Attention (com.microsoft): multi-head self-attention with the projection of its input,
 *   [q k v] = input * weights + bias, split at qkv_hidden_sizes into heads; k and v go behind those of past;
 *   output = sumi_ms_attend (ms_attention_core.h) of them, present = k and v with past.
 * With past_present_share_buffer past and present are caches longer than what they hold; past_sequence_length says how
 * much that is. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/fattention_cells.h"
#include "op/matmul_lower.h"
#include "op/ms_attention_core.h"

enum { INPUT, WEIGHTS, BIAS, MASK, PAST, ADD, PAST_LENGTH };

/* Hidden sizes of q (and k) and v for weights of w columns; what is wrong with them. */
static sumi_status hidden_sizes(const struct sumi_node *node, int64_t w, int64_t *d, int64_t *dv,
                                struct sumi_err *err) {
  const int64_t heads = sumi_attr_int(node, "num_heads", 0);
  int n;
  const int64_t *sizes = sumi_attr_ints(node, "qkv_hidden_sizes", &n);
  if (heads <= 0) SUMI_FAIL(err, SUMI_E_VALUE, "num_heads is %" PRId64, heads);
  if (sizes && n) {
    if (n != 3) SUMI_FAIL(err, SUMI_E_VALUE, "qkv_hidden_sizes has %d entries, not 3", n);
    if (sizes[0] != sizes[1])
      SUMI_FAIL(err, SUMI_E_VALUE, "the hidden sizes of q and k differ: %" PRId64 " and %" PRId64, sizes[0],
                sizes[1]);
    *d = sizes[0];
    *dv = sizes[2];
    if (*d < 0 || *dv < 0 || *d > INT32_MAX || *dv > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "qkv_hidden_sizes are out of range");
    if (w >= 0 && w != 2 * *d + *dv)
      SUMI_FAIL(err, SUMI_E_SHAPE,
                "'weights' has %" PRId64 " columns, not the sum of qkv_hidden_sizes, %" PRId64, w,
                2 * *d + *dv);
  } else {
    *d = *dv = w >= 0 ? w / 3 : SUMI_DIM_UNKNOWN;
    if (w >= 0 && w % 3)
      SUMI_FAIL(err, SUMI_E_SHAPE, "'weights' has %" PRId64 " columns, not a multiple of 3", w);
  }
  if (*d >= 0 && (*d % heads || *dv % heads))
    SUMI_FAIL(err, SUMI_E_SHAPE,
              "hidden sizes %" PRId64 " and %" PRId64 " do not split into %" PRId64 " heads", *d, *dv, heads);
  return SUMI_OK;
}

static bool shares_buffer(const struct sumi_node *node) {
  return sumi_attr_int(node, "past_present_share_buffer", 0) != 0;
}

/* The number of past tokens, where it can be known. */
static sumi_status infer_past(struct sumi_infer *ctx, sumi_dim *past) {
  *past = sumi_infer_has(ctx, PAST) ? sumi_ms_dim(ctx, PAST, 3) : 0;
  if (!shares_buffer(ctx->node)) return SUMI_OK;
  if (!sumi_infer_has(ctx, PAST))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "past_present_share_buffer is set without 'past'");
  if (!sumi_infer_has(ctx, PAST_LENGTH))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "past_present_share_buffer is set without 'past_sequence_length'");
  SUMI_TRY(sumi_ms_want_rank(ctx, PAST_LENGTH, 0, 1));
  if (ctx->in[PAST_LENGTH].rank == 1)
    SUMI_TRY(sumi_ms_want_dim(ctx, PAST_LENGTH, 0, 1, "count of past_sequence_length"));
  *past = SUMI_DIM_UNKNOWN; /* known when running */
  return SUMI_OK;
}

static sumi_status attention_infer(struct sumi_infer *ctx) {
  SUMI_TRY(sumi_ms_want_rank(ctx, INPUT, 3, 3));
  SUMI_TRY(sumi_ms_want_rank(ctx, WEIGHTS, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, BIAS, 1, 1));
  SUMI_TRY(sumi_ms_want_rank(ctx, PAST, 5, 5));
  const sumi_dim w = sumi_ms_same(sumi_ms_dim(ctx, WEIGHTS, 1), sumi_ms_dim(ctx, BIAS, 0));
  int64_t d, dv;
  SUMI_TRY(sumi_ms_want_dim(ctx, BIAS, 0, w, "number of columns of 'weights'"));
  SUMI_TRY(sumi_ms_want_dim(ctx, WEIGHTS, 0, sumi_ms_dim(ctx, INPUT, 2), "input's hidden size"));
  SUMI_TRY(hidden_sizes(ctx->node, w, &d, &dv, ctx->err));
  if (sumi_attr_int(ctx->node, "do_rotary", 0))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "rotary embedding inside Attention is not known here");
  const int64_t heads = sumi_attr_int(ctx->node, "num_heads", 0);
  const sumi_dim batch = sumi_ms_same(sumi_ms_dim(ctx, INPUT, 0), sumi_ms_dim(ctx, PAST, 1)),
                 s = sumi_ms_dim(ctx, INPUT, 1);
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 0, 2, "number of k and v"));
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 1, batch, "batch size"));
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 2, heads, "number of heads"));
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 4, d >= 0 ? d / heads : d, "head size"));
  if ((sumi_infer_has(ctx, PAST) || (ctx->n_out > 1 && !ctx->out[1].absent)) && d != dv)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
              "k and v of hidden sizes %" PRId64 " and %" PRId64 " do not share one state", d, dv);
  sumi_dim past;
  SUMI_TRY(infer_past(ctx, &past));
  const sumi_dim t = sumi_dim_add(ctx->symbols, past, s);
  SUMI_TRY(sumi_ms_infer_mask(ctx, MASK, batch, s, t, true));
  SUMI_TRY(sumi_ms_infer_bias(ctx, ADD, batch, heads, s, t));
  const sumi_dim y_dim[] = {batch, s, dv};
  const sumi_dim head = d >= 0 ? d / heads : sumi_ms_dim(ctx, PAST, 4);
  const sumi_dim present_dim[] = {2, batch, heads, shares_buffer(ctx->node) ? sumi_ms_dim(ctx, PAST, 3) : t,
                                  head};
  sumi_infer_out(ctx, 0, ctx->in[INPUT].dtype, 3, y_dim);
  sumi_infer_out(ctx, 1, ctx->in[INPUT].dtype, 5, present_dim);
  return SUMI_OK;
}

/* Everything but the past length of shared buffers, which is the whole buffer here. */
static sumi_status sizes(const struct sumi_call *c, struct sumi_ms_attention *a) {
  int64_t d, dv;
  SUMI_TRY(hidden_sizes(c->node, c->in[WEIGHTS]->dim[1], &d, &dv, c->err));
  *a = (struct sumi_ms_attention){.batch = c->in[INPUT]->dim[0],
                                  .heads = sumi_attr_int(c->node, "num_heads", 0)};
  a->s = a->l = c->in[INPUT]->dim[1];
  a->past = sumi_call_has(c, PAST) ? c->in[PAST]->dim[3] : 0;
  a->t = a->past + a->l;
  a->h = d / a->heads;
  a->hv = dv / a->heads;
  sumi_ms_attention_attrs(a, c->node);
  if (sumi_call_has(c, MASK)) a->mask = c->in[MASK];
  if (sumi_call_has(c, ADD)) a->bias = c->in[ADD];
  return SUMI_OK;
}

static sumi_status attention_scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_ms_attention a;
  SUMI_TRY(sizes(c, &a));
  *bytes = 0;
  SUMI_TRY(sumi_ms_attention_book(&a, bytes, c->err));
  SUMI_TRY(sumi_ms_book(bytes, c->in[INPUT]->dim[2], sizeof(float), c->err));   /* a token */
  SUMI_TRY(sumi_ms_book(bytes, c->in[WEIGHTS]->dim[1], sizeof(float), c->err)); /* its projection */
  if (c->in[WEIGHTS]->dtype == SUMI_FLOAT32) return SUMI_OK;
  return sumi_ms_book(bytes, sumi_tensor_count(c->in[WEIGHTS]), sizeof(float), c->err);
}

/* Deals a token's projection out to the heads. */
static void deal(const struct sumi_ms_attention *a, const float *qkv, int64_t b, int64_t s) {
  const float *k = qkv + a->heads * a->h, *v = k + a->heads * a->h;
  for (int64_t n = 0; n < a->heads; n++) {
    const int64_t g = b * a->heads + n, t = g * a->t + a->past + s;
    memcpy(a->q + (g * a->s + s) * a->h, qkv + n * a->h, (size_t)a->h * sizeof *qkv);
    memcpy(a->k + t * a->h, k + n * a->h, (size_t)a->h * sizeof *qkv);
    memcpy(a->v + t * a->hv, v + n * a->hv, (size_t)a->hv * sizeof *qkv);
  }
}

/* The same for all tokens, of w figures each. */
static void deal_all(const struct sumi_ms_attention *a, const float *qkv, int64_t w) {
  for (int64_t i = 0; i < a->batch * a->s; i++) deal(a, qkv + i * w, i / a->s, i % a->s);
}

static void project(const struct sumi_call *c, const struct sumi_ms_attention *a, char *scratch) {
  const struct sumi_tensor *x = c->in[INPUT], *weights = c->in[WEIGHTS];
  const int64_t di = x->dim[2], w = weights->dim[1];
  float *restrict token = sumi_ms_take(&scratch, di, sizeof *token), *restrict qkv = sumi_ms_take(
                                                                         &scratch, w, sizeof *qkv);
  const float *wf = weights->data;
  if (weights->dtype != SUMI_FLOAT32) {
    float *copy = sumi_ms_take(&scratch, di * w, sizeof *copy);
    sumi_to_f32(weights->dtype, weights->data, 0, di * w, copy);
    wf = copy;
  }
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t s = 0; s < a->s; s++) {
      sumi_to_f32(x->dtype, x->data, (b * a->s + s) * di, di, token);
      if (sumi_call_has(c, BIAS))
        sumi_to_f32(c->in[BIAS]->dtype, c->in[BIAS]->data, 0, w, qkv);
      else
        memset(qkv, 0, (size_t)w * sizeof *qkv);
      for (int64_t i = 0; i < di; i++) {
        const float *restrict line = wf + i * w;
        for (int64_t j = 0; j < w; j++) qkv[j] += token[i] * line[j];
      }
      deal(a, qkv, b, s);
    }
}

static sumi_status attention_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct sumi_ms_attention a;
  SUMI_TRY(sizes(c, &a));
  a.tools = tools;
  const struct sumi_tensor *past = sumi_call_has(c, PAST) ? c->in[PAST] : NULL;
  if (past && shares_buffer(c->node)) {
    SUMI_TRY(sumi_ms_past_length(&a, c->in[PAST_LENGTH], past->dim[3], c->err));
  }
  char *scratch = c->scratch;
  sumi_ms_attention_take(&a, &scratch);
  const int64_t rows = past ? past->dim[3] : 0, half = past ? sumi_tensor_count(past) / 2 : 0;
  if (past) sumi_ms_past(&a, past, 0, rows, a.h, a.k);
  if (past) sumi_ms_past(&a, past, half, rows, a.hv, a.v);
  if (tools)
    deal_all(&a, tools->made, c->in[WEIGHTS]->dim[1]);
  else
    project(c, &a, scratch);
  if (sumi_call_wants(c, 1)) {
    struct sumi_tensor *present = c->out[1];
    const int64_t first = sumi_tensor_count(present) / 2;
    if (shares_buffer(c->node)) sumi_copy(present->dtype, present->data, 0, past->data, 0, 2 * half);
    sumi_ms_present(&a, a.k, a.h, present, 0, present->dim[3]);
    sumi_ms_present(&a, a.v, a.hv, present, first, present->dim[3]);
  }
  sumi_ms_attend(&a, sumi_call_wants(c, 0) ? c->out[0] : NULL, NULL);
  return SUMI_OK;
}

static sumi_status attention_ref(const struct sumi_call *c) { return attention_run(c, NULL); }

/* The projection is a step of its own. */
static sumi_status attention_lower(struct sumi_lower *l) {
  const struct sumi_call c = sumi_lower_call(l);
  struct sumi_ms_attention a;
  SUMI_TRY(sizes(&c, &a));
  struct sumi_tensor qkv = *l->in[INPUT];
  qkv.dim[2] = l->in[WEIGHTS]->dim[1];
  int64_t count;
  size_t bytes = 0;
  if (!sumi_i64_mul(a.batch * a.s, qkv.dim[2], &count))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "the projection is too large");
  SUMI_TRY(sumi_ms_book(&bytes, count, sizeof(float), l->err));
  const int made = sumi_lower_scratch(l, bytes);
  if (made < 0) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(sumi_projection_lower(l, &qkv, made));
  return sumi_ms_attention_lower(l, attention_run, &a, made);
}

static void attention_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_ms_attention a;
  if (sizes(c, &a) != SUMI_OK) return;
  const double tokens = (double)a.batch * (double)a.s;
  cost->dense_macs = tokens * (double)sumi_tensor_count(c->in[WEIGHTS]) +
                     tokens * (double)a.heads * (double)a.t * (double)(a.h + a.hv);
  cost->macs = cost->dense_macs;
  sumi_ms_cost_bytes(c, cost);
}

static const struct sumi_attr_spec attrs[] = {{"num_heads", SUMI_ATTR_INT, true},
                                              {"unidirectional", SUMI_ATTR_INT},
                                              {"qkv_hidden_sizes", SUMI_ATTR_INTS},
                                              {"scale", SUMI_ATTR_FLOAT},
                                              {"mask_filter_value", SUMI_ATTR_FLOAT},
                                              {"past_present_share_buffer", SUMI_ATTR_INT},
                                              {"do_rotary", SUMI_ATTR_INT},
                                              {"rotary_embedding_dim", SUMI_ATTR_INT},
                                              {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_MS_T, 'T'},
                                      {"weights", SUMI_MS_T, 'T'},
                                      {"bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"mask_index", SUMI_BIT(SUMI_INT32), 'M', SUMI_PORT_OPTIONAL},
                                      {"past", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"attention_bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_sequence_length", SUMI_BIT(SUMI_INT32), 'M', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {
    {"output", SUMI_MS_T, 'T'}, {"present", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL}, {NULL}};

#define MS_ATTENTION(attributes, inputs) " = com.microsoft.Attention <" attributes "> (" inputs ") }"
static const char sums[] = "float sums, in another order than the reference's";
static const struct sumi_case cases[] = {
    {"g (float[2,5,12] x, float[12,36] w, float[36] b) => (y) { y" MS_ATTENTION("num_heads = 3", "x, w, b"),
     .rtol = 1e-5, .why = sums},
    {"g (float[2,3,6] x, float[6,20] w, float[20] b, int32[2] m) => (y) { y" MS_ATTENTION(
         "num_heads = 2, qkv_hidden_sizes = [6, 6, 8]", "x, w, b, m"),
     .rtol = 1e-5, .why = "lengths from 0 to 7 of 3 keys"},
    {"g (float[2,3,6] x, float[6,18] w, float[18] b, int32[4] m) => (y) { y" MS_ATTENTION("num_heads = 2",
                                                                                          "x, w, b, m"),
     .rtol = 1e-5, .why = "ends and starts"},
    {"g (float[2,3,6] x, float[6,18] w, float[18] b, int32[2,3] m, float[1,2,3,3] r) => (y, p) { y, "
     "p" MS_ATTENTION("num_heads = 2, scale = 0.3, mask_filter_value = -20.0", "x, w, b, m, , r"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "mask of 0 and 1, bias over the batch"},
    {"g (float[2,3,6] x, float[6,18] w, float[18] b, int32[2,3,7] m, float[2,2,2,4,3] p) => (y, q) { y, "
     "q" MS_ATTENTION("num_heads = 2, unidirectional = 1", "x, w, b, m, p"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "past"},
    {"g (float[1,2,4] x, float[4,12] w, int32[1,1,9,9] m, float[2,1,2,3,2] p) => (y, q) { y, q" MS_ATTENTION(
         "num_heads = 2", "x, w, , m, p"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "Megatron's mask, no bias"},
    {"g (float[2,4,6] x, float[6,16] w, int32[2,4] m, float[2,1,1,4] r) => (y) { y" MS_ATTENTION(
         "num_heads = 2, qkv_hidden_sizes = [4, 4, 8], scale = 0.1, unidirectional = 1, mask_filter_value = "
         "-5.0",
         "x, w, , m, , r"),
     .rtol = 1e-5, .low = -1, .high = 2, .why = "three masks, no state"},
    {"g (float16[2,3,6] x, float16[6,18] w, float16[18] b) => (y) { y" MS_ATTENTION("num_heads = 2",
                                                                                    "x, w, b"),
     .rtol = 2e-3, .why = "float16 result"},
    {NULL},
};

const struct sumi_op sumi_op_ms_attention = {
    .name = "com.microsoft.Attention",
    .formula = "softmax(scale q k^T + bias + mask) v, [q k v] = input * weights + bias",
    .known_as = {{"com.microsoft", "Attention", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = attention_infer,
    .ref = attention_ref,
    .lower = attention_lower,
    .cells = sumi_ms_attention_cells,
    .scratch = attention_scratch,
    .cost = attention_cost,
    .cases = cases,
};

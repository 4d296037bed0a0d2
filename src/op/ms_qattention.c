/* QAttention (com.microsoft): Attention (ms_attention.c) with the projection of 8-bit integers,
 *   [q k v] = sum (input - input_zero_point)(weight - weight_zero_point) * input_scale * weight_scale + bias,
 * exact in the sum; weight_scale and weight_zero_point are one figure, or one a column. Source: ONNX Runtime,
 * docs/ContribOperators.md. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "op/ms_attention_core.h"

enum { INPUT, WEIGHT, BIAS, INPUT_SCALE, WEIGHT_SCALE, MASK, INPUT_ZERO, WEIGHT_ZERO, PAST };

static sumi_status check_figures(const struct sumi_infer *ctx, int i, sumi_dim columns) {
  if (!sumi_infer_has(ctx, i)) return SUMI_OK;
  SUMI_TRY(sumi_ms_want_rank(ctx, i, 0, 1));
  if (ctx->in[i].rank != 1 || ctx->in[i].dim[0] == 1) return SUMI_OK;
  return sumi_ms_want_dim(ctx, i, 0, columns, "number of columns of 'weight'");
}

static sumi_status qattention_infer(struct sumi_infer *ctx) {
  const int64_t heads = sumi_attr_int(ctx->node, "num_heads", 0);
  if (heads <= 0 || heads > INT32_MAX) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "num_heads is %" PRId64, heads);
  if (sumi_attr_int(ctx->node, "do_rotary", 0) || sumi_attr_int(ctx->node, "past_present_share_buffer", 0))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "do_rotary and past_present_share_buffer are not known here");
  SUMI_TRY(sumi_ms_want_rank(ctx, INPUT, 3, 3));
  SUMI_TRY(sumi_ms_want_rank(ctx, WEIGHT, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, BIAS, 1, 1));
  SUMI_TRY(sumi_ms_want_rank(ctx, PAST, 5, 5));
  const sumi_dim w = sumi_ms_same(sumi_ms_dim(ctx, WEIGHT, 1), sumi_ms_dim(ctx, BIAS, 0));
  if (w >= 0 && w % (3 * heads))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'weight' has %" PRId64 " columns for %" PRId64 " heads", w, heads);
  SUMI_TRY(sumi_ms_want_dim(ctx, WEIGHT, 0, sumi_ms_dim(ctx, INPUT, 2), "input's hidden size"));
  SUMI_TRY(sumi_ms_want_dim(ctx, BIAS, 0, w, "number of columns of 'weight'"));
  SUMI_TRY(check_figures(ctx, INPUT_SCALE, 1));
  SUMI_TRY(check_figures(ctx, INPUT_ZERO, 1));
  SUMI_TRY(check_figures(ctx, WEIGHT_SCALE, w));
  SUMI_TRY(check_figures(ctx, WEIGHT_ZERO, w));
  const sumi_dim batch = sumi_ms_dim(ctx, INPUT, 0), s = sumi_ms_dim(ctx, INPUT, 1), d = w >= 0 ? w / 3 : w;
  const sumi_dim head = d >= 0 ? d / heads : SUMI_DIM_UNKNOWN;
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 0, 2, "number of k and v"));
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 1, batch, "batch size"));
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 2, heads, "number of heads"));
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST, 4, head, "head size"));
  const sumi_dim t = sumi_dim_add(ctx->symbols, sumi_infer_has(ctx, PAST) ? sumi_ms_dim(ctx, PAST, 3) : 0, s);
  SUMI_TRY(sumi_ms_infer_mask(ctx, MASK, batch, s, t, true));
  const sumi_dim y[] = {batch, s, d}, present[] = {2, batch, heads, t, head};
  sumi_infer_out(ctx, 0, ctx->in[BIAS].dtype, 3, y);
  sumi_infer_out(ctx, 1, ctx->in[BIAS].dtype, 5, present);
  return SUMI_OK;
}

static struct sumi_ms_attention sizes(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[INPUT];
  struct sumi_ms_attention a = {
      .batch = x->dim[0], .s = x->dim[1], .l = x->dim[1], .heads = sumi_attr_int(c->node, "num_heads", 1)};
  a.h = a.hv = c->in[WEIGHT]->dim[1] / 3 / a.heads;
  a.past = sumi_call_has(c, PAST) ? c->in[PAST]->dim[3] : 0;
  a.t = a.past + a.l;
  sumi_ms_attention_attrs(&a, c->node);
  if (sumi_call_has(c, MASK)) a.mask = c->in[MASK];
  return a;
}

static sumi_status qattention_scratch(const struct sumi_call *c, size_t *bytes) {
  const struct sumi_ms_attention a = sizes(c);
  *bytes = 0;
  return sumi_ms_attention_book(&a, bytes, c->err);
}

static double figure(const struct sumi_call *c, int i, int64_t j) {
  if (!sumi_call_has(c, i)) return 0;
  return sumi_get_f64(c->in[i]->dtype, c->in[i]->data, sumi_tensor_count(c->in[i]) == 1 ? 0 : j);
}

/* Column j of the projection for all tokens, to where part (0 q, 1 k, 2 v), head and element of the head say. */
static void project_column(const struct sumi_call *c, const struct sumi_ms_attention *a, int64_t j) {
  const struct sumi_tensor *x = c->in[INPUT], *w = c->in[WEIGHT];
  const int64_t di = x->dim[2], columns = w->dim[1], part = j / (a->heads * a->h), n = j / a->h % a->heads,
                i = j % a->h;
  const int64_t x_zero = (int64_t)figure(c, INPUT_ZERO, 0), w_zero = (int64_t)figure(c, WEIGHT_ZERO, j);
  const double scale = figure(c, INPUT_SCALE, 0) * figure(c, WEIGHT_SCALE, j), bias = figure(c, BIAS, j);
  for (int64_t b = 0; b < a->batch; b++)
    for (int64_t s = 0; s < a->s; s++) {
      const int64_t g = b * a->heads + n, first = (b * a->s + s) * di;
      int64_t sum = 0;
      for (int64_t k = 0; k < di; k++)
        sum += (sumi_get_i64(x->dtype, x->data, first + k) - x_zero) *
               (sumi_get_i64(w->dtype, w->data, k * columns + j) - w_zero);
      float *to = part == 0 ? a->q + (g * a->s + s) * a->h
                            : (part == 1 ? a->k : a->v) + (g * a->t + a->past + s) * a->h;
      to[i] = (float)((double)sum * scale + bias);
    }
}

static sumi_status qattention_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct sumi_ms_attention a = sizes(c);
  a.tools = tools;
  char *scratch = c->scratch;
  sumi_ms_attention_take(&a, &scratch);
  if (sumi_call_has(c, PAST)) {
    const struct sumi_tensor *past = c->in[PAST];
    sumi_ms_past(&a, past, 0, a.past, a.h, a.k);
    sumi_ms_past(&a, past, sumi_tensor_count(past) / 2, a.past, a.h, a.v);
  }
  for (int64_t j = 0; j < c->in[WEIGHT]->dim[1]; j++) project_column(c, &a, j);
  if (sumi_call_wants(c, 1)) {
    sumi_ms_present(&a, a.k, a.h, c->out[1], 0, a.t);
    sumi_ms_present(&a, a.v, a.h, c->out[1], sumi_tensor_count(c->out[1]) / 2, a.t);
  }
  sumi_ms_attend(&a, sumi_call_wants(c, 0) ? c->out[0] : NULL, NULL);
  return SUMI_OK;
}

static sumi_status qattention_ref(const struct sumi_call *c) { return qattention_run(c, NULL); }

static sumi_status qattention_lower(struct sumi_lower *l) {
  const struct sumi_call c = sumi_lower_call(l);
  const struct sumi_ms_attention a = sizes(&c);
  return sumi_ms_attention_lower(l, qattention_run, &a, -1);
}

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define FLOATS (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16))
static const struct sumi_attr_spec attrs[] = {{"num_heads", SUMI_ATTR_INT, true},
                                              {"unidirectional", SUMI_ATTR_INT},
                                              {"scale", SUMI_ATTR_FLOAT},
                                              {"mask_filter_value", SUMI_ATTR_FLOAT},
                                              {"past_present_share_buffer", SUMI_ATTR_INT},
                                              {"do_rotary", SUMI_ATTR_INT},
                                              {NULL}};
static const struct sumi_port in[] = {{"input", BYTES, 'A'},
                                      {"weight", BYTES, 'B'},
                                      {"bias", FLOATS, 'T'},
                                      {"input_scale", FLOATS, 'T'},
                                      {"weight_scale", FLOATS, 'T'},
                                      {"mask_index", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                      {"input_zero_point", BYTES, 'A', SUMI_PORT_OPTIONAL},
                                      {"weight_zero_point", BYTES, 'B', SUMI_PORT_OPTIONAL},
                                      {"past", FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {
    {"output", FLOATS, 'T'}, {"present", FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (uint8[2,3,8] x, int8[8,24] w, int32[2] m, int8[24] z, float[2,2,2,3,4] p) => (y, q)"
     " <float[24] b = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1}, float s = "
     "{0.1}, float t = {0.2},"
     " uint8 u = {3}> { y, q = com.microsoft.QAttention <num_heads = 2, unidirectional = 1> (x, w, b, s, t, "
     "m, u, z, p) }",
     .rtol = 1e-5, .why = "float sums of the attention"},
    {NULL},
};

const struct sumi_op sumi_op_ms_qattention = {
    .name = "com.microsoft.QAttention",
    .formula = "softmax(scale q k^T + mask) v, [q k v] = dequantised product + bias",
    .known_as = {{"com.microsoft", "QAttention", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = qattention_infer,
    .ref = qattention_ref,
    .lower = qattention_lower,
    .scratch = qattention_scratch,
    .cases = cases,
};

/* GroupQueryAttention (com.microsoft): attention of which heads / kv_heads query heads share a head of k and v, behind a
 * cache of past keys and values: output = sumi_ms_attend (ms_attention_core.h).
 * query [batch, s, heads * h], key and value [batch, s, kv_heads * h], or all three side by side in query. Of sequence b,
 * total T = seqlens_k[b] + 1 tokens count, of which Q are new: query_seqlens[b], or min(s, T); rows of query behind them
 * are padding (their output means nothing). New tokens have positions P = T - Q and on. First q and k are normalised per
 * head (with q_norm_weight and k_norm_weight), then turned (do_rotary) by their positions: P + i, or position_ids; of a
 * first prompt (total_sequence_length = s) position_ids' first element + i.
 * present_* hold keys and values 0..T in rows 0..T of max(past rows, total_sequence_length). With sliding_window_cache
 * they have the past's C rows and hold the last L(T) = T, or T - G ceil((T - C) / G) where T > C, G = C - window + 1.
 * output_qk is [batch, heads, s, total_sequence_length], before (qk_output 1) or after (2) the softmax, 0 where no key
 * is. A cache of int8 (k_quant_type and v_quant_type PER_TENSOR or PER_CHANNEL) holds q = round_half_to_even(x / scale),
 * saturated; new tokens are read from it, rounded, too. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/broadcast.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/ms_attention_core.h"
#include "op/ms_rotary.h"

enum {
  QUERY,
  KEY,
  VALUE,
  PAST_KEY,
  PAST_VALUE,
  LENGTHS,
  TOTAL,
  COS,
  SIN,
  POSITIONS,
  BIAS,
  SINK,
  K_SCALE,
  V_SCALE,
  Q_NORM,
  K_NORM,
  CHUNKS
};

/* ---- inference --------------------------------------------------------------------------------------------------- */

static bool is_quantised(const struct sumi_node *node) {
  return !sumi_attr_is(node, "k_quant_type", "NONE", "NONE");
}

static bool is_quantised_values(const struct sumi_node *node) {
  return !sumi_attr_is(node, "v_quant_type", "NONE", "NONE");
}

/* How the halves of the cache are quantised. */
static const char *const cache_kinds[] = {"k_quant_type", "v_quant_type"};

static sumi_status check_cache_kinds(const struct sumi_infer *ctx) {
  const struct sumi_node *node = ctx->node;
  for (int i = 0; i < 2; i++) {
    const char *kind = sumi_attr_string(node, cache_kinds[i], "NONE");
    if (!sumi_streq(kind, "PER_CHANNEL") && !sumi_streq(kind, "PER_TENSOR") && !sumi_streq(kind, "NONE"))
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "%s is '%s', none of NONE, PER_TENSOR, PER_CHANNEL", cache_kinds[i],
                kind);
  }
  if (is_quantised(node) != is_quantised_values(node))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "a cache of which one half is quantised is not known");
  if (is_quantised(node) && sumi_attr_int(node, "kv_cache_bit_width", 8) != 8)
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "a cache of %" PRId64 " bits is not known, only of 8",
              sumi_attr_int(node, "kv_cache_bit_width", 8));
  return SUMI_OK;
}

static sumi_status check_attrs(const struct sumi_infer *ctx) {
  const struct sumi_node *node = ctx->node;
  const int64_t heads = sumi_attr_int(node, "num_heads", 0), kv = sumi_attr_int(node, "kv_num_heads", 0);
  const int64_t window = sumi_attr_int(node, "local_window_size", -1),
                causal = sumi_attr_int(node, "causal", 1), qk = sumi_attr_int(node, "qk_output", 0);
  if (heads <= 0 || kv <= 0 || heads > INT32_MAX || heads % kv)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE,
              "num_heads %" PRId64 " is no multiple of kv_num_heads %" PRId64 " above zero", heads, kv);
  if (window < -1 || window == 0 || window > INT32_MAX)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "local_window_size is %" PRId64, window);
  if (causal != 0 && causal != 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "causal is %" PRId64, causal);
  if (!causal && window > 0)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "local_window_size is given where causal is 0");
  if (qk < 0 || qk > 2) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "qk_output is %" PRId64, qk);
  if (!qk && ctx->n_out > 3 && !ctx->out[3].absent)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "output_qk is wanted where qk_output is 0");
  if (sumi_attr_int(node, "sliding_window_cache", 0) && (window < 0 || !sumi_infer_has(ctx, PAST_KEY)))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "sliding_window_cache wants local_window_size and 'past_key'");
  if (sumi_attr_int(node, "do_rotary", 0) && (!sumi_infer_has(ctx, COS) || !sumi_infer_has(ctx, SIN)))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "do_rotary wants 'cos_cache' and 'sin_cache'");
  return check_cache_kinds(ctx);
}

/* Both or none of inputs i and j. */
static sumi_status check_pair(const struct sumi_infer *ctx, int i, int j) {
  if (sumi_infer_has(ctx, i) != sumi_infer_has(ctx, j))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'%s' and '%s' must be given together", ctx->node->op->in[i].name,
              ctx->node->op->in[j].name);
  return SUMI_OK;
}

struct shape {
  sumi_dim batch, s, h, past, total;
};

/* The size of a head from the last dim of query. */
static sumi_status infer_head(const struct sumi_infer *ctx, sumi_dim *h) {
  const int64_t heads = sumi_attr_int(ctx->node, "num_heads", 0),
                kv = sumi_attr_int(ctx->node, "kv_num_heads", 0);
  const int64_t parts = sumi_infer_has(ctx, KEY) ? heads : heads + 2 * kv;
  const sumi_dim d = sumi_ms_dim(ctx, QUERY, 2);
  *h = d >= 0 ? d / parts : SUMI_DIM_UNKNOWN;
  if (d >= 0 && (d % parts || d > INT32_MAX))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'query' has %" PRId64 " columns for %" PRId64 " heads", d, parts);
  if (!sumi_infer_has(ctx, KEY) || *h < 0) return SUMI_OK;
  for (int i = KEY; i <= VALUE; i++) SUMI_TRY(sumi_ms_want_dim(ctx, i, 2, kv * *h, "hidden size of k and v"));
  return SUMI_OK;
}

/* The vectors and tables beside q, k, v and the past. */
static sumi_status infer_tables(const struct sumi_infer *ctx, const struct shape *x) {
  for (int i = COS; i <= POSITIONS; i++) SUMI_TRY(sumi_ms_want_rank(ctx, i, 2, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, SIN, 0, sumi_ms_dim(ctx, COS, 0), "number of positions"));
  SUMI_TRY(sumi_ms_want_dim(ctx, SIN, 1, sumi_ms_dim(ctx, COS, 1), "number of angles"));
  if (x->h >= 0 && sumi_ms_dim(ctx, COS, 1) > x->h / 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'cos_cache' has %" PRId64 " columns for heads of %" PRId64,
              sumi_ms_dim(ctx, COS, 1), x->h);
  SUMI_TRY(sumi_ms_want_dim(ctx, POSITIONS, 0, x->batch, "batch size"));
  SUMI_TRY(sumi_ms_want_dim(ctx, POSITIONS, 1, x->s, "number of tokens"));
  SUMI_TRY(sumi_ms_want_rank(ctx, SINK, 1, 1));
  SUMI_TRY(sumi_ms_want_dim(ctx, SINK, 0, sumi_attr_int(ctx->node, "num_heads", 0), "number of heads"));
  SUMI_TRY(check_pair(ctx, Q_NORM, K_NORM));
  for (int i = Q_NORM; i <= K_NORM; i++) {
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 1, 1));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, x->h, "head size"));
  }
  SUMI_TRY(sumi_ms_want_rank(ctx, CHUNKS, 1, 1));
  return sumi_ms_want_dim(ctx, CHUNKS, 0, x->batch, "batch size");
}

/* The cache's element type and the scales of its halves. */
static sumi_status infer_cache_type(const struct sumi_infer *ctx, const struct shape *x, sumi_dtype *type) {
  *type = is_quantised(ctx->node) ? SUMI_INT8 : ctx->in[QUERY].dtype;
  if (sumi_infer_has(ctx, PAST_KEY) && ctx->in[PAST_KEY].dtype != *type)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "the cache holds %s, not %s", sumi_dtype_label(ctx->in[PAST_KEY].dtype),
              sumi_dtype_label(*type));
  for (int i = 0; i < 2; i++) {
    const bool channels = sumi_attr_is(ctx->node, cache_kinds[i], "NONE", "PER_CHANNEL");
    if (*type == SUMI_INT8 && !sumi_infer_has(ctx, K_SCALE + i))
      SUMI_FAIL(ctx->err, SUMI_E_ARG, "the quantised cache has no '%s'", ctx->node->op->in[K_SCALE + i].name);
    if (*type != SUMI_INT8 || ctx->in[K_SCALE + i].rank < 0) continue;
    if (channels) SUMI_TRY(sumi_ms_want_rank(ctx, K_SCALE + i, 4, 4));
    const sumi_dim want[] = {1, sumi_attr_int(ctx->node, "kv_num_heads", 0), 1, x->h};
    for (int k = 0; k < ctx->in[K_SCALE + i].rank; k++)
      SUMI_TRY(sumi_ms_want_dim(ctx, K_SCALE + i, k, channels ? want[k] : 1, "number of scales"));
  }
  return SUMI_OK;
}

static sumi_status infer_past(struct sumi_infer *ctx, struct shape *x) {
  SUMI_TRY(check_pair(ctx, PAST_KEY, PAST_VALUE));
  for (int i = PAST_KEY; i <= PAST_VALUE; i++) {
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 4, 4));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, x->batch, "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 1, sumi_attr_int(ctx->node, "kv_num_heads", 0), "number of heads"));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 3, x->h, "head size"));
  }
  x->past = sumi_infer_has(ctx, PAST_KEY) ? sumi_ms_dim(ctx, PAST_KEY, 2) : 0;
  SUMI_TRY(sumi_ms_want_dim(ctx, PAST_VALUE, 2, x->past, "number of past keys"));
  const int64_t window = sumi_attr_int(ctx->node, "local_window_size", -1);
  if (sumi_attr_int(ctx->node, "sliding_window_cache", 0) && x->past >= 0 && x->past < window)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the cache has %" PRId64 " rows for a window of %" PRId64, x->past,
              window);
  bool known;
  int64_t total;
  SUMI_TRY(sumi_op_scalar(ctx, TOTAL, &known, &total));
  x->total = known ? total : sumi_content_at(&ctx->in[TOTAL], 0);
  if (known && total < 1) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "total_sequence_length is %" PRId64, total);
  return SUMI_OK;
}

static sumi_status gqa_infer(struct sumi_infer *ctx) {
  SUMI_TRY(check_attrs(ctx));
  for (int i = QUERY; i <= VALUE; i++) SUMI_TRY(sumi_ms_want_rank(ctx, i, 3, 3));
  SUMI_TRY(check_pair(ctx, KEY, VALUE));
  const int64_t heads = sumi_attr_int(ctx->node, "num_heads", 0),
                kv = sumi_attr_int(ctx->node, "kv_num_heads", 0);
  struct shape x = {.batch = sumi_ms_same(sumi_ms_dim(ctx, QUERY, 0), sumi_ms_dim(ctx, LENGTHS, 0)),
                    .s = sumi_ms_dim(ctx, QUERY, 1)};
  SUMI_TRY(sumi_ms_want_rank(ctx, LENGTHS, 1, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, LENGTHS, 0, x.batch, "batch size"));
  if (ctx->in[LENGTHS].rank == 2) SUMI_TRY(sumi_ms_want_dim(ctx, LENGTHS, 1, 1, "count of lengths"));
  for (int i = KEY; i <= VALUE; i++) {
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, x.batch, "batch size"));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 1, x.s, "number of tokens"));
  }
  SUMI_TRY(infer_head(ctx, &x.h));
  SUMI_TRY(infer_tables(ctx, &x));
  SUMI_TRY(infer_past(ctx, &x));
  SUMI_TRY(sumi_ms_infer_bias(ctx, BIAS, x.batch, heads, x.s, x.total));
  const bool sliding = sumi_attr_int(ctx->node, "sliding_window_cache", 0) != 0;
  const sumi_dim d = x.h >= 0 ? heads * x.h : SUMI_DIM_UNKNOWN,
                 rows = sliding ? x.past : sumi_dim_apply(ctx->symbols, SUMI_DIM_MAX, x.past, x.total);
  const sumi_dim y[] = {x.batch, x.s, d}, present[] = {x.batch, kv, rows, x.h},
                 qk[] = {x.batch, heads, x.s, x.total};
  const sumi_dtype type = ctx->in[QUERY].dtype;
  sumi_dtype cache;
  SUMI_TRY(infer_cache_type(ctx, &x, &cache));
  sumi_infer_out(ctx, 0, type, 3, y);
  sumi_infer_out(ctx, 1, cache, 4, present);
  sumi_infer_out(ctx, 2, cache, 4, present);
  sumi_infer_out(ctx, 3, type, 4, qk);
  return SUMI_OK;
}

/* ---- reference --------------------------------------------------------------------------------------------------- */

/* A call, and sequence b of it. */
struct gqa {
  const struct sumi_call *c;
  struct sumi_ms_attention a; /* past and t are sequence b's */
  int64_t kv, past_rows, window;
  bool sliding, interleaved, prompt, quantised;
  int64_t angles;          /* cosines of a position; 0 = nothing turns */
  float *turn;             /* [2 angles] */
  int64_t b, total, fresh; /* T and Q of the opening comment */
};

static void sizes(const struct sumi_call *c, struct gqa *g) {
  const struct sumi_tensor *q = c->in[QUERY];
  const struct sumi_node *node = c->node;
  const int64_t window = sumi_attr_int(node, "local_window_size", -1);
  *g = (struct gqa){.c = c,
                    .kv = sumi_attr_int(node, "kv_num_heads", 1),
                    .past_rows = sumi_call_has(c, PAST_KEY) ? c->in[PAST_KEY]->dim[2] : 0,
                    .window = window,
                    .sliding = sumi_attr_int(node, "sliding_window_cache", 0) != 0,
                    .quantised = is_quantised(node),
                    .interleaved = sumi_attr_int(node, "rotary_interleaved", 0) != 0,
                    .angles = sumi_attr_int(node, "do_rotary", 0) ? c->in[COS]->dim[1] : 0};
  struct sumi_ms_attention *a = &g->a;
  *a = (struct sumi_ms_attention){
      .batch = q->dim[0], .s = q->dim[1], .heads = sumi_attr_int(node, "num_heads", 1)};
  a->groups = a->heads / g->kv;
  a->l = a->s;
  a->h = a->hv = q->dim[2] / (sumi_call_has(c, KEY) ? a->heads : a->heads + 2 * g->kv);
  a->rows = a->t = g->past_rows + a->s;
  sumi_ms_attention_attrs(a, node);
  a->causal = sumi_attr_int(node, "causal", 1) != 0;
  a->window = SUMI_MAX(window, 0);
  a->softcap = sumi_attr_float(node, "softcap", 0);
  a->smooth = sumi_attr_int(node, "smooth_softmax", 0) == 1;
  a->sink = sumi_call_has(c, SINK) ? c->in[SINK] : NULL;
  a->bias = sumi_call_has(c, BIAS) ? c->in[BIAS] : NULL;
  a->normalised = sumi_attr_int(node, "qk_output", 0) == 2;
}

static sumi_status gqa_scratch(const struct sumi_call *c, size_t *bytes) {
  struct gqa g;
  sizes(c, &g);
  *bytes = 0;
  SUMI_TRY(sumi_ms_attention_book(&g.a, bytes, c->err));
  return sumi_ms_book(bytes, 2 * g.angles, sizeof(float), c->err);
}

/* How many of t tokens a cache of past_rows rows holds. */
static int64_t resident(const struct gqa *g, int64_t t) {
  if (!g->sliding || t <= g->past_rows) return t;
  const int64_t gap = g->past_rows - g->window + 1;
  return t - gap * ((t - g->past_rows + gap - 1) / gap);
}

/* Sequence b's lengths, checked; a->past, t, base. */
static sumi_status start_sequence(struct gqa *g, int64_t b, int64_t most) {
  const struct sumi_call *c = g->c;
  struct sumi_ms_attention *a = &g->a;
  g->b = b;
  g->total = (int64_t)((const int32_t *)c->in[LENGTHS]->data)[b] + 1;
  if (g->total < 1 || g->total > most)
    SUMI_FAIL(c->err, SUMI_E_VALUE,
              "seqlens_k[%" PRId64 "] is %" PRId64 " of a total_sequence_length of %" PRId64, b, g->total - 1,
              most);
  g->fresh = SUMI_MIN(a->s, g->total);
  if (sumi_call_has(c, CHUNKS)) {
    const int64_t given = ((const int32_t *)c->in[CHUNKS]->data)[b];
    if (given < 0 || given > g->fresh)
      SUMI_FAIL(c->err, SUMI_E_VALUE, "query_seqlens[%" PRId64 "] is %" PRId64 ", at most %" PRId64 " fit", b,
                given, g->fresh);
    g->fresh = given;
  }
  const int64_t before = g->total - g->fresh;
  if (!g->sliding && before > g->past_rows)
    SUMI_FAIL(c->err, SUMI_E_VALUE,
              "sequence %" PRId64 " has %" PRId64 " past tokens, the cache %" PRId64 " rows", b, before,
              g->past_rows);
  a->past = resident(g, before);
  a->base = before - a->past;
  a->t = a->past + g->fresh;
  return SUMI_OK;
}

/* x[h] /= sqrt(mean of squares + epsilon), times weight */
static void normalise(float *x, int64_t h, const struct sumi_tensor *weight, double epsilon) {
  double square = 0;
  for (int64_t i = 0; i < h; i++) square += (double)x[i] * (double)x[i];
  const double inverse = 1 / sqrt(square / (double)SUMI_MAX(h, 1) + epsilon);
  for (int64_t i = 0; i < h; i++)
    x[i] = (float)((double)x[i] * inverse * sumi_get_f64(weight->dtype, weight->data, i));
}

/* The angles of new token i into g->turn. */
static sumi_status load_turn(const struct gqa *g, int64_t i) {
  const struct sumi_call *c = g->c;
  const struct sumi_tensor *cosines = c->in[COS], *sines = c->in[SIN];
  int64_t p = g->total - g->fresh + i;
  if (sumi_call_has(c, POSITIONS)) {
    const int64_t *given = c->in[POSITIONS]->data;
    p = g->prompt ? given[0] : given[g->b * g->a.s + i];
    if (g->prompt && p >= 0 && p < cosines->dim[0]) p += i;
  }
  if (p < 0 || p >= cosines->dim[0])
    SUMI_FAIL(c->err, SUMI_E_VALUE, "position %" PRId64 " is outside the caches of %" PRId64, p,
              cosines->dim[0]);
  sumi_to_f32(cosines->dtype, cosines->data, p * g->angles, g->angles, g->turn);
  sumi_to_f32(sines->dtype, sines->data, p * g->angles, g->angles, g->turn + g->angles);
  return SUMI_OK;
}

/* Where q, k or v of a token stand: tensor, and the element of head 0 of token 0; tokens are width apart. */
struct source {
  const struct sumi_tensor *tensor;
  int64_t first, width;
};

static struct source source_of(const struct gqa *g, int input) {
  const struct sumi_call *c = g->c;
  const struct sumi_ms_attention *a = &g->a;
  const int64_t q = a->heads * a->h, kv = g->kv * a->h;
  if (sumi_call_has(c, KEY)) return (struct source){c->in[input], 0, input == QUERY ? q : kv};
  return (struct source){c->in[QUERY], input == QUERY ? 0 : input == KEY ? q : q + kv, q + 2 * kv};
}

/* The scale of element i of a head of keys (which = 0) or values (1). */
static double scale_of(const struct gqa *g, int which, int64_t head, int64_t i) {
  const struct sumi_tensor *t = g->c->in[K_SCALE + which];
  return sumi_get_f64(t->dtype, t->data, sumi_tensor_count(t) == 1 ? 0 : head * g->a.h + i);
}

/* What a quantised cache holds of x. */
static double code(double x, double scale) { return fmax(-128, fmin(127, nearbyint(x / scale))); }

/* A head of a new token as a quantised cache gives it back. */
static void round_head(const struct gqa *g, int which, int64_t head, float *x) {
  for (int64_t i = 0; i < g->a.h; i++) {
    const double scale = scale_of(g, which, head, i);
    x[i] = (float)(code((double)x[i], scale) * scale);
  }
}

/* n rows of a head's past from the cache to the scratch, or the other way. */
static void read_cache(const struct gqa *g, int which, int64_t head, int64_t first, int64_t n, float *to) {
  const struct sumi_tensor *past = g->c->in[PAST_KEY + which];
  if (!g->quantised) {
    sumi_to_f32(past->dtype, past->data, first, n * g->a.h, to);
    return;
  }
  for (int64_t k = 0; k < n * g->a.h; k++)
    to[k] = (float)(((const int8_t *)past->data)[first + k] * scale_of(g, which, head % g->kv, k % g->a.h));
}

static void write_cache(const struct gqa *g, int which, int64_t head, const float *from, int64_t n,
                        struct sumi_tensor *present, int64_t first) {
  if (!g->quantised) {
    sumi_from_f32(present->dtype, from, n * g->a.h, present->data, first);
    return;
  }
  for (int64_t k = 0; k < n * g->a.h; k++)
    sumi_set_f64(SUMI_INT8, present->data, first + k,
                 code((double)from[k], scale_of(g, which, head % g->kv, k % g->a.h)));
}

/* The heads of token i of one input, normalised and turned, into rows at + i of to[batch, heads, rows, h]. */
static void place(const struct gqa *g, int input, int64_t i, int64_t heads, float *to, int64_t rows,
                  int64_t at) {
  const int64_t h = g->a.h;
  const struct source from = source_of(g, input);
  const int norm = input == QUERY ? Q_NORM : K_NORM;
  const float epsilon = sumi_attr_float(g->c->node, input == QUERY ? "q_norm_epsilon" : "k_norm_epsilon",
                                        sumi_attr_float(g->c->node, "qk_norm_epsilon", 1e-6f));
  for (int64_t n = 0; n < heads; n++) {
    float *x = to + ((g->b * heads + n) * rows + at + i) * h;
    sumi_to_f32(from.tensor->dtype, from.tensor->data, from.first + (g->b * g->a.s + i) * from.width + n * h,
                h, x);
    if (input != VALUE && sumi_call_has(g->c, norm)) normalise(x, h, g->c->in[norm], (double)epsilon);
    if (input != VALUE && g->angles && i < g->fresh) sumi_ms_turn(x, g->turn, g->angles, g->interleaved);
    if (input != QUERY && g->quantised) round_head(g, input - KEY, n, x);
  }
}

/* Past and new keys (which = 0) or values (1) of sequence b, from the scratch to the cache. */
static void keep(const struct gqa *g, int which, const float *from) {
  if (!sumi_call_wants(g->c, 1 + which)) return;
  struct sumi_tensor *present = g->c->out[1 + which];
  const struct sumi_tensor *past = g->past_rows ? g->c->in[PAST_KEY + which] : NULL;
  const int64_t h = g->a.h, rows = present->dim[2], n = resident(g, g->total);
  for (int64_t head = g->b * g->kv; head < (g->b + 1) * g->kv; head++) {
    write_cache(g, which, head, from + (head * g->a.rows + g->a.t - n) * h, n, present, head * rows * h);
    const int64_t old = past && !g->sliding && g->past_rows > n ? g->past_rows - n : 0;
    if (old)
      sumi_copy(present->dtype, present->data, (head * rows + n) * h, past->data,
                (head * g->past_rows + n) * h, old * h);
    sumi_fill(present->dtype, present->data, (head * rows + n + old) * h, (rows - n - old) * h, NULL, 0);
  }
}

static sumi_status run_sequence(struct gqa *g) {
  const struct sumi_call *c = g->c;
  const struct sumi_ms_attention *a = &g->a;
  for (int64_t head = g->b * g->kv; head < (g->b + 1) * g->kv && a->past; head++)
    for (int i = 0; i < 2; i++)
      read_cache(g, i, head, head * g->past_rows * a->h, a->past, (i ? a->v : a->k) + head * a->rows * a->h);
  for (int64_t i = 0; i < a->s; i++) {
    if (g->angles && i < g->fresh) SUMI_TRY(load_turn(g, i));
    place(g, QUERY, i, a->heads, a->q, a->s, 0);
    if (i >= g->fresh) continue;
    place(g, KEY, i, g->kv, a->k, a->rows, a->past);
    place(g, VALUE, i, g->kv, a->v, a->rows, a->past);
  }
  keep(g, 0, a->k);
  keep(g, 1, a->v);
  sumi_ms_attend_one(a, g->b, sumi_call_wants(c, 0) ? c->out[0] : NULL,
                     sumi_call_wants(c, 3) ? c->out[3] : NULL);
  return SUMI_OK;
}

static sumi_status gqa_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct gqa g;
  sizes(c, &g);
  g.a.tools = tools;
  char *scratch = c->scratch;
  sumi_ms_attention_take(&g.a, &scratch);
  g.turn = sumi_ms_take(&scratch, 2 * g.angles, sizeof *g.turn);
  const int64_t most = sumi_get_i64(c->in[TOTAL]->dtype, c->in[TOTAL]->data, 0);
  if (g.a.bias && g.a.bias->dim[3] != most)
    SUMI_FAIL(c->err, SUMI_E_SHAPE, "the bias is for %" PRId64 " keys, total_sequence_length is %" PRId64,
              g.a.bias->dim[3], most);
  g.prompt = most == g.a.s && !sumi_call_has(c, CHUNKS);
  if (sumi_call_wants(c, 3))
    sumi_fill(c->out[3]->dtype, c->out[3]->data, 0, sumi_tensor_count(c->out[3]), NULL, 0);
  for (int64_t b = 0; b < g.a.batch; b++) {
    SUMI_TRY(start_sequence(&g, b, most));
    SUMI_TRY(run_sequence(&g));
  }
  return SUMI_OK;
}

static sumi_status gqa_ref(const struct sumi_call *c) { return gqa_run(c, NULL); }

static sumi_status gqa_lower(struct sumi_lower *l) {
  const struct sumi_call c = sumi_lower_call(l);
  struct gqa g;
  sizes(&c, &g);
  return sumi_ms_attention_lower(l, gqa_run, &g.a, -1);
}

static void gqa_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct gqa g;
  sizes(c, &g);
  cost->macs = cost->dense_macs =
      2 * (double)g.a.batch * (double)g.a.heads * (double)g.a.s * (double)g.a.t * (double)g.a.h;
  sumi_ms_cost_bytes(c, cost);
}

static const struct sumi_attr_spec attrs[] = {{"num_heads", SUMI_ATTR_INT, true},
                                              {"kv_num_heads", SUMI_ATTR_INT, true},
                                              {"scale", SUMI_ATTR_FLOAT},
                                              {"softcap", SUMI_ATTR_FLOAT},
                                              {"causal", SUMI_ATTR_INT},
                                              {"local_window_size", SUMI_ATTR_INT},
                                              {"sliding_window_cache", SUMI_ATTR_INT},
                                              {"do_rotary", SUMI_ATTR_INT},
                                              {"rotary_interleaved", SUMI_ATTR_INT},
                                              {"smooth_softmax", SUMI_ATTR_INT},
                                              {"qk_output", SUMI_ATTR_INT},
                                              {"qk_norm_epsilon", SUMI_ATTR_FLOAT},
                                              {"q_norm_epsilon", SUMI_ATTR_FLOAT},
                                              {"k_norm_epsilon", SUMI_ATTR_FLOAT},
                                              {"k_quant_type", SUMI_ATTR_STRING},
                                              {"v_quant_type", SUMI_ATTR_STRING},
                                              {"kv_cache_bit_width", SUMI_ATTR_INT} /* of quantised caches */,
                                              {NULL}};
#define CACHE (SUMI_MS_T | SUMI_BIT(SUMI_INT8))
static const struct sumi_port in[] = {{"query", SUMI_MS_T, 'T'},
                                      {"key", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"value", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_key", CACHE, 'C', SUMI_PORT_OPTIONAL},
                                      {"past_value", CACHE, 'C', SUMI_PORT_OPTIONAL},
                                      {"seqlens_k", SUMI_BIT(SUMI_INT32)},
                                      {"total_sequence_length", SUMI_BIT(SUMI_INT32)},
                                      {"cos_cache", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"sin_cache", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"position_ids", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                      {"attention_bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"head_sink", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"k_scale", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL},
                                      {"v_scale", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL},
                                      {"q_norm_weight", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"k_norm_weight", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                      {"query_seqlens", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_MS_T, 'T'},
                                       {"present_key", CACHE, 'C', SUMI_PORT_OPTIONAL},
                                       {"present_value", CACHE, 'C', SUMI_PORT_OPTIONAL},
                                       {"output_qk", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                       {NULL}};

#define GQA(attributes, inputs) \
  " = com.microsoft.GroupQueryAttention <num_heads = 4, " attributes "> (" inputs ") }"
static const char sums[] = "float sums in another order than the reference's";
static const struct sumi_case cases[] = {
    {"g (float[2,5,16] q, float[2,5,8] k, float[2,5,8] v) => (y, p, r) <int32[2] l = {4, 2}, int32 t = {5}> "
     "{ y, p, r" GQA("kv_num_heads = 2", "q, k, v, , , l, t"),
     .rtol = 1e-5, .why = sums},
    {"g (float[1,3,32] q, float[1,2,9,4] p, float[1,2,9,4] v, float[16,2] c, float[16,2] s) => (y, a, b) "
     "<int32[1] l = {7}, int32[1] t = {8}> { y, a, b" GQA(
         "kv_num_heads = 2, do_rotary = 1, local_window_size = 3", "q, , , p, v, l, t, c, s"),
     .rtol = 1e-5, .why = "q, k, v in one; a cache with room; a window"},
    {"g (float[2,1,16] q, float[2,1,4] k, float[2,1,4] v, float[2,1,4,4] p, float[2,1,4,4] o, float[9,1] c, "
     "float[9,1] s, float[4] e) => (y, a, b, r) <int32[2] l = {4, 2}, int32 t = {5}> { y, a, b, r" GQA(
         "kv_num_heads = 1, do_rotary = 1, rotary_interleaved = 1, softcap = 2.0, qk_output = 2",
         "q, k, v, p, o, l, t, c, s, , , e"),
     .rtol = 1e-5, .why = "a half of each head turns; sinks; probabilities; one past is shorter"},
    {"g (float16[1,2,16] q, float16[1,2,8] k, float16[1,2,8] v, float16[4] w, float16[4] u) => (y) <int32[1] "
     "l = "
     "{1}, int32 t = {2}> { y" GQA("kv_num_heads = 2, causal = 0, smooth_softmax = 1",
                                   "q, k, v, , , l, t, , , , , , , , w, u"),
     .rtol = 2e-3, .why = "float16 result; heads normalised"},
    {"g (float[1,2,16] q, float[1,2,8] k, float[1,2,8] v, int8[1,2,5,4] p, int8[1,2,5,4] o) => (y, a, b) "
     "<int32[1] l = "
     "{4}, int32 t = {5}, float[1] s = {0.02}, float[1,2,1,4] u = {0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, "
     "0.08}> { y, a, "
     "b" GQA("kv_num_heads = 2, k_quant_type = \"PER_TENSOR\", v_quant_type = \"PER_CHANNEL\"",
             "q, k, v, p, o, l, t, , , , , , s, u"),
     .rtol = 1e-5, .low = -2, .high = 2, .why = "a cache of 8 bits"},
    {NULL},
};

const struct sumi_op sumi_op_ms_group_query_attention = {
    .name = "com.microsoft.GroupQueryAttention",
    .formula = "softmax(cap(scale q k^T) + bias) v, several heads of q to one of k and v",
    .known_as = {{"com.microsoft", "GroupQueryAttention", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = gqa_infer,
    .ref = gqa_ref,
    .lower = gqa_lower,
    .scratch = gqa_scratch,
    .cost = gqa_cost,
    .cases = cases,
};

/* Attention (ai.onnx 23 on): for every batch b, query head n and query token s, with the key head n / (q_heads / kv_heads),
 *   score[t] = softcap(scale * q[b, n, s] . k[b, m, t]) + bias(b, n, s, t)
 *   y[b, n, s] = sum over t of softmax(score)[t] * v[b, m, t]
 * over past and new tokens t. The bias adds attn_mask (false = minus infinity, also where it is too short) and minus infinity
 * where is_causal (t > s + shift), a window (left, right) around s + shift, or nonpad_kv_seqlen hides a token; shift is the
 * length of the past, or nonpad_kv_seqlen - queries. A query that sees nothing gives zeros. Tensors are [batch, heads, tokens,
 * size] or [batch, tokens, heads * size]. In double precision, rounded once; softmax_precision asks for less and is only
 * checked. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/attend.h"
#include "op/fattention_cells.h"
#include "op/op_util.h"
#include "op/widen.h"

enum { Q, K, V, MASK, PAST_K, PAST_V, LENGTHS };           /* inputs */
enum { Y, PRESENT_K, PRESENT_V, SCORES };                  /* outputs */
enum { MODE_RAW, MODE_CAPPED, MODE_BIASED, MODE_SOFTMAX }; /* of output SCORES */

/* ---- shapes --------------------------------------------------------------------------------------------------- */

/* [batch, heads, tokens, size] of q, k or v, whichever way it lies; dims may be unknown. */
static sumi_status view(const struct sumi_node *node, int rank, const sumi_dim *dim, const char *heads_attr,
                        sumi_dim out[4], struct sumi_err *err) {
  const int64_t heads = sumi_attr_int(node, heads_attr, 0);
  if (rank == 4) {
    for (int i = 0; i < 4; i++) out[i] = dim[i];
    return SUMI_OK;
  }
  if (rank != 3) SUMI_FAIL(err, SUMI_E_SHAPE, "an input has rank %d, not 3 or 4", rank);
  if (heads < 1)
    SUMI_FAIL(err, SUMI_E_VALUE, "inputs of rank 3 need %s, which is %" PRId64, heads_attr, heads);
  if (dim[2] >= 0 && dim[2] % heads)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%" PRId64 " features are no multiple of %" PRId64 " heads", dim[2], heads);
  out[0] = dim[0];
  out[1] = heads;
  out[2] = dim[1];
  out[3] = dim[2] >= 0 ? dim[2] / heads : SUMI_DIM_UNKNOWN;
  return SUMI_OK;
}

static sumi_status agree(struct sumi_err *err, const char *what, sumi_dim a, sumi_dim b) {
  if (a >= 0 && b >= 0 && a != b) SUMI_FAIL(err, SUMI_E_SHAPE, "%s: %" PRId64 " and %" PRId64, what, a, b);
  return SUMI_OK;
}

struct shapes {
  sumi_dim q[4], k[4], v[4]; /* [batch, heads, tokens, size] */
  sumi_dim past, total;
};

static sumi_status check_past(struct sumi_infer *ctx, struct shapes *s) {
  const bool key = sumi_infer_has(ctx, PAST_K), value = sumi_infer_has(ctx, PAST_V);
  if (key != value) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "past_key and past_value are used together");
  s->past = key ? SUMI_DIM_UNKNOWN : 0;
  for (int i = 0; i < 2 && key; i++) {
    const struct sumi_info *p = &ctx->in[PAST_K + i];
    const sumi_dim *new = i ? s->v : s->k;
    if (p->rank < 0) continue;
    if (p->rank != 4) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, not 4", PAST_K + i, p->rank);
    SUMI_TRY(agree(ctx->err, "batches of the past and of the new tokens", p->dim[0], new[0]));
    SUMI_TRY(agree(ctx->err, "heads of the past and of the new tokens", p->dim[1], new[1]));
    SUMI_TRY(agree(ctx->err, "head sizes of the past and of the new tokens", p->dim[3], new[3]));
    SUMI_TRY(agree(ctx->err, "tokens of past_key and past_value", s->past, p->dim[2]));
    s->past = p->dim[2];
  }
  s->total = sumi_dim_add(ctx->symbols, s->past, s->k[2]);
  return SUMI_OK;
}

/* attn_mask broadcasts to [batch, heads, queries, total]; its last dimension may be shorter. */
static sumi_status check_mask(const struct sumi_infer *ctx, const struct shapes *s) {
  if (!sumi_infer_has(ctx, MASK) || ctx->in[MASK].rank < 0) return SUMI_OK;
  const struct sumi_info *m = &ctx->in[MASK];
  const sumi_dim want[4] = {s->q[0], s->q[1], s->q[2], s->total};
  if (m->rank < 1 || m->rank > 4)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "attn_mask has rank %d, not 1 to 4", m->rank);
  for (int i = 0; i < m->rank; i++) {
    const int at = 4 - m->rank + i;
    if (m->dim[i] < 0 || want[at] < 0 || (at < 3 && m->dim[i] == 1)) continue;
    if (at == 3 ? m->dim[i] > want[at] : m->dim[i] != want[at])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
                "dimension %d of attn_mask is %" PRId64 ", which does not fit %" PRId64, i, m->dim[i],
                want[at]);
  }
  return SUMI_OK;
}

static sumi_status check_attrs(const struct sumi_infer *ctx) {
  const int64_t mode = sumi_attr_int(ctx->node, "qk_matmul_output_mode", 0);
  if (mode < MODE_RAW || mode > MODE_SOFTMAX)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "qk_matmul_output_mode is %" PRId64, mode);
  if (sumi_node_attr(ctx->node, "softmax_precision") &&
      !sumi_dtype_in(sumi_dtype_from_onnx(sumi_attr_int(ctx->node, "softmax_precision", 0)), SUMI_FLOATS))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "softmax_precision is no float");
  const int64_t left = sumi_attr_int(ctx->node, "left_window_size", -1),
                right = sumi_attr_int(ctx->node, "right_window_size", -1);
  if (left < -1 || left > INT32_MAX || right < -1 || right > INT32_MAX)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "the window is %" PRId64 " and %" PRId64, left, right);
  if (!(sumi_attr_float(ctx->node, "scale", 1) >= 0)) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "scale is negative");
  return SUMI_OK;
}

static void out_4(struct sumi_infer *ctx, int i, sumi_dtype d, sumi_dim a, sumi_dim b, sumi_dim c,
                  sumi_dim e) {
  sumi_infer_out(ctx, i, d, 4, (sumi_dim[]){a, b, c, e});
}

static sumi_status attention_infer(struct sumi_infer *ctx) {
  const struct sumi_info *q = &ctx->in[Q], *k = &ctx->in[K], *v = &ctx->in[V];
  SUMI_TRY(check_attrs(ctx));
  if (q->rank < 0 || k->rank < 0 || v->rank < 0) {
    for (int i = 0; i < 4; i++) sumi_infer_out_unknown(ctx, i, i == PRESENT_V ? v->dtype : q->dtype);
    return SUMI_OK;
  }
  if (q->rank != k->rank || q->rank != v->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "Q, K and V have ranks %d, %d and %d", q->rank, k->rank, v->rank);
  struct shapes s;
  SUMI_TRY(view(ctx->node, q->rank, q->dim, "q_num_heads", s.q, ctx->err));
  SUMI_TRY(view(ctx->node, k->rank, k->dim, "kv_num_heads", s.k, ctx->err));
  SUMI_TRY(view(ctx->node, v->rank, v->dim, "kv_num_heads", s.v, ctx->err));
  SUMI_TRY(agree(ctx->err, "batches of Q and K", s.q[0], s.k[0]));
  SUMI_TRY(agree(ctx->err, "batches of Q and V", s.q[0], s.v[0]));
  SUMI_TRY(agree(ctx->err, "heads of K and V", s.k[1], s.v[1]));
  SUMI_TRY(agree(ctx->err, "tokens of K and V", s.k[2], s.v[2]));
  SUMI_TRY(agree(ctx->err, "head sizes of Q and K", s.q[3], s.k[3]));
  if (s.q[1] >= 0 && s.k[1] >= 0 && (s.k[1] == 0 || s.q[1] % s.k[1]))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " query heads are no multiple of %" PRId64 " key heads",
              s.q[1], s.k[1]);
  SUMI_TRY(check_past(ctx, &s));
  SUMI_TRY(check_mask(ctx, &s));
  if (sumi_infer_has(ctx, LENGTHS)) {
    const struct sumi_info *n = &ctx->in[LENGTHS];
    if (sumi_infer_has(ctx, PAST_K))
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "nonpad_kv_seqlen and past_key exclude each other");
    if (n->rank >= 0 && n->rank != 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "nonpad_kv_seqlen has rank %d, not 1", n->rank);
    if (n->rank == 1)
      SUMI_TRY(agree(ctx->err, "elements of nonpad_kv_seqlen and batches", n->dim[0], s.q[0]));
  }
  if (q->rank == 4)
    out_4(ctx, Y, q->dtype, s.q[0], s.q[1], s.q[2], s.v[3]);
  else
    sumi_infer_out(ctx, Y, q->dtype, 3,
                   (sumi_dim[]){s.q[0], s.q[2], sumi_dim_mul(ctx->symbols, s.q[1], s.v[3])});
  out_4(ctx, PRESENT_K, k->dtype, s.k[0], s.k[1], s.total, s.k[3]);
  out_4(ctx, PRESENT_V, v->dtype, s.v[0], s.v[1], s.total, s.v[3]);
  out_4(ctx, SCORES, q->dtype, s.q[0], s.q[1], s.q[2], s.total);
  return SUMI_OK;
}

/* ---- running -------------------------------------------------------------------------------------------------- */

struct attention {
  const struct sumi_call *call;
  struct sumi_wide wide;
  int64_t q[4], k[4], v[4]; /* [batch, heads, tokens, size] */
  int64_t past, total;
  double scale, softcap;
  double *score, *bias; /* [total] */
};

static sumi_status resolve(const struct sumi_call *c, struct attention *a) {
  const struct sumi_tensor *q = c->in[Q], *k = c->in[K], *v = c->in[V];
  *a = (struct attention){.call = c};
  SUMI_TRY(view(c->node, q->rank, q->dim, "q_num_heads", a->q, c->err));
  SUMI_TRY(view(c->node, k->rank, k->dim, "kv_num_heads", a->k, c->err));
  SUMI_TRY(view(c->node, v->rank, v->dim, "kv_num_heads", a->v, c->err));
  a->past = sumi_call_has(c, PAST_K) ? c->in[PAST_K]->dim[2] : 0;
  a->total = a->past + a->k[2];
  const double usual = a->q[3] ? 1 / sqrt((double)a->q[3]) : 1;
  a->scale = sumi_node_attr(c->node, "scale") ? (double)sumi_attr_float(c->node, "scale", 1) : usual;
  a->softcap = sumi_attr_float(c->node, "softcap", 0);
  return SUMI_OK;
}

static double get(const struct attention *a, int i, int64_t at) {
  const struct sumi_tensor *t = a->call->in[i];
  return a->wide.in[i] ? (double)a->wide.in[i][at] : sumi_get_f64(t->dtype, t->data, at);
}

/* First element of token t of head h: of q, or of the new tokens of k or v, by the view's sizes d. */
static int64_t token(const struct attention *a, int i, const int64_t *d, int64_t b, int64_t h, int64_t t) {
  return (a->call->in[i]->rank == 4 ? (b * d[1] + h) * d[2] + t : (b * d[2] + t) * d[1] + h) * d[3];
}

/* Where token t of all tokens of k (i = K) or v (i = V) lies: the input and its first element. */
static int64_t any_token(const struct attention *a, int i, const int64_t *d, int64_t b, int64_t h, int64_t t,
                         int *from) {
  *from = t < a->past ? PAST_K + (i - K) : i;
  return t < a->past ? ((b * d[1] + h) * a->past + t) * d[3] : token(a, i, d, b, h, t - a->past);
}

/* The keys [begin, end) that causality, window and lengths leave to query token s; begin may lie beyond end. */
struct seen {
  int64_t begin, end;
};

static struct seen what_is_seen(const struct attention *a, int64_t b, int64_t s) {
  const struct sumi_call *c = a->call;
  const int64_t left = sumi_attr_int(c->node, "left_window_size", -1),
                right = sumi_attr_int(c->node, "right_window_size", -1);
  const int64_t length = sumi_call_has(c, LENGTHS) ? ((const int64_t *)c->in[LENGTHS]->data)[b] : a->total;
  const int64_t position = s + (sumi_call_has(c, LENGTHS) ? length - a->q[2] : a->past);
  struct seen seen = {left >= 0 ? SUMI_MAX(position - left, 0) : 0, length};
  if (sumi_attr_int(c->node, "is_causal", 0)) seen.end = SUMI_MIN(seen.end, position + 1);
  if (right >= 0) seen.end = SUMI_MIN(seen.end, position + right + 1);
  return seen;
}

/* The first element of the mask's row for query token s of head n. */
static int64_t mask_row(const struct sumi_tensor *mask, int64_t b, int64_t n, int64_t s) {
  const int64_t at[3] = {b, n, s};
  int64_t row = 0;
  for (int i = 0; i < mask->rank - 1; i++)
    row = row * mask->dim[i] + (mask->dim[i] == 1 ? 0 : at[3 - (mask->rank - 1) + i]);
  return row * mask->dim[mask->rank - 1];
}

/* bias[0..total) of query token s of head n; false: all of it is minus infinity. */
static bool make_bias(const struct attention *a, int64_t b, int64_t n, int64_t s) {
  const struct sumi_call *c = a->call;
  const struct sumi_tensor *mask = sumi_call_has(c, MASK) ? c->in[MASK] : NULL;
  const struct seen seen = what_is_seen(a, b, s);
  const int64_t row = mask ? mask_row(mask, b, n, s) : 0, wide = mask ? mask->dim[mask->rank - 1] : a->total;
  bool any = false;
  for (int64_t t = 0; t < a->total; t++) {
    double bias = 0;
    if (mask && t >= wide)
      bias = -INFINITY;
    else if (mask) {
      const double m = get(a, MASK, row + t);
      bias = mask->dtype == SUMI_BOOL ? (m != 0 ? 0 : -INFINITY) : m;
    }
    if (t < seen.begin || t >= seen.end) bias = -INFINITY;
    a->bias[t] = bias;
    any = any || bias != -INFINITY;
  }
  return any;
}

static void put_scores(const struct attention *a, int64_t row, int64_t mode) {
  if (!sumi_call_wants(a->call, SCORES) || sumi_attr_int(a->call->node, "qk_matmul_output_mode", 0) != mode)
    return;
  const struct sumi_tensor *out = a->call->out[SCORES];
  for (int64_t t = 0; t < a->total; t++) sumi_set_f64(out->dtype, out->data, row * a->total + t, a->score[t]);
}

/* score[0..total) becomes softmax(score), zeros where nothing is seen. */
static void softmax(const struct attention *a, bool any) {
  double max = -INFINITY, sum = 0;
  for (int64_t t = 0; t < a->total; t++) max = fmax(max, a->score[t]);
  for (int64_t t = 0; t < a->total; t++) {
    a->score[t] = any ? exp(a->score[t] - max) : 0;
    sum += a->score[t];
  }
  for (int64_t t = 0; t < a->total && any; t++) a->score[t] /= sum;
}

/* Query token s of head n. */
static void attend(const struct attention *a, int64_t b, int64_t n, int64_t s) {
  const int64_t head = n / (a->q[1] / a->k[1]), row = (b * a->q[1] + n) * a->q[2] + s,
                query = token(a, Q, a->q, b, n, s);
  int from;
  for (int64_t t = 0; t < a->total; t++) {
    const int64_t key = any_token(a, K, a->k, b, head, t, &from);
    double sum = 0;
    for (int64_t i = 0; i < a->q[3]; i++) sum += get(a, Q, query + i) * get(a, from, key + i);
    a->score[t] = sum * a->scale;
  }
  put_scores(a, row, MODE_RAW);
  for (int64_t t = 0; t < a->total && a->softcap != 0; t++)
    a->score[t] = a->softcap * tanh(a->score[t] / a->softcap);
  put_scores(a, row, MODE_CAPPED);
  const bool any = make_bias(a, b, n, s);
  for (int64_t t = 0; t < a->total; t++) a->score[t] += a->bias[t];
  put_scores(a, row, MODE_BIASED);
  softmax(a, any);
  put_scores(a, row, MODE_SOFTMAX);
  const struct sumi_tensor *y = a->call->out[Y];
  if (!y) return;
  const int64_t to = (y->rank == 4 ? row : (b * a->q[2] + s) * a->q[1] + n) * a->v[3];
  for (int64_t i = 0; i < a->v[3]; i++) {
    double sum = 0;
    for (int64_t t = 0; t < a->total; t++) {
      if (a->score[t] == 0) continue; /* hidden: what padding holds must not count, be it NaN */
      const int64_t value = any_token(a, V, a->v, b, head, t, &from);
      sum += a->score[t] * get(a, from, value + i);
    }
    sumi_set_f64(y->dtype, y->data, to + i, sum);
  }
}

/* present = past tokens, then the new ones, of every head. */
static void put_present(const struct attention *a, int out, int in, const int64_t *d) {
  if (!sumi_call_wants(a->call, out) || !sumi_tensor_count(a->call->out[out])) return;
  const struct sumi_tensor *y = a->call->out[out];
  int64_t to = 0;
  for (int64_t b = 0; b < d[0]; b++)
    for (int64_t h = 0; h < d[1]; h++)
      for (int64_t t = 0; t < a->total; t++, to += d[3]) {
        int from;
        const int64_t at = any_token(a, in, d, b, h, t, &from);
        sumi_copy(y->dtype, y->data, to, a->call->in[from]->data, at, d[3]);
      }
}

static sumi_status check_lengths(const struct attention *a) {
  const struct sumi_call *c = a->call;
  for (int64_t b = 0; sumi_call_has(c, LENGTHS) && b < a->q[0]; b++) {
    const int64_t n = ((const int64_t *)c->in[LENGTHS]->data)[b];
    if (n < 0 || n > a->total)
      SUMI_FAIL(c->err, SUMI_E_VALUE,
                "nonpad_kv_seqlen[%" PRId64 "] is %" PRId64 ", there are %" PRId64 " tokens", b, n, a->total);
  }
  return SUMI_OK;
}

static sumi_status attention_scratch(const struct sumi_call *c, size_t *bytes) {
  struct attention a;
  SUMI_TRY(resolve(c, &a));
  size_t wide, rows;
  SUMI_TRY(sumi_widen_scratch(c, &wide));
  if (!sumi_size_mul((size_t)a.total, 2 * sizeof(double), &rows) || !sumi_size_add(wide, rows, bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "%" PRId64 " tokens are too many", a.total);
  return SUMI_OK;
}

static sumi_status attention_ref(const struct sumi_call *c) {
  struct attention a;
  SUMI_TRY(resolve(c, &a));
  size_t wide;
  SUMI_TRY(sumi_widen_scratch(c, &wide));
  sumi_widen(c, &a.wide);
  a.score = (double *)(void *)((char *)c->scratch + wide);
  a.bias = a.score + a.total;
  SUMI_TRY(check_lengths(&a));
  put_present(&a, PRESENT_K, K, a.k);
  put_present(&a, PRESENT_V, V, a.v);
  if (!a.q[1] || !a.q[2]) return SUMI_OK;
  for (int64_t b = 0; b < a.q[0]; b++)
    for (int64_t n = 0; n < a.q[1]; n++)
      for (int64_t s = 0; s < a.q[2]; s++) attend(&a, b, n, s);
  return SUMI_OK;
}

/* ---- with kernels ----------------------------------------------------------------------------------------------- */

/* Where tokens of heads lie in q, k, v or y, flat or by head. */
static struct sumi_attend_place place_of(const struct sumi_tensor *t, int64_t heads, int64_t tokens,
                                         int64_t size) {
  if (t->rank == 4) return (struct sumi_attend_place){heads * tokens * size, tokens * size, size};
  return (struct sumi_attend_place){tokens * heads * size, size, heads * size};
}

/* row[t] of the bias; as make_bias() for float32, in stretches. */
static bool bias_row(const void *user, int64_t b, int64_t n, int64_t s, float *row) {
  const struct attention *a = user;
  const struct sumi_call *c = a->call;
  const struct sumi_tensor *mask = sumi_call_has(c, MASK) ? c->in[MASK] : NULL;
  const struct seen seen = what_is_seen(a, b, s);
  int64_t wide = a->total;
  if (mask) {
    const int64_t first = mask_row(mask, b, n, s);
    wide = mask->dim[mask->rank - 1];
    if (mask->dtype == SUMI_BOOL)
      for (int64_t t = 0; t < wide; t++) row[t] = ((const uint8_t *)mask->data)[first + t] ? 0 : -INFINITY;
    else
      sumi_to_f32(mask->dtype, mask->data, first, wide, row);
  } else {
    memset(row, 0, (size_t)wide * sizeof *row);
  }
  const int64_t begin = SUMI_MIN(seen.begin, a->total), end = SUMI_MAX(SUMI_MIN(seen.end, wide), 0);
  for (int64_t t = 0; t < begin; t++) row[t] = -INFINITY;
  for (int64_t t = end; t < a->total; t++) row[t] = -INFINITY;
  bool any = false;
  for (int64_t t = begin; t < end && !any; t++) any = row[t] != -INFINITY;
  return any;
}

static sumi_status run_fast(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct attention a;
  SUMI_TRY(resolve(c, &a));
  SUMI_TRY(check_lengths(&a));
  put_present(&a, PRESENT_K, K, a.k);
  put_present(&a, PRESENT_V, V, a.v);
  const bool hides = sumi_attr_int(c->node, "is_causal", 0) ||
                     sumi_attr_int(c->node, "left_window_size", -1) >= 0 ||
                     sumi_attr_int(c->node, "right_window_size", -1) >= 0;
  const struct sumi_tensor *k = a.past ? c->out[PRESENT_K] : c->in[K],
                           *v = a.past ? c->out[PRESENT_V] : c->in[V];
  struct sumi_attend f = {
      .batch = a.q[0],
      .heads = a.q[1],
      .groups = a.q[1] / a.k[1],
      .s = a.q[2],
      .t = a.total,
      .h = a.q[3],
      .hv = a.v[3],
      .q = c->in[Q]->data,
      .k = k->data,
      .v = v->data,
      .q_at = place_of(c->in[Q], a.q[1], a.q[2], a.q[3]),
      .k_at = place_of(k, a.k[1], a.total, a.k[3]),
      .v_at = place_of(v, a.v[1], a.total, a.v[3]),
      .scale = (float)a.scale,
      .softcap = (float)a.softcap,
      .bias = hides || sumi_call_has(c, MASK) || sumi_call_has(c, LENGTHS) ? bias_row : NULL,
      .user = &a,
      .y = c->out[Y],
      .scores = sumi_call_wants(c, SCORES) ? c->out[SCORES] : NULL,
      .scores_at = {a.q[1] * a.q[2] * a.total, a.q[2] * a.total, a.total},
      .normalised = sumi_attr_int(c->node, "qk_matmul_output_mode", 0) == MODE_SOFTMAX};
  if (f.y) f.y_at = place_of(f.y, a.q[1], a.q[2], a.v[3]);
  sumi_attend(&f, tools->user, tools->par, tools->scratch);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "attend", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status attention_lower(struct sumi_lower *l) {
  const struct sumi_call c = sumi_lower_call(l);
  struct attention a;
  SUMI_TRY(resolve(&c, &a));
  for (int i = Q; i <= PAST_V; i++)
    if (i != MASK && sumi_call_has(&c, i) && !sumi_lower_is_f32(c.in[i])) return refuse(l, "not float32");
  if (sumi_call_has(&c, MASK) && !sumi_dtype_in(c.in[MASK]->dtype, SUMI_FLOATS | SUMI_BIT(SUMI_BOOL)))
    return refuse(l, "the mask's element type");
  if (!sumi_tensor_count(c.in[Q]) || !sumi_tensor_count(c.in[K]) || !sumi_tensor_count(c.in[V]))
    return refuse(l, "an empty tensor");
  if (a.past && !(sumi_call_wants(&c, PRESENT_K) && sumi_call_wants(&c, PRESENT_V)))
    return refuse(l, "a past that nobody wants together with the new tokens");
  if (sumi_call_wants(&c, SCORES) && sumi_attr_int(l->node, "qk_matmul_output_mode", 0) < MODE_BIASED)
    return refuse(l, "scores without the bias are wanted");
  struct sumi_attend_kernels *kernels = SUMI_NEW(l->arena, struct sumi_attend_kernels);
  if (!kernels) SUMI_FAIL_MEMORY(l->err);
  size_t bytes;
  const int64_t v_row = !a.past && c.in[V]->rank == 3 ? a.v[1] * a.v[3] : a.v[3];
  SUMI_TRY(sumi_attend_prepare(l, a.total, a.q[3], a.v[3], v_row, kernels, &bytes));
  const char *name = sumi_arena_printf(l->arena, "%s + %s", kernels->spmm->name, kernels->rows->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_call_lower(l, run_fast, kernels, bytes, -1, name);
}

static void attention_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct attention a;
  if (resolve(c, &a) != SUMI_OK) return;
  const double rows = (double)a.q[0] * (double)a.q[1] * (double)a.q[2] * (double)a.total;
  cost->macs = cost->dense_macs = rows * ((double)a.q[3] + (double)a.v[3]);
  cost->bytes = sumi_op_bytes(c);
}

#define MASK_TYPES (SUMI_FLOATS | SUMI_INTS | SUMI_BIT(SUMI_BOOL))

static const struct sumi_attr_spec attrs[] = {
    {"is_causal", SUMI_ATTR_INT},
    {"kv_num_heads", SUMI_ATTR_INT},
    {"left_window_size", SUMI_ATTR_INT},
    {"q_num_heads", SUMI_ATTR_INT},
    {"qk_matmul_output_mode", SUMI_ATTR_INT},
    {"right_window_size", SUMI_ATTR_INT},
    {"scale", SUMI_ATTR_FLOAT},
    {"softcap", SUMI_ATTR_FLOAT},
    {"softmax_precision", SUMI_ATTR_INT},
    {NULL},
};
static const struct sumi_port in[] = {{"Q", SUMI_FLOATS, 'T'},
                                      {"K", SUMI_FLOATS, 'T'},
                                      {"V", SUMI_FLOATS, 'U'},
                                      {"attn_mask", MASK_TYPES, 0, SUMI_PORT_OPTIONAL},
                                      {"past_key", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                      {"past_value", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                      {"nonpad_kv_seqlen", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'},
                                       {"present_key", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                       {"present_value", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                       {"qk_matmul_output", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                       {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,4,5,8] q, float[2,2,6,8] k, float[2,2,6,3] v, float[5,6] m) => (y) { y = Attention (q, k, "
     "v, m) }",
     .rtol = 1e-5, .why = "two query heads for a key head"},
    {"g (float[2,5,24] q, float[2,2,24] k, float[2,2,18] v, float[2,3,4,8] pk, float[2,3,4,6] pv) => (y, a, "
     "b, s) "
     "{ y, a, b, s = Attention <q_num_heads = 3, kv_num_heads = 3, is_causal = 1, softcap = 2.0, "
     "qk_matmul_output_mode = 3> "
     "(q, k, v, , pk, pv) }",
     .rtol = 1e-5, .why = "flat heads, a past, the probabilities"},
    {"g (float[2,4,3,8] q, float[2,2,3,8] k, float[2,2,3,5] v, float[3,9] m, float[2,2,6,8] pk, "
     "float[2,2,6,5] pv) => (y, a, b) "
     "{ y, a, b = Attention <is_causal = 1, left_window_size = 5> (q, k, v, m, pk, pv) }",
     .rtol = 1e-5, .why = "a window behind a past, two query heads for a key head"},
    {"g (float[2,3,5,8] q, float[2,3,6,8] k, float[2,3,6,4] v, bool[2,1,5,6] m) => (y) "
     "{ y = Attention <is_causal = 1, softcap = 3.0> (q, k, v, m) }",
     .rtol = 1e-5, .why = "causal and a mask: some queries may see nothing"},
    {"g (float[1,7,12] q, float[1,7,12] k, float[1,7,12] v) => (y) "
     "{ y = Attention <q_num_heads = 3, kv_num_heads = 3, left_window_size = 2, right_window_size = 1, "
     "scale = 0.5> (q, k, v) }",
     .rtol = 1e-5, .why = "a window, flat heads"},
    {"g (float[1,4,70,8] q, float[1,2,90,8] k, float[1,2,90,5] v, float[4,1,90] m) => (y) "
     "{ y = Attention <left_window_size = 60, is_causal = 1> (q, k, v, m) }",
     .rtol = 1e-5, .why = "more queries than a block, a bias by head"},
    {NULL},
};

const struct sumi_op sumi_op_attention = {
    .name = "Attention",
    .formula = "softmax(scale * q k^T + bias) v per head",
    .known_as = {{"", "Attention", {23, 24, 25}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = attention_infer,
    .ref = attention_ref,
    .lower = attention_lower,
    .cells = sumi_attention_cells,
    .scratch = attention_scratch,
    .cost = attention_cost,
    .cases = cases,
};

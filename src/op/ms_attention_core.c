/* Scaled dot-product attention in plain loops, as com.microsoft's attention operators define it. */
#include "op/ms_attention_core.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"

void sumi_ms_attention_attrs(struct sumi_ms_attention *a, const struct sumi_node *node) {
  const float scale = sumi_attr_float(node, "scale", 0);
  a->scale = scale != 0 ? scale : (float)(1 / sqrt((double)SUMI_MAX(a->h, 1)));
  a->filter = sumi_attr_float(node, "mask_filter_value", -10000);
  a->causal = sumi_attr_int(node, "unidirectional", 0) == 1;
}

sumi_status sumi_ms_infer_mask(const struct sumi_infer *ctx, int input, sumi_dim batch, sumi_dim s,
                               sumi_dim t, bool dummy) {
  if (!sumi_infer_has(ctx, input) || ctx->in[input].rank < 0) return SUMI_OK;
  SUMI_TRY(sumi_ms_want_rank(ctx, input, 1, 4));
  const struct sumi_info *mask = &ctx->in[input];
  const sumi_dim *dim = mask->dim;
  if (mask->rank == 1) {
    const sumi_dim two = sumi_dim_mul(ctx->symbols, batch, 2),
                   three = sumi_dim_add(ctx->symbols, sumi_dim_mul(ctx->symbols, batch, 3), 2);
    if (dim[0] >= 0 && batch >= 0 && dim[0] != batch && dim[0] != three && !(dummy && dim[0] == two))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the mask's length %" PRId64 " does not fit %" PRId64 " sequences",
                dim[0], batch);
    return SUMI_OK;
  }
  if (mask->rank == 2 && dummy && dim[1] == 1 && dim[0] == 1) return SUMI_OK;
  SUMI_TRY(sumi_ms_want_dim(ctx, input, 0, batch, "batch size"));
  if (mask->rank == 2)
    return dummy && dim[1] == 1 ? SUMI_OK : sumi_ms_want_dim(ctx, input, 1, t, "number of keys");
  if (mask->rank == 3) {
    SUMI_TRY(sumi_ms_want_dim(ctx, input, 1, s, "number of queries"));
    return sumi_ms_want_dim(ctx, input, 2, t, "number of keys");
  }
  SUMI_TRY(sumi_ms_want_dim(ctx, input, 1, 1, "mask's second dimension"));
  SUMI_TRY(sumi_ms_want_dim(ctx, input, 2, dim[3], "mask's last dimension"));
  if (dim[3] >= 0 && t >= 0 && dim[3] < t)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the mask is for %" PRId64 " keys, there are %" PRId64, dim[3], t);
  if (sumi_attr_int(ctx->node, "unidirectional", 0) == 1)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "a mask of rank 4 holds what may be seen: unidirectional must be 0");
  return SUMI_OK;
}

sumi_status sumi_ms_infer_bias(const struct sumi_infer *ctx, int input, sumi_dim batch, sumi_dim heads,
                               sumi_dim s, sumi_dim t) {
  SUMI_TRY(sumi_ms_want_rank(ctx, input, 4, 4));
  if (sumi_ms_dim(ctx, input, 0) != 1) SUMI_TRY(sumi_ms_want_dim(ctx, input, 0, batch, "batch size"));
  if (sumi_ms_dim(ctx, input, 1) != 1) SUMI_TRY(sumi_ms_want_dim(ctx, input, 1, heads, "number of heads"));
  if (sumi_ms_dim(ctx, input, 2) != 1) SUMI_TRY(sumi_ms_want_dim(ctx, input, 2, s, "number of queries"));
  return sumi_ms_want_dim(ctx, input, 3, t, "number of keys");
}

/* ---- scratch
 * ---------------------------------------------------------------------------------------------------- */

static int64_t groups_of(const struct sumi_ms_attention *a) { return SUMI_MAX(a->groups, 1); }
static int64_t rows_of(const struct sumi_ms_attention *a) { return a->rows ? a->rows : a->t; }

/* Sizes of the blocks q, k, v, kt, row, y; false on overflow. */
static bool block_sizes(const struct sumi_ms_attention *a, int64_t n[6]) {
  int64_t heads, shared;
  const int64_t rows = rows_of(a);
  n[4] = rows;
  n[5] = a->hv;
  return sumi_i64_mul(a->batch, a->heads, &heads) &&
         sumi_i64_mul(a->batch, a->heads / groups_of(a), &shared) && sumi_i64_mul(a->s, a->h, &n[0]) &&
         sumi_i64_mul(n[0], heads, &n[0]) && sumi_i64_mul(rows, a->h, &n[3]) &&
         sumi_i64_mul(n[3], shared, &n[1]) && sumi_i64_mul(rows, a->hv, &n[2]) &&
         sumi_i64_mul(n[2], shared, &n[2]);
}

sumi_status sumi_ms_attention_book(const struct sumi_ms_attention *a, size_t *bytes, struct sumi_err *err) {
  int64_t n[6];
  if (!block_sizes(a, n)) SUMI_FAIL(err, SUMI_E_LIMIT, "the attention's scratch is too large");
  for (int i = 0; i < 6; i++) SUMI_TRY(sumi_ms_book(bytes, n[i], sizeof(float), err));
  return SUMI_OK;
}

void sumi_ms_attention_take(struct sumi_ms_attention *a, char **scratch) {
  int64_t n[6] = {0};
  float **block[6] = {&a->q, &a->k, &a->v, &a->kt, &a->row, &a->y};
  block_sizes(a, n);
  for (int i = 0; i < 6; i++) *block[i] = sumi_ms_take(scratch, n[i], sizeof(float));
}

/* ---- past and present
 * -------------------------------------------------------------------------------------------- */

void sumi_ms_past(const struct sumi_ms_attention *a, const struct sumi_tensor *past, int64_t first,
                  int64_t rows, int64_t width, float *to) {
  for (int64_t g = 0; g < a->batch * a->heads; g++)
    sumi_to_f32(past->dtype, past->data, first + g * rows * width, a->past * width, to + g * a->t * width);
}

void sumi_ms_present(const struct sumi_ms_attention *a, const float *from, int64_t width,
                     struct sumi_tensor *present, int64_t first, int64_t rows) {
  for (int64_t g = 0; g < a->batch * a->heads; g++)
    sumi_from_f32(present->dtype, from + g * a->t * width, a->t * width, present->data,
                  first + g * rows * width);
}

sumi_status sumi_ms_past_length(struct sumi_ms_attention *a, const struct sumi_tensor *length, int64_t rows,
                                struct sumi_err *err) {
  const int64_t past = sumi_get_i64(length->dtype, length->data, 0);
  if (past < 0 || past > rows || a->l > rows - past)
    SUMI_FAIL(err, SUMI_E_VALUE,
              "past_sequence_length is %" PRId64 ": %" PRId64
              " more tokens do not fit in a cache of %" PRId64,
              past, a->l, rows);
  a->past = past;
  a->t = past + a->l;
  const struct sumi_tensor *mask = a->mask, *bias = a->bias;
  const int64_t columns =
      !mask || mask->rank == 1 || mask->dim[mask->rank - 1] == 1 ? a->t : mask->dim[mask->rank - 1];
  if (mask && mask->rank == 4 ? columns < a->t : columns != a->t)
    SUMI_FAIL(err, SUMI_E_SHAPE, "the mask is for %" PRId64 " keys, there are %" PRId64, columns, a->t);
  if (bias && bias->dim[3] != a->t)
    SUMI_FAIL(err, SUMI_E_SHAPE, "the bias is for %" PRId64 " keys, there are %" PRId64, bias->dim[3], a->t);
  return SUMI_OK;
}

/* ---- the formula
 * ------------------------------------------------------------------------------------------------ */

/* Adds to row[t] what the mask says for query s of sequence b. */
static void add_mask(const struct sumi_ms_attention *a, int64_t b, int64_t s, float *row) {
  const struct sumi_tensor *m = a->mask;
  const int32_t *data = m->data;
  if (m->rank == 1) {
    const int64_t end = data[b], start = m->dim[0] == 2 * a->batch ? data[a->batch + b] : 0;
    for (int64_t t = 0; t < a->t; t++) row[t] += t < end && t >= start ? 0 : a->filter;
    return;
  }
  if (m->rank == 2 && m->dim[1] == 1 && a->t != 1) return; /* the same for every key: no mask */
  if (m->rank == 2) data += m->dim[0] == 1 ? 0 : b * a->t;
  if (m->rank == 3) data += (b * a->s + s) * a->t;
  if (m->rank == 4) data += (b * m->dim[2] + a->past + s) * m->dim[3];
  for (int64_t t = 0; t < a->t; t++) row[t] += data[t] > 0 ? 0 : a->filter;
}

static void add_bias(const struct sumi_ms_attention *a, int64_t b, int64_t n, int64_t s, float *row) {
  const struct sumi_tensor *bias = a->bias;
  const int64_t bb = bias->dim[0] == 1 ? 0 : b, bn = bias->dim[1] == 1 ? 0 : n,
                bs = bias->dim[2] == 1 ? 0 : s;
  const int64_t first = ((bb * bias->dim[1] + bn) * bias->dim[2] + bs) * bias->dim[3] + a->base;
  float piece[256];
  for (int64_t t = 0; t < a->t;) {
    const int64_t some = SUMI_MIN(a->t - t, (int64_t)SUMI_COUNT(piece));
    sumi_to_f32(bias->dtype, bias->data, first + t, some, piece);
    for (int64_t i = 0; i < some; i++) row[t + i] += piece[i];
    t += some;
  }
}

/* The lowest number where causality or the window hides a key. */
static void hide(const struct sumi_ms_attention *a, int64_t s, float *row) {
  if (a->causal && s < a->s - 1)
    for (int64_t t = a->past + s + 1; t < a->t; t++) row[t] = -FLT_MAX;
  if (a->window > 0)
    for (int64_t t = 0; t < SUMI_MIN(a->past + s + 1 - a->window, a->t); t++) row[t] = -FLT_MAX;
}

/* row[t] = the scores of query s */
static void score_row(const struct sumi_ms_attention *a, int64_t b, int64_t n, int64_t s,
                      float *restrict row) {
  const float *q = a->q + ((b * a->heads + n) * a->s + s) * a->h;
  memset(row, 0, (size_t)a->t * sizeof *row);
  for (int64_t i = 0; i < a->h; i++) {
    const float x = q[i] * a->scale;
    const float *restrict kt = a->kt + i * a->t;
    for (int64_t t = 0; t < a->t; t++) row[t] += x * kt[t];
  }
  if (a->softcap > 0)
    for (int64_t t = 0; t < a->t; t++) row[t] = a->softcap * tanhf(row[t] / a->softcap);
  if (a->bias) add_bias(a, b, n, s, row);
  if (a->mask) add_mask(a, b, s, row);
  hide(a, s, row);
}

/* row[n] = exp(row - max) / sum, the sum with exp(sink - max) where there is a sink; rows of no keys stay empty.
 */
static void softmax(float *row, int64_t n, const float *sink) {
  float max = sink ? *sink : -INFINITY;
  double sum = 0;
  for (int64_t t = 0; t < n; t++) max = row[t] > max ? row[t] : max;
  if (sink) sum = (double)expf(*sink - max);
  for (int64_t t = 0; t < n; t++) {
    row[t] = expf(row[t] - max);
    sum += (double)row[t];
  }
  const float scale = (float)(1 / sum);
  for (int64_t t = 0; t < n; t++) row[t] *= scale;
}

static void attend_head(const struct sumi_ms_attention *a, int64_t b, int64_t n, struct sumi_tensor *y,
                        struct sumi_tensor *scores) {
  const int64_t g = b * a->heads + n, shared = g / groups_of(a), rows = rows_of(a);
  const float *k = a->k + shared * rows * a->h, *v = a->v + shared * rows * a->hv;
  const float sink = a->sink ? (float)sumi_get_f64(a->sink->dtype, a->sink->data, n) : 0;
  for (int64_t t = 0; t < a->t; t++)
    for (int64_t i = 0; i < a->h; i++) a->kt[i * a->t + t] = k[t * a->h + i];
  for (int64_t s = 0; s < a->s; s++) {
    float *restrict row = a->row, *restrict out = a->y;
    score_row(a, b, n, s, row);
    const int64_t at = scores ? (g * a->s + s) * scores->dim[3] + a->base : 0;
    if (scores && !a->normalised) sumi_from_f32(scores->dtype, row, a->t, scores->data, at);
    softmax(row, a->t, a->sink || a->smooth ? &sink : NULL);
    if (scores && a->normalised) sumi_from_f32(scores->dtype, row, a->t, scores->data, at);
    memset(out, 0, (size_t)a->hv * sizeof *out);
    for (int64_t t = 0; t < a->t; t++) {
      const float *restrict vt = v + t * a->hv;
      for (int64_t i = 0; i < a->hv; i++) out[i] += row[t] * vt[i];
    }
    if (y) sumi_from_f32(y->dtype, out, a->hv, y->data, ((b * a->s + s) * a->heads + n) * a->hv);
  }
}

/* ---- the formula with kernels ------------------------------------------------------------------------------------ */

/* Sequences from b on: attend.h counts them from 0. */
struct from {
  const struct sumi_ms_attention *a;
  int64_t b;
};

/* What is added to the scores of query s. */
static bool bias_row(const void *user, int64_t b, int64_t n, int64_t s, float *row) {
  const struct from *f = user;
  memset(row, 0, (size_t)f->a->t * sizeof *row);
  if (f->a->bias) add_bias(f->a, f->b + b, n, s, row);
  if (f->a->mask) add_mask(f->a, f->b + b, s, row);
  hide(f->a, s, row);
  return true;
}

static float sink_of(const void *user, int64_t n) {
  const struct sumi_tensor *sink = ((const struct from *)user)->a->sink;
  return sink ? (float)sumi_get_f64(sink->dtype, sink->data, n) : 0;
}

static void attend_fast(const struct sumi_ms_attention *a, int64_t b, int64_t n, struct sumi_tensor *y,
                        struct sumi_tensor *scores) {
  const int64_t shared = a->heads / groups_of(a), rows = rows_of(a);
  const struct from from = {a, b};
  const bool hides = a->causal || a->window > 0;
  struct sumi_attend f = {.batch = n,
                          .heads = a->heads,
                          .groups = groups_of(a),
                          .s = a->s,
                          .t = a->t,
                          .h = a->h,
                          .hv = a->hv,
                          .q = a->q + b * a->heads * a->s * a->h,
                          .k = a->k + b * shared * rows * a->h,
                          .v = a->v + b * shared * rows * a->hv,
                          .q_at = {a->heads * a->s * a->h, a->s * a->h, a->h},
                          .k_at = {shared * rows * a->h, rows * a->h, a->h},
                          .v_at = {shared * rows * a->hv, rows * a->hv, a->hv},
                          .scale = a->scale,
                          .softcap = a->softcap,
                          .bias = a->bias || a->mask || hides ? bias_row : NULL,
                          .sink = a->sink || a->smooth ? sink_of : NULL,
                          .user = &from,
                          .y = y,
                          .y_first = b * a->s * a->heads * a->hv,
                          .y_at = {a->s * a->heads * a->hv, a->hv, a->heads * a->hv},
                          .scores = scores,
                          .normalised = a->normalised};
  if (scores) {
    const int64_t line = scores->dim[3];
    f.scores_first = b * a->heads * a->s * line + a->base;
    f.scores_at = (struct sumi_attend_place){a->heads * a->s * line, a->s * line, line};
  }
  sumi_attend(&f, a->tools->user, a->tools->par, a->tools->scratch);
}

sumi_status sumi_ms_attention_lower(struct sumi_lower *l, sumi_call_fn fn,
                                    const struct sumi_ms_attention *most, int made) {
  struct sumi_attend_kernels *kernels = SUMI_NEW(l->arena, struct sumi_attend_kernels);
  if (!kernels) SUMI_FAIL_MEMORY(l->err);
  if (!most->batch || !most->s || !most->h || !most->hv || !rows_of(most)) {
    sumi_lower_refuse(l, "attend", "an empty tensor");
    return SUMI_E_UNSUPPORTED;
  }
  size_t bytes;
  SUMI_TRY(sumi_attend_prepare(l, rows_of(most), most->h, most->hv, most->hv, kernels, &bytes));
  const char *name = sumi_arena_printf(l->arena, "%s + %s", kernels->spmm->name, kernels->rows->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_call_lower(l, fn, kernels, bytes, made, name);
}

void sumi_ms_attend_one(const struct sumi_ms_attention *a, int64_t b, struct sumi_tensor *y,
                        struct sumi_tensor *scores) {
  if (a->tools)
    attend_fast(a, b, 1, y, scores);
  else
    for (int64_t n = 0; n < a->heads; n++) attend_head(a, b, n, y, scores);
}

void sumi_ms_attend(const struct sumi_ms_attention *a, struct sumi_tensor *y, struct sumi_tensor *scores) {
  if (a->tools)
    attend_fast(a, 0, a->batch, y, scores);
  else
    for (int64_t b = 0; b < a->batch; b++) sumi_ms_attend_one(a, b, y, scores);
}

/* Softmax, LogSoftmax, Hardmax along an axis: y = exp(x - max) / sum(exp(x - max)), its logarithm, and 1 at
 * the first largest element and 0 elsewhere. From version 13 the axis is one dimension (default -1);
 * before, everything from the axis on is one long dimension (default 1). Sums are taken in double
 * precision. */
#include <math.h>

#include "base/fmath.h"
#include "base/size.h"
#include "op/broadcast.h"
#include "op/by_item.h"
#include "op/extreme_lower.h"
#include "op/grad.h"
#include "op/op_util.h"
#include "op/rows_cells.h"
#include "op/rows_lower.h"

/* x is [outer, n, inner], along the middle. */
struct shape {
  int64_t outer, n, inner;
};

static sumi_status softmax_infer(struct sumi_infer *ctx) {
  int axis;
  if (ctx->in[0].rank >= 0)
    SUMI_TRY(sumi_op_axis(ctx->node, ctx->node->version < 13 ? 1 : -1, ctx->in[0].rank, &axis, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status find_shape(const struct sumi_call *c, struct shape *s) {
  const struct sumi_tensor *x = c->in[0];
  const bool before_13 = c->node->version < 13;
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, before_13 ? 1 : -1, x->rank, &axis, c->err));
  s->outer = sumi_dims_count(x->dim, 0, axis);
  s->n = before_13 ? sumi_dims_count(x->dim, axis, x->rank) : x->rank ? x->dim[axis] : 1;
  s->inner = before_13 || !x->rank ? 1 : sumi_dims_count(x->dim, axis + 1, x->rank);
  return SUMI_OK;
}

/* ---- float32: rows where the axis is the last, else tiles of columns ----------------------------------- */

enum { WIDE = 8, COLUMNS = 64 };

static float row_max(const float *x, int64_t n) {
  float part[WIDE];
  for (int k = 0; k < WIDE; k++) part[k] = -INFINITY;
  int64_t i = 0;
  for (; i + WIDE <= n; i += WIDE)
    for (int k = 0; k < WIDE; k++) part[k] = x[i + k] > part[k] ? x[i + k] : part[k];
  for (; i < n; i++) part[0] = x[i] > part[0] ? x[i] : part[0];
  for (int k = 1; k < WIDE; k++) part[0] = part[k] > part[0] ? part[k] : part[0];
  return part[0];
}

static double row_sum(const float *x, int64_t n) {
  double part[WIDE] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + WIDE <= n; i += WIDE)
    for (int k = 0; k < WIDE; k++) part[k] += (double)x[i + k];
  for (; i < n; i++) part[0] += (double)x[i];
  for (int k = 0; k < WIDE; k++) sum += part[k];
  return sum;
}

/* y may be x. A NaN in x makes the sum and so all of the row NaN; the largest element's exp is 1, so the
 * sum is not 0. */
static void row_f32(const float *x, float *y, int64_t n, bool log_form) {
  const float max = row_max(x, n);
  if (!log_form) {
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) y[i] = sumi_exp_f32(x[i] - max);
    const float scale = (float)(1 / row_sum(y, n));
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) y[i] *= scale;
    return;
  }
  float chunk[256];
  double sum = 0;
  for (int64_t i = 0; i < n; i += 256) {
    const int64_t count = SUMI_MIN(n - i, 256);
    for (int64_t k = 0; k < count; k++) chunk[k] = sumi_exp_f32(x[i + k] - max);
    sum += row_sum(chunk, count);
  }
  const float shift = (float)log(sum);
  SUMI_IVDEP for (int64_t i = 0; i < n; i++) y[i] = x[i] - max - shift;
}

/* width columns of [n, inner]. */
static void columns_f32(const float *x, float *y, int64_t n, int64_t inner, int64_t width, bool log_form) {
  float max[COLUMNS], scale[COLUMNS], e[COLUMNS];
  double sum[COLUMNS] = {0};
  for (int64_t i = 0; i < width; i++) max[i] = -INFINITY;
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < width; i++) max[i] = x[k * inner + i] > max[i] ? x[k * inner + i] : max[i];
  for (int64_t k = 0; k < n; k++) {
    const float *row = x + k * inner;
    float *to = y + k * inner;
    for (int64_t i = 0; i < width; i++) e[i] = sumi_exp_f32(row[i] - max[i]);
    for (int64_t i = 0; i < width; i++) sum[i] += (double)e[i];
    for (int64_t i = 0; i < width; i++) to[i] = log_form ? row[i] - max[i] : e[i];
  }
  for (int64_t i = 0; i < width; i++) scale[i] = (float)(log_form ? log(sum[i]) : 1 / sum[i]);
  for (int64_t k = 0; k < n; k++) {
    float *to = y + k * inner;
    if (log_form)
      for (int64_t i = 0; i < width; i++) to[i] -= scale[i];
    else
      for (int64_t i = 0; i < width; i++) to[i] *= scale[i];
  }
}

static void softmax_f32(const float *x, float *y, struct shape s, bool log_form) {
  for (int64_t o = 0; o < s.outer; o++, x += s.n * s.inner, y += s.n * s.inner) {
    if (s.inner == 1)
      row_f32(x, y, s.n, log_form);
    else
      for (int64_t i = 0; i < s.inner; i += COLUMNS)
        columns_f32(x + i, y + i, s.n, s.inner, SUMI_MIN(s.inner - i, COLUMNS), log_form);
  }
}

/* ---- any type ------------------------------------------------------------------------------------------ */

static void softmax_plain(const struct sumi_tensor *x, const struct sumi_tensor *y, struct shape s,
                          bool log_form) {
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < s.inner; i++) {
      const int64_t first = o * s.n * s.inner + i;
      double max = -INFINITY, sum = 0;
      for (int64_t k = 0; k < s.n; k++) max = fmax(max, sumi_get_f64(x->dtype, x->data, first + k * s.inner));
      for (int64_t k = 0; k < s.n; k++)
        sum += exp(sumi_get_f64(x->dtype, x->data, first + k * s.inner) - max);
      for (int64_t k = 0; k < s.n; k++) {
        const double t = sumi_get_f64(x->dtype, x->data, first + k * s.inner) - max;
        sumi_set_f64(y->dtype, y->data, first + k * s.inner, log_form ? t - log(sum) : exp(t) / sum);
      }
    }
}

static sumi_status run(const struct sumi_call *c, bool log_form) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  struct shape s;
  SUMI_TRY(find_shape(c, &s));
  if (x->dtype == SUMI_FLOAT32)
    softmax_f32(x->data, y->data, s, log_form);
  else
    softmax_plain(x, y, s, log_form);
  return SUMI_OK;
}

static sumi_status softmax_ref(const struct sumi_call *c) { return run(c, false); }
static sumi_status log_softmax_ref(const struct sumi_call *c) { return run(c, true); }

static sumi_status hardmax_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  struct shape s;
  SUMI_TRY(find_shape(c, &s));
  for (int64_t o = 0; o < s.outer; o++)
    for (int64_t i = 0; i < s.inner; i++) {
      const int64_t first = o * s.n * s.inner + i;
      int64_t best = 0;
      double max = s.n ? sumi_get_f64(x->dtype, x->data, first) : 0;
      for (int64_t k = 1; k < s.n; k++) {
        const double v = sumi_get_f64(x->dtype, x->data, first + k * s.inner);
        if (v > max) max = v, best = k;
      }
      for (int64_t k = 0; k < s.n; k++) sumi_set_f64(y->dtype, y->data, first + k * s.inner, k == best);
    }
  return SUMI_OK;
}

static sumi_status softmax_cells(struct sumi_cells *c) {
  const bool before_13 = c->node->version < 13;
  const int rank = c->in[0]->rank;
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, before_13 ? 1 : -1, rank, &axis, c->err));
  const int y = sumi_cells_out(c, 0);
  sumi_cells_same_form(c, y, 0);
  const struct sumi_seen from = sumi_see(c, 0), to = sumi_see(c, y);
  const unsigned all = (1u << rank) - 1, behind = all & ~((1u << axis) - 1);
  return sumi_softmax_cells(c, &from, before_13 ? behind : all & 1u << axis, &to);
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};

/* The tolerance is exp's 1.1 ulp and two roundings; LogSoftmax rounds at the size of x - max. */
#define CASES(symbol, label)                                                                               \
  static const struct sumi_case symbol##_cases[] = {                                                       \
      {"g (float[2,5,7] x) => (y) { y = " label " (x) }", .rtol = 1e-6, .why = "float exp below 1.1 ulp"}, \
      {"g (float[3,4,65] x) => (y) { y = " label " <axis = 1> (x) }", .rtol = 1e-6, .why = "columns"},     \
      {"<opset_import: [\"\": 11]> g (float[2,3,4] x) => (y) { y = " label " (x) }", .rtol = 1e-6,         \
       .why = "one long axis"},                                                                            \
      {"g (float[4,300] x) => (y) { y = " label " (x) }", .rtol = 1e-6, .low = -90, .high = 90,            \
       .why = "exp underflows"},                                                                           \
      {"g (float16[4,33] x) => (y) { y = " label " (x) }", .rtol = 1e-3},                                  \
      {"g (float[3,4,5,20] x) => (y) { i = Floor (x) l = Log (i) y = " label " <axis = 1> (l) }",          \
       .rtol = 1e-6, .why = "ties, infinities, NaN"},                                                      \
      {"g (float[7,20] x) => (y) { i = Floor (x) l = Log (i) y = " label " (l) }", .low = -1, .high = 9,   \
       .rtol = 1e-6, .why = "ties, infinities, NaN"},                                                      \
      {NULL},                                                                                              \
  };
#define DESCRIPTOR(symbol, label, text, how, in_cells, rule) \
  CASES(symbol, label)                                       \
  const struct sumi_op sumi_op_##symbol = {                  \
      .name = label,                                         \
      .formula = text,                                       \
      .known_as = {{"", label, {1, 11, 13}}},                \
      .attrs = attrs,                                        \
      .in = in,                                              \
      .out = out,                                            \
      .flags = SUMI_OP_IN_PLACE,                             \
      .infer = softmax_infer,                                \
      .by_item = sumi_by_item_elements,                      \
      .ref = symbol##_ref,                                   \
      .lower = how,                                          \
      .cells = in_cells,                                     \
      .grad = rule,                                          \
      .cases = symbol##_cases,                               \
  };
DESCRIPTOR(softmax, "Softmax", "exp(x - max) / sum(exp(x - max)) along axis", sumi_softmax_lower,
           softmax_cells, sumi_softmax_grad)
DESCRIPTOR(log_softmax, "LogSoftmax", "x - max - ln(sum(exp(x - max))) along axis", sumi_softmax_lower, NULL,
           sumi_log_softmax_grad)
DESCRIPTOR(hardmax, "Hardmax", "1 at the first largest x along axis, else 0", sumi_hardmax_lower, NULL, NULL)

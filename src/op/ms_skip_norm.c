/* SkipLayerNormalization, SkipSimplifiedLayerNormalization (com.microsoft), SimplifiedLayerNormalization (a
 * contributed operator of domain ai.onnx). Over rows of h elements, s = input + skip + bias:
 *   SkipLayerNormalization   y = (s - mean(s)) / sqrt(mean((s - mean(s))^2) + epsilon) * gamma + beta
 *   the simplified ones      y = s / sqrt(mean(s^2) + epsilon) * gamma
 * mean and inv_std_var are float32, one a row. Source: ONNX Runtime, docs/ContribOperators.md. Sums are taken in
 * double precision. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/ms_util.h"
#include "op/norm_lower.h"
#include "op/rows_cells.h"
#include "op/rows_lower.h"

/* The output with its last dims [axis, rank) made 1. */
static void infer_row_statistic(struct sumi_infer *ctx, int i, const struct sumi_info *x, int axis) {
  sumi_dim dim[SUMI_MAX_RANK];
  for (int k = 0; k < x->rank; k++) dim[k] = k < axis ? x->dim[k] : 1;
  sumi_infer_out(ctx, i, SUMI_FLOAT32, x->rank, dim);
}

static sumi_status skip_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *skip = &ctx->in[1];
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 2, 3));
  SUMI_TRY(sumi_ms_want_rank(ctx, 1, 2, 3));
  const sumi_dim h = x->rank > 0 ? x->dim[x->rank - 1] : SUMI_DIM_UNKNOWN;
  for (int i = 2; i < ctx->n_in; i++) {
    SUMI_TRY(sumi_ms_want_rank(ctx, i, 1, 1));
    SUMI_TRY(sumi_ms_want_dim(ctx, i, 0, h, "hidden size"));
  }
  /* skip is input's shape, or that without or with 1 in its first dimension */
  if (x->rank > 0 && skip->rank > x->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'skip' has a larger rank than 'input'");
  for (int k = 1; x->rank > 0 && k <= skip->rank; k++) {
    if (k == x->rank && skip->dim[skip->rank - k] == 1) continue;
    SUMI_TRY(sumi_ms_want_dim(ctx, 1, skip->rank - k, x->dim[x->rank - k], "input's"));
  }
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  infer_row_statistic(ctx, 1, x, x->rank - 1);
  infer_row_statistic(ctx, 2, x, x->rank - 1);
  sumi_infer_out_like(ctx, 3, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

/* One row: s[h] becomes normalised; returns through *mean (0 when simplified) and *inv what was found. */
static void normalise(float *s, int64_t h, bool simplified, float epsilon, double *mean, double *inv) {
  double sum = 0, square = 0;
  if (!simplified)
    for (int64_t i = 0; i < h; i++) sum += (double)s[i];
  *mean = sum / (double)h;
  for (int64_t i = 0; i < h; i++) square += ((double)s[i] - *mean) * ((double)s[i] - *mean);
  *inv = 1 / sqrt(square / (double)h + (double)epsilon);
  for (int64_t i = 0; i < h; i++) s[i] = (float)(((double)s[i] - *mean) * *inv);
}

/* A vector of h elements as floats in the scratch; zeros or ones where the input is not given. */
static float *vector(const struct sumi_call *c, int i, int64_t h, float otherwise, char **scratch) {
  float *v = sumi_ms_take(scratch, h, sizeof *v);
  if (i >= 0 && sumi_call_has(c, i))
    sumi_to_f32(c->in[i]->dtype, c->in[i]->data, 0, h, v);
  else
    for (int64_t k = 0; k < h; k++) v[k] = otherwise;
  return v;
}

static int64_t last_dim(const struct sumi_tensor *t) { return t->dim[t->rank - 1]; }

static sumi_status skip_scratch(const struct sumi_call *c, size_t *bytes) {
  *bytes = 0;
  for (int i = 0; i < 5; i++) SUMI_TRY(sumi_ms_book(bytes, last_dim(c->in[0]), sizeof(float), c->err));
  return SUMI_OK;
}

static sumi_status skip_norm(const struct sumi_call *c, bool simplified) {
  const struct sumi_tensor *x = c->in[0], *skip = c->in[1];
  const int64_t h = last_dim(x), n_skip = sumi_tensor_count(skip);
  const int64_t rows = h ? sumi_tensor_count(x) / h : 0;
  const float epsilon = sumi_attr_float(c->node, "epsilon", 1e-12f);
  char *scratch = c->scratch;
  float *s = sumi_ms_take(&scratch, h, sizeof *s), *add = sumi_ms_take(&scratch, h, sizeof *add);
  const float *gamma = vector(c, 2, h, 1, &scratch), *beta = vector(c, simplified ? -1 : 3, h, 0, &scratch);
  const float *bias = vector(c, simplified ? 3 : 4, h, 0, &scratch);
  for (int64_t r = 0; r < rows; r++) {
    sumi_to_f32(x->dtype, x->data, r * h, h, s);
    sumi_to_f32(skip->dtype, skip->data, r * h % n_skip, h, add);
    for (int64_t i = 0; i < h; i++) s[i] += add[i] + bias[i];
    if (sumi_call_wants(c, 3)) sumi_from_f32(x->dtype, s, h, c->out[3]->data, r * h);
    double mean, inv;
    normalise(s, h, simplified, epsilon, &mean, &inv);
    for (int64_t i = 0; i < h; i++) s[i] = s[i] * gamma[i] + beta[i];
    if (sumi_call_wants(c, 0)) sumi_from_f32(x->dtype, s, h, c->out[0]->data, r * h);
    if (sumi_call_wants(c, 1)) ((float *)c->out[1]->data)[r] = (float)mean;
    if (sumi_call_wants(c, 2)) ((float *)c->out[2]->data)[r] = (float)inv;
  }
  return SUMI_OK;
}

static sumi_status skip_ref(const struct sumi_call *c) { return skip_norm(c, false); }
static sumi_status skip_simplified_ref(const struct sumi_call *c) { return skip_norm(c, true); }

/* ---- SimplifiedLayerNormalization: X, scale over the dims from axis on; Y has scale's type
 * ----------------------- */

static sumi_status simplified_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *scale = &ctx->in[1];
  if (x->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a scalar cannot be normalised");
  const int64_t stash = sumi_attr_int(ctx->node, "stash_type", 1);
  if (stash != 1)
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "stash_type is %" PRId64 ", only 1 (float32) is known", stash);
  sumi_infer_out_like(ctx, 0, x, scale->dtype);
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 1, SUMI_FLOAT32);
    return SUMI_OK;
  }
  int axis;
  SUMI_TRY(sumi_op_axis(ctx->node, -1, x->rank, &axis, ctx->err));
  /* scale: the last dims of x, possibly behind ones; so one element repeats with a period that divides x's */
  bool same = true;
  for (int k = 1; k <= scale->rank; k++) {
    const sumi_dim d = scale->dim[scale->rank - k], want = k <= x->rank ? x->dim[x->rank - k] : 1;
    same = same && (d == want || d < 0 || want < 0);
    if (!same && d >= 0 && d != 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of 'scale' does not fit the input", scale->rank - k);
  }
  infer_row_statistic(ctx, 1, x, axis);
  return SUMI_OK;
}

static sumi_status simplified_scratch(const struct sumi_call *c, size_t *bytes) {
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, c->in[0]->rank, &axis, c->err));
  *bytes = 0;
  SUMI_TRY(sumi_ms_book(bytes, sumi_dims_count(c->in[0]->dim, axis, c->in[0]->rank), sizeof(float), c->err));
  return sumi_ms_book(bytes, sumi_tensor_count(c->in[1]), sizeof(float), c->err);
}

static sumi_status simplified_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *scale = c->in[1];
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, x->rank, &axis, c->err));
  const int64_t h = sumi_dims_count(x->dim, axis, x->rank), n_scale = sumi_tensor_count(scale);
  const int64_t rows = h ? sumi_tensor_count(x) / h : 0;
  char *scratch = c->scratch;
  float *s = sumi_ms_take(&scratch, h, sizeof *s);
  const float *gamma = vector(c, 1, n_scale, 1, &scratch);
  for (int64_t r = 0; r < rows; r++) {
    double mean, inv;
    sumi_to_f32(x->dtype, x->data, r * h, h, s);
    normalise(s, h, true, sumi_attr_float(c->node, "epsilon", 1e-5f), &mean, &inv);
    for (int64_t i = 0; i < h; i++) s[i] *= gamma[(r * h + i) % n_scale];
    if (sumi_call_wants(c, 0)) sumi_from_f32(scale->dtype, s, h, c->out[0]->data, r * h);
    if (sumi_call_wants(c, 1)) ((float *)c->out[1]->data)[r] = (float)inv;
  }
  return SUMI_OK;
}

/* ---- cells -------------------------------------------------------------------------------------------------------- */

/* s = input + (skip + bias) in float32. */
static sumi_status sum_cell(struct sumi_cells *c, int bias, const struct sumi_seen *x,
                            const struct sumi_seen *s) {
  const struct sumi_seen skip = sumi_see_broadcast(c, 1, x->rank, x->rank - c->in[1]->rank);
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, s, 0);
  const int a = sumi_vector_load(&p, sumi_vector_see(&p, x));
  int b = sumi_vector_load(&p, sumi_vector_see(&p, &skip));
  if (bias >= 0) {
    const struct sumi_seen by = sumi_see_broadcast(c, bias, x->rank, x->rank - 1);
    b = SUMI_VECTOR(&p, "a + b", b, sumi_vector_load(&p, sumi_vector_see(&p, &by)));
  }
  sumi_vector_store(&p, sumi_vector_see(&p, s), SUMI_VECTOR(&p, "a + b", a, b));
  return sumi_vector_end(&p);
}

static sumi_status round_cell(struct sumi_cells *c, const struct sumi_seen *s, const struct sumi_seen *to) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, s, 0);
  const int v = sumi_vector_load(&p, sumi_vector_see(&p, s));
  sumi_vector_store(&p, sumi_vector_see(&p, to), v);
  return sumi_vector_end(&p);
}

static sumi_status skip_norm_cells(struct sumi_cells *c, bool simplified) {
  const int rank = c->in[0]->rank, y = sumi_cells_out(c, 0), beta = simplified ? -1 : 3,
            bias = simplified ? 3 : 4;
  if (!c->out[0]) return sumi_cells_refuse(c, "only statistics are wanted");
  if (c->in[1]->dim[c->in[1]->rank - 1] != c->in[0]->dim[rank - 1])
    return sumi_cells_refuse(c, "'skip' repeats over the rows");
  sumi_cells_same_form(c, y, 0);
  struct sumi_norm n = {.centred = !simplified,
                        .factor = SUMI_NORM_FACTOR,
                        .epsilon = sumi_attr_float(c->node, "epsilon", 1e-12f),
                        .inner = 1u << (rank - 1)};
  const struct sumi_seen x = sumi_see(c, 0), sum = sumi_see(c, c->n_out > 3 && c->out[3] ? y + 3 : -1);
  const bool direct = sum.operand >= 0 && c->out[3]->dtype == SUMI_FLOAT32;
  n.x = direct ? sum : sumi_seen_temp(c, SUMI_FLOAT32, &x, 0, n.inner, 1);
  if (n.x.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sum_cell(c, sumi_cells_has(c, bias) ? bias : -1, &x, &n.x));
  if (sum.operand >= 0 && !direct) SUMI_TRY(round_cell(c, &n.x, &sum));
  n.y = sumi_see(c, y);
  n.scale = sumi_see_broadcast(c, 2, rank, rank - 1);
  n.bias =
      beta >= 0 && sumi_cells_has(c, beta) ? sumi_see_broadcast(c, beta, rank, rank - 1) : sumi_see(c, -1);
  n.mean = sumi_see(c, c->n_out > 1 && c->out[1] ? y + 1 : -1);
  n.inverse = sumi_see(c, c->n_out > 2 && c->out[2] ? y + 2 : -1);
  return sumi_norm_cells(c, &n);
}

static sumi_status skip_cells(struct sumi_cells *c) { return skip_norm_cells(c, false); }
static sumi_status skip_simplified_cells(struct sumi_cells *c) { return skip_norm_cells(c, true); }

static sumi_status simplified_cells(struct sumi_cells *c) {
  const int rank = c->in[0]->rank, y = sumi_cells_out(c, 0);
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, rank, &axis, c->err));
  if (!c->out[0]) return sumi_cells_refuse(c, "only statistics are wanted");
  if (c->in[1]->rank > rank) return sumi_cells_refuse(c, "'scale' has a larger rank than the input");
  sumi_cells_same_form(c, y, 0);
  const struct sumi_norm n = {.x = sumi_see(c, 0),
                              .y = sumi_see(c, y),
                              .scale = sumi_see_broadcast(c, 1, rank, rank - c->in[1]->rank),
                              .bias = sumi_see(c, -1),
                              .mean = sumi_see(c, -1),
                              .inverse = sumi_see(c, c->n_out > 1 && c->out[1] ? y + 1 : -1),
                              .inner = ((1u << rank) - 1) & ~((1u << axis) - 1),
                              .factor = SUMI_NORM_FACTOR,
                              .epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f)};
  return sumi_norm_cells(c, &n);
}

/* ---- descriptors
 * ------------------------------------------------------------------------------------------------ */

static const struct sumi_attr_spec skip_attrs[] = {{"epsilon", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_attr_spec simplified_attrs[] = {
    {"axis", SUMI_ATTR_INT}, {"epsilon", SUMI_ATTR_FLOAT}, {"stash_type", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port skip_in[] = {{"input", SUMI_MS_T, 'T'},
                                           {"skip", SUMI_MS_T, 'T'},
                                           {"gamma", SUMI_MS_T, 'T'},
                                           {"beta", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                           {"bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                           {NULL}};
static const struct sumi_port skip_simplified_in[] = {{"input", SUMI_MS_T, 'T'},
                                                      {"skip", SUMI_MS_T, 'T'},
                                                      {"gamma", SUMI_MS_T, 'T'},
                                                      {"bias", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                                      {NULL}};
static const struct sumi_port skip_out[] = {{"output", SUMI_MS_T, 'T'},
                                            {"mean", SUMI_BIT(SUMI_FLOAT32), 'U', SUMI_PORT_OPTIONAL},
                                            {"inv_std_var", SUMI_BIT(SUMI_FLOAT32), 'U', SUMI_PORT_OPTIONAL},
                                            {"input_skip_bias_sum", SUMI_MS_T, 'T', SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port simplified_in[] = {
    {"X", SUMI_FLOATS, 'T'}, {"scale", SUMI_FLOATS, 'V'}, {NULL}};
static const struct sumi_port simplified_out[] = {
    {"Y", SUMI_FLOATS, 'V'}, {"inv_std_var", SUMI_BIT(SUMI_FLOAT32), 'U', SUMI_PORT_OPTIONAL}, {NULL}};

static const struct sumi_case skip_cases[] = {
    {"g (float[2,3,33] x, float[2,3,33] s, float[33] g, float[33] b, float[33] a) => (y, sum) {"
     " y, , , sum = com.microsoft.SkipLayerNormalization <epsilon = 1e-5> (x, s, g, b, a) }",
     .rtol = 2e-6, .why = "float sums of three terms"},
    {"g (float[2,3,8] x, float[1,3,8] s, float[8] g) => (y, m, v) {"
     " y, m, v = com.microsoft.SkipLayerNormalization (x, s, g) }",
     .rtol = 2e-6, .why = "skip broadcast over the batch, no beta"},
    {"g (float16[2,3,8] x, float16[3,8] s, float16[8] g, float16[8] b) => (y) {"
     " y = com.microsoft.SkipLayerNormalization (x, s, g, b) }",
     .rtol = 1e-3, .why = "float16 result"},
    {NULL},
};
static const struct sumi_case skip_simplified_cases[] = {
    {"g (float[2,3,17] x, float[2,3,17] s, float[17] g, float[17] a) => (y, v, sum) {"
     " y, , v, sum = com.microsoft.SkipSimplifiedLayerNormalization <epsilon = 1e-5> (x, s, g, a) }",
     .rtol = 2e-6, .why = "float sums of three terms"},
    {"g (float[5,17] x, float[5,17] s, float[17] g) => (y) { y = "
     "com.microsoft.SkipSimplifiedLayerNormalization (x, s, g) }",
     .rtol = 2e-6, .why = "tokens without a batch"},
    {NULL},
};
static const struct sumi_case simplified_cases[] = {
    {"g (float[2,3,17] x, float[17] g) => (y, v) { y, v = SimplifiedLayerNormalization (x, g) }",
     .rtol = 1e-6, .why = "float result of double sums"},
    {"g (float[2,3,5] x, float[3,5] g) => (y) { y = SimplifiedLayerNormalization <axis = 1> (x, g) }",
     .rtol = 1e-6},
    {NULL},
};

const struct sumi_op sumi_op_ms_skip_layer_normalization = {
    .name = "com.microsoft.SkipLayerNormalization",
    .formula = "(s - mean) / sqrt(var + epsilon) * gamma + beta, s = input + skip + bias",
    .known_as = {{"com.microsoft", "SkipLayerNormalization", {1}}},
    .attrs = skip_attrs,
    .in = skip_in,
    .out = skip_out,
    .infer = skip_infer,
    .by_item = sumi_by_item_elements,
    .ref = skip_ref,
    .cells = skip_cells,
    .lower = sumi_skip_norm_lower,
    .scratch = skip_scratch,
    .cases = skip_cases,
};

const struct sumi_op sumi_op_ms_skip_simplified_layer_normalization = {
    .name = "com.microsoft.SkipSimplifiedLayerNormalization",
    .formula = "s / sqrt(mean(s^2) + epsilon) * gamma, s = input + skip + bias",
    .known_as = {{"com.microsoft", "SkipSimplifiedLayerNormalization", {1}}},
    .attrs = skip_attrs,
    .in = skip_simplified_in,
    .out = skip_out,
    .infer = skip_infer,
    .by_item = sumi_by_item_elements,
    .ref = skip_simplified_ref,
    .cells = skip_simplified_cells,
    .lower = sumi_skip_norm_lower,
    .scratch = skip_scratch,
    .cases = skip_simplified_cases,
};

const struct sumi_op sumi_op_ms_simplified_layer_normalization = {
    .name = "SimplifiedLayerNormalization",
    .formula = "x / sqrt(mean(x^2) + epsilon) * scale over the dims from axis on",
    .known_as = {{"", "SimplifiedLayerNormalization", {1}}},
    .attrs = simplified_attrs,
    .in = simplified_in,
    .out = simplified_out,
    .infer = simplified_infer,
    .ref = simplified_ref,
    .cells = simplified_cells,
    .lower = sumi_layer_norm_lower,
    .scratch = simplified_scratch,
    .cases = simplified_cases,
};

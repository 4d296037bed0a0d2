/* Adagrad, Adam, Momentum (ai.onnx.preview.training 1): one step of gradient descent on any number of tensors. Inputs: the
 * learning rate R (one number), the number T of steps before, then all tensors X, all gradients G of theirs and all states, kind
 * by kind; outputs: all new X, then all new states. For every element, with g = norm_coefficient * x + g:
 *   Adagrad    h' = h + g^2                                x' = x - R / (1 + T * decay_factor) * g / (sqrt(h') + epsilon)
 *   Adam       v' = alpha * v + (1 - alpha) * g            h' = beta * h + (1 - beta) * g^2
 *              x' = (1 - norm_coefficient_post) * (x - R' * v' / (sqrt(h') + epsilon))
 *              R' = T > 0 ? R * sqrt(1 - beta^T) / (1 - alpha^T) : R
 *   Momentum   v' = alpha * v + (T > 0 ? beta : 1) * g     x' = x - R * (mode is nesterov ? g + alpha * v' : v')
 * In double precision, rounded once. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/lane.h"
#include "op/op_util.h"

enum { R, T, FIRST };              /* inputs */
enum { MAX_STATES = 2, X = 0, G }; /* kinds of tensors: X, G, then the states */

/* What holds for all elements of one step. */
struct step {
  double rate, norm, norm_post, epsilon;
  double alpha, beta;
  bool nesterov;
};

/* n elements of one tensor; x and the states are overwritten. */
typedef void (*step_fn)(const struct step *s, int64_t n, double *x, const double *g,
                        double state[][SUMI_LANE_CHUNK]);

static void adagrad(const struct step *s, int64_t n, double *x, const double *g,
                    double state[][SUMI_LANE_CHUNK]) {
  double *h = state[0];
  for (int64_t i = 0; i < n; i++) {
    const double d = s->norm * x[i] + g[i];
    h[i] += d * d;
    x[i] -= s->rate * d / (sqrt(h[i]) + s->epsilon);
  }
}

static void adam(const struct step *s, int64_t n, double *x, const double *g,
                 double state[][SUMI_LANE_CHUNK]) {
  double *v = state[0], *h = state[1];
  for (int64_t i = 0; i < n; i++) {
    const double d = s->norm * x[i] + g[i];
    v[i] = s->alpha * v[i] + (1 - s->alpha) * d;
    h[i] = s->beta * h[i] + (1 - s->beta) * d * d;
    x[i] = (1 - s->norm_post) * (x[i] - s->rate * v[i] / (sqrt(h[i]) + s->epsilon));
  }
}

static void momentum(const struct step *s, int64_t n, double *x, const double *g,
                     double state[][SUMI_LANE_CHUNK]) {
  double *v = state[0];
  for (int64_t i = 0; i < n; i++) {
    const double d = s->norm * x[i] + g[i];
    v[i] = s->alpha * v[i] + s->beta * d;
    x[i] -= s->rate * (s->nesterov ? d + s->alpha * v[i] : v[i]);
  }
}

/* ---- shapes -------------------------------------------------------------------------------------------- */

static sumi_status want_one(const struct sumi_infer *ctx, int i) {
  for (int d = 0; d < ctx->in[i].rank; d++)
    if (ctx->in[i].dim[d] >= 0 && ctx->in[i].dim[d] != 1)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d ('%s') is not one number", i, i == R ? "R" : "T");
  return SUMI_OK;
}

/* Input i belongs to tensor x: what is known of both must agree. */
static sumi_status want_like(const struct sumi_infer *ctx, int i, int x) {
  const struct sumi_info *a = &ctx->in[i], *b = &ctx->in[x];
  if (a->dtype != b->dtype && a->dtype != SUMI_UNDEFINED && b->dtype != SUMI_UNDEFINED)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "input %d is %s, its tensor (input %d) %s", i,
              sumi_dtype_label(a->dtype), x, sumi_dtype_label(b->dtype));
  if (a->rank < 0 || b->rank < 0) return SUMI_OK;
  if (a->rank != b->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, its tensor (input %d) %d", i, a->rank, x,
              b->rank);
  for (int d = 0; d < a->rank; d++)
    if (a->dim[d] >= 0 && b->dim[d] >= 0 && a->dim[d] != b->dim[d])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
                "dimension %d of input %d is %" PRId64 ", of its tensor (input %d) %" PRId64, d, i, a->dim[d],
                x, b->dim[d]);
  return SUMI_OK;
}

static sumi_status infer(struct sumi_infer *ctx, int states) {
  const int kinds = G + 1 + states, n = (ctx->n_in - FIRST) / kinds;
  if (ctx->n_in <= FIRST || (ctx->n_in - FIRST) % kinds)
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "%d inputs behind R and T are not %d for each tensor", ctx->n_in - FIRST,
              kinds);
  if (ctx->n_out > n * (1 + states))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "there are %d outputs, %d tensors give %d", ctx->n_out, n,
              n * (1 + states));
  for (int i = 0; i < ctx->n_in; i++)
    if (!sumi_infer_has(ctx, i)) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is left out", i);
  SUMI_TRY(want_one(ctx, R));
  SUMI_TRY(want_one(ctx, T));
  for (int i = FIRST + n; i < ctx->n_in; i++) SUMI_TRY(want_like(ctx, i, FIRST + (i - FIRST) % n));
  for (int i = 0; i < ctx->n_out; i++) sumi_infer_out_like(ctx, i, &ctx->in[FIRST + i % n], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status one_state_infer(struct sumi_infer *ctx) { return infer(ctx, 1); }
static sumi_status adam_infer(struct sumi_infer *ctx) { return infer(ctx, 2); }

static sumi_status momentum_infer(struct sumi_infer *ctx) {
  const char *mode = sumi_attr_string(ctx->node, "mode", "");
  if (!sumi_streq(mode, "standard") && !sumi_streq(mode, "nesterov"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "mode is '%s', not 'standard' or 'nesterov'", mode);
  return infer(ctx, 1);
}

/* ---- running ------------------------------------------------------------------------------------------- */

/* Tensor k of n, in chunks. */
static void update(const struct sumi_call *c, const struct step *s, step_fn step, int states, int k, int n) {
  double x[SUMI_LANE_CHUNK], g[SUMI_LANE_CHUNK], state[MAX_STATES][SUMI_LANE_CHUNK];
  const struct sumi_tensor *const *in = c->in + FIRST + k;
  const int64_t count = sumi_tensor_count(in[X]);
  for (int64_t i = 0; i < count; i += SUMI_LANE_CHUNK) {
    const int64_t m = SUMI_MIN(count - i, SUMI_LANE_CHUNK);
    sumi_lane_load(SUMI_LANE_F64, in[X]->dtype, in[X]->data, i, m, x);
    sumi_lane_load(SUMI_LANE_F64, in[G * n]->dtype, in[G * n]->data, i, m, g);
    for (int j = 0; j < states; j++) {
      const struct sumi_tensor *from = in[(G + 1 + j) * n];
      sumi_lane_load(SUMI_LANE_F64, from->dtype, from->data, i, m, state[j]);
    }
    step(s, m, x, g, state);
    for (int j = 0; j <= states; j++) {
      if (!sumi_call_wants(c, j * n + k)) continue;
      const struct sumi_tensor *to = c->out[j * n + k];
      sumi_lane_store(SUMI_LANE_F64, to->dtype, to->data, i, m, j ? state[j - 1] : x);
    }
  }
}

static double attr(const struct sumi_call *c, const char *name, float otherwise) {
  return (double)sumi_attr_float(c->node, name, otherwise);
}

/* The part of the step that is common; T in *t. */
static struct step begin(const struct sumi_call *c, double *t) {
  *t = (double)sumi_get_i64(c->in[T]->dtype, c->in[T]->data, 0);
  return (struct step){.rate = sumi_get_f64(c->in[R]->dtype, c->in[R]->data, 0),
                       .norm = attr(c, "norm_coefficient", 0),
                       .epsilon = attr(c, "epsilon", 1e-6f)};
}

static void update_all(const struct sumi_call *c, const struct step *s, step_fn step, int states) {
  const int n = (c->n_in - FIRST) / (G + 1 + states);
  for (int k = 0; k < n; k++) update(c, s, step, states, k, n);
}

static sumi_status adagrad_ref(const struct sumi_call *c) {
  double t;
  struct step s = begin(c, &t);
  s.rate /= 1 + t * attr(c, "decay_factor", 0);
  update_all(c, &s, adagrad, 1);
  return SUMI_OK;
}

static sumi_status adam_ref(const struct sumi_call *c) {
  double t;
  struct step s = begin(c, &t);
  s.norm_post = attr(c, "norm_coefficient_post", 0);
  s.alpha = attr(c, "alpha", 0.9f);
  s.beta = attr(c, "beta", 0.999f);
  if (t > 0) s.rate *= sqrt(1 - pow(s.beta, t)) / (1 - pow(s.alpha, t));
  update_all(c, &s, adam, 2);
  return SUMI_OK;
}

static sumi_status momentum_ref(const struct sumi_call *c) {
  double t;
  struct step s = begin(c, &t);
  s.alpha = attr(c, "alpha", 0);
  s.beta = t > 0 ? attr(c, "beta", 0) : 1;
  s.nesterov = sumi_attr_is(c->node, "mode", "standard", "nesterov");
  update_all(c, &s, momentum, 1);
  return SUMI_OK;
}

static const struct sumi_attr_spec adagrad_attrs[] = {{"decay_factor", SUMI_ATTR_FLOAT},
                                                      {"epsilon", SUMI_ATTR_FLOAT},
                                                      {"norm_coefficient", SUMI_ATTR_FLOAT},
                                                      {NULL}};
static const struct sumi_attr_spec adam_attrs[] = {
    {"alpha", SUMI_ATTR_FLOAT},
    {"beta", SUMI_ATTR_FLOAT},
    {"epsilon", SUMI_ATTR_FLOAT},
    {"norm_coefficient", SUMI_ATTR_FLOAT},
    {"norm_coefficient_post", SUMI_ATTR_FLOAT},
    {NULL},
};
static const struct sumi_attr_spec momentum_attrs[] = {{"alpha", SUMI_ATTR_FLOAT, true},
                                                       {"beta", SUMI_ATTR_FLOAT, true},
                                                       {"mode", SUMI_ATTR_STRING, true},
                                                       {"norm_coefficient", SUMI_ATTR_FLOAT, true},
                                                       {NULL}};
#define REALS (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT64))
static const struct sumi_port in[] = {{"R", REALS},
                                      {"T", SUMI_BIT(SUMI_INT64)},
                                      {"inputs", REALS, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED},
                                      {NULL}};
static const struct sumi_port out[] = {{"outputs", REALS, 0, SUMI_PORT_VARIADIC | SUMI_PORT_MIXED}, {NULL}};

/* Inputs lie above 0, since what is accumulated of squares cannot be negative. */
#define DOMAIN "ai.onnx.preview.training"
static const struct sumi_case adagrad_cases[] = {
    {"g (float r, int64 t, float[3,100] x, float[3,100] g, float[3,100] h) => (y, k) { y, k = " DOMAIN
     ".Adagrad <norm_coefficient = 0.1, decay_factor = 0.1, epsilon = 0.01> (r, t, x, g, h) }",
     .low = 0.1, .high = 2, .why = "more than one chunk of elements"},
    {"g (double[1] r, int64[1] t, float[2] x, double[3] z, float[2] g, double[3] e, float[2] h, double[3] k) "
     "=> (a, b, c, d) { a, b, c, d = " DOMAIN ".Adagrad (r, t, x, z, g, e, h, k) }",
     .low = 0.1, .high = 2, .why = "two tensors of different types"},
    {NULL},
};
static const struct sumi_case adam_cases[] = {
    {"g (float r, int64 t, float[300] x, float[300] g, float[300] v, float[300] h) => (y, u, k) { y, u, k "
     "= " DOMAIN ".Adam <norm_coefficient = 0.1, norm_coefficient_post = 0.2> (r, t, x, g, v, h) }",
     .low = 1, .high = 5, .why = "the rate is corrected"},
    {"g (float r, float[2] x, float[3] z, float[2] g, float[3] e, float[2] v, float[3] w, float[2] h, "
     "float[3] k)"
     " => (a, b, c, d, e1, f) <int64 t = {0}> { a, b, c, d, e1, f = " DOMAIN
     ".Adam <alpha = 0.5, beta = 0.75> (r, t, x, z, g, e, v, w, h, k) }",
     .low = 0.1, .high = 2, .why = "two tensors, the first step"},
    {NULL},
};
static const struct sumi_case momentum_cases[] = {
    {"g (float r, int64 t, float[300] x, float[300] g, float[300] v) => (y, u) { y, u = " DOMAIN
     ".Momentum <alpha = 0.95, beta = 0.5, mode = \"standard\", norm_coefficient = 0.001> (r, t, x, g, v) }",
     .low = 1, .high = 5},
    {"g (float r, float[2] x, float[3] z, float[2] g, float[3] e, float[2] v, float[3] w) => (a, b, c, d)"
     " <int64 t = {0}> { a, b, c, d = " DOMAIN ".Momentum <alpha = 0.95, beta = 0.5, mode = \"nesterov\", "
     "norm_coefficient = 0.1> (r, t, x, z, g, e, v, w) }",
     .why = "two tensors, the first step: beta is 1"},
    {NULL},
};

#define OPTIMIZER(symbol, label, text, infer_fn) \
  const struct sumi_op sumi_op_##symbol = {      \
      .name = DOMAIN "." label,                  \
      .formula = text,                           \
      .known_as = {{DOMAIN, label, {1}}},        \
      .attrs = symbol##_attrs,                   \
      .in = in,                                  \
      .out = out,                                \
      .infer = infer_fn,                         \
      .ref = symbol##_ref,                       \
      .cases = symbol##_cases,                   \
  };

OPTIMIZER(adagrad, "Adagrad", "x - rate g / sqrt(accumulated g^2)", one_state_infer)
OPTIMIZER(adam, "Adam", "x - rate mean(g) / sqrt(mean(g^2)), running means", adam_infer)
OPTIMIZER(momentum, "Momentum", "x - rate (alpha v + beta g)", momentum_infer)

/* BiasGelu, FastGelu, QuickGelu, Gelu of com.microsoft, with t = x + bias (bias over the last dimension, where given):
 *   BiasGelu, Gelu  t/2 * (1 + erf(t / sqrt(2)))
 *   FastGelu        t/2 * (1 + tanh(sqrt(2/pi) * (t + 0.044715 t^3)))
 *   QuickGelu       t / (1 + exp(-alpha t)), alpha = 1.702 unless given
 * Source: ONNX Runtime, docs/ContribOperators.md. float64 is computed as such, all other types in float32. */
#include <tgmath.h>

#include "base/size.h"
#include "kernel/eltwise/eltwise.h"
#include "op/call_lower.h"
#include "op/ms_util.h"
#include "op/vector_cells.h"

/* The formulas of t and alpha, in type T (<tgmath.h> picks the functions). */
#define ERF_FORM(T) (t * (T)0.5 * (1 + erf(t * (T)0.70710678118654752)))
#define TANH_FORM(T) (t * (T)0.5 * (1 + tanh((T)0.79788456080286536 * t * (1 + (T)0.044715 * t * t))))
#define QUICK_FORM(T) (t / (1 + exp(-alpha * t)))

/* f32_NAME: y[i] = formula(y[i]); f64_NAME: formula(t). */
#define BOTH(name, FORM)                                     \
  static void f32_##name(float *y, int64_t n, float alpha) { \
    (void)alpha;                                             \
    for (int64_t i = 0; i < n; i++) {                        \
      const float t = y[i];                                  \
      y[i] = FORM(float);                                    \
    }                                                        \
  }                                                          \
  static double f64_##name(double t, double alpha) {         \
    (void)alpha;                                             \
    return FORM(double);                                     \
  }
BOTH(erf, ERF_FORM)
BOTH(tanh, TANH_FORM)
BOTH(quick, QUICK_FORM)

static sumi_status gelu_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  if (sumi_infer_has(ctx, 1)) {
    SUMI_TRY(sumi_ms_want_rank(ctx, 1, 1, 1));
    if (x->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a scalar cannot take a bias");
    if (x->rank > 0)
      SUMI_TRY(sumi_ms_want_dim(ctx, 1, 0, x->dim[x->rank - 1], "last dimension of the input"));
  }
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

/* The output is walked in pieces of a row (a row = the bias' length, or everything). */
static sumi_status gelu(const struct sumi_call *c, void (*f32)(float *, int64_t, float),
                        double (*f64)(double, double)) {
  const struct sumi_tensor *x = c->in[0], *bias = sumi_call_has(c, 1) ? c->in[1] : NULL;
  const int64_t n = sumi_tensor_count(x), row = bias ? bias->dim[0] : n;
  const float alpha = sumi_attr_float(c->node, "alpha", 1.702f);
  if (x->dtype == SUMI_FLOAT64) {
    const double *from = x->data, *add = bias ? bias->data : NULL;
    double *to = c->out[0]->data;
    for (int64_t i = 0; i < n; i++) to[i] = f64(from[i] + (add ? add[i % row] : 0), (double)alpha);
    return SUMI_OK;
  }
  float piece[256], add[256];
  for (int64_t first = 0; first < n;) {
    const int64_t at = first % row, some = SUMI_MIN((int64_t)SUMI_COUNT(piece), row - at);
    sumi_to_f32(x->dtype, x->data, first, some, piece);
    if (bias) {
      sumi_to_f32(bias->dtype, bias->data, at, some, add);
      for (int64_t i = 0; i < some; i++) piece[i] += add[i];
    }
    f32(piece, some, alpha);
    sumi_from_f32(x->dtype, piece, some, c->out[0]->data, first);
    first += some;
  }
  return SUMI_OK;
}

static sumi_status erf_ref(const struct sumi_call *c) { return gelu(c, f32_erf, f64_erf); }
static sumi_status tanh_ref(const struct sumi_call *c) { return gelu(c, f32_tanh, f64_tanh); }
static sumi_status quick_ref(const struct sumi_call *c) { return gelu(c, f32_quick, f64_quick); }

/* ---- with kernels ------------------------------------------------------------------------------------------------ */

struct fast {
  const struct sumi_eltwise_kernel *kernel;
  enum sumi_unary function;
  float alpha;
};

struct fast_run {
  const struct fast *f;
  const float *x, *bias;
  float *y;
  int64_t n; /* a row */
};

static void run_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct fast_run *r = user;
  const int64_t first = begin * r->n, n = (end - begin) * r->n;
  const float *from = r->x + first;
  float *to = r->y + first;
  for (int64_t i = begin; r->bias && i < end; i++)
    r->f->kernel->binary[SUMI_BINARY_add](r->x + i * r->n, 1, r->bias, 1, r->y + i * r->n, r->n);
  r->f->kernel->unary[r->f->function](r->bias ? to : from, to, n, &r->f->alpha);
}

static sumi_status run_fast(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  enum {
    TILE = 8192
  }; /* words: starting a tile costs nothing beside them, and they stay in the first-level cache */
  const struct sumi_tensor *x = c->in[0], *bias = sumi_call_has(c, 1) ? c->in[1] : NULL;
  const int64_t count = sumi_tensor_count(x);
  struct fast_run r = {tools->user, x->data, bias ? bias->data : NULL, c->out[0]->data,
                       bias ? bias->dim[0] : 1};
  if (count) sumi_par_for(tools->par, count / r.n, SUMI_MAX(TILE / r.n, 1), run_rows, &r);
  return SUMI_OK;
}

static sumi_status lower(struct sumi_lower *l, enum sumi_unary function) {
  struct fast *f = SUMI_NEW(l->arena, struct fast);
  if (!f) SUMI_FAIL_MEMORY(l->err);
  *f = (struct fast){sumi_eltwise_pick(l->isa), function, sumi_attr_float(l->node, "alpha", 1.702f)};
  if (l->in[0]->dtype != SUMI_FLOAT32) {
    sumi_lower_refuse(l, f->kernel->name, "element type %s", sumi_dtype_label(l->in[0]->dtype));
    return SUMI_E_UNSUPPORTED;
  }
  return sumi_call_lower(l, run_fast, f, 0, -1, f->kernel->name);
}

static sumi_status erf_lower(struct sumi_lower *l) { return lower(l, SUMI_UNARY_gelu); }
static sumi_status tanh_lower(struct sumi_lower *l) { return lower(l, SUMI_UNARY_gelu_tanh); }
static sumi_status quick_lower(struct sumi_lower *l) { return lower(l, SUMI_UNARY_silu); }

/* ---- for the card ------------------------------------------------------------------------------------------------ */

/* The same formulas, of t and alpha, with the functions that the card has. */
static sumi_status gelu_cells(struct sumi_cells *c, const char *formula) {
  struct sumi_vector p;
  const int y = sumi_eltwise_begin(&p, c, 1);
  int t = sumi_vector_load(&p, sumi_vector_view(&p, 0));
  if (sumi_cells_has(c, 1)) t = SUMI_VECTOR(&p, "a + b", t, sumi_vector_load(&p, sumi_vector_view(&p, 1)));
  p.alpha = sumi_vector_float(&p, sumi_attr_float(c->node, "alpha", 1.702f));
  sumi_vector_store(&p, sumi_vector_view(&p, y), SUMI_VECTOR(&p, formula, t));
  return sumi_vector_end(&p);
}

static sumi_status erf_cells(struct sumi_cells *c) {
  return gelu_cells(c, "a * 0.5f * (1 + sumi_erf_f32(a * 0.70710678f))");
}
static sumi_status tanh_cells(struct sumi_cells *c) {
  return gelu_cells(c, "a * 0.5f * (1 + sumi_tanh_f32(0.79788456f * a * (1 + 0.044715f * a * a)))");
}
static sumi_status quick_cells(struct sumi_cells *c) {
  return gelu_cells(c, "a * sumi_sigmoid_f32(alpha * a)");
}

static const struct sumi_attr_spec quick_attrs[] = {{"alpha", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_port one_in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port bias_in[] = {{"A", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port maybe_bias_in[] = {
    {"X", SUMI_FLOATS, 'T'}, {"bias", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case bias_cases[] = {
    {"g (float[2,3,300] a, float[300] b) => (c) { c = com.microsoft.BiasGelu (a, b) }", .rtol = 1e-6,
     .why = "rows longer than a piece; float arithmetic"},
    {"g (float16[2,7] a, float16[7] b) => (c) { c = com.microsoft.BiasGelu (a, b) }", .rtol = 1e-3,
     .why = "float16 result"},
    {NULL},
};
static const struct sumi_case fast_cases[] = {
    {"g (float[4,33] x) => (y) { y = com.microsoft.FastGelu (x) }", .rtol = 1e-6, .why = "float arithmetic"},
    {"g (float[4,33] x, float[33] b) => (y) { y = com.microsoft.FastGelu (x, b) }", .rtol = 1e-6},
    {"g (double[600] x) => (y) { y = com.microsoft.FastGelu (x) }", .rtol = 1e-14,
     .why = "double arithmetic"},
    {NULL},
};
static const struct sumi_case quick_cases[] = {
    {"g (float[5,9] x) => (y) { y = com.microsoft.QuickGelu <alpha = 1.5> (x) }", .rtol = 1e-6, .low = -30,
     .high = 30, .why = "both ends of the sigmoid"},
    {NULL},
};
static const struct sumi_case gelu_cases[] = {
    {"g (float[2,300] x) => (y) { y = com.microsoft.Gelu (x) }", .rtol = 1e-6, .why = "float arithmetic"},
    {NULL},
};

const struct sumi_op sumi_op_ms_bias_gelu = {
    .name = "com.microsoft.BiasGelu",
    .formula = "t/2 * (1 + erf(t / sqrt(2))), t = a + b",
    .known_as = {{"com.microsoft", "BiasGelu", {1}}},
    .in = bias_in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = gelu_infer,
    .ref = erf_ref,
    .lower = erf_lower,
    .cells = erf_cells,
    .cases = bias_cases,
};

const struct sumi_op sumi_op_ms_gelu = {
    .name = "com.microsoft.Gelu",
    .formula = "x/2 * (1 + erf(x / sqrt(2)))",
    .known_as = {{"com.microsoft", "Gelu", {1}}},
    .in = one_in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = gelu_infer,
    .ref = erf_ref,
    .lower = erf_lower,
    .cells = erf_cells,
    .cases = gelu_cases,
};

const struct sumi_op sumi_op_ms_fast_gelu = {
    .name = "com.microsoft.FastGelu",
    .formula = "t/2 * (1 + tanh(sqrt(2/pi) (t + 0.044715 t^3))), t = x + bias",
    .known_as = {{"com.microsoft", "FastGelu", {1}}},
    .in = maybe_bias_in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = gelu_infer,
    .ref = tanh_ref,
    .lower = tanh_lower,
    .cells = tanh_cells,
    .cases = fast_cases,
};

const struct sumi_op sumi_op_ms_quick_gelu = {
    .name = "com.microsoft.QuickGelu",
    .formula = "x / (1 + exp(-alpha x))",
    .known_as = {{"com.microsoft", "QuickGelu", {1}}},
    .attrs = quick_attrs,
    .in = one_in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = gelu_infer,
    .ref = quick_ref,
    .lower = quick_lower,
    .cells = quick_cells,
    .cases = quick_cases,
};

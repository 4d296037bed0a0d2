/* Activations of fused operators, by name. The formulas are written once, for float and double. */
#include "op/activation.h"

#include <math.h>

#include "base/fmath.h"
#include "base/size.h"

static double sigmoid_f64(double x) { return 1 / (1 + exp(-x)); }
static double tanh_f64(double x) { return tanh(x); }
static double erf_f64(double x) { return erf(x); }

/* In float32 the functions of base/fmath.h: what is rounded to 8 bits behind them is the same byte on the card. */
#define OF(f, x) _Generic((x), float : sumi_##f##_f32, double : f##_f64)(x)

/* X(kind, name, figures, default a, default b, f): f computes y from x, a, b of type real. */
#define ACTIVATIONS(X)                                                                            \
  X(NONE, "", 0, 0, 0, x)                                                                         \
  X(RELU, "Relu", 0, 0, 0, x > 0 || x != x ? x : 0)                                               \
  X(LEAKY_RELU, "LeakyRelu", 1, 0.01f, 0, x < 0 ? a * x : x)                                      \
  X(CLIP, "Clip", 2, -INFINITY, INFINITY, x<a ? (b < a ? b : a) : x> b ? b : x)                   \
  X(HARD_SIGMOID, "HardSigmoid", 2, 0.2f, 0.5f, a *x + b < 0 ? 0 : a * x + b > 1 ? 1 : a * x + b) \
  X(SIGMOID, "Sigmoid", 0, 0, 0, OF(sigmoid, x))                                                  \
  X(TANH, "Tanh", 0, 0, 0, OF(tanh, x))                                                           \
  X(HARD_SWISH, "HardSwish", 0, 0, 0, x *(x + 3 < 0 ? 0 : x + 3 > 6 ? 1 : (x + 3) / 6))           \
  X(SWISH, "Swish", 1, 1, 0, x *OF(sigmoid, a *x))                                                \
  X(GELU, "Gelu", 0, 0, 0, (real)0.5 * x * (1 + OF(erf, x * (real)M_SQRT1_2)))                    \
  X(GELU_TANH, "GeluTanh", 0, 0, 0,                                                               \
    (real)0.5 * x * (1 + OF(tanh, (real)sqrt(2 / M_PI) * (x + (real)0.044715 * x * x * x))))

static const struct {
  const char *name;
  int n;
  float a, b;
} rows[] = {
#define X(kind, label, figures, def_a, def_b, f) [SUMI_ACTIVATION_##kind] = {label, figures, def_a, def_b},
    ACTIVATIONS(X)
#undef X
};

_Static_assert(SUMI_COUNT(rows) == SUMI_N_ACTIVATIONS, "every activation has a row");

sumi_status sumi_activation_make(const char *name, const float *given, int n, struct sumi_activation *out,
                                 struct sumi_err *err) {
  for (int k = 0; k < SUMI_N_ACTIVATIONS; k++) {
    if (!sumi_streq(name, rows[k].name)) continue;
    /* some writers fill up with figures the function does not have: two are always allowed */
    if (n > 2) SUMI_FAIL(err, SUMI_E_VALUE, "activation %s has %d figures", name, n);
    *out = (struct sumi_activation){(enum sumi_activation_kind)k, n > 0 ? given[0] : rows[k].a,
                                    n > 1 ? given[1] : rows[k].b};
    return SUMI_OK;
  }
  SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "activation '%s' is not one that can be fused", name);
}

sumi_status sumi_activation_resolve(const struct sumi_node *node, struct sumi_activation *out,
                                    struct sumi_err *err) {
  int n;
  const float *given = sumi_attr_floats(node, "activation_params", &n);
  return sumi_activation_make(sumi_attr_string(node, "activation", ""), given, n, out, err);
}

#define APPLY(function, type)                                     \
  void function(struct sumi_activation act, type *v, int64_t n) { \
    typedef type real;                                            \
    const real a = act.a, b = act.b;                              \
    (void)a, (void)b;                                             \
    switch (act.kind) {                                           \
      ACTIVATIONS(CASE)                                           \
      default: break;                                             \
    }                                                             \
  }
#define CASE(kind, label, figures, def_a, def_b, f) \
  case SUMI_ACTIVATION_##kind:                      \
    for (int64_t i = 0; i < n; i++) {               \
      const real x = v[i];                          \
      v[i] = (f);                                   \
    }                                               \
    break;

APPLY(sumi_activation_apply, float)
APPLY(sumi_activation_apply_f64, double)

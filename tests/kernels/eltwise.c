/* Family eltwise: every function over random and special words, in place and not, against double precision. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fmath.h"
#include "check.h"
#include "kernel/eltwise/eltwise.h"

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* The formulas once more, in double precision. ulps: what the result may be off, in units of the last place; plus an
 * absolute part where a formula subtracts numbers near each other. silu rounds alpha * x, up to 31, before exp; the
 * logistic function gives up what is smaller than normal numbers. */
#define FUNCTIONS(F)                                                                       \
  F(relu, x < 0 ? 0 : x, 0, 0)                                                             \
  F(leaky_relu, x < 0 ? alpha * x : x, 0.5, 0)                                             \
  F(clip, clip(x, alpha, beta), 0, 0)                                                      \
  F(sigmoid, 1 / (1 + exp(-x)), 3, 1.2e-38)                                                \
  F(silu, x / (1 + exp(-alpha * x)), 40, 2e-37)                                            \
  F(hard_sigmoid, clip(alpha *x + beta, 0, 1), 2, 6e-8)                                    \
  F(hard_swish, x *clip(x / 6 + 0.5, 0, 1), 3, 2e-7)                                       \
  F(tanh, tanh(x), 2, 0)                                                                   \
  F(exp, exp(x), 1.5, 0)                                                                   \
  F(erf, erf(x), 1.5, 0)                                                                   \
  F(gelu, 0.5 * x * (1 + erf(x * M_SQRT1_2)), 4, 4e-7)                                     \
  F(gelu_tanh, 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))), 8, 6e-7) \
  F(sqrt, sqrt(x), 0.5, 0)                                                                 \
  F(reciprocal, 1 / x, 0.5, 0)                                                             \
  F(abs, fabs(x), 0, 0)                                                                    \
  F(neg, -x, 0, 0)                                                                         \
  F(affine, alpha *x + beta, 2, 1.2e-7)                                                    \
  F(softplus, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)), 3, 0)                            \
  F(elu, x < 0 ? alpha * expm1(x) : x, 2.5, 0)                                             \
  F(mish, x *tanh(x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))), 5, 4e-7)                    \
  F(softsign, isinf(x) ? NAN : x / (1 + fabs(x)), 2, 0)                                    \
  F(log, log(x), 1.5, 0)                                                                   \
  F(acos, acos(x), 1.5, 0)                                                                 \
  F(asin, asin(x), 2.5, 0)                                                                 \
  F(atan, atan(x), 3, 0)                                                                   \
  F(sin, fabs(x) <= (double)SUMI_TURN_MOST ? sin(x) : NAN, 2, 0)                           \
  F(cos, fabs(x) <= (double)SUMI_TURN_MOST ? cos(x) : NAN, 2, 0)                           \
  F(round, nearbyint(x), 0, 0)                                                             \
  F(floor, floor(x), 0, 0)                                                                 \
  F(ceil, ceil(x), 0, 0)                                                                   \
  F(sign, isnan(x) ? x : (x > 0) - (x < 0), 0, 0)

#define ORACLE(name, f, ...)                                       \
  static double want_##name(double x, double alpha, double beta) { \
    (void)alpha, (void)beta;                                       \
    return f;                                                      \
  }
FUNCTIONS(ORACLE)

static const struct {
  const char *name;
  double (*want)(double x, double alpha, double beta);
  double ulps, absolute;
} unary[SUMI_N_UNARY] = {
#define ROW(name, f, ulps, absolute) [SUMI_UNARY_##name] = {#name, want_##name, ulps, absolute},
    FUNCTIONS(ROW)};

static double want_add(double a, double b) { return a + b; }
static double want_sub(double a, double b) { return a - b; }
static double want_mul(double a, double b) { return a * b; }
static double want_div(double a, double b) { return a / b; }
static double want_max(double a, double b) { return a > b || isnan(a) ? a : b; }
static double want_min(double a, double b) { return a < b || isnan(a) ? a : b; }
static double want_prelu(double a, double b) { return a < 0 ? a * b : a; }
static const struct {
  const char *name;
  double (*want)(double a, double b);
} binary[SUMI_N_BINARY] = {
    [SUMI_BINARY_add] = {"add", want_add},       [SUMI_BINARY_sub] = {"sub", want_sub},
    [SUMI_BINARY_mul] = {"mul", want_mul},       [SUMI_BINARY_div] = {"div", want_div},
    [SUMI_BINARY_max] = {"max", want_max},       [SUMI_BINARY_min] = {"min", want_min},
    [SUMI_BINARY_prelu] = {"prelu", want_prelu},
};

static void fill_special(struct check *c, struct guarded *g) {
  static const float special[] = {0,      -0.0f,   1,  -1,  INFINITY, -INFINITY, NAN,
                                  1e-30f, -1e-30f, 88, -88, 104,      -104,      3e38f};
  const float wide = pick(c, 0, 1) ? 100.f : 3.f;
  fill_random(c, g, -wide, wide);
  for (size_t i = 0; i < g->n; i++)
    if (pick(c, 0, 9) == 0) g->data[i] = special[pick(c, 0, sizeof special / sizeof *special - 1)];
}

/* Half a unit of the last place of |v|, at least that of the smallest normal number. */
static float ulps(double n, double v) { return (float)(n * fmax(fabs(v), 1.2e-38) * 1.2e-7); }

static void check_unary(struct check *c, const struct sumi_eltwise_kernel *k, int f) {
  struct guarded x = guard(c, (size_t)pick(c, 1, 100)), y = guard(c, x.n), before = guard(c, x.n);
  const float param[2] = {0.3f, 0.7f};
  const bool in_place = pick(c, 0, 1);
  fill_special(c, &x);
  memcpy(before.data, x.data, x.n * sizeof(float));
  begin_case(c, k->name, "%s of %zu%s", unary[f].name, x.n, in_place ? ", in place" : "");
  k->unary[f](x.data, in_place ? x.data : y.data, (int64_t)x.n, param);
  const float *got = in_place ? x.data : y.data;
  for (size_t i = 0; i < x.n; i++) {
    const double v = unary[f].want((double)before.data[i], (double)param[0], (double)param[1]);
    const double a = fabs((double)before.data[i]);
    const float slack =
        unary[f].absolute > 0 && isfinite(a) ? (float)(unary[f].absolute * fmin(fmax(a, 1), 10)) : 0;
    if (isinf(v) || v > 3.4028235e38) {
      if (!(got[i] > 3e38f) && !(got[i] < -3e38f) && !same(c, unary[f].name, (int64_t)i, got[i], (float)v, 0))
        break;
    } else if (unary[f].absolute > 0 && !isfinite(a)) {
      continue; /* infinity times zero: the formulas differ */
    } else if (!same(c, unary[f].name, (int64_t)i, got[i], (float)v, ulps(unary[f].ulps, v) + slack)) {
      fail(c, "  at x = %.9g", (double)before.data[i]);
      break;
    }
  }
  let_go(c, &x), let_go(c, &y), let_go(c, &before);
}

static void check_binary(struct check *c, const struct sumi_eltwise_kernel *k, int f) {
  const int form = pick(c, 0, 2);
  const size_t n = (size_t)pick(c, 1, 100);
  struct guarded a = guard(c, form == 1 ? 1 : n), b = guard(c, form == 2 ? 1 : n), y = guard(c, n);
  fill_special(c, &a), fill_special(c, &b);
  begin_case(c, k->name, "%s of %zu, form %d", binary[f].name, n, form);
  k->binary[f](a.data, form != 1, b.data, form != 2, y.data, (int64_t)n);
  for (size_t i = 0; i < n; i++) {
    const float p = a.data[form == 1 ? 0 : i], q = b.data[form == 2 ? 0 : i];
    if (!same(c, binary[f].name, (int64_t)i, y.data[i], (float)binary[f].want((double)p, (double)q), 0))
      break;
  }
  let_go(c, &a), let_go(c, &b), let_go(c, &y);
}

/* Words of every size are moved, whatever their bits. */
static void check_select(struct check *c, const struct sumi_eltwise_kernel *k, int width) {
  const int c_step = pick(c, 0, 1), a_step = pick(c, 0, 1), b_step = pick(c, 0, 1);
  const size_t word = (size_t)1 << width, n = (size_t)pick(c, 1, 100) * 4; /* so that all sizes fill floats */
  struct guarded flag = guard(c, n / 4), a = guard(c, n * word / 4), b = guard(c, n * word / 4),
                 y = guard(c, n * word / 4);
  fill_random(c, &a, -1, 1), fill_random(c, &b, -1, 1);
  uint8_t *flags = (uint8_t *)flag.data;
  for (size_t i = 0; i < n; i++) flags[i] = (uint8_t)pick(c, 0, 1);
  begin_case(c, k->name, "select of %zu words of %zu, steps %d %d %d", n, word, c_step, a_step, b_step);
  k->select[width](flags, c_step, a.data, a_step, b.data, b_step, y.data, (int64_t)n);
  for (size_t i = 0; i < n; i++) {
    const char *from = flags[c_step ? i : 0] ? (char *)a.data + (a_step ? i * word : 0)
                                             : (char *)b.data + (b_step ? i * word : 0);
    if (memcmp((char *)y.data + i * word, from, word)) {
      fail(c, "  word %zu is another one", i);
      break;
    }
  }
  let_go(c, &flag), let_go(c, &a), let_go(c, &b), let_go(c, &y);
}

static void bench(struct check *c, const struct sumi_eltwise_kernel *k) {
  const size_t n = 100000;
  const float param[2] = {0.3f, 0.7f};
  struct guarded x = guard(c, n), y = guard(c, n), z = guard(c, n);
  fill_random(c, &x, -4, 4), fill_random(c, &z, -4, 4);
  for (int f = 0; f < SUMI_N_UNARY + SUMI_N_BINARY; f++) {
    const int b = f - SUMI_N_UNARY;
    double best = 1e9;
    for (int t = 0; t < 10; t++) {
      const double t0 = now_s();
      if (b < 0)
        k->unary[f](x.data, y.data, (int64_t)n, param);
      else
        k->binary[b](x.data, 1, z.data, 1, y.data, (int64_t)n);
      best = fmin(best, now_s() - t0);
    }
    report(c, k->name, b < 0 ? unary[f].name : binary[b].name, best, 0, (b < 0 ? 8.0 : 12.0) * (double)n);
  }
  let_go(c, &x), let_go(c, &y), let_go(c, &z);
}

void check_eltwise(struct check *c) {
  const struct sumi_eltwise_kernel *k = sumi_eltwise_pick(sumi_cpu_isa());
  if (c->bench) {
    bench(c, k);
    return;
  }
  for (int i = 0; i < 30; i++) {
    for (int f = 0; f < SUMI_N_UNARY; f++) check_unary(c, k, f);
    for (int f = 0; f < SUMI_N_BINARY; f++) check_binary(c, k, f);
    for (int width = 0; width < SUMI_N_SELECT; width++) check_select(c, k, width);
  }
}

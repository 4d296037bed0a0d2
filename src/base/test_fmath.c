/* The float functions against double precision: the largest error over a sweep of all floats, and the
 * edges. */
#include "base/fmath.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static double logistic(double x) { return 1 / (1 + exp(-x)); }

/* Largest error of f in units of the last place of the float nearest to the exact value; at least down to
 * the smallest subnormal where flush is 0, else results below flush count as right when they are as small. */
static double largest_error(float (*f)(float), double (*exact)(double), double flush) {
  double worst = 0;
  for (uint64_t bits = 0; bits < UINT64_C(1) << 32;
       bits += 6151) { /* a prime: no pattern of mantissa bits is left out */
    const float x = sumi_f32_from_bits((uint32_t)bits), got = f(x);
    if (isnan(x)) {
      assert_true(isnan(got));
      continue;
    }
    const double want = exact(x);
    if (isnan(want)) {
      assert_true(isnan(got));
      continue;
    }
    if (fabs(want) < flush && fabs((double)got) < flush) continue;
    if (isinf((float)want) || (float)want == 0) {
      assert_true(got == (float)want);
      continue;
    }
    int e;
    frexp(want, &e);
    const double ulp = ldexp(1, e - 24 < -149 ? -149 : e - 24);
    worst = fmax(worst, fabs((double)got - want) / ulp);
  }
  return worst;
}

static float exp_f(float x) { return sumi_exp_f32(x); }
static float erf_f(float x) { return sumi_erf_f32(x); }
static float tanh_f(float x) { return sumi_tanh_f32(x); }
static float sigmoid_f(float x) { return sumi_sigmoid_f32(x); }
static double expm1_or_0(double x) { return x > 0 ? 0 : expm1(x); }
static double softplus(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static float expm1_f(float x) { return sumi_expm1_f32(x); }
static float softplus_f(float x) { return sumi_softplus_f32(x); }
static float log_f(float x) { return sumi_log_f32(x); }
static float acos_f(float x) { return sumi_acos_f32(x); }
static float asin_f(float x) { return sumi_asin_f32(x); }
static float atan_f(float x) { return sumi_atan_f32(x); }
static float sin_f(float x) { return sumi_sin_f32(x); }
static float cos_f(float x) { return sumi_cos_f32(x); }
static double near_sin(double x) { return fabs(x) <= (double)SUMI_TURN_MOST ? sin(x) : NAN; }
static double near_cos(double x) { return fabs(x) <= (double)SUMI_TURN_MOST ? cos(x) : NAN; }
static float floor_f(float x) { return sumi_floor_f32(x); }
static float ceil_f(float x) { return sumi_ceil_f32(x); }
static float rint_f(float x) { return sumi_rint_f32(x); }

/* The bounds that the header states. */
static void errors_are_bounded(void **state) {
  (void)state;
  assert_true(largest_error(exp_f, exp, 0) < 1.1);
  assert_true(largest_error(erf_f, erf, 0) < 1.5);
  assert_true(largest_error(tanh_f, tanh, 0) < 2);
  assert_true(largest_error(sigmoid_f, logistic, 0x1p-126) < 3);
  assert_true(largest_error(expm1_f, expm1_or_0, 0) < 1.5);
  assert_true(largest_error(softplus_f, softplus, 0x1p-126) < 2.5);
  assert_true(largest_error(log_f, log, 0) < 1.5);
  assert_true(largest_error(acos_f, acos, 0) < 1.5);
  assert_true(largest_error(asin_f, asin, 0) < 2.5);
  assert_true(largest_error(atan_f, atan, 0) < 2.5);
  assert_true(largest_error(sin_f, near_sin, 0) < 2);
  assert_true(largest_error(cos_f, near_cos, 0) < 2);
  assert_true(largest_error(rint_f, rint, 0) == 0);
  assert_true(largest_error(floor_f, floor, 0) == 0);
  assert_true(largest_error(ceil_f, ceil, 0) == 0);
}

static void gelu_error_is_bounded(void **state) {
  (void)state;
  double above = 0, below = 0, relative = 0; /* ulp; absolute; of the result */
  for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 6151) {
    const float x = sumi_f32_from_bits((uint32_t)bits), got = sumi_gelu_f32(x);
    if (isnan(x)) {
      assert_true(isnan(got));
      continue;
    }
    if (isinf(x)) continue;
    const double want = 0.5 * (double)x * erfc(-(double)x / sqrt(2)), error = fabs((double)got - want);
    int e;
    frexp(want, &e);
    if (x >= 0)
      above = fmax(above, error / ldexp(1, e - 24 < -149 ? -149 : e - 24));
    else
      below = fmax(below, error);
    if (x < -0x1p-100f && x > -3.5f) relative = fmax(relative, error / fabs(want));
  }
  assert_true(above < 3 && below < 0x1p-23 * 0.7072 && relative < 0x1p-19);
  assert_true(sumi_gelu_f32(INFINITY) == INFINITY && sumi_gelu_f32(-INFINITY) == 0 && sumi_gelu_f32(-7) == 0);
  assert_true(sumi_gelu_f32(0) == 0 && signbit(sumi_gelu_f32(-0.0f)));
}

static void edges(void **state) {
  (void)state;
  assert_true(sumi_exp_f32(INFINITY) == INFINITY && sumi_exp_f32(-INFINITY) == 0 && sumi_exp_f32(0) == 1);
  assert_true(sumi_exp_f32(88.7228f) < INFINITY && sumi_exp_f32(88.73f) == INFINITY);
  assert_true(sumi_exp_f32(-103.9f) == 0x1p-149f); /* the smallest subnormal is kept */
  assert_true(sumi_erf_f32(INFINITY) == 1 && sumi_erf_f32(-INFINITY) == -1);
  assert_true(sumi_tanh_f32(INFINITY) == 1 && sumi_tanh_f32(-INFINITY) == -1);
  assert_true(sumi_sigmoid_f32(INFINITY) == 1 && sumi_sigmoid_f32(-INFINITY) == 0 &&
              sumi_sigmoid_f32(0) == 0.5f);
  assert_true(signbit(sumi_erf_f32(-0.0f)) && signbit(sumi_tanh_f32(-0.0f)) &&
              signbit(sumi_rint_f32(-0.25f)));
  assert_true(sumi_log_f32(0) == -INFINITY && sumi_log_f32(INFINITY) == INFINITY && sumi_log_f32(1) == 0 &&
              isnan(sumi_log_f32(-1)));
  assert_true(sumi_acos_f32(1) == 0 && isnan(sumi_acos_f32(1.0000001f)) && isnan(sumi_asin_f32(-INFINITY)));
  assert_true(sumi_cos_f32(0) == 1 && signbit(sumi_sin_f32(-0.0f)) && signbit(sumi_atan_f32(-0.0f)));
  assert_true(isnan(sumi_sin_f32(INFINITY)) && isnan(sumi_cos_f32(-0x1p21f)));
  assert_true(signbit(sumi_asin_f32(-0.0f)) && signbit(sumi_ceil_f32(-0.5f)));
  assert_true(sumi_rint_f32(2.5f) == 2 && sumi_rint_f32(3.5f) == 4 && sumi_rint_f32(-0.5f) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(errors_are_bounded),
                                     cmocka_unit_test(gelu_error_is_bounded), cmocka_unit_test(edges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

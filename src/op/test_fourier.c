/* Fourier transforms of all short lengths and of long primes against the definition in long double, and back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "op/fourier.h"

static struct sumi_fourier open_fourier(int64_t n, double **scratch) {
  size_t doubles;
  struct sumi_fourier f;
  assert_true(sumi_fourier_doubles(n, &doubles));
  *scratch = malloc(doubles * sizeof(double));
  assert_non_null(*scratch);
  sumi_fourier_init(&f, n, *scratch);
  return f;
}

static void fill(const struct sumi_fourier *f, double *keep) {
  struct sumi_random r;
  sumi_random_init(&r, (uint64_t)f->n);
  for (int64_t i = 0; i < f->n; i++) {
    keep[2 * i] = f->in.re[i] = sumi_random_normal(&r);
    keep[2 * i + 1] = f->in.im[i] = sumi_random_normal(&r);
  }
}

/* out[k] is the definition's, within a bound relative to the transform's typical magnitude, sqrt(2 n). */
static void compare_value(const struct sumi_fourier *f, const double *in, int64_t k) {
  long double re = 0, im = 0;
  for (int64_t i = 0, at = 0; i < f->n; i++, at = (at + k) % f->n) {
    const long double angle = 2 * acosl(-1.0L) * (long double)at / (long double)f->n;
    const long double c = cosl(angle), s = -sinl(angle);
    re += in[2 * i] * c - in[2 * i + 1] * s;
    im += in[2 * i + 1] * c + in[2 * i] * s;
  }
  const double bound = 1e-14 * sqrt(2.0 * (double)f->n) * log2(4.0 * (double)f->n);
  if (fabs((double)(f->out.re[k] - re)) > bound || fabs((double)(f->out.im[k] - im)) > bound)
    fail_msg("n %lld, k %lld: %.17g %.17g, not %.17g %.17g", (long long)f->n, (long long)k, f->out.re[k],
             f->out.im[k], (double)re, (double)im);
}

/* Forwards, `step` values apart compared, and back. */
static void check(int64_t n, int64_t step) {
  double *scratch, *in = malloc((size_t)n * 2 * sizeof(double));
  assert_non_null(in);
  struct sumi_fourier f = open_fourier(n, &scratch);
  fill(&f, in);
  sumi_fourier_run(&f, false);
  for (int64_t k = 0; k < n; k += step) compare_value(&f, in, k);
  memcpy(f.in.re, f.out.re, (size_t)n * sizeof(double));
  memcpy(f.in.im, f.out.im, (size_t)n * sizeof(double));
  sumi_fourier_run(&f, true);
  for (int64_t i = 0; i < n; i++)
    assert_true(fabs(f.out.re[i] - in[2 * i]) < 1e-12 && fabs(f.out.im[i] - in[2 * i + 1]) < 1e-12);
  free(scratch);
  free(in);
}

static void every_short_length(void **state) {
  (void)state;
  for (int64_t n = 1; n <= 200; n++) check(n, 1);
}

/* By the definition the last would take 4 * 10^10 steps. */
static void long_primes(void **state) {
  (void)state;
  static const int64_t n[] = {257, 1009, 4099, 200003};
  for (size_t i = 0; i < SUMI_COUNT(n); i++) check(n[i], n[i] / 3);
}

/* What is booked for a line is enough for shorter ones. */
static void scratch_rises(void **state) {
  (void)state;
  size_t last = 0, doubles;
  for (int64_t n = 1; n < 5000; n++, last = doubles) {
    assert_true(sumi_fourier_doubles(n, &doubles));
    assert_true(doubles >= last);
  }
  assert_false(sumi_fourier_doubles(0, &doubles));
  assert_false(sumi_fourier_doubles(INT64_MAX, &doubles));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_short_length), cmocka_unit_test(long_primes),
                                     cmocka_unit_test(scratch_rises)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Ranges from histograms, against figures that numpy gave from the definitions in range.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "compress/range.h"

enum { BINS = SUMI_HISTOGRAM_BINS, HALF = BINS / 2 };
static const double EDGE = 8;

static double centre(int i) { return (i + 0.5 - HALF) * EDGE / HALF; }

/* floor(1e5 exp(-2 |x|)) and two samples far below. */
static struct sumi_range_stats two_sided(void) {
  struct sumi_range_stats s = {.edge = EDGE, .low = -7.841796875, .high = 5.755859375};
  for (int i = 0; i < BINS; i++) s.bin[i] = (uint64_t)(1e5 * exp(-2 * fabs(centre(i))));
  s.bin[20] += 2;
  for (int i = 0; i < BINS; i++) s.count += (int64_t)s.bin[i];
  return s;
}

/* Half a bell, many zeros, three samples far above. */
static struct sumi_range_stats one_sided(void) {
  struct sumi_range_stats s = {.edge = EDGE, .low = 0.001953125, .high = 7.818359375};
  for (int i = HALF; i < BINS; i++) s.bin[i] = (uint64_t)(1e5 * exp(-centre(i) * centre(i) / 0.5));
  s.bin[HALF] += 50000;
  s.bin[HALF + 1000] += 3;
  for (int i = 0; i < BINS; i++) s.count += (int64_t)s.bin[i];
  return s;
}

static struct sumi_range choose(struct sumi_range_stats s, struct sumi_range_choice c) {
  struct sumi_range r;
  assert_int_equal(sumi_range_choose(&s, &c, &r, NULL), SUMI_OK);
  return r;
}

static void expect(struct sumi_range r, double low, double high) {
  assert_true(fabs(r.low - low) < 1e-9 && fabs(r.high - high) < 1e-9);
}

static void limits_are_those_of_numpy(void **state) {
  (void)state;
  expect(choose(two_sided(), (struct sumi_range_choice){"minmax"}), -7.841796875, 5.755859375);
  expect(choose(two_sided(), (struct sumi_range_choice){"percentile", 99.9}), -3.4453125, 3.4453125);
  expect(choose(two_sided(), (struct sumi_range_choice){"entropy"}), -5.2109375, 5.2109375);
  expect(choose(two_sided(), (struct sumi_range_choice){"mse"}), -4.65606689453125, 4.6766357421875);
  expect(choose(one_sided(), (struct sumi_range_choice){"minmax"}), 0, 7.818359375);
  expect(choose(one_sided(), (struct sumi_range_choice){"percentile", 99.9}), 0, 1.7421875);
  expect(choose(one_sided(), (struct sumi_range_choice){"entropy"}), 0, 2.3984375);
  expect(choose(one_sided(), (struct sumi_range_choice){"mse"}), 0, 2.19891357421875);
}

static void scales_hold_zero_exactly(void **state) {
  (void)state;
  struct sumi_range r = choose(two_sided(), (struct sumi_range_choice){"minmax"});
  assert_true(fabs((double)r.scale - (7.841796875 + 5.755859375) / 255) < 1e-8);
  assert_int_equal(r.zero, 147); /* 7.841796875 / scale = 147.06 */
  r = choose(one_sided(), (struct sumi_range_choice){"minmax"});
  assert_int_equal(r.zero, 0);
  r = choose(two_sided(), (struct sumi_range_choice){"minmax", .symmetric = true});
  expect(r, -7.841796875, 7.841796875);
  assert_true(fabs((double)r.scale - 7.841796875 / 127) < 1e-8);
  assert_int_equal(r.zero, 0);
  r = choose(one_sided(), (struct sumi_range_choice){"mse", .symmetric = true});
  assert_true(r.low == -r.high && r.high < 3);
}

static void values_that_are_always_the_same(void **state) {
  (void)state;
  struct sumi_range r = choose((struct sumi_range_stats){.count = 5}, (struct sumi_range_choice){NULL});
  assert_true(r.scale == 1 && r.zero == 0);
  struct sumi_range_stats below = {.low = -3, .high = -3, .count = 9, .edge = 3.0003};
  below.bin[0] = 9;
  for (size_t i = 0; sumi_range_methods[i]; i++) {
    r = choose(below, (struct sumi_range_choice){sumi_range_methods[i]});
    assert_int_equal(r.zero, 255);
    assert_true(isfinite(r.scale) && r.scale > 0 && r.low < 0 && r.high == 0);
  }
}

static void other_methods_are_refused(void **state) {
  (void)state;
  const struct sumi_range_stats s = {0};
  const struct sumi_range_choice c = {"median"};
  struct sumi_range r;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_range_choose(&s, &c, &r, &err), SUMI_E_ARG);
  assert_non_null(strstr(err.text, "'median'"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(limits_are_those_of_numpy),
      cmocka_unit_test(scales_hold_zero_exactly),
      cmocka_unit_test(values_that_are_always_the_same),
      cmocka_unit_test(other_methods_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

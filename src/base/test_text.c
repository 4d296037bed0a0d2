/* Growing text, numbers as text in two locales, hashes, and error text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/mem_test.h"
#include "base/number.h"
#include "base/random.h"
#include "base/size.h"
#include "base/text.h"

static void test_growing(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  struct sumi_text t;
  sumi_text_init(&t, sumi_test_heap_init(&heap));
  assert_string_equal(sumi_text_str(&t), "");
  for (int i = 0; i < 5000; i++) sumi_text_add(&t, "%d,", i % 10);
  sumi_text_add_bytes(&t, "a\0b", 3);
  assert_int_equal(t.size, 10003);
  assert_int_equal(t.data[t.size], 0);
  assert_memory_equal(t.data + 9998, "9,a\0b", 6);
  assert_false(t.failed);
  sumi_text_fini(&t);
  assert_string_equal(sumi_text_str(&t), "");
  sumi_text_add_quoted(&t, "a\"\\\n\t\x01\x7f\xc3\xa9", 9);
  assert_string_equal(sumi_text_str(&t), "\"a\\\"\\\\\\n\\t\\x01\\x7f\xc3\xa9\"");
  sumi_text_fini(&t);
  assert_int_equal(heap.blocks, 0);
  sumi_test_heap_fail(&heap, 0);
  sumi_text_add(&t, "%s", "x");
  assert_true(t.failed);
  assert_string_equal(sumi_text_str(&t), "");
  sumi_text_fini(&t);
}

static void test_hash(void **state) {
  (void)state;
  /* the published vectors of FNV-1a */
  assert_true(sumi_hash("", 0, 0) == 0xcbf29ce484222325u);
  assert_true(sumi_hash("a", 1, 0) == 0xaf63dc4c8601ec8cu);
  assert_true(sumi_hash("foobar", 6, 0) == 0x85944171f73967e8u);
  assert_true(sumi_hash("a", 1, 1) != sumi_hash("a", 1, 0));
  assert_true(sumi_streq("", "") && sumi_streq("ab", "ab") && !sumi_streq("ab", "a") &&
              !sumi_streq("a", "ab"));
}

static void check_read(const char *s, bool good, double want) {
  double d = 7;
  float f = 7;
  assert_int_equal(sumi_number_read_f64(s, strlen(s), &d), good);
  assert_int_equal(sumi_number_read_f32(s, strlen(s), &f), good);
  if (!good) return;
  if (isnan(want)) {
    assert_true(isnan(d) && isnan(f) && !signbit(d) == !signbit(want));
  } else {
    assert_true(d == want && !signbit(d) == !signbit(want));
    assert_true(f == (float)want);
  }
}

static void check_numbers(void) {
  static const struct {
    const char *s;
    bool good;
    double want;
  } row[] = {
      {"0", true, 0},
      {"-0", true, -0.0},
      {"1", true, 1},
      {"+1", true, 1},
      {"1.5", true, 1.5},
      {".5", true, .5},
      {"5.", true, 5},
      {"1e3", true, 1000},
      {"-1E-3", true, -1e-3},
      {"1e+3", true, 1000},
      {"1e400", true, INFINITY},
      {"inf", true, INFINITY},
      {"-Infinity", true, -INFINITY},
      {"nan", true, NAN},
      {"0.1", true, 0.1},
      {"", false},
      {".", false},
      {"-", false},
      {"1e", false},
      {"1e+", false},
      {"1.2.3", false},
      {"1,5", false},
      {"0x1p3", false},
      {"nan(1)", false},
      {"infinit", false},
      {"in", false},
      {"1 ", false},
      {" 1", false},
      {"1a", false},
      {"e5", false},
      {"--1", false},
      {"infinityx", false},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) check_read(row[i].s, row[i].good, row[i].want);
  static const struct {
    double x;
    const char *s;
  } out[] = {{0, "0"},           {-0.0, "-0"},      {1.5, "1.5"},        {1e30, "1e+30"},
             {-0.001, "-0.001"}, {INFINITY, "inf"}, {-INFINITY, "-inf"}, {16777216, "16777216"},
             {0.1, "0.1"}};
  char buf[SUMI_NUMBER_TEXT];
  for (size_t i = 0; i < SUMI_COUNT(out); i++) {
    assert_string_equal(sumi_number_print_f64(out[i].x, buf), out[i].s);
    assert_string_equal(sumi_number_print_f32((float)out[i].x, buf), out[i].s);
  }
  assert_string_equal(sumi_number_print_f32(NAN, buf), "nan");
  assert_string_equal(sumi_number_print_f64(-NAN, buf), "-nan");
  struct sumi_random r;
  sumi_random_init(&r, 5);
  for (int i = 0; i < 20000; i++) {
    const uint64_t u = sumi_random_u64(&r);
    double d, e;
    memcpy(&d, &u, 8);
    const float f = sumi_f32_from_bits((uint32_t)u);
    float g;
    if (isfinite(d)) {
      sumi_number_print_f64(d, buf);
      assert_true(sumi_number_read_f64(buf, strlen(buf), &e) && e == d);
    }
    if (isfinite(f)) {
      sumi_number_print_f32(f, buf);
      assert_true(sumi_number_read_f32(buf, strlen(buf), &g) && g == f);
    }
  }
}

static void test_numbers(void **state) {
  (void)state;
  check_numbers();
  char digits[1100];
  memset(digits, '1', sizeof digits);
  double d;
  assert_true(sumi_number_read_f64(digits, 1000, &d) && isinf(d));
  assert_false(sumi_number_read_f64(digits, 1001, &d));
  /* to float at once, not by way of double */
  float f;
  assert_true(sumi_number_read_f32("1.00000005960464477540", 22, &f) && f == 1 + FLT_EPSILON);
  static const char *const comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "fr_FR"};
  bool found = false;
  for (size_t i = 0; i < SUMI_COUNT(comma) && !found; i++)
    found = setlocale(LC_NUMERIC, comma[i]) && *localeconv()->decimal_point == ',';
  if (found)
    check_numbers();
  else
    print_message("no locale with a decimal comma here: numbers were tested in one locale only\n");
  setlocale(LC_NUMERIC, "C");
}

static void test_status(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_err_set(&err, SUMI_E_SHAPE, "k is %d", 3), SUMI_E_SHAPE);
  assert_int_equal(sumi_err_set(&err, SUMI_E_TYPE, "later"), SUMI_E_TYPE); /* returned, but the first stays */
  assert_int_equal(err.status, SUMI_E_SHAPE);
  assert_string_equal(err.text, "k is 3");
  assert_int_equal(sumi_err_prefix(&err, SUMI_E_IO, "node '%s'", "n"), SUMI_E_SHAPE);
  assert_string_equal(err.text, "node 'n': k is 3");
  char *longer = malloc(5000);
  memset(longer, 'x', 4999);
  longer[4999] = 0;
  sumi_err_prefix(&err, SUMI_E_IO, "%s", longer);
  assert_int_equal(strlen(err.text), SUMI_ERR_TEXT - 1);
  sumi_err_clear(&err);
  assert_int_equal(err.status, SUMI_OK);
  assert_string_equal(err.text, "");
  assert_int_equal(sumi_err_prefix(&err, SUMI_E_IO, "x"), SUMI_E_IO);
  assert_string_equal(err.text, ""); /* nothing to put it before */
  sumi_err_set(&err, SUMI_E_VALUE, "%s", longer);
  assert_int_equal(strlen(err.text), SUMI_ERR_TEXT - 1);
  free(longer);
  assert_int_equal(sumi_err_set(NULL, SUMI_E_IO, "x"), SUMI_E_IO);
  assert_int_equal(sumi_err_prefix(NULL, SUMI_E_IO, "x"), SUMI_E_IO);
  sumi_err_clear(NULL);
  for (int s = SUMI_OK; s <= SUMI_E_DEVICE; s++) {
    assert_string_not_equal(sumi_status_label((sumi_status)s), "?");
    assert_string_not_equal(sumi_status_sentence((sumi_status)s), sumi_status_sentence((sumi_status)99));
  }
  assert_string_equal(sumi_status_label((sumi_status)99), "?");
  assert_string_equal(sumi_status_label(SUMI_E_SHAPE), "shape");
}

static void test_random(void **state) {
  (void)state;
  struct sumi_random a, b;
  sumi_random_init(&a, 1);
  sumi_random_init(&b, 1);
  double sum = 0, squares = 0;
  enum { N = 100000 };
  for (int i = 0; i < N; i++) {
    assert_true(sumi_random_u64(&a) == sumi_random_u64(&b));
    const double u = sumi_random_uniform(&a), x = sumi_random_normal(&a);
    assert_true(u >= 0 && u < 1);
    assert_true(u == sumi_random_uniform(&b) && x == sumi_random_normal(&b));
    sum += x;
    squares += x * x;
  }
  /* five standard deviations of the mean and of the variance: 5 / sqrt(N), 5 sqrt(2 / N) */
  assert_true(fabs(sum / N) < 0.016 && fabs(squares / N - 1) < 0.023);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_growing), cmocka_unit_test(test_hash),   cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_status),  cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

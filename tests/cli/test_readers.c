/* The program's readers from inside: .npy and .npz as they are and damaged, comparison, scores, options. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "common/compare.h"
#include "common/npy.h"
#include "common/option.h"
#include "common/score.h"
#include "common/top.h"

/* An .npy file of format 1 in out; returns its bytes. */
static size_t make_npy(uint8_t *out, const char *header, const void *data, size_t bytes) {
  const size_t n = strlen(header);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (uint8_t)n;
  out[9] = (uint8_t)(n >> 8);
  memcpy(out + 10, header, n);
  if (bytes) memcpy(out + 10 + n, data, bytes);
  return 10 + n + bytes;
}

static struct cli_tensor *parse(const char *header, const void *data, size_t bytes) {
  uint8_t file[1024];
  struct cli_tensor *t = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  const size_t n = make_npy(file, header, data, bytes);
  uint8_t *exact = malloc(n); /* so that a sanitizer sees reads beyond the end */
  memcpy(exact, file, n);
  const sumi_status status = cli_npy_parse("x", exact, n, &t, &err);
  free(exact);
  assert_true((status == SUMI_OK) == (t != NULL));
  assert_true((status == SUMI_OK) == (err.text[0] == 0));
  return t;
}

static void test_npy_types(void **state) {
  (void)state;
  const float f[] = {1, 2, 3, 4, 5, 6};
  struct cli_tensor *t = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", f, sizeof f);
  assert_int_equal(t->view.rank, 2);
  assert_int_equal(t->view.dtype, SUMI_FLOAT32);
  assert_true(sumi_view_get(&t->view, 5) == 6);
  cli_tensor_free(t);

  t = parse("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", f, sizeof f);
  assert_true(sumi_view_get(&t->view, 1) == 3); /* columns first: element [0, 1] is the third */
  cli_tensor_free(t);

  t = parse("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }", "\x01\x02\xff\xfe", 4);
  assert_true(sumi_view_get(&t->view, 0) == 258 && sumi_view_get(&t->view, 1) == -2);
  cli_tensor_free(t);

  t = parse("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", "\x00\x01\x40", 3);
  assert_memory_equal(t->memory, "\x00\x01\x01", 3); /* a bool is 0 or 1, whatever the file says */
  cli_tensor_free(t);

  t = parse("{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }", "\xe9\0\0\0x\0\0\0\0\0\0\0\0\0\0\0",
            16);
  const struct sumi_str *s = t->memory;
  assert_int_equal(s[0].size, 3);
  assert_memory_equal(s[0].data, "\xc3\xa9x", 3);
  assert_int_equal(s[1].size, 0);
  cli_tensor_free(t);

  t = parse("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", "\x07\0\0\0\0\0\0\0", 8);
  assert_true(t->view.rank == 0 && sumi_view_get(&t->view, 0) == 7);
  cli_tensor_free(t);

  t = parse("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }", "\x01\xff\x07", 3);
  assert_true(cli_tensor_adopt(t, SUMI_INT4)); /* int4 arrays are int8 in files */
  assert_true(sumi_view_get(&t->view, 0) == 1 && sumi_view_get(&t->view, 1) == -1 &&
              sumi_view_get(&t->view, 2) == 7);
  assert_false(cli_tensor_adopt(t, SUMI_FLOAT32));
  cli_tensor_free(t);
}

static void test_npy_refused(void **state) {
  (void)state;
  static const char *const headers[] = {
      "",
      "{",
      "{}",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), ",
      "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }",
      "{'descr': '<f3', 'fortran_order': False, 'shape': (2,), }",
      "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
      "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (100,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1), }",
      "{'descr': '<U4611686018427387904', 'fortran_order': False, 'shape': (1,), }",
      "{'descr': '<U0', 'fortran_order': False, 'shape': (4000000000,), }",
      "{'descr': '|S0', 'fortran_order': False, 'shape': (4000000000,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 99999999999999999999), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
  };
  for (size_t i = 0; i < CLI_COUNT(headers); i++)
    if (parse(headers[i], "12345678", 8)) fail_msg("taken: %s", headers[i]);
  struct cli_tensor *t = NULL;
  assert_int_equal(cli_npy_parse("x", (const uint8_t *)"\x93NUMPY\x01", 7, &t, NULL), SUMI_E_FORMAT);
  assert_int_equal(cli_npy_parse("x", (const uint8_t *)"\x93NUMPY\x09\x00\x00\x00\x00\x00", 12, &t, NULL),
                   SUMI_E_UNSUPPORTED);
  assert_int_equal(cli_npy_parse("x", (const uint8_t *)"\x93NUMPY\x02\x00\xff\xff\xff\xff", 12, &t, NULL),
                   SUMI_E_FORMAT);
}

static void test_npy_written_is_read(void **state) {
  (void)state;
  static const sumi_dtype types[] = {SUMI_FLOAT64, SUMI_FLOAT16, SUMI_INT64,    SUMI_UINT8,       SUMI_BOOL,
                                     SUMI_INT4,    SUMI_UINT2,   SUMI_BFLOAT16, SUMI_FLOAT8E4M3FN};
  const int64_t dims[] = {2, 3};
  char path[] = "/tmp/sumi-npy-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (size_t i = 0; i < CLI_COUNT(types); i++) {
    struct cli_tensor *t = cli_tensor_new("x", types[i], 2, dims), *back = NULL;
    size_t bytes;
    assert_true(cli_tensor_bytes(types[i], 6, &bytes));
    for (size_t k = 0; k < bytes; k++)
      ((uint8_t *)t->memory)[k] = types[i] == SUMI_BOOL ? k & 1 : (uint8_t)(k * 5 + 1);
    if (bytes < 6) ((uint8_t *)t->memory)[bytes - 1] &= 0x0f; /* no bits beyond the last element */
    assert_int_equal(cli_npy_write(path, &t->view, NULL), SUMI_OK);
    struct cli_bytes b;
    assert_int_equal(cli_bytes_read(path, &b, NULL), SUMI_OK);
    assert_int_equal(cli_npy_parse("x", b.data, b.n, &back, NULL), SUMI_OK);
    assert_true(cli_tensor_adopt(back, types[i]));
    assert_memory_equal(back->memory, t->memory, bytes);
    cli_bytes_fini(&b);
    cli_tensor_free(back);
    cli_tensor_free(t);
  }
  unlink(path);
}

/* Any bit of a file flipped, any length cut: a tensor or a sentence, and no read beyond the end. */
static void test_npy_damaged(void **state) {
  (void)state;
  const float f[] = {1, 2, 3, 4, 5, 6};
  uint8_t file[256];
  const size_t n = make_npy(file, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", f, sizeof f);
  for (size_t bit = 0; bit < n * 8; bit++)
    for (int cut = 0; cut < 2; cut++) {
      const size_t m = cut ? bit / 8 : n;
      uint8_t *copy = malloc(m + 1);
      memcpy(copy, file, m);
      if (!cut) copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
      struct cli_tensor *t = NULL;
      struct sumi_err err = SUMI_ERR_INIT;
      if (cli_npy_parse("x", copy, m, &t, &err) != SUMI_OK) assert_true(err.text[0] != 0);
      cli_tensor_free(t);
      free(copy);
    }
}

static struct cli_bytes make_npz(bool deflate) {
  uint8_t file[256];
  const float f[] = {1, 2, 3, 4, 5, 6};
  const size_t n = make_npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", f, sizeof f);
  char path[] = "/tmp/sumi-npz-XXXXXX";
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
  assert_non_null(zip);
  const zip_int64_t at = zip_file_add(zip, "images.npy", zip_source_buffer(zip, file, n, 0), 0);
  assert_true(at >= 0);
  zip_set_file_compression(zip, (zip_uint64_t)at, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 9);
  assert_int_equal(zip_close(zip), 0);
  struct cli_bytes b;
  assert_int_equal(cli_bytes_read(path, &b, NULL), SUMI_OK);
  unlink(path);
  return b;
}

static void test_npz(void **state) {
  (void)state;
  for (int deflate = 0; deflate < 2; deflate++) {
    struct cli_bytes b = make_npz(deflate);
    struct cli_tensor **arrays;
    size_t n;
    assert_int_equal(cli_npz_parse(b.data, b.n, &arrays, &n, NULL), SUMI_OK);
    assert_int_equal(n, 1);
    assert_string_equal(arrays[0]->name, "images");
    assert_true(sumi_view_get(&arrays[0]->view, 5) == 6);
    cli_tensor_free(arrays[0]);
    free(arrays);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
      struct sumi_err err = SUMI_ERR_INIT;
      b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
      if (cli_npz_parse(b.data, bit % 5 ? b.n : bit / 8, &arrays, &n, &err) != SUMI_OK)
        assert_true(err.text[0] != 0);
      for (size_t i = 0; i < n; i++) cli_tensor_free(arrays[i]);
      free(arrays);
      b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cli_bytes_fini(&b);
  }
}

static void test_compare(void **state) {
  (void)state;
  const int64_t dims[] = {4};
  float a[] = {1, NAN, INFINITY, 1000}, b[] = {1, NAN, INFINITY, 1000.9f};
  struct sumi_view x = {.size = sizeof x, .data = a, .dtype = SUMI_FLOAT32, .rank = 1, .dims = dims}, y = x;
  char why[200];
  y.data = b;
  assert_true(cli_compare(&x, &y, 1e-3, 1e-7, why, sizeof why));
  b[3] = 1001.1f;
  assert_false(cli_compare(&x, &y, 1e-3, 1e-7, why, sizeof why));
  assert_non_null(strstr(why, "element 3"));
  b[3] = 1000, b[1] = 0;
  assert_false(cli_compare(&x, &y, 1e-3, 1e-7, why, sizeof why));
  b[1] = NAN, b[2] = -INFINITY;
  assert_false(cli_compare(&x, &y, 1e-3, 1e-7, why, sizeof why));
  y.dtype = SUMI_INT32;
  assert_false(cli_compare(&x, &y, 1e-3, 1e-7, why, sizeof why));
  assert_string_equal(why, "float32[4], not int32[4]");
  int64_t big[] = {INT64_C(1) << 60, 1, 2, 3}, other[] = {(INT64_C(1) << 60) + 1, 1, 2, 3};
  x.dtype = y.dtype = SUMI_INT64; /* integers are exact, beyond what a double holds */
  x.data = big, y.data = other;
  assert_false(cli_compare(&x, &y, 1e-3, 1e-7, why, sizeof why));
  y.data = big;
  assert_true(cli_compare(&x, &y, 0, 0, why, sizeof why));
  x.absent = true;
  assert_false(cli_compare(&x, &y, 0, 0, why, sizeof why));
}

static struct sumi_view row_of(float *data, const int64_t *n) {
  return (struct sumi_view){
      .size = sizeof(struct sumi_view), .data = data, .dtype = SUMI_FLOAT32, .rank = 1, .dims = n};
}

static void test_draws(void **state) {
  (void)state;
  enum { N = 100 };
  static const int64_t n = N, other = N - 1;
  float a[N], b[N];
  char why[200];
  for (int i = 0; i < N; i++) a[i] = (float)(i % 2), b[i] = (float)(i * 7 % 10 < 4);
  struct sumi_view got = row_of(a, &n), want = row_of(b, &n), less = row_of(a, &other);
  assert_true(cli_compare_draws(&got, &want, why, sizeof why)); /* means 0.5 and 0.4, of 100 each */
  assert_false(cli_compare_draws(&less, &want, why, sizeof why));
  assert_non_null(strstr(why, "float32[99], not float32[100]"));
  a[3] = 0.5f;
  assert_false(cli_compare_draws(&got, &want, why, sizeof why));
  assert_non_null(strstr(why, "whole"));
  a[3] = 3;
  assert_false(cli_compare_draws(&got, &want, why, sizeof why));
  assert_non_null(strstr(why, "[0, 3]"));
  for (int i = 0; i < N; i++) a[i] = (float)(i % 4 > 0);
  assert_false(cli_compare_draws(&got, &want, why, sizeof why)); /* 0.75 and 0.4 */
  assert_non_null(strstr(why, "mean"));
  a[0] = NAN;
  assert_false(cli_compare_draws(&got, &want, why, sizeof why));
}

static void test_scores(void **state) {
  (void)state;
  const double scores[] = {0.1, 0.7, 0.7, NAN, 0.2};
  assert_int_equal(cli_rank_of(scores, 5, 1), 0);
  assert_int_equal(cli_rank_of(scores, 5, 2), 1); /* argmax takes the first of equals */
  assert_int_equal(cli_rank_of(scores, 5, 3), 5);
  assert_int_equal(cli_rank_of(scores, 5, -1), 5);
  assert_int_equal(cli_rank_of(scores, 5, 5), 5);
  const double x[] = {1, 2, 3, 4, 5}, up[] = {2, 4, 6, 800, 1000}, down[] = {9, 7, 5, 3, 1},
               ties[] = {1, 1, 2, 2, 3};
  assert_true(fabs(cli_spearman(x, up, 5) - 1) < 1e-12);
  assert_true(fabs(cli_spearman(x, down, 5) + 1) < 1e-12);
  assert_true(fabs(cli_spearman(x, ties, 5) - 0.948683298050514) < 1e-12); /* scipy.stats.spearmanr */
  struct cli_top top[3];
  const double logits[] = {0, 3, 1};
  assert_int_equal(cli_top(logits, 3, 2, top), 2);
  assert_true(top[0].class_ == 1 && fabs(top[0].score - 0.843794734) < 1e-8 && top[1].class_ == 2);
  const double probabilities[] = {0.25, 0.75};
  assert_int_equal(cli_top(probabilities, 2, 5, top), 2);
  assert_true(top[0].score == 0.75);
}

static void test_texts(void **state) {
  (void)state;
  int64_t dims[SUMI_MAX_RANK];
  int rank;
  assert_true(cli_parse_shape("1x3x224", dims, &rank) && rank == 3 && dims[2] == 224);
  assert_true(cli_parse_shape("scalar", dims, &rank) && rank == 0);
  assert_false(cli_parse_shape("", dims, &rank) || cli_parse_shape("1x", dims, &rank) ||
               cli_parse_shape("-1", dims, &rank));
  assert_false(cli_parse_shape("1x1x1x1x1x1x1x1x1x1x1x1x1", dims, &rank));
  assert_false(cli_parse_shape("99999999999999999999", dims, &rank));
  double x[3];
  assert_int_equal(cli_parse_numbers("1,-2.5,3e2", x, 3), 3);
  assert_true(x[1] == -2.5 && x[2] == 300);
  assert_int_equal(cli_parse_numbers("1,2,3,4", x, 3), -1);
  assert_int_equal(cli_parse_numbers("nan", x, 3), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_npy_types),
      cmocka_unit_test(test_npy_refused),
      cmocka_unit_test(test_npy_written_is_read),
      cmocka_unit_test(test_npy_damaged),
      cmocka_unit_test(test_npz),
      cmocka_unit_test(test_compare),
      cmocka_unit_test(test_draws),
      cmocka_unit_test(test_scores),
      cmocka_unit_test(test_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

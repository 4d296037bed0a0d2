/* Element types: the table against the standard, every type read and written, packed types bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "tensor/dtype.h"

/* From onnx.TensorProto.DataType, and what onnx.parser calls them. */
static const struct {
  sumi_dtype d;
  int onnx;
  const char *label, *onnx_label;
  int bits;
  char class;
  size_t bytes_of_5;
} row[] = {
    {SUMI_FLOAT32, 1, "float32", "float", 32, 'F', 20},
    {SUMI_UINT8, 2, "uint8", "uint8", 8, 'U', 5},
    {SUMI_INT8, 3, "int8", "int8", 8, 'I', 5},
    {SUMI_UINT16, 4, "uint16", "uint16", 16, 'U', 10},
    {SUMI_INT16, 5, "int16", "int16", 16, 'I', 10},
    {SUMI_INT32, 6, "int32", "int32", 32, 'I', 20},
    {SUMI_INT64, 7, "int64", "int64", 64, 'I', 40},
    {SUMI_STRING, 8, "string", "string", 128, 'S', 80},
    {SUMI_BOOL, 9, "bool", "bool", 8, 'B', 5},
    {SUMI_FLOAT16, 10, "float16", "float16", 16, 'F', 10},
    {SUMI_FLOAT64, 11, "float64", "double", 64, 'F', 40},
    {SUMI_UINT32, 12, "uint32", "uint32", 32, 'U', 20},
    {SUMI_UINT64, 13, "uint64", "uint64", 64, 'U', 40},
    {SUMI_COMPLEX64, 14, "complex64", "complex64", 64, 'C', 40},
    {SUMI_COMPLEX128, 15, "complex128", "complex128", 128, 'C', 80},
    {SUMI_BFLOAT16, 16, "bfloat16", "bfloat16", 16, 'F', 10},
    {SUMI_FLOAT8E4M3FN, 17, "float8e4m3fn", "float8e4m3fn", 8, 'F', 5},
    {SUMI_FLOAT8E4M3FNUZ, 18, "float8e4m3fnuz", "float8e4m3fnuz", 8, 'F', 5},
    {SUMI_FLOAT8E5M2, 19, "float8e5m2", "float8e5m2", 8, 'F', 5},
    {SUMI_FLOAT8E5M2FNUZ, 20, "float8e5m2fnuz", "float8e5m2fnuz", 8, 'F', 5},
    {SUMI_UINT4, 21, "uint4", "uint4", 4, 'U', 3},
    {SUMI_INT4, 22, "int4", "int4", 4, 'I', 3},
    {SUMI_FLOAT4E2M1, 23, "float4e2m1", "float4e2m1", 4, 'F', 3},
    {SUMI_FLOAT8E8M0, 24, "float8e8m0", "float8e8m0", 8, 'F', 5},
    {SUMI_UINT2, 25, "uint2", "uint2", 2, 'U', 2},
    {SUMI_INT2, 26, "int2", "int2", 2, 'I', 2},
    {SUMI_FLOAT6E2M3, 27, "float6e2m3", "float6e2m3", 6, 'F', 5},
    {SUMI_FLOAT6E3M2, 28, "float6e3m2", "float6e3m2", 6, 'F', 5},
};
_Static_assert(SUMI_COUNT(row) == SUMI_N_DTYPES - 1, "a row for every element type");

static void test_table(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    const sumi_dtype d = row[i].d;
    assert_int_equal(sumi_dtype_to_onnx(d), row[i].onnx);
    assert_int_equal(sumi_dtype_from_onnx(row[i].onnx), d);
    assert_string_equal(sumi_dtype_label(d), row[i].label);
    assert_string_equal(sumi_dtype_onnx_label(d), row[i].onnx_label);
    assert_int_equal(sumi_dtype_from_label(row[i].label, strlen(row[i].label)), d);
    assert_int_equal(sumi_dtype_from_label(row[i].onnx_label, strlen(row[i].onnx_label)), d);
    assert_int_equal(sumi_dtype_bits(d), row[i].bits);
    assert_int_equal(sumi_dtype_class(d), row[i].class);
    assert_true(sumi_dtype_in(d, SUMI_ANY));
    size_t bytes = 99;
    assert_true(sumi_dtype_bytes(d, 5, &bytes));
    assert_int_equal(bytes, row[i].bytes_of_5);
    assert_true(sumi_dtype_bytes(d, 0, &bytes) && bytes == 0);
    assert_false(sumi_dtype_bytes(d, -1, &bytes));
    assert_int_equal(sumi_dtype_bytes(d, INT64_MAX, &bytes),
                     row[i].bits <= 16); /* 2^63 elements of 2 bytes just fit */
  }
  size_t bytes;
  static const int odd[] = {SUMI_UNDEFINED, SUMI_N_DTYPES, -1, 1000};
  for (size_t i = 0; i < SUMI_COUNT(odd); i++) {
    const sumi_dtype d = (sumi_dtype)odd[i];
    assert_string_equal(sumi_dtype_label(d), "undefined");
    assert_string_equal(sumi_dtype_onnx_label(d), "undefined");
    assert_int_equal(sumi_dtype_bits(d), 0);
    assert_int_equal(sumi_dtype_class(d), 0);
    assert_int_equal(sumi_dtype_to_onnx(d), 0);
    assert_false(sumi_dtype_bytes(d, 1, &bytes));
    assert_false(sumi_dtype_in(d, SUMI_ANY));
  }
  static const int64_t no_number[] = {0, 29, -1, INT64_MAX};
  for (size_t i = 0; i < SUMI_COUNT(no_number); i++)
    assert_int_equal(sumi_dtype_from_onnx(no_number[i]), SUMI_UNDEFINED);
  assert_int_equal(sumi_dtype_from_label("floa", 4), SUMI_UNDEFINED);
  assert_int_equal(sumi_dtype_from_label("float", 3), SUMI_UNDEFINED);
  assert_int_equal(sumi_dtype_from_label("undefined", 9), SUMI_UNDEFINED);
  assert_int_equal(sumi_dtype_from_label("", 0), SUMI_UNDEFINED);
}

static void test_sets(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    const sumi_dtype d = row[i].d;
    const bool tiny = row[i].bits < 8;
    const char class = row[i].class;
    assert_int_equal(sumi_dtype_in(d, SUMI_FLOATS), class == 'F' && row[i].bits >= 16);
    assert_int_equal(sumi_dtype_in(d, SUMI_FLOAT8S), class == 'F' && row[i].bits == 8);
    assert_int_equal(sumi_dtype_in(d, SUMI_TINY_FLOATS), class == 'F' && tiny);
    assert_int_equal(sumi_dtype_in(d, SUMI_SIGNED), class == 'I' && !tiny);
    assert_int_equal(sumi_dtype_in(d, SUMI_UNSIGNED), class == 'U' && !tiny);
    assert_int_equal(sumi_dtype_in(d, SUMI_TINY_INTS), (class == 'I' || class == 'U') && tiny);
    assert_int_equal(sumi_dtype_in(d, SUMI_COMPLEX), class == 'C');
    assert_int_equal(sumi_dtype_is_float(d), class == 'F');
    assert_int_equal(sumi_dtype_is_int(d), class == 'I' || class == 'U');
  }
}

/* The largest and smallest integer of a type. */
static int64_t most(size_t i) {
  return row[i].class == 'I' ? (int64_t)(UINT64_MAX >> (65 - row[i].bits))
                             : (int64_t)(UINT64_MAX >> (64 - row[i].bits));
}
static int64_t least(size_t i) { return row[i].class == 'I' ? -most(i) - 1 : 0; }

static void test_integers(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    if (row[i].class != 'I' && row[i].class != 'U') continue;
    const sumi_dtype d = row[i].d;
    const int bits = row[i].bits;
    uint64_t data[9];
    const int64_t value[] = {most(i), least(i), 1, 0, most(i) - 1};
    for (int k = 0; k < 5; k++) {
      memset(data, 0x5a, sizeof data);
      sumi_set_i64(d, data, k, value[k]);
      assert_true(sumi_get_i64(d, data, k) == value[k]);
      for (int j = 0; j < 5; j++) { /* neighbours stay */
        uint64_t fresh[9];
        memset(fresh, 0x5a, sizeof fresh);
        if (j != k) assert_true(sumi_get_i64(d, data, j) == sumi_get_i64(d, fresh, j));
      }
      if (bits == 64) continue;
      assert_true(sumi_get_f64(d, data, k) == (double)value[k]);
      sumi_set_f64(d, data, k, (double)value[k]);
      assert_true(sumi_get_i64(d, data, k) == value[k]);
    }
    if (bits < 64) { /* integers wrap, also from a float after truncation */
      sumi_set_i64(d, data, 0, most(i) + 1);
      assert_true(sumi_get_i64(d, data, 0) == least(i));
      sumi_set_i64(d, data, 0, least(i) - 1);
      assert_true(sumi_get_i64(d, data, 0) == most(i));
      sumi_set_f64(d, data, 0, (double)most(i) + 1.5);
      assert_true(sumi_get_i64(d, data, 0) == least(i));
    }
    sumi_set_f64(d, data, 0, 0.9);
    assert_true(sumi_get_i64(d, data, 0) == 0);
    sumi_set_f64(d, data, 0, -0.9);
    assert_true(sumi_get_i64(d, data, 0) == 0);
    sumi_set_f64(d, data, 0, NAN);
    assert_true(sumi_get_i64(d, data, 0) == 0);
  }
  int64_t s;
  uint64_t u;
  sumi_set_f64(SUMI_INT64, &s, 0, 1e30);
  assert_true(s == INT64_MAX);
  sumi_set_f64(SUMI_INT64, &s, 0, -1e30);
  assert_true(s == INT64_MIN);
  sumi_set_f64(SUMI_UINT64, &u, 0, 1e30);
  assert_true(u == UINT64_MAX);
  sumi_set_f64(SUMI_UINT64, &u, 0, 0x1.8p63);
  assert_true(u == UINT64_C(3) << 62 && sumi_get_f64(SUMI_UINT64, &u, 0) == 0x1.8p63);
}

static void test_packing(void **state) {
  (void)state;
  uint8_t data[4] = {0};
  for (int i = 0; i < 5; i++) sumi_set_i64(SUMI_INT4, data, i, i - 3);
  assert_memory_equal(data, "\xed\x0f\x01", 4); /* -3 -2 | -1 0 | 1, low half first */
  memset(data, 0, sizeof data);
  for (int i = 0; i < 5; i++) sumi_set_i64(SUMI_UINT2, data, i, i % 4);
  assert_memory_equal(data, "\xe4\x00\x00", 4); /* 0 1 2 3 | 0 */
  memset(data, 0, sizeof data);
  for (int i = 0; i < 4; i++) sumi_set_i64(SUMI_INT2, data, i, i - 2);
  assert_int_equal(data[0], 0x4e); /* -2 -1 0 1 */
  memset(data, 0, sizeof data);
  sumi_set_f64(SUMI_FLOAT4E2M1, data, 0, 1);
  sumi_set_f64(SUMI_FLOAT4E2M1, data, 1, -6);
  assert_int_equal(data[0], 0xf2);
  sumi_set_f64(SUMI_FLOAT6E2M3, data, 1, 7.5);
  assert_memory_equal(data, "\xf2\x1f", 2); /* a byte each */
}

static void test_floats(void **state) {
  (void)state;
  static const double exact[] = {0, 1, -2, 0.5, 4, -0.5};
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    if (row[i].class != 'F') continue;
    const sumi_dtype d = row[i].d;
    double data[6];
    memset(data, 0xff, sizeof data);
    for (int k = 0; k < 6; k++) {
      const double x =
          d == SUMI_FLOAT8E8M0 ? fabs(exact[k]) + (exact[k] == 0) : exact[k]; /* powers of two only */
      sumi_set_f64(d, data, k, x);
      assert_true(sumi_get_f64(d, data, k) == x);
      assert_true(sumi_get_i64(d, data, k) == (int64_t)x);
    }
    sumi_set_i64(d, data, 3, 4);
    assert_true(sumi_get_f64(d, data, 3) == 4);
    float f[6], g[6];
    sumi_to_f32(d, data, 1, 5, f);
    for (int k = 0; k < 5; k++) assert_true((double)f[k] == sumi_get_f64(d, data, k + 1));
    double other[6];
    memset(other, 0, sizeof other);
    sumi_from_f32(d, f, 5, other, 1);
    sumi_to_f32(d, other, 1, 5, g);
    assert_memory_equal(f, g, 5 * sizeof *f);
  }
  float f = 0;
  const int64_t once =
      (INT64_C(1) << 61) + (INT64_C(1) << 37) + 1; /* a double would lose the 1 and meet a tie */
  sumi_set_i64(SUMI_FLOAT32, &f, 0, once);
  assert_true(f == 0x1p61f + 0x1p38f);
  sumi_set_f64(SUMI_FLOAT32, &f, 0, 1e300);
  assert_true(isinf(f) && sumi_get_i64(SUMI_FLOAT32, &f, 0) == INT64_MAX);
  f = -1e30f;
  assert_true(sumi_get_i64(SUMI_FLOAT32, &f, 0) == INT64_MIN);
  f = NAN;
  assert_true(sumi_get_i64(SUMI_FLOAT32, &f, 0) == 0);
  f = -2.9f;
  assert_true(sumi_get_i64(SUMI_FLOAT32, &f, 0) == -2);
  uint8_t b[2];
  sumi_set_f64(SUMI_BOOL, b, 0, NAN);
  sumi_set_f64(SUMI_BOOL, b, 1, -0.0);
  assert_memory_equal(b, "\1\0", 2);
  b[0] = 200; /* any byte but 0 is true */
  assert_true(sumi_get_i64(SUMI_BOOL, b, 0) == 1);
  uint64_t string[2] = {7, 7};
  assert_true(sumi_get_i64(SUMI_STRING, string, 0) == 0);
  sumi_set_i64(SUMI_STRING, string, 0, 5);
  sumi_set_f64(SUMI_COMPLEX64, string, 0, 5);
  assert_true(string[0] == 7);
}

static void test_to_f32_of_all(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    if (row[i].class == 'S' || row[i].class == 'C') continue;
    uint8_t data[64];
    for (int k = 0; k < 64; k++) data[k] = (uint8_t)(k * 37 + 5);
    float f[7];
    sumi_to_f32(row[i].d, data, 1, 6, f);
    for (int k = 0; k < 6; k++) {
      const float want = (float)sumi_get_f64(row[i].d, data, k + 1);
      assert_true(f[k] == want || (isnan(f[k]) && isnan(want)));
    }
  }
}

static void test_copy(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    const sumi_dtype d = row[i].d;
    const bool text = d == SUMI_STRING || row[i].class == 'C';
    for (int from = 0; from < 5; from++)
      for (int to = 0; to < 5; to++) {
        uint8_t src[256], dst[256], before[256];
        for (int k = 0; k < 256; k++) src[k] = (uint8_t)(k * 29 + 3), dst[k] = before[k] = 0xc3;
        sumi_copy(d, dst, to, src, from, 6);
        if (text) {
          const size_t each = (size_t)row[i].bits / 8;
          assert_memory_equal(dst + each * (size_t)to, src + each * (size_t)from, 6 * each);
          assert_memory_equal(dst + each * (size_t)(to + 6), before, each);
          continue;
        }
        for (int k = 0; k < 13; k++) {
          const double got = sumi_get_f64(d, dst, k);
          const double want =
              k < to || k >= to + 6 ? sumi_get_f64(d, before, k) : sumi_get_f64(d, src, k - to + from);
          assert_true(got == want || (isnan(got) && isnan(want)));
        }
        sumi_copy(d, dst, 0, NULL, 0, 0);
        sumi_copy(d, dst, 0, NULL, 0, -1);
      }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),   cmocka_unit_test(test_sets),   cmocka_unit_test(test_integers),
      cmocka_unit_test(test_packing), cmocka_unit_test(test_floats), cmocka_unit_test(test_to_f32_of_all),
      cmocka_unit_test(test_copy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

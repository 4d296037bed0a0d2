/* Shapes, strides, broadcasting and index walks, against the plain way to do each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/size.h"
#include "tensor/tensor.h"

static void test_counts(void **state) {
  (void)state;
  static const int64_t big = INT64_C(1) << 32;
  static const struct {
    int64_t dim[3];
    int rank;
    sumi_status status;
    int64_t count;
  } row[] = {
      {{0}, 0, SUMI_OK, 1},
      {{2, 3, 4}, 3, SUMI_OK, 24},
      {{2, 0, 4}, 3, SUMI_OK, 0},
      {{-1}, 1, SUMI_E_SHAPE, 0},
      {{0, -1}, 2, SUMI_E_SHAPE, 0},
      {{INT64_MAX, 1, 1}, 3, SUMI_OK, INT64_MAX},
      {{INT64_MAX, 2}, 2, SUMI_E_LIMIT, 0},
      {{big, big}, 2, SUMI_E_LIMIT, 0},
      {{0, big, big}, 3, SUMI_E_LIMIT, 0}, /* no elements, but strides would overflow */
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    int64_t n = -7;
    struct sumi_err err = SUMI_ERR_INIT;
    assert_int_equal(sumi_shape_count(row[i].dim, row[i].rank, &n, &err), row[i].status);
    assert_int_equal(err.status, row[i].status);
    if (row[i].status == SUMI_OK) assert_true(n == row[i].count);
  }
  size_t bytes;
  const int64_t third = INT64_MAX / 3, odd[] = {3, 5};
  assert_int_equal(sumi_shape_bytes(SUMI_FLOAT32, &third, 1, &bytes, NULL), SUMI_E_LIMIT);
  assert_int_equal(sumi_shape_bytes(SUMI_FLOAT64, &third, 1, &bytes, NULL), SUMI_E_LIMIT);
  assert_int_equal(sumi_shape_bytes(SUMI_INT8, &third, 1, &bytes, NULL), SUMI_OK);
  assert_int_equal(sumi_shape_bytes(SUMI_UINT4, odd, 2, &bytes, NULL), SUMI_OK);
  assert_int_equal(bytes, 8);
  assert_int_equal(sumi_shape_bytes(SUMI_UNDEFINED, odd, 2, &bytes, NULL), SUMI_E_LIMIT);
  const struct sumi_tensor scalar = {.dtype = SUMI_INT8},
                           matrix = {.dtype = SUMI_INT8, .rank = 2, .dim = {3, 5}};
  assert_true(sumi_tensor_count(&scalar) == 1 && sumi_tensor_count(&matrix) == 15);
  assert_true(sumi_dims_count(matrix.dim, 1, 2) == 5 && sumi_dims_count(matrix.dim, 1, 1) == 1);
}

static void test_print(void **state) {
  (void)state;
  char buf[64];
  const int64_t dim[] = {1, 3, 224, -1};
  assert_string_equal(sumi_shape_print(dim, 4, buf, sizeof buf), "[1,3,224,-1]");
  assert_string_equal(sumi_shape_print(dim, 0, buf, sizeof buf), "[]");
  for (size_t size = 1; size < 16; size++) { /* never past the end, always terminated */
    char *exact = malloc(size);
    memset(exact, 'x', size);
    sumi_shape_print(dim, 4, exact, size);
    assert_true(strlen(exact) < size);
    assert_int_equal(strncmp(exact, "[1,3,224,-1]", strlen(exact)), 0);
    free(exact);
  }
}

static void test_strides(void **state) {
  (void)state;
  int64_t s[3];
  sumi_strides((const int64_t[]){2, 3, 4}, 3, s);
  assert_true(s[0] == 12 && s[1] == 4 && s[2] == 1);
  sumi_strides((const int64_t[]){2, 0, 4}, 3, s);
  assert_true(s[0] == 4 && s[1] == 4 && s[2] == 1);
}

static void test_axis(void **state) {
  (void)state;
  int a = 9;
  assert_int_equal(sumi_axis(2, 3, &a, NULL), SUMI_OK);
  assert_int_equal(a, 2);
  assert_int_equal(sumi_axis(-3, 3, &a, NULL), SUMI_OK);
  assert_int_equal(a, 0);
  static const int64_t wrong[] = {3, -4, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < SUMI_COUNT(wrong); i++)
    assert_int_equal(sumi_axis(wrong[i], 3, &a, NULL), SUMI_E_VALUE);
  assert_int_equal(sumi_axis(0, 0, &a, NULL), SUMI_E_VALUE);
}

static void test_broadcast(void **state) {
  (void)state;
  static const struct {
    int64_t a[3];
    int rank_a;
    int64_t b[3];
    int rank_b;
    int64_t want[3];
    int rank; /* -1: they do not fit */
  } row[] = {
      {{2, 3}, 2, {3}, 1, {2, 3}, 2}, {{2, 1, 4}, 3, {3, 1}, 2, {2, 3, 4}, 3},
      {{0}, 0, {5}, 1, {5}, 1},       {{1}, 1, {0}, 1, {0}, 1},
      {{0}, 0, {0}, 0, {0}, 0},       {{2, 3}, 2, {2}, 1, {0}, -1},
      {{0}, 1, {2}, 1, {0}, -1},      {{4, 1}, 2, {1, 5}, 2, {4, 5}, 2},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    int64_t out[SUMI_MAX_RANK];
    int rank = -1;
    for (int swapped = 0; swapped < 2; swapped++) {
      const sumi_status status =
          swapped ? sumi_broadcast(row[i].b, row[i].rank_b, row[i].a, row[i].rank_a, out, &rank, NULL)
                  : sumi_broadcast(row[i].a, row[i].rank_a, row[i].b, row[i].rank_b, out, &rank, NULL);
      assert_int_equal(status, row[i].rank < 0 ? SUMI_E_SHAPE : SUMI_OK);
      if (row[i].rank < 0) continue;
      assert_int_equal(rank, row[i].rank);
      if (rank) assert_memory_equal(out, row[i].want, (size_t)rank * sizeof *out);
    }
  }
}

/* Random shapes seen through broadcasting: the walk's offsets against those computed from the index anew. */
static void test_walk(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 11);
  for (int round = 0; round < 2000; round++) {
    const int rank = (int)(sumi_random_u64(&r) % 5);
    int64_t dim[5], stride[4][5], total = 1;
    struct sumi_tensor t[4] = {{0}};
    for (int i = 0; i < rank; i++) {
      dim[i] = (int64_t)(sumi_random_u64(&r) % 4) + (sumi_random_u64(&r) % 8 != 0);
      total *= dim[i];
    }
    const int n = (int)(sumi_random_u64(&r) % 5);
    for (int k = 0; k < n; k++) {
      t[k].rank = (int)(sumi_random_u64(&r) % (unsigned)(rank + 1));
      for (int i = 0; i < t[k].rank; i++)
        t[k].dim[i] = sumi_random_u64(&r) % 3 ? dim[rank - t[k].rank + i] : 1;
      sumi_broadcast_strides(&t[k], rank, dim, stride[k]);
    }
    int64_t steps = 0;
    for (struct sumi_walk w = sumi_walk_start(rank, dim, n > 0 ? stride[0] : NULL, n > 1 ? stride[1] : NULL,
                                              n > 2 ? stride[2] : NULL, n > 3 ? stride[3] : NULL);
         !w.done; sumi_walk_next(&w), steps++) {
      int64_t rest = steps, index[5];
      for (int i = rank - 1; i >= 0; i--) {
        index[i] = rest % dim[i];
        rest /= dim[i];
        assert_true(w.index[i] == index[i]);
      }
      for (int k = 0; k < n; k++) {
        int64_t offset = 0;
        for (int i = 0; i < t[k].rank; i++)
          offset = offset * t[k].dim[i] + (t[k].dim[i] == 1 ? 0 : index[rank - t[k].rank + i]);
        assert_true(w.offset[k] == offset);
      }
    }
    assert_true(steps == total);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts), cmocka_unit_test(test_print),     cmocka_unit_test(test_strides),
      cmocka_unit_test(test_axis),   cmocka_unit_test(test_broadcast), cmocka_unit_test(test_walk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Box copies against the loop that defines them: random boxes, strides of both signs, every element size. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "op/move.h"

enum { ELEMENTS = 60000 };
static uint8_t src[ELEMENTS * 16], got[ELEMENTS * 16], want[ELEMENTS * 16];

static void plain(sumi_dtype d, int rank, const int64_t *dim, void *dst, int64_t to, const int64_t *ds,
                  int64_t from, const int64_t *ss) {
  if (!rank) {
    sumi_copy(d, dst, to, src, from, 1);
    return;
  }
  for (int64_t i = 0; i < *dim; i++)
    plain(d, rank - 1, dim + 1, dst, to + i * *ds, ds + 1, from + i * *ss, ss + 1);
}

static void check(sumi_dtype d, int rank, const int64_t *dim, int64_t to, const int64_t *ds, int64_t from,
                  const int64_t *ss) {
  memset(got, 0, sizeof got);
  memset(want, 0, sizeof want);
  sumi_move(d, rank, dim, got, to, ds, src, from, ss);
  plain(d, rank, dim, want, to, ds, from, ss);
  assert_memory_equal(got, want, sizeof got);
}

static void test_random(void **state) {
  (void)state;
  static const sumi_dtype types[] = {SUMI_INT8,       SUMI_FLOAT16, SUMI_FLOAT32, SUMI_INT64,
                                     SUMI_COMPLEX128, SUMI_INT4,    SUMI_UINT2,   SUMI_FLOAT6E2M3};
  struct sumi_random r;
  sumi_random_init(&r, 7);
  for (size_t i = 0; i < sizeof src; i++) src[i] = (uint8_t)sumi_random_u64(&r);
  for (int round = 0; round < 400; round++) {
    const int rank = (int)(sumi_random_u64(&r) % 5);
    int64_t dim[5], ds[5], ss[5], perm[5], count = 1, from = 0;
    for (int i = 0; i < rank; i++) {
      dim[i] = 1 + (int64_t)(sumi_random_u64(&r) % (rank < 3 ? 70 : 7));
      perm[i] = i;
    }
    for (int i = rank - 1; i >= 0; i--) ds[i] = count, count *= dim[i];
    for (int i = rank - 1; i > 0; i--) {
      const int k = (int)(sumi_random_u64(&r) % (uint64_t)(i + 1));
      const int64_t t = perm[i];
      perm[i] = perm[k];
      perm[k] = t;
    }
    int64_t stride = 1;
    for (int i = 0; i < rank;
         i++) { /* the source's dims lie in another order, some backward, some repeated */
      const int a = (int)perm[i];
      const uint64_t how = sumi_random_u64(&r) % 8;
      ss[a] = how == 0 ? 0 : how == 1 ? -stride : stride;
      if (how == 1) from += (dim[a] - 1) * stride;
      if (how) stride *= dim[a];
    }
    check(types[(size_t)round % SUMI_COUNT(types)], rank, dim, (int64_t)(round % 3), ds, from + round % 5,
          ss);
  }
}

static void test_edges(void **state) {
  (void)state;
  const int64_t none[2] = {3, 0}, s[2] = {5, 1};
  check(SUMI_FLOAT32, 2, none, 0, s, 0, s);
  int64_t dim[SUMI_MOVE_RANK], ds[SUMI_MOVE_RANK], ss[SUMI_MOVE_RANK],
      step = 1; /* nothing merges: ten dims of 2, swapped */
  for (int i = 0; i < 10; i++, step *= 2) dim[i] = 2, ds[i] = step, ss[9 - i] = step;
  check(SUMI_FLOAT32, 10, dim, 0, ds, 0, ss);
}

static void test_fill(void **state) {
  (void)state;
  const float x[2] = {1.5f, -2};
  float y[5] = {9, 9, 9, 9, 9};
  sumi_fill(SUMI_FLOAT32, y, 1, 3, x, 1);
  assert_true(y[0] == 9 && y[1] == -2 && y[3] == -2 && y[4] == 9);
  sumi_fill(SUMI_FLOAT32, y, 0, 2, NULL, 0);
  assert_true(y[0] == 0 && y[1] == 0 && y[2] == -2);
  uint8_t packed[2] = {0xff, 0xff};
  sumi_fill(SUMI_INT4, packed, 1, 2, NULL, 0);
  assert_int_equal(packed[0], 0x0f);
  assert_int_equal(packed[1], 0xf0);
}

static void test_index(void **state) {
  (void)state;
  int64_t at;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_index(-5, 5, &at, &err), SUMI_OK);
  assert_int_equal(at, 0);
  assert_int_equal(sumi_index(7, 5, &at, &err), SUMI_E_VALUE);
  assert_string_equal(err.text, "index 7 is outside [-5, 5)");
  assert_int_equal(sumi_index(INT64_MIN, 5, &at, NULL), SUMI_E_VALUE);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_edges),
                                     cmocka_unit_test(test_fill), cmocka_unit_test(test_index)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

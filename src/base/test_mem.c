/* Allocation, arenas, blobs and name tables: alignment, limits, reuse, and every allocation failing once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/names.h"
#include "base/size.h"

static bool is_zero(const void *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((const char *)p)[i]) return false;
  return true;
}

static void test_alloc(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *list[] = {sumi_allocator_default(), sumi_test_heap_init(&heap)};
  for (size_t k = 0; k < 2; k++) {
    for (size_t n = 0; n < 200; n += 7) {
      char *p = sumi_alloc(list[k], n);
      assert_non_null(p);
      assert_int_equal((uintptr_t)p % SUMI_ALIGN, 0);
      assert_true(is_zero(p, n));
      sumi_free(list[k], p, n);
    }
    assert_null(sumi_alloc(list[k], SIZE_MAX));
    assert_null(sumi_alloc(list[k], (size_t)PTRDIFF_MAX + 1));
    sumi_free(list[k], NULL, 8);
  }
  assert_int_equal(heap.blocks, 0);
}

static void test_grow(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  void *array = NULL;
  size_t cap = 0;
  for (size_t n = 1; n < 3000; n++) {
    assert_true(sumi_grow(a, &array, &cap, n, sizeof(int)));
    assert_true(cap >= n);
    assert_int_equal(((int *)array)[n - 1], 0); /* new items are zero */
    ((int *)array)[n - 1] = (int)n;
  }
  for (int n = 1; n < 3000; n++) assert_int_equal(((int *)array)[n - 1], n);
  assert_true(heap.calls < 20); /* doubling */
  void *before = array;
  const size_t cap_before = cap;
  assert_false(sumi_grow(a, &array, &cap, SIZE_MAX / 2, sizeof(int)));
  assert_false(sumi_grow(a, &array, &cap, SIZE_MAX, 1));
  sumi_test_heap_fail(&heap, 0);
  assert_false(sumi_grow(a, &array, &cap, cap + 1, sizeof(int)));
  assert_ptr_equal(array, before);
  assert_int_equal(cap, cap_before);
  sumi_free(a, array, cap * sizeof(int));
  assert_int_equal(heap.blocks, 0);
}

static void test_arena(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  struct sumi_arena arena;
  sumi_arena_init(&arena, sumi_test_heap_init(&heap));
  enum { N = 3000 };
  static char *block[N];
  for (int round = 0; round < 3; round++) {
    size_t sum = 0;
    for (int i = 0; i < N; i++) {
      const size_t n = (size_t)(i * 37 % 300);
      block[i] = sumi_arena_alloc(&arena, n);
      assert_non_null(block[i]);
      assert_int_equal((uintptr_t)block[i] % (n >= 64 ? 64 : 16), 0);
      assert_true(is_zero(block[i], n)); /* also where it was used before a reset */
      memset(block[i], i & 255, n);
      sum += n ? n : 1;
    }
    assert_int_equal(arena.used_bytes, sum);
    for (int i = 0; i < N; i++) /* nothing overlaps */
      for (size_t k = 0; k < (size_t)(i * 37 % 300); k++)
        assert_int_equal((unsigned char)block[i][k], i & 255);
    sumi_arena_reset(&arena);
    assert_int_equal(heap.blocks, 1);
    assert_int_equal(arena.used_bytes, 0);
  }
  assert_non_null(sumi_arena_alloc(&arena, 100 << 20)); /* larger than any chunk */
  assert_null(sumi_arena_alloc(&arena, SIZE_MAX));
  assert_null(sumi_arena_alloc(&arena, SIZE_MAX - 100));
  assert_null(sumi_arena_array(&arena, SIZE_MAX / 4, 8));
  assert_string_equal(sumi_arena_strdup(&arena, "abc"), "abc");
  assert_string_equal(sumi_arena_strndup(&arena, "abc", 2), "ab");
  assert_string_equal(sumi_arena_strndup(&arena, NULL, 0), "");
  assert_string_equal(sumi_arena_printf(&arena, "%d %s", 7, "x"), "7 x");
  sumi_arena_fini(&arena);
  assert_int_equal(heap.blocks, 0);
}

static void test_arena_limits(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  struct sumi_arena arena;
  sumi_arena_init(&arena, sumi_test_heap_init(&heap));
  arena.limit_bytes = 100;
  assert_non_null(sumi_arena_alloc(&arena, 60));
  assert_null(sumi_arena_alloc(&arena, 41));
  assert_non_null(sumi_arena_alloc(&arena, 40));
  assert_null(sumi_arena_alloc(&arena, 1));
  assert_null(sumi_arena_alloc(&arena, SIZE_MAX));
  sumi_arena_reset(&arena);
  assert_non_null(sumi_arena_alloc(&arena, 100));
  arena.limit_bytes = 0;
  sumi_test_heap_fail(&heap, 0);
  assert_null(sumi_arena_alloc(&arena, 1 << 20));
  assert_non_null(sumi_arena_printf(&arena, "%*d", 1 << 20, 1)); /* the next one succeeds again */
  sumi_arena_fini(&arena);
  sumi_arena_fini(&arena);
  assert_int_equal(heap.blocks, 0);
}

static int deleted;
static void count_deleted(struct sumi_blob *blob) { deleted += blob->user == &deleted; }

static void *unref_many(void *blob) {
  for (int i = 0; i < 10000; i++) sumi_blob_unref(sumi_blob_ref(blob));
  sumi_blob_unref(blob);
  return NULL;
}

static void test_blob(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_blob *b = sumi_blob_new(a, 100);
  assert_int_equal((uintptr_t)b->data % SUMI_ALIGN, 0);
  assert_true(is_zero(b->data, 100));
  assert_ptr_equal(sumi_blob_bytes(b), b->data);
  assert_ptr_equal(sumi_blob_ref(b), b);
  sumi_blob_unref(b);
  assert_int_equal(heap.blocks, 2);
  sumi_blob_unref(b);
  assert_int_equal(heap.blocks, 0);
  b = sumi_blob_new(a, 0);
  sumi_blob_unref(b);
  sumi_blob_unref(NULL);
  assert_null(sumi_blob_ref(NULL));
  deleted = 0;
  b = sumi_blob_wrap(a, "x", 1, count_deleted, &deleted);
  for (int i = 0; i < 4; i++) sumi_blob_ref(b);
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, unref_many, b), 0);
  for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
  assert_int_equal(b->refs, 1);
  assert_int_equal(deleted, 0);
  sumi_blob_unref(b);
  assert_int_equal(deleted, 1);
  for (long n = 0; n < 2; n++) {
    sumi_test_heap_fail(&heap, n);
    assert_null(sumi_blob_new(a, 10));
    assert_int_equal(heap.blocks, 0);
  }
}

static void test_names(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  enum { N = 5000 };
  static char name[N][16];
  struct sumi_names t = {0};
  assert_null(sumi_names_find(&t, "x"));
  sumi_names_remove(&t, "x");
  for (int i = 0; i < N; i++) {
    snprintf(name[i], sizeof name[i], "n%d", i);
    assert_true(sumi_names_add(a, &t, name[i], name[i]));
  }
  for (int i = 0; i < N; i += 2) sumi_names_remove(&t, name[i]);
  for (int i = 0; i < N; i++) assert_ptr_equal(sumi_names_find(&t, name[i]), i % 2 ? name[i] : NULL);
  for (int i = 0; i < N; i += 2) assert_true(sumi_names_add(a, &t, name[i], name[0]));
  assert_ptr_equal(sumi_names_find(&t, "n8"), name[0]);
  sumi_names_replace(&t, "n8", name[8]);
  assert_ptr_equal(sumi_names_find(&t, "n8"), name[8]);
  /* adding and removing for ever does not fill the table */
  const size_t cap = t.cap;
  for (int i = 0; i < 100 * N; i++) {
    sumi_names_remove(&t, name[7]);
    assert_true(sumi_names_add(a, &t, name[7], name[7]));
  }
  assert_true(t.cap <= cap * 2);
  sumi_names_clear(&t);
  assert_null(sumi_names_find(&t, "n7"));
  assert_true(sumi_names_add(a, &t, "again", name[1]));
  sumi_names_fini(a, &t);
  assert_int_equal(heap.blocks, 0);
  sumi_test_heap_fail(&heap, 0);
  assert_false(sumi_names_add(a, &t, "x", name[0]));
  assert_null(sumi_names_find(&t, "x"));
}

static void test_sizes(void **state) {
  (void)state;
  size_t s = 7;
  assert_true(sumi_size_mul(3, 5, &s) && s == 15);
  assert_false(sumi_size_mul(SIZE_MAX, 2, &s));
  assert_false(sumi_size_add(SIZE_MAX, 1, &s));
  assert_int_equal(s, 15); /* left alone */
  assert_true(sumi_size_align(65, 64, &s) && s == 128);
  assert_true(sumi_size_align(64, 64, &s) && s == 64);
  assert_true(sumi_size_align(0, 64, &s) && s == 0);
  assert_false(sumi_size_align(SIZE_MAX, 64, &s));
  int64_t i = 7;
  assert_true(sumi_i64_mul(INT64_MIN, 1, &i) && i == INT64_MIN);
  assert_false(sumi_i64_mul(INT64_MIN, -1, &i));
  assert_false(sumi_i64_add(INT64_MAX, 1, &i));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc),        cmocka_unit_test(test_grow), cmocka_unit_test(test_arena),
      cmocka_unit_test(test_arena_limits), cmocka_unit_test(test_blob), cmocka_unit_test(test_names),
      cmocka_unit_test(test_sizes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

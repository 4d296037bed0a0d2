/* Large blocks: alignment, nothing overlaps, holes are reused and joined, what is empty goes back, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"

enum { BLOCKS = 60, STEPS = 4000, MIB = 1 << 20 };

struct block {
  char *p;
  size_t bytes;
  char mark;
};

/* Marks in steps of 512 bytes and at the end: the holes' own words would overwrite some of them. */
static void mark(const struct block *b) {
  for (size_t i = 0; i < b->bytes; i += 512) b->p[i] = b->mark;
  b->p[b->bytes - 1] = b->mark;
}

static bool is_marked(const struct block *b) {
  for (size_t i = 0; i < b->bytes; i += 512)
    if (b->p[i] != b->mark) return false;
  return b->p[b->bytes - 1] == b->mark;
}

static void *alloc_and_free(void *seed) {
  struct block all[BLOCKS] = {{0}};
  unsigned state = *(const unsigned *)seed;
  bool ok = true;
  for (int step = 0; step < STEPS && ok; step++) {
    state = state * 1664525U + 1013904223U;
    struct block *b = &all[(state >> 8) % BLOCKS];
    if (b->p) {
      ok = is_marked(b);
      sumi_heap_free(b->p, b->bytes);
      *b = (struct block){0};
    } else {
      const unsigned r = state >> 12;
      b->bytes = SUMI_HEAP_LEAST + (r % 16 == 0 ? r % (12 * MIB) : r % 16 < 4 ? r % MIB : r % 65536);
      b->mark = (char)(step | 1);
      ok = (b->p = sumi_heap_alloc(b->bytes)) && (uintptr_t)b->p % 64 == 0;
      if (ok) mark(b);
    }
  }
  for (int i = 0; i < BLOCKS; i++) {
    if (!all[i].p) continue;
    ok = ok && is_marked(&all[i]);
    sumi_heap_free(all[i].p, all[i].bytes);
  }
  return ok ? seed : NULL;
}

static void test_blocks(void **state) {
  (void)state;
  for (unsigned seed = 1; seed < 5; seed++) assert_non_null(alloc_and_free(&seed));
}

static void test_threads(void **state) {
  (void)state;
  pthread_t thread[3];
  unsigned seed[3] = {11, 12, 13};
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&thread[i], NULL, alloc_and_free, &seed[i]), 0);
  for (int i = 0; i < 3; i++) {
    void *ok;
    assert_int_equal(pthread_join(thread[i], &ok), 0);
    assert_non_null(ok);
  }
}

/* Three neighbours freed in any order leave one hole for all of them. */
static void test_holes_join(void **state) {
  (void)state;
  static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (int k = 0; k < 6; k++) {
    char *fence = sumi_heap_alloc(MIB), *p[3], *end;
    for (int i = 0; i < 3; i++) assert_non_null(p[i] = sumi_heap_alloc(MIB));
    assert_non_null(end = sumi_heap_alloc(MIB));
    for (int i = 0; i < 3; i++) sumi_heap_free(p[orders[k][i]], MIB);
    char *joined = sumi_heap_alloc(3 * MIB);
    assert_non_null(joined);
    if (!SUMI_HEAP_ALONE) assert_ptr_equal(joined, p[0]);
    sumi_heap_free(joined, 3 * MIB);
    sumi_heap_free(end, MIB);
    sumi_heap_free(fence, MIB);
  }
}

static void test_too_large(void **state) {
  (void)state;
  if (SUMI_HEAP_ALONE) return; /* AddressSanitizer ends the process instead */
  assert_null(sumi_heap_alloc(SIZE_MAX));
  assert_null(sumi_heap_alloc((size_t)PTRDIFF_MAX + 1));
  assert_null(sumi_heap_alloc(PTRDIFF_MAX));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_blocks),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_holes_join),
      cmocka_unit_test(test_too_large),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

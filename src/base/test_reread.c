/* Copies that can do without their memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "base/reread.h"

enum { BYTES = 3 * 4096 + 5 };
static char text[BYTES + 1];

static struct sumi_blob *source_of(const struct sumi_allocator *a) {
  for (int i = 0; i <= BYTES; i++) text[i] = (char)(i % 251 + 1);
  return sumi_blob_wrap(a, text, sizeof text, NULL, NULL);
}

static void drop_and_fill(void **state) {
  (void)state;
  static const char zeros[BYTES];
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_blob *source = source_of(a), *copy = sumi_reread_new(a, source, text + 1, BYTES);
  assert_non_null(copy);
  sumi_blob_unref(source); /* the copy keeps it */
  assert_int_equal((uintptr_t)copy->data % SUMI_ALIGN, 0);
  for (int i = 0; i < 3; i++) {
    assert_memory_equal(copy->data, text + 1, BYTES);
    sumi_reread_drop(copy);
    sumi_reread_drop(copy);
    assert_memory_equal(copy->data, zeros, BYTES);
    sumi_reread_fill(copy, i == 2);
  }
  sumi_reread_drop(copy); /* it stays now */
  assert_memory_equal(copy->data, text + 1, BYTES);
  sumi_blob_unref(copy);
  assert_int_equal(heap.blocks, 0);
}

static void others_are_left_alone(void **state) {
  (void)state;
  struct sumi_blob *blob = source_of(sumi_allocator_default());
  sumi_reread_drop(blob);
  sumi_reread_drop(NULL);
  sumi_reread_fill(blob, true);
  sumi_reread_fill(NULL, true);
  assert_int_equal(text[0], 1);
  sumi_blob_unref(blob);
}

static void every_allocation_fails(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_blob *source = source_of(sumi_allocator_default());
  for (long n = 0; n < 2; n++) {
    sumi_test_heap_fail(&heap, n);
    assert_null(sumi_reread_new(a, source, text, BYTES));
    assert_int_equal(heap.blocks, 0);
  }
  assert_int_equal(source->refs, 1);
  sumi_blob_unref(source);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(drop_and_fill), cmocka_unit_test(others_are_left_alone),
                                     cmocka_unit_test(every_allocation_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

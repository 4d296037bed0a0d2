/* Placement: nothing that lives at once overlaps, and little memory is wasted. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "plan/plan.h"

static void check_no_overlap(const struct sumi_plan_buffer *b, int n, size_t arena) {
  for (int i = 0; i < n; i++) {
    assert_int_equal(b[i].offset % SUMI_ALIGN, 0);
    assert_true(b[i].offset + b[i].bytes <= arena);
    for (int j = 0; j < i; j++) {
      const bool same_time = b[i].first <= b[j].last && b[j].first <= b[i].last;
      const bool same_place =
          b[i].offset < b[j].offset + b[j].bytes && b[j].offset < b[i].offset + b[i].bytes;
      assert_false(same_time && same_place && b[i].bytes && b[j].bytes);
    }
  }
}

static void random_lifetimes(void **state) {
  (void)state;
  struct sumi_random r;
  sumi_random_init(&r, 7);
  for (int round = 0; round < 50; round++) {
    enum { N = 300 };
    static struct sumi_plan_buffer b[N];
    static int order[N];
    for (int i = 0; i < N; i++) {
      const int first = (int)(sumi_random_uniform(&r) * 200);
      b[i] = (struct sumi_plan_buffer){.kind = SUMI_BUFFER_ARENA,
                                       .name = "b",
                                       .root = i,
                                       .first = first,
                                       .last = first + (int)(sumi_random_uniform(&r) * 12),
                                       .bytes = (size_t)(sumi_random_uniform(&r) * 5000)};
    }
    size_t arena;
    assert_int_equal(sumi_plan_place(b, N, order, &arena, NULL), SUMI_OK);
    check_no_overlap(b, N, arena);
  }
}

static void a_chain_needs_two_buffers(void **state) {
  (void)state;
  enum { N = 100 };
  static struct sumi_plan_buffer b[N];
  static int order[N];
  for (int i = 0; i < N; i++)
    b[i] = (struct sumi_plan_buffer){
        .kind = SUMI_BUFFER_ARENA, .name = "b", .root = i, .first = i, .last = i + 1, .bytes = 1000};
  size_t arena;
  assert_int_equal(sumi_plan_place(b, N, order, &arena, NULL), SUMI_OK);
  check_no_overlap(b, N, arena);
  assert_true(arena <= 2 * (1000 + 2 * SUMI_ALIGN));
}

static void more_at_once_than_are_looked_at(void **state) {
  (void)state;
  enum { N = 6000 };
  struct sumi_plan_buffer *b = calloc(N, sizeof *b);
  int *order = calloc(N, sizeof *order);
  for (int i = 0; i < N; i++)
    b[i] = (struct sumi_plan_buffer){.kind = SUMI_BUFFER_ARENA,
                                     .name = "b",
                                     .root = i,
                                     .first = i,
                                     .last = i % 3 ? INT_MAX : i + 1,
                                     .bytes = (size_t)(i % 7) * 100};
  size_t arena;
  assert_int_equal(sumi_plan_place(b, N, order, &arena, NULL), SUMI_OK);
  check_no_overlap(b, N, arena);
  free(b);
  free(order);
}

static void absurd_sizes_are_refused(void **state) {
  (void)state;
  struct sumi_plan_buffer b[2] = {
      {.kind = SUMI_BUFFER_ARENA, .name = "x", .root = 0, .first = 0, .last = 1, .bytes = SIZE_MAX - 8},
      {.kind = SUMI_BUFFER_ARENA, .name = "y", .root = 1, .first = 0, .last = 1, .bytes = PTRDIFF_MAX / 2}};
  int order[2];
  size_t arena;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_plan_place(b, 1, order, &arena, &err), SUMI_E_LIMIT);
  b[0].bytes = PTRDIFF_MAX / 2;
  assert_int_equal(sumi_plan_place(b, 2, order, &arena, NULL), SUMI_E_LIMIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_lifetimes), cmocka_unit_test(a_chain_needs_two_buffers),
      cmocka_unit_test(more_at_once_than_are_looked_at), cmocka_unit_test(absurd_sizes_are_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

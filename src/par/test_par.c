/* Parallel loops: every index once, in tiles no larger than asked, whatever the number of threads; no
 * allocation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "par/par.h"

enum { MOST = 1000 };

struct job {
  atomic_int visited[MOST];
  atomic_int wrong;
  int64_t n, tile;
  int threads;
};

static void visit(void *user, int64_t begin, int64_t end, int worker) {
  struct job *j = user;
  if (begin < 0 || begin >= end || end > j->n || end - begin > j->tile || begin % j->tile)
    atomic_fetch_add(&j->wrong, 1);
  if (worker < 0 || worker >= j->threads) atomic_fetch_add(&j->wrong, 1);
  for (int64_t i = begin; i < end && i < MOST; i++) atomic_fetch_add(&j->visited[i], 1);
}

static size_t allocations;
static void *count_alloc(void *user, size_t bytes, size_t align) {
  (void)user;
  allocations++;
  void *p = NULL;
  return posix_memalign(&p, align < 64 ? 64 : align, bytes) ? NULL : memset(p, 0, bytes);
}
static void count_free(void *user, void *block, size_t bytes) {
  (void)user, (void)bytes;
  free(block);
}
static const struct sumi_allocator counting = {NULL, count_alloc, count_free};

static void test_cover(void **state) {
  (void)state;
  static struct job j;
  for (int threads = 0; threads <= 5; threads++) {
    struct sumi_par *par = NULL;
    assert_int_equal(sumi_par_new(&counting, threads, &par, NULL), SUMI_OK);
    assert_int_equal(sumi_par_threads(par), threads < 1 ? 1 : threads);
    const size_t before = allocations;
    const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 999, 1000}, tiles[] = {1, 2, 3, 64, 1000, 5000};
    for (int s = 0; s < 8; s++)
      for (int t = 0; t < 6; t++) {
        memset(&j, 0, sizeof j);
        j.n = sizes[s], j.tile = tiles[t], j.threads = sumi_par_threads(par);
        sumi_par_for(par, j.n, j.tile, visit, &j);
        assert_int_equal(j.wrong, 0);
        for (int64_t i = 0; i < MOST; i++) assert_int_equal(j.visited[i], i < j.n);
      }
    assert_int_equal(allocations, before);
    sumi_par_free(par);
  }
}

/* Many short loops with and without pauses: workers asleep, awake and on their way between the two. */
static void test_many(void **state) {
  (void)state;
  static struct job j;
  struct sumi_par *par = NULL;
  assert_int_equal(sumi_par_new(&counting, 4, &par, NULL), SUMI_OK);
  memset(&j, 0, sizeof j);
  j.n = 37, j.tile = 2, j.threads = 4;
  const int loops = 3000;
  for (int i = 0; i < loops; i++) {
    sumi_par_for(par, j.n, j.tile, visit, &j);
    if (i % 100 == 0) nanosleep(&(struct timespec){0, 300000}, NULL);
  }
  assert_int_equal(j.wrong, 0);
  for (int64_t i = 0; i < j.n; i++) assert_int_equal(j.visited[i], loops);
  sumi_par_free(par);
}

static void test_refusal(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_par *par = (void *)1;
  assert_int_equal(sumi_par_new(&counting, 1 << 20, &par, &err), SUMI_E_LIMIT);
  assert_null(par);
  sumi_par_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cover),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

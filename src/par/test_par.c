/* Parallel loops: every index once, in tiles no larger than asked, whatever the number of threads; no allocation; pools
 * side by side; idle pools take no time; CPU sets are kept. */
#include <dirent.h>
#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/float_mode.h"
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

static atomic_size_t allocations;
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

static void pause_ms(long ms) { nanosleep(&(struct timespec){0, ms * 1000000}, NULL); }

static int threads_of_process(void) {
  DIR *d = opendir("/proc/self/task");
  int n = 0;
  assert_non_null(d);
  for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static void test_starts(void **state) {
  (void)state;
  pause_ms(20); /* threads of earlier tests are gone from the table a little after they were joined */
  const int before = threads_of_process();
  struct sumi_par *par = (void *)1;
  assert_int_equal(sumi_par_new(&counting, 1, &par, NULL), SUMI_OK);
  assert_null(par); /* the caller's thread is the one */
  assert_int_equal(threads_of_process(), before);
  assert_int_equal(sumi_par_new(&counting, 3, &par, NULL), SUMI_OK);
  assert_int_equal(threads_of_process(), before + 2);
  sumi_par_free(par);
}

static void *run_pool(void *user) {
  struct job *j = user;
  struct sumi_par *par = NULL;
  if (sumi_par_new(&counting, j->threads, &par, NULL) != SUMI_OK) atomic_fetch_add(&j->wrong, 1);
  for (int i = 0; i < 500; i++) sumi_par_for(par, j->n, j->tile, visit, j);
  sumi_par_free(par);
  return NULL;
}

static void test_side_by_side(void **state) {
  (void)state;
  static struct job job[4];
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) {
    job[i].n = 50 + i, job[i].tile = 3, job[i].threads = 1 + i;
    assert_int_equal(pthread_create(&thread[i], NULL, run_pool, &job[i]), 0);
  }
  for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(job[i].wrong, 0);
    for (int64_t k = 0; k < job[i].n; k++) assert_int_equal(job[i].visited[k], 500);
  }
}

static double cpu_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* Spinning for 200 ms would take that much on every core. */
static void test_sleeps_when_idle(void **state) {
  (void)state;
  static struct job j;
  struct sumi_par *par = NULL;
  assert_int_equal(sumi_par_new(&counting, 4, &par, NULL), SUMI_OK);
  memset(&j, 0, sizeof j);
  j.n = 37, j.tile = 1, j.threads = 4;
  for (int i = 0; i < 10; i++) sumi_par_for(par, j.n, j.tile, visit, &j);
  pause_ms(20); /* all fall asleep */
  const double before = cpu_ms();
  pause_ms(200);
  assert_true(cpu_ms() - before < 50);
  sumi_par_free(par);
}

static atomic_int elsewhere;
static int home;
static void look_where(void *user, int64_t begin, int64_t end, int worker) {
  (void)begin, (void)end, (void)worker;
  if (sched_getcpu() != home) atomic_fetch_add(&elsewhere, 1);
  visit(user, begin, end, worker);
}

static void test_cpu_set(void **state) {
  (void)state;
  static struct job j;
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  assert_int_equal(sumi_par_cores(), CPU_COUNT(&all));
  for (home = 0; !CPU_ISSET(home, &all);) home++;
  CPU_ZERO(&one);
  CPU_SET(home, &one);
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(sumi_par_cores(), 1);
  struct sumi_par *par = NULL;
  assert_int_equal(sumi_par_new(&counting, 3, &par, NULL), SUMI_OK);
  memset(&j, 0, sizeof j);
  j.n = 64, j.tile = 1, j.threads = 3;
  for (int i = 0; i < 50; i++) sumi_par_for(par, j.n, j.tile, look_where, &j);
  sumi_par_free(par);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
  assert_int_equal(elsewhere, 0);
  assert_int_equal(j.wrong, 0);
  for (int64_t i = 0; i < j.n; i++) assert_int_equal(j.visited[i], 50);
}

static atomic_int kept;
static void halve_least(void *user, int64_t begin, int64_t end, int worker) {
  (void)begin, (void)end;
  volatile float least = FLT_MIN;
  least = least / 2;
  if (least != 0) atomic_fetch_add(&kept, 1);
  pause_ms(1); /* so that every thread gets tiles */
  visit(user, begin, end, worker);
}

/* Workers have the caller's float mode, loop by loop. */
static void test_float_mode(void **state) {
  (void)state;
  static struct job j = {.n = 24, .tile = 1, .threads = 3};
  struct sumi_par *par = NULL;
  assert_int_equal(sumi_par_new(&counting, 3, &par, NULL), SUMI_OK);
  const uint64_t mode = sumi_float_mode(), flushing = sumi_float_mode_flushing(mode);
  sumi_par_for(par, j.n, j.tile, halve_least, &j);
  assert_int_equal(kept, j.n);
  kept = 0;
  sumi_float_mode_set(flushing);
  sumi_par_for(par, j.n, j.tile, halve_least, &j);
  sumi_float_mode_set(mode);
  assert_int_equal(kept, flushing == mode ? j.n : 0);
  sumi_par_free(par);
}

static atomic_int helped;
static void lose_core(void *user, int64_t begin, int64_t end, int worker) {
  if (worker) {
    atomic_fetch_add(&helped, 1);
    pause_ms(5);
  }
  visit(user, begin, end, worker);
}

/* Workers whose tiles take a thousand times as long as the caller's are left out for a while, not for ever. */
static void test_late(void **state) {
  (void)state;
  static struct job j = {.n = 64, .tile = 1, .threads = 2};
  struct sumi_par *par = NULL;
  if (sumi_par_cores() < 2) skip();
  assert_int_equal(sumi_par_new(&counting, 2, &par, NULL), SUMI_OK);
  int loops = 0;
  for (; !helped && loops < 10000; loops++) sumi_par_for(par, j.n, j.tile, lose_core, &j);
  assert_true(helped);
  const int before = helped;
  for (int i = 0; i < 100; i++, loops++) sumi_par_for(par, j.n, j.tile, lose_core, &j);
  assert_true(helped - before <= 2); /* 100 loops take far less than 10 ms, but who knows the machine */
  for (int i = 0; i < 1000 && helped - before <= 2; i++, loops++) {
    pause_ms(1);
    sumi_par_for(par, j.n, j.tile, lose_core, &j);
  }
  assert_true(helped - before > 2);
  sumi_par_free(par);
  assert_int_equal(j.wrong, 0);
  for (int64_t i = 0; i < j.n; i++) assert_int_equal(j.visited[i], loops);
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
      cmocka_unit_test(test_starts),
      cmocka_unit_test(test_side_by_side),
      cmocka_unit_test(test_sleeps_when_idle),
      cmocka_unit_test(test_cpu_set),
      cmocka_unit_test(test_float_mode),
      cmocka_unit_test(test_late),
      cmocka_unit_test(test_refusal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

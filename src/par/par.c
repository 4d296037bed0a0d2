/* A pool of sleeping threads. One parallel loop at a time: every thread owns an equal run of consecutive
 * tiles and steals from the others' runs when its own is empty. Waiting is a short spin, then a condition
 * variable.
 *
 * gate = (number of the loop) << 32 | CLOSED | (workers inside). A worker enters by adding one to an open
 * gate whose number it has not seen; the caller closes the gate when the tiles are used up and waits until
 * nobody is inside. So a worker that wakes too late costs nothing, and no job field changes while somebody
 * may read it. */
#include "par/par.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/size.h"

enum { SPINS = 4000 }; /* about 50 us with PAUSE: longer than the serial gap between two steps of a network */
#define CLOSED (UINT64_C(1) << 31)
#define INSIDE (CLOSED - 1)

struct run { /* the tiles one thread starts with */
  _Alignas(64) atomic_llong next;
  int64_t end;
};

struct worker {
  struct sumi_par *par;
  pthread_t thread;
  int index;
};

struct sumi_par {
  _Alignas(64) _Atomic uint64_t gate;
  _Alignas(64) atomic_int sleepers; /* workers that wait on wake */
  atomic_bool caller_sleeps, stop;
  const struct sumi_allocator *allocator;
  size_t bytes;
  int threads, started, spins;
  pthread_mutex_t lock;
  pthread_cond_t wake, idle;
  /* the loop that runs */
  void (*fn)(void *user, int64_t begin, int64_t end, int worker);
  void *user;
  int64_t n, tile;
  struct run *run;       /* [threads] */
  struct worker *worker; /* [threads], 0 = the caller */
};

static void relax(void) {
#if defined(SUMI_X86)
  __builtin_ia32_pause();
#elif defined(SUMI_ARM64)
  __asm__ volatile("yield");
#endif
}

static void work(struct sumi_par *par, int self) {
  for (int k = 0; k < par->threads; k++) {
    struct run *run = &par->run[(self + k) % par->threads];
    for (;;) {
      if (atomic_load_explicit(&run->next, memory_order_relaxed) >= run->end) break;
      const int64_t tile = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed);
      if (tile >= run->end) break;
      const int64_t begin = tile * par->tile;
      par->fn(par->user, begin, SUMI_MIN(par->tile, par->n - begin) + begin, self);
    }
  }
}

static bool is_open(uint64_t gate, uint64_t seen) { return !(gate & CLOSED) && gate >> 32 != seen; }

/* Waits for a loop newer than seen; false when the pool is freed. */
static bool wait_for_loop(struct sumi_par *par, uint64_t seen) {
  for (int i = 0; i < par->spins; i++) {
    if (is_open(atomic_load(&par->gate), seen)) return true;
    if (atomic_load_explicit(&par->stop, memory_order_relaxed)) return false;
    relax();
  }
  pthread_mutex_lock(&par->lock);
  atomic_fetch_add(&par->sleepers, 1);
  while (!is_open(atomic_load(&par->gate), seen) && !atomic_load(&par->stop))
    pthread_cond_wait(&par->wake, &par->lock);
  atomic_fetch_sub(&par->sleepers, 1);
  pthread_mutex_unlock(&par->lock);
  return !atomic_load(&par->stop);
}

static void *worker_main(void *arg) {
  const struct worker *w = arg;
  struct sumi_par *par = w->par;
  uint64_t seen = 0;
  while (wait_for_loop(par, seen)) {
    uint64_t gate = atomic_load(&par->gate);
    if (!is_open(gate, seen) || !atomic_compare_exchange_strong(&par->gate, &gate, gate + 1)) continue;
    seen = gate >> 32;
    work(par, w->index);
    gate = atomic_fetch_sub(&par->gate, 1) - 1;
    if ((gate & CLOSED) && (gate & INSIDE) == 0 && atomic_load(&par->caller_sleeps)) {
      pthread_mutex_lock(&par->lock);
      pthread_cond_signal(&par->idle);
      pthread_mutex_unlock(&par->lock);
    }
  }
  return NULL;
}

/* Signals belong to the program's own threads. */
static int start(struct worker *w) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = pthread_create(&w->thread, NULL, worker_main, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

sumi_status sumi_par_new(const struct sumi_allocator *a, int threads, struct sumi_par **out,
                         struct sumi_err *err) {
  enum { MOST = 1024 };
  *out = NULL;
  if (threads <= 1) return SUMI_OK;
  if (threads > MOST) SUMI_FAIL(err, SUMI_E_LIMIT, "%d threads are wanted, the limit is %d", threads, MOST);
  const size_t n = (size_t)threads;
  const size_t bytes = sizeof(struct sumi_par) + n * (sizeof(struct run) + sizeof(struct worker));
  struct sumi_par *par = sumi_alloc(a, bytes);
  if (!par) SUMI_FAIL_MEMORY(err);
  par->allocator = a;
  par->bytes = bytes;
  par->threads = threads;
  cpu_set_t mine;
  const int cores = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
  par->spins = threads <= cores ? SPINS : 0;
  par->run = (struct run *)(par + 1);
  par->worker = (struct worker *)(par->run + n);
  atomic_store(&par->gate, CLOSED);
  pthread_mutex_init(&par->lock, NULL);
  pthread_cond_init(&par->wake, NULL);
  pthread_cond_init(&par->idle, NULL);
  for (par->started = 1; par->started < threads; par->started++) {
    struct worker *w = &par->worker[par->started];
    w->par = par;
    w->index = par->started;
    const int failed = start(w);
    if (failed) {
      const int which = par->started;
      sumi_par_free(par);
      SUMI_FAIL(err, SUMI_E_LIMIT, "thread %d of %d could not be started: %s", which, threads,
                strerror(failed));
    }
  }
  *out = par;
  return SUMI_OK;
}

void sumi_par_free(struct sumi_par *par) {
  if (!par) return;
  pthread_mutex_lock(&par->lock);
  atomic_store(&par->stop, true);
  pthread_cond_broadcast(&par->wake);
  pthread_mutex_unlock(&par->lock);
  for (int i = 1; i < par->started; i++) pthread_join(par->worker[i].thread, NULL);
  pthread_cond_destroy(&par->idle);
  pthread_cond_destroy(&par->wake);
  pthread_mutex_destroy(&par->lock);
  sumi_free(par->allocator, par, par->bytes);
}

int sumi_par_threads(const struct sumi_par *par) { return par ? par->threads : 1; }

static void wait_until_idle(struct sumi_par *par) {
  if ((atomic_fetch_or(&par->gate, CLOSED) & INSIDE) == 0) return;
  for (int i = 0; i < par->spins; i++) {
    if ((atomic_load(&par->gate) & INSIDE) == 0) return;
    relax();
  }
  pthread_mutex_lock(&par->lock);
  atomic_store(&par->caller_sleeps, true);
  while (atomic_load(&par->gate) & INSIDE) pthread_cond_wait(&par->idle, &par->lock);
  atomic_store(&par->caller_sleeps, false);
  pthread_mutex_unlock(&par->lock);
}

void sumi_par_for(struct sumi_par *par, int64_t n, int64_t tile,
                  void (*fn)(void *user, int64_t begin, int64_t end, int worker), void *user) {
  if (n <= 0) return;
  if (tile < 1) tile = 1;
  const int64_t tiles = (n - 1) / tile + 1;
  if (!par || tiles == 1) {
    for (int64_t begin = 0; begin < n; begin += SUMI_MIN(tile, n - begin))
      fn(user, begin, begin + SUMI_MIN(tile, n - begin), 0);
    return;
  }
  par->fn = fn;
  par->user = user;
  par->n = n;
  par->tile = tile;
  const int64_t share = tiles / par->threads, rest = tiles % par->threads;
  int64_t first = 0;
  for (int i = 0; i < par->threads; i++) {
    atomic_store_explicit(&par->run[i].next, first, memory_order_relaxed);
    first += share + (i < rest);
    par->run[i].end = first;
  }
  const uint32_t number = (uint32_t)(atomic_load_explicit(&par->gate, memory_order_relaxed) >> 32) + 1;
  atomic_store(&par->gate, (uint64_t)number << 32); /* opens the gate, publishes the fields above */
  if (atomic_load(&par->sleepers) > 0) {
    pthread_mutex_lock(&par->lock);
    pthread_cond_broadcast(&par->wake);
    pthread_mutex_unlock(&par->lock);
  }
  work(par, 0);
  wait_until_idle(par);
}

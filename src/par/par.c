/* A pool of sleeping threads. One parallel loop at a time: every thread owns an equal run of consecutive
 * tiles and steals from the others' runs when its own is empty. No more threads are woken than there are cores to run
 * them; the others' tiles are stolen.
 *
 * Waiting is a short spin, then a condition variable. How long a thread spins follows from how long it had to wait
 * before: as long as waits are short it spins for SPIN_NS, with every long one half as long. Where other programs want
 * the cores waits are long, because what is waited for does not run, and the cores are left to them. A worker that loses its
 * core within a tile keeps the caller waiting until the system gives it back, milliseconds for loops of microseconds; one that
 * finds no free core takes the caller's, and the two take turns on it. After either, one worker less is woken for a while, and
 * for twice as long whenever the next try ends likewise.
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
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/float_mode.h"
#include "base/size.h"

enum {
  SPIN_NS = 50000,      /* longer than the serial gap between two steps of a network */
  LEAST_SPIN_NS = 1000, /* so that a wait of nearly nothing does not cost two system calls */
  CLOCK_EVERY = 16,     /* turns of the spin between two looks at the clock */
  LATE_NS = 500000,     /* a wait of so much, and many times the caller's own work: the worker did not run */
  LATE_TIMES = 4,
  LEAST_FEWER_NS = 10000000,
  MOST_FEWER_NS = 160000000
};
#define CLOSED (UINT64_C(1) << 31)
#define INSIDE (CLOSED - 1)

struct run { /* the tiles one thread starts with */
  _Alignas(64) atomic_llong next;
  int64_t end;
};

struct patience { /* of one thread */
  int64_t spin_ns;
};

struct worker {
  struct sumi_par *par;
  pthread_t thread;
  int index;
  struct patience patience;
};

struct sumi_par {
  _Alignas(64) _Atomic uint64_t gate;
  _Alignas(64) atomic_int sleepers; /* workers that wait on wake and were not called */
  atomic_bool caller_sleeps, stop;
  const struct sumi_allocator *allocator;
  size_t bytes;
  int threads, started;
  int most_awake; /* workers that have a core beside the caller's */
  pthread_mutex_t lock;
  pthread_cond_t wake, idle;
  int calls; /* sleepers that were called and have not woken yet; under the lock */
  /* the loop that runs */
  void (*fn)(void *user, int64_t begin, int64_t end, int worker);
  void *user;
  int64_t n, tile;
  uint64_t float_mode; /* the caller's */
  int64_t began_ns;
  atomic_int helped_on;             /* the core of the worker that entered the loop last; -1: none did */
  int fewer;                        /* workers that are not woken until then */
  int64_t fewer_ns, fewer_until_ns; /* how long, and until when */
  int runs;                         /* in use: threads that are to be awake */
  struct run *run;                  /* [threads] */
  struct worker *worker;            /* [threads], 0 = the caller */
};

static void relax(void) {
#if defined(SUMI_X86)
  __builtin_ia32_pause();
#elif defined(SUMI_ARM64)
  __asm__ volatile("yield");
#endif
}

static void work(struct sumi_par *par, int self) {
  for (int k = 0; k < par->runs; k++) {
    struct run *run = &par->run[(self + k) % par->runs];
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

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spins until done(par, arg) or patience is at its end; true when done. */
static bool spin(struct sumi_par *par, bool (*done)(struct sumi_par *par, uint64_t arg), uint64_t arg,
                 int64_t since_ns, const struct patience *p) {
  do {
    for (int i = 0; i < CLOCK_EVERY; i++) {
      if (done(par, arg)) return true;
      relax();
    }
  } while (now_ns() - since_ns < p->spin_ns);
  return false;
}

/* What a wait since then says about the next one. */
static void learn(struct patience *p, int64_t since_ns) {
  if (now_ns() - since_ns < 2 * SPIN_NS)
    p->spin_ns = SUMI_MIN(2 * p->spin_ns, SPIN_NS);
  else
    p->spin_ns = SUMI_MAX(p->spin_ns / 2, LEAST_SPIN_NS);
}

static bool has_loop(struct sumi_par *par, uint64_t seen) {
  return is_open(atomic_load(&par->gate), seen) || atomic_load_explicit(&par->stop, memory_order_relaxed);
}

/* Waits for a loop newer than seen; false when the pool is freed. */
static bool wait_for_loop(struct sumi_par *par, uint64_t seen, struct patience *p) {
  if (has_loop(par, seen)) return !atomic_load(&par->stop);
  const int64_t since = now_ns();
  if (!spin(par, has_loop, seen, since, p)) {
    pthread_mutex_lock(&par->lock);
    atomic_fetch_add(&par->sleepers, 1); /* before looking again: who opens the gate looks here afterwards */
    if (has_loop(par, seen)) {
      atomic_fetch_sub(&par->sleepers, 1);
    } else {
      while (!par->calls && !atomic_load(&par->stop)) pthread_cond_wait(&par->wake, &par->lock);
      if (par->calls) par->calls--;
    }
    pthread_mutex_unlock(&par->lock);
  }
  learn(p, since);
  return !atomic_load(&par->stop);
}

static void *worker_main(void *arg) {
  struct worker *w = arg;
  struct sumi_par *par = w->par;
  uint64_t seen = 0;
  while (wait_for_loop(par, seen, &w->patience)) {
    uint64_t gate = atomic_load(&par->gate);
    if (!is_open(gate, seen) || !atomic_compare_exchange_strong(&par->gate, &gate, gate + 1)) continue;
    seen = gate >> 32;
    sumi_float_mode_set(par->float_mode);
    atomic_store_explicit(&par->helped_on, sched_getcpu(), memory_order_relaxed);
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
  par->most_awake = sumi_par_cores() - 1;
  par->run = (struct run *)(par + 1);
  par->worker = (struct worker *)(par->run + n);
  atomic_store(&par->gate, CLOSED);
  pthread_mutex_init(&par->lock, NULL);
  pthread_cond_init(&par->wake, NULL);
  pthread_cond_init(&par->idle, NULL);
  for (int i = 0; i < threads; i++) par->worker[i].patience.spin_ns = SPIN_NS;
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

int sumi_par_cores(void) {
  cpu_set_t *mine = NULL;
  int n = 0;
  /* the kernel refuses a set that is too small for the cores the machine could have */
  for (int most = CPU_SETSIZE; !n && most <= 1 << 20 && (mine = CPU_ALLOC(most)); most *= 2) {
    if (sched_getaffinity(0, CPU_ALLOC_SIZE(most), mine) == 0) n = CPU_COUNT_S(CPU_ALLOC_SIZE(most), mine);
    CPU_FREE(mine);
  }
  return SUMI_MAX(n, 1);
}

int sumi_par_threads(const struct sumi_par *par) { return par ? par->threads : 1; }

static bool is_idle(struct sumi_par *par, uint64_t unused) {
  (void)unused;
  return (atomic_load(&par->gate) & INSIDE) == 0;
}

/* One worker less. A try with all that goes well as long as the time before it makes the next such time short again. */
static void wake_fewer(struct sumi_par *par, int64_t now) {
  const bool still = now < par->fewer_until_ns, soon = now - par->fewer_until_ns < par->fewer_ns;
  par->fewer = still ? par->fewer + 1 : 1;
  par->fewer_ns = soon ? SUMI_MIN(2 * par->fewer_ns, MOST_FEWER_NS) : LEAST_FEWER_NS;
  par->fewer_until_ns = now + par->fewer_ns;
}

static void wait_until_idle(struct sumi_par *par) {
  if ((atomic_fetch_or(&par->gate, CLOSED) & INSIDE) == 0) return;
  struct patience *p = &par->worker[0].patience;
  const int64_t since = now_ns();
  if (!spin(par, is_idle, 0, since, p)) {
    pthread_mutex_lock(&par->lock);
    atomic_store(&par->caller_sleeps, true);
    while (!is_idle(par, 0)) pthread_cond_wait(&par->idle, &par->lock);
    atomic_store(&par->caller_sleeps, false);
    pthread_mutex_unlock(&par->lock);
  }
  learn(p, since);
  const int64_t waited = now_ns() - since;
  if (waited > LATE_NS && waited > LATE_TIMES * (since - par->began_ns)) wake_fewer(par, since + waited);
}

/* Wakes sleepers, but only as many as find a core and a tile. */
static void wake_sleepers(struct sumi_par *par, int64_t tiles) {
  const int wanted = (int)SUMI_MIN(par->runs - 1, tiles - 1);
  if (wanted <= par->threads - 1 - atomic_load(&par->sleepers)) return;
  pthread_mutex_lock(&par->lock);
  const int sleepers = atomic_load(&par->sleepers), n = wanted - (par->threads - 1 - sleepers);
  if (n > 0) {
    atomic_fetch_sub(&par->sleepers, n);
    par->calls += n;
    for (int i = 0; i < n; i++) pthread_cond_signal(&par->wake);
  }
  pthread_mutex_unlock(&par->lock);
}

/* Returns how many threads a loop that begins now is for. */
static int begin_loop(struct sumi_par *par) {
  const int most = SUMI_MIN(par->threads, par->most_awake + 1);
  par->began_ns = now_ns();
  par->runs = par->began_ns < par->fewer_until_ns ? SUMI_MAX(most - par->fewer, 1) : most;
  return par->runs;
}

void sumi_par_for(struct sumi_par *par, int64_t n, int64_t tile,
                  void (*fn)(void *user, int64_t begin, int64_t end, int worker), void *user) {
  if (n <= 0) return;
  if (tile < 1) tile = 1;
  const int64_t tiles = (n - 1) / tile + 1;
  if (!par || tiles == 1 || begin_loop(par) == 1) {
    for (int64_t begin = 0; begin < n; begin += SUMI_MIN(tile, n - begin))
      fn(user, begin, begin + SUMI_MIN(tile, n - begin), 0);
    return;
  }
  par->fn = fn;
  par->user = user;
  par->n = n;
  par->tile = tile;
  par->float_mode = sumi_float_mode();
  const int64_t share = tiles / par->runs, rest = tiles % par->runs;
  int64_t first = 0;
  for (int i = 0; i < par->runs; i++) {
    atomic_store_explicit(&par->run[i].next, first, memory_order_relaxed);
    first += share + (i < rest);
    par->run[i].end = first;
  }
  atomic_store_explicit(&par->helped_on, -1, memory_order_relaxed);
  const uint32_t number = (uint32_t)(atomic_load_explicit(&par->gate, memory_order_relaxed) >> 32) + 1;
  atomic_store(&par->gate, (uint64_t)number << 32); /* opens the gate, publishes the fields above */
  if (atomic_load(&par->sleepers) > 0) wake_sleepers(par, tiles);
  work(par, 0);
  wait_until_idle(par);
  const int core = sched_getcpu();
  if (core >= 0 && atomic_load_explicit(&par->helped_on, memory_order_relaxed) == core)
    wake_fewer(par, now_ns());
}

/* Threads: one call, "for i in 0..n in tiles of t". No pool = serial. */
#ifndef SUMI_PAR_PAR_H
#define SUMI_PAR_PAR_H

#include "base/mem.h"

struct sumi_par;

/* Cores that the calling thread may run on (its CPU set), at least 1. */
int sumi_par_cores(void);

/* A pool of threads - 1 workers beside the caller; *out is NULL when threads <= 1. */
sumi_status sumi_par_new(const struct sumi_allocator *a, int threads, struct sumi_par **out,
                         struct sumi_err *err);
void sumi_par_free(struct sumi_par *par);         /* NULL allowed */
int sumi_par_threads(const struct sumi_par *par); /* 1 for NULL */

/* Calls fn(user, begin, end, worker) for disjoint ranges that cover [0, n), each of at most tile items (tile >= 1),
 * on the caller and the workers, and returns when all are done. worker is in [0, threads). Workers compute with floats as the caller does
 * (base/float_mode.h). Allocates nothing. */
void sumi_par_for(struct sumi_par *par, int64_t n, int64_t tile,
                  void (*fn)(void *user, int64_t begin, int64_t end, int worker), void *user);

#endif

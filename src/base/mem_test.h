/* An allocator for tests: counts what is out, checks that blocks come back with the size they were asked for,
 * and can be told to fail. Header-only; never part of the library.
 *
 *   struct sumi_test_heap heap;
 *   const struct sumi_allocator *a = sumi_test_heap_init(&heap);
 *   for (long n = 0;; n++) {                       every allocation fails once
 *     sumi_test_heap_fail(&heap, n);
 *     bool done = work(a);
 *     assert_int_equal(heap.blocks, 0);            nothing leaked
 *     if (done && !heap.failed) break;             n is beyond the last allocation
 *   } */
#ifndef SUMI_BASE_MEM_TEST_H
#define SUMI_BASE_MEM_TEST_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sumi_test_heap {
  struct sumi_allocator allocator;
  long blocks;       /* out now */
  size_t bytes;      /* out now */
  size_t most_bytes; /* the most that was ever out */
  long calls;        /* allocations asked for since init or sumi_test_heap_fail */
  long fail_at;      /* the call (from 0) that fails; -1 = none */
  bool fail_after;   /* every call from fail_at on fails */
  bool failed;       /* a call was made to fail */
};

/* Before each block: its size, and a mark that a wild write or a wrong free changes. */
struct sumi_test_block {
  size_t bytes;
  uint64_t mark;
};
#define SUMI_TEST_MARK UINT64_C(0x53756d6953756d69)

static inline void *sumi_test_alloc(void *user, size_t bytes, size_t align) {
  struct sumi_test_heap *h = user;
  const long call = h->calls++;
  if (h->fail_at >= 0 && (call == h->fail_at || (h->fail_after && call > h->fail_at))) {
    h->failed = true;
    return NULL;
  }
  if (bytes > SIZE_MAX / 2 || align > SUMI_ALIGN) return NULL;
  char *p = aligned_alloc(SUMI_ALIGN, SUMI_ALIGN + (bytes + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN);
  if (!p) return NULL;
  memset(p, 0xa5, SUMI_ALIGN + bytes); /* whoever relies on zeros is found */
  struct sumi_test_block *b = (struct sumi_test_block *)(void *)(p + SUMI_ALIGN) - 1;
  *b = (struct sumi_test_block){bytes, SUMI_TEST_MARK};
  h->blocks++;
  h->bytes += bytes;
  if (h->bytes > h->most_bytes) h->most_bytes = h->bytes;
  return p + SUMI_ALIGN;
}

static inline void sumi_test_free(void *user, void *block, size_t bytes) {
  struct sumi_test_heap *h = user;
  struct sumi_test_block *b = (struct sumi_test_block *)block - 1;
  if (b->mark != SUMI_TEST_MARK || b->bytes != bytes) abort(); /* a test dies loudly */
  b->mark = 0;
  h->blocks--;
  h->bytes -= bytes;
  free((char *)block - SUMI_ALIGN);
}

static inline const struct sumi_allocator *sumi_test_heap_init(struct sumi_test_heap *h) {
  *h = (struct sumi_test_heap){.allocator = {h, sumi_test_alloc, sumi_test_free}, .fail_at = -1};
  return &h->allocator;
}

/* From now on the n-th allocation (from 0) fails, once. n = -1: none. */
static inline void sumi_test_heap_fail(struct sumi_test_heap *h, long n) {
  h->calls = 0;
  h->fail_at = n;
  h->fail_after = h->failed = false;
}

/* Runs work with each of its allocations failing once, those behind the 200th `stride` apart. Nothing may stay allocated, what
 * fails fails with SUMI_E_MEMORY, and with no failure all is well. NULL, or what was otherwise. */
static inline const char *sumi_test_each_failure(sumi_status (*work)(const struct sumi_allocator *a),
                                                 long stride) {
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n += n < 200 ? 1 : stride) {
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = work(a);
    if (heap.blocks) return "blocks stayed allocated";
    if (status != SUMI_OK && status != SUMI_E_MEMORY) return "another status than SUMI_E_MEMORY";
    if (!heap.failed) return status == SUMI_OK ? NULL : "a failure without one of the allocator";
  }
}

#endif

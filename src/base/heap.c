/* A first-fit heap over regions. Free space is a list of holes in order of address, kept in the holes themselves; a
 * block has no header, its size comes back with it. */
#include "base/heap.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/size.h"

static const size_t REGION = (size_t)32 << 20, /* bytes, and what regions are aligned to */
    LARGEST = (size_t)8 << 20,                 /* of a block in a region; larger ones come alone */
    HUGE = (size_t)2 << 20;                    /* bytes of a huge page */

struct hole {
  struct hole *next;
  size_t bytes;
};

struct region {
  _Alignas(64) struct region *next;
  struct hole *hole; /* by address, never two side by side */
  size_t used;       /* bytes of blocks */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *regions;

/* bytes (a multiple of HUGE) at a multiple of align (likewise), or NULL. */
static void *map_aligned(size_t bytes, size_t align) {
  size_t all;
  if (!sumi_size_add(bytes, align, &all)) return NULL;
  char *map = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return NULL;
  const size_t before = -(uintptr_t)map & (align - 1);
  if (before) munmap(map, before);
  munmap(map + before + bytes, align - before);
#ifdef MADV_HUGEPAGE
  (void)madvise(map + before, bytes, MADV_HUGEPAGE); /* a wish: without them everything is only slower */
#endif
  return map + before;
}

static struct region *region_new(void) {
  struct region *r = map_aligned(REGION, REGION);
  if (!r) return NULL;
  struct hole *h = (struct hole *)(r + 1);
  *h = (struct hole){NULL, REGION - sizeof *r};
  *r = (struct region){regions, h, 0};
  return regions = r;
}

/* bytes: a multiple of 64. */
static void *take(struct region *r, size_t bytes) {
  for (struct hole **at = &r->hole; *at; at = &(*at)->next) {
    struct hole *h = *at;
    if (h->bytes < bytes) continue;
    if (h->bytes == bytes) {
      *at = h->next;
    } else {
      struct hole *rest = (struct hole *)((char *)h + bytes);
      *rest = (struct hole){h->next, h->bytes - bytes};
      *at = rest;
    }
    r->used += bytes;
    return h;
  }
  return NULL;
}

/* Whole huge pages inside a hole go back to the system. */
static void drop_pages(struct hole *h) {
  const uintptr_t first = ((uintptr_t)(h + 1) + HUGE - 1) & ~(HUGE - 1),
                  last = ((uintptr_t)h + h->bytes) & ~(HUGE - 1);
  if (first < last) (void)madvise((void *)first, last - first, MADV_DONTNEED);
}

static void give(struct region *r, char *block, size_t bytes) {
  r->used -= bytes;
  struct hole *before = NULL, *after = r->hole;
  while (after && (char *)after < block) before = after, after = after->next;
  struct hole *h = (struct hole *)block;
  if (before && (char *)before + before->bytes == block) {
    h = before;
    h->bytes += bytes;
  } else {
    *h = (struct hole){after, bytes};
    *(before ? &before->next : &r->hole) = h;
  }
  if (after && (char *)h + h->bytes == (char *)after)
    *h = (struct hole){after->next, h->bytes + after->bytes};
  if (bytes >= HUGE / 8) drop_pages(h);
}

static size_t round_up(size_t bytes) {
  const size_t unit = bytes > LARGEST ? HUGE : 64;
  return (bytes + unit - 1) & ~(unit - 1);
}

void *sumi_heap_alloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX) return NULL;
  bytes = round_up(bytes);
  if (SUMI_HEAP_ALONE) return aligned_alloc(64, bytes);
  if (bytes > LARGEST) return map_aligned(bytes, HUGE);
  void *p = NULL;
  pthread_mutex_lock(&lock);
  for (struct region *r = regions; r && !p; r = r->next) p = take(r, bytes);
  if (!p && region_new()) p = take(regions, bytes);
  pthread_mutex_unlock(&lock);
  return p;
}

void sumi_heap_free(void *block, size_t bytes) {
  bytes = round_up(bytes);
  if (SUMI_HEAP_ALONE) {
    free(block);
    return;
  }
  if (bytes > LARGEST) {
    munmap(block, bytes);
    return;
  }
  struct region *r = (struct region *)((uintptr_t)block & ~(REGION - 1));
  pthread_mutex_lock(&lock);
  give(r, block, bytes);
  if (!r->used) {
    struct region **at = &regions;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    munmap(r, REGION);
  }
  pthread_mutex_unlock(&lock);
}

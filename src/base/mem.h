/* Memory: the allocator given at creation, arenas (freed as a whole), and reference-counted blobs for weights.
 * Nothing in Sumi calls malloc except sumi_allocator_default(). */
#ifndef SUMI_BASE_MEM_H
#define SUMI_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sumi/types.h>

#include "base/status.h"

enum { SUMI_ALIGN = 64 }; /* bytes: every block is aligned to a cache line and to the widest vector */

/* The C library's allocator, large blocks from huge pages (heap.h). align: at most SUMI_ALIGN. */
const struct sumi_allocator *sumi_allocator_default(void);

/* bytes (> 0) of zeroed memory aligned to SUMI_ALIGN, or NULL. */
void *sumi_alloc(const struct sumi_allocator *a, size_t bytes);
void sumi_free(const struct sumi_allocator *a, void *block, size_t bytes); /* block may be NULL */

/* Grows an array from *cap to at least want items of item_bytes; *array may be NULL with *cap 0. False: out of memory,
 * nothing changed. New items are zero. */
bool sumi_grow(const struct sumi_allocator *a, void **array, size_t *cap, size_t want, size_t item_bytes);

/* A bump allocator: blocks live until the arena is freed or reset. Not for threads. */
struct sumi_arena {
  const struct sumi_allocator *allocator;
  struct sumi_arena_chunk *chunk;
  size_t used_bytes;  /* handed out since init or reset */
  size_t limit_bytes; /* 0 = none; allocation beyond it fails */
};

void sumi_arena_init(struct sumi_arena *arena, const struct sumi_allocator *allocator);
void sumi_arena_fini(struct sumi_arena *arena);
/* Forgets all blocks but keeps the largest chunk for reuse. */
void sumi_arena_reset(struct sumi_arena *arena);
/* Zeroed bytes aligned to 16 (64 when bytes >= 64), or NULL. bytes = 0 gives a valid pointer. */
void *sumi_arena_alloc(struct sumi_arena *arena, size_t bytes);
/* n items of item_bytes, checked product. */
void *sumi_arena_array(struct sumi_arena *arena, size_t n, size_t item_bytes);
/* Terminated copy of n bytes. */
char *sumi_arena_strndup(struct sumi_arena *arena, const char *s, size_t n);
char *sumi_arena_strdup(struct sumi_arena *arena, const char *s);
char *sumi_arena_printf(struct sumi_arena *arena, const char *format, ...) SUMI_PRINTF(2, 3);

#define SUMI_NEW(arena, type) ((type *)sumi_arena_alloc((arena), sizeof(type)))
#define SUMI_NEW_ARRAY(arena, n, type) ((type *)sumi_arena_array((arena), (n), sizeof(type)))

/* Shared read-only bytes (weights, a mapped file): counted, freed by the deleter with the last reference.
 * Counting is safe between threads; the bytes are not written after creation. */
struct sumi_blob {
  const void *data;
  size_t bytes;
  int refs;
  const struct sumi_allocator *allocator;
  void (*deleter)(struct sumi_blob *blob); /* frees data, not the blob itself */
  void *user;
};

/* A blob that owns bytes of zeroed memory (to be filled through sumi_blob_bytes before it is shared), or NULL. */
struct sumi_blob *sumi_blob_new(const struct sumi_allocator *a, size_t bytes);
/* A blob over memory somebody else frees through deleter (may be NULL: borrowed for the blob's whole life). */
struct sumi_blob *sumi_blob_wrap(const struct sumi_allocator *a, const void *data, size_t bytes,
                                 void (*deleter)(struct sumi_blob *), void *user);
void *sumi_blob_bytes(struct sumi_blob *blob);
struct sumi_blob *sumi_blob_ref(struct sumi_blob *blob);
void sumi_blob_unref(struct sumi_blob *blob); /* NULL allowed */

#endif

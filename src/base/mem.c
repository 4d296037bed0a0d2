/* Allocator, arenas, blobs. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/size.h"

static void *default_alloc(void *user, size_t bytes, size_t align) {
  (void)user;
  size_t rounded;
  if (align > SUMI_ALIGN || !sumi_size_align(bytes, align, &rounded)) return NULL;
  return bytes >= SUMI_HEAP_LEAST ? sumi_heap_alloc(bytes) : aligned_alloc(align, rounded);
}

static void default_free(void *user, void *block, size_t bytes) {
  (void)user;
  if (bytes >= SUMI_HEAP_LEAST)
    sumi_heap_free(block, bytes);
  else
    free(block);
}

const struct sumi_allocator *sumi_allocator_default(void) {
  static const struct sumi_allocator a = {NULL, default_alloc, default_free};
  return &a;
}

void *sumi_alloc(const struct sumi_allocator *a, size_t bytes) {
  if (bytes == 0) bytes = 1;
  if (bytes > PTRDIFF_MAX) return NULL;
  void *p = a->alloc(a->user, bytes, SUMI_ALIGN);
  if (p) memset(p, 0, bytes);
  return p;
}

void sumi_free(const struct sumi_allocator *a, void *block, size_t bytes) {
  if (block) a->free(a->user, block, bytes ? bytes : 1);
}

bool sumi_grow(const struct sumi_allocator *a, void **array, size_t *cap, size_t want, size_t item_bytes) {
  if (want <= *cap) return true;
  size_t n = *cap < 8 ? 8 : *cap, bytes;
  while (n < want)
    if (!sumi_size_mul(n, 2, &n)) return false;
  if (!sumi_size_mul(n, item_bytes, &bytes)) return false;
  void *p = sumi_alloc(a, bytes);
  if (!p) return false;
  if (*array) {
    memcpy(p, *array, *cap * item_bytes);
    sumi_free(a, *array, *cap * item_bytes);
  }
  *array = p;
  *cap = n;
  return true;
}

struct sumi_arena_chunk {
  struct sumi_arena_chunk *next;
  size_t bytes, used; /* of the whole block, header included */
};

enum { FIRST_CHUNK = 16 << 10, LARGEST_CHUNK = 4 << 20 };

void sumi_arena_init(struct sumi_arena *arena, const struct sumi_allocator *allocator) {
  *arena = (struct sumi_arena){.allocator = allocator ? allocator : sumi_allocator_default()};
}

static void free_chunks(struct sumi_arena *arena, struct sumi_arena_chunk *c) {
  while (c) {
    struct sumi_arena_chunk *next = c->next;
    sumi_free(arena->allocator, c, c->bytes);
    c = next;
  }
}

void sumi_arena_fini(struct sumi_arena *arena) {
  free_chunks(arena, arena->chunk);
  arena->chunk = NULL;
  arena->used_bytes = 0;
}

void sumi_arena_reset(struct sumi_arena *arena) {
  struct sumi_arena_chunk *largest = arena->chunk;
  for (struct sumi_arena_chunk *c = arena->chunk; c; c = c->next)
    if (c->bytes > largest->bytes) largest = c;
  struct sumi_arena_chunk *c = arena->chunk;
  while (c) {
    struct sumi_arena_chunk *next = c->next;
    if (c != largest) sumi_free(arena->allocator, c, c->bytes);
    c = next;
  }
  arena->chunk = largest;
  if (largest) {
    largest->next = NULL;
    largest->used = sizeof *largest;
  }
  arena->used_bytes = 0;
}

void *sumi_arena_alloc(struct sumi_arena *arena, size_t bytes) {
  const size_t align = bytes >= SUMI_ALIGN ? SUMI_ALIGN : 16;
  if (bytes == 0) bytes = 1;
  if (bytes > PTRDIFF_MAX / 2) return NULL;
  if (arena->limit_bytes && bytes > arena->limit_bytes - SUMI_MIN(arena->used_bytes, arena->limit_bytes))
    return NULL;
  struct sumi_arena_chunk *c = arena->chunk;
  size_t at = c ? (c->used + align - 1) & ~(align - 1) : 0;
  if (!c || at > c->bytes || bytes > c->bytes - at) {
    size_t want = c ? SUMI_MIN(c->bytes * 2, (size_t)LARGEST_CHUNK) : FIRST_CHUNK;
    const size_t need = bytes + sizeof *c + SUMI_ALIGN;
    if (want < need) want = need;
    void *fresh = arena->allocator->alloc(arena->allocator->user, want, SUMI_ALIGN);
    if (!fresh) return NULL;
    c = fresh;
    *c = (struct sumi_arena_chunk){arena->chunk, want, sizeof *c};
    arena->chunk = c;
    at = (c->used + align - 1) & ~(align - 1);
  }
  c->used = at + bytes;
  arena->used_bytes += bytes;
  void *p = (char *)c + at;
  memset(p, 0, bytes);
  return p;
}

void *sumi_arena_array(struct sumi_arena *arena, size_t n, size_t item_bytes) {
  size_t bytes;
  return sumi_size_mul(n, item_bytes, &bytes) ? sumi_arena_alloc(arena, bytes) : NULL;
}

char *sumi_arena_strndup(struct sumi_arena *arena, const char *s, size_t n) {
  char *p = n < PTRDIFF_MAX ? sumi_arena_alloc(arena, n + 1) : NULL;
  if (p && n) memcpy(p, s, n);
  return p;
}

char *sumi_arena_strdup(struct sumi_arena *arena, const char *s) {
  return sumi_arena_strndup(arena, s, strlen(s));
}

char *sumi_arena_printf(struct sumi_arena *arena, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  const int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *p = n < 0 ? NULL : sumi_arena_alloc(arena, (size_t)n + 1);
  if (p) vsnprintf(p, (size_t)n + 1, format, again);
  va_end(again);
  return p;
}

static void free_own_bytes(struct sumi_blob *blob) { sumi_free(blob->allocator, blob->user, blob->bytes); }

struct sumi_blob *sumi_blob_wrap(const struct sumi_allocator *a, const void *data, size_t bytes,
                                 void (*deleter)(struct sumi_blob *), void *user) {
  struct sumi_blob *blob = sumi_alloc(a, sizeof *blob);
  if (blob) *blob = (struct sumi_blob){data, bytes, 1, a, deleter, user};
  return blob;
}

struct sumi_blob *sumi_blob_new(const struct sumi_allocator *a, size_t bytes) {
  void *data = sumi_alloc(a, bytes);
  if (!data) return NULL;
  struct sumi_blob *blob = sumi_blob_wrap(a, data, bytes, free_own_bytes, data);
  if (!blob) sumi_free(a, data, bytes);
  return blob;
}

void *sumi_blob_bytes(struct sumi_blob *blob) { return blob->user; }

struct sumi_blob *sumi_blob_ref(struct sumi_blob *blob) {
  if (blob) __atomic_add_fetch(&blob->refs, 1, __ATOMIC_RELAXED);
  return blob;
}

void sumi_blob_unref(struct sumi_blob *blob) {
  if (!blob || __atomic_sub_fetch(&blob->refs, 1, __ATOMIC_ACQ_REL) > 0) return;
  if (blob->deleter) blob->deleter(blob);
  sumi_free(blob->allocator, blob, sizeof *blob);
}

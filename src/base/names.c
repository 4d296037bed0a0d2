/* Name tables: open addressing with linear probing. The hash is salted with the table's address, so that a
 * file cannot be written to collide; nothing that anybody sees depends on the order. */
#include "base/names.h"

#include <string.h>

#include "base/text.h"

struct sumi_name_slot {
  const char *name; /* NULL: never taken */
  void *item;       /* NULL with a name: removed */
  uint64_t hash;
};

static uint64_t hash_name(const struct sumi_names *t, const char *name) {
  uint64_t h = sumi_hash(name, strlen(name), (uint64_t)(uintptr_t)t * 0x9e3779b97f4a7c15u);
  h ^= h >> 32; /* the low bits of FNV-1a depend on the low bits of the text only */
  h *= 0xd6e8feb86659fd93u;
  return h ^ h >> 32;
}

static struct sumi_name_slot *find(const struct sumi_names *t, const char *name) {
  if (!t->cap) return NULL;
  const uint64_t hash = hash_name(t, name);
  for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
    struct sumi_name_slot *s = &t->slot[i];
    if (!s->name) return NULL;
    if (s->item && s->hash == hash && sumi_streq(s->name, name)) return s;
  }
}

static void put(struct sumi_names *t, struct sumi_name_slot slot) {
  size_t i = slot.hash & (t->cap - 1);
  while (t->slot[i].name) i = (i + 1) & (t->cap - 1);
  t->slot[i] = slot;
  t->n++;
}

/* Rebuilds the table with at most a third of its slots taken; drops removed ones. */
static bool grow(const struct sumi_allocator *a, struct sumi_names *t) {
  size_t live = 0, cap = 16;
  for (size_t i = 0; i < t->cap; i++) live += t->slot[i].item != NULL;
  while (cap / 3 < live + 1) cap *= 2;
  struct sumi_name_slot *fresh = cap <= SIZE_MAX / sizeof *fresh ? sumi_alloc(a, cap * sizeof *fresh) : NULL;
  if (!fresh) return false;
  const struct sumi_names old = *t;
  t->slot = fresh;
  t->cap = cap;
  t->n = 0;
  for (size_t i = 0; i < old.cap; i++)
    if (old.slot[i].item) put(t, old.slot[i]);
  sumi_free(a, old.slot, old.cap * sizeof *old.slot);
  return true;
}

void *sumi_names_find(const struct sumi_names *t, const char *name) {
  const struct sumi_name_slot *s = find(t, name);
  return s ? s->item : NULL;
}

bool sumi_names_add(const struct sumi_allocator *a, struct sumi_names *t, const char *name, void *item) {
  if (t->n + 1 > t->cap / 3 * 2 && !grow(a, t)) return false;
  put(t, (struct sumi_name_slot){name, item, hash_name(t, name)});
  return true;
}

void sumi_names_remove(struct sumi_names *t, const char *name) {
  struct sumi_name_slot *s = find(t, name);
  if (s) s->item = NULL;
}

void sumi_names_replace(struct sumi_names *t, const char *name, void *item) {
  struct sumi_name_slot *s = find(t, name);
  if (s) s->item = item;
}

void sumi_names_clear(struct sumi_names *t) {
  if (t->cap) memset(t->slot, 0, t->cap * sizeof *t->slot);
  t->n = 0;
}

void sumi_names_fini(const struct sumi_allocator *a, struct sumi_names *t) {
  sumi_free(a, t->slot, t->cap * sizeof *t->slot);
  *t = (struct sumi_names){0};
}

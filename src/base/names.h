/* A table from names to items (values, nodes, functions), by hash. A file cannot be written to make it slow.
 */
#ifndef SUMI_BASE_NAMES_H
#define SUMI_BASE_NAMES_H

#include "base/mem.h"

/* Zero-initialised = empty. Must not be moved while it holds names: its address is the salt of the hash. */
struct sumi_names {
  struct sumi_name_slot *slot;
  size_t n, cap; /* n counts slots ever taken; cap is a power of two or 0 */
};

/* The item of that name; NULL: none. */
void *sumi_names_find(const struct sumi_names *t, const char *name);
/* item must not be NULL; name is borrowed while the table lives, and not yet in it. False: out of memory. */
bool sumi_names_add(const struct sumi_allocator *a, struct sumi_names *t, const char *name, void *item);
void sumi_names_remove(struct sumi_names *t, const char *name);
/* Makes name stand for another item. */
void sumi_names_replace(struct sumi_names *t, const char *name, void *item);
void sumi_names_clear(struct sumi_names *t);
void sumi_names_fini(const struct sumi_allocator *a, struct sumi_names *t);

#endif

/* Aligned copies of bytes inside another blob (a mapped file) that can do without their memory while nobody needs it: what was
 * given back is read from the other blob again. Like a mapped file's, the memory comes from the system and not from the
 * allocator: so parts go and come at an address that stays. */
#ifndef SUMI_BASE_REREAD_H
#define SUMI_BASE_REREAD_H

#include "base/mem.h"

/* A blob of bytes copied from `from`, which lies in source (a reference is taken). NULL: out of memory. */
struct sumi_blob *sumi_reread_new(const struct sumi_allocator *a, struct sumi_blob *source, const void *from,
                                  size_t bytes);

/* Gives the memory back: the contents are not there (zeros) until sumi_reread_fill(). Nothing happens to a blob of another kind
 * or one that was filled to stay. Whoever calls these two sees to it that nobody reads meanwhile. */
void sumi_reread_drop(struct sumi_blob *blob);

/* The contents are there again; stay: for the blob's whole life. Nothing happens to a blob of another kind, nor to NULL. */
void sumi_reread_fill(struct sumi_blob *blob, bool stay);

#endif

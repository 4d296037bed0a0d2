/* Allocation for libraries that do not say how large the blocks are that they free: the size leads the block. */
#ifndef SUMI_BASE_SIZED_H
#define SUMI_BASE_SIZED_H

#include "base/mem.h"

/* As sumi_alloc() and sumi_free(). */
void *sumi_alloc_sized(const struct sumi_allocator *a, size_t bytes);
void sumi_free_sized(const struct sumi_allocator *a, void *block); /* block may be NULL */

#endif

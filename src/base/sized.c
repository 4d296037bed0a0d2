/* Blocks that know their size. */
#include "base/sized.h"

#include <string.h>

#include "base/size.h"

void *sumi_alloc_sized(const struct sumi_allocator *a, size_t bytes) {
  size_t all;
  char *block = sumi_size_add(bytes, SUMI_ALIGN, &all) ? sumi_alloc(a, all) : NULL;
  if (!block) return NULL;
  memcpy(block, &all, sizeof all);
  return block + SUMI_ALIGN;
}

void sumi_free_sized(const struct sumi_allocator *a, void *block) {
  size_t all;
  if (!block) return;
  memcpy(&all, (char *)block - SUMI_ALIGN, sizeof all);
  sumi_free(a, (char *)block - SUMI_ALIGN, all);
}

/* The chip's memory: first fit among blocks kept by address. */
#include <string.h>

#include "base/size.h"
#include "device/antoum/driver_int.h"

/* The first gap of so many bytes: its place, and the block behind it. False: there is none; *largest is what there was. */
static bool find_gap(const struct antoum_driver *d, uint64_t bytes, uint64_t *at, size_t *behind,
                     uint64_t *largest) {
  *largest = 0;
  *at = ANTOUM_PAGE; /* 0 is nobody's place */
  for (*behind = 0; *behind <= d->n_block; ++*behind) {
    const struct antoum_block *b = *behind < d->n_block ? &d->block[*behind] : NULL;
    const uint64_t end = b ? b->at : d->chip.dram_bytes;
    if (end - *at >= bytes) return true;
    *largest = SUMI_MAX(*largest, end - *at);
    if (b) *at = b->at + b->bytes;
  }
  return false;
}

sumi_status antoum_dram_alloc(struct antoum_driver *d, uint64_t bytes, uint64_t *at, struct sumi_err *err) {
  uint64_t largest;
  size_t behind, whole;
  if (!sumi_size_align(SUMI_MAX(bytes, 1), ANTOUM_PAGE, &whole)) whole = SIZE_MAX;
  if (!find_gap(d, whole, at, &behind, &largest))
    SUMI_FAIL(err, SUMI_E_LIMIT,
              "card: %llu bytes of its memory of %llu are needed, the largest free piece has %llu",
              (unsigned long long)bytes, (unsigned long long)d->chip.dram_bytes, (unsigned long long)largest);
  if (!sumi_grow(d->a, (void **)&d->block, &d->cap_block, d->n_block + 1, sizeof *d->block))
    SUMI_FAIL_MEMORY(err);
  struct antoum_block *to = d->block + behind;
  memmove(to + 1, to, (d->n_block++ - behind) * sizeof *to);
  *to = (struct antoum_block){*at, whole};
  return SUMI_OK;
}

void antoum_dram_free(struct antoum_driver *d, uint64_t at) {
  for (size_t i = 0; i < d->n_block; i++) {
    if (d->block[i].at != at) continue;
    memmove(&d->block[i], &d->block[i + 1], (--d->n_block - i) * sizeof *d->block);
    return;
  }
}

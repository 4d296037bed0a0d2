/* Planes copied with a zero behind each (family copy): the pixel that all places outside of a plane read. What operators share
 * that gather from planes by tables of places. */
#ifndef SUMI_OP_ZERO_BEHIND_H
#define SUMI_OP_ZERO_BEHIND_H

#include "kernel/copy/copy.h"
#include "plan/lower.h"

struct sumi_zero_behind {
  const struct sumi_copy_kernel *copy;
  struct sumi_copy_halo halo; /* halo.plane: words from one copied plane to the next */
  int64_t planes;
  int buffer; /* scratch */
};

/* Room for so many planes of so many pixels; refused, in the name of a kernel, where it would be too large. */
sumi_status sumi_zero_behind_plan(struct sumi_lower *l, const char *kernel, int64_t planes, int64_t pixels,
                                  struct sumi_zero_behind *z);

/* x [planes, pixels] to [planes, pixels + 1]. */
void sumi_zero_behind_copy(const struct sumi_zero_behind *z, struct sumi_par *par, const float *x, float *to);

#endif

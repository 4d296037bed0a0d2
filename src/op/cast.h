/* Casts between strings and numbers; for cast.c only. */
#ifndef SUMI_OP_CAST_H
#define SUMI_OP_CAST_H

#include "graph/op.h"

/* y[i] = the number that x[i] spells. SUMI_E_VALUE where it spells none. */
sumi_status sumi_cast_from_string(const struct sumi_call *c, const struct sumi_tensor *x,
                                  struct sumi_tensor *y);
/* y[i] = x[i] in decimal, from the call's heap. */
sumi_status sumi_cast_to_string(const struct sumi_call *c, const struct sumi_tensor *x,
                                struct sumi_tensor *y);

#endif

/* Steps that call a function with the node's call, as it sees it while running: the reference function, or one that does
 * the same with the help of kernels. */
#ifndef SUMI_OP_CALL_LOWER_H
#define SUMI_OP_CALL_LOWER_H

#include "plan/lower.h"

/* What such a function gets beside the call. */
struct sumi_call_tools {
  struct sumi_par *par;
  const void *user; /* as given when lowering */
  void *scratch;    /* of the bytes asked for, aligned to SUMI_ALIGN; NULL where none were */
  const void *made; /* what an earlier step of the node made; NULL = nothing */
};

typedef sumi_status (*sumi_call_fn)(const struct sumi_call *call, const struct sumi_call_tools *tools);

/* Emits the step. user lives as long as l->arena; bytes are scratch beside what the operator's reference function wants;
 * made is a scratch buffer that an earlier step of the node wrote, -1 = none. */
sumi_status sumi_call_lower(struct sumi_lower *l, sumi_call_fn fn, const void *user, size_t bytes, int made,
                            const char *kernel);

#endif

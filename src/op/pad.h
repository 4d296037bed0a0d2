/* What Pad asks for, for its reference and its lowering. */
#ifndef SUMI_OP_PAD_H
#define SUMI_OP_PAD_H

#include "plan/lower.h"

enum sumi_pad_mode { SUMI_PAD_CONSTANT, SUMI_PAD_REFLECT, SUMI_PAD_EDGE, SUMI_PAD_WRAP };

/* begin, end: [rank of input 0], elements, negative = cut. The lists of pads and axes must be there. */
sumi_status sumi_pad_resolve(const struct sumi_call *c, enum sumi_pad_mode *mode, int64_t *begin,
                             int64_t *end);

/* Where element i of an axis comes from, i relative to the kept part of n > 0 elements; mode is not constant. */
int64_t sumi_pad_source(enum sumi_pad_mode mode, int64_t i, int64_t n);

/* With known pads. */
sumi_status sumi_pad_lower(struct sumi_lower *l);

#endif

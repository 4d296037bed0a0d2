/* What Pad asks for, for its reference and its lowering. */
#ifndef SUMI_OP_PAD_H
#define SUMI_OP_PAD_H

#include "plan/lower.h"

enum sumi_pad_mode { SUMI_PAD_CONSTANT, SUMI_PAD_REFLECT, SUMI_PAD_EDGE, SUMI_PAD_WRAP };

/* begin, end: [rank of input 0], elements, negative = cut. The lists of pads and axes must be there. */
sumi_status sumi_pad_resolve(const struct sumi_call *c, enum sumi_pad_mode *mode, int64_t *begin,
                             int64_t *end);

/* Mode constant with known pads. */
sumi_status sumi_pad_lower(struct sumi_lower *l);

#endif

/* How normalisations by channels, groups and behind residual sums become steps of families rows and eltwise. */
#ifndef SUMI_OP_NORM_LOWER_H
#define SUMI_OP_NORM_LOWER_H

#include "plan/lower.h"

sumi_status sumi_group_norm_lower(struct sumi_lower *l); /* InstanceNormalization, GroupNormalization */
sumi_status sumi_skip_norm_lower(struct sumi_lower *l);  /* SkipLayerNormalization, the simplified one */
sumi_status sumi_batch_norm_lower(struct sumi_lower *l);

#endif

/* How Resize and Upsample become steps of family resize. */
#ifndef SUMI_OP_RESIZE_LOWER_H
#define SUMI_OP_RESIZE_LOWER_H

#include "plan/lower.h"

sumi_status sumi_resize_lower(struct sumi_lower *l);

#endif

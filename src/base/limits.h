/* The limits on what a file may ask for, with the defaults that sumi.h documents. */
#ifndef SUMI_BASE_LIMITS_H
#define SUMI_BASE_LIMITS_H

#include <sumi/sumi.h>

/* given with every 0 replaced by its default. NULL: all defaults. A given->size smaller than today's struct
 * leaves the newer limits at their defaults. */
struct sumi_limits sumi_limits_fill(const struct sumi_limits *given);

#endif

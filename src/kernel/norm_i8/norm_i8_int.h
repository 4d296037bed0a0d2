/* What the leaves of family norm_i8 share: their declarations. */
#ifndef SUMI_KERNEL_NORM_I8_INT_H
#define SUMI_KERNEL_NORM_I8_INT_H

#include "kernel/norm_i8/norm_i8.h"

#define NORM_I8(level, suffix, ...) \
  void sumi_norm_i8_##suffix(const struct sumi_norm_i8 *s, int64_t p0, int64_t p1);
#include "kernel/norm_i8/norm_i8.def"
#undef NORM_I8

#endif

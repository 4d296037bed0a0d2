/* What the leaves of family depthwise_i8 share: their declarations. */
#ifndef SUMI_KERNEL_DEPTHWISE_I8_INT_H
#define SUMI_KERNEL_DEPTHWISE_I8_INT_H

#include "kernel/depthwise/depthwise_i8.h"

#define DEPTHWISE_I8(level, suffix, ...)                                                                 \
  void sumi_depthwise_i8_##suffix(const struct sumi_depthwise_i8 *d, int64_t g0, int64_t g1, int64_t p0, \
                                  int64_t p1);
#include "kernel/depthwise/depthwise_i8.def"
#undef DEPTHWISE_I8

#endif

/* What the leaves of family pool_i8 share: their declarations. */
#ifndef SUMI_KERNEL_POOL_I8_INT_H
#define SUMI_KERNEL_POOL_I8_INT_H

#include "kernel/pool/pool_i8.h"

#define POOL_I8_RANGE int64_t g0, int64_t g1, int64_t p0, int64_t p1
#define POOL_I8(level, suffix, ...)                                                \
  void sumi_pool_i8_max_##suffix(const struct sumi_pool_i8 *d, POOL_I8_RANGE);     \
  void sumi_pool_i8_average_##suffix(const struct sumi_pool_i8 *d, POOL_I8_RANGE); \
  void sumi_pool_i8_mean_##suffix(const struct sumi_pool_i8 *d, int64_t g0, int64_t g1);
#include "kernel/pool/pool_i8.def"
#undef POOL_I8

#endif

/* The table of pool kernels. */
#include "kernel/pool/pool.h"

#include "base/size.h"

#define POOL(level, suffix, ...)                                                               \
  void sumi_pool_max_##suffix(const struct sumi_pool_window *p, const float *x, float *y);     \
  void sumi_pool_average_##suffix(const struct sumi_pool_window *p, const float *x, float *y); \
  void sumi_pool_plane_sum_##suffix(const float *x, int64_t n, float *y);                      \
  void sumi_pool_plane_max_##suffix(const float *x, int64_t n, float *y);
#include "kernel/pool/pool.def"
#undef POOL

static const struct sumi_pool_kernel table[] = {
#define POOL(level, suffix, what) \
  {"pool/" #suffix,               \
   level,                         \
   what,                          \
   sumi_pool_max_##suffix,        \
   sumi_pool_average_##suffix,    \
   sumi_pool_plane_sum_##suffix,  \
   sumi_pool_plane_max_##suffix},
#include "kernel/pool/pool.def"
#undef POOL
};

const struct sumi_pool_kernel *sumi_pool_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_pool_kernel *sumi_pool_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

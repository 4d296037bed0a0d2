/* The table of 8-bit pool kernels. */
#include "kernel/pool/pool_i8.h"

#include "base/size.h"
#include "kernel/pool/pool_i8_int.h"

static const struct sumi_pool_i8_kernel table[] = {
#define POOL_I8(level, suffix, what)                                                                 \
  {"pool_i8/" #suffix,        level, what, sumi_pool_i8_max_##suffix, sumi_pool_i8_average_##suffix, \
   sumi_pool_i8_mean_##suffix},
#include "kernel/pool/pool_i8.def"
#undef POOL_I8
};

const struct sumi_pool_i8_kernel *sumi_pool_i8_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_pool_i8_kernel *sumi_pool_i8_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

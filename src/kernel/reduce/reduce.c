/* The table of reduce kernels. */
#include "kernel/reduce/reduce.h"

#include "base/size.h"

#define REDUCE(level, suffix, ...)                                         \
  extern const sumi_reduce_row_fn sumi_reduce_row_##suffix[SUMI_N_REDUCE]; \
  extern const sumi_reduce_columns_fn sumi_reduce_columns_##suffix[SUMI_N_REDUCE];
#include "kernel/reduce/reduce.def"
#undef REDUCE

static const struct sumi_reduce_kernel table[] = {
#define REDUCE(level, suffix, what) \
  {"reduce/" #suffix, level, what, sumi_reduce_row_##suffix, sumi_reduce_columns_##suffix},
#include "kernel/reduce/reduce.def"
#undef REDUCE
};

const struct sumi_reduce_kernel *sumi_reduce_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_reduce_kernel *sumi_reduce_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

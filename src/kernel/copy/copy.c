/* The table of copy kernels. */
#include "kernel/copy/copy.h"

#include "base/size.h"

#define COPY(level, suffix, ...)                                                                   \
  void sumi_copy_halo_##suffix(const struct sumi_copy_halo *c, const float *x, float *y);          \
  void sumi_copy_merge_##suffix(const struct sumi_copy_halo *c, const float *x, float *y);         \
  void sumi_copy_transpose_##suffix(const float *x, int64_t x_row, int64_t m, int64_t n, float *y, \
                                    int64_t y_row);
#include "kernel/copy/copy.def"
#undef COPY

static const struct sumi_copy_kernel table[] = {
#define COPY(level, suffix, what) \
  {"copy/" #suffix,               \
   level,                         \
   what,                          \
   sumi_copy_halo_##suffix,       \
   sumi_copy_merge_##suffix,      \
   sumi_copy_transpose_##suffix},
#include "kernel/copy/copy.def"
#undef COPY
};

const struct sumi_copy_kernel *sumi_copy_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_copy_kernel *sumi_copy_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

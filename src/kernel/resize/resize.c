/* The table of resize kernels. */
#include "kernel/resize/resize.h"

#include "base/size.h"

#define RESIZE(level, suffix, ...)                                                                 \
  void sumi_resize_across_##suffix(const struct sumi_resize_table *t, const float *x, float *y);   \
  void sumi_resize_down_##suffix(const float *x, int64_t x_row, const int32_t *at, const float *w, \
                                 int64_t taps, int64_t n, float *y);
#include "kernel/resize/resize.def"
#undef RESIZE

static const struct sumi_resize_kernel table[] = {
#define RESIZE(level, suffix, what) \
  {"resize/" #suffix, level, what, sumi_resize_across_##suffix, sumi_resize_down_##suffix},
#include "kernel/resize/resize.def"
#undef RESIZE
};

const struct sumi_resize_kernel *sumi_resize_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_resize_kernel *sumi_resize_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

/* The table of depthwise kernels. */
#include "kernel/depthwise/depthwise.h"

#include "base/size.h"

#define DEPTHWISE(level, suffix, ...)                                                               \
  void sumi_depthwise_##suffix(const struct sumi_depthwise *d, const float *x, const float *weight, \
                               float bias, float *y);
#include "kernel/depthwise/depthwise.def"
#undef DEPTHWISE

static const struct sumi_depthwise_kernel table[] = {
#define DEPTHWISE(level, suffix, gmacs, what) \
  {"depthwise/" #suffix, level, gmacs, what, sumi_depthwise_##suffix},
#include "kernel/depthwise/depthwise.def"
#undef DEPTHWISE
};

const struct sumi_depthwise_kernel *sumi_depthwise_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_depthwise_kernel *sumi_depthwise_pick(enum sumi_isa level, int64_t w_out) {
  size_t i = 0;
  if (w_out <= 8 && level > SUMI_ISA_AVX2) level = SUMI_ISA_AVX2;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

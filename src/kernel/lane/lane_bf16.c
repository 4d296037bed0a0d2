/* The table of lane_bf16 kernels. */
#include "kernel/lane/lane_bf16.h"

#include "base/size.h"

#define LANE_BF16(level, suffix, ...)                                                      \
  void sumi_lane_bf16_narrow_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE); \
  void sumi_lane_bf16_widen_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);  \
  void sumi_lane_bf16_max_##suffix(const struct sumi_pool_i8 *d, SUMI_LANE_RANGE);
#include "kernel/lane/lane_bf16.def"
#undef LANE_BF16

static const struct sumi_lane_bf16_kernel table[] = {
#define LANE_BF16(level, suffix, what)                                                                     \
  {"lane_bf16/" #suffix,       level, what, sumi_lane_bf16_narrow_##suffix, sumi_lane_bf16_widen_##suffix, \
   sumi_lane_bf16_max_##suffix},
#include "kernel/lane/lane_bf16.def"
#undef LANE_BF16
};

const struct sumi_lane_bf16_kernel *sumi_lane_bf16_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_lane_bf16_kernel *sumi_lane_bf16_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

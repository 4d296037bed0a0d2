/* The table of lane kernels. */
#include "kernel/lane/lane.h"

#include "base/size.h"
#include "kernel/lane/lane_int.h"

static const struct sumi_lane_kernel table[] = {
#define LANE(level, suffix, what) \
  {"lane/" #suffix,               \
   level,                         \
   what,                          \
   sumi_lane_quantize_##suffix,   \
   sumi_lane_dequantize_##suffix, \
   sumi_lane_pack_##suffix,       \
   sumi_lane_unpack_##suffix,     \
   sumi_lane_add_##suffix,        \
   sumi_lane_mul_##suffix,        \
   sumi_lane_table_##suffix},
#include "kernel/lane/lane.def"
#undef LANE
};

const struct sumi_lane_kernel *sumi_lane_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_lane_kernel *sumi_lane_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

/* What the leaves of family lane share: their declarations. */
#ifndef SUMI_KERNEL_LANE_INT_H
#define SUMI_KERNEL_LANE_INT_H

#include "kernel/lane/lane.h"

#define LANE(level, suffix, ...)                                                          \
  void sumi_lane_quantize_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);   \
  void sumi_lane_dequantize_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE); \
  void sumi_lane_pack_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);       \
  void sumi_lane_unpack_##suffix(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);     \
  void sumi_lane_add_##suffix(const struct sumi_lane_binary *l, SUMI_LANE_RANGE);         \
  void sumi_lane_mul_##suffix(const struct sumi_lane_binary *l, SUMI_LANE_RANGE);         \
  void sumi_lane_table_##suffix(const struct sumi_lane_table *l, SUMI_LANE_RANGE);
#include "kernel/lane/lane.def"
#undef LANE

#endif

/* The table of convert kernels. */
#include "kernel/convert/convert.h"

#include "base/size.h"

#define CONVERT(level, suffix, ...)                                      \
  void sumi_widen_f16_##suffix(const uint16_t *x, int64_t n, float *y);  \
  void sumi_widen_bf16_##suffix(const uint16_t *x, int64_t n, float *y); \
  void sumi_narrow_f16_##suffix(const float *x, int64_t n, uint16_t *y); \
  void sumi_narrow_bf16_##suffix(const float *x, int64_t n, uint16_t *y);
#include "kernel/convert/convert.def"
#undef CONVERT

static const struct sumi_convert_kernel table[] = {
#define CONVERT(level, suffix, what)                    \
  {"convert/" #suffix,                                  \
   level,                                               \
   what,                                                \
   {sumi_widen_f16_##suffix, sumi_widen_bf16_##suffix}, \
   {sumi_narrow_f16_##suffix, sumi_narrow_bf16_##suffix}},
#include "kernel/convert/convert.def"
#undef CONVERT
};

const struct sumi_convert_kernel *sumi_convert_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_convert_kernel *sumi_convert_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

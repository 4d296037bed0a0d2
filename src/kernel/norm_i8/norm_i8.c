/* The table of 8-bit normalisations. */
#include "kernel/norm_i8/norm_i8.h"

#include "base/size.h"
#include "kernel/norm_i8/norm_i8_int.h"

static const struct sumi_norm_i8_kernel table[] = {
#define NORM_I8(level, suffix, pixels, what) {"norm_i8/" #suffix, level, pixels, what, sumi_norm_i8_##suffix},
#include "kernel/norm_i8/norm_i8.def"
#undef NORM_I8
};

const struct sumi_norm_i8_kernel *sumi_norm_i8_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_norm_i8_kernel *sumi_norm_i8_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

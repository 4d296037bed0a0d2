/* The table of 8-bit attention kernels, and how much scratch they use. */
#include "kernel/attention_i8/attention_i8.h"

#include "base/size.h"
#include "kernel/attention_i8/attention_i8_int.h"

static const struct sumi_attention_i8_kernel table[] = {
#define ATTENTION_I8(level, suffix, queries, what) \
  {"attention_i8/" #suffix, level, queries, what, sumi_attention_i8_##suffix},
#include "kernel/attention_i8/attention_i8.def"
#undef ATTENTION_I8
};

const struct sumi_attention_i8_kernel *sumi_attention_i8_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_attention_i8_kernel *sumi_attention_i8_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

size_t sumi_attention_i8_scratch(const struct sumi_attention_i8_kernel *kernel, int64_t keys,
                                 int64_t groups) {
  return 4 * (size_t)attention_room(keys, groups, kernel->queries).words;
}

/* The table of bfloat16 spmm kernels, and what they are expected to take. */
#include "kernel/spmm/spmm_bf16.h"

#include "base/size.h"
#include "kernel/spmm/spmm_bf16_int.h"

static const struct sumi_spmm_bf16_kernel table[] = {
#define SPMM_BF16(level, suffix, blocks, pixels, g1, g2, g4, g8, g16, g32, entry, tile, what) \
  {"spmm_bf16/" #suffix,       level,          blocks,        pixels,                         \
   {g1, g2, g4, g8, g16, g32}, (float)(entry), (float)(tile), what,                           \
   sumi_spmm_bf16_##suffix},
#include "kernel/spmm/spmm_bf16.def"
#undef SPMM_BF16
};

const struct sumi_spmm_bf16_kernel *sumi_spmm_bf16_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

/* log2 of a size of block, one that is no power of two counting as the next. */
static int size_of(int block) {
  int i = 0;
  while (1 << i < block && i < 5) i++;
  return i;
}

const struct sumi_spmm_bf16_kernel *sumi_spmm_bf16_pick(enum sumi_isa level, int block) {
  const int size = size_of(block);
  const struct sumi_spmm_bf16_kernel *best = &table[SUMI_COUNT(table) - 1];
  for (size_t i = SUMI_COUNT(table) - 1; i-- > 0;)
    if (sumi_cpu_allows(level, table[i].isa) && table[i].blocks >> size & 1 &&
        table[i].gmacs[size] > best->gmacs[size])
      best = &table[i];
  return best;
}

double sumi_spmm_bf16_predict(const struct sumi_spmm_bf16_kernel *kernel, int block, bool dense,
                              double entries, double n_blocks, int64_t pixels) {
  enum { VECTOR = 16, MACS = 2 };
  const double walked = (double)((pixels + VECTOR - 1) / VECTOR * VECTOR), tiles = walked / kernel->pixels;
  return entries * block * MACS * walked / (kernel->gmacs[size_of(block)] * 1e9) +
         (dense ? 0 : entries * tiles * kernel->entry_ns * 1e-9) +
         n_blocks * block * tiles * kernel->tile_ns * 1e-9;
}

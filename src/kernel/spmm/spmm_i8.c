/* The table of 8-bit spmm kernels, and what they are expected to take. */
#include "kernel/spmm/spmm_i8.h"

#include "base/size.h"
#include "kernel/spmm/spmm_i8_int.h"

enum { MOST_FEW = 4 }; /* pixels: beyond that a vector of 16 is faster, empty lanes and all */

static const struct sumi_spmm_i8_kernel table[] = {
#define SPMM_I8(level, suffix, blocks, pixels, g1, g2, g4, g8, g16, g32, entry, tile, what) \
  {"spmm_i8/" #suffix,         level,          blocks,        pixels,                       \
   {g1, g2, g4, g8, g16, g32}, (float)(entry), (float)(tile), what,                         \
   sumi_spmm_i8_##suffix,      INT64_MAX},
#define SPMM_I8_FEW(level, suffix, g8, what) \
  {"spmm_i8/" #suffix, level, 1 << 3, 1, {0, 0, 0, g8, 0, 0}, 0, 0.5f, what, sumi_spmm_i8_##suffix, MOST_FEW},
#include "kernel/spmm/spmm_i8.def"
#undef SPMM_I8_FEW
#undef SPMM_I8
};

const struct sumi_spmm_i8_kernel *sumi_spmm_i8_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

/* log2 of a size of block, one that is no power of two counting as the next. */
static int size_of(int block) {
  int i = 0;
  while (1 << i < block && i < 5) i++;
  return i;
}

const struct sumi_spmm_i8_kernel *sumi_spmm_i8_pick(enum sumi_isa level, int block, int64_t pixels) {
  size_t i = 0;
  const int size = size_of(block);
  while (i + 1 < SUMI_COUNT(table) && !(sumi_cpu_allows(level, table[i].isa) && table[i].blocks >> size & 1 &&
                                        pixels <= table[i].most_pixels))
    i++;
  return &table[i];
}

double sumi_spmm_i8_predict(const struct sumi_spmm_i8_kernel *kernel, int block, bool dense, double entries,
                            double n_blocks, int64_t pixels) {
  enum { VECTOR = 16, MACS = 4 };
  const double weight_bytes_s = 8e9; /* lists of a network come from beyond the second-level cache */
  const int64_t unit = kernel->pixels < VECTOR ? kernel->pixels : VECTOR;
  const double walked = (double)((pixels + unit - 1) / unit * unit), tiles = walked / kernel->pixels;
  return entries * block * MACS * walked / (kernel->gmacs[size_of(block)] * 1e9) +
         (dense ? 0 : entries * tiles * kernel->entry_ns * 1e-9) +
         n_blocks * block * tiles * kernel->tile_ns * 1e-9 +
         entries * MACS * (dense ? block : block + 1) / weight_bytes_s;
}

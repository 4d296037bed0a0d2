/* The table of spmm kernels, and what they are expected to take. */
#include "kernel/spmm/spmm.h"

#include "base/size.h"
#include "kernel/spmm/spmm_int.h"

static const struct sumi_spmm_f32_kernel table[] = {
#define SPMM_F32(level, suffix, lanes, windows, over, g8, g4, g2, g1, what) \
  {"spmm_f32/" #suffix, level, lanes, windows, over, {g8, g4, g2, g1}, what, sumi_spmm_f32_##suffix},
#include "kernel/spmm/spmm.def"
#undef SPMM_F32
};

const struct sumi_spmm_f32_kernel *sumi_spmm_f32_kernels(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

const struct sumi_spmm_f32_kernel *sumi_spmm_f32_pick(enum sumi_isa level) {
  size_t i = 0;
  while (i + 1 < SUMI_COUNT(table) && !sumi_cpu_allows(level, table[i].isa)) i++;
  return &table[i];
}

double sumi_spmm_f32_predict(const struct sumi_spmm_f32_kernel *kernel, int block, double entries,
                             double n_blocks, int64_t pixels) {
  const double tile_s = 8e-9; /* call, first sums, clip and store of one tile */
  const int which = block > 4 ? 0 : block > 2 ? 1 : block > 1 ? 2 : 3;
  const int64_t vectors = (pixels + kernel->lanes - 1) / kernel->lanes;
  return entries * block * (double)(vectors * kernel->lanes) / (kernel->gmacs[which] * 1e9) +
         n_blocks * (double)vectors / 3 * tile_s;
}

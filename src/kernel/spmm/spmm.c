/* The table of spmm kernels, and what they are expected to take. */
#include "kernel/spmm/spmm.h"

#include "base/size.h"
#include "kernel/spmm/spmm_int.h"

static const struct sumi_spmm_f32_kernel table[] = {
#define SPMM_F32(level, suffix, lanes, windows, strip, over, shared, g8, g4, g2, g1, panel, what)    \
  {"spmm_f32/" #suffix,   level, lanes, windows, strip, over, shared, {g8, g4, g2, g1}, panel, what, \
   sumi_spmm_f32_##suffix},
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

int64_t sumi_spmm_f32_scratch(const struct sumi_spmm_f32 *s) {
  enum { LEAST_STRIP = 4 * 16, TAIL = 4 };
  if (!s->col) return SUMI_SPMM_F32_SCRATCH;
  const int64_t words = SUMI_MAX(s->n_list * LEAST_STRIP, SUMI_SPMM_F32_PANEL) + s->n_list * TAIL;
  return (words + 15) / 16 * 16;
}

double sumi_spmm_f32_predict(const struct sumi_spmm_f32_kernel *kernel, int block, bool shared,
                             double entries, double n_blocks, int64_t pixels) {
  enum { LEAST_BLOCKS = 4, NEAR_BYTES = 1 << 20 }; /* fewer blocks do not repay copies of what they read */
  const double tile_s = 8e-9, far_bytes_s = 6e9;   /* call, first sums, clip and store of one tile */
  const int which = block > 4 ? 0 : block > 2 ? 1 : block > 1 ? 2 : 3;
  const int64_t vectors = (pixels + kernel->lanes - 1) / kernel->lanes;
  const bool copied = shared && which == 0 && n_blocks >= LEAST_BLOCKS;
  /* copied panels spend no vector on a few pixels */
  const double done = (double)(copied && kernel->windows ? pixels : vectors * kernel->lanes);
  /* what of y goes beyond the second-level cache */
  const double far = n_blocks * block * (double)pixels * 4 - NEAR_BYTES;
  const double gmacs = copied ? kernel->gmacs_shared : kernel->gmacs[which];
  return entries * block * done / (gmacs * 1e9) + n_blocks * (double)vectors / 3 * tile_s +
         (far > 0 ? far / far_bytes_s : 0);
}

double sumi_spmm_f32_panel_s(const struct sumi_spmm_f32_kernel *kernel, double lists_s, int64_t columns,
                             int64_t pixels) {
  const double bytes_s = 36e9; /* of the copy */
  return lists_s / kernel->panel_gain + (double)columns * (double)pixels * 4 / bytes_s;
}

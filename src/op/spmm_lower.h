/* What lowering to family spmm shares between convolutions and matrix products: packed weights, the choice between
 * dense and sparse lists, and splitting the work into tiles for threads. */
#ifndef SUMI_OP_SPMM_LOWER_H
#define SUMI_OP_SPMM_LOWER_H

#include "kernel/spmm/spmm.h"
#include "plan/lower.h"
#include "sparse/packed.h"

/* True when input i is a constant of the graph, the same for all plans: only such weights may be packed. */
bool sumi_lower_is_constant(const struct sumi_lower *l, int i);

/* True when input or output t is float32. */
bool sumi_lower_is_f32(const struct sumi_tensor *t);

struct sumi_spmm_weights {
  const struct sumi_packed *packed;
  double predicted_s; /* for the given pixels, once */
};

/* Packs the matrix of the node's constant weights, dense or in the sparse form that is predicted to be fastest over so
 * many pixels; a refusal says why the other was not taken. block 0: 8 rows for dense, any for sparse; else this many
 * rows in every block (groups). key names the matrix among the node's packed weights. */
sumi_status sumi_spmm_pack(struct sumi_lower *l, const struct sumi_spmm_f32_kernel *kernel,
                           struct sumi_matrix w, int block, int64_t pixels, const char *key,
                           struct sumi_spmm_weights *out);

/* The same for sparse lists alone, taken only where they are predicted to take less than limit_s; packed NULL else. */
sumi_status sumi_spmm_pack_if_below(struct sumi_lower *l, const struct sumi_spmm_f32_kernel *kernel,
                                    struct sumi_matrix w, int64_t pixels, double limit_s, const char *key,
                                    struct sumi_spmm_weights *out);

/* Sets s->block, w, strides, start and list from packed weights. offset[cols] are the columns' planes in bytes; the
 * entries' offsets are made in l's arena. columns: sparse lists name columns instead (spmm.h), offset must stay. */
sumi_status sumi_spmm_set_weights(struct sumi_lower *l, struct sumi_spmm_f32 *s,
                                  const struct sumi_packed *packed, const int32_t *offset, bool columns);

/* Tiles of n_blocks x pixels for so many threads: one for each, as every further one copies panels once more; none below a few
 * microseconds, all of whole units of blocks and of pixels and as even as these
 * allow. Each thread starts with neighbours (par/par.h): with blocks of its own where their w_words weights are more than
 * the x_words of planes that they are summed over, else with pixels of its own, which the same thread wrote in the step
 * before if that was split likewise; what all threads read is then the smaller part. Where that leaves one thread much
 * more than its share, and the other way does not, it is the other way. */
struct sumi_spmm_tiles {
  int64_t n_blocks, pixels, block_unit, unit; /* the whole; of how many a tile's are multiples */
  int64_t across, down;                       /* tiles of pixels, of blocks */
  bool blocks_first;                          /* neighbours have the same blocks, else the same pixels */
  int64_t count;
};
struct sumi_spmm_tiles sumi_spmm_tile(int64_t block_unit, int64_t unit, int threads, int64_t n_blocks,
                                      int64_t pixels, int64_t w_words, int64_t x_words);

/* Blocks [b0, b1) and pixels [p0, p1) of tile i. */
struct sumi_spmm_part {
  int64_t b0, b1, p0, p1;
};
struct sumi_spmm_part sumi_spmm_tile_part(const struct sumi_spmm_tiles *t, int64_t i);

/* Runs tile i. panels: sumi_spmm_f32_scratch(s) words for every thread; NULL = none. */
void sumi_spmm_run_tile(const struct sumi_spmm_f32_kernel *kernel, const struct sumi_spmm_f32 *s,
                        const struct sumi_spmm_tiles *t, int64_t i, float *panels, int worker);

/* A scratch buffer for panels, -1 where s would not use it; SUMI_E_MEMORY. */
sumi_status sumi_spmm_panels(struct sumi_lower *l, const struct sumi_spmm_f32 *s, int *buffer);

#endif

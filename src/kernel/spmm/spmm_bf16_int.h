/* What the files of the bfloat16 loop share: the kernels' entry functions, lists, rows. Only static functions, so that
 * each instruction-set file compiles its own. */
#ifndef SUMI_KERNEL_SPMM_BF16_INT_H
#define SUMI_KERNEL_SPMM_BF16_INT_H

#include "kernel/spmm/spmm_bf16.h"

#define SPMM_BF16(level, suffix, ...)                                                              \
  void sumi_spmm_bf16_##suffix(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0, \
                               int64_t p1);
#include "kernel/spmm/spmm_bf16.def"
#undef SPMM_BF16

#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)") /* early enough for arrays to become registers */
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Pixels of a vector in maps; rows of a word; entries and rows of a tile of weights. */
enum { BF16_VECTOR = 16, BF16_VECTOR_BYTES = 64, BF16_WORD_ROWS = 2, BF16_CHUNK = 16 };

static inline int64_t bf16_min(int64_t a, int64_t b) { return a < b ? a : b; }

/* Rows that make whole words: bias and weights reach so far. */
static inline int64_t bf16_rows(const struct sumi_spmm_bf16 *s) { return (s->rows + 1) / 2 * 2; }

/* The list of a block, and its weights where they come by rows. */
struct bf16_list {
  const int32_t *off, *w;
  int64_t n;
};

static inline struct bf16_list bf16_list_of(const struct sumi_spmm_bf16 *s, int64_t b) {
  const int64_t first = s->start ? s->start[b] : 0;
  return (struct bf16_list){s->off + first, s->w + b * s->w_block + first * s->w_entry,
                            s->start ? s->start[b + 1] - first : s->n_list};
}

#endif

/* Sparsity patterns, outputs x inputs: their names, whether a mask keeps one, and what a mask looks like.
 *
 *   RxC   blocks of R consecutive rows and C consecutive columns are zero or not as a whole ("1x1" =
 * unstructured) N:M   of every M consecutive columns of a row at most N are not zero K/B   of every bank of B
 * consecutive columns of a row exactly K are not zero ("balanced") Blocks and banks start at multiples of
 * their size within a run; what is left over at the edges is a smaller block (for K/B: at most K). Columns
 * of a convolution's weights are ordered ky, kx, channel; the caller brings them in that order. */
#ifndef SUMI_SPARSE_PATTERN_H
#define SUMI_SPARSE_PATTERN_H

#include <stdbool.h>

#include "base/mem.h"

enum sumi_pattern_kind { SUMI_PATTERN_BLOCK, SUMI_PATTERN_N_OF_M, SUMI_PATTERN_BALANCED };

struct sumi_pattern {
  enum sumi_pattern_kind kind;
  int a, b; /* R and C, N and M, or K and B: 1..4096 */
};

enum { SUMI_PATTERN_NAME = 16 };

/* "4x4", "2:4", "1/32". SUMI_E_VALUE for anything else. */
sumi_status sumi_pattern_parse(const char *name, struct sumi_pattern *out, struct sumi_err *err);
/* The name into buf (always terminated); returns buf. */
char *sumi_pattern_print(struct sumi_pattern pattern, char buf[SUMI_PATTERN_NAME]);

/* keep is [rows, cols], row-major, 0 or 1. Blocks and banks begin anew every `run` columns, which are the channels of one tap
 * of a convolution: kernels join channels of one tap only. 0 = a row is one run. */
struct sumi_mask {
  int64_t rows, cols;
  const uint8_t *keep;
  int64_t run;
};

/* The column behind the block or bank of so many columns that begins at col; it ends where a run ends. */
static inline int64_t sumi_pattern_next(int64_t col, int64_t wide, int64_t run, int64_t cols) {
  int64_t end = cols;
  if (run > 0 && cols - col > run - col % run) end = col - col % run + run;
  return end - col > wide ? col + wide : end;
}

/* Whether the mask keeps the pattern. For RxC a block that is kept may have zeros of its own (weights that
 * happen to be zero): the pattern is kept when at least 9 of 10 weights in the blocks that are not zero are
 * not zero. */
bool sumi_pattern_kept(struct sumi_pattern pattern, struct sumi_mask mask);

struct sumi_mask_stats {
  int64_t weights, kept;
  double density;                  /* kept / weights; 1 for no weights */
  char pattern[SUMI_PATTERN_NAME]; /* the coarsest of a fixed set of patterns that is kept; "" = dense (95 %
                                      or more) */
};

void sumi_mask_stats(struct sumi_mask mask, struct sumi_mask_stats *out);

/* Share of the blocks of rows x cols that hold anything: what a kernel whose rows share lists has to do. */
double sumi_mask_block_density(struct sumi_mask mask, int rows, int cols);

#endif

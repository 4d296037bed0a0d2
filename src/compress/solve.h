/* Masks and weights of one matrix: min over what the pattern allows of sum over rows of (w - w0)^T H (w - w0),
 * H = X X^T of calibration, which is the squared error of the layer's outputs.
 *
 * Methods, best last: "magnitude" (|w|), "wanda" (|w| * sqrt(H[c, c]), Sun et al. 2023, arXiv 2306.11695), "sparsegpt" (column
 * by column with updates from the inverse of H, Frantar & Alistarh 2023, arXiv 2301.00774), "alps" (ADMM with the pattern as
 * projection, then conjugate gradients on what is kept, Meng et al. 2024, arXiv 2406.07831). The pattern enters by one
 * function only: which entries to keep, given a score for each. */
#ifndef SUMI_COMPRESS_SOLVE_H
#define SUMI_COMPRESS_SOLVE_H

#include "sparse/pattern.h"

struct sumi_solve {
  int64_t rows, cols;
  int64_t run;    /* channels of one tap: blocks and banks begin anew with every tap; 0 = cols */
  const float *w; /* [rows, cols], row-major */
  const double
      *gram; /* [cols, cols], symmetric: sum over samples of x x^T; NULL: identity (magnitude only) */
  struct sumi_pattern pattern;
  double density; /* share of the weights that stays, 0..1; N:M and K/B: of the pattern, this is not read */
  const char *method;  /* NULL = "alps" */
  int threads;         /* 0 = 1 */
  double damping;      /* added to H's diagonal, relative to its mean; 0 = 0.01 */
  const uint8_t *keep; /* [rows, cols] weights that may stay; NULL = all (refit of a given mask: density 1) */
};

/* The names of the methods, ended by NULL. */
extern const char *const sumi_solve_methods[];

/* w_out [rows, cols] and keep_out [rows, cols] (1 = kept). *error: the sum above over its value for w_out = 0, 0..1.
 *
 * Columns whose inputs were always zero are the last to be kept, and keep the weights they had: nothing is known of them.
 * "alps" is never worse than "magnitude". SUMI_E_VALUE: numbers that are not finite, or a gram that is none. */
sumi_status sumi_solve_layer(const struct sumi_solve *s, const struct sumi_allocator *a, float *w_out,
                             uint8_t *keep_out, double *error, struct sumi_err *err);

/* The projection: keeps the entries with the largest sums of score over each block of the pattern: density of the blocks, at
 * least one where density > 0 (RxC), or what the pattern itself allows in each row (N:M, K/B). Where sums are equal, those
 * that come first. run as in struct sumi_mask; score >= 0; work [rows * cols] is overwritten. */
void sumi_pattern_project(struct sumi_pattern pattern, double density, int64_t rows, int64_t cols,
                          int64_t run, const float *score, uint8_t *keep, float *work);
/* How many blocks of RxC that keeps. */
int64_t sumi_pattern_blocks(struct sumi_pattern pattern, double density, int64_t rows, int64_t cols,
                            int64_t run);

#endif

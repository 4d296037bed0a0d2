/* Method "sparsegpt" (Frantar & Alistarh 2023, arXiv 2301.00774), on scaled weights.
 *
 * With G^-1 = u^T u, u upper triangular, column after column: what a weight loses by its mask, over u[c, c], times row c of u is
 * taken from the columns behind it. Scores are b^2 / u[c, c]^2, of the weights as they are by then; the pattern is projected
 * over a block of columns (N:M and K/B: over a bank), density of every block. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"
#include "compress/solver.h"

enum { BLOCK = 128 }; /* columns */

struct sweep {
  float *u;     /* [cols, cols]; only what lies above the diagonal and on it is set */
  float *lost;  /* [rows, widest block] */
  float *score; /* [rows, widest block] of the columns whose mask is chosen */
  uint8_t *keep;
};

/* u from the factor of the matrix with rows and columns in reverse: G = r r^T with r upper, u = r^-1. */
static sumi_status make_u(struct sumi_solver *v, float *u, struct sumi_err *err) {
  const int64_t n = v->s->cols;
  double *a = SUMI_NEW_ARRAY(v->arena, (size_t)(n * n), double);
  if (!a) SUMI_FAIL_MEMORY(err);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) a[i * n + j] = (double)v->gram[(n - 1 - i) * n + n - 1 - j];
  if (!sumi_blas_cholesky_inverse(n, a)) SUMI_FAIL(err, SUMI_E_VALUE, "a Gram matrix that is not positive");
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i; j < n; j++) u[i * n + j] = (float)a[(n - 1 - i) * n + n - 1 - j];
  return SUMI_OK;
}

/* The column behind the block that begins at col: whole runs, or whole blocks of the pattern within one. */
static int64_t block_end(const struct sumi_solver *v, int64_t col) {
  const int64_t run = v->run, wide = v->s->pattern.b;
  if (run <= BLOCK) return SUMI_MIN(col + BLOCK / run * run, v->s->cols);
  return sumi_pattern_next(col, SUMI_MAX(BLOCK / wide, (int64_t)1) * wide, run, v->s->cols);
}

/* The mask of columns [first, end). */
static void choose(struct sumi_solver *v, struct sweep *w, const float *b, int64_t first, int64_t end,
                   uint8_t *keep) {
  const struct sumi_solve *s = v->s;
  const int64_t n = s->cols, wide = end - first;
  for (int64_t r = 0; r < s->rows; r++)
    for (int64_t c = 0; c < wide; c++) {
      const float x = b[r * n + first + c] / w->u[(first + c) * n + first + c];
      w->score[r * wide + c] = s->keep && !s->keep[r * n + first + c] ? 0 : x * x;
    }
  sumi_pattern_project(s->pattern, s->density, s->rows, wide, SUMI_MIN(v->run, wide), w->score, w->keep,
                       v->work);
  for (int64_t r = 0; r < s->rows; r++)
    for (int64_t c = 0; c < wide; c++)
      keep[r * n + first + c] = w->keep[r * wide + c] && (!s->keep || s->keep[r * n + first + c]);
}

/* Column c of the block [first, end): masked weights go, the block's columns behind it make up for them. */
static void take_column(const struct sumi_solver *v, struct sweep *w, int64_t first, int64_t c, int64_t end,
                        const uint8_t *keep, float *b) {
  const int64_t n = v->s->cols, wide = end - first;
  const float *u = w->u + c * n;
  for (int64_t r = 0; r < v->s->rows; r++) {
    float *row = b + r * n;
    const float lost = keep[r * n + c] ? 0 : row[c] / u[c];
    w->lost[r * wide + c - first] = lost;
    if (keep[r * n + c]) continue;
    row[c] = 0;
    for (int64_t j = c + 1; j < end; j++) row[j] -= lost * u[j];
  }
}

static void take_block(struct sumi_solver *v, struct sweep *w, int64_t first, int64_t end, float *b,
                       uint8_t *keep) {
  const struct sumi_solve *s = v->s;
  const int64_t n = s->cols, wide = end - first;
  int64_t chosen = first;
  for (int64_t c = first; c < end; c++) {
    if (c == chosen) {
      chosen = s->pattern.kind == SUMI_PATTERN_BLOCK ? end : sumi_pattern_next(c, s->pattern.b, v->run, n);
      choose(v, w, b, c, chosen, keep);
    }
    take_column(v, w, first, c, end, keep, b);
  }
  if (end < n)
    sumi_blas_subtract(s->rows, wide, n - end, w->lost, wide, w->u + first * n + end, n, b + end, n);
}

sumi_status sumi_solver_sparsegpt(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  const struct sumi_solve *s = v->s;
  int64_t widest = 1;
  for (int64_t c = 0, end; c < s->cols; c = end) widest = SUMI_MAX(widest, (end = block_end(v, c)) - c);
  const size_t all = (size_t)(s->rows * widest);
  struct sweep w = {SUMI_NEW_ARRAY(v->arena, (size_t)(s->cols * s->cols), float),
                    SUMI_NEW_ARRAY(v->arena, all, float), SUMI_NEW_ARRAY(v->arena, all, float),
                    SUMI_NEW_ARRAY(v->arena, all, uint8_t)};
  if (!w.u || !w.lost || !w.score || !w.keep) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(make_u(v, w.u, err));
  memcpy(b, v->b0, (size_t)(s->rows * s->cols) * sizeof *b);
  for (int64_t c = 0, end; c < s->cols; c = end) {
    end = block_end(v, c);
    take_block(v, &w, c, end, b, keep);
  }
  return SUMI_OK;
}

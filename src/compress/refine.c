/* Weights on a support that is given: the least squares of every row.
 *
 * Rows with few weights are solved at once by Cholesky's method on their own columns, rows with the same support together. Where
 * that would be dearer, conjugate gradients on all rows at a time; the diagonal of the matrix is 1, so its own preconditioner
 * is the identity. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"
#include "compress/solver.h"

enum { STEPS = 30 };                /* of conjugate gradients, at most */
static const double enough = 1e-10; /* their squared residuals, relative to the first */

/* ---- conjugate gradients ---------------------------------------------------------------------------------------- */

static double dot(int64_t n, const float *x, const float *y) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
  return sum;
}

/* One row's step along p with gp = p G; *rr: the squared residual, before and after. */
static void step_row(int64_t n, const uint8_t *keep, const float *gp, float *p, float *r, float *b,
                     double *rr) {
  const double along = dot(n, p, gp);
  if (!(*rr > 0 && along > 0)) {
    *rr = 0;
    return;
  }
  const float alpha = (float)(*rr / along);
  for (int64_t c = 0; c < n; c++) {
    b[c] += alpha * p[c];
    r[c] = keep[c] ? r[c] - alpha * gp[c] : 0;
  }
  const double next = dot(n, r, r);
  const float beta = (float)(next / *rr);
  for (int64_t c = 0; c < n; c++) p[c] = r[c] + beta * p[c];
  *rr = next;
}

static sumi_status iterate(struct sumi_solver *v, const uint8_t *keep, float *b, struct sumi_err *err) {
  const int64_t rows = v->s->rows, n = v->s->cols, all = rows * n;
  float *r = v->work, *gp = v->work2, *p = SUMI_NEW_ARRAY(v->arena, (size_t)all, float);
  double *rr = SUMI_NEW_ARRAY(v->arena, (size_t)rows, double), first = 0;
  if (!p || !rr) SUMI_FAIL_MEMORY(err);
  for (int64_t i = 0; i < all; i++) p[i] = v->b0[i] - b[i];
  sumi_blas_multiply(rows, n, p, v->gram, r);
  for (int64_t i = 0; i < all; i++) p[i] = r[i] = keep[i] ? r[i] : 0;
  for (int64_t i = 0; i < rows; i++) first += rr[i] = dot(n, r + i * n, r + i * n);
  double left = first;
  for (int step = 0; step < STEPS && left > enough * first; step++) {
    sumi_blas_multiply(rows, n, p, v->gram, gp);
    left = 0;
    for (int64_t i = 0; i < rows; i++) {
      step_row(n, keep + i * n, gp + i * n, p + i * n, r + i * n, b + i * n, &rr[i]);
      left += rr[i];
    }
  }
  return SUMI_OK;
}

/* ---- at once ---------------------------------------------------------------------------------------------------- */

static int64_t count_kept(int64_t n, const uint8_t *keep, int32_t *at) {
  int64_t k = 0;
  for (int64_t c = 0; c < n; c++)
    if (keep[c]) at[k++] = (int32_t)c;
  return k;
}

/* Rows from `first` on with the same support. */
static int64_t count_alike(const struct sumi_solve *s, const uint8_t *keep, int64_t first) {
  int64_t n = 1;
  const uint8_t *row = keep + first * s->cols;
  while (first + n < s->rows && !memcmp(row, row + n * s->cols, (size_t)s->cols)) n++;
  return n;
}

/* Operations of the factors, and the width of the widest. */
static double judge(const struct sumi_solver *v, const uint8_t *keep, int32_t *at, int64_t *widest) {
  double work = 0;
  *widest = 1;
  for (int64_t r = 0, alike; r < v->s->rows; r += alike) {
    alike = count_alike(v->s, keep, r);
    const int64_t k = count_kept(v->s->cols, keep + r * v->s->cols, at);
    work += (double)k * (double)k * ((double)k / 3 + 2.0 * (double)alike + 4);
    *widest = SUMI_MAX(*widest, k);
  }
  return work;
}

/* Rows [first, first + alike) on their k columns `at`; rhs = b0 G. False: not positive definite, b is as it was. */
static bool solve_rows(const struct sumi_solver *v, const float *rhs, int64_t first, int64_t alike, int64_t k,
                       const int32_t *at, float *a, float *x, float *b) {
  const int64_t n = v->s->cols;
  for (int64_t i = 0; i < k; i++) {
    const float *row = v->gram + at[i] * n;
    for (int64_t j = 0; j <= i; j++) a[i * k + j] = row[at[j]];
  }
  if (!sumi_blas_cholesky(k, a)) return false;
  for (int64_t r = 0; r < alike; r++)
    for (int64_t i = 0; i < k; i++) x[r * k + i] = rhs[(first + r) * n + at[i]];
  sumi_blas_cholesky_solve(alike, k, a, x);
  for (int64_t r = 0; r < alike; r++)
    for (int64_t i = 0; i < k; i++)
      if (!isfinite(x[r * k + i])) return false;
  for (int64_t r = 0; r < alike; r++)
    for (int64_t i = 0; i < k; i++) b[(first + r) * n + at[i]] = x[r * k + i];
  return true;
}

/* *done: false where some factor failed. */
static sumi_status solve_at_once(struct sumi_solver *v, const uint8_t *keep, int32_t *at, int64_t widest,
                                 float *b, bool *done, struct sumi_err *err) {
  const int64_t rows = v->s->rows, n = v->s->cols;
  float *a = SUMI_NEW_ARRAY(v->arena, (size_t)(widest * widest), float);
  if (!a) SUMI_FAIL_MEMORY(err);
  sumi_blas_multiply(rows, n, v->b0, v->gram, v->work);
  *done = true;
  for (int64_t r = 0, alike; r < rows; r += alike) {
    alike = count_alike(v->s, keep, r);
    const int64_t k = count_kept(n, keep + r * n, at);
    if (k) *done &= solve_rows(v, v->work, r, alike, k, at, a, v->work2, b);
  }
  return SUMI_OK;
}

sumi_status sumi_solver_refine(struct sumi_solver *v, const uint8_t *keep, float *b, struct sumi_err *err) {
  const int64_t rows = v->s->rows, n = v->s->cols;
  int32_t *at = SUMI_NEW_ARRAY(v->arena, (size_t)n, int32_t);
  if (!at) SUMI_FAIL_MEMORY(err);
  int64_t widest;
  bool done = false;
  /* small factors run at a third of the speed of large products */
  const double product = 2.0 * (double)rows * (double)n * (double)n;
  if (3 * judge(v, keep, at, &widest) < 10 * product)
    SUMI_TRY(solve_at_once(v, keep, at, widest, b, &done, err));
  return done ? SUMI_OK : iterate(v, keep, b, err);
}

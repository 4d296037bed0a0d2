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

enum { STEPS = 30 }; /* of conjugate gradients, at most */
static const double enough =
    3e-4; /* what a step gains of the error; the gains fall by a third and more from step to step */

/* ---- conjugate gradients ---------------------------------------------------------------------------------------- */

static double dot(int64_t n, const float *x, const float *y) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)y[i];
  return sum;
}

/* One row's step along p with gp = p G; *rr: the squared residual, before and after. What it takes from the error. */
static double step_row(int64_t n, const uint8_t *keep, const float *gp, float *p, float *r, float *b,
                       double *rr) {
  const double along = dot(n, p, gp), gain = *rr * *rr / along;
  if (!(*rr > 0 && along > 0)) {
    *rr = 0;
    return 0;
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
  return gain;
}

static sumi_status iterate(struct sumi_solver *v, const uint8_t *keep, float *b, struct sumi_err *err) {
  const int64_t rows = v->s->rows, n = v->s->cols, all = rows * n;
  float *r = v->work, *gp = v->work2, *p = SUMI_NEW_ARRAY(v->arena, (size_t)all, float);
  double *rr = SUMI_NEW_ARRAY(v->arena, (size_t)rows, double), error, gain = INFINITY;
  if (!p || !rr) SUMI_FAIL_MEMORY(err);
  for (int64_t i = 0; i < all; i++) p[i] = v->b0[i] - b[i];
  sumi_blas_multiply(rows, n, p, v->gram, r);
  error = dot(all, p, r);
  for (int64_t i = 0; i < all; i++) p[i] = r[i] = keep[i] ? r[i] : 0;
  for (int64_t i = 0; i < rows; i++) rr[i] = dot(n, r + i * n, r + i * n);
  for (int step = 0; step < STEPS && gain > enough * error; step++) {
    sumi_blas_multiply(rows, n, p, v->gram, gp);
    gain = 0;
    for (int64_t i = 0; i < rows; i++)
      gain += step_row(n, keep + i * n, gp + i * n, p + i * n, r + i * n, b + i * n, &rr[i]);
    error -= gain;
  }
  return SUMI_OK;
}

/* ---- at once ---------------------------------------------------------------------------------------------------- */

struct scratch {
  float *a;    /* [widest, widest] */
  int32_t *at; /* [cols] */
  bool failed;
};

struct factors {
  struct sumi_solver *v;
  const uint8_t *keep;
  float *rhs, *x, *b;        /* [rows, cols]: b0 G; space; the weights */
  int64_t *first, n, widest; /* groups of rows with one support: [n + 1] where they begin */
  struct scratch *scratch;   /* [threads] */
};

static int64_t count_kept(int64_t n, const uint8_t *keep) {
  int64_t k = 0;
  for (int64_t c = 0; c < n; c++) k += keep[c];
  return k;
}

/* Groups, their widest support, and the operations of their factors. */
static double find_groups(struct factors *f) {
  const int64_t rows = f->v->s->rows, n = f->v->s->cols;
  double work = 0;
  f->widest = 1;
  for (int64_t r = 0, next; r < rows; r = next) {
    const uint8_t *row = f->keep + r * n;
    for (next = r + 1; next < rows && !memcmp(row, f->keep + next * n, (size_t)n);) next++;
    const int64_t k = count_kept(n, row);
    work += (double)k * (double)k * ((double)k / 3 + 2.0 * (double)(next - r) + 4);
    f->widest = SUMI_MAX(f->widest, k);
    f->first[f->n++] = r;
    f->first[f->n] = next;
  }
  return work;
}

/* False: not positive definite, b is as it was. */
static bool solve_group(const struct factors *f, int64_t group, struct scratch *s) {
  const int64_t n = f->v->s->cols, first = f->first[group], high = f->first[group + 1] - first;
  float *x = f->x + first * n;
  int64_t k = 0;
  for (int64_t c = 0; c < n; c++)
    if (f->keep[first * n + c]) s->at[k++] = (int32_t)c;
  if (!k) return true;
  for (int64_t i = 0; i < k; i++) {
    const float *row = f->v->gram + s->at[i] * n;
    for (int64_t j = 0; j <= i; j++) s->a[i * k + j] = row[s->at[j]];
  }
  if (!sumi_blas_cholesky(k, s->a)) return false;
  for (int64_t r = 0; r < high; r++)
    for (int64_t i = 0; i < k; i++) x[r * k + i] = f->rhs[(first + r) * n + s->at[i]];
  sumi_blas_cholesky_solve(high, k, s->a, x);
  for (int64_t i = 0; i < high * k; i++)
    if (!isfinite(x[i])) return false;
  for (int64_t r = 0; r < high; r++)
    for (int64_t i = 0; i < k; i++) f->b[(first + r) * n + s->at[i]] = x[r * k + i];
  return true;
}

static void solve_groups(void *user, int64_t begin, int64_t end, int worker) {
  const struct factors *f = user;
  for (int64_t group = begin; group < end; group++)
    if (!solve_group(f, group, &f->scratch[worker])) f->scratch[worker].failed = true;
}

/* *done: false where some factor failed. */
static sumi_status solve_at_once(struct factors *f, bool *done, struct sumi_err *err) {
  const int threads = sumi_par_threads(f->v->par);
  f->scratch = SUMI_NEW_ARRAY(f->v->arena, (size_t)threads, struct scratch);
  bool ok = f->scratch != NULL;
  for (int i = 0; ok && i < threads; i++)
    ok = (f->scratch[i].a = SUMI_NEW_ARRAY(f->v->arena, (size_t)(f->widest * f->widest), float)) &&
         (f->scratch[i].at = SUMI_NEW_ARRAY(f->v->arena, (size_t)f->v->s->cols, int32_t));
  if (!ok) SUMI_FAIL_MEMORY(err);
  sumi_blas_multiply(f->v->s->rows, f->v->s->cols, f->v->b0, f->v->gram, f->rhs);
  sumi_solver_for(f->v, f->n, solve_groups, f);
  *done = true;
  for (int i = 0; i < threads; i++) *done &= !f->scratch[i].failed;
  return SUMI_OK;
}

sumi_status sumi_solver_refine(struct sumi_solver *v, const uint8_t *keep, float *b, struct sumi_err *err) {
  const double rows = (double)v->s->rows, n = (double)v->s->cols;
  struct factors f = {v, keep, v->work, v->work2, b};
  if (!(f.first = SUMI_NEW_ARRAY(v->arena, (size_t)v->s->rows + 1, int64_t))) SUMI_FAIL_MEMORY(err);
  bool done = false;
  /* small factors run at a third of the speed of large products, and ten of those give most of what steps can give */
  if (3 * find_groups(&f) < 10 * 2 * rows * n * n) SUMI_TRY(solve_at_once(&f, &done, err));
  return done ? SUMI_OK : iterate(v, keep, b, err);
}

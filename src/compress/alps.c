/* Method "alps" (Meng, Behdin, Wang, Mazumder 2024, arXiv 2406.07831), on scaled weights.
 *
 *   minimise over b and d: trace((b - b0) G (b - b0)^T) / 2, b = d, d keeps the pattern
 *
 * by the method of multipliers, u the scaled multiplier:
 *
 *   b = b0 + rho (d - u - b0) (G + rho I)^-1
 *   d = projection of b + u;  u = b + u - d
 *
 * rho grows while the mask moves (the paper's schedule) until it stands still; then the weights on the mask are solved by least
 * squares. As d and u are the two parts of t = b + u, on the mask and off it, t and the mask are all the state there is.
 *
 * The paper solves with the eigenvectors of G. A Cholesky factor for each rho is cheaper unless rows are few: it costs n^3 / 3
 * and each solution what one product with the inverse costs, eigenvectors about 9 n^3 and two products. */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"
#include "compress/solver.h"

enum { ROUNDS = 300, LEAST = 30, EVERY = 3 }; /* rho changes every third round */
static const float first_rho = 0.02F, last_rho = 1e6F;

struct admm {
  float *t;            /* [rows, cols] */
  float *l;            /* [cols, cols] the factor of G + rho I */
  uint8_t *keep, *old; /* [rows, cols] the mask, and what it was when rho changed last */
  float rho;
  double haste; /* exponent of rho's growth */
};

static sumi_status factor(const struct sumi_solver *v, struct admm *m, struct sumi_err *err) {
  const int64_t n = v->s->cols;
  for (int64_t r = 0; r < n; r++) {
    memcpy(m->l + r * n, v->gram + r * n, (size_t)(r + 1) * sizeof *m->l);
    m->l[r * n + r] += m->rho;
  }
  if (!sumi_blas_cholesky(n, m->l)) SUMI_FAIL(err, SUMI_E_VALUE, "a Gram matrix that is not positive");
  return SUMI_OK;
}

static void step(struct sumi_solver *v, struct admm *m) {
  const int64_t rows = v->s->rows, n = v->s->cols, all = rows * n;
  float *b = v->work2;
  for (int64_t i = 0; i < all; i++) b[i] = m->rho * ((m->keep[i] ? m->t[i] : -m->t[i]) - v->b0[i]);
  sumi_blas_cholesky_solve(rows, n, m->l, b);
  for (int64_t i = 0; i < all; i++) m->t[i] = v->b0[i] + b[i] + (m->keep[i] ? 0 : m->t[i]);
  sumi_solver_project_squares(v, m->t, m->keep);
}

/* How much rho grows by; 1 = the mask stands still. */
static double growth(const struct sumi_solver *v, struct admm *m) {
  int64_t kept = 0, changed = 0;
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) {
    kept += m->keep[i];
    changed += m->keep[i] != m->old[i];
    m->old[i] = m->keep[i];
  }
  const double share = (double)changed / (double)SUMI_MAX(kept, (int64_t)1);
  return share >= 0.1 ? 1.3 : share >= 0.005 ? 1.2 : share >= 0.0003 ? 1.1 : 1;
}

/* Matrices that would take 10^12 operations and more let rho grow faster: a percent or two of the error for half the time. */
static double haste_of(const struct sumi_solver *v) {
  const double n = (double)v->s->cols, work = n * n * (16 * n / 3 + 96 * (double)v->s->rows);
  return SUMI_MIN(SUMI_MAX(work / 1e12, 1.0), 2.0);
}

static sumi_status find_mask(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  const int64_t n = v->s->cols, all = v->s->rows * n;
  struct admm m = {.t = b,
                   .l = SUMI_NEW_ARRAY(v->arena, (size_t)(n * n), float),
                   .keep = keep,
                   .old = SUMI_NEW_ARRAY(v->arena, (size_t)all, uint8_t),
                   .rho = first_rho,
                   .haste = haste_of(v)};
  if (!m.l || !m.old) SUMI_FAIL_MEMORY(err);
  memcpy(m.t, v->b0, (size_t)all * sizeof *m.t);
  sumi_solver_project_squares(v, m.t, keep);
  memcpy(m.old, keep, (size_t)all);
  for (int64_t i = 0; i < all; i++) m.t[i] = keep[i] ? m.t[i] : 0; /* u = 0 */
  for (int round = 0; round < ROUNDS; round += EVERY) {
    SUMI_TRY(factor(v, &m, err));
    for (int i = 0; i < EVERY; i++) step(v, &m);
    const double grows = growth(v, &m);
    if (grows == 1 && round + EVERY >= LEAST) break;
    const float by = (float)pow(SUMI_MAX(grows, 1.1), m.haste);
    m.rho = SUMI_MIN(m.rho * by, last_rho);
    for (int64_t i = 0; i < all; i++)
      if (!keep[i]) m.t[i] /= by;
  }
  return SUMI_OK;
}

/* ---- more than is asked, then thinned --------------------------------------------------------------------------- */

/* Whether thinning from `width` columns of a band by `out` of them is worth its time: as long as some rounds take, and always where
 * that is nothing. Removing runs at a quarter of the speed of factors. */
static bool is_cheap(const struct sumi_solver *v, double width, double out) {
  const double n = (double)v->s->cols, rows = (double)v->s->rows;
  const double high = v->pattern.kind == SUMI_PATTERN_BLOCK ? v->pattern.a : 1;
  const double work = (rows / high + 1) * (width * width * width + 4 * out * width * (2 * width + 4 * high));
  return work <= SUMI_MAX(16 * rows * n * n, 2e9);
}

/* Makes v keep more than is asked; the units that may leave a band, 0: it would be too dear. */
static int64_t widen(struct sumi_solver *v) {
  static const double blocks[] = {1.5, 1.25, 1.1}, banks[] = {3, 2, 1.5, 1.25};
  const struct sumi_solve *s = v->s;
  const double n = (double)s->cols;
  if (!sumi_solver_can_thin(v)) return 0;
  if (s->pattern.kind == SUMI_PATTERN_BLOCK) {
    for (size_t i = 0; i < SUMI_COUNT(blocks); i++) {
      const double out = 2 * (blocks[i] - 1) * s->density * n;
      if (s->density * blocks[i] > 1 || !is_cheap(v, blocks[i] * s->density * n, out)) continue;
      v->density = blocks[i] * s->density;
      return (int64_t)(out / s->pattern.b) + 8;
    }
    return 0;
  }
  for (size_t i = 0; i < SUMI_COUNT(banks); i++) {
    const int more = SUMI_MIN(SUMI_MAX((int)(s->pattern.a * banks[i]), s->pattern.a + 1), s->pattern.b);
    const double out = n * (more - s->pattern.a) / s->pattern.b;
    if (more == s->pattern.a || !is_cheap(v, n * more / s->pattern.b, out)) continue;
    v->pattern.a = more;
    return s->cols;
  }
  return 0;
}

/* Where magnitudes alone are better, they are taken, and refined where that is better still. */
static sumi_status never_worse(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  const int64_t all = v->s->rows * v->s->cols;
  uint8_t *plain_keep = SUMI_NEW_ARRAY(v->arena, (size_t)all, uint8_t);
  float *plain = SUMI_NEW_ARRAY(v->arena, (size_t)all, float);
  if (!plain_keep || !plain) SUMI_FAIL_MEMORY(err);
  for (int64_t i = 0; i < all; i++) v->score[i] = fabsf(v->s->w[i]);
  sumi_solver_project(v, plain_keep);
  for (int64_t i = 0; i < all; i++) plain[i] = plain_keep[i] ? v->b0[i] : 0;
  double best = sumi_solver_error(v, b);
  for (int refined = 0; refined < 2; refined++) {
    if (refined) SUMI_TRY(sumi_solver_refine(v, plain_keep, plain, err));
    const double error = sumi_solver_error(v, plain);
    if (error >= best) return SUMI_OK;
    best = error;
    memcpy(b, plain, (size_t)all * sizeof *b);
    memcpy(keep, plain_keep, (size_t)all);
  }
  return SUMI_OK;
}

/* What the caller allows, or a mask found; in b what its weights begin at. */
static sumi_status choose_mask(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  const struct sumi_solve *s = v->s;
  const int64_t all = s->rows * s->cols;
  if (s->pattern.kind == SUMI_PATTERN_BLOCK && (s->density >= 1 || s->density <= 0)) {
    sumi_solver_project_squares(v, v->b0, keep);
    memcpy(b, v->b0, (size_t)all * sizeof *b);
    return SUMI_OK;
  }
  const int64_t limit = widen(v);
  SUMI_TRY(find_mask(v, b, keep, err));
  v->pattern = s->pattern;
  v->density = s->density;
  if (!limit) return SUMI_OK;
  for (int64_t i = 0; i < all; i++) b[i] = keep[i] ? b[i] : 0;
  SUMI_TRY(sumi_solver_thin(v, keep, limit, err));
  for (int64_t i = 0; i < all; i++) b[i] = keep[i] ? b[i] : 0;
  sumi_solver_project_squares(v, b, keep); /* where something was left to do */
  return SUMI_OK;
}

sumi_status sumi_solver_alps(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  SUMI_TRY(choose_mask(v, b, keep, err));
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) b[i] = keep[i] ? b[i] : 0;
  SUMI_TRY(sumi_solver_refine(v, keep, b, err));
  return never_worse(v, b, keep, err);
}

/* One matrix made sparse: the problem set up and scaled, the simple methods, the error. */
#include "compress/solve.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "compress/blas.h"
#include "compress/solver.h"

/* ---- simple methods --------------------------------------------------------------------------------------------- */

static void mask_weights(const struct sumi_solver *v, const uint8_t *keep, float *b) {
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) b[i] = keep[i] ? v->b0[i] : 0;
}

static sumi_status magnitude(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  (void)err;
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) v->score[i] = fabsf(v->s->w[i]);
  sumi_solver_project(v, keep);
  mask_weights(v, keep, b);
  return SUMI_OK;
}

static sumi_status wanda(struct sumi_solver *v, float *b, uint8_t *keep, struct sumi_err *err) {
  (void)err;
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) v->score[i] = fabsf(v->b0[i]);
  sumi_solver_project(v, keep);
  mask_weights(v, keep, b);
  return SUMI_OK;
}

static const struct {
  const char *name;
  sumi_solver_method *solve;
  bool exact; /* weights that stay keep their values, bit for bit */
} methods[] = {
    {"magnitude", magnitude, true},
    {"wanda", wanda, true},
    {"sparsegpt", sumi_solver_sparsegpt, false},
    {"alps", sumi_solver_alps, false},
};

const char *const sumi_solve_methods[] = {"magnitude", "wanda", "sparsegpt", "alps", NULL};

/* ---- shared by methods ------------------------------------------------------------------------------------------ */

void sumi_solver_project(struct sumi_solver *v, uint8_t *keep) {
  const struct sumi_solve *s = v->s;
  const int64_t n = s->rows * s->cols;
  for (int64_t i = 0; i < n && s->keep; i++)
    if (!s->keep[i]) v->score[i] = 0;
  sumi_pattern_project(v->pattern, v->density, s->rows, s->cols, v->run, v->score, keep, v->work);
  for (int64_t i = 0; i < n && s->keep; i++) keep[i] &= s->keep[i] != 0;
}

void sumi_solver_project_squares(struct sumi_solver *v, const float *x, uint8_t *keep) {
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) v->score[i] = x[i] * x[i];
  sumi_solver_project(v, keep);
}

void sumi_solver_for(struct sumi_solver *v, int64_t n,
                     void (*fn)(void *user, int64_t begin, int64_t end, int worker), void *user) {
  sumi_blas_threads(1);
  sumi_par_for(v->par, n, 1, fn, user);
  sumi_blas_threads(v->s->threads);
}

/* trace(x H x^T). */
static double energy(struct sumi_solver *v, const float *x) {
  const int64_t rows = v->s->rows, cols = v->s->cols;
  const float *h = x;
  double sum = 0;
  if (v->gram) {
    sumi_blas_multiply(rows, cols, x, v->gram, v->work2);
    h = v->work2;
  }
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++) {
      const double e = (double)x[r * cols + c];
      sum += e * ((double)h[r * cols + c] - (double)v->ridge[c] * e);
    }
  return SUMI_MAX(sum, 0.0);
}

double sumi_solver_error(struct sumi_solver *v, const float *b) {
  for (int64_t i = 0; i < v->s->rows * v->s->cols; i++) v->work[i] = b[i] - v->b0[i];
  return energy(v, v->work);
}

/* ---- setting up ------------------------------------------------------------------------------------------------- */

static sumi_status check(const struct sumi_solve *s, struct sumi_err *err) {
  if (s->rows < 1 || s->cols < 1 || s->rows > INT_MAX || s->cols > INT_MAX || s->run < 0 ||
      (s->run && s->cols % s->run))
    SUMI_FAIL(err, SUMI_E_ARG, "a matrix of %lld x %lld in runs of %lld", (long long)s->rows,
              (long long)s->cols, (long long)s->run);
  if (s->pattern.a < 1 || s->pattern.b < 1 || !(s->density >= 0 && s->density <= 1) ||
      !(s->damping >= 0 && isfinite(s->damping)))
    SUMI_FAIL(err, SUMI_E_ARG, "a density of %g and damping of %g", s->density, s->damping);
  for (int64_t i = 0; i < s->rows * s->cols; i++)
    if (!isfinite(s->w[i])) SUMI_FAIL(err, SUMI_E_VALUE, "weights that are not finite");
  return SUMI_OK;
}

/* The scaled Gram matrix, its scale, its dead columns. */
static sumi_status scale_gram(struct sumi_solver *v, struct sumi_err *err) {
  const int64_t n = v->s->cols;
  const double *h = v->s->gram;
  double mean = 0;
  for (int64_t c = 0; c < n; c++) {
    const double d = h[c * n + c];
    if (!(d >= 0 && isfinite(d))) SUMI_FAIL(err, SUMI_E_VALUE, "a Gram matrix with %g on its diagonal", d);
    mean += d / (double)n;
  }
  const double damp = mean * (v->s->damping > 0 ? v->s->damping : 0.01);
  for (int64_t c = 0; c < n; c++) {
    const double d = h[c * n + c];
    v->dead[c] = !(d > 0 && isfinite(1 / (d + damp)));
    v->scale[c] = v->dead[c] ? 1 : (float)sqrt(d + damp);
    v->ridge[c] = v->dead[c] ? 1 : (float)(damp / (d + damp));
  }
  for (int64_t r = 0; r < n; r++)
    for (int64_t c = 0; c < n; c++) {
      const double g =
          v->dead[r] || v->dead[c] ? 0 : h[r * n + c] / ((double)v->scale[r] * (double)v->scale[c]);
      if (!(fabs(g) <= 1.001))
        SUMI_FAIL(err, SUMI_E_VALUE, "a Gram matrix with %g off its diagonal", h[r * n + c]);
      v->gram[r * n + c] = r == c ? 1 : (float)g;
    }
  return SUMI_OK;
}

static sumi_status set_up(struct sumi_solver *v, struct sumi_err *err) {
  const struct sumi_solve *s = v->s;
  const size_t n = (size_t)s->rows * (size_t)s->cols, cols = (size_t)s->cols;
  if (s->gram && !(v->gram = SUMI_NEW_ARRAY(v->arena, cols * cols, float))) SUMI_FAIL_MEMORY(err);
  v->scale = SUMI_NEW_ARRAY(v->arena, cols, float);
  v->ridge = SUMI_NEW_ARRAY(v->arena, cols, float);
  v->dead = SUMI_NEW_ARRAY(v->arena, cols, bool);
  v->b0 = SUMI_NEW_ARRAY(v->arena, n, float);
  v->score = SUMI_NEW_ARRAY(v->arena, n, float);
  v->work = SUMI_NEW_ARRAY(v->arena, n, float);
  v->work2 = SUMI_NEW_ARRAY(v->arena, n, float);
  if (!v->scale || !v->ridge || !v->dead || !v->b0 || !v->score || !v->work || !v->work2)
    SUMI_FAIL_MEMORY(err);
  for (size_t c = 0; c < cols; c++) v->scale[c] = 1;
  if (v->gram) SUMI_TRY(scale_gram(v, err));
  for (size_t i = 0; i < n; i++) v->b0[i] = v->dead[i % cols] ? 0 : s->w[i] * v->scale[i % cols];
  return SUMI_OK;
}

static sumi_status solve(struct sumi_solver *v, size_t method, float *w, uint8_t *keep, double *error,
                         struct sumi_err *err) {
  const struct sumi_solve *s = v->s;
  SUMI_TRY(set_up(v, err));
  float *b = SUMI_NEW_ARRAY(v->arena, (size_t)(s->rows * s->cols), float);
  if (!b) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(methods[method].solve(v, b, keep, err));
  const double all = energy(v, v->b0);
  *error = all > 0 ? SUMI_MIN(sumi_solver_error(v, b) / all, 1.0) : 0;
  for (int64_t i = 0; i < s->rows * s->cols; i++) {
    const int64_t c = i % s->cols;
    w[i] = !keep[i] ? 0 : methods[method].exact || v->dead[c] ? s->w[i] : b[i] / v->scale[c];
  }
  return SUMI_OK;
}

sumi_status sumi_solve_layer(const struct sumi_solve *s, const struct sumi_allocator *a, float *w_out,
                             uint8_t *keep_out, double *error, struct sumi_err *err) {
  size_t method = 0;
  const char *name = s->method ? s->method : "alps";
  while (method < SUMI_COUNT(methods) && strcmp(methods[method].name, name) != 0) method++;
  if (method == SUMI_COUNT(methods)) SUMI_FAIL(err, SUMI_E_ARG, "there is no method '%s'", name);
  SUMI_TRY(check(s, err));
  if (s->gram) SUMI_TRY(sumi_blas_load(s->threads, err));
  struct sumi_arena arena;
  struct sumi_solver v = {.s = s,
                          .arena = &arena,
                          .run = s->run ? s->run : s->cols,
                          .pattern = s->pattern,
                          .density = s->density};
  SUMI_TRY(sumi_par_new(a, s->threads, &v.par, err));
  sumi_arena_init(&arena, a);
  const sumi_status status = solve(&v, s->gram ? method : 0, w_out, keep_out, error, err);
  sumi_arena_fini(&arena);
  sumi_par_free(v.par);
  return status;
}

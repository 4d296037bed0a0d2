/* Weights towards the dense network's outputs, by one positive definite system for all rows. */
#include "compress/target.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"

/* Relative to the mean of H's diagonal: what the solver adds to it as well. */
static const double damping = 0.01;

struct target {
  double *apart, *h; /* [cols, cols] C - H; H, damped */
  double *w, *step;  /* [rows, cols] */
};

static void fill(int64_t cols, const struct sumi_layer_pair *p, const double *gram, bool free_bias,
                 const struct target *t) {
  const double n = (double)SUMI_MAX(p->now.samples, (int64_t)1);
  double mean = 0;
  for (int64_t c = 0; c < cols; c++) mean += gram[c * cols + c] / (double)cols;
  memcpy(t->h, gram, (size_t)(cols * cols) * sizeof *t->h);
  for (int64_t r = 0; r < cols; r++) {
    for (int64_t c = 0; c < cols; c++) {
      const double both = p->cross[r * cols + c];
      t->apart[r * cols + c] =
          (free_bias ? both - p->beside.sum[r] * p->now.sum[c] / n : both) - gram[r * cols + c];
    }
    t->h[r * cols + r] += damping * mean;
  }
  for (int64_t c = 0; c < cols; c++)
    for (int64_t r = 0; r < cols && gram[c * cols + c] == 0; r++) t->apart[r * cols + c] = 0;
}

static sumi_status aim(int64_t rows, int64_t cols, const struct sumi_layer_pair *pair, const double *gram,
                       bool free_bias, struct sumi_arena *arena, float *w, struct sumi_err *err) {
  const size_t n = (size_t)(rows * cols), square = (size_t)(cols * cols);
  const struct target t = {SUMI_NEW_ARRAY(arena, square, double), SUMI_NEW_ARRAY(arena, square, double),
                           SUMI_NEW_ARRAY(arena, n, double), SUMI_NEW_ARRAY(arena, n, double)};
  if (!t.apart || !t.h || !t.w || !t.step) SUMI_FAIL_MEMORY(err);
  fill(cols, pair, gram, free_bias, &t);
  for (size_t i = 0; i < n; i++) t.w[i] = (double)w[i];
  sumi_blas_multiply_f64(rows, cols, t.w, t.apart, t.step);
  if (!sumi_blas_solve_f64(rows, cols, t.h, t.step)) return SUMI_OK;
  for (size_t i = 0; i < n; i++)
    if (!isfinite(t.step[i])) return SUMI_OK;
  for (size_t i = 0; i < n; i++) w[i] = (float)(t.w[i] + t.step[i]);
  return SUMI_OK;
}

sumi_status sumi_target_weights(int64_t rows, int64_t cols, const struct sumi_layer_pair *pair,
                                const double *gram, bool free_bias, int threads,
                                const struct sumi_allocator *a, float *w, struct sumi_err *err) {
  SUMI_TRY(sumi_blas_load(threads, err));
  struct sumi_arena arena;
  sumi_arena_init(&arena, a);
  const sumi_status status = aim(rows, cols, pair, gram, free_bias, &arena, w, err);
  sumi_arena_fini(&arena);
  return status;
}

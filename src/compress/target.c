/* Weights towards the dense network's outputs, by one positive definite system for all rows. */
#include "compress/target.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"

/* Relative to the mean of H's diagonal. The second is for few samples, of which none are held out. */
static const double dampings[] = {0.01, 0.1, 1, 10};
enum { OF_FEW = 1 };
static const double enough = 1e-4; /* of the outputs' squares: what more damping must gain */

struct target {
  int64_t rows, cols;
  bool free_bias;
  double *apart, *h, *factor; /* [cols, cols] C - H; H; H damped, then its factor */
  double *w, *step, *held;    /* [rows, cols] */
};

/* C - H into apart, H into h. */
static void fill(const struct target *t, const struct sumi_layer_pair *p) {
  const int64_t cols = t->cols;
  const double n = (double)SUMI_MAX(p->now.samples, (int64_t)1);
  for (int64_t r = 0; r < cols; r++)
    for (int64_t c = 0; c < cols; c++) {
      const int64_t i = r * cols + c;
      const double mean_c = t->free_bias ? p->now.sum[c] / n : 0;
      t->h[i] = p->now.gram[i] - p->now.sum[r] * mean_c;
      t->apart[i] = p->cross[i] - p->beside.sum[r] * mean_c - t->h[i];
    }
}

/* What is always zero stays so, as gram [cols, cols] has it. */
static void clear_dead(const struct target *t, const double *gram) {
  for (int64_t c = 0; c < t->cols; c++)
    for (int64_t r = 0; r < t->cols && gram[c * t->cols + c] == 0; r++) t->apart[r * t->cols + c] = 0;
}

/* step = w (C - H) (H + damping)^-1; false: not positive. */
static bool find_step(const struct target *t, double damping) {
  const int64_t n = t->rows * t->cols;
  double mean = 0;
  for (int64_t c = 0; c < t->cols; c++) mean += t->h[c * t->cols + c] / (double)t->cols;
  memcpy(t->factor, t->h, (size_t)(t->cols * t->cols) * sizeof *t->h);
  for (int64_t c = 0; c < t->cols; c++) t->factor[c * t->cols + c] += damping * mean;
  sumi_blas_multiply_f64(t->rows, t->cols, t->w, t->apart, t->step);
  if (!(mean > 0) || !sumi_blas_solve_f64(t->rows, t->cols, t->factor, t->step)) return false;
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(t->step[i])) return false;
  return true;
}

/* trace(w H w^T), the squares of the outputs. */
static double energy(const struct target *t) {
  double sum = 0;
  sumi_blas_multiply_f64(t->rows, t->cols, t->w, t->h, t->held);
  for (int64_t i = 0; i < t->rows * t->cols; i++) sum += t->w[i] * t->held[i];
  return sum;
}

/* By how much the step changes the squared error: trace(step H step^T) - 2 trace(w (C - H) step^T). */
static double change_of(const struct target *t, const double *step) {
  double change = 0;
  sumi_blas_multiply_f64(t->rows, t->cols, step, t->h, t->held);
  for (int64_t i = 0; i < t->rows * t->cols; i++) change += step[i] * t->held[i];
  sumi_blas_multiply_f64(t->rows, t->cols, t->w, t->apart, t->held);
  for (int64_t i = 0; i < t->rows * t->cols; i++) change -= 2 * step[i] * t->held[i];
  return change;
}

/* The damping that does best on what is held out; steps [SUMI_COUNT(dampings)][rows, cols]. */
static double choose(const struct target *t, const struct sumi_layer_pair *p, const double *gram,
                     double *steps) {
  const int64_t n = t->rows * t->cols;
  bool found[SUMI_COUNT(dampings)];
  double best = dampings[OF_FEW], least = INFINITY;
  if (!p->held) return best;
  fill(t, p);
  clear_dead(t, gram);
  for (size_t i = 0; i < SUMI_COUNT(dampings); i++) {
    found[i] = find_step(t, dampings[i]);
    memcpy(steps + (int64_t)i * n, t->step, (size_t)n * sizeof *steps);
  }
  fill(t, p->held);
  const double all = energy(t);
  for (size_t i = 0; i < SUMI_COUNT(dampings); i++) {
    const double change = found[i] ? change_of(t, steps + (int64_t)i * n) : INFINITY;
    if (!(change < least - enough * all)) continue;
    least = change;
    best = dampings[i];
  }
  return best;
}

static sumi_status aim(struct target *t, const struct sumi_layer_pair *pair, const double *gram,
                       struct sumi_arena *arena, float *w, double *damping, struct sumi_err *err) {
  const size_t n = (size_t)(t->rows * t->cols), square = (size_t)(t->cols * t->cols);
  double *steps = SUMI_NEW_ARRAY(arena, SUMI_COUNT(dampings) * n, double);
  t->apart = SUMI_NEW_ARRAY(arena, square, double);
  t->h = SUMI_NEW_ARRAY(arena, square, double);
  t->factor = SUMI_NEW_ARRAY(arena, square, double);
  t->w = SUMI_NEW_ARRAY(arena, n, double);
  t->step = SUMI_NEW_ARRAY(arena, n, double);
  t->held = SUMI_NEW_ARRAY(arena, n, double);
  if (!steps || !t->apart || !t->h || !t->factor || !t->w || !t->step || !t->held) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) t->w[i] = (double)w[i];
  *damping = choose(t, pair, gram, steps);
  fill(t, pair);
  clear_dead(t, gram);
  if (!find_step(t, *damping)) return SUMI_OK;
  for (size_t i = 0; i < n; i++) w[i] = (float)(t->w[i] + t->step[i]);
  return SUMI_OK;
}

sumi_status sumi_target_weights(int64_t rows, int64_t cols, const struct sumi_layer_pair *pair,
                                const double *gram, bool free_bias, int threads,
                                const struct sumi_allocator *a, float *w, double *damping,
                                struct sumi_err *err) {
  SUMI_TRY(sumi_blas_load(threads, err));
  struct sumi_arena arena;
  struct target t = {.rows = rows, .cols = cols, .free_bias = free_bias};
  sumi_arena_init(&arena, a);
  const sumi_status status = aim(&t, pair, gram, &arena, w, damping, err);
  sumi_arena_fini(&arena);
  return status;
}

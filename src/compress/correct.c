/* Factors and biases from first and second moments: mean = w sum / n, spread = w gram w^T / n - mean^2. */
#include "compress/correct.h"

#include <math.h>

#include "base/size.h"
#include "compress/blas.h"

enum { ROWS = 64 }; /* multiplied at a time */

struct moments {
  double *mean, *variance; /* [rows] */
};

/* Of w x without bias; wide and product are [ROWS, cols]. */
static void find_moments(int64_t rows, int64_t cols, const float *w, const struct sumi_layer_stats *s,
                         double *wide, double *product, struct moments out) {
  const double n = (double)s->samples;
  for (int64_t first = 0; first < rows; first += ROWS) {
    const int64_t high = SUMI_MIN(rows - first, (int64_t)ROWS);
    for (int64_t i = 0; i < high * cols; i++) wide[i] = (double)w[first * cols + i];
    sumi_blas_multiply_f64(high, cols, wide, s->gram, product);
    for (int64_t r = 0; r < high; r++) {
      double sum = 0, squares = 0;
      for (int64_t c = 0; c < cols; c++) {
        sum += wide[r * cols + c] * s->sum[c];
        squares += wide[r * cols + c] * product[r * cols + c];
      }
      out.mean[first + r] = sum / n;
      /* what rounding leaves of a constant's variance is none */
      const double variance = squares / n - sum / n * (sum / n);
      out.variance[first + r] = variance > 1e-12 * squares / n ? variance : 0;
    }
  }
}

static sumi_status correct(const struct sumi_correct *c, struct sumi_arena *arena, float *scale, float *bias,
                           struct sumi_err *err) {
  const size_t rows = (size_t)c->rows, tile = ROWS * (size_t)c->cols;
  double *wide = SUMI_NEW_ARRAY(arena, tile, double), *product = SUMI_NEW_ARRAY(arena, tile, double);
  struct moments old = {SUMI_NEW_ARRAY(arena, rows, double), SUMI_NEW_ARRAY(arena, rows, double)};
  struct moments now = {SUMI_NEW_ARRAY(arena, rows, double), SUMI_NEW_ARRAY(arena, rows, double)};
  if (!wide || !product || !old.mean || !old.variance || !now.mean || !now.variance) SUMI_FAIL_MEMORY(err);
  find_moments(c->rows, c->cols, c->dense, &c->before, wide, product, old);
  find_moments(c->rows, c->cols, c->sparse, &c->after, wide, product, now);
  const double most = c->most > 0 ? c->most : 4;
  for (size_t r = 0; r < rows; r++) {
    const double factor = now.variance[r] > 0 ? sqrt(old.variance[r] / now.variance[r]) : 1;
    const double bound = SUMI_MIN(SUMI_MAX(factor, 1 / most), most);
    scale[r] = (float)bound;
    bias[r] = (float)((double)c->bias[r] + old.mean[r] - bound * now.mean[r]);
  }
  return SUMI_OK;
}

sumi_status sumi_correct_rows(const struct sumi_correct *c, const struct sumi_allocator *a, float *scale,
                              float *bias, struct sumi_err *err) {
  const struct sumi_layer_stats *b = &c->before, *n = &c->after;
  if (c->rows < 1 || c->cols < 1 || c->most < 0 || (c->most > 0 && c->most < 1))
    SUMI_FAIL(err, SUMI_E_ARG, "a matrix of %lld x %lld and factors up to %g", (long long)c->rows,
              (long long)c->cols, c->most);
  if (b->samples < 1 || n->samples < 1 || !b->gram || !n->gram)
    SUMI_FAIL(err, SUMI_E_ARG, "outputs can only be corrected with statistics of their inputs");
  SUMI_TRY(sumi_blas_load(c->threads, err));
  struct sumi_arena arena;
  sumi_arena_init(&arena, a);
  const sumi_status status = correct(c, &arena, scale, bias, err);
  sumi_arena_fini(&arena);
  return status;
}

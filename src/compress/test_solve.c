/* Matrices made sparse: projections against sorting, errors against exact greedy removal, awkward matrices, failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/size.h"
#include "compress/blas.h"
#include "compress/solve.h"

/* ---- problems --------------------------------------------------------------------------------------------------- */

struct problem {
  int64_t rows, cols;
  float *w;      /* [rows, cols] */
  double *gram;  /* [cols, cols] */
  float *out;    /* [rows, cols] */
  uint8_t *keep; /* [rows, cols] */
};

/* Inputs are mixtures of `sources` hidden numbers, each column with noise of its own: the correlations of real activations.
 * noise 0: as many columns as sources are independent, the rest follow from them. Skips the test without OpenBLAS. */
static struct problem make_problem(int64_t rows, int64_t cols, int sources, double noise, uint64_t seed) {
  if (sumi_blas_load(1, NULL) != SUMI_OK) skip();
  const size_t n = (size_t)(rows * cols);
  struct problem p = {rows,
                      cols,
                      calloc(n, sizeof *p.w),
                      calloc((size_t)(cols * cols), sizeof *p.gram),
                      calloc(n, sizeof *p.out),
                      calloc(n, 1)};
  double *mix = calloc((size_t)(cols * sources), sizeof *mix), *x = calloc((size_t)cols, sizeof *x);
  double *hidden = calloc((size_t)sources, sizeof *hidden);
  struct sumi_random random;
  sumi_random_init(&random, seed);
  for (size_t i = 0; i < n; i++) p.w[i] = (float)sumi_random_normal(&random);
  for (int64_t i = 0; i < cols * sources; i++) mix[i] = sumi_random_normal(&random) / (1 + i % sources);
  for (int sample = 0; sample < 4 * cols; sample++) {
    for (int k = 0; k < sources; k++) hidden[k] = sumi_random_normal(&random);
    for (int64_t c = 0; c < cols; c++) {
      x[c] = noise * sumi_random_normal(&random);
      for (int k = 0; k < sources; k++) x[c] += mix[c * sources + k] * hidden[k];
    }
    for (int64_t c = 0; c < cols; c++)
      for (int64_t d = 0; d < cols; d++) p.gram[c * cols + d] += x[c] * x[d];
  }
  free(mix);
  free(x);
  free(hidden);
  return p;
}

static void free_problem(struct problem *p) {
  free(p->w);
  free(p->gram);
  free(p->out);
  free(p->keep);
}

/* The error of weights by the definition. */
static double error_of(const struct problem *p, const float *w) {
  double error = 0, all = 0;
  for (int64_t r = 0; r < p->rows; r++)
    for (int64_t c = 0; c < p->cols; c++)
      for (int64_t d = 0; d < p->cols; d++) {
        const float *a = p->w + r * p->cols, *b = w + r * p->cols;
        error += p->gram[c * p->cols + d] * ((double)a[c] - (double)b[c]) * ((double)a[d] - (double)b[d]);
        all += p->gram[c * p->cols + d] * (double)a[c] * (double)a[d];
      }
  return error / all;
}

static struct sumi_pattern pattern_of(const char *name) {
  struct sumi_pattern p;
  assert_int_equal(sumi_pattern_parse(name, &p, NULL), SUMI_OK);
  return p;
}

static struct sumi_solve job_of(const struct problem *p, const char *method, const char *pattern,
                                double density) {
  return (struct sumi_solve){.rows = p->rows,
                             .cols = p->cols,
                             .w = p->w,
                             .gram = p->gram,
                             .pattern = pattern_of(pattern),
                             .density = density,
                             .method = method};
}

/* Solves into p->out and p->keep; the error is that of the definition, and weights are zero where keep is. */
static double solve(struct problem *p, const struct sumi_solve *job) {
  struct sumi_err err = SUMI_ERR_INIT;
  double error = -1;
  if (sumi_solve_layer(job, sumi_allocator_default(), p->out, p->keep, &error, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  for (int64_t i = 0; i < p->rows * p->cols; i++) {
    assert_true(isfinite(p->out[i]));
    assert_true(p->keep[i] <= 1 && (p->keep[i] || p->out[i] == 0));
  }
  const double real = job->gram ? error_of(p, p->out) : error;
  if (!(fabs(error - real) <= 1e-4 * real + 1e-6)) fail_msg("says %g, is %g", error, real);
  return error;
}

/* ---- projections ------------------------------------------------------------------------------------------------ */

struct block {
  double sum;
  int64_t at;
  int64_t row, col, high, wide;
};

static int by_sum(const void *x, const void *y) {
  const struct block *a = x, *b = y;
  return a->sum != b->sum ? (a->sum < b->sum) - (a->sum > b->sum) : (a->at > b->at) - (a->at < b->at);
}

/* Sorts blocks [first, n) and keeps the best k. */
static void keep_best(struct block *block, int64_t n, int64_t k, int64_t cols, uint8_t *keep) {
  qsort(block, (size_t)n, sizeof *block, by_sum);
  for (int64_t i = 0; i < SUMI_MIN(n, k); i++)
    for (int64_t r = 0; r < block[i].high; r++)
      for (int64_t c = 0; c < block[i].wide; c++) keep[(block[i].row + r) * cols + block[i].col + c] = 1;
}

/* The projection by sorting. */
static void sorted(struct sumi_pattern p, double density, int64_t rows, int64_t cols, int64_t run,
                   const float *score, uint8_t *keep) {
  struct block *block = calloc((size_t)(rows * cols), sizeof *block);
  const bool blocks = p.kind == SUMI_PATTERN_BLOCK;
  const int64_t high = blocks ? p.a : 1, wide = blocks ? p.b : 1, group = blocks ? cols : p.b;
  int64_t n = 0;
  memset(keep, 0, (size_t)(rows * cols));
  for (int64_t r = 0; r < rows; r += high)
    for (int64_t tap = 0; tap < cols; tap += run)
      for (int64_t c = tap; c < tap + run; c += wide) {
        if (!blocks && (c - tap) % group == 0) {
          keep_best(block, n, p.a, cols, keep);
          n = 0;
        }
        struct block b = {0, n, r, c, SUMI_MIN(high, rows - r), SUMI_MIN(wide, tap + run - c)};
        for (int64_t i = 0; i < b.high * b.wide; i++)
          b.sum += (double)score[(r + i / b.wide) * cols + c + i % b.wide];
        b.sum = (double)(float)b.sum;
        block[n++] = b;
      }
  keep_best(block, n, blocks ? SUMI_MAX(1, (int64_t)llround(density * (double)n)) : p.a, cols, keep);
  free(block);
}

static const char *const patterns[] = {"1x1", "1x4", "4x4",  "16x4", "32x4", "3x5",
                                       "2:4", "1:4", "1/32", "2/32", "3/7",  "40/96"};

static void test_projection(void **state) {
  (void)state;
  static const struct {
    int64_t rows, cols, run;
  } shapes[] = {{1, 1, 1}, {36, 128, 128}, {37, 147, 3}, {5, 99, 11}, {33, 270, 270}, {64, 300, 100}};
  struct sumi_random random;
  sumi_random_init(&random, 7);
  for (size_t s = 0; s < SUMI_COUNT(shapes); s++) {
    const int64_t rows = shapes[s].rows, cols = shapes[s].cols, run = shapes[s].run, n = rows * cols;
    float *score = calloc((size_t)n, sizeof *score), *work = calloc((size_t)n, sizeof *work);
    uint8_t *got = calloc((size_t)n, 1), *want = calloc((size_t)n, 1);
    for (size_t i = 0; i < SUMI_COUNT(patterns); i++)
      for (int coarse = 0; coarse < 2; coarse++) { /* few different scores: many are equal */
        for (int64_t k = 0; k < n; k++)
          score[k] = coarse ? (float)(sumi_random_u64(&random) % 4) : (float)sumi_random_uniform(&random);
        const double density = (double)(1 + i) / 20;
        sorted(pattern_of(patterns[i]), density, rows, cols, run, score, want);
        sumi_pattern_project(pattern_of(patterns[i]), density, rows, cols, run, score, got, work);
        assert_memory_equal(got, want, (size_t)n);
        const struct sumi_mask mask = {rows, cols, got, run};
        assert_true(sumi_pattern_kept(pattern_of(patterns[i]), mask));
      }
    const struct sumi_pattern any = pattern_of("1x1");
    sumi_pattern_project(any, 0, rows, cols, run, score, got, work);
    for (int64_t k = 0; k < n; k++) assert_int_equal(got[k], 0);
    sumi_pattern_project(any, 1, rows, cols, run, score, got, work);
    for (int64_t k = 0; k < n; k++) assert_int_equal(got[k], 1);
    free(score);
    free(work);
    free(got);
    free(want);
  }
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

/* Optimal brain surgeon, exactly: of one row the weight goes that costs least, all others make up for it, the inverse shrinks by
 * it; again and again. cost[c] is what the c-th removal costs, or the dearest before it. Stops with `left` weights. */
static void remove_greedily(const double *inverse, int64_t n, const float *w0, int64_t left, double *cost,
                            double *w) {
  double *h = malloc((size_t)(n * n) * sizeof *h), most = 0;
  bool *gone = calloc((size_t)n, sizeof *gone);
  memcpy(h, inverse, (size_t)(n * n) * sizeof *h);
  for (int64_t c = 0; c < n; c++) w[c] = (double)w0[c];
  for (int64_t step = 0; step < n - left; step++) {
    int64_t q = -1;
    double least = INFINITY;
    for (int64_t c = 0; c < n; c++)
      if (!gone[c] && w[c] * w[c] / h[c * n + c] < least) least = w[q = c] * w[c] / h[c * n + c];
    cost[step] = most = fmax(most, least);
    gone[q] = true;
    const double by = w[q] / h[q * n + q];
    for (int64_t c = 0; c < n; c++) w[c] = gone[c] ? 0 : w[c] - by * h[c * n + q];
    const double d = h[q * n + q];
    for (int64_t r = 0; r < n; r++) {
      const double f = h[r * n + q] / d;
      for (int64_t c = 0; c < n && r != q; c++) h[r * n + c] -= f * h[q * n + c];
    }
    for (int64_t c = 0; c < n; c++) h[q * n + c] = 0;
  }
  free(h);
  free(gone);
}

/* By Gauss and Jordan. */
static void invert(double *a, int64_t n, double *out) {
  for (int64_t i = 0; i < n * n; i++) out[i] = i / n == i % n;
  for (int64_t q = 0; q < n; q++) {
    const double d = 1 / a[q * n + q];
    for (int64_t c = 0; c < n; c++) a[q * n + c] *= d, out[q * n + c] *= d;
    for (int64_t r = 0; r < n; r++) {
      const double f = r == q ? 0 : a[r * n + q];
      for (int64_t c = 0; c < n && f != 0; c++) {
        a[r * n + c] -= f * a[q * n + c];
        out[r * n + c] -= f * out[q * n + c];
      }
    }
  }
}

static int by_size(const void *x, const void *y) {
  const double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

/* The error of exact removal, with as many weights in each row as cost least over all rows. */
static double oracle(const struct problem *p, double density) {
  const int64_t n = p->cols, all = p->rows * n, out = all - llround(density * (double)all);
  double *h = malloc((size_t)(n * n) * sizeof *h), *inverse = malloc((size_t)(n * n) * sizeof *h);
  double *cost = calloc((size_t)all, sizeof *cost), *order = calloc((size_t)all, sizeof *cost), mean = 0;
  double *w = calloc((size_t)n, sizeof *w);
  float *solved = calloc((size_t)all, sizeof *solved);
  memcpy(h, p->gram, (size_t)(n * n) * sizeof *h);
  for (int64_t c = 0; c < n; c++) mean += h[c * n + c] / (double)n;
  for (int64_t c = 0; c < n; c++) h[c * n + c] += 0.01 * mean;
  invert(h, n, inverse);
  for (int64_t r = 0; r < p->rows; r++) remove_greedily(inverse, n, p->w + r * n, 0, cost + r * n, w);
  memcpy(order, cost, (size_t)all * sizeof *cost);
  qsort(order, (size_t)all, sizeof *order, by_size);
  for (int64_t r = 0; r < p->rows; r++) {
    int64_t gone = 0;
    while (gone < n && cost[r * n + gone] < order[out]) gone++;
    remove_greedily(inverse, n, p->w + r * n, n - gone, cost + r * n, w);
    for (int64_t c = 0; c < n; c++) solved[r * n + c] = (float)w[c];
  }
  const double error = error_of(p, solved);
  free(h);
  free(inverse);
  free(cost);
  free(order);
  free(w);
  free(solved);
  return error;
}

static void test_against_exact(void **state) {
  (void)state;
  static const struct {
    int64_t rows, cols;
    int sources;
    double noise;
  } cases[] = {{24, 96, 12, 0.3}, {16, 64, 64, 0.5}, {40, 72, 6, 0.1}};
  static const double densities[] = {0.5, 0.25, 0.1};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct problem p = make_problem(cases[i].rows, cases[i].cols, cases[i].sources, cases[i].noise, 11 + i);
    for (size_t k = 0; k < SUMI_COUNT(densities); k++) {
      double error[4];
      for (int m = 0; m < 4; m++) {
        const struct sumi_solve job = job_of(&p, sumi_solve_methods[m], "1x1", densities[k]);
        error[m] = solve(&p, &job);
      }
      const double exact = oracle(&p, densities[k]);
      if (!(error[3] <= 1.1 * exact)) fail_msg("alps %g, exact removal %g", error[3], exact);
      if (!(error[3] < 0.8 * error[2] && error[2] < error[0]))
        fail_msg("alps %g, sparsegpt %g, magnitude %g", error[3], error[2], error[0]);
    }
    free_problem(&p);
  }
}

/* Blocks or banks hold exactly what they may. */
static void check_counts(const struct sumi_solve *job, const uint8_t *keep) {
  const struct sumi_mask mask = {job->rows, job->cols, keep, job->run};
  assert_true(sumi_pattern_kept(job->pattern, mask));
  if (job->pattern.kind == SUMI_PATTERN_BLOCK) {
    const int64_t all = sumi_pattern_blocks(job->pattern, 1, job->rows, job->cols, job->run);
    const int64_t want = sumi_pattern_blocks(job->pattern, job->density, job->rows, job->cols, job->run);
    const double got = sumi_mask_block_density(mask, job->pattern.a, job->pattern.b);
    assert_int_equal(llround(got * (double)all), want);
    return;
  }
  for (int64_t r = 0; r < job->rows; r++)
    for (int64_t c = 0, next; c < job->cols; c = next) {
      int n = 0;
      next = sumi_pattern_next(c, job->pattern.b, job->run, job->cols);
      for (int64_t i = c; i < next; i++) n += keep[r * job->cols + i];
      assert_int_equal(n, SUMI_MIN(job->pattern.a, next - c));
    }
}

static void test_patterns(void **state) {
  (void)state;
  static const int64_t runs[] = {0, 11, 33};
  struct problem p = make_problem(37, 99, 20, 0.3, 3);
  for (size_t i = 0; i < SUMI_COUNT(patterns); i++)
    for (size_t k = 0; k < SUMI_COUNT(runs); k++) {
      double error[4];
      for (int m = 0; m < 4; m++) {
        struct sumi_solve job = job_of(&p, sumi_solve_methods[m], patterns[i], 0.2);
        job.run = runs[k];
        job.threads = 1 + (i == 0);
        error[m] = solve(&p, &job);
        if (m != 2) check_counts(&job, p.keep); /* SparseGPT rounds in every block of columns */
        for (int64_t c = 0; c < p.rows * p.cols && m < 2; c++)
          assert_true(p.out[c] == (p.keep[c] ? p.w[c] : 0));
      }
      const bool full = error[0] == 0; /* short runs: banks hold all they have */
      if (full ? error[3] != 0 : !(error[3] < error[0] && error[3] < error[2]))
        fail_msg("%s: alps %g, sparsegpt %g, magnitude %g", patterns[i], error[3], error[2], error[0]);
    }
  free_problem(&p);
}

/* Weights on a given mask: the gradient vanishes where weights may move. */
static void test_refit(void **state) {
  (void)state;
  static const double densities[] = {0.1, 0.9}; /* factors; conjugate gradients */
  struct problem p = make_problem(32, 96, 12, 0.3, 4);
  uint8_t *mask = malloc((size_t)(p.rows * p.cols));
  double mean = 0;
  for (int64_t c = 0; c < p.cols; c++) mean += p.gram[c * p.cols + c] / (double)p.cols;
  for (size_t k = 0; k < SUMI_COUNT(densities); k++) {
    struct sumi_solve job = job_of(&p, "wanda", "1x1", densities[k]);
    const double before = solve(&p, &job);
    memcpy(mask, p.keep, (size_t)(p.rows * p.cols));
    job = job_of(&p, NULL, "1x1", 1);
    job.keep = mask;
    assert_true(solve(&p, &job) < before);
    assert_memory_equal(mask, p.keep, (size_t)(p.rows * p.cols));
    for (int64_t r = 0; r < p.rows; r++)
      for (int64_t c = 0; c < p.cols; c++) {
        double slope = 0, size = 0;
        for (int64_t d = 0; d < p.cols; d++) {
          const double h = p.gram[c * p.cols + d] + (c == d ? 0.01 * mean : 0);
          const double gone = (double)p.w[r * p.cols + d] - (double)p.out[r * p.cols + d];
          slope += h * gone;
          size += fabs(h * gone);
        }
        /* what 30 steps leave; the error is off by its square */
        if (mask[r * p.cols + c] && !(fabs(slope) <= 5e-3 * size)) fail_msg("%g of %g", slope, size);
      }
  }
  /* a mask that forbids within a pattern */
  for (int64_t i = 0; i < p.rows * p.cols; i++) mask[i] = i % 5 != 0;
  for (int m = 0; m < 4; m++) {
    struct sumi_solve job = job_of(&p, sumi_solve_methods[m], m % 2 ? "4x4" : "2:4", 0.3);
    job.keep = mask;
    solve(&p, &job);
    for (int64_t i = 0; i < p.rows * p.cols; i++) assert_true(mask[i] || !p.keep[i]);
  }
  free(mask);
  free_problem(&p);
}

/* ---- awkward matrices ------------------------------------------------------------------------------------------- */

static void solve_all(struct problem *p) {
  for (size_t i = 0; i < SUMI_COUNT(patterns); i++)
    for (int m = 0; m < 4; m++) {
      const struct sumi_solve job = job_of(p, sumi_solve_methods[m], patterns[i], 0.2);
      const double error = solve(p, &job);
      assert_true(error >= 0 && error <= 1);
    }
}

static void test_singular(void **state) {
  (void)state;
  struct problem p = make_problem(19, 64, 3, 0, 6); /* rank 3 */
  solve_all(&p);
  for (int64_t i = 0; i < p.cols * p.cols; i++) /* every third input is always zero */
    if (i / p.cols % 3 == 0 || i % p.cols % 3 == 0) p.gram[i] = 0;
  solve_all(&p);
  struct sumi_solve job = job_of(&p, NULL, "1x1", 0.3);
  solve(&p, &job);
  for (int64_t i = 0; i < p.rows * p.cols; i++) assert_true(i % p.cols % 3 != 0 || !p.keep[i]);
  job.density = 1; /* what nothing is known of stays as it is */
  assert_true(solve(&p, &job) == 0);
  for (int64_t i = 0; i < p.rows * p.cols; i += 3) /* column 0 of each 64 and others */
    if (i % p.cols % 3 == 0) assert_true(p.out[i] == p.w[i]);
  for (int64_t i = 0; i < p.cols * p.cols; i++) p.gram[i] *= 1e-30;
  solve_all(&p);
  free_problem(&p);
}

static void test_nothing(void **state) {
  (void)state;
  struct problem p = make_problem(8, 40, 5, 0.2, 8);
  struct sumi_solve job = job_of(&p, NULL, "1x1", 0);
  assert_true(solve(&p, &job) == 1);
  job.gram = NULL; /* the identity: what is left out is what is lost */
  job.density = 0.5;
  double lost = 0, all = 0;
  const double error = solve(&p, &job);
  for (int64_t i = 0; i < p.rows * p.cols; i++) {
    all += (double)p.w[i] * (double)p.w[i];
    lost += p.keep[i] ? 0 : (double)p.w[i] * (double)p.w[i];
    assert_true(p.out[i] == (p.keep[i] ? p.w[i] : 0));
  }
  assert_true(fabs(error - lost / all) < 1e-6);
  memset(p.gram, 0, (size_t)(p.cols * p.cols) * sizeof *p.gram);
  for (int m = 0; m < 4; m++) {
    double none = -1;
    job = job_of(&p, sumi_solve_methods[m], "2:4", 0);
    assert_int_equal(sumi_solve_layer(&job, sumi_allocator_default(), p.out, p.keep, &none, NULL), SUMI_OK);
    assert_true(none == 0);
  }
  free_problem(&p);
}

static void refuse(const struct sumi_solve *job, sumi_status status, const char *why) {
  struct sumi_err err = SUMI_ERR_INIT;
  float w[64];
  uint8_t keep[64];
  double error;
  assert_int_equal(sumi_solve_layer(job, sumi_allocator_default(), w, keep, &error, &err), status);
  if (!strstr(err.text, why)) fail_msg("'%s' does not say '%s'", err.text, why);
}

static void test_refused(void **state) {
  (void)state;
  struct problem p = make_problem(4, 16, 4, 0.5, 9);
  struct sumi_solve job = job_of(&p, "best", "1x1", 0.5);
  refuse(&job, SUMI_E_ARG, "there is no method 'best'");
  job = job_of(&p, NULL, "1x1", 1.5);
  refuse(&job, SUMI_E_ARG, "density of 1.5");
  job = job_of(&p, NULL, "1x1", 0.5);
  job.run = 5;
  refuse(&job, SUMI_E_ARG, "runs of 5");
  job.run = 0;
  p.gram[3 * 16 + 2] = p.gram[2 * 16 + 3] = 1e9;
  refuse(&job, SUMI_E_VALUE, "off its diagonal");
  p.gram[3 * 16 + 2] = p.gram[2 * 16 + 3] = NAN;
  refuse(&job, SUMI_E_VALUE, "nan off its diagonal");
  p.gram[5 * 16 + 5] = -1;
  refuse(&job, SUMI_E_VALUE, "-1 on its diagonal");
  p.gram[5 * 16 + 5] = INFINITY;
  refuse(&job, SUMI_E_VALUE, "inf on its diagonal");
  p.w[7] = NAN;
  refuse(&job, SUMI_E_VALUE, "weights that are not finite");
  free_problem(&p);
}

static void test_memory(void **state) {
  (void)state;
  struct problem p = make_problem(12, 40, 5, 0.2, 10);
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (size_t i = 0; i < SUMI_COUNT(patterns); i++)
    for (int m = 0; m < 4; m++)
      for (long n = 0;; n++) {
        struct sumi_solve job = job_of(&p, sumi_solve_methods[m], patterns[i], 0.3);
        double error;
        job.threads = 1 + (i == 0);
        sumi_test_heap_fail(&heap, n);
        const sumi_status status = sumi_solve_layer(&job, a, p.out, p.keep, &error, NULL);
        assert_int_equal(heap.blocks, 0);
        assert_int_equal(status, heap.failed ? SUMI_E_MEMORY : SUMI_OK);
        if (!heap.failed) break;
      }
  free_problem(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_projection), cmocka_unit_test(test_against_exact),
      cmocka_unit_test(test_patterns),   cmocka_unit_test(test_refit),
      cmocka_unit_test(test_singular),   cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_refused),    cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

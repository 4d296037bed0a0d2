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
 * noise 0: as many columns as sources are independent, the rest follow from them. */
static struct problem make_problem(int64_t rows, int64_t cols, int sources, double noise, uint64_t seed) {
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
 * it; again and again. cost[c] is what the c-th removal costs. Stops with `left` weights. */
static void remove_greedily(const double *inverse, int64_t n, const float *w0, int64_t left, double *cost,
                            double *w) {
  double *h = malloc((size_t)(n * n) * sizeof *h);
  bool *gone = calloc((size_t)n, sizeof *gone);
  memcpy(h, inverse, (size_t)(n * n) * sizeof *h);
  for (int64_t c = 0; c < n; c++) w[c] = (double)w0[c];
  for (int64_t step = 0; step < n - left; step++) {
    int64_t q = -1;
    double least = INFINITY;
    for (int64_t c = 0; c < n; c++)
      if (!gone[c] && w[c] * w[c] / h[c * n + c] < least) least = w[q = c] * w[c] / h[c * n + c];
    cost[step] = least;
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
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct problem p = make_problem(cases[i].rows, cases[i].cols, cases[i].sources, cases[i].noise, 11 + i);
    for (int k = 0; k < 3; k++) {
      const double density = k == 0 ? 0.5 : k == 1 ? 0.25 : 0.1;
      double error[4];
      for (int m = 0; m < 4; m++) {
        const struct sumi_solve job = job_of(&p, sumi_solve_methods[m], "1x1", density);
        error[m] = solve(&p, &job);
      }
      const double exact = oracle(&p, density);
      print_message("%zu %g: magnitude %.4f wanda %.4f sparsegpt %.4f alps %.4f exact %.4f\n", i, density,
                    error[0], error[1], error[2], error[3], exact);
    }
    free_problem(&p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_projection),
      cmocka_unit_test(test_against_exact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

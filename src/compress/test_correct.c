/* Means and deviations of outputs brought back, against plain loops over samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "compress/blas.h"
#include "compress/correct.h"

enum { ROWS = 70, COLS = 12, SAMPLES = 300 }; /* rows: more than are multiplied at a time */

struct inputs {
  double x[SAMPLES][COLS];
  double gram[COLS * COLS], sum[COLS];
};

static void make_inputs(struct inputs *in, struct sumi_random *random, double shift) {
  memset(in, 0, sizeof *in);
  for (int i = 0; i < SAMPLES; i++) {
    const double common = sumi_random_normal(random);
    for (int c = 0; c < COLS; c++) in->x[i][c] = shift + common * c / COLS + sumi_random_normal(random);
    for (int c = 0; c < COLS; c++) {
      in->sum[c] += in->x[i][c];
      for (int d = 0; d < COLS; d++) in->gram[c * COLS + d] += in->x[i][c] * in->x[i][d];
    }
  }
}

static struct sumi_layer_stats stats_of(struct inputs *in) {
  return (struct sumi_layer_stats){SAMPLES, in->gram, in->sum};
}

/* Mean and deviation of scale * w x + bias. */
static void moments(const struct inputs *in, const float *w, double scale, double bias, double *mean,
                    double *deviation) {
  double sum = 0, squares = 0, y[SAMPLES];
  for (int i = 0; i < SAMPLES; i++) {
    y[i] = bias;
    for (int c = 0; c < COLS; c++) y[i] += scale * (double)w[c] * in->x[i][c];
    sum += y[i];
  }
  *mean = sum / SAMPLES;
  for (int i = 0; i < SAMPLES; i++) squares += (y[i] - *mean) * (y[i] - *mean);
  *deviation = sqrt(squares / SAMPLES);
}

struct layer {
  float dense[ROWS * COLS], sparse[ROWS * COLS], bias[ROWS], scale[ROWS], out[ROWS];
  struct inputs before, after;
  struct sumi_correct job;
};

/* Row r keeps every (1 + r % 3)-th weight; row 0 keeps none. */
static void make_layer(struct layer *l) {
  struct sumi_random random;
  sumi_random_init(&random, 21);
  make_inputs(&l->before, &random, 0.5);
  make_inputs(&l->after, &random, 0.3);
  for (int i = 0; i < ROWS * COLS; i++) {
    const int r = i / COLS, c = i % COLS;
    l->dense[i] = (float)sumi_random_normal(&random);
    l->sparse[i] = r && c % (1 + r % 3) == 0 ? l->dense[i] : 0;
    l->bias[r] = (float)r / 10;
  }
  l->job = (struct sumi_correct){
      ROWS, COLS, l->dense, l->sparse, l->bias, stats_of(&l->before), stats_of(&l->after), .most = 1e3};
}

static void test_rows(void **state) {
  (void)state;
  static struct layer l;
  if (sumi_blas_load(1, NULL) != SUMI_OK) skip();
  make_layer(&l);
  assert_int_equal(sumi_correct_rows(&l.job, sumi_allocator_default(), l.scale, l.out, NULL), SUMI_OK);
  for (int r = 0; r < ROWS; r++) {
    double mean, deviation, want_mean, want_deviation;
    moments(&l.before, l.dense + r * COLS, 1, (double)l.bias[r], &want_mean, &want_deviation);
    moments(&l.after, l.sparse + r * COLS, (double)l.scale[r], (double)l.out[r], &mean, &deviation);
    assert_true(fabs(mean - want_mean) < 1e-5);
    if (r)
      assert_true(fabs(deviation / want_deviation - 1) < 1e-5);
    else
      assert_true(l.scale[r] == 1); /* nothing is left that could be scaled */
  }
}

static void test_bound(void **state) {
  (void)state;
  static struct layer l;
  if (sumi_blas_load(1, NULL) != SUMI_OK) skip();
  make_layer(&l);
  for (int c = 0; c < COLS; c++) {
    l.sparse[1 * COLS + c] = l.dense[1 * COLS + c] / 100;
    l.sparse[2 * COLS + c] = l.dense[2 * COLS + c] * 100;
  }
  l.job.most = 0;
  assert_int_equal(sumi_correct_rows(&l.job, sumi_allocator_default(), l.scale, l.out, NULL), SUMI_OK);
  assert_true(l.scale[1] == 4 && l.scale[2] == 0.25F);
  for (int r = 1; r < 3; r++) { /* means are right all the same */
    double mean, want, deviation;
    moments(&l.before, l.dense + r * COLS, 1, (double)l.bias[r], &want, &deviation);
    moments(&l.after, l.sparse + r * COLS, (double)l.scale[r], (double)l.out[r], &mean, &deviation);
    assert_true(fabs(mean - want) < 1e-4);
  }
}

static void test_refused(void **state) {
  (void)state;
  static struct layer l;
  make_layer(&l);
  l.job.after.gram = NULL;
  assert_int_equal(sumi_correct_rows(&l.job, sumi_allocator_default(), l.scale, l.out, NULL), SUMI_E_ARG);
  make_layer(&l);
  l.job.before.samples = 0;
  assert_int_equal(sumi_correct_rows(&l.job, sumi_allocator_default(), l.scale, l.out, NULL), SUMI_E_ARG);
  make_layer(&l);
  l.job.most = 0.5;
  assert_int_equal(sumi_correct_rows(&l.job, sumi_allocator_default(), l.scale, l.out, NULL), SUMI_E_ARG);
}

static void test_memory(void **state) {
  (void)state;
  static struct layer l;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  if (sumi_blas_load(1, NULL) != SUMI_OK) skip();
  make_layer(&l);
  for (long n = 0;; n++) {
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = sumi_correct_rows(&l.job, a, l.scale, l.out, NULL);
    assert_int_equal(heap.blocks, 0);
    assert_int_equal(status, heap.failed ? SUMI_E_MEMORY : SUMI_OK);
    if (!heap.failed) break;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bound),
                                     cmocka_unit_test(test_refused), cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

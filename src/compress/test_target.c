/* Two networks side by side, runs that begin in the middle, and weights that make good what was lost before them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/size.h"
#include "compress/blas.h"
#include "compress/correct.h"
#include "compress/target.h"
#include "op/ops.h"

enum { N = 40, X = 6, P = 5, Q = 4, BATCH = 8, RUNS = N / BATCH };

/* ---- a network of three layers, its input also added behind the second ------------------------------------------ */

struct fixture {
  struct sumi_graph *dense, *now;
  struct sumi_arena arena;
  struct sumi_layer *layer; /* [3] of now */
  size_t n;
  float x[N * X];
  int64_t dims[2];
  struct sumi_view view;
  struct sumi_samples samples;
  int gets;
};

static sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views,
                       size_t *n_views, struct sumi_err *err) {
  (void)err;
  struct fixture *f = user;
  f->gets++;
  f->dims[0] = (int64_t)count;
  f->dims[1] = X;
  f->view = (struct sumi_view){sizeof f->view, "x", f->x + first * X, SUMI_FLOAT32, 2, f->dims};
  *views = &f->view;
  *n_views = 1;
  return SUMI_OK;
}

static sumi_status make_graph(struct fixture *f, const struct sumi_allocator *a) {
  static const char text[] =
      "<opset_import: [\"\": 17]> g (float[n,6] x) => (y) <float[6,5] a = {%s}, float[5,6] b = {%s}, "
      "float[6,4] c"
      " = {%s}> { h = MatMul (x, a) r = Relu (h) p = MatMul (r, b) q = Add (p, x) y = MatMul (q, c) }";
  struct sumi_random random;
  char list[3][30 * 12], all[sizeof text + sizeof list];
  sumi_random_init(&random, 4);
  for (int k = 0; k < 3; k++)
    for (int i = 0, at = 0; i < (k < 2 ? X * P : X * Q); i++)
      at += snprintf(list[k] + at, sizeof list[k] - (size_t)at, "%s%.4f", i ? ", " : "",
                     sumi_random_normal(&random));
  snprintf(all, sizeof all, text, list[0], list[1], list[2]);
  for (int i = 0; i < N * X; i++) f->x[i] = (float)(1 + sumi_random_normal(&random));
  SUMI_TRY(sumi_graph_parse(all, strlen(all), sumi_op_find, a, &f->dense, NULL));
  if (!(f->now = sumi_graph_clone(f->dense, NULL))) return SUMI_E_MEMORY;
  f->samples = (struct sumi_samples){sizeof f->samples, N, get, f};
  SUMI_TRY(sumi_layers_find(f->now, &f->arena, &f->layer, &f->n, NULL));
  float w[X * P];
  sumi_layer_read(&f->layer[0], w);
  for (int i = 0; i < X * P; i += 2) w[i] = 0;
  return sumi_layer_write(&f->layer[0], w, NULL);
}

static struct fixture *open_fixture(void) {
  struct fixture *f = calloc(1, sizeof *f);
  sumi_arena_init(&f->arena, NULL);
  assert_int_equal(make_graph(f, NULL), SUMI_OK);
  assert_int_equal(f->n, 3);
  if (sumi_blas_load(1, NULL) != SUMI_OK) skip();
  return f;
}

static void close_fixture(struct fixture *f) {
  sumi_arena_fini(&f->arena);
  sumi_graph_free(f->now);
  sumi_graph_free(f->dense);
  free(f);
}

/* ---- values as they are ----------------------------------------------------------------------------------------- */

struct values {
  int n, cols;
  double now[N][X], dense[N][X];
};

static sumi_status take(void *user, size_t which, size_t first, size_t n, const struct sumi_tensor *t,
                        struct sumi_err *err) {
  (void)which, (void)first, (void)n, (void)err;
  struct values *v = user;
  v->cols = (int)t[0].dim[1];
  for (int64_t i = 0; i < t[0].dim[0]; i++, v->n++)
    for (int c = 0; c < v->cols; c++) {
      v->now[v->n][c] = sumi_get_f64(t[0].dtype, t[0].data, i * v->cols + c);
      v->dense[v->n][c] = sumi_get_f64(t[1].dtype, t[1].data, i * v->cols + c);
    }
  return SUMI_OK;
}

static void check_product(const struct values *v, const double (*a)[X], const double (*b)[X],
                          const double *product) {
  for (int r = 0; r < v->cols; r++)
    for (int c = 0; c < v->cols; c++) {
      double want = 0, size = 0;
      for (int i = 0; i < v->n; i++) {
        want += a[i][r] * b[i][c];
        size += fabs(a[i][r] * b[i][c]);
      }
      const double got = product[r * v->cols + c];
      if (!(fabs(got - want) <= 1e-5 * size)) fail_msg("[%d, %d]: %g, not %g", r, c, got, want);
    }
}

/* The fourth of five runs. */
static void leave_out(struct values *v) {
  memcpy(v->now[3 * BATCH], v->now[4 * BATCH], BATCH * sizeof v->now[0]);
  memcpy(v->dense[3 * BATCH], v->dense[4 * BATCH], BATCH * sizeof v->dense[0]);
  v->n -= BATCH;
}

static void test_pairs(void **state) {
  (void)state;
  static const char *const inputs[] = {"x", "r", "q"};
  struct fixture *f = open_fixture();
  struct sumi_layer_pair pair[3];
  const struct sumi_calibrate c = {
      .graph = f->now, .beside = f->dense, .samples = &f->samples, .batch = BATCH};
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer, 3, &f->arena, pair, NULL), SUMI_OK);
  assert_int_equal(f->gets, RUNS); /* once for both */
  double apart = 0;
  for (int i = 0; i < 3; i++) {
    static struct values v;
    v = (struct values){0};
    assert_int_equal(sumi_calibrate_visit(&c, 0, N, &inputs[i], 1, take, &v, NULL), SUMI_OK);
    assert_int_equal(v.n, N);
    assert_true(pair[i].now.samples == N - BATCH && pair[i].beside.samples == N - BATCH);
    assert_non_null(pair[i].held);
    assert_int_equal(pair[i].held->now.samples, BATCH); /* the fourth of five runs */
    struct values held = {.n = BATCH, .cols = v.cols};
    memcpy(held.now, v.now[3 * BATCH], BATCH * sizeof held.now[0]);
    memcpy(held.dense, v.dense[3 * BATCH], BATCH * sizeof held.dense[0]);
    check_product(&held, held.dense, held.now, pair[i].held->cross);
    check_product(&held, held.now, held.now, pair[i].held->now.gram);
    leave_out(&v);
    check_product(&v, v.now, v.now, pair[i].now.gram);
    check_product(&v, v.dense, v.dense, pair[i].beside.gram);
    check_product(&v, v.dense, v.now, pair[i].cross);
    for (int k = 0; k < N; k++) apart += fabs(v.now[k][0] - v.dense[k][0]);
  }
  assert_true(apart > 1); /* else nothing was tested */
  close_fixture(f);
}

/* ---- fronts ----------------------------------------------------------------------------------------------------- */

static void same(const double *a, const double *b, int n) {
  for (int i = 0; i < n; i++) assert_true(fabs(a[i] - b[i]) <= 1e-5 * (1 + fabs(b[i])));
}

/* From a front before the second layer to one before the third, without another look at the samples. */
static void test_fronts(void **state) {
  (void)state;
  struct fixture *f = open_fixture();
  struct sumi_layer_pair want[3], got[3];
  struct sumi_front second, third;
  struct sumi_calibrate c = {.graph = f->now, .beside = f->dense, .samples = &f->samples, .batch = BATCH};
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer, 3, &f->arena, want, NULL), SUMI_OK);
  assert_int_equal(sumi_front_init(&second, f->now, f->layer[1].node->id, 2, RUNS, 1 << 20, NULL), SUMI_OK);
  assert_int_equal(second.n, 2); /* r, and x for the sum */
  c.to = &second;
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer, 1, &f->arena, got, NULL), SUMI_OK);
  assert_true(sumi_front_is_whole(&second));
  f->gets = 0;
  assert_int_equal(sumi_front_init(&third, f->now, f->layer[2].node->id, 2, RUNS, 1 << 20, NULL), SUMI_OK);
  assert_int_equal(third.n, 1);
  c.from = &second;
  c.to = &third;
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer + 1, 1, &f->arena, got + 1, NULL), SUMI_OK);
  c.from = &third;
  c.to = NULL;
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer + 2, 1, &f->arena, got + 2, NULL), SUMI_OK);
  assert_int_equal(f->gets, 0);
  for (int i = 0; i < 3; i++) {
    const int cols = (int)sumi_layer_cols(&f->layer[i]);
    assert_int_equal(got[i].now.samples, N - BATCH);
    same(got[i].now.gram, want[i].now.gram, cols * cols);
    same(got[i].beside.gram, want[i].beside.gram, cols * cols);
    same(got[i].cross, want[i].cross, cols * cols);
    same(got[i].now.sum, want[i].now.sum, cols);
  }
  sumi_front_fini(&second);
  sumi_front_fini(&third);
  close_fixture(f);
}

static void test_front_limit(void **state) {
  (void)state;
  struct fixture *f = open_fixture();
  struct sumi_layer_pair pair;
  struct sumi_front front;
  struct sumi_calibrate c = {
      .graph = f->now, .beside = f->dense, .samples = &f->samples, .batch = BATCH, .to = &front};
  assert_int_equal(sumi_front_init(&front, f->now, f->layer[1].node->id, 2, RUNS, 1000, NULL), SUMI_OK);
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer, 1, &f->arena, &pair, NULL), SUMI_OK);
  assert_true(front.full && !sumi_front_is_whole(&front));
  sumi_front_fini(&front);
  /* before the first layer there is nothing but the input */
  assert_int_equal(sumi_front_init(&front, f->now, f->layer[0].node->id, 2, RUNS, 1 << 20, NULL), SUMI_OK);
  assert_int_equal(front.n, 0);
  assert_false(sumi_front_is_whole(&front));
  sumi_front_fini(&front);
  close_fixture(f);
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

/* The squares of w x - w0 z, about their means where a bias is free, and what damping adds. */
static double error_of(const struct values *v, const float *w, const float *w0, int rows, bool free_bias,
                       double damp) {
  double all = 0;
  for (int r = 0; r < rows; r++) {
    double sum = 0, squares = 0, moved = 0;
    for (int i = 0; i < v->n; i++) {
      double e = 0;
      for (int c = 0; c < v->cols; c++)
        e += (double)w[r * v->cols + c] * v->now[i][c] - (double)w0[r * v->cols + c] * v->dense[i][c];
      sum += e;
      squares += e * e;
    }
    for (int c = 0; c < v->cols; c++) {
      const double m = (double)w[r * v->cols + c] - (double)w0[r * v->cols + c];
      moved += m * m;
    }
    all += squares - (free_bias ? sum * sum / v->n : 0) + damp * moved;
  }
  return all;
}

/* No small step anywhere lowers the error. */
static void least(bool free_bias) {
  static const char *const input[] = {"q"};
  struct fixture *f = open_fixture();
  struct sumi_layer_pair pair;
  static struct values v;
  float w0[Q * X], w[Q * X];
  double gram[X * X], damp = 0, damping;
  const struct sumi_calibrate c = {
      .graph = f->now, .beside = f->dense, .samples = &f->samples, .batch = BATCH};
  v = (struct values){0};
  assert_int_equal(sumi_calibrate_visit(&c, 0, N, input, 1, take, &v, NULL), SUMI_OK);
  leave_out(&v);
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer + 2, 1, &f->arena, &pair, NULL), SUMI_OK);
  memcpy(gram, pair.now.gram, sizeof gram);
  if (free_bias) sumi_correct_center(X, &pair.now, gram);
  sumi_layer_read(&f->layer[2], w0);
  memcpy(w, w0, sizeof w);
  assert_int_equal(sumi_target_weights(Q, X, &pair, gram, free_bias, 1, NULL, w, &damping, NULL), SUMI_OK);
  for (int i = 0; i < X; i++) damp += damping * gram[i * X + i] / X;
  const double before = error_of(&v, w0, w0, Q, free_bias, damp),
               after = error_of(&v, w, w0, Q, free_bias, damp);
  assert_true(after < 0.9 * before);
  for (int i = 0; i < Q * X; i++)
    for (int sign = -1; sign <= 1; sign += 2) {
      float moved[Q * X];
      memcpy(moved, w, sizeof w);
      moved[i] += (float)sign * 0.01F;
      assert_true(error_of(&v, moved, w0, Q, free_bias, damp) > after);
    }
  close_fixture(f);
}

/* Weights are damped more where what is learned does not hold: where the samples held out are of another kind. */
static void test_damping(void **state) {
  (void)state;
  struct fixture *f = open_fixture();
  struct sumi_layer_pair pair, other;
  float w[Q * X];
  double same = 0, apart = 0, none = 0;
  const struct sumi_calibrate c = {
      .graph = f->now, .beside = f->dense, .samples = &f->samples, .batch = BATCH};
  assert_int_equal(sumi_calibrate_pairs(&c, f->layer + 2, 1, &f->arena, &pair, NULL), SUMI_OK);
  sumi_layer_read(&f->layer[2], w);
  assert_int_equal(sumi_target_weights(Q, X, &pair, pair.now.gram, false, 1, NULL, w, &same, NULL), SUMI_OK);
  other = *pair.held; /* as if nothing had been lost there: every change is for the worse */
  memcpy(other.cross, other.now.gram, X * X * sizeof *other.cross);
  pair.held = &other;
  sumi_layer_read(&f->layer[2], w);
  assert_int_equal(sumi_target_weights(Q, X, &pair, pair.now.gram, false, 1, NULL, w, &apart, NULL), SUMI_OK);
  pair.held = NULL;
  sumi_layer_read(&f->layer[2], w);
  assert_int_equal(sumi_target_weights(Q, X, &pair, pair.now.gram, false, 1, NULL, w, &none, NULL), SUMI_OK);
  assert_true(same < none && none < apart);
  close_fixture(f);
}

static void test_weights(void **state) {
  (void)state;
  least(false);
  least(true);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static sumi_status work(const struct sumi_allocator *a) {
  struct fixture *f = calloc(1, sizeof *f);
  struct sumi_front front = {0};
  struct sumi_layer_pair pair[2];
  float w[X * P];
  double damping;
  sumi_arena_init(&f->arena, a);
  sumi_status status = make_graph(f, a);
  struct sumi_calibrate c = {.graph = f->now, .beside = f->dense, .samples = &f->samples, .to = &front};
  if (status == SUMI_OK)
    status = sumi_front_init(&front, f->now, f->layer[1].node->id, 2, RUNS, 1 << 20, NULL);
  if (status == SUMI_OK) status = sumi_calibrate_pairs(&c, f->layer, 1, &f->arena, &pair[0], NULL);
  c.from = &front;
  c.to = NULL;
  if (status == SUMI_OK) status = sumi_calibrate_pairs(&c, f->layer + 1, 1, &f->arena, &pair[1], NULL);
  if (status == SUMI_OK) sumi_layer_read(&f->layer[1], w);
  if (status == SUMI_OK)
    status = sumi_target_weights(X, P, &pair[1], pair[1].now.gram, false, 1, a, w, &damping, NULL);
  sumi_front_fini(&front);
  close_fixture(f);
  return status;
}

static void test_memory(void **state) {
  (void)state;
  if (sumi_blas_load(1, NULL) != SUMI_OK) skip();
  /* late ones are the executor's, which has tests of its own */
  const char *why = sumi_test_each_failure(work, 7);
  if (why) fail_msg("%s", why);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs),       cmocka_unit_test(test_fronts),
                                     cmocka_unit_test(test_front_limit), cmocka_unit_test(test_weights),
                                     cmocka_unit_test(test_damping),     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

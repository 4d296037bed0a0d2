/* The API against callers who are wrong: missing arguments, structs of another size, inputs that do not fit; and what
 * a session must keep promising after each: a sentence, and that it can be used again. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api_int.h"
#include "base/mem_test.h"
#include "op/ops.h"
#include "pass/pass.h"

static const char text[] = "<opset_import: [\"\": 17]> g (float[N,4] x, float[4,3] w) => (float[N,3] y, "
                           "float[N,3] z) { t = MatMul (x, w) y = Relu (t) z = Softmax (t) }";

static struct sumi_model *model_of(const struct sumi_allocator *a) {
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  if (sumi_graph_parse(text, sizeof text - 1, sumi_op_find, a, &g, NULL) != SUMI_OK) return NULL;
  if (sumi_pass_infer(g, NULL, NULL, NULL) != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return sumi_model_new(a, g, &model, NULL) == SUMI_OK ? model : NULL;
}

struct fixture {
  struct sumi_model *model;
  struct sumi_session *session;
  float x[8], w[12];
  int64_t x_dims[2], w_dims[2];
  struct sumi_view in[2], out;
};

static void set_up(struct fixture *f) {
  struct sumi_err err = SUMI_ERR_INIT;
  *f = (struct fixture){.x_dims = {2, 4}, .w_dims = {4, 3}};
  for (int i = 0; i < 8; i++) f->x[i] = (float)i;
  for (int i = 0; i < 12; i++) f->w[i] = 0.5f;
  f->in[0] = (struct sumi_view){.size = sizeof f->in[0],
                                .name = "x",
                                .data = f->x,
                                .dtype = SUMI_FLOAT32,
                                .rank = 2,
                                .dims = f->x_dims};
  f->in[1] = (struct sumi_view){.size = sizeof f->in[0],
                                .name = "w",
                                .data = f->w,
                                .dtype = SUMI_FLOAT32,
                                .rank = 2,
                                .dims = f->w_dims};
  f->out = (struct sumi_view){.size = sizeof f->out, .name = "y"};
  f->model = model_of(sumi_allocator_default());
  assert_non_null(f->model);
  assert_int_equal(sumi_session_new(f->model, NULL, &f->session, &err), SUMI_OK);
}

static void tear_down(struct fixture *f) {
  sumi_session_free(f->session);
  sumi_model_unref(f->model);
}

static void refused(struct fixture *f, sumi_status want, const char *word) {
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_session_run(f->session, f->in, 2, &f->out, 1, &err), want);
  assert_non_null(strstr(err.text, word));
  assert_int_equal(err.status, want);
}

static void wrong_arguments(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  assert_int_equal(sumi_model_load_file(NULL, NULL, &model, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_model_load_file("x", NULL, NULL, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_model_load_file("/nowhere/at/all.onnx", NULL, &model, &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "/nowhere/at/all.onnx"));
  assert_null(model);
  assert_int_not_equal(sumi_model_load_memory("not a model", 11, NULL, &model, NULL), SUMI_OK);
  assert_int_not_equal(sumi_model_load_memory(NULL, 0, NULL, &model, NULL), SUMI_OK);
  assert_int_equal(sumi_session_new(NULL, NULL, &session, NULL), SUMI_E_ARG);
  sumi_session_free(NULL);
  sumi_model_unref(NULL);
  assert_null(sumi_model_ref(NULL));
  struct fixture f;
  set_up(&f);
  const struct sumi_session_options bad[] = {{.size = sizeof bad[0], .device = "abacus"},
                                             {.size = sizeof bad[0], .isa = "mmx"},
                                             {.size = sizeof bad[0], .threads = -1}};
  for (size_t i = 0; i < SUMI_COUNT(bad); i++)
    assert_int_equal(sumi_session_new(f.model, &bad[i], &session, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_session_run(f.session, NULL, 2, NULL, 0, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_session_profile(f.session, NULL, NULL, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_session_prepare(NULL, NULL, 0, NULL), SUMI_E_ARG);
  tear_down(&f);
}

static void wrong_views(void **state) {
  (void)state;
  struct fixture f;
  struct sumi_err err = SUMI_ERR_INIT;
  set_up(&f);
#define WITH(change, status, word) \
  do {                             \
    const struct fixture keep = f; \
    change;                        \
    refused(&f, status, word);     \
    f = keep;                      \
  } while (0)
  WITH(f.in[0].size = 8, SUMI_E_ARG, "size");
  WITH(f.in[0].name = "q", SUMI_E_ARG, "'q'");
  WITH(f.in[0].name = NULL, SUMI_E_ARG, "name");
  WITH(f.in[1].name = "x", SUMI_E_ARG, "twice");
  WITH(f.in[0].dtype = SUMI_FLOAT64, SUMI_E_TYPE, "float64");
  WITH(f.in[0].rank = 3, SUMI_E_SHAPE, "rank");
  WITH(f.in[0].rank = -1, SUMI_E_SHAPE, "rank");
  WITH(f.in[0].rank = 1000, SUMI_E_SHAPE, "rank");
  WITH(f.in[0].dims = NULL, SUMI_E_ARG, "dims");
  WITH(f.x_dims[1] = 5, SUMI_E_SHAPE, "5");
  WITH(f.x_dims[0] = -3, SUMI_E_SHAPE, "-3");
  WITH(f.x_dims[0] = INT64_MAX, SUMI_E_LIMIT, "");
  WITH(f.x_dims[0] = INT64_C(1) << 40, SUMI_E_LIMIT, "");
  WITH(f.in[0].data = NULL, SUMI_E_ARG, "'x'");
  WITH(f.in[0].kind = SUMI_SEQUENCE, SUMI_E_TYPE, "'x'");
  WITH(f.out.name = "nothing", SUMI_E_ARG, "'nothing'");
  WITH((f.out.data = f.x, f.out.dtype = SUMI_FLOAT32, f.out.rank = 1, f.out.dims = f.x_dims), SUMI_E_SHAPE,
       "'y'");
  WITH((f.out.data = f.x, f.out.dtype = SUMI_INT8), SUMI_E_TYPE, "'y'");
#undef WITH
  assert_int_equal(sumi_session_run(f.session, f.in, 2, &f.out, 1, &err), SUMI_OK);
  assert_true(fabsf(((const float *)f.out.data)[0] - 3) < 1e-6f);
  tear_down(&f);
}

static void odd_values_and_shapes_run(void **state) {
  (void)state;
  struct fixture f;
  struct sumi_err err = SUMI_ERR_INIT;
  set_up(&f);
  f.x[0] = NAN;
  f.x[5] = INFINITY;
  assert_int_equal(sumi_session_run(f.session, f.in, 2, &f.out, 1, &err), SUMI_OK);
  assert_true(isnan(((const float *)f.out.data)[0]));
  f.x_dims[0] = 0; /* an empty batch */
  f.out.data = NULL;
  assert_int_equal(sumi_session_run(f.session, f.in, 2, &f.out, 1, &err), SUMI_OK);
  assert_int_equal(f.out.dims[0], 0);
  f.x_dims[0] = 2;
  float y[6] = {0}, t[6] = {0};
  const int64_t dims[] = {2, 3}, transposed[] = {1, 2};
  f.x[0] = f.x[5] = 1;
  f.out = (struct sumi_view){
      .size = sizeof f.out, .name = "z", .data = y, .dtype = SUMI_FLOAT32, .rank = 2, .dims = dims};
  assert_int_equal(sumi_session_run(f.session, f.in, 2, &f.out, 1, &err), SUMI_OK);
  f.out.data = t;
  f.out.strides = transposed;
  assert_int_equal(sumi_session_run(f.session, f.in, 2, &f.out, 1, &err), SUMI_OK);
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 3; k++) assert_true(y[i * 3 + k] == t[k * 2 + i]);
  tear_down(&f);
}

static void an_arena_limit_is_kept(void **state) {
  (void)state;
  struct fixture f;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *small;
  set_up(&f);
  const struct sumi_session_options o = {.size = sizeof o, .max_arena_bytes = 100};
  assert_int_equal(sumi_session_new(f.model, &o, &small, &err), SUMI_OK);
  assert_int_equal(sumi_session_run(small, f.in, 2, &f.out, 1, &err), SUMI_E_LIMIT);
  sumi_session_free(small);
  tear_down(&f);
}

static void *run_many(void *user) {
  struct fixture *shared = user;
  struct sumi_session *s;
  struct sumi_view out = {.size = sizeof out, .name = "y"};
  if (sumi_session_new(shared->model, NULL, &s, NULL) != SUMI_OK) return user;
  bool good = true;
  for (int i = 0; i < 200; i++) {
    out.data = NULL;
    good = good && sumi_session_run(s, shared->in, 2, &out, 1, NULL) == SUMI_OK &&
           fabsf(((const float *)out.data)[0] - 3) < 1e-6f;
  }
  sumi_session_free(s);
  return good ? NULL : user;
}

static void sessions_side_by_side(void **state) {
  (void)state;
  struct fixture f;
  pthread_t thread[4];
  set_up(&f);
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, run_many, &f), 0);
  for (int i = 0; i < 4; i++) {
    void *bad;
    pthread_join(thread[i], &bad);
    assert_null(bad);
  }
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_arguments), cmocka_unit_test(wrong_views),
                                     cmocka_unit_test(odd_values_and_shapes_run),
                                     cmocka_unit_test(an_arena_limit_is_kept),
                                     cmocka_unit_test(sessions_side_by_side)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Inputs with a default: constants, which plans are made for, until a caller gives one; then inputs; then constants again. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "base/reread.h"
#include "base/size.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

#define OPSET "<opset_import: [\"\": 17]> "

static sumi_status parse(const char *text, const struct sumi_allocator *a, struct sumi_graph **g,
                         struct sumi_err *err) {
  *g = NULL;
  SUMI_TRY(sumi_graph_parse(text, strlen(text), sumi_op_find, a, g, err));
  SUMI_TRY(sumi_pass_infer(*g, NULL, NULL, err));
  SUMI_TRY(sumi_passes_run(*g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, err));
  return sumi_pass_infer(*g, NULL, NULL, err);
}

static sumi_status make_model(const char *text, const struct sumi_allocator *a, struct sumi_model **model,
                              struct sumi_err *err) {
  struct sumi_graph *g;
  *model = NULL;
  const sumi_status status = parse(text, a, &g, err);
  if (status != SUMI_OK) {
    sumi_graph_free(g);
    return status;
  }
  return sumi_model_new(a, g, model, err);
}

static struct sumi_model *model_of(const char *text) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  if (make_model(text, sumi_allocator_default(), &model, &err) != SUMI_OK) fail_msg("%s", err.text);
  return model;
}

static struct sumi_session *session_of(struct sumi_model *model, const char *device) {
  const struct sumi_session_options o = {.size = sizeof o, .device = device};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *s;
  if (sumi_session_init(model, &o, &s, &err) != SUMI_OK) fail_msg("%s", err.text);
  return s;
}

static struct sumi_view view(const char *name, void *data, int rank, const int64_t *dims) {
  return (struct sumi_view){.size = sizeof(struct sumi_view),
                            .name = name,
                            .data = data,
                            .dtype = SUMI_FLOAT32,
                            .rank = rank,
                            .dims = dims};
}

/* ---- y = Relu(BatchNormalization(Conv(x, w))), all numbers small integers ------------------------------------------ */

#define NET                                                                                                  \
  OPSET "g (float[N,2,2,2] x, float[2,2,1,1] w = {1, 2, 3, -1}, float[2] s = {2, 3}, float[2] b = {1, -4}, " \
        "float[2] m = {0, 0}, float[2] v = {1, 1}, int64 unused = {7}) => (y) { "                            \
        "c = Conv (x, w) n = BatchNormalization <epsilon = 0.0> (c, s, b, m, v) y = Relu (n) }"

enum { NET_INPUTS = 7, MOST_ITEMS = 3, ITEM = 8, W = 1, S = 2 };

struct call {
  int64_t items;
  bool gives[NET_INPUTS]; /* w, s */
};

static const int64_t w_dims[] = {2, 2, 1, 1}, s_dims[] = {2};
static float x_data[MOST_ITEMS * ITEM], other_w[] = {5, 0, -2, 1}, other_s[] = {-1, 4};

static void fill_x(void) {
  for (int i = 0; i < MOST_ITEMS * ITEM; i++) x_data[i] = (float)(i * 5 % 7 - 3);
}

static sumi_status call(struct sumi_session *s, const struct call *c, float *y, struct sumi_err *err) {
  const int64_t dims[] = {c->items, 2, 2, 2};
  struct sumi_view in[3] = {view("x", x_data, 4, dims)}, out = {.size = sizeof out, .name = "y"};
  size_t n = 1;
  if (c->gives[S]) in[n++] = view("s", other_s, 1, s_dims);
  if (c->gives[W]) in[n++] = view("w", other_w, 4, w_dims);
  SUMI_TRY(sumi_session_execute(s, in, n, &out, 1, err));
  memcpy(y, out.data, (size_t)(c->items * ITEM) * sizeof *y);
  return SUMI_OK;
}

/* Whether y is what the plain loop gives: exactly, the numbers being small integers. */
static bool is_right(const struct call *c, const float *y) {
  static const float own_w[] = {1, 2, 3, -1}, own_s[] = {2, 3}, b[] = {1, -4};
  const float *w = c->gives[W] ? other_w : own_w, *s = c->gives[S] ? other_s : own_s;
  for (int64_t i = 0; i < c->items * ITEM; i++) {
    const int64_t item = i / ITEM, r = i / 4 % 2, p = i % 4;
    const float *x = x_data + item * ITEM + p;
    const float sum = (w[2 * r] * x[0] + w[2 * r + 1] * x[4]) * s[r] + b[r];
    if (y[i] != SUMI_MAX(sum, 0.0f)) return false;
  }
  return true;
}

static void run(struct sumi_session *s, int64_t items, bool gives_w, bool gives_s) {
  const struct call c = {.items = items, .gives = {[W] = gives_w, [S] = gives_s}};
  struct sumi_err err = SUMI_ERR_INIT;
  float y[MOST_ITEMS * ITEM];
  if (call(s, &c, y, &err) != SUMI_OK) fail_msg("%s", err.text);
  if (!is_right(&c, y))
    fail_msg("%d items, w %s, s %s", (int)items, gives_w ? "given" : "-", gives_s ? "given" : "-");
}

static size_t plans_of(const struct sumi_exec *exec) {
  size_t n = 0;
  for (const struct sumi_stage *s = exec ? exec->stages : NULL; s; s = s->next) n++;
  return n;
}

static void given_and_not_given(void **state) {
  (void)state;
  static const char *const devices[] = {"cpu", "audit", "ref-machine", "ref"};
  for (size_t d = 0; d < SUMI_COUNT(devices); d++) {
    struct sumi_model *model = model_of(NET);
    struct sumi_session *s = session_of(model, devices[d]);
    const bool machine = s->device->machine_passes;
    for (int64_t items = 1; items <= 2; items++) run(s, items, false, false);
    if (machine) { /* one step, of one node; nothing was made for what nobody asked for */
      assert_int_equal(s->graph->n_input, 1);
      assert_int_equal(s->graph->n_node, 1);
      assert_null(model->machine[SUMI_PRECISION_FILE][SUMI_DEFAULTS_OPEN]);
    }
    for (int round = 0; round < 3; round++) {
      run(s, 1, true, false);
      run(s, 2, false, true);
      run(s, 1, true, true);
      if (machine) assert_int_equal(s->graph->n_input, NET_INPUTS);
      run(s, 2, false, false);
      if (machine) assert_int_equal(s->graph->n_input, 1);
    }
    if (machine) { /* plans of both forms are remembered */
      assert_int_equal(plans_of(s->form[SUMI_DEFAULTS_FIXED]), 2);
      assert_int_equal(plans_of(s->form[SUMI_DEFAULTS_OPEN]), 3);
    }
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

static void nothing_is_allocated_while_running(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  assert_int_equal(make_model(NET, sumi_test_heap_init(&heap), &model, &err), SUMI_OK);
  struct sumi_session *s = session_of(model, "cpu");
  run(s, 1, false, false);
  run(s, 1, true, false);
  const long calls = heap.calls;
  for (int i = 0; i < 6; i++) run(s, 1, i % 2, false);
  assert_int_equal(heap.calls, calls);
  sumi_session_fini(s);
  sumi_model_unref(model);
  assert_int_equal(heap.blocks, 0);
}

static sumi_status give_and_do_not(const struct sumi_allocator *a) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  struct sumi_session *s = NULL;
  float y[ITEM];
  sumi_status status = make_model(NET, a, &model, &err);
  if (status == SUMI_OK) status = sumi_session_init(model, NULL, &s, &err);
  for (int i = 0; i < 3 && s; i++) {
    const struct call c = {.items = 1, .gives = {[W] = i == 1}};
    status = call(s, &c, y, &err);
    if (status == SUMI_E_MEMORY) status = call(s, &c, y, &err); /* and is whole afterwards */
    if (status == SUMI_OK && !is_right(&c, y)) status = SUMI_E_INTERNAL;
    if (status != SUMI_OK) break;
  }
  sumi_session_fini(s);
  sumi_model_unref(model);
  return status;
}

static void every_allocation_fails_in_turn(void **state) {
  (void)state;
  const char *wrong = sumi_test_each_failure(give_and_do_not, 1);
  if (wrong) fail_msg("%s", wrong);
}

/* ---- several sessions ----------------------------------------------------------------------------------------------- */

enum { SESSIONS = 6, RUNS = 24 };

struct caller {
  pthread_t thread;
  struct sumi_model *model;
  int number;
  char wrong[256];
};

/* Sessions 0 and 3 never give w, 1 and 4 always, 2 and 5 every other time. */
static void *run_session(void *user) {
  struct caller *c = user;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *s = NULL;
  float y[MOST_ITEMS * ITEM];
  sumi_status status = sumi_session_init(c->model, NULL, &s, &err);
  for (int i = 0; i < RUNS && status == SUMI_OK; i++) {
    const bool gives = c->number % 3 == 2 ? i % 2 : c->number % 3;
    const struct call what = {.items = 1 + i / 2 % MOST_ITEMS, .gives = {[W] = gives}};
    status = call(s, &what, y, &err);
    if (status == SUMI_OK && !is_right(&what, y)) snprintf(c->wrong, sizeof c->wrong, "run %d is wrong", i);
  }
  if (status != SUMI_OK) snprintf(c->wrong, sizeof c->wrong, "%.200s", err.text);
  sumi_session_fini(s);
  return NULL;
}

static void sessions_side_by_side(void **state) {
  (void)state;
  static struct caller caller[SESSIONS];
  struct sumi_model *model = model_of(NET);
  for (int i = 0; i < SESSIONS; i++) {
    caller[i] = (struct caller){.model = model, .number = i};
    assert_int_equal(pthread_create(&caller[i].thread, NULL, run_session, &caller[i]), 0);
  }
  for (int i = 0; i < SESSIONS; i++) pthread_join(caller[i].thread, NULL);
  for (int i = 0; i < SESSIONS; i++) assert_string_equal(caller[i].wrong, "");
  sumi_model_unref(model);
}

/* ---- what a default may be ------------------------------------------------------------------------------------------ */

static sumi_status run_one(struct sumi_session *s, const struct sumi_view *in, size_t n, const char *output,
                           int64_t count, float *y, struct sumi_err *err) {
  struct sumi_view out = {.size = sizeof out, .name = output};
  SUMI_TRY(sumi_session_execute(s, in, n, &out, 1, err));
  int64_t elements = 1;
  for (int i = 0; i < out.rank; i++) elements *= out.dims[i];
  if (elements != count) SUMI_FAIL(err, SUMI_E_SHAPE, "%d elements", (int)elements);
  memcpy(y, out.data, (size_t)count * sizeof *y);
  return SUMI_OK;
}

/* A default that is an output as well, one of an open dimension, and one that a body reads. */
static void outputs_and_bodies(void **state) {
  (void)state;
  static const char text[] =
      OPSET "g (float[2] x, float[2] w = {1, 2}, float[n] k = float[2] {10, 20}, bool up = {1}) => (y, w) { "
            "y = If (up) <then_branch = t () => (a) { b = Add (w, k) a = Mul (b, x) }, "
            "else_branch = e () => (c) { c = Sub (x, w) }> }";
  static const char *const devices[] = {"cpu", "ref"};
  static const int64_t two[] = {2}, one[] = {1};
  float x[] = {3, 5}, other[] = {4, 7}, wide[] = {100}, y[2];
  bool down = false;
  for (size_t d = 0; d < SUMI_COUNT(devices); d++) {
    struct sumi_model *model = model_of(text);
    struct sumi_session *s = session_of(model, devices[d]);
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_view in[] = {view("x", x, 1, two), view("w", other, 1, two), view("k", wide, 1, one),
                             view("up", &down, 0, NULL)};
    in[3].dtype = SUMI_BOOL;
    static const struct {
      size_t n;
      float y[2], w[2];
    } want[] = {
        {1, {33, 110}, {1, 2}}, {2, {42, 135}, {4, 7}}, {3, {312, 535}, {4, 7}}, {4, {-1, -2}, {4, 7}}};
    for (int i = 0; i < 8; i++) {
      const size_t k = (size_t)(i * 3 % 4);
      if (run_one(s, in, want[k].n, "y", 2, y, &err) != SUMI_OK) fail_msg("%s", err.text);
      assert_memory_equal(y, want[k].y, sizeof y);
      if (run_one(s, in, want[k].n, "w", 2, y, &err) != SUMI_OK) fail_msg("%s", err.text);
      assert_memory_equal(y, want[k].w, sizeof y);
    }
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

/* A network that only works with another value than the default is loaded and run with that, and says so without. */
static void defaults_that_do_not_fit(void **state) {
  (void)state;
  static const char text[] =
      OPSET "g (float[2,3] x, int64[2] shape = {4, 4}, float[3] w = {1, 2, 3}) => (y) "
            "<int64[1] one = {1}> { a = Mul (x, w) n = Mul (shape, one) y = Reshape (a, n) }";
  static const char *const devices[] = {"cpu", "ref"};
  static const int64_t dims[] = {2, 3}, two[] = {2};
  float x[] = {1, 1, 1, 2, 2, 2}, y[6];
  int64_t shape[] = {6, 1};
  for (size_t d = 0; d < SUMI_COUNT(devices); d++) {
    struct sumi_model *model = model_of(text);
    struct sumi_session *s = session_of(model, devices[d]);
    struct sumi_view in[] = {view("x", x, 2, dims), view("shape", shape, 1, two)};
    in[1].dtype = SUMI_INT64;
    for (int i = 0; i < 2; i++) {
      struct sumi_err err = SUMI_ERR_INIT;
      assert_int_equal(run_one(s, in, 1, "y", 6, y, &err), SUMI_E_SHAPE);
      if (!strstr(err.text, "Reshape")) fail_msg("%s", err.text);
      if (run_one(s, in, 2, "y", 6, y, &err) != SUMI_OK) fail_msg("%s", err.text);
      assert_true(y[2] == 3 && y[3] == 2);
    }
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

/* Weights that left memory once they were packed are there for the form in which another one is given. */
static void packed_weights_come_back(void **state) {
  (void)state;
  enum { ROWS = 32, CHANNELS = 16, PIXELS = 25 };
  static float weights[ROWS * CHANNELS], x[CHANNELS * PIXELS], bias[ROWS], y[ROWS * PIXELS];
  static const int64_t x_dims[] = {1, CHANNELS, 5, 5}, b_dims[] = {ROWS};
  struct sumi_text text;
  sumi_text_init(&text, NULL);
  sumi_text_add(&text, OPSET "g (float[1,16,5,5] x, float[32,16,1,1] w, float[32] b = {");
  for (int i = 0; i < ROWS; i++) sumi_text_add(&text, "%s%d", i ? ", " : "", i);
  sumi_text_add(&text, "}) => (y) { y = Conv (x, w, b) }");
  struct sumi_model *model = model_of(sumi_text_str(&text));
  sumi_text_fini(&text);
  for (int i = 0; i < ROWS * CHANNELS; i++) weights[i] = (float)(i % 7 - 3);
  for (int i = 0; i < CHANNELS * PIXELS; i++) x[i] = (float)(i % 5 - 2);
  struct sumi_blob *source = sumi_blob_wrap(model->graph->allocator, weights, sizeof weights, NULL, NULL);
  struct sumi_blob *copy = sumi_reread_new(model->graph->allocator, source, weights, sizeof weights);
  sumi_blob_unref(source);
  struct sumi_tensor *t = SUMI_NEW(model->graph->arena, struct sumi_tensor);
  *t = (struct sumi_tensor){
      .dtype = SUMI_FLOAT32, .rank = 4, .dim = {ROWS, CHANNELS, 1, 1}, .data = (void *)(uintptr_t)copy->data};
  sumi_graph_set_constant(sumi_graph_find_value(model->graph, "w"), t, copy);
  struct sumi_session *s = session_of(model, "cpu");
  const struct sumi_view in[] = {view("x", x, 4, x_dims), view("b", bias, 1, b_dims)};
  for (int i = 0; i < 4; i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    if (run_one(s, in, 1 + (size_t)(i % 2), "y", ROWS * PIXELS, y, &err) != SUMI_OK) fail_msg("%s", err.text);
    if (!i) assert_memory_not_equal(t->data, weights, sizeof weights); /* or this test shows nothing */
    for (int k = 0; k < ROWS * PIXELS; k++) {
      float sum = i % 2 ? 0.0f : (float)(k / PIXELS);
      for (int c = 0; c < CHANNELS; c++)
        sum += weights[k / PIXELS * CHANNELS + c] * x[c * PIXELS + k % PIXELS];
      if (y[k] != sum) fail_msg("run %d, element %d", i, k);
    }
  }
  sumi_session_fini(s);
  sumi_model_unref(model);
}

int main(void) {
  fill_x();
  const struct CMUnitTest tests[] = {cmocka_unit_test(given_and_not_given),
                                     cmocka_unit_test(nothing_is_allocated_while_running),
                                     cmocka_unit_test(every_allocation_fails_in_turn),
                                     cmocka_unit_test(sessions_side_by_side),
                                     cmocka_unit_test(outputs_and_bodies),
                                     cmocka_unit_test(defaults_that_do_not_fit),
                                     cmocka_unit_test(packed_weights_come_back)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

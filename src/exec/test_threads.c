/* Sessions of one model side by side, each in a thread of its own and with threads of its own: all give the same bits, from
 * the first run on, in which the weights are packed once for all of them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/text.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { CHANNELS = 8, SIDE = 13, IN = 3 * SIDE * SIDE, OUT = 10, SESSIONS = 6, RUNS = 20 };

static void put_constant(struct sumi_text *t, struct sumi_random *random, const char *name, int n) {
  sumi_text_add(t, "%s = {", name);
  for (int i = 0; i < n; i++) /* three of four weights are 0: lists may be sparse */
    sumi_text_add(t, "%s%d", i ? ", " : "", sumi_random_u64(random) % 4 ? 0 : 1 + i % 3);
  sumi_text_add(t, "}");
}

/* A stem with stride, a depthwise and a 1x1 convolution, a pool, a matrix product and a softmax. */
static struct sumi_model *make_model(void) {
  struct sumi_random random;
  struct sumi_text t;
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_random_init(&random, 5);
  sumi_text_init(&t, NULL);
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g (float[1,3,13,13] x) => (float[1,10] y) <");
  put_constant(&t, &random, "float[8,3,3,3] w1", CHANNELS * 3 * 9);
  put_constant(&t, &random, ", float[8,1,3,3] w2", CHANNELS * 9);
  put_constant(&t, &random, ", float[16,8,1,1] w3", 16 * CHANNELS);
  put_constant(&t, &random, ", float[16,10] w4", 16 * OUT);
  sumi_text_add(&t, "> { a = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w1) b = Relu (a) "
                    "c = Conv <group = 8, pads = [1, 1, 1, 1]> (b, w2) d = Conv (c, w3) e = Sigmoid (d) "
                    "f = GlobalAveragePool (e) h = Flatten (f) i = MatMul (h, w4) y = Softmax (i) }");
  if (sumi_graph_parse(sumi_text_str(&t), strlen(sumi_text_str(&t)), sumi_op_find, sumi_allocator_default(),
                       &g, &err) != SUMI_OK ||
      sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK ||
      sumi_model_new(sumi_allocator_default(), g, &model, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  sumi_text_fini(&t);
  return model;
}

static float x[IN];
static const int64_t x_dims[] = {1, 3, SIDE, SIDE};

struct caller {
  pthread_t thread;
  struct sumi_model *model;
  int threads;
  float y[OUT];
  char wrong[2048];
};

static void *run_session(void *user) {
  struct caller *c = user;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *s = NULL;
  const struct sumi_session_options o = {.size = sizeof o, .threads = c->threads};
  const struct sumi_view in = {
      .size = sizeof in, .name = "x", .data = x, .dtype = SUMI_FLOAT32, .rank = 4, .dims = x_dims};
  sumi_status status = sumi_session_init(c->model, &o, &s, &err);
  for (int i = 0; status == SUMI_OK && i < RUNS; i++) {
    struct sumi_view out = {.size = sizeof out, .name = "y"};
    status = sumi_session_execute(s, &in, 1, &out, 1, &err);
    if (status != SUMI_OK) break;
    if (i > 0 && memcmp(c->y, out.data, sizeof c->y) != 0)
      snprintf(c->wrong, sizeof c->wrong, "run %d gives other bits than the first", i);
    memcpy(c->y, out.data, sizeof c->y);
  }
  if (status != SUMI_OK) snprintf(c->wrong, sizeof c->wrong, "%s", err.text);
  sumi_session_fini(s);
  return NULL;
}

static void side_by_side(void **state) {
  (void)state;
  static struct caller caller[SESSIONS];
  struct sumi_model *model = make_model();
  for (int i = 0; i < IN; i++) x[i] = (float)(i * 7 % 11) / 8;
  for (int i = 0; i < SESSIONS; i++) {
    caller[i] = (struct caller){.model = model, .threads = 1 + i % 3};
    assert_int_equal(pthread_create(&caller[i].thread, NULL, run_session, &caller[i]), 0);
  }
  float sum = 0;
  for (int i = 0; i < SESSIONS; i++) pthread_join(caller[i].thread, NULL);
  for (int i = 0; i < SESSIONS; i++) {
    assert_string_equal(caller[i].wrong, "");
    assert_memory_equal(caller[i].y, caller[0].y, sizeof caller[0].y);
  }
  for (int i = 0; i < OUT; i++) sum += caller[0].y[i];
  assert_true(sum > 0.999f && sum < 1.001f);
  sumi_model_unref(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(side_by_side)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Weights that are copies leave memory once they are packed, and are there again for whoever needs them: a plan for other
 * shapes, another device, another precision, a compiled file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/reread.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { ROWS = 32, CHANNELS = 16, PIXELS = 25, MOST_BATCH = 3 };

static float weights[ROWS * CHANNELS];

/* y = Conv(x, w), with w a copy of weights. */
static struct sumi_model *open_model(const struct sumi_value **w) {
  static const char text[] = "<opset_import: [\"\": 17]> g (float[N,16,5,5] x) => (float[N,32,5,5] y) "
                             "{ [conv] y = Conv (x, x) }";
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  struct sumi_graph *g = NULL;
  for (int i = 0; i < ROWS * CHANNELS; i++) weights[i] = (float)(i % 7 - 3);
  assert_int_equal(sumi_graph_parse(text, sizeof text - 1, sumi_op_find, sumi_allocator_default(), &g, &err),
                   SUMI_OK);
  struct sumi_blob *source = sumi_blob_wrap(g->allocator, weights, sizeof weights, NULL, NULL);
  struct sumi_blob *copy = sumi_reread_new(g->allocator, source, weights, sizeof weights);
  const struct sumi_tensor t = {
      .dtype = SUMI_FLOAT32, .rank = 4, .dim = {ROWS, CHANNELS, 1, 1}, .data = (void *)(uintptr_t)copy->data};
  struct sumi_value *constant = sumi_graph_add_constant(g, "w", &t, copy);
  sumi_blob_unref(source);
  assert_non_null(constant);
  sumi_node_set_input(g->node[0], 1, constant);
  assert_int_equal(sumi_graph_tidy(g, &err), SUMI_OK);
  if (sumi_graph_verify(g, &err) != SUMI_OK || sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  assert_int_equal(sumi_model_new(sumi_allocator_default(), g, &model, &err), SUMI_OK);
  *w = sumi_graph_find_value(g, "w");
  return model;
}

static bool are_here(const struct sumi_value *w) {
  return !memcmp(w->constant->data, weights, sizeof weights);
}

static struct sumi_session *open_session(struct sumi_model *model, const char *device,
                                         const char *precision) {
  const struct sumi_session_options o = {.size = sizeof o, .device = device, .precision = precision};
  struct sumi_session *s = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_session_init(model, &o, &s, &err) != SUMI_OK) fail_msg("%s", err.text);
  return s;
}

/* All numbers are small integers: exact in every order and precision. */
static void run(struct sumi_session *s, int64_t batch) {
  static float x[MOST_BATCH * CHANNELS * PIXELS];
  const int64_t dims[] = {batch, CHANNELS, 5, 5};
  for (int i = 0; i < MOST_BATCH * CHANNELS * PIXELS; i++) x[i] = (float)(i % 5 - 2);
  const struct sumi_view in = {
      .size = sizeof in, .name = "x", .data = x, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  struct sumi_view out = {.size = sizeof out, .name = "y"};
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_session_run(s, &in, 1, &out, 1, &err) != SUMI_OK) fail_msg("%s", err.text);
  for (int64_t i = 0; i < batch * ROWS * PIXELS; i++) {
    const int64_t b = i / (ROWS * PIXELS), m = i / PIXELS % ROWS, p = i % PIXELS;
    float sum = 0;
    for (int64_t c = 0; c < CHANNELS; c++)
      sum += weights[m * CHANNELS + c] * x[(b * CHANNELS + c) * PIXELS + p];
    if (((const float *)out.data)[i] != sum) fail_msg("element %d", (int)i);
  }
}

static void packed_weights_leave(void **state) {
  (void)state;
  const struct sumi_value *w;
  struct sumi_model *model = open_model(&w);
  struct sumi_session *s = open_session(model, "cpu", NULL);
  assert_true(are_here(w));
  for (int64_t batch = 1; batch <= MOST_BATCH; batch++) { /* every shape is a plan */
    run(s, batch);
    assert_false(are_here(w));
  }
  struct sumi_session *again = open_session(model, "cpu", NULL);
  run(again, 1);
  assert_false(are_here(w));
  sumi_session_fini(again);
  sumi_session_fini(s);
  sumi_model_unref(model);
}

static void who_needs_them_has_them(void **state) {
  (void)state;
  static const char *const device[] = {"ref", "audit", "cpu"}, *const precision[] = {NULL, NULL, "bf16"};
  for (int i = 0; i < 3; i++) {
    const struct sumi_value *w;
    struct sumi_model *model = open_model(&w);
    struct sumi_session *s = open_session(model, "cpu", NULL);
    run(s, 1);
    assert_false(are_here(w));
    struct sumi_session *other = open_session(model, device[i], precision[i]);
    for (int64_t batch = 1; batch <= MOST_BATCH; batch++) {
      run(other, batch);
      run(s, batch); /* what it packs does not take them from the other */
      run(other, batch);
    }
    if (i == 0) assert_true(are_here(w)); /* the reference function reads them in every run */
    sumi_session_fini(other);
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

static void all_can_be_asked_for(void **state) {
  (void)state;
  const struct sumi_value *w;
  struct sumi_model *model = open_model(&w);
  struct sumi_session *s = open_session(model, "cpu", NULL);
  run(s, 1);
  assert_false(are_here(w));
  sumi_model_need_all(model);
  assert_true(are_here(w));
  run(s, 2);
  assert_true(are_here(w)); /* they stay */
  sumi_session_fini(s);
  sumi_model_unref(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(packed_weights_leave),
                                     cmocka_unit_test(who_needs_them_has_them),
                                     cmocka_unit_test(all_can_be_asked_for)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

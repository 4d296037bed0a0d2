/* Batches in slices: which graphs are sliced, and that a sliced batch gives what the reference device gives. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "exec/session.h"
#include "exec/slice.h"
#include "op/ops.h"
#include "pass/pass.h"

enum {
  ITEMS = 12,
  ITEM = 2 * 1024 * 1024
}; /* elements: 8 MB in float32, so that no cache holds two steps of a few items */

struct opened {
  struct sumi_model *model;
  struct sumi_session *session;
};

static void open_text(const char *text, const char *device, struct opened *o) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), &g, &err) != SUMI_OK ||
      sumi_passes_run(g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, &err) != SUMI_OK ||
      sumi_model_new(sumi_allocator_default(), g, &o->model, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  const struct sumi_session_options options = {.size = sizeof options, .device = device};
  if (sumi_session_init(o->model, &options, &o->session, &err) != SUMI_OK) fail_msg("%s", err.text);
}

static void run(struct opened *o, const float *x, const int64_t *dims, struct sumi_view *out) {
  struct sumi_err err = SUMI_ERR_INIT;
  const struct sumi_view in = {
      .size = sizeof in, .name = "x", .data = (void *)x, .dtype = SUMI_FLOAT32, .rank = 4, .dims = dims};
  *out = (struct sumi_view){.size = sizeof *out, .name = "y"};
  if (sumi_session_execute(o->session, &in, 1, out, 1, &err) != SUMI_OK) fail_msg("%s", err.text);
}

static void close_session(struct opened *o) {
  sumi_session_fini(o->session);
  sumi_model_unref(o->model);
}

/* Runs the graph twice on devices cpu and ref; sliced: whether the batch must have been. */
static void check(const char *text, bool sliced) {
  const int64_t dims[] = {ITEMS, 2, 1024, 1024};
  struct opened cpu = {0}, ref = {0};
  struct sumi_view got, want;
  float *x = malloc((size_t)ITEMS * ITEM * sizeof *x);
  struct sumi_random random;
  assert_non_null(x);
  sumi_random_init(&random, 1);
  for (int64_t i = 0; i < (int64_t)ITEMS * ITEM; i++)
    x[i] = (float)(sumi_random_u64(&random) % 1000) / 500 - 1;
  open_text(text, "cpu", &cpu);
  open_text(text, "ref", &ref);
  run(&ref, x, dims, &want);
  for (int turn = 0; turn < 2; turn++) {
    run(&cpu, x, dims, &got);
    assert_int_equal(got.rank, want.rank);
    for (int d = 0; d < got.rank; d++) assert_int_equal(got.dims[d], want.dims[d]);
    const int64_t n = sumi_view_count(&want);
    for (int64_t i = 0; i < n; i++)
      if (fabsf(((float *)got.data)[i] - ((float *)want.data)[i]) >
          1e-4f * (1 + fabsf(((float *)want.data)[i])))
        fail_msg("%s: element %lld is %g, not %g", text, (long long)i, (double)((float *)got.data)[i],
                 (double)((float *)want.data)[i]);
    const struct sumi_slicing *s = cpu.session->execs->slicings;
    assert_non_null(s);
    assert_int_equal(s->items != s->each, sliced);
    assert_null(s->next);
  }
  assert_true(cpu.session->is_static);
  close_session(&cpu);
  close_session(&ref);
  free(x);
}

#define GRAPH(body) \
  "g (float[N,2,1024,1024] x) => (y) <float[2,2,1,1] w = {1, 2, 3, -1}, float[2] b = {1, 2}> { " body " }"

static void graphs_whose_items_are_apart(void **state) {
  (void)state;
  check(GRAPH("c = Conv (x, w, b) r = Add (c, x) p = Relu (r) g = GlobalAveragePool (p) y = Flatten (g)"),
        true);
  check(GRAPH("c = Conv (x, w, b) t = Transpose <perm = [0, 2, 3, 1]> (c) "
              "axes = Constant <value_ints = [1, 2]> () y = ReduceMean <keepdims = 0> (t, axes)"),
        true);
}

static void graphs_whose_items_mix(void **state) {
  (void)state;
  check(GRAPH("c = Conv (x, w, b) s = Softmax <axis = 0> (c) y = GlobalMaxPool (s)"), false);
  /* the number of items is a factor */
  check(GRAPH("g = GlobalMaxPool (x) s = Shape <end = 1> (x) f = Cast <to = 1> (s) y = Mul (g, f)"), false);
}

/* How many items a device may take apart, in graphs over x of `items` (a symbol or a number) items, given ITEMS of them. */
static void items_of(const char *items, const char *body, int64_t want, bool apart) {
  char text[256];
  struct opened o = {0};
  struct sumi_arena arena;
  const struct sumi_info *info;
  const bool *carries;
  const int64_t dims[] = {ITEMS, 2, 3, 4};
  float x[ITEMS * 24] = {0};
  struct sumi_view y;
  snprintf(text, sizeof text, "g (float[%s,2,3,4] x) => (y) <float[2] b = {1, 2}> { %s }", items, body);
  open_text(text, "ref", &o);
  run(&o, x, dims, &y);
  assert_int_equal(sumi_items(o.session), want);
  sumi_arena_init(&arena, sumi_allocator_default());
  assert_int_equal(sumi_items_part(o.session, 3, &arena, &info, &carries), apart);
  if (apart) assert_int_equal(info[o.session->graph->output[0]->id].dim[0], 3);
  sumi_arena_fini(&arena);
  close_session(&o);
}

static void items_for_devices(void **state) {
  (void)state;
  items_of("N", "r = Relu (x) y = GlobalMaxPool (r)", ITEMS, true);
  items_of("12", "r = Relu (x) y = GlobalMaxPool (r)", ITEMS, true);
  items_of("12", "y = Softmax <axis = 0> (x)", ITEMS, false);
  items_of("12", "s = Constant <value_ints = [12, 24]> () y = Reshape (x, s)", ITEMS, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(graphs_whose_items_are_apart),
                                     cmocka_unit_test(graphs_whose_items_mix),
                                     cmocka_unit_test(items_for_devices)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Maps as inputs and outputs of sessions: what comes out of a run, what is refused, and every allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "base/size.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

/* A map's values in the order of its keys, and those of a vocabulary; a row's scores by label. */
static const char text[] =
    "g (map(int64, float) m, map(string, float) w, float[n,2] x) => (y, v, z) {\n"
    "  y = ai.onnx.ml.CastMap (m)\n"
    "  v = ai.onnx.ml.DictVectorizer <string_vocabulary = [\"b\", \"none\", \"a\"]> (w)\n"
    "  z = ai.onnx.ml.ZipMap <classlabels_strings = [\"no\", \"yes\"]> (x)\n"
    "}\n";

static sumi_status open_session(const struct sumi_allocator *a, const char *device, struct sumi_model **model,
                                struct sumi_session **session, struct sumi_err *err) {
  struct sumi_graph *g = NULL;
  *model = NULL;
  *session = NULL;
  SUMI_TRY(sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, err));
  const sumi_status status = sumi_pass_infer(g, NULL, NULL, err);
  if (status != SUMI_OK) {
    sumi_graph_free(g);
    return status;
  }
  SUMI_TRY(sumi_model_new(a, g, model, err));
  const struct sumi_session_options o = {.size = sizeof o, .device = device};
  return sumi_session_init(*model, &o, session, err);
}

/* Views of two maps and a tensor of `rows` rows. */
struct feed {
  struct sumi_view view[3], pair[2][2];
  int64_t n[2], dims[2], keys[3];
  struct sumi_str words[2];
  float values[3], x[8];
};

static void feed_init(struct feed *f, int64_t rows) {
  *f = (struct feed){.n = {3, 2},
                     .dims = {rows, 2},
                     .keys = {5, -1, 2},
                     .words = {{"a", 1}, {"b", 1}},
                     .values = {0.5f, 1.5f, 2.5f},
                     .x = {1, 2, 3, 4, 5, 6, 7, 8}};
  for (int i = 0; i < 2; i++) {
    for (int k = 0; k < 2; k++)
      f->pair[i][k] = (struct sumi_view){.size = sizeof f->view[0],
                                         .name = "",
                                         .data = k   ? (void *)f->values
                                                 : i ? (void *)f->words
                                                     : f->keys,
                                         .dtype = k   ? SUMI_FLOAT32
                                                  : i ? SUMI_STRING
                                                      : SUMI_INT64,
                                         .rank = 1,
                                         .dims = &f->n[i]};
    f->view[i] = (struct sumi_view){.size = sizeof f->view[0],
                                    .name = i ? "w" : "m",
                                    .kind = SUMI_MAP,
                                    .dtype = SUMI_FLOAT32,
                                    .items = f->pair[i],
                                    .n_items = 2};
  }
  f->view[2] = (struct sumi_view){.size = sizeof f->view[0],
                                  .name = "x",
                                  .data = f->x,
                                  .dtype = SUMI_FLOAT32,
                                  .rank = 2,
                                  .dims = f->dims};
}

static void expect_results(const struct sumi_view out[3], int64_t rows) {
  static const float by_key[] = {1.5f, 2.5f, 0.5f}, by_word[] = {1.5f, 0, 0.5f};
  assert_true(out[0].rank == 2 && out[0].dims[0] == 1 && out[0].dims[1] == 3);
  assert_memory_equal(out[0].data, by_key, sizeof by_key);
  assert_memory_equal(out[1].data, by_word, sizeof by_word);
  assert_int_equal(out[2].kind, SUMI_MAP_SEQUENCE);
  assert_int_equal(out[2].n_items, rows);
  for (int64_t r = 0; r < rows; r++) {
    const struct sumi_view *map = &out[2].items[r];
    const struct sumi_str *key = map->items[0].data;
    const float *value = map->items[1].data;
    assert_true(map->kind == SUMI_MAP && map->n_items == 2 && map->items[0].dtype == SUMI_STRING);
    assert_true(key[0].size == 2 && key[1].size == 3);
    assert_memory_equal(key[1].data, "yes", 3);
    assert_true(value[0] == (float)(2 * r + 1) && value[1] == (float)(2 * r + 2));
  }
}

static const char *const names[] = {"y", "v", "z"};

static sumi_status run(struct sumi_session *s, const struct feed *f, struct sumi_view out[3],
                       struct sumi_err *err) {
  for (int i = 0; i < 3; i++) out[i] = (struct sumi_view){.size = sizeof out[i], .name = names[i]};
  return sumi_session_execute(s, f->view, 3, out, 3, err);
}

static void results(void **state) {
  (void)state;
  static const char *const devices[] = {"ref", "cpu", "audit"};
  for (size_t d = 0; d < SUMI_COUNT(devices); d++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    struct sumi_view out[3];
    struct feed f;
    if (open_session(sumi_allocator_default(), devices[d], &model, &s, &err) != SUMI_OK)
      fail_msg("%s", err.text);
    for (int round = 0; round < 4; round++) {
      const int64_t rows = 1 + 3 * (round % 2); /* other shapes, and back */
      feed_init(&f, rows);
      if (run(s, &f, out, &err) != SUMI_OK) fail_msg("%s", err.text);
      expect_results(out, rows);
    }
    f.n[0] = 0; /* an empty map */
    assert_int_equal(run(s, &f, out, &err), SUMI_OK);
    assert_true(out[0].rank == 2 && out[0].dims[1] == 0);
    sumi_session_fini(s);
    sumi_model_unref(model);
  }
}

/* Ways in which a caller's map can be wrong. */
static void one_item(struct feed *f) { f->view[0].n_items = 1; }
static void no_items(struct feed *f) { f->view[0].items = NULL; }
static void other_lengths(struct feed *f) { f->pair[0][1].dims = &f->n[1]; }
static void other_keys(struct feed *f) { f->pair[0][0] = f->pair[1][0]; }
static void other_values(struct feed *f) { f->pair[0][1].dtype = SUMI_FLOAT64; }
static void other_type(struct feed *f) { f->view[0].dtype = SUMI_FLOAT64; }
static void other_kind(struct feed *f) { f->view[0].kind = SUMI_SEQUENCE; }
static void a_tensor(struct feed *f) { f->view[0] = f->view[2], f->view[0].name = "m"; }
static void no_keys(struct feed *f) { f->pair[0][0].data = NULL; }
static void no_dims(struct feed *f) { f->pair[0][0].dims = NULL; }
static void scalars(struct feed *f) { f->pair[0][0].rank = f->pair[0][1].rank = 0; }
static void below_zero(struct feed *f) { f->n[0] = -1; }
static void strided(struct feed *f) { f->pair[0][1].strides = &f->n[1]; }

static void wrong_maps(void **state) {
  (void)state;
  static const struct {
    void (*damage)(struct feed *);
    const char *says;
  } rows[] = {{one_item, "a map has two items, keys and values, not 1"},
              {no_items, "a map has two items, keys and values, not 0"},
              {other_lengths, "not two lists of one length"},
              {other_keys, "item 0 must be row-major int64"},
              {other_values, "item 1 must be row-major float32"},
              {other_type, "is float64, float32 is wanted"},
              {other_kind, "not of the kind"},
              {a_tensor, "not of the kind"},
              {no_keys, "item 0 has no data"},
              {no_dims, "item 0 has no dims"},
              {scalars, "not two lists of one length"},
              {below_zero, NULL},
              {strided, "item 1 must be row-major float32"}};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  struct sumi_session *s;
  struct sumi_view out[3];
  struct feed f;
  assert_int_equal(open_session(sumi_allocator_default(), "cpu", &model, &s, &err), SUMI_OK);
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct sumi_err why = SUMI_ERR_INIT;
    feed_init(&f, 2);
    rows[i].damage(&f);
    const sumi_status status = run(s, &f, out, &why);
    if (status == SUMI_OK || !*why.text || (rows[i].says && !strstr(why.text, rows[i].says)))
      fail_msg("row %zu: status %d, '%s'", i, status, why.text);
  }
  feed_init(&f, 2);
  assert_int_equal(run(s, &f, out, &err), SUMI_OK); /* it still works */
  expect_results(out, 2);
  sumi_session_fini(s);
  sumi_model_unref(model);
}

static void every_allocation_fails_in_turn(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (size_t n = 1;; n++) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model;
    struct sumi_session *s;
    struct sumi_view out[3];
    struct feed f;
    feed_init(&f, 3);
    sumi_test_heap_fail(&heap, n);
    sumi_status status = open_session(a, "cpu", &model, &s, &err);
    if (status == SUMI_OK) status = run(s, &f, out, &err);
    if (status == SUMI_OK) expect_results(out, 3);
    sumi_session_fini(s);
    sumi_model_unref(model);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) {
      assert_int_equal(status, SUMI_OK);
      assert_true(n > 20);
      return;
    }
    assert_true(status == SUMI_E_MEMORY || status == SUMI_OK);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(results), cmocka_unit_test(wrong_maps),
                                     cmocka_unit_test(every_allocation_fails_in_turn)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

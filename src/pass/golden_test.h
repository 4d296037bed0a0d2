/* Golden graphs for tests of passes: text in, text out, compared as the printer writes them. For test files only. */
#ifndef SUMI_PASS_GOLDEN_TEST_H
#define SUMI_PASS_GOLDEN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "op/ops.h"
#include "pass/pass.h"

#define OPSET "<opset_import: [\"\": 17, \"com.microsoft\": 1]> "

static inline struct sumi_graph *parse(const char *text) {
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), &g, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, text);
  return g;
}

static inline char *print(const struct sumi_graph *g) {
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_graph_print(g, 64, false, &t);
  char *copy = strdup(sumi_text_str(&t));
  sumi_text_fini(&t);
  return copy;
}

/* The pass makes after of before. */
static inline void check(const char *pass, const char *before, const char *after) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = parse(before), *want = parse(after);
  assert_non_null(sumi_pass_find(pass));
  if (sumi_pass_infer(want, NULL, NULL, &err) != SUMI_OK || sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK ||
      sumi_pass_run(sumi_pass_find(pass), g, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, before);
  char *got_text = print(g), *want_text = print(want);
  assert_string_equal(got_text, want_text);
  free(got_text);
  free(want_text);
  sumi_graph_free(g);
  sumi_graph_free(want);
}

static inline void unchanged(const char *pass, const char *graph) { check(pass, graph, graph); }

/* All passes with the n-th allocation failing, for every n: nothing is lost, and the status says so. */
static inline void survives_failed_allocations_at(enum sumi_precision precision, const char *text) {
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    struct sumi_graph *g = NULL;
    sumi_test_heap_fail(&heap, -1);
    assert_int_equal(sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, NULL), SUMI_OK);
    sumi_test_heap_fail(&heap, n);
    sumi_status status = sumi_pass_infer(g, NULL, NULL, NULL);
    if (status == SUMI_OK) status = sumi_passes_run(g, SUMI_PASS_PORTABLE, precision, NULL, NULL);
    if (status == SUMI_OK) status = sumi_passes_run(g, SUMI_PASS_MACHINE, precision, NULL, NULL);
    sumi_graph_free(g);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) {
      assert_int_equal(status, SUMI_OK);
      assert_true(n > 10);
      break;
    }
    assert_true(status == SUMI_E_MEMORY || status == SUMI_OK);
  }
}

static inline void survives_failed_allocations(const char *text) {
  survives_failed_allocations_at(SUMI_PRECISION_FILE, text);
}

#endif

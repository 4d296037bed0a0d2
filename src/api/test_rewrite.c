/* A model's file written back with changes, from a model as callers load it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api_int.h"
#include "onnx/bytes_test.h"

static const char onnx[] = "rewritten_test.onnx", compiled[] = "rewritten_test.sumi";

/* y = x + w, from memory. */
static struct sumi_model *load_sample(struct bytes *file) {
  static const float w[] = {1, 2};
  struct bytes g = {0};
  *file = model_bytes(8, 17);
  put_message(&g, 1, node_bytes("Add", "x,w", "y"));
  put_message(&g, 5, raw_tensor_bytes("w", 1, "2", w, sizeof w));
  put_message(&g, 11, value_bytes("x", 1, "2"));
  put_message(&g, 12, value_bytes("y", 1, "2"));
  put_message(file, 7, g);
  struct sumi_model *model;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_model_load_memory(file->data, file->n, NULL, &model, &err) != SUMI_OK) fail_msg("%s", err.text);
  return model;
}

static void writes_what_a_graph_was_made_to_be(void **state) {
  (void)state;
  static const float other[] = {3, 4};
  const struct sumi_tensor t = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {2}, .data = (void *)other};
  struct sumi_change change = {SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &t};
  const struct sumi_changes changes = {.change = &change, .n = 1};
  struct sumi_err err = SUMI_ERR_INIT;
  struct bytes file;
  struct sumi_model *model = load_sample(&file), *again;
  assert_int_equal(sumi_model_rewrite(model, &changes, NULL, &err), SUMI_E_ARG);
  sumi_err_clear(&err);
  if (sumi_model_rewrite(model, &changes, onnx, &err) != SUMI_OK) fail_msg("%s", err.text);
  sumi_model_unref(model);
  free(file.data);
  for (int round = 0; round < 2; round++) { /* the second over the file that is loaded */
    if (sumi_model_load_file(onnx, NULL, &again, &err) != SUMI_OK) fail_msg("%s", err.text);
    const struct sumi_value *w = sumi_names_find(&again->graph->value_names, "w");
    assert_memory_equal(w->constant->data, other, sizeof other);
    if (sumi_model_rewrite(again, &changes, onnx, &err) != SUMI_OK) fail_msg("%s", err.text);
    sumi_model_unref(again);
  }
  assert_int_equal(unlink(onnx), 0);
}

static void refuses_models_of_no_onnx_file(void **state) {
  (void)state;
  const struct sumi_changes none = {0};
  struct sumi_err err = SUMI_ERR_INIT;
  struct bytes file;
  struct sumi_model *model = load_sample(&file), *again;
  if (sumi_model_compile_file(model, compiled, NULL, &err) != SUMI_OK) fail_msg("%s", err.text);
  sumi_model_unref(model);
  free(file.data);
  if (sumi_model_load_file(compiled, NULL, &again, &err) != SUMI_OK) fail_msg("%s", err.text);
  assert_int_equal(sumi_model_rewrite(again, &none, onnx, &err), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "a compiled model is not written back"));
  sumi_model_unref(again);
  assert_int_not_equal(access(onnx, F_OK), 0);
  assert_int_equal(unlink(compiled), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(writes_what_a_graph_was_made_to_be),
                                     cmocka_unit_test(refuses_models_of_no_onnx_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

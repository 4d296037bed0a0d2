/* libFuzzer target: any bytes as an ONNX model, and as test data of each kind. What is taken is also
 * cloned, and its shapes are inferred. Limits are small, so that time goes into the reader and not into
 * memory. */
#include "onnx/import.h"
#include "onnx_mutator.h"
#include "pass/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct sumi_limits limits = {.size = sizeof limits,
                                          .max_file_bytes = 16 << 20,
                                          .max_nodes = 2000,
                                          .max_values = 8000,
                                          .max_attr_items = 4096,
                                          .max_name_bytes = 1024,
                                          .max_tensor_bytes = 1 << 20};

static void check(bool good) {
  if (!good) __builtin_trap();
}

static void try_model(const uint8_t *data, size_t n) {
  struct sumi_blob *blob = sumi_blob_wrap(sumi_allocator_default(), data, n, NULL, NULL);
  const struct sumi_onnx_source src = {.file = blob, .limits = &limits};
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_onnx_import(&src, NULL, &g, &err);
  check(status == SUMI_OK ? g != NULL : g == NULL && err.status == status && err.text[0]);
  check(status != SUMI_E_INTERNAL);
  if (g) {
    struct sumi_graph *copy = sumi_graph_clone(g, NULL);
    check(sumi_pass_infer(g, NULL, NULL, &err) == err.status);
    sumi_graph_free(g);
    if (copy) check(sumi_graph_verify(copy, NULL) == SUMI_OK);
    sumi_graph_free(copy);
  }
  sumi_blob_unref(blob);
}

static void try_value(const uint8_t *data, size_t n, sumi_kind kind) {
  struct sumi_arena arena;
  struct sumi_tensor *t;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_arena_init(&arena, NULL);
  const sumi_status status = sumi_onnx_value_read(data, n, kind, &limits, &arena, &t, &err);
  check(status == SUMI_OK ? t != NULL : t == NULL && err.text[0]);
  sumi_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  try_model(data, n);
  try_value(data, n, SUMI_TENSOR);
  try_value(data, n, SUMI_SEQUENCE);
  try_value(data, n, SUMI_OPTIONAL);
  return 0;
}

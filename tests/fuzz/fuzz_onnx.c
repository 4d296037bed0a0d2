/* libFuzzer target: any bytes as an ONNX model, and as test data of each kind. What is taken is also
 * cloned, its shapes are inferred, and it is written anew. Limits are small, so that time goes into the reader and not into
 * memory. */
#include "base/text.h"
#include "onnx/rewrite.h"
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

static sumi_status collect(void *user, const void *bytes, size_t n, struct sumi_err *err) {
  (void)err;
  sumi_text_add_bytes(user, bytes, n);
  return SUMI_OK;
}

static sumi_status rewrite(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                           struct sumi_text *out) {
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_text_init(out, sumi_allocator_default());
  const sumi_status status = sumi_onnx_rewrite_to(src, changes, NULL, collect, out, &err);
  check(status == SUMI_OK ? !err.text[0] : err.status == status && err.text[0] && !out->size);
  check(status != SUMI_E_INTERNAL);
  return status;
}

/* Without changes the bytes are the same; what changes leave of a model that is taken is a file that can be written
 * again. g: the model, where it is taken. */
static void try_rewrite(const struct sumi_onnx_source *src, const struct sumi_graph *g) {
  static const float one = 1;
  static const struct sumi_tensor scalar = {.dtype = SUMI_FLOAT32, .data = (void *)&one};
  struct sumi_changes c;
  struct sumi_text out;
  sumi_changes_init(&c, NULL);
  const sumi_status status = rewrite(src, &c, &out); /* it counts more against the limits: value_info */
  if (status == SUMI_OK) check(out.size == src->file->bytes && !memcmp(out.data, src->file->data, out.size));
  check(status == SUMI_OK || !g || status == SUMI_E_LIMIT);
  sumi_text_fini(&out);
  for (size_t i = 0; g && i < g->n_value && i < 16; i++)
    if (g->value[i]->constant && g->value[i]->constant->dtype != SUMI_STRING)
      sumi_changes_add(&c,
                       &(struct sumi_change){SUMI_CHANGE_CONSTANT, .name = g->value[i]->name,
                                             .tensor = g->value[i]->constant},
                       NULL);
  for (size_t i = 0; g && i < g->n_node && i < 16; i++)
    if (g->node[i]->n_in && g->node[i]->in[0] && g->node[i]->n_out && g->node[i]->out[0])
      sumi_changes_add(&c,
                       &(struct sumi_change){SUMI_CHANGE_INPUT, .node = g->node[i]->out[0]->name,
                                             .name = g->node[i]->in[0]->name},
                       NULL);
  sumi_changes_add(&c, &(struct sumi_change){SUMI_CHANGE_CONSTANT, .name = "new", .tensor = &scalar}, NULL);
  sumi_changes_add(&c, &(struct sumi_change){SUMI_CHANGE_METADATA, .name = "key", .text = "text"}, NULL);
  if (rewrite(src, &c, &out) == SUMI_OK) {
    struct sumi_blob *blob = sumi_blob_wrap(sumi_allocator_default(), out.data, out.size, NULL, NULL);
    const struct sumi_onnx_source again = {.file = blob, .limits = src->limits};
    struct sumi_text last;
    c.n = 0;
    const sumi_status then = rewrite(&again, &c, &last);
    check(then == SUMI_OK || then == SUMI_E_LIMIT);
    sumi_text_fini(&last);
    sumi_blob_unref(blob);
  }
  sumi_text_fini(&out);
  sumi_changes_fini(&c);
}

static void try_model(const uint8_t *data, size_t n) {
  struct sumi_blob *blob = sumi_blob_wrap(sumi_allocator_default(), data, n, NULL, NULL);
  const struct sumi_onnx_source src = {.file = blob, .limits = &limits};
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_onnx_import(&src, NULL, &g, &err);
  check(status == SUMI_OK ? g != NULL : g == NULL && err.status == status && err.text[0]);
  check(status != SUMI_E_INTERNAL);
  try_rewrite(&src, g);
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

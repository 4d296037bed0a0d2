/* A compiled model's bytes to a model. What the portable passes did is in the file already; they run again, because a newer
 * library may know more of them, and find nothing to do. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "file/compiled.h"
#include "pass/pass.h"

/* file where its bytes are aligned, as mapped ones are; else an aligned copy. */
static struct sumi_blob *aligned(struct sumi_blob *take_file, const struct sumi_allocator *a) {
  if ((uintptr_t)take_file->data % SUMI_ALIGN == 0) return take_file;
  struct sumi_blob *copy = sumi_blob_new(a, take_file->bytes);
  if (copy) memcpy(sumi_blob_bytes(copy), take_file->data, take_file->bytes);
  sumi_blob_unref(take_file);
  return copy;
}

static sumi_status read_all(struct sumi_model *model, struct sumi_err *err) {
  struct sumi_compiled c;
  SUMI_TRY(sumi_compiled_open(model->source, &c, err));
  SUMI_TRY(sumi_compiled_graph(&c, model->source, &model->limits, &model->allocator, &model->graph, err));
  SUMI_TRY(sumi_compiled_packs(&c, model->source, model->graph->arena, &model->stored, err));
  SUMI_TRY(sumi_pass_infer(model->graph, NULL, NULL, err));
  if (model->keep_graph_as_is) return SUMI_OK;
  SUMI_TRY(sumi_passes_run(model->graph, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, err));
  return sumi_pass_infer(model->graph, NULL, NULL, err);
}

sumi_status sumi_compiled_load(struct sumi_blob *take_file, const struct sumi_limits *limits,
                               bool keep_graph_as_is, const struct sumi_allocator *a, struct sumi_model **out,
                               struct sumi_err *err) {
  struct sumi_model *model = NULL;
  if (take_file->bytes > limits->max_file_bytes) {
    const size_t bytes = take_file->bytes;
    sumi_blob_unref(take_file);
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has %zu bytes, the limit is %zu", bytes, limits->max_file_bytes);
  }
  struct sumi_blob *file = aligned(take_file, a);
  if (!file) SUMI_FAIL_MEMORY(err);
  sumi_status status = sumi_model_new(a, NULL, &model, err);
  if (status != SUMI_OK) {
    sumi_blob_unref(file);
    return status;
  }
  model->source = file;
  model->limits = *limits;
  model->keep_graph_as_is = keep_graph_as_is;
  status = read_all(model, err);
  if (status != SUMI_OK)
    sumi_model_unref(model);
  else
    *out = model;
  return status;
}

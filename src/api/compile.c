/* Compiled models, as callers write and examine them. */
#include "api/api_int.h"
#include "file/compiled.h"

sumi_status sumi_model_compile_file(const struct sumi_model *model, const char *path,
                                    const struct sumi_compile_options *options, struct sumi_err *err) {
  struct sumi_compile_options o;
  SUMI_TAKE(o, options);
  if (!model) SUMI_FAIL(err, SUMI_E_ARG, "no model is given");
  if (!path || !*path) SUMI_FAIL(err, SUMI_E_ARG, "no path is given");
  SUMI_TRY(sumi_views_check(o.inputs, o.n_inputs, "input", err));
  const struct sumi_compile job = {options != NULL, o.inputs, o.n_inputs};
  return sumi_compiled_write(model, path, &job, err);
}

static sumi_status source_of(const struct sumi_model *model, const struct sumi_blob **out,
                             struct sumi_err *err) {
  if (!model) SUMI_FAIL(err, SUMI_E_ARG, "no model is given");
  *out = model->source;
  if (!*out || !sumi_compiled_is((*out)->data, (*out)->bytes))
    SUMI_FAIL(err, SUMI_E_STATE, "the model was not loaded from a compiled file");
  return SUMI_OK;
}

sumi_status sumi_model_compiled(const struct sumi_model *model, struct sumi_compiled_info *info,
                                struct sumi_err *err) {
  const struct sumi_blob *file;
  if (!info) SUMI_FAIL(err, SUMI_E_ARG, "no place for what is known is given");
  SUMI_TRY(source_of(model, &file, err));
  const struct sumi_stored *s = &model->stored;
  struct sumi_compiled_info own = {.library = s->library,
                                   .isa = s->isa,
                                   .graph_bytes = s->graph_bytes,
                                   .weight_bytes = s->weight_bytes,
                                   .packed_bytes = s->packed_bytes,
                                   .is_for_here = s->is_for_here};
  SUMI_GIVE(info, own);
  return SUMI_OK;
}

sumi_status sumi_model_verify(const struct sumi_model *model, struct sumi_err *err) {
  const struct sumi_blob *file;
  struct sumi_compiled c;
  SUMI_TRY(source_of(model, &file, err));
  SUMI_TRY(sumi_compiled_open(file, &c, err));
  return sumi_compiled_verify(&c, file, err);
}

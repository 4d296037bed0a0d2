/* Making networks sparse, as callers ask for it. */
#include <sumi/compress.h>
#include <unistd.h>

#include "api/api_int.h"
#include "compress/prune.h"
#include "file/compiled.h"

static sumi_status check_model(const struct sumi_model *model, const char *who, struct sumi_err *err) {
  if (!model->source) SUMI_FAIL(err, SUMI_E_STATE, "the %s was not loaded from a file", who);
  if (sumi_compiled_is(model->source->data, model->source->bytes))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the %s is a compiled file; give the ONNX file it was made of", who);
  return SUMI_OK;
}

static sumi_status check(const struct sumi_model *model, const char *path, const struct sumi_prune_options *o,
                         struct sumi_samples *samples, struct sumi_samples *tune_samples,
                         struct sumi_err *err) {
  if (!model) SUMI_FAIL(err, SUMI_E_ARG, "no model is given");
  if (!path || !*path) SUMI_FAIL(err, SUMI_E_ARG, "no path is given");
  if ((o->n_layers && !o->layers) || (o->n_skip && !o->skip))
    SUMI_FAIL(err, SUMI_E_ARG, "%zu names of layers, but no array of them", o->n_layers + o->n_skip);
  SUMI_TAKE(*samples, o->samples);
  SUMI_TAKE(*tune_samples, o->tune_samples);
  if ((o->samples && !samples->get) || (o->tune_samples && !tune_samples->get))
    SUMI_FAIL(err, SUMI_E_ARG, "the samples lack a function");
  SUMI_TRY(check_model(model, "model", err));
  return o->teacher ? check_model(o->teacher, "teacher", err) : SUMI_OK;
}

/* With the model's graph read again and the list of changes at hand. */
static sumi_status prune_file(const struct sumi_model *model, const char *path,
                              const struct sumi_prune_options *o, struct sumi_graph *graph,
                              const struct sumi_graph *teacher, struct sumi_changes *changes,
                              struct sumi_prune_info *info, struct sumi_err *err) {
  const uint64_t hash = sumi_hash(model->source->data, model->source->bytes, 0);
  SUMI_TRY(sumi_prune(graph, teacher, hash, o, changes, info, err));
  SUMI_TRY(sumi_model_rewrite(model, changes, path, err));
  if (o->state) unlink(o->state);
  return SUMI_OK;
}

sumi_status sumi_model_prune_file(const struct sumi_model *model, const char *path,
                                  const struct sumi_prune_options *options, struct sumi_prune_info *info,
                                  struct sumi_err *err) {
  struct sumi_prune_options o;
  struct sumi_samples samples, tune_samples;
  struct sumi_prune_info own;
  struct sumi_graph *graph = NULL, *teacher = NULL;
  struct sumi_changes changes;
  SUMI_TAKE(o, options);
  SUMI_TRY(check(model, path, &o, &samples, &tune_samples, err));
  if (o.samples) o.samples = &samples;
  if (o.tune_samples) o.tune_samples = &tune_samples;
  SUMI_TRY(sumi_model_import_again(model, &graph, err));
  sumi_changes_init(&changes, &model->allocator);
  sumi_status status = o.teacher ? sumi_model_import_again(o.teacher, &teacher, err) : SUMI_OK;
  if (status == SUMI_OK) status = prune_file(model, path, &o, graph, teacher, &changes, &own, err);
  sumi_changes_fini(&changes);
  sumi_graph_free(teacher);
  sumi_graph_free(graph);
  if (status == SUMI_OK && info) SUMI_GIVE(info, own);
  return status;
}

/* Networks in 8 bits, as callers ask for it. */
#include <stdlib.h>
#include <sumi/compress.h>

#include "api/api_int.h"
#include "compress/quantize.h"
#include "file/compiled.h"

static sumi_status check(const struct sumi_model *model, const char *path, struct sumi_quantize_options *o,
                         struct sumi_samples *samples, struct sumi_err *err) {
  if (!model) SUMI_FAIL(err, SUMI_E_ARG, "no model is given");
  if (!path || !*path) SUMI_FAIL(err, SUMI_E_ARG, "no path is given");
  if (o->n_keep && !o->keep)
    SUMI_FAIL(err, SUMI_E_ARG, "%zu names of layers, but no array of them", o->n_keep);
  if (!o->samples) SUMI_FAIL(err, SUMI_E_ARG, "there are no samples to calibrate with");
  SUMI_TAKE(*samples, o->samples);
  o->samples = samples;
  if (!samples->get) SUMI_FAIL(err, SUMI_E_ARG, "the samples lack a function");
  if (!model->source) SUMI_FAIL(err, SUMI_E_STATE, "the model was not loaded from a file");
  if (sumi_compiled_is(model->source->data, model->source->bytes))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the model is a compiled file; give the ONNX file it was made of");
  return SUMI_OK;
}

/* The version of ai.onnx that the file imports; 0 = none. */
static int opset_of(const struct sumi_model *model) {
  const char *key, *value;
  for (size_t i = 0; sumi_model_fact(model, i, &key, &value); i++)
    if (sumi_streq(key, "opset.ai.onnx")) return atoi(value);
  return 0;
}

sumi_status sumi_model_quantize_file(const struct sumi_model *model, const char *path,
                                     const struct sumi_quantize_options *options, struct sumi_err *err) {
  struct sumi_quantize_options o;
  struct sumi_samples samples;
  struct sumi_graph *graph = NULL;
  struct sumi_quantized result;
  SUMI_TAKE(o, options);
  SUMI_TRY(check(model, path, &o, &samples, err));
  SUMI_TRY(sumi_model_import_again(model, &graph, err));
  sumi_status status = sumi_quantize(graph, opset_of(model), &o, &model->allocator, &result, err);
  if (status == SUMI_OK) status = sumi_model_rewrite(model, &result.changes, path, err);
  for (size_t i = 0; i < result.n_layer && status == SUMI_OK && o.on_layer; i++)
    o.on_layer(o.user, &result.layer[i]);
  sumi_quantized_fini(&result);
  sumi_graph_free(graph);
  return status;
}

/* Models: loading, inputs and outputs, metadata. Argument checks, then the rooms below. */
#include "api/api_int.h"
#include "base/file.h"
#include "base/limits.h"
#include "file/compiled.h"
#include "onnx/rewrite.h"
#include "pass/pass.h"

struct refusals {
  const struct sumi_model_options *options;
  struct sumi_err *err;
  size_t n;
  sumi_status first;
};

/* A node whose shapes or attributes cannot be right: reported like the importer's refusals, all at once. */
static void on_infer_fail(void *user, const struct sumi_node *node, const struct sumi_err *why) {
  struct refusals *r = user;
  if (!r->n++) r->first = why->status;
  if (r->options->on_refusal) {
    const struct sumi_refusal refusal = {node->name, node->op_name, node->version, why->text};
    r->options->on_refusal(r->options->user, &refusal);
  }
  if (!r->err) return;
  const size_t used = strlen(r->err->text);
  snprintf(r->err->text + used, sizeof r->err->text - used, "%s%s", used ? "\n" : "", why->text);
}

static sumi_status infer(struct sumi_graph *g, const struct sumi_model_options *options,
                         struct sumi_err *err) {
  struct refusals r = {options, err, 0, SUMI_OK};
  struct sumi_err own = SUMI_ERR_INIT;
  const sumi_status status = sumi_pass_infer(g, on_infer_fail, &r, &own);
  if (status != SUMI_OK) SUMI_FAIL(err, status, "%s", own.text);
  if (r.n && err) err->status = r.first;
  return r.first;
}

static sumi_status import(const struct sumi_allocator *a, struct sumi_blob *blob, const char *folder,
                          const struct sumi_model_options *o, const struct sumi_limits *limits,
                          struct sumi_graph **out, struct sumi_err *err) {
  const struct sumi_onnx_source source = {
      .file = blob, .folder = folder, .limits = limits, .on_refusal = o->on_refusal, .user = o->user};
  return sumi_onnx_import(&source, a, out, err);
}

/* Everything from the file's bytes to a model. take_blob and folder are kept. */
static sumi_status load(struct sumi_blob *take_blob, const char *folder, const struct sumi_model_options *o,
                        const struct sumi_allocator *a, struct sumi_model **out, struct sumi_err *err) {
  const struct sumi_limits limits = sumi_limits_fill(o->limits);
  struct sumi_graph *graph = NULL;
  struct sumi_model *model = NULL;
  if (sumi_compiled_is(take_blob->data, take_blob->bytes))
    return sumi_compiled_load(take_blob, &limits, o->keep_graph_as_is, a, out, err);
  /* the model comes first: its graphs keep a pointer to its copy of the allocator */
  sumi_status status = sumi_model_new(a, NULL, &model, err);
  if (status != SUMI_OK) {
    sumi_blob_unref(take_blob);
    return status;
  }
  model->source = take_blob;
  model->limits = limits;
  model->keep_graph_as_is = o->keep_graph_as_is;
  if (folder) {
    model->folder_bytes = strlen(folder) + 1;
    model->folder = sumi_alloc(a, model->folder_bytes);
    if (model->folder) memcpy(model->folder, folder, model->folder_bytes);
    if (!model->folder) status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  }
  if (status == SUMI_OK)
    status = import(&model->allocator, take_blob, model->folder, o, &limits, &graph, err);
  model->graph = graph;
  if (status == SUMI_OK) status = infer(graph, o, err);
  if (status == SUMI_OK && !o->keep_graph_as_is)
    status = sumi_passes_run(graph, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, err);
  if (status == SUMI_OK && !o->keep_graph_as_is) status = infer(graph, o, err);
  if (status != SUMI_OK)
    sumi_model_unref(model);
  else
    *out = model;
  return status;
}

static const struct sumi_allocator *allocator_of(const struct sumi_model_options *o) {
  return o->allocator ? o->allocator : sumi_allocator_default();
}

static sumi_status check(const struct sumi_model_options *options, struct sumi_model_options *o,
                         struct sumi_model **model, struct sumi_err *err) {
  SUMI_TAKE(*o, options);
  if (!model) SUMI_FAIL(err, SUMI_E_ARG, "no place for the model is given");
  *model = NULL;
  if (o->allocator && (!o->allocator->alloc || !o->allocator->free))
    SUMI_FAIL(err, SUMI_E_ARG, "the allocator lacks a function");
  return SUMI_OK;
}

sumi_status sumi_model_load_file(const char *path, const struct sumi_model_options *options,
                                 struct sumi_model **model, struct sumi_err *err) {
  struct sumi_model_options o;
  SUMI_TRY(check(options, &o, model, err));
  if (!path) SUMI_FAIL(err, SUMI_E_ARG, "no path is given");
  const struct sumi_allocator *a = allocator_of(&o);
  struct sumi_blob *blob;
  SUMI_TRY(sumi_file_map(a, path, sumi_limits_fill(o.limits).max_file_bytes, &blob, err));
  const char *slash = strrchr(path, '/');
  const size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;
  char *folder = sumi_alloc(a, n + 1);
  if (!folder) {
    sumi_blob_unref(blob);
    SUMI_FAIL_MEMORY(err);
  }
  memcpy(folder, slash ? path : ".", n);
  const sumi_status status = load(blob, folder, &o, a, model, err);
  sumi_free(a, folder, n + 1);
  return status;
}

sumi_status sumi_model_load_memory(const void *bytes, size_t n_bytes,
                                   const struct sumi_model_options *options, struct sumi_model **model,
                                   struct sumi_err *err) {
  struct sumi_model_options o;
  SUMI_TRY(check(options, &o, model, err));
  if (!bytes && n_bytes) SUMI_FAIL(err, SUMI_E_ARG, "no bytes are given");
  const struct sumi_allocator *a = allocator_of(&o);
  struct sumi_blob *blob = sumi_blob_wrap(a, bytes, n_bytes, NULL, NULL);
  if (!blob) SUMI_FAIL_MEMORY(err);
  return load(blob, o.folder, &o, a, model, err);
}

sumi_status sumi_model_import_again(const struct sumi_model *model, struct sumi_graph **out,
                                    struct sumi_err *err) {
  const struct sumi_model_options none = {.size = sizeof none};
  *out = NULL;
  if (sumi_compiled_is(model->source->data, model->source->bytes)) {
    struct sumi_compiled c;
    SUMI_TRY(sumi_compiled_open(model->source, &c, err));
    SUMI_TRY(sumi_compiled_graph(&c, model->source, &model->limits, &model->allocator, out, err));
  } else {
    SUMI_TRY(import(&model->allocator, model->source, model->folder, &none, &model->limits, out, err));
  }
  const sumi_status status = infer(*out, &none, err);
  if (status != SUMI_OK) {
    sumi_graph_free(*out);
    *out = NULL;
  }
  return status;
}

sumi_status sumi_model_rewrite(const struct sumi_model *model, const struct sumi_changes *changes,
                               const char *path, struct sumi_err *err) {
  if (!path || !*path) SUMI_FAIL(err, SUMI_E_ARG, "no path is given");
  if (sumi_compiled_is(model->source->data, model->source->bytes))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
              "a compiled model is not written back as ONNX; give the ONNX file it was made of");
  const struct sumi_onnx_source source = {
      .file = model->source, .folder = model->folder, .limits = &model->limits};
  return sumi_onnx_rewrite(&source, changes, path, &model->allocator, err);
}

/* ---- inputs and outputs --------------------------------------------------------------------------------------- */

size_t sumi_model_input_count(const struct sumi_model *model) { return model ? model->graph->n_input : 0; }
size_t sumi_model_output_count(const struct sumi_model *model) { return model ? model->graph->n_output : 0; }

/* The text of a symbolic dimension, kept in the graph's arena (which is only added to, under the lock). */
static const char *dim_name(struct sumi_model *model, sumi_dim d) {
  if (d >= 0 || d == SUMI_DIM_UNKNOWN) return "";
  struct sumi_text text;
  sumi_text_init(&text, &model->allocator);
  pthread_mutex_lock(&model->lock);
  sumi_dim_print(model->graph->symbols, d, &text);
  const char *name = sumi_arena_strdup(model->graph->arena, sumi_text_str(&text));
  pthread_mutex_unlock(&model->lock);
  sumi_text_fini(&text);
  return name ? name : "";
}

static sumi_status port(const struct sumi_model *model, struct sumi_value *const *values, size_t n, size_t i,
                        struct sumi_port_info *info) {
  if (!model || !info || i >= n) return SUMI_E_ARG;
  const struct sumi_value *v = values[i];
  struct sumi_port_info p = {.name = v->name,
                             .kind = v->info.kind,
                             .dtype = v->info.dtype,
                             .rank = v->info.rank,
                             .has_default = v->is_input && v->constant,
                             .key = v->info.key};
  if (v->constant && !v->is_input) {
    p.dtype = v->constant->dtype;
    p.rank = v->constant->rank;
  }
  for (int d = 0; d < p.rank; d++) {
    const sumi_dim dim = v->constant && !v->is_input ? v->constant->dim[d] : v->info.dim[d];
    p.dims[d] = dim >= 0 ? dim : -1;
    p.dim_names[d] = dim_name((struct sumi_model *)model, dim);
  }
  SUMI_GIVE(info, p);
  return SUMI_OK;
}

sumi_status sumi_model_input(const struct sumi_model *model, size_t i, struct sumi_port_info *info) {
  return port(model, model ? model->graph->input : NULL, sumi_model_input_count(model), i, info);
}

sumi_status sumi_model_output(const struct sumi_model *model, size_t i, struct sumi_port_info *info) {
  return port(model, model ? model->graph->output : NULL, sumi_model_output_count(model), i, info);
}

/* The importer's own facts are kept among the metadata under keys that start with SUMI_ONNX_FACT; the file's are the rest. */
static bool entry(const struct sumi_model *model, bool facts, size_t i, const char **key,
                  const char **value) {
  for (size_t k = 0; model && k < model->graph->n_metadata; k++) {
    const struct sumi_metadata *m = &model->graph->metadata[k];
    if ((strncmp(m->key, SUMI_ONNX_FACT, strlen(SUMI_ONNX_FACT)) == 0) != facts || i-- > 0) continue;
    *key = facts ? m->key + strlen(SUMI_ONNX_FACT) : m->key;
    *value = m->value;
    return true;
  }
  return false;
}

bool sumi_model_metadata(const struct sumi_model *model, size_t i, const char **key, const char **value) {
  return entry(model, false, i, key, value);
}
bool sumi_model_fact(const struct sumi_model *model, size_t i, const char **key, const char **value) {
  return entry(model, true, i, key, value);
}

/* ModelProto: the import from first to last. */
#include "onnx/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/size.h"
#include "onnx/import_int.h"

bool sumi_onnx_str_is(struct sumi_str s, const char *text) {
  return s.size == strlen(text) && (!s.size || !memcmp(s.data, text, s.size));
}

bool sumi_onnx_is_standard(struct sumi_str domain) {
  return !domain.size || sumi_onnx_str_is(domain, "ai.onnx");
}

/* ---- operator sets ------------------------------------------------------------------------------------- */

static bool same_domain(struct sumi_str a, struct sumi_str b) {
  if (sumi_onnx_is_standard(a) || sumi_onnx_is_standard(b))
    return sumi_onnx_is_standard(a) && sumi_onnx_is_standard(b);
  return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

sumi_status sumi_onnx_read_opsets(struct sumi_onnx_importer *im, struct sumi_wire_list list,
                                  const struct sumi_onnx_opsets **out, struct sumi_err *err) {
  if (list.n > SUMI_ONNX_MAX_OPSETS)
    SUMI_FAIL(err, SUMI_E_LIMIT, "%zu operator sets are imported, the limit is %d", list.n,
              SUMI_ONNX_MAX_OPSETS);
  struct sumi_onnx_opsets *o = sumi_arena_alloc(&im->scratch, sizeof *o + list.n * sizeof o->item[0]);
  if (!o) SUMI_FAIL_MEMORY(err);
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&list, &item)) {
    struct sumi_onnx_opset p;
    SUMI_TRY(sumi_onnx_read_opset(item, &p, err));
    for (size_t i = 0; i < o->n; i++)
      if (same_domain(o->item[i].domain, p.domain) && o->item[i].version != p.version.v)
        SUMI_FAIL(err, SUMI_E_FORMAT, "operator set '%.*s' is imported as %" PRId64 " and as %" PRId64,
                  (int)SUMI_MIN(p.domain.size, (size_t)128), p.domain.data ? p.domain.data : "",
                  o->item[i].version, p.version.v);
    o->item[o->n].domain = p.domain;
    o->item[o->n++].version = p.version.v;
  }
  *out = o;
  return SUMI_OK;
}

int64_t sumi_onnx_opset(const struct sumi_onnx_frame *frame, struct sumi_str domain) {
  for (; frame; frame = frame->caller) /* a function that forgot an import takes its caller's */
    for (size_t i = 0; i < frame->opsets->n; i++)
      if (same_domain(frame->opsets->item[i].domain, domain)) return frame->opsets->item[i].version;
  return 1;
}

/* ---- facts and metadata -------------------------------------------------------------------------------- */

static sumi_status set_metadata(struct sumi_onnx_importer *im, const char *key, struct sumi_str value,
                                struct sumi_err *err) {
  if (!value.data) return SUMI_OK;
  SUMI_TRY(sumi_onnx_count_bytes(im, value.size, err));
  const char *copy = sumi_arena_strndup(&im->scratch, value.data, value.size);
  if (!copy || !sumi_graph_set_metadata(im->root, key, copy)) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status set_number(struct sumi_onnx_importer *im, const char *key, int64_t value,
                              struct sumi_err *err) {
  char text[32];
  snprintf(text, sizeof text, "%" PRId64, value);
  if (!sumi_graph_set_metadata(im->root, key, text)) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status import_metadata(struct sumi_onnx_importer *im, struct sumi_wire_list list,
                                   struct sumi_err *err) {
  if (list.n > SUMI_ONNX_MAX_METADATA)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has %zu entries of metadata, the limit is %d", list.n,
              SUMI_ONNX_MAX_METADATA);
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&list, &item)) {
    struct sumi_onnx_entry e;
    const char *key;
    SUMI_TRY(sumi_onnx_read_entry(item, &e, err));
    SUMI_TRY(sumi_onnx_name(im, e.key, &key, err));
    if (!strncmp(key, SUMI_ONNX_FACT, strlen(SUMI_ONNX_FACT))) continue;
    SUMI_TRY(set_metadata(im, key, e.value.data ? e.value : (struct sumi_str){"", 0}, err));
  }
  return SUMI_OK;
}

static sumi_status import_facts(struct sumi_onnx_importer *im, const struct sumi_onnx_model *p,
                                const struct sumi_onnx_opsets *opsets, struct sumi_err *err) {
  SUMI_TRY(set_number(im, SUMI_ONNX_FACT "ir_version", p->ir_version.v, err));
  for (size_t i = 0; i < opsets->n; i++) {
    char key[128 + sizeof SUMI_ONNX_FACT "opset."], domain[128] = "ai.onnx";
    if (!sumi_onnx_is_standard(opsets->item[i].domain))
      sumi_onnx_printable(domain, sizeof domain, opsets->item[i].domain);
    snprintf(key, sizeof key, SUMI_ONNX_FACT "opset.%s", domain);
    SUMI_TRY(set_number(im, key, opsets->item[i].version, err));
  }
  SUMI_TRY(set_metadata(im, SUMI_ONNX_FACT "producer_name", p->producer_name, err));
  SUMI_TRY(set_metadata(im, SUMI_ONNX_FACT "producer_version", p->producer_version, err));
  SUMI_TRY(set_metadata(im, SUMI_ONNX_FACT "domain", p->domain, err));
  if (p->model_version.has) SUMI_TRY(set_number(im, SUMI_ONNX_FACT "model_version", p->model_version.v, err));
  return set_metadata(im, SUMI_ONNX_FACT "doc_string", p->doc_string, err);
}

/* ---- the model ----------------------------------------------------------------------------------------- */

sumi_status sumi_onnx_read_file(const struct sumi_blob *file, struct sumi_onnx_model *p,
                                struct sumi_err *err) {
  if (!file->bytes) SUMI_FAIL(err, SUMI_E_FORMAT, "the model is empty");
  const sumi_status status = sumi_onnx_read_model(sumi_wire_over(file->data, file->bytes), p, err);
  if (status != SUMI_OK) return sumi_err_prefix(err, status, "no ONNX model, or a damaged one");
  if (!p->graph.at) SUMI_FAIL(err, SUMI_E_FORMAT, "no ONNX model, or a damaged one: it has no graph");
  if (p->ir_version.v < 0 || p->ir_version.v > SUMI_ONNX_NEWEST_IR)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "IR version %" PRId64 " is not known; the newest one is %d",
              p->ir_version.v, SUMI_ONNX_NEWEST_IR);
  return SUMI_OK;
}

/* Bodies see only their inputs from here on; nodes stand in order. */
static sumi_status settle(struct sumi_graph *root, struct sumi_err *err) {
  SUMI_TRY(sumi_graph_close_bodies(root, err));
  for (struct sumi_graph *b = root->first_body; b; b = b->next_body) SUMI_TRY(sumi_graph_tidy(b, err));
  SUMI_TRY(sumi_graph_tidy(root, err));
  return sumi_graph_verify(root, err);
}

static sumi_status import_model(struct sumi_onnx_importer *im, struct sumi_err *err) {
  struct sumi_onnx_model p;
  struct sumi_onnx_graph graph;
  struct sumi_onnx_frame frame = {.prefix = ""};
  SUMI_TRY(sumi_onnx_read_file(im->src->file, &p, err));
  im->ir_version = p.ir_version.v;
  SUMI_TRY(sumi_onnx_read_graph(p.graph, &graph, err));
  SUMI_TRY(sumi_onnx_read_opsets(im, p.opset_import, &frame.opsets, err));
  const char *name;
  SUMI_TRY(sumi_onnx_name(im, graph.name, &name, err));
  im->root = sumi_graph_new(im->allocator, name);
  if (!im->root || !sumi_graph_hold(im->root, sumi_blob_ref(im->src->file))) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(import_metadata(im, p.metadata_props, err));
  SUMI_TRY(import_facts(im, &p, frame.opsets, err));
  SUMI_TRY(sumi_onnx_read_functions(im, p.functions, err));
  struct sumi_onnx_scope scope;
  sumi_onnx_scope_init(im, &scope, NULL, &frame, im->root);
  const sumi_status status = sumi_onnx_import_graph(im, &scope, &graph, err);
  sumi_onnx_scope_fini(im, &scope);
  SUMI_TRY(status);
  SUMI_TRY(sumi_onnx_refusals_end(im, err));
  return settle(im->root, err);
}

/* Names of the file may hold anything; a terminal that shows the reason must not obey it. */
static void clean(struct sumi_err *err) {
  if (!err) return;
  for (char *c = err->text; *c; c++)
    if (((unsigned char)*c < 32 && *c != '\n') || *c == 127) *c = '?';
}

sumi_status sumi_onnx_import(const struct sumi_onnx_source *src, const struct sumi_allocator *a,
                             struct sumi_graph **out, struct sumi_err *err) {
  *out = NULL;
  if (!a) a = sumi_allocator_default();
  struct sumi_onnx_importer im = {.src = src, .allocator = a, .limits = sumi_limits_fill(src->limits)};
  im.refusals.on_refusal = src->on_refusal;
  im.refusals.user = src->user;
  im.external = (struct sumi_onnx_external){
      .allocator = a, .folder = src->folder, .max_file_bytes = im.limits.max_file_bytes};
  sumi_arena_init(&im.scratch, a);
  const sumi_status status =
      src->file->bytes <= im.limits.max_file_bytes
          ? import_model(&im, err)
          : sumi_err_set(err, SUMI_E_LIMIT, "the model has %zu bytes, the limit is %zu", src->file->bytes,
                         im.limits.max_file_bytes);
  if (status == SUMI_OK) {
    *out = im.root;
  } else {
    sumi_graph_free(im.root);
    clean(err);
  }
  sumi_names_fini(a, &im.functions);
  sumi_onnx_external_fini(&im.external);
  sumi_free(a, im.text, im.text_cap);
  sumi_arena_fini(&im.scratch);
  return status;
}

/* GraphProto: inputs, initializers, nodes and outputs of the model or of a body.
 * Everything is declared before any node is made, so that nodes may stand in any order. */
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/reread.h"
#include "base/size.h"
#include "onnx/import_int.h"

/* Refuses a part of a graph that is no node. */
static sumi_status refuse_part(struct sumi_onnx_importer *im, const char *what, struct sumi_str name,
                               struct sumi_err *why, struct sumi_err *err) {
  const struct sumi_onnx_place nowhere = {0};
  char text[128];
  sumi_onnx_printable(text, sizeof text, name);
  sumi_err_prefix(why, why->status, "%s '%s'", what, text);
  return sumi_onnx_refuse(im, &nowhere, why, err);
}

/* Refuses an input or initializer. Its name then stands for something after all, so that nodes which use
 * it do not complain again; the graph comes to nothing anyway. */
static sumi_status refuse_value(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                const char *what, struct sumi_str name, struct sumi_err *why,
                                struct sumi_err *err) {
  SUMI_TRY(refuse_part(im, what, name, why, err));
  const char *text;
  if (!name.size || sumi_onnx_name(im, name, &text, NULL) != SUMI_OK || sumi_onnx_scope_own(scope, text))
    return SUMI_OK;
  struct sumi_value *v = sumi_graph_add_value(scope->graph, NULL);
  if (!v) SUMI_FAIL_MEMORY(err);
  return sumi_onnx_scope_add(im, scope, text, v, true, err);
}

/* An aligned copy of the elements. */
static sumi_status copy_tensor(struct sumi_onnx_importer *im, const struct sumi_onnx_stored *stored,
                               struct sumi_blob **out, struct sumi_err *err) {
  struct sumi_blob *blob = sumi_blob_new(im->allocator, stored->bytes);
  if (!blob) SUMI_FAIL_MEMORY(err);
  struct sumi_arena scratch;
  sumi_arena_init(&scratch, im->allocator);
  const sumi_status status =
      sumi_onnx_tensor_copy(stored, &im->limits, &im->external, &scratch, sumi_blob_bytes(blob), err);
  sumi_arena_fini(&scratch);
  if (status != SUMI_OK) {
    sumi_blob_unref(blob);
    return status;
  }
  *out = blob;
  return SUMI_OK;
}

sumi_status sumi_onnx_import_tensor(struct sumi_onnx_importer *im, const struct sumi_onnx_stored *stored,
                                    struct sumi_tensor *tensor, struct sumi_blob **take_blob,
                                    struct sumi_err *err) {
  enum { LARGE = 64 << 10 }; /* bytes from which a copy is worth giving back */
  struct sumi_blob *file = stored->blob ? stored->blob : im->src->file;
  const void *data = sumi_onnx_tensor_in_place(stored), *unaligned = sumi_onnx_tensor_unaligned(stored);
  *tensor = stored->tensor;
  if (data) {
    tensor->data = (void *)(uintptr_t)data; /* a constant is never written through */
    *take_blob = sumi_blob_ref(file);
    return SUMI_OK;
  }
  SUMI_TRY(sumi_onnx_count_bytes(im, stored->bytes, err));
  if (unaligned && stored->bytes >= LARGE) {
    *take_blob = sumi_reread_new(im->allocator, file, unaligned, stored->bytes);
    if (!*take_blob) SUMI_FAIL_MEMORY(err);
    sumi_file_release(file, unaligned, stored->bytes);
  } else {
    SUMI_TRY(copy_tensor(im, stored, take_blob, err));
  }
  tensor->data = (void *)(uintptr_t)(*take_blob)->data;
  return SUMI_OK;
}

/* ---- inputs and initializers --------------------------------------------------------------------------- */

static sumi_status add_input(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                             const struct sumi_onnx_value_info *p, struct sumi_err *err) {
  const char *name;
  struct sumi_info info;
  SUMI_TRY(sumi_onnx_name(im, p->name, &name, err));
  if (!*name) SUMI_FAIL(err, SUMI_E_FORMAT, "it has no name");
  const struct sumi_onnx_slot *slot = sumi_onnx_scope_own(scope, name);
  /* Before IR version 4 every initializer is listed as an input too; none of them can be given from
   * outside. */
  if (slot && !slot->value->is_input && im->ir_version < 4) return SUMI_OK;
  if (slot) SUMI_FAIL(err, SUMI_E_FORMAT, "it is defined twice");
  SUMI_TRY(sumi_onnx_read_info(p->type, scope->graph->symbols, &info, err));
  if (info.dtype == SUMI_UNDEFINED && !scope->graph->parent)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has no element type");
  SUMI_TRY(sumi_onnx_count_value(im, err));
  struct sumi_value *v = sumi_graph_add_input(scope->graph, sumi_onnx_scope_spell(scope, name), &info);
  if (!v) SUMI_FAIL_MEMORY(err);
  return sumi_onnx_scope_add(im, scope, name, v, true, err);
}

static sumi_status import_inputs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                 struct sumi_wire_list list, struct sumi_err *err) {
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&list, &item)) {
    struct sumi_err why = SUMI_ERR_INIT;
    struct sumi_onnx_value_info p;
    sumi_status status = sumi_onnx_read_value_info(item, &p, &why);
    if (status == SUMI_OK) status = add_input(im, scope, &p, &why);
    if (status != SUMI_OK) SUMI_TRY(refuse_value(im, scope, "input", p.name, &why, err));
  }
  return SUMI_OK;
}

/* An initializer of that name stands in for an input that the caller may leave out. */
static sumi_status set_default(struct sumi_onnx_scope *scope, struct sumi_value *input,
                               const struct sumi_tensor *tensor, struct sumi_blob *take_blob,
                               struct sumi_err *err) {
  const struct sumi_info *info = &input->info;
  struct sumi_tensor *copy = NULL;
  bool fits = info->kind == SUMI_TENSOR && (info->dtype == tensor->dtype || info->dtype == SUMI_UNDEFINED) &&
              (info->rank < 0 || info->rank == tensor->rank);
  for (int i = 0; fits && i < info->rank; i++) fits = info->dim[i] < 0 || info->dim[i] == tensor->dim[i];
  if (fits) copy = SUMI_NEW(scope->graph->arena, struct sumi_tensor);
  if (!copy) {
    sumi_blob_unref(take_blob);
    if (fits) SUMI_FAIL_MEMORY(err);
    SUMI_FAIL(err, SUMI_E_SHAPE, "it does not have the type and shape of the input of that name");
  }
  *copy = *tensor;
  input->constant = copy;
  input->blob = take_blob;
  return SUMI_OK;
}

static sumi_status add_initializer(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   const struct sumi_onnx_stored *stored, struct sumi_err *err) {
  const char *name;
  SUMI_TRY(sumi_onnx_name(im, stored->name, &name, err));
  if (!*name) SUMI_FAIL(err, SUMI_E_FORMAT, "it has no name");
  const struct sumi_onnx_slot *slot = sumi_onnx_scope_own(scope, name);
  if (slot && (!slot->value->is_input || slot->value->constant))
    SUMI_FAIL(err, SUMI_E_FORMAT, "it is defined twice");
  struct sumi_tensor tensor;
  struct sumi_blob *blob;
  SUMI_TRY(sumi_onnx_import_tensor(im, stored, &tensor, &blob, err));
  if (slot) return set_default(scope, slot->value, &tensor, blob, err);
  const sumi_status status = sumi_onnx_count_value(im, err);
  if (status != SUMI_OK) {
    sumi_blob_unref(blob);
    return status;
  }
  struct sumi_value *v =
      sumi_graph_add_constant(scope->graph, sumi_onnx_scope_spell(scope, name), &tensor, blob);
  if (!v) SUMI_FAIL_MEMORY(err);
  return sumi_onnx_scope_add(im, scope, name, v, true, err);
}

static sumi_status import_initializers(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                       struct sumi_wire_list list, bool sparse, struct sumi_err *err) {
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&list, &item)) {
    struct sumi_err why = SUMI_ERR_INIT;
    struct sumi_onnx_stored stored = {0};
    sumi_status status;
    if (sparse) {
      struct sumi_onnx_sparse_tensor p;
      status = sumi_onnx_read_sparse_tensor(item, &p, &why);
      if (status == SUMI_OK) status = sumi_onnx_sparse_find(&p, &im->limits, &stored, &why);
    } else {
      struct sumi_onnx_tensor p;
      status = sumi_onnx_read_tensor(item, &p, &why);
      if (status == SUMI_OK) status = sumi_onnx_tensor_find(&p, &im->limits, &im->external, &stored, &why);
    }
    if (status == SUMI_OK) status = add_initializer(im, scope, &stored, &why);
    if (status != SUMI_OK) SUMI_TRY(refuse_value(im, scope, "initializer", stored.name, &why, err));
  }
  return SUMI_OK;
}

/* ---- nodes --------------------------------------------------------------------------------------------- */

/* A node without a name goes by its first output. */
static struct sumi_onnx_place node_place(const struct sumi_onnx_scope *scope,
                                         const struct sumi_onnx_node *node) {
  const int64_t version = sumi_onnx_opset(scope->frame, node->domain);
  struct sumi_onnx_place place = {.prefix = scope->frame->prefix, .node = node->name, .domain = node->domain};
  struct sumi_wire_list outputs = node->output;
  struct sumi_wire first;
  if (!place.node.size && sumi_wire_list_bytes(&outputs, &first)) place.node = sumi_wire_str(&first);
  place.op = node->op_type.data ? node->op_type : (struct sumi_str){"", 0};
  place.version = version < 0 || version > INT32_MAX ? 0 : (int)version;
  return place;
}

const uint8_t *sumi_onnx_constant_node(const struct sumi_onnx_node *node) {
  const bool constant = sumi_onnx_is_standard(node->domain) && sumi_onnx_str_is(node->op_type, "Constant");
  return constant ? node->output.rest.at : NULL;
}

/* Names are defined once, but for Constant nodes: there are files that replace a constant by adding
 * another of the same name, and everybody takes the last. */
static sumi_status declare_output(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                  const struct sumi_onnx_node *node, struct sumi_wire bytes,
                                  struct sumi_err *err) {
  const char *name;
  SUMI_TRY(sumi_onnx_name(im, sumi_wire_str(&bytes), &name, err));
  if (!*name) return SUMI_OK;
  struct sumi_onnx_slot *slot = sumi_onnx_scope_own(scope, name);
  const uint8_t *constant = sumi_onnx_constant_node(node);
  if (slot && slot->defined && !(slot->constant && constant))
    SUMI_FAIL(err, SUMI_E_FORMAT, "its output '%.128s' is defined twice", name);
  if (!slot) {
    SUMI_TRY(sumi_onnx_count_value(im, err));
    struct sumi_value *v = sumi_graph_add_value(scope->graph, sumi_onnx_scope_spell(scope, name));
    if (!v) SUMI_FAIL_MEMORY(err);
    SUMI_TRY(sumi_onnx_scope_add(im, scope, name, v, true, err));
    slot = sumi_onnx_scope_own(scope, name);
  }
  slot->defined = true;
  slot->constant = constant;
  return SUMI_OK;
}

static sumi_status declare_outputs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   const struct sumi_onnx_node *node, struct sumi_err *err) {
  if (++im->n_nodes > im->limits.max_nodes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has more than %zu nodes", im->limits.max_nodes);
  struct sumi_wire item;
  for (struct sumi_wire_list l = node->output; sumi_wire_list_bytes(&l, &item);)
    SUMI_TRY(declare_output(im, scope, node, item, err));
  return SUMI_OK;
}

/* Calls one step for every node; a node that fails is refused, and the others go on. A node that cannot be
 * read at all is refused in the first step and passed over in the second. */
static sumi_status each_node(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                             struct sumi_wire_list nodes, bool first,
                             sumi_status (*step)(struct sumi_onnx_importer *, struct sumi_onnx_scope *,
                                                 const struct sumi_onnx_node *, struct sumi_err *),
                             struct sumi_err *err) {
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&nodes, &item)) {
    struct sumi_err why = SUMI_ERR_INIT;
    struct sumi_onnx_node node;
    const bool readable = sumi_onnx_read_node(item, &node, &why) == SUMI_OK;
    if (readable ? step(im, scope, &node, &why) == SUMI_OK : !first) continue;
    const struct sumi_onnx_place place = node_place(scope, &node);
    SUMI_TRY(sumi_onnx_refuse(im, &place, &why, err));
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_import_nodes(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   struct sumi_wire_list nodes, struct sumi_err *err) {
  SUMI_TRY(each_node(im, scope, nodes, true, declare_outputs, err));
  return each_node(im, scope, nodes, false, sumi_onnx_import_node, err);
}

/* ---- outputs ------------------------------------------------------------------------------------------- */

static sumi_status add_output(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                              const struct sumi_onnx_value_info *p, struct sumi_err *err) {
  const char *name;
  struct sumi_info info;
  SUMI_TRY(sumi_onnx_name(im, p->name, &name, err));
  const struct sumi_onnx_slot *slot = sumi_onnx_scope_find(scope, name);
  if (!slot || !slot->value) SUMI_FAIL(err, SUMI_E_FORMAT, "it is defined nowhere");
  struct sumi_value *v = slot->value;
  if (v->is_output && !scope->graph->parent) SUMI_FAIL(err, SUMI_E_FORMAT, "it is listed twice");
  SUMI_TRY(sumi_onnx_read_info(p->type, scope->graph->symbols, &info, err));
  if (!v->is_input && !v->constant && sumi_onnx_scope_own(scope, name)) v->info = info;
  if (!sumi_graph_add_output(scope->graph, v)) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status import_outputs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                  struct sumi_wire_list list, struct sumi_err *err) {
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&list, &item)) {
    struct sumi_err why = SUMI_ERR_INIT;
    struct sumi_onnx_value_info p;
    sumi_status status = sumi_onnx_read_value_info(item, &p, &why);
    if (status == SUMI_OK) status = add_output(im, scope, &p, &why);
    if (status != SUMI_OK) SUMI_TRY(refuse_part(im, "output", p.name, &why, err));
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_import_graph(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   const struct sumi_onnx_graph *p, struct sumi_err *err) {
  if (im->ir_version >= 4) SUMI_TRY(import_inputs(im, scope, p->input, err));
  SUMI_TRY(import_initializers(im, scope, p->initializer, false, err));
  SUMI_TRY(import_initializers(im, scope, p->sparse_initializer, true, err));
  if (im->ir_version < 4) SUMI_TRY(import_inputs(im, scope, p->input, err));
  SUMI_TRY(sumi_onnx_import_nodes(im, scope, p->node, err));
  return import_outputs(im, scope, p->output, err);
}

/* The new file as pieces: what no change names from the file, the rest made here. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "onnx/rewrite_int.h"

/* Fields that are written and that are no parts of a graph. */
enum {
  MODEL_GRAPH = 7,
  MODEL_METADATA = 14,
  ENTRY_KEY = 1,
  ENTRY_VALUE = 2,
  NODE_INPUT = 1,
  NODE_OUTPUT = 2,
  NODE_NAME = 3,
  NODE_OP_TYPE = 4,
  NODE_ATTRIBUTE = 5,
  ATTRIBUTE_NAME = 1,
  ATTRIBUTE_I = 3,
  ATTRIBUTE_T = 5,
  ATTRIBUTE_TYPE = 20,
  ATTRIBUTE_IS_INT = 2, /* AttributeProto.AttributeType */
  ATTRIBUTE_IS_TENSOR = 4,
  TENSOR_DIMS = 1,
  TENSOR_DATA_TYPE = 2,
  TENSOR_NAME = 8,
  TENSOR_RAW_DATA = 9,
  TENSOR_EXTERNAL_DATA = 13,
  TENSOR_DATA_LOCATION = 14,
  LOCATION_IS_EXTERNAL = 1, /* TensorProto.DataLocation */
  INFO_NAME = 1,
  INFO_TYPE = 2,
  TYPE_TENSOR = 1,
  TYPE_ELEM_TYPE = 1,
  TYPE_SHAPE = 2,
  SHAPE_DIM = 1,
  DIM_VALUE = 1
};

/* ---- tensors --------------------------------------------------------------------------------------------------- */

static void put_type(struct sumi_wire_out *out, const struct sumi_tensor *t) {
  for (int i = 0; i < t->rank; i++) sumi_wire_put_int(out, TENSOR_DIMS, t->dim[i]);
  sumi_wire_put_int(out, TENSOR_DATA_TYPE, sumi_dtype_to_onnx(t->dtype));
}

static void put_pair(struct sumi_rewrite *r, struct sumi_wire_out *out, uint32_t number, const char *key,
                     const char *value) {
  struct sumi_wire_out e = sumi_wire_out_new(&r->arena);
  sumi_wire_put_text(&e, ENTRY_KEY, key);
  sumi_wire_put_text(&e, ENTRY_VALUE, value);
  sumi_wire_put_message(out, number, &e);
}

static sumi_status put_external(struct sumi_rewrite *r, struct sumi_wire_out *out, const void *raw, size_t n,
                                struct sumi_err *err) {
  struct sumi_rewrite_data *d = SUMI_NEW(&r->arena, struct sumi_rewrite_data);
  if (!d) SUMI_FAIL_MEMORY(err);
  *d = (struct sumi_rewrite_data){.bytes = raw, .n = n};
  *r->data_end = d;
  r->data_end = &d->next;
  const uint64_t offset = (r->data_bytes + SUMI_REWRITE_ALIGN - 1) / SUMI_REWRITE_ALIGN * SUMI_REWRITE_ALIGN;
  if (__builtin_add_overflow(offset, n, &r->data_bytes) || r->data_bytes > INT64_MAX)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the new tensors take more than 2^63 bytes");
  char number[32];
  put_pair(r, out, TENSOR_EXTERNAL_DATA, "location", r->data_name);
  snprintf(number, sizeof number, "%" PRIu64, offset);
  put_pair(r, out, TENSOR_EXTERNAL_DATA, "offset", number);
  snprintf(number, sizeof number, "%zu", n);
  put_pair(r, out, TENSOR_EXTERNAL_DATA, "length", number);
  sumi_wire_put_int(out, TENSOR_DATA_LOCATION, LOCATION_IS_EXTERNAL);
  return SUMI_OK;
}

static sumi_status put_data(struct sumi_rewrite *r, struct sumi_wire_out *out, const struct sumi_tensor *t,
                            struct sumi_err *err) {
  const void *raw;
  size_t n;
  SUMI_TRY(sumi_onnx_tensor_raw(t, &r->arena, &raw, &n, err));
  if (r->data_name && n >= SUMI_REWRITE_SMALLEST) return put_external(r, out, raw, n, err);
  sumi_wire_put_kept(out, TENSOR_RAW_DATA, raw, n);
  return SUMI_OK;
}

static sumi_status put_new_tensor(struct sumi_rewrite *r, struct sumi_wire_out *out, const char *name,
                                  const struct sumi_tensor *t, struct sumi_err *err) {
  put_type(out, t);
  if (name) sumi_wire_put_text(out, TENSOR_NAME, name);
  return put_data(r, out, t, err);
}

/* segment, the typed fields, raw_data, external_data, data_location */
static bool holds_data(uint32_t number) {
  return (number >= 3 && number <= 7) || (number >= 9 && number <= 11) || number == 13 || number == 14;
}

static bool has_type(const struct sumi_onnx_tensor *p, const struct sumi_tensor *t) {
  bool same = p->data_type.v == sumi_dtype_to_onnx(t->dtype) && p->dims.n == (size_t)t->rank;
  uint64_t dim;
  struct sumi_wire_list dims = p->dims;
  for (int i = 0; same && sumi_wire_list_number(&dims, &dim); i++) same = (int64_t)dim == t->dim[i];
  return same;
}

/* A TensorProto with other contents: they stand where the first of the old ones stood; a type that is still right stays
 * as it is. */
static sumi_status put_tensor(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_wire old,
                              const struct sumi_tensor *t, struct sumi_err *err) {
  struct sumi_onnx_tensor proto;
  SUMI_TRY(sumi_onnx_read_tensor(old, &proto, err));
  bool type = !has_type(&proto, t), data = true; /* still to be written */
  const bool drop_type = type;
  if (type && !proto.dims.n && !proto.data_type.has) {
    put_type(out, t);
    type = false;
  }
  for (;;) {
    struct sumi_wire_field f;
    const uint8_t *from = old.at;
    SUMI_TRY(sumi_wire_next(&old, &f, err));
    if (!f.number || !(holds_data(f.number) || (drop_type && f.number <= TENSOR_DATA_TYPE))) {
      sumi_wire_keep(out, from, old.at);
      if (!f.number) break;
      continue;
    }
    sumi_wire_keep(out, from, f.start);
    if (!holds_data(f.number)) {
      if (type) put_type(out, t);
      type = false;
    } else if (data) {
      SUMI_TRY(put_data(r, out, t, err));
      data = false;
    }
  }
  return data ? put_data(r, out, t, err) : SUMI_OK;
}

/* An initializer; a sparse one becomes dense. */
static sumi_status put_initializer(struct sumi_rewrite *r, struct sumi_wire_out *out,
                                   const struct sumi_rewrite_part *p, struct sumi_err *err) {
  struct sumi_wire_out tensor = sumi_wire_out_new(&r->arena);
  if (p->from && p->number == SUMI_GRAPH_INITIALIZER)
    SUMI_TRY(put_tensor(r, &tensor, p->body, p->tensor, err));
  else
    SUMI_TRY(put_new_tensor(r, &tensor, p->name, p->tensor, err));
  sumi_wire_put_message(out, SUMI_GRAPH_INITIALIZER, &tensor);
  return SUMI_OK;
}

/* The ValueInfoProto of a new constant that is an input too. */
static void put_input(struct sumi_rewrite *r, struct sumi_wire_out *out, const struct sumi_rewrite_part *p) {
  const struct sumi_tensor *t = p->tensor;
  struct sumi_wire_out info = sumi_wire_out_new(&r->arena), type = info, tensor = info, shape = info;
  for (int i = 0; i < t->rank; i++) {
    struct sumi_wire_out dim = sumi_wire_out_new(&r->arena);
    sumi_wire_put_int(&dim, DIM_VALUE, t->dim[i]);
    sumi_wire_put_message(&shape, SHAPE_DIM, &dim);
  }
  sumi_wire_put_int(&tensor, TYPE_ELEM_TYPE, sumi_dtype_to_onnx(t->dtype));
  sumi_wire_put_message(&tensor, TYPE_SHAPE, &shape);
  sumi_wire_put_message(&type, TYPE_TENSOR, &tensor);
  sumi_wire_put_text(&info, INFO_NAME, p->name);
  sumi_wire_put_message(&info, INFO_TYPE, &type);
  sumi_wire_put_message(out, SUMI_GRAPH_INPUT, &info);
}

/* ---- nodes ----------------------------------------------------------------------------------------------------- */

/* Attribute value of a Constant node: with what else it has where it was a tensor, anew where it was something else. */
static sumi_status put_value(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_wire old,
                             const struct sumi_tensor *t, struct sumi_err *err) {
  struct sumi_onnx_attribute proto;
  SUMI_TRY(sumi_onnx_read_attribute(old, &proto, err));
  struct sumi_wire_out a = sumi_wire_out_new(&r->arena), tensor = a;
  if (!proto.t.at) {
    SUMI_TRY(put_new_tensor(r, &tensor, NULL, t, err));
    sumi_wire_put_text(&a, ATTRIBUTE_NAME, "value");
    sumi_wire_put_message(&a, ATTRIBUTE_T, &tensor);
    sumi_wire_put_int(&a, ATTRIBUTE_TYPE, ATTRIBUTE_IS_TENSOR);
  }
  while (proto.t.at) {
    struct sumi_wire_field f;
    const uint8_t *from = old.at;
    SUMI_TRY(sumi_wire_next(&old, &f, err));
    sumi_wire_keep(&a, from, f.number == ATTRIBUTE_T ? f.start : old.at);
    if (!f.number) break;
    if (f.number != ATTRIBUTE_T) continue;
    SUMI_TRY(put_tensor(r, &tensor, f.bytes, t, err));
    sumi_wire_put_message(&a, ATTRIBUTE_T, &tensor);
  }
  sumi_wire_put_message(out, NODE_ATTRIBUTE, &a);
  return SUMI_OK;
}

static void put_new_node(struct sumi_rewrite *r, struct sumi_wire_out *out,
                         const struct sumi_rewrite_node *n) {
  for (size_t i = 0; i < n->n_in; i++) sumi_wire_put_text(out, NODE_INPUT, n->in[i]);
  for (size_t i = 0; i < n->n_out; i++) sumi_wire_put_text(out, NODE_OUTPUT, n->out[i]);
  sumi_wire_put_text(out, NODE_NAME, n->name);
  sumi_wire_put_text(out, NODE_OP_TYPE, n->op);
  if (n->axis == INT64_MIN) return;
  struct sumi_wire_out a = sumi_wire_out_new(&r->arena);
  sumi_wire_put_text(&a, ATTRIBUTE_NAME, "axis");
  sumi_wire_put_int(&a, ATTRIBUTE_I, n->axis);
  sumi_wire_put_int(&a, ATTRIBUTE_TYPE, ATTRIBUTE_IS_INT);
  sumi_wire_put_message(out, NODE_ATTRIBUTE, &a);
}

/* Inputs that were added follow the last one the file has; where it has none they lead. */
static void put_added_inputs(struct sumi_wire_out *out, const struct sumi_rewrite_node *n) {
  for (size_t i = n->n_file_in; i < n->n_in; i++) sumi_wire_put_text(out, NODE_INPUT, n->in[i]);
}

static sumi_status put_changed_node(struct sumi_rewrite *r, struct sumi_wire_out *out,
                                    const struct sumi_rewrite_part *p, struct sumi_err *err) {
  const struct sumi_rewrite_node *n = p->node;
  struct sumi_wire w = p->body;
  size_t in = 0, to = 0;
  bool value = p->tensor != NULL;
  if (!n->n_file_in) put_added_inputs(out, n);
  for (;;) {
    struct sumi_wire_field f;
    const uint8_t *from = w.at;
    SUMI_TRY(sumi_wire_next(&w, &f, err));
    const char *name = NULL;
    if (f.number == NODE_INPUT && n->in[in] != n->file_in[in]) name = n->in[in];
    if (f.number == NODE_OUTPUT && n->out[to] != n->file_out[to]) name = n->out[to];
    const bool changed = name || (f.number == NODE_ATTRIBUTE && p->tensor);
    sumi_wire_keep(out, from, changed ? f.start : w.at);
    if (name) sumi_wire_put_text(out, f.number, name);
    if (changed && !name && value) SUMI_TRY(put_value(r, out, f.bytes, p->tensor, err));
    if (changed && !name) value = false; /* a Constant has one attribute */
    in += f.number == NODE_INPUT;
    to += f.number == NODE_OUTPUT;
    if (f.number == NODE_INPUT && in == n->n_file_in) put_added_inputs(out, n);
    if (!f.number && value) SUMI_TRY(put_value(r, out, sumi_wire_over(NULL, 0), p->tensor, err));
    if (!f.number) break;
  }
  return SUMI_OK;
}

static sumi_status put_node(struct sumi_rewrite *r, struct sumi_wire_out *out,
                            const struct sumi_rewrite_part *p, struct sumi_err *err) {
  struct sumi_wire_out node = sumi_wire_out_new(&r->arena);
  if (p->from)
    SUMI_TRY(put_changed_node(r, &node, p, err));
  else
    put_new_node(r, &node, p->node);
  sumi_wire_put_message(out, SUMI_GRAPH_NODE, &node);
  return SUMI_OK;
}

/* ---- graph and model ------------------------------------------------------------------------------------------- */

/* A declaration of a value that changes took away. */
static bool is_stale(const struct sumi_rewrite *r, const struct sumi_rewrite_part *p) {
  if (p->number != SUMI_GRAPH_VALUE_INFO) return false;
  const struct sumi_rewrite_value *v = sumi_rewrite_find(r, p->name);
  return v && v->moved && !v->maker && !v->constant && !v->input;
}

static sumi_status put_part(struct sumi_rewrite *r, struct sumi_wire_out *out,
                            const struct sumi_rewrite_part *p, struct sumi_err *err) {
  if (p->from) sumi_wire_keep(out, p->from, p->tag);
  if (p->dropped || is_stale(r, p)) return SUMI_OK;
  if (p->node && (p->node->changed || p->tensor)) return put_node(r, out, p, err);
  if (p->tensor && p->number != SUMI_GRAPH_INPUT) return put_initializer(r, out, p, err);
  if (p->tensor)
    put_input(r, out, p);
  else
    sumi_wire_keep(out, p->tag, p->to);
  return SUMI_OK;
}

static sumi_status put_graph(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_err *err) {
  struct sumi_wire_out graph = sumi_wire_out_new(&r->arena);
  for (const struct sumi_rewrite_part *p = r->first; p; p = p->next) SUMI_TRY(put_part(r, &graph, p, err));
  sumi_wire_put_message(out, MODEL_GRAPH, &graph);
  return SUMI_OK;
}

/* The new text of an entry of metadata_props; NULL: it stays. */
static sumi_status find_entry(struct sumi_rewrite *r, struct sumi_wire entry, const char **text,
                              struct sumi_err *err) {
  struct sumi_onnx_entry e;
  SUMI_TRY(sumi_onnx_read_entry(entry, &e, err));
  const char *key = sumi_arena_strndup(&r->arena, e.key.size ? e.key.data : "", e.key.size);
  if (!key) SUMI_FAIL_MEMORY(err);
  struct sumi_rewrite_entry *known =
      strlen(key) == e.key.size ? sumi_names_find(&r->metadata_names, key) : NULL;
  if (known) known->found = true;
  *text = known ? known->text : NULL;
  return SUMI_OK;
}

static sumi_status put_entry(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_wire old,
                             const char *text, struct sumi_err *err) {
  struct sumi_wire_out e = sumi_wire_out_new(&r->arena);
  bool put = false;
  for (;;) {
    struct sumi_wire_field f;
    const uint8_t *from = old.at;
    SUMI_TRY(sumi_wire_next(&old, &f, err));
    const bool value = f.number == ENTRY_VALUE;
    sumi_wire_keep(&e, from, value ? f.start : old.at);
    if (value || (!f.number && !put)) sumi_wire_put_text(&e, ENTRY_VALUE, text);
    put |= value;
    if (!f.number) break;
  }
  sumi_wire_put_message(out, MODEL_METADATA, &e);
  return SUMI_OK;
}

sumi_status sumi_rewrite_put(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_err *err) {
  r->data = NULL;
  r->data_end = &r->data;
  r->data_bytes = 0;
  struct sumi_wire w = sumi_wire_over(r->src->file->data, r->src->file->bytes);
  for (;;) {
    struct sumi_wire_field f;
    const uint8_t *from = w.at;
    const char *text = NULL;
    SUMI_TRY(sumi_wire_next(&w, &f, err));
    if (f.number == MODEL_METADATA && r->metadata) SUMI_TRY(find_entry(r, f.bytes, &text, err));
    const bool graph = f.number == MODEL_GRAPH && r->graph_changed;
    sumi_wire_keep(out, from, graph || text ? f.start : w.at);
    if (graph) SUMI_TRY(put_graph(r, out, err));
    if (text) SUMI_TRY(put_entry(r, out, f.bytes, text, err));
    if (!f.number) break;
  }
  for (const struct sumi_rewrite_entry *e = r->metadata; e; e = e->next)
    if (!e->found) put_pair(r, out, MODEL_METADATA, e->key, e->text);
  if (out->failed) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

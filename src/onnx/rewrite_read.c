/* The main graph of the file that is rewritten: its fields as a list of parts, its names in a table. */
#include <string.h>

#include "base/limits.h"
#include "base/size.h"
#include "onnx/rewrite_int.h"

struct sumi_rewrite_value *sumi_rewrite_find(const struct sumi_rewrite *r, const char *name) {
  return sumi_names_find(&r->values, name);
}

struct sumi_rewrite_value *sumi_rewrite_value(struct sumi_rewrite *r, const char *name) {
  struct sumi_rewrite_value *v = sumi_rewrite_find(r, name);
  if (v) return v;
  v = SUMI_NEW(&r->arena, struct sumi_rewrite_value);
  if (!v) return NULL;
  v->name = name;
  return sumi_names_add(r->allocator, &r->values, name, v) ? v : NULL;
}

struct sumi_rewrite_part *sumi_rewrite_add(struct sumi_rewrite *r, struct sumi_rewrite_part *at,
                                           bool before) {
  struct sumi_rewrite_part *p = SUMI_NEW(&r->arena, struct sumi_rewrite_part);
  if (!p) return NULL;
  if (!at) {
    at = r->last;
    before = false;
  }
  p->prev = before ? at->prev : at;
  p->next = before ? at : at ? at->next : NULL;
  *(p->prev ? &p->prev->next : &r->first) = p;
  *(p->next ? &p->next->prev : &r->last) = p;
  return p;
}

/* A name of the file as a text in the arena. */
static sumi_status copy_name(struct sumi_rewrite *r, struct sumi_str name, const char **out,
                             struct sumi_err *err) {
  if (name.size > r->limits.max_name_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a name has %zu bytes, the limit is %zu", name.size,
              r->limits.max_name_bytes);
  if (name.size && memchr(name.data, 0, name.size)) SUMI_FAIL(err, SUMI_E_FORMAT, "a name holds a zero byte");
  *out = sumi_arena_strndup(&r->arena, name.size ? name.data : "", name.size);
  if (!*out) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

/* ---- parts ----------------------------------------------------------------------------------------------------- */

static bool is_part(uint32_t number) {
  return number == SUMI_GRAPH_NODE || number == SUMI_GRAPH_INITIALIZER || number == SUMI_GRAPH_INPUT ||
         number == SUMI_GRAPH_OUTPUT || number == SUMI_GRAPH_VALUE_INFO || number == SUMI_GRAPH_SPARSE;
}

static sumi_status read_parts(struct sumi_rewrite *r, struct sumi_err *err) {
  struct sumi_wire w = r->model.graph;
  struct sumi_wire_field f;
  size_t most;
  if (!sumi_size_add(r->limits.max_nodes, r->limits.max_values, &most)) most = SIZE_MAX;
  do {
    const uint8_t *from = w.at;
    SUMI_TRY(sumi_wire_next(&w, &f, err));
    struct sumi_rewrite_part *p = r->last;
    if (!is_part(f.number) && p && !p->number) {
      p->to = p->tag = w.at;
      continue;
    }
    if (++r->n_parts > most)
      SUMI_FAIL(err, SUMI_E_LIMIT, "the model has more than %zu nodes and values", most);
    p = sumi_rewrite_add(r, NULL, false);
    if (!p) SUMI_FAIL_MEMORY(err);
    p->from = from;
    p->to = p->tag = w.at;
    if (!is_part(f.number)) continue;
    p->number = f.number;
    p->tag = f.start;
    p->body = f.bytes;
    if (f.number == SUMI_GRAPH_NODE && !r->first_node) r->first_node = p;
    if (f.number == SUMI_GRAPH_INITIALIZER) r->last_initializer = p;
    if (f.number == SUMI_GRAPH_INPUT) r->last_input = p;
  } while (f.number);
  return SUMI_OK;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static sumi_status copy_names(struct sumi_rewrite *r, struct sumi_wire_list list, const char ***out,
                              const char *const **file, struct sumi_err *err) {
  const char **now = SUMI_NEW_ARRAY(&r->arena, list.n, const char *);
  const char **then = SUMI_NEW_ARRAY(&r->arena, list.n, const char *);
  if (!now || !then) SUMI_FAIL_MEMORY(err);
  struct sumi_wire item;
  for (size_t i = 0; sumi_wire_list_bytes(&list, &item); i++) {
    SUMI_TRY(copy_name(r, sumi_wire_str(&item), &now[i], err));
    then[i] = now[i];
  }
  *out = now;
  *file = then;
  return SUMI_OK;
}

static sumi_status name_outputs(struct sumi_rewrite *r, struct sumi_rewrite_part *p, bool constant,
                                struct sumi_err *err) {
  for (size_t i = 0; i < p->node->n_out; i++) {
    if (!*p->node->out[i]) continue;
    struct sumi_rewrite_value *v = sumi_rewrite_value(r, p->node->out[i]);
    if (!v) SUMI_FAIL_MEMORY(err);
    r->unsorted |= v->read;
    v->maker = p; /* of Constant nodes with the same name the last counts */
    if (constant) v->constant = p;
  }
  return SUMI_OK;
}

static sumi_status read_node(struct sumi_rewrite *r, struct sumi_rewrite_part *p, struct sumi_err *err) {
  struct sumi_onnx_node proto;
  struct sumi_rewrite_node *n = SUMI_NEW(&r->arena, struct sumi_rewrite_node);
  if (!n) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_onnx_read_node(p->body, &proto, err));
  p->node = n;
  n->n_in = n->n_file_in = n->cap_in = proto.input.n;
  n->n_out = n->n_file_out = proto.output.n;
  SUMI_TRY(copy_names(r, proto.input, &n->in, &n->file_in, err));
  SUMI_TRY(copy_names(r, proto.output, &n->out, &n->file_out, err));
  SUMI_TRY(copy_name(r, proto.name, &n->name, err));
  if (sumi_onnx_is_standard(proto.domain)) SUMI_TRY(copy_name(r, proto.op_type, &n->op, err));
  if (*n->name && !sumi_names_find(&r->node_names, n->name) &&
      !sumi_names_add(r->allocator, &r->node_names, n->name, p))
    SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n->n_in; i++) {
    struct sumi_rewrite_value *v = sumi_rewrite_value(r, n->in[i]);
    if (!v) SUMI_FAIL_MEMORY(err);
    v->read = true;
  }
  return name_outputs(r, p, sumi_onnx_constant_node(&proto) != NULL, err);
}

static sumi_status read_constant(struct sumi_rewrite *r, struct sumi_rewrite_part *p, struct sumi_err *err) {
  struct sumi_onnx_tensor tensor;
  struct sumi_wire body = p->body;
  if (p->number == SUMI_GRAPH_SPARSE) {
    struct sumi_onnx_sparse_tensor sparse;
    SUMI_TRY(sumi_onnx_read_sparse_tensor(body, &sparse, err));
    if (!sparse.values.at) return SUMI_OK;
    body = sparse.values;
  }
  SUMI_TRY(sumi_onnx_read_tensor(body, &tensor, err));
  SUMI_TRY(copy_name(r, tensor.name, &p->name, err));
  struct sumi_rewrite_value *v = sumi_rewrite_value(r, p->name);
  if (!v) SUMI_FAIL_MEMORY(err);
  v->constant = p;
  return SUMI_OK;
}

/* value_info is nobody's but the writer's: what is wrong there stays as it is. */
static sumi_status read_declaration(struct sumi_rewrite *r, struct sumi_rewrite_part *p,
                                    struct sumi_err *err) {
  struct sumi_onnx_value_info info;
  struct sumi_err why = SUMI_ERR_INIT;
  sumi_status status = sumi_onnx_read_value_info(p->body, &info, &why);
  if (status == SUMI_OK) status = copy_name(r, info.name, &p->name, &why);
  if (status != SUMI_OK && status != SUMI_E_MEMORY && p->number == SUMI_GRAPH_VALUE_INFO) {
    p->number = 0;
    return SUMI_OK;
  }
  if (status != SUMI_OK) SUMI_FAIL(err, status, "%s", why.text);
  struct sumi_rewrite_value *v = sumi_rewrite_value(r, p->name);
  if (!v) SUMI_FAIL_MEMORY(err);
  *(p->number == SUMI_GRAPH_INPUT ? &v->input : p->number == SUMI_GRAPH_OUTPUT ? &v->output : &v->info) = p;
  return SUMI_OK;
}

static sumi_status read_opset(struct sumi_rewrite *r, struct sumi_err *err) {
  struct sumi_wire item;
  r->opset = r->model.opset_import.n == 0; /* as in files from before there were any */
  for (struct sumi_wire_list l = r->model.opset_import; sumi_wire_list_bytes(&l, &item);) {
    struct sumi_onnx_opset o;
    SUMI_TRY(sumi_onnx_read_opset(item, &o, err));
    if (sumi_onnx_is_standard(o.domain)) r->opset = o.version.v;
  }
  return SUMI_OK;
}

sumi_status sumi_rewrite_read(struct sumi_rewrite *r, struct sumi_err *err) {
  const struct sumi_blob *file = r->src->file;
  if (file->bytes > r->limits.max_file_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has %zu bytes, the limit is %zu", file->bytes,
              r->limits.max_file_bytes);
  SUMI_TRY(sumi_onnx_read_file(file, &r->model, err));
  SUMI_TRY(read_opset(r, err));
  struct sumi_onnx_graph types_of_fields;
  SUMI_TRY(sumi_onnx_read_graph(r->model.graph, &types_of_fields, err));
  SUMI_TRY(read_parts(r, err));
  for (struct sumi_rewrite_part *p = r->first; p; p = p->next) {
    if (p->number == SUMI_GRAPH_NODE)
      SUMI_TRY(read_node(r, p, err));
    else if (p->number == SUMI_GRAPH_INITIALIZER || p->number == SUMI_GRAPH_SPARSE)
      SUMI_TRY(read_constant(r, p, err));
    else if (p->number)
      SUMI_TRY(read_declaration(r, p, err));
  }
  return SUMI_OK;
}

/* AttributeProto: checked against the operator's schema, and copied or, for tensors, used in place. */
#include <inttypes.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "graph/op.h"
#include "onnx/import_int.h"

/* AttributeProto.AttributeType. Sparse tensors become dense ones. */
enum { TYPE_SPARSE_TENSOR = 11 };

static const struct {
  int64_t onnx;
  enum sumi_attr_type type;
  const char *label;
} types[] = {
    {1, SUMI_ATTR_FLOAT, "a float"},
    {2, SUMI_ATTR_INT, "an integer"},
    {3, SUMI_ATTR_STRING, "a string"},
    {4, SUMI_ATTR_TENSOR, "a tensor"},
    {5, SUMI_ATTR_GRAPH, "a graph"},
    {6, SUMI_ATTR_FLOATS, "a list of floats"},
    {7, SUMI_ATTR_INTS, "a list of integers"},
    {8, SUMI_ATTR_STRINGS, "a list of strings"},
    {9, SUMI_ATTR_TENSORS, "a list of tensors"},
    {10, SUMI_ATTR_GRAPHS, "a list of graphs"},
    {13, SUMI_ATTR_TYPE, "a type"},
    {TYPE_SPARSE_TENSOR, SUMI_ATTR_TENSOR, "a sparse tensor"},
};

static const char *type_label(enum sumi_attr_type type) {
  for (size_t i = 0; i < SUMI_COUNT(types); i++)
    if (types[i].type == type) return types[i].label;
  return "nothing";
}

/* IR version 1 does not say the type: then it is the one of the field that is given. */
static int64_t onnx_type(const struct sumi_onnx_attribute *p) {
  if (p->type.v) return p->type.v;
  const struct {
    int64_t onnx;
    bool given;
  } rows[] = {{5, p->g.at},          {4, p->t.at},          {3, p->s.data != NULL},
              {7, p->ints.n > 0},    {6, p->floats.n > 0},  {8, p->strings.n > 0},
              {9, p->tensors.n > 0}, {10, p->graphs.n > 0}, {13, p->tp.at != NULL},
              {2, p->i.has},         {1, p->f.has},         {11, p->sparse_tensor.at != NULL}};
  for (size_t i = 0; i < SUMI_COUNT(rows); i++)
    if (rows[i].given) return rows[i].onnx;
  return 0;
}

/* The schema may name an attribute several times, for the versions in which its type changed. */
static sumi_status check_schema(const struct sumi_node *node, const char *name, enum sumi_attr_type type,
                                struct sumi_err *err) {
  const struct sumi_attr_spec *was = NULL, *other = NULL;
  for (const struct sumi_attr_spec *s = node->op->attrs; s && s->name; s++) {
    if (!sumi_streq(s->name, name)) continue;
    if (s->until && node->version >= s->until)
      was = s;
    else if (s->type != type)
      other = s;
    else
      return SUMI_OK;
  }
  if (other)
    SUMI_FAIL(err, SUMI_E_FORMAT, "attribute '%.128s' is %s where the operator wants %s", name,
              type_label(type), type_label(other->type));
  if (was)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "attribute '%.128s' is no longer there from version %d on", name,
              was->until);
  SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "the operator has no attribute '%.128s'", name);
}

static sumi_status check_required(const struct sumi_node *node, struct sumi_err *err) {
  for (const struct sumi_attr_spec *s = node->op->attrs; s && s->name; s++)
    if (s->required && !(s->until && node->version >= s->until) && !sumi_node_attr(node, s->name))
      SUMI_FAIL(err, SUMI_E_FORMAT, "attribute '%s' is missing", s->name);
  return SUMI_OK;
}

/* ---- contents ------------------------------------------------------------------------------------------ */

/* Room for n items in the graph's arena. */
static sumi_status new_items(struct sumi_onnx_importer *im, struct sumi_graph *g, size_t n, size_t item_bytes,
                             void **out, struct sumi_err *err) {
  if (n > im->limits.max_attr_items)
    SUMI_FAIL(err, SUMI_E_LIMIT, "an attribute has %zu items, the limit is %zu", n,
              im->limits.max_attr_items);
  size_t bytes;
  if (!sumi_size_mul(n, item_bytes, &bytes)) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_onnx_count_bytes(im, bytes, err));
  *out = sumi_arena_alloc(g->arena, bytes);
  if (!*out) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status copy_string(struct sumi_onnx_importer *im, struct sumi_graph *g, struct sumi_str from,
                               struct sumi_str *to, struct sumi_err *err) {
  SUMI_TRY(sumi_onnx_count_bytes(im, from.size, err));
  to->data = sumi_arena_strndup(g->arena, from.data, from.size);
  to->size = from.size;
  if (!to->data) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status take_tensor(struct sumi_onnx_importer *im, struct sumi_graph *g, struct sumi_wire bytes,
                               bool sparse, struct sumi_tensor *out, struct sumi_err *err) {
  struct sumi_onnx_stored stored;
  if (sparse) {
    struct sumi_onnx_sparse_tensor p;
    SUMI_TRY(sumi_onnx_read_sparse_tensor(bytes, &p, err));
    SUMI_TRY(sumi_onnx_sparse_find(&p, &im->limits, &stored, err));
  } else {
    struct sumi_onnx_tensor p;
    SUMI_TRY(sumi_onnx_read_tensor(bytes, &p, err));
    SUMI_TRY(sumi_onnx_tensor_find(&p, &im->limits, &im->external, &stored, err));
  }
  struct sumi_blob *blob;
  SUMI_TRY(sumi_onnx_import_tensor(im, &stored, out, &blob, err));
  if (blob == im->src->file) { /* held already */
    sumi_blob_unref(blob);
    return SUMI_OK;
  }
  if (!sumi_graph_hold(g, blob)) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static sumi_status take_graph_in(struct sumi_onnx_importer *im, struct sumi_onnx_scope *outer,
                                 struct sumi_graph *parent, struct sumi_wire bytes, struct sumi_graph **out,
                                 struct sumi_err *err) {
  struct sumi_onnx_graph p;
  const char *name;
  SUMI_TRY(sumi_onnx_read_graph(bytes, &p, err));
  SUMI_TRY(sumi_onnx_name(im, p.name, &name, err));
  if (parent->depth >= SUMI_MAX_BODY_DEPTH)
    SUMI_FAIL(err, SUMI_E_LIMIT, "bodies lie more than %d deep in each other", SUMI_MAX_BODY_DEPTH);
  *out = sumi_graph_new_body(parent, name);
  if (!*out) SUMI_FAIL_MEMORY(err);
  struct sumi_onnx_scope scope;
  sumi_onnx_scope_init(im, &scope, outer, outer->frame, *out);
  const sumi_status status = sumi_onnx_import_graph(im, &scope, &p, err);
  sumi_onnx_scope_fini(im, &scope);
  return status;
}

static sumi_status take_graph(struct sumi_onnx_importer *im, struct sumi_onnx_scope *outer,
                              struct sumi_graph *parent, struct sumi_wire bytes, struct sumi_graph **out,
                              struct sumi_err *err) {
  SUMI_TRY(sumi_onnx_enter(im, sumi_wire_size(&bytes), err));
  const sumi_status status = take_graph_in(im, outer, parent, bytes, out, err);
  sumi_onnx_leave(im);
  return status;
}

static sumi_status take_numbers(struct sumi_onnx_importer *im, struct sumi_graph *g,
                                struct sumi_wire_list list, struct sumi_attr *a, struct sumi_err *err) {
  void *items;
  uint64_t v;
  const bool floats = a->type == SUMI_ATTR_FLOATS;
  a->n = list.n;
  SUMI_TRY(new_items(im, g, a->n, floats ? sizeof(float) : sizeof(int64_t), &items, err));
  for (size_t i = 0; sumi_wire_list_number(&list, &v); i++)
    if (floats)
      ((float *)items)[i] = sumi_f32_from_bits((uint32_t)v);
    else
      ((int64_t *)items)[i] = (int64_t)v;
  if (floats)
    a->u.floats = items;
  else
    a->u.ints = items;
  return SUMI_OK;
}

static sumi_status take_list(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                             struct sumi_graph *g, struct sumi_wire_list list, struct sumi_attr *a,
                             struct sumi_err *err) {
  const size_t item_bytes = a->type == SUMI_ATTR_STRINGS   ? sizeof(struct sumi_str)
                            : a->type == SUMI_ATTR_TENSORS ? sizeof(struct sumi_tensor)
                                                           : sizeof(struct sumi_graph *);
  void *items;
  struct sumi_wire item;
  a->n = list.n;
  SUMI_TRY(new_items(im, g, a->n, item_bytes, &items, err));
  for (size_t i = 0; sumi_wire_list_bytes(&list, &item); i++)
    if (a->type == SUMI_ATTR_STRINGS)
      SUMI_TRY(copy_string(im, g, sumi_wire_str(&item), (struct sumi_str *)items + i, err));
    else if (a->type == SUMI_ATTR_TENSORS)
      SUMI_TRY(take_tensor(im, g, item, false, (struct sumi_tensor *)items + i, err));
    else
      SUMI_TRY(take_graph(im, scope, g, item, (struct sumi_graph **)items + i, err));
  if (a->type == SUMI_ATTR_STRINGS)
    a->u.strings = items;
  else if (a->type == SUMI_ATTR_TENSORS)
    a->u.tensors = items;
  else
    a->u.graphs = items;
  return SUMI_OK;
}

static sumi_status missing(const struct sumi_attr *a, struct sumi_err *err) {
  SUMI_FAIL(err, SUMI_E_FORMAT, "it says it is %s but gives none", type_label(a->type));
}

/* scope: where names in graphs of the attribute are looked up. */
static sumi_status take_value(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                              struct sumi_graph *g, const struct sumi_onnx_attribute *p, struct sumi_attr *a,
                              struct sumi_err *err) {
  const bool sparse = onnx_type(p) == TYPE_SPARSE_TENSOR;
  const struct sumi_wire tensor = sparse ? p->sparse_tensor : p->t;
  void *item;
  switch (a->type) {
    case SUMI_ATTR_INT: a->u.i = p->i.v; return SUMI_OK;
    case SUMI_ATTR_FLOAT: a->u.f = p->f.v; return SUMI_OK;
    case SUMI_ATTR_STRING: return copy_string(im, g, p->s, &a->u.s, err);
    case SUMI_ATTR_INTS: return take_numbers(im, g, p->ints, a, err);
    case SUMI_ATTR_FLOATS: return take_numbers(im, g, p->floats, a, err);
    case SUMI_ATTR_STRINGS: return take_list(im, scope, g, p->strings, a, err);
    case SUMI_ATTR_TENSORS: return take_list(im, scope, g, p->tensors, a, err);
    case SUMI_ATTR_GRAPHS: return take_list(im, scope, g, p->graphs, a, err);
    case SUMI_ATTR_TENSOR:
      if (!tensor.at) return missing(a, err);
      SUMI_TRY(new_items(im, g, 1, sizeof(struct sumi_tensor), &item, err));
      a->u.t = item;
      return take_tensor(im, g, tensor, sparse, item, err);
    case SUMI_ATTR_GRAPH:
      if (!p->g.at) return missing(a, err);
      return take_graph(im, scope, g, p->g, &a->u.g, err);
    case SUMI_ATTR_TYPE:
      if (!p->tp.at) return missing(a, err);
      SUMI_TRY(new_items(im, g, 1, sizeof(struct sumi_info), &item, err));
      a->u.type_info = item;
      return sumi_onnx_read_info(p->tp, g->symbols, item, err);
    default: SUMI_FAIL(err, SUMI_E_INTERNAL, "attribute type %d", (int)a->type);
  }
}

/* ---- attributes of a node ------------------------------------------------------------------------------ */

/* Where the strings of an attribute name values of the node's graph, they become what the values are called there: those of an
 * inlined function are not called as in the file. */
static sumi_status resolve_names(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                 const struct sumi_node *node, struct sumi_attr *a, struct sumi_err *err) {
  const struct sumi_attr_spec *spec = node->op->attrs;
  while (!sumi_streq(spec->name, a->name)) spec++;
  if (!spec->names) return SUMI_OK;
  struct sumi_str *item = a->type == SUMI_ATTR_STRING ? &a->u.s : (struct sumi_str *)(uintptr_t)a->u.strings;
  for (size_t i = 0; i < a->n; i++) {
    const char *name;
    SUMI_TRY(sumi_onnx_name(im, item[i], &name, err));
    const struct sumi_onnx_slot *slot = sumi_onnx_scope_own(scope, name);
    if (!slot || !slot->value) SUMI_FAIL(err, SUMI_E_FORMAT, "there is no value '%.128s' in its graph", name);
    item[i] = (struct sumi_str){slot->value->name, strlen(slot->value->name)};
  }
  return SUMI_OK;
}

static sumi_status take_attr(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                             struct sumi_node *node, struct sumi_str name_bytes,
                             const struct sumi_onnx_attribute *p, struct sumi_err *err) {
  const char *name;
  SUMI_TRY(sumi_onnx_name(im, name_bytes, &name, err));
  const int64_t onnx = onnx_type(p);
  size_t row = 0;
  while (row < SUMI_COUNT(types) && types[row].onnx != onnx) row++;
  if (row == SUMI_COUNT(types))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "attribute '%.128s' has unknown type %" PRId64, name, onnx);
  SUMI_TRY(check_schema(node, name, types[row].type, err));
  if (sumi_node_attr(node, name)) SUMI_FAIL(err, SUMI_E_FORMAT, "attribute '%.128s' is given twice", name);
  struct sumi_attr *a = sumi_node_add_attr(node, name, types[row].type);
  if (!a) SUMI_FAIL_MEMORY(err);
  sumi_status status = take_value(im, scope, node->graph, p, a, err);
  if (status == SUMI_OK) status = resolve_names(im, scope, node, a, err);
  if (status == SUMI_OK || im->refusals.fatal) return status;
  return sumi_err_prefix(err, status, "attribute '%.128s'", a->name);
}

const struct sumi_onnx_binding *sumi_onnx_binding_find(const struct sumi_onnx_frame *frame,
                                                       struct sumi_str name) {
  for (size_t i = 0; i < frame->n_binding; i++) {
    const struct sumi_str have = frame->binding[i].name;
    if (have.size == name.size && (!name.size || !memcmp(have.data, name.data, name.size)))
      return &frame->binding[i];
  }
  return NULL;
}

sumi_status sumi_onnx_import_attrs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   struct sumi_node *node, struct sumi_wire_list attributes,
                                   struct sumi_err *err) {
  struct sumi_wire item;
  while (sumi_wire_list_bytes(&attributes, &item)) {
    struct sumi_onnx_attribute p;
    SUMI_TRY(sumi_onnx_read_attribute(item, &p, err));
    if (!p.ref_attr_name.size) {
      SUMI_TRY(take_attr(im, scope, node, p.name, &p, err));
      continue;
    }
    if (!scope->frame->function)
      SUMI_FAIL(err, SUMI_E_FORMAT, "an attribute refers to one of a function, outside of any function");
    const struct sumi_onnx_binding *b = sumi_onnx_binding_find(scope->frame, p.ref_attr_name);
    if (b) SUMI_TRY(take_attr(im, b->scope, node, p.name, &b->attr, err));
  }
  return check_required(node, err);
}

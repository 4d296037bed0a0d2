/* TensorProto, SequenceProto, MapProto and OptionalProto on their own, as test data is stored. */
#include "base/limits.h"
#include "base/size.h"
#include "onnx/import.h"
#include "onnx/tensor.h"

struct reader {
  const struct sumi_limits *limits;
  struct sumi_arena *arena;
};

/* SequenceProto.DataType and OptionalProto.DataType. */
enum { ELEM_UNDEFINED, ELEM_TENSOR, ELEM_SPARSE_TENSOR, ELEM_SEQUENCE, ELEM_MAP, ELEM_OPTIONAL };

static sumi_status refuse_elem(int64_t type, const char *where, struct sumi_err *err) {
  static const char *const names[] = {"undefined items", "tensors", "sparse tensors",
                                      "sequences",       "maps",    "optionals"};
  const bool known = type >= 0 && type < (int64_t)SUMI_COUNT(names);
  SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "%s of %s are not taken", where, known ? names[type] : "unknown items");
}

static sumi_status read_tensor(const struct reader *r, struct sumi_wire bytes, struct sumi_tensor *out,
                               struct sumi_err *err) {
  struct sumi_onnx_tensor p;
  struct sumi_onnx_stored s;
  SUMI_TRY(sumi_onnx_read_tensor(bytes, &p, err));
  SUMI_TRY(sumi_onnx_tensor_find(&p, r->limits, NULL, &s, err));
  *out = s.tensor;
  out->data = sumi_arena_alloc(r->arena, s.bytes);
  if (!out->data) SUMI_FAIL_MEMORY(err);
  return sumi_onnx_tensor_copy(&s, r->limits, NULL, NULL, out->data, err);
}

static sumi_status read_sequence(const struct reader *r, struct sumi_wire bytes, struct sumi_tensor *out,
                                 struct sumi_err *err) {
  struct sumi_onnx_sequence p;
  SUMI_TRY(sumi_onnx_read_sequence(bytes, &p, err));
  if (p.elem_type.v != ELEM_TENSOR && p.elem_type.v != ELEM_UNDEFINED)
    return refuse_elem(p.elem_type.v, "sequences", err);
  if (p.tensor_values.n > r->limits->max_values)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a sequence has %zu tensors, the limit is %zu", p.tensor_values.n,
              r->limits->max_values);
  *out = (struct sumi_tensor){.kind = SUMI_SEQUENCE, .rank = -1, .n_items = (int64_t)p.tensor_values.n};
  out->items = SUMI_NEW_ARRAY(r->arena, p.tensor_values.n, struct sumi_tensor *);
  struct sumi_tensor *items = SUMI_NEW_ARRAY(r->arena, p.tensor_values.n, struct sumi_tensor);
  if (!out->items || !items) SUMI_FAIL_MEMORY(err);
  struct sumi_wire item;
  for (size_t i = 0; sumi_wire_list_bytes(&p.tensor_values, &item); i++) {
    SUMI_TRY(read_tensor(r, item, &items[i], err));
    if (items[i].dtype != items[0].dtype)
      SUMI_FAIL(err, SUMI_E_TYPE, "a sequence holds %s and %s", sumi_dtype_label(items[0].dtype),
                sumi_dtype_label(items[i].dtype));
    out->items[i] = &items[i];
    out->dtype = items[0].dtype;
  }
  return SUMI_OK;
}

/* The keys of a map, a list. */
static sumi_status read_keys(const struct reader *r, const struct sumi_onnx_map *p, struct sumi_tensor *keys,
                             struct sumi_err *err) {
  const sumi_dtype dtype = sumi_dtype_from_onnx(p->key_type.v);
  const size_t n = dtype == SUMI_STRING ? p->string_keys.n : p->keys.n;
  if (dtype != SUMI_STRING && dtype != SUMI_INT64)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "maps from type %lld are not taken", (long long)p->key_type.v);
  if (n > r->limits->max_values)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a map has %zu keys, the limit is %zu", n, r->limits->max_values);
  *keys = (struct sumi_tensor){.dtype = dtype, .rank = 1, .dim = {(int64_t)n}};
  keys->data =
      sumi_arena_array(r->arena, n, dtype == SUMI_STRING ? sizeof(struct sumi_str) : sizeof(int64_t));
  if (!keys->data) SUMI_FAIL_MEMORY(err);
  struct sumi_wire text;
  struct sumi_wire_list strings = p->string_keys, ints = p->keys;
  for (size_t i = 0; dtype == SUMI_STRING && i < n && sumi_wire_list_bytes(&strings, &text); i++) {
    struct sumi_str *s = (struct sumi_str *)keys->data + i;
    s->size = (size_t)(text.end - text.at);
    s->data = sumi_arena_strndup(r->arena, (const char *)text.at, s->size);
    if (!s->data) SUMI_FAIL_MEMORY(err);
  }
  uint64_t number;
  for (size_t i = 0; dtype == SUMI_INT64 && i < n && sumi_wire_list_number(&ints, &number); i++)
    ((int64_t *)keys->data)[i] = (int64_t)number;
  return SUMI_OK;
}

/* A map: MapProto holds its values as a sequence of tensors of one element each. */
static sumi_status read_map(const struct reader *r, struct sumi_wire bytes, struct sumi_tensor *out,
                            struct sumi_err *err) {
  struct sumi_onnx_map p;
  struct sumi_tensor list = {.kind = SUMI_SEQUENCE}, *pair = SUMI_NEW_ARRAY(r->arena, 2, struct sumi_tensor);
  struct sumi_tensor **items = SUMI_NEW_ARRAY(r->arena, 2, struct sumi_tensor *);
  if (!pair || !items) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_onnx_read_map(bytes, &p, err));
  SUMI_TRY(read_keys(r, &p, &pair[0], err));
  if (p.values.at) SUMI_TRY(read_sequence(r, p.values, &list, err));
  if (list.n_items != pair[0].dim[0])
    SUMI_FAIL(err, SUMI_E_FORMAT, "a map has %lld keys and %lld values", (long long)pair[0].dim[0],
              (long long)list.n_items);
  size_t size;
  pair[1] = (struct sumi_tensor){.dtype = list.dtype, .rank = 1, .dim = {list.n_items}};
  if (list.n_items) {
    SUMI_TRY(sumi_shape_bytes(list.dtype, pair[1].dim, 1, &size, err));
    if (!(pair[1].data = sumi_arena_alloc(r->arena, size))) SUMI_FAIL_MEMORY(err);
  }
  for (int64_t i = 0; i < list.n_items; i++) {
    if (sumi_tensor_count(list.items[i]) != 1)
      SUMI_FAIL(err, SUMI_E_SHAPE, "a value of a map is not one element");
    sumi_copy(list.dtype, pair[1].data, i, list.items[i]->data, 0, 1);
  }
  items[0] = &pair[0];
  items[1] = &pair[1];
  *out = (struct sumi_tensor){
      .kind = SUMI_MAP, .dtype = list.dtype, .key = pair[0].dtype, .rank = -1, .items = items, .n_items = 2};
  return SUMI_OK;
}

static sumi_status read_maps(const struct reader *r, struct sumi_wire bytes, struct sumi_tensor *out,
                             struct sumi_err *err) {
  struct sumi_onnx_sequence p;
  SUMI_TRY(sumi_onnx_read_sequence(bytes, &p, err));
  if (p.elem_type.v != ELEM_MAP && p.elem_type.v != ELEM_UNDEFINED)
    return refuse_elem(p.elem_type.v, "sequences for maps", err);
  if (p.map_values.n > r->limits->max_values)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a sequence has %zu maps, the limit is %zu", p.map_values.n,
              r->limits->max_values);
  *out = (struct sumi_tensor){.kind = SUMI_MAP_SEQUENCE, .rank = -1, .n_items = (int64_t)p.map_values.n};
  out->items = SUMI_NEW_ARRAY(r->arena, p.map_values.n, struct sumi_tensor *);
  struct sumi_tensor *items = SUMI_NEW_ARRAY(r->arena, p.map_values.n, struct sumi_tensor);
  if (!out->items || !items) SUMI_FAIL_MEMORY(err);
  struct sumi_wire item;
  for (size_t i = 0; sumi_wire_list_bytes(&p.map_values, &item); i++) {
    SUMI_TRY(read_map(r, item, &items[i], err));
    if (items[i].key != items[0].key || (items[i].dtype != items[0].dtype && items[i].items[0]->dim[0]))
      SUMI_FAIL(err, SUMI_E_TYPE, "a sequence holds maps of several types");
    out->items[i] = &items[i];
    out->dtype = items[0].dtype;
    out->key = items[0].key;
  }
  return SUMI_OK;
}

static sumi_status read_optional(const struct reader *r, struct sumi_wire bytes, struct sumi_tensor *out,
                                 struct sumi_err *err) {
  struct sumi_onnx_optional p;
  SUMI_TRY(sumi_onnx_read_optional(bytes, &p, err));
  if (p.elem_type.v != ELEM_TENSOR && p.elem_type.v != ELEM_SEQUENCE && p.elem_type.v != ELEM_UNDEFINED)
    return refuse_elem(p.elem_type.v, "optionals", err);
  const bool sequence = p.elem_type.v == ELEM_SEQUENCE || p.sequence_value.at;
  *out = (struct sumi_tensor){.absent = true};
  if (sequence && p.sequence_value.at) SUMI_TRY(read_sequence(r, p.sequence_value, out, err));
  if (!sequence && p.tensor_value.at) SUMI_TRY(read_tensor(r, p.tensor_value, out, err));
  out->kind = sequence ? SUMI_OPTIONAL_SEQUENCE : SUMI_OPTIONAL;
  return SUMI_OK;
}

sumi_status sumi_onnx_value_read(const void *bytes, size_t n_bytes, sumi_kind kind,
                                 const struct sumi_limits *limits, struct sumi_arena *arena,
                                 struct sumi_tensor **out, struct sumi_err *err) {
  const struct sumi_limits filled = sumi_limits_fill(limits);
  const struct reader r = {&filled, arena};
  const struct sumi_wire w = sumi_wire_over(bytes, n_bytes);
  *out = NULL;
  struct sumi_tensor *t = SUMI_NEW(arena, struct sumi_tensor);
  if (!t) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(kind == SUMI_TENSOR         ? read_tensor(&r, w, t, err)
           : kind == SUMI_SEQUENCE     ? read_sequence(&r, w, t, err)
           : kind == SUMI_MAP          ? read_map(&r, w, t, err)
           : kind == SUMI_MAP_SEQUENCE ? read_maps(&r, w, t, err)
                                       : read_optional(&r, w, t, err));
  *out = t;
  return SUMI_OK;
}

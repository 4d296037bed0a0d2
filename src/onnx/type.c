/* TypeProto: kind, element type and shape of a value. Depth is bounded by what a kind can be: an optional
 * of a sequence of tensors is the deepest. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "onnx/import_int.h"

/* Names that exporters write where they know nothing; taken as names they would make unrelated dimensions
 * equal. */
static bool says_nothing(struct sumi_str name) {
  static const char *const words[] = {"", "?", "None", "none", "unk", "unknown", "Unknown", "-1"};
  for (size_t i = 0; i < SUMI_COUNT(words); i++)
    if (sumi_onnx_str_is(name, words[i])) return true;
  for (size_t i = 0; i < name.size; i++)
    if (name.data[i] < '0' || name.data[i] > '9') return false;
  return true;
}

/* "past + seq" is an expression, "batch-size" is a name: exporters write the former with spaces. */
static sumi_dim named_dim(struct sumi_symbols *symbols, struct sumi_str name) {
  char text[256];
  if (memchr(name.data, ' ', name.size)) return sumi_dim_parse(symbols, name.data, name.size);
  if (name.size >= sizeof text) return SUMI_DIM_UNKNOWN;
  sumi_onnx_printable(text, sizeof text, name);
  return sumi_dim_symbol(symbols, text);
}

static sumi_status read_dim(struct sumi_wire bytes, struct sumi_symbols *symbols, sumi_dim *out,
                            struct sumi_err *err) {
  struct sumi_onnx_dimension d;
  SUMI_TRY(sumi_onnx_read_dimension(bytes, &d, err));
  *out = SUMI_DIM_UNKNOWN;
  if (d.dim_value.has) {
    if (d.dim_value.v > 0) *out = d.dim_value.v; /* 0 is written where nothing is known, as -1 is */
  } else if (d.dim_param.data && !says_nothing(d.dim_param)) {
    *out = named_dim(symbols, d.dim_param);
  }
  return SUMI_OK;
}

static sumi_status read_shape(struct sumi_wire bytes, struct sumi_symbols *symbols, struct sumi_info *out,
                              struct sumi_err *err) {
  struct sumi_onnx_shape shape;
  SUMI_TRY(sumi_onnx_read_shape(bytes, &shape, err));
  if (shape.dim.n > SUMI_MAX_RANK)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a type has %zu dimensions, the limit is %d", shape.dim.n, SUMI_MAX_RANK);
  out->rank = 0;
  struct sumi_wire item;
  for (struct sumi_wire_list l = shape.dim; sumi_wire_list_bytes(&l, &item);)
    SUMI_TRY(read_dim(item, symbols, &out->dim[out->rank++], err));
  return SUMI_OK;
}

static sumi_status read_tensor_type(struct sumi_wire bytes, struct sumi_symbols *symbols,
                                    struct sumi_info *out, struct sumi_err *err) {
  struct sumi_onnx_tensor_type t;
  SUMI_TRY(sumi_onnx_read_tensor_type(bytes, &t, err));
  out->dtype = sumi_dtype_from_onnx(t.elem_type.v);
  if (out->dtype == SUMI_UNDEFINED && t.elem_type.v != 0)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "element type %" PRId64 " is unknown", t.elem_type.v);
  return t.shape.at ? read_shape(t.shape, symbols, out, err) : SUMI_OK;
}

/* A map, or the maps of a sequence. */
static sumi_status read_map(struct sumi_wire bytes, bool sequence, struct sumi_symbols *symbols,
                            struct sumi_info *out, struct sumi_err *err) {
  struct sumi_onnx_map_type m;
  struct sumi_onnx_type value;
  SUMI_TRY(sumi_onnx_read_map_type(bytes, &m, err));
  out->key = sumi_dtype_from_onnx(m.key_type.v);
  if (out->key != SUMI_STRING && !sumi_dtype_is_int(out->key))
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "a map from keys of type %" PRId64 " is not a kind of value here",
              m.key_type.v);
  if (m.value_type.at) SUMI_TRY(sumi_onnx_read_type(m.value_type, &value, err));
  if (!m.value_type.at || !value.tensor_type.at)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "a map's values are no tensors");
  SUMI_TRY(read_tensor_type(value.tensor_type, symbols, out, err));
  out->rank = -1; /* one element each */
  out->kind = sequence ? SUMI_MAP_SEQUENCE : SUMI_MAP;
  return SUMI_OK;
}

sumi_status sumi_onnx_read_info(struct sumi_wire bytes, struct sumi_symbols *symbols, struct sumi_info *out,
                                struct sumi_err *err) {
  *out = SUMI_INFO_UNKNOWN;
  if (!bytes.at) return SUMI_OK;
  struct sumi_onnx_type t;
  bool optional = false, sequence = false;
  for (;;) {
    SUMI_TRY(sumi_onnx_read_type(bytes, &t, err));
    const int n = (t.tensor_type.at != NULL) + (t.sequence_type.at != NULL) + (t.map_type.at != NULL) +
                  (t.opaque_type.at != NULL) + (t.sparse_tensor_type.at != NULL) +
                  (t.optional_type.at != NULL);
    if (n > 1) SUMI_FAIL(err, SUMI_E_FORMAT, "a type is of several kinds at once");
    if (t.map_type.at && !optional) return read_map(t.map_type, sequence, symbols, out, err);
    if (t.map_type.at) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "an optional of maps is not a kind of value here");
    if (t.opaque_type.at) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "an opaque type is not a kind of value here");
    if (t.sparse_tensor_type.at)
      SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "a sparse tensor is not a kind of value here");
    if (t.optional_type.at ? optional || sequence : t.sequence_type.at ? sequence : false)
      SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "a %s of %s is not a kind of value here",
                sequence ? "sequence" : "optional", t.optional_type.at ? "optionals" : "sequences");
    if (!t.optional_type.at && !t.sequence_type.at) break;
    optional |= t.optional_type.at != NULL;
    sequence |= t.sequence_type.at != NULL;
    struct sumi_onnx_element_type e;
    SUMI_TRY(sumi_onnx_read_element_type(t.optional_type.at ? t.optional_type : t.sequence_type, &e, err));
    if (!e.elem_type.at) {
      t = (struct sumi_onnx_type){0};
      break;
    }
    bytes = e.elem_type;
  }
  out->kind = optional   ? (sequence ? SUMI_OPTIONAL_SEQUENCE : SUMI_OPTIONAL)
              : sequence ? SUMI_SEQUENCE
                         : SUMI_TENSOR;
  if (!t.tensor_type.at) return SUMI_OK;
  SUMI_TRY(read_tensor_type(t.tensor_type, symbols, out, err));
  if (sequence) out->rank = -1; /* its tensors may differ in shape */
  return SUMI_OK;
}

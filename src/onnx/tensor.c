/* TensorProto: where the elements of each type may stand, and how they are read. Which typed field belongs to
 * which type, and the raw layout, follow the comments of onnx.proto. */
#include "onnx/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
enum { LITTLE_ENDIAN_HOST = 0 };
#else
enum { LITTLE_ENDIAN_HOST = 1 };
#endif

static bool is_float6(sumi_dtype d) { return d == SUMI_FLOAT6E2M3 || d == SUMI_FLOAT6E3M2; }

static size_t float6_bytes(size_t n) { return n / 4 * 3 + (n % 4 * 6 + 7) / 8; } /* as a stream of bits */

/* Bytes of the numbers that make up an element: half of a complex one's, 1 for packed types. */
static size_t unit_bytes(sumi_dtype d) {
  const int bits = sumi_dtype_bits(d) / (sumi_dtype_class(d) == 'C' ? 2 : 1);
  return bits < 8 ? 1 : (size_t)bits / 8;
}

/* The typed field for d, and how many items hold n elements. */
static const struct sumi_wire_list *typed_field(const struct sumi_onnx_tensor *p, sumi_dtype d, int64_t n,
                                                const char **name, uint64_t *items) {
  const uint64_t count = (uint64_t)n;
  *items = sumi_dtype_class(d) == 'C' ? 2 * count : count;
  switch (d) {
    case SUMI_FLOAT32:
    case SUMI_COMPLEX64: *name = "float_data"; return &p->float_data;
    case SUMI_FLOAT64:
    case SUMI_COMPLEX128: *name = "double_data"; return &p->double_data;
    case SUMI_INT64: *name = "int64_data"; return &p->int64_data;
    case SUMI_UINT32:
    case SUMI_UINT64: *name = "uint64_data"; return &p->uint64_data;
    case SUMI_STRING: *name = "string_data"; return &p->string_data;
    default:
      if (sumi_dtype_bits(d) < 6)
        *items =
            count / (8 / (uint64_t)sumi_dtype_bits(d)) + (count % (8 / (uint64_t)sumi_dtype_bits(d)) != 0);
      *name = "int32_data";
      return &p->int32_data;
  }
}

static sumi_status find_shape(const struct sumi_wire_list *dims, const struct sumi_limits *limits,
                              struct sumi_onnx_stored *s, struct sumi_err *err) {
  if (dims->n > SUMI_MAX_RANK)
    SUMI_FAIL(err, SUMI_E_LIMIT, "it has %zu dimensions, the limit is %d", dims->n, SUMI_MAX_RANK);
  uint64_t dim;
  for (struct sumi_wire_list l = *dims; sumi_wire_list_number(&l, &dim);)
    s->tensor.dim[s->tensor.rank++] = (int64_t)dim;
  SUMI_TRY(sumi_shape_count(s->tensor.dim, s->tensor.rank, &s->count, err));
  SUMI_TRY(sumi_shape_bytes(s->tensor.dtype, s->tensor.dim, s->tensor.rank, &s->bytes, err));
  if (s->bytes > limits->max_tensor_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "it takes %zu bytes, the limit is %zu", s->bytes, limits->max_tensor_bytes);
  return SUMI_OK;
}

static sumi_status find_raw(const struct sumi_wire *raw, struct sumi_onnx_stored *s, struct sumi_err *err) {
  const sumi_dtype d = s->tensor.dtype;
  if (d == SUMI_STRING) SUMI_FAIL(err, SUMI_E_FORMAT, "strings cannot be given as raw bytes");
  const size_t n = (size_t)s->count;
  const size_t want = is_float6(d) ? float6_bytes(n) : s->bytes;
  if (sumi_wire_size(raw) != want)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has %zu bytes of data, its type and shape ask for %zu",
              sumi_wire_size(raw), want);
  s->raw = true;
  s->flat = raw->at;
  return SUMI_OK;
}

/* String elements: the headers, then all bytes. */
static sumi_status add_string_bytes(struct sumi_onnx_stored *s, const struct sumi_limits *limits,
                                    struct sumi_err *err) {
  struct sumi_wire item;
  for (struct sumi_wire_list l = s->list; sumi_wire_list_bytes(&l, &item);)
    if (!sumi_size_add(s->bytes, sumi_wire_size(&item), &s->bytes) || s->bytes > limits->max_tensor_bytes)
      SUMI_FAIL(err, SUMI_E_LIMIT, "its strings take more than %zu bytes", limits->max_tensor_bytes);
  return SUMI_OK;
}

sumi_status sumi_onnx_tensor_find(const struct sumi_onnx_tensor *p, const struct sumi_limits *limits,
                                  struct sumi_onnx_external *external, struct sumi_onnx_stored *s,
                                  struct sumi_err *err) {
  *s = (struct sumi_onnx_stored){.name = p->name};
  s->tensor.dtype = sumi_dtype_from_onnx(p->data_type.v);
  if (s->tensor.dtype == SUMI_UNDEFINED)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "element type %" PRId64 " is unknown", p->data_type.v);
  if (p->segment.at) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "it is stored in segments");
  SUMI_TRY(find_shape(&p->dims, limits, s, err));
  if (p->data_location.v != 0 && p->data_location.v != 1)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "data location %" PRId64 " is unknown", p->data_location.v);
  if (p->data_location.v == 1) {
    if (!external) SUMI_FAIL(err, SUMI_E_VALUE, "its data lies in another file, which is not allowed here");
    struct sumi_wire bytes;
    SUMI_TRY(sumi_onnx_external_find(external, p, s->bytes, &bytes, &s->blob, err));
    return find_raw(&bytes, s, err);
  }
  if (p->raw_data.data) {
    const struct sumi_wire raw = sumi_wire_over(p->raw_data.data, p->raw_data.size);
    return find_raw(&raw, s, err);
  }
  const char *name;
  uint64_t items;
  s->list = *typed_field(p, s->tensor.dtype, s->count, &name, &items);
  if (s->list.n != items)
    SUMI_FAIL(err, SUMI_E_FORMAT, "it has %zu items of %s, its type and shape ask for %" PRIu64, s->list.n,
              name, items);
  if (s->tensor.dtype == SUMI_STRING) return add_string_bytes(s, limits, err);
  if (!sumi_wire_list_flat(&s->list, &s->flat)) s->flat = NULL;
  return SUMI_OK;
}

static bool all_bools(const uint8_t *p, int64_t n) {
  uint8_t any = 0;
  for (int64_t i = 0; i < n; i++) any |= p[i];
  return any <= 1;
}

const void *sumi_onnx_tensor_unaligned(const struct sumi_onnx_stored *s) {
  const sumi_dtype d = s->tensor.dtype;
  if (!s->flat || s->sparse || is_float6(d)) return NULL;
  if (!LITTLE_ENDIAN_HOST && unit_bytes(d) > 1) return NULL;
  if (d == SUMI_BOOL && !all_bools(s->flat, s->count)) return NULL;
  return s->flat;
}

const void *sumi_onnx_tensor_in_place(const struct sumi_onnx_stored *s) {
  const void *data = sumi_onnx_tensor_unaligned(s);
  return (uintptr_t)data % unit_bytes(s->tensor.dtype) ? NULL : data;
}

static void copy_strings(const struct sumi_onnx_stored *s, void *dst) {
  struct sumi_str *str = dst;
  char *to = (char *)(str + s->count);
  struct sumi_wire_list l = s->list;
  struct sumi_wire item;
  for (int64_t i = 0; i < s->count && sumi_wire_list_bytes(&l, &item); i++) {
    str[i] = (struct sumi_str){to, sumi_wire_size(&item)};
    if (str[i].size) memcpy(to, item.at, str[i].size);
    to += str[i].size;
  }
}

/* Numbers of unit bytes each, least significant byte first. */
static void store_little(uint8_t *to, size_t unit, uint64_t v) {
  if (LITTLE_ENDIAN_HOST) {
    memcpy(to, &v, unit);
    return;
  }
  for (size_t b = 0; b < unit; b++) to[unit - 1 - b] = (uint8_t)(v >> (8 * b));
}

static void copy_list(const struct sumi_onnx_stored *s, uint8_t *dst) {
  const sumi_dtype d = s->tensor.dtype;
  const size_t unit = unit_bytes(d);
  struct sumi_wire_list l = s->list;
  uint64_t v;
  for (size_t i = 0; i < s->list.n && sumi_wire_list_number(&l, &v); i++)
    store_little(dst + i * unit, unit, d == SUMI_BOOL ? v != 0 : is_float6(d) ? v & 63 : v);
}

/* Numbers of unit bytes each, their bytes turned round. */
static void swap_bytes(uint8_t *to, const uint8_t *from, size_t bytes, size_t unit) {
  for (size_t i = 0; i < bytes; i++) to[i] = from[i - i % unit + (unit - 1 - i % unit)];
}

static void copy_flat(const struct sumi_onnx_stored *s, uint8_t *dst) {
  const sumi_dtype d = s->tensor.dtype;
  const size_t unit = unit_bytes(d);
  if (is_float6(d) && s->raw) { /* a stream of 6-bit items, low bits first */
    for (int64_t i = 0; i < s->count; i++) {
      const int64_t bit = 6 * i;
      const int shift = (int)(bit % 8);
      unsigned v = s->flat[bit / 8] >> shift;
      if (shift > 2) v |= (unsigned)s->flat[bit / 8 + 1] << (8 - shift);
      dst[i] = v & 63;
    }
  } else if (d == SUMI_BOOL) {
    for (int64_t i = 0; i < s->count; i++) dst[i] = s->flat[i] != 0;
  } else if (LITTLE_ENDIAN_HOST || unit == 1) {
    if (s->bytes) memcpy(dst, s->flat, s->bytes);
  } else {
    swap_bytes(dst, s->flat, s->bytes, unit);
  }
}

/* ---- sparse tensors
 * --------------------------------------------------------------------------------------------- */

sumi_status sumi_onnx_sparse_find(const struct sumi_onnx_sparse_tensor *p, const struct sumi_limits *limits,
                                  struct sumi_onnx_stored *s, struct sumi_err *err) {
  *s = (struct sumi_onnx_stored){.sparse = true};
  if (!p->values.at || !p->indices.at)
    SUMI_FAIL(err, SUMI_E_FORMAT, "a sparse tensor lacks its values or indices");
  SUMI_TRY(sumi_onnx_read_tensor(p->values, &s->values, err));
  SUMI_TRY(sumi_onnx_read_tensor(p->indices, &s->indices, err));
  s->name = s->values.name;
  s->tensor.dtype = sumi_dtype_from_onnx(s->values.data_type.v);
  if (s->tensor.dtype == SUMI_UNDEFINED)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "element type %" PRId64 " is unknown", s->values.data_type.v);
  if (s->tensor.dtype == SUMI_STRING) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "a sparse tensor of strings");
  return find_shape(&p->dims, limits, s, err);
}

/* The elements of one part of a sparse tensor, in place or in scratch. */
static sumi_status fetch(const struct sumi_onnx_tensor *p, const struct sumi_limits *limits,
                         struct sumi_onnx_external *external, struct sumi_arena *scratch,
                         struct sumi_onnx_stored *s, const void **data, struct sumi_err *err) {
  SUMI_TRY(sumi_onnx_tensor_find(p, limits, external, s, err));
  *data = sumi_onnx_tensor_in_place(s);
  if (*data) return SUMI_OK;
  void *copy = sumi_arena_alloc(scratch, s->bytes);
  if (!copy) SUMI_FAIL_MEMORY(err);
  *data = copy;
  return sumi_onnx_tensor_copy(s, limits, external, scratch, copy, err);
}

/* indices[k * width ...] to the linear index; false: outside the shape. */
static bool linear_index(const struct sumi_tensor *t, int64_t count, const int64_t *index, int width,
                         bool linear, int64_t *out) {
  if (linear) {
    *out = *index;
    return *index >= 0 && *index < count;
  }
  *out = 0;
  for (int i = 0; i < width; i++) {
    if (index[i] < 0 || index[i] >= t->dim[i]) return false;
    *out = *out * t->dim[i] + index[i];
  }
  return true;
}

/* The standard wants indices in rising order without repetition; anything else is damage. */
static sumi_status copy_sparse(const struct sumi_onnx_stored *s, const struct sumi_limits *limits,
                               struct sumi_onnx_external *external, struct sumi_arena *scratch, void *dst,
                               struct sumi_err *err) {
  struct sumi_onnx_stored values, indices;
  const void *value_data, *index_data;
  SUMI_TRY(fetch(&s->values, limits, external, scratch, &values, &value_data, err));
  SUMI_TRY(fetch(&s->indices, limits, external, scratch, &indices, &index_data, err));
  const int64_t n = values.count;
  const struct sumi_tensor *it = &indices.tensor;
  if (it->dtype != SUMI_INT64)
    SUMI_FAIL(err, SUMI_E_TYPE, "its indices are %s, not int64", sumi_dtype_label(it->dtype));
  if (values.tensor.rank != 1)
    SUMI_FAIL(err, SUMI_E_SHAPE, "the values of a sparse tensor have rank %d, not 1", values.tensor.rank);
  const bool linear = it->rank == 1;
  if (!(linear && it->dim[0] == n) && !(it->rank == 2 && it->dim[0] == n && it->dim[1] == s->tensor.rank))
    SUMI_FAIL(err, SUMI_E_SHAPE,
              "the indices of %" PRId64 " values in %d dimensions are neither [%" PRId64 "] nor [%" PRId64
              ",%d]",
              n, s->tensor.rank, n, n, s->tensor.rank);
  int64_t before = -1;
  for (int64_t k = 0; k < n; k++) {
    int64_t at;
    const int width = linear ? 1 : s->tensor.rank;
    if (!linear_index(&s->tensor, s->count, (const int64_t *)index_data + k * width, width, linear, &at))
      SUMI_FAIL(err, SUMI_E_VALUE, "index %" PRId64 " of a sparse tensor lies outside its shape", k);
    if (at <= before) SUMI_FAIL(err, SUMI_E_VALUE, "index %" PRId64 " of a sparse tensor does not rise", k);
    sumi_copy(s->tensor.dtype, dst, at, value_data, k, 1);
    before = at;
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_tensor_copy(const struct sumi_onnx_stored *s, const struct sumi_limits *limits,
                                  struct sumi_onnx_external *external, struct sumi_arena *scratch, void *dst,
                                  struct sumi_err *err) {
  if (s->sparse) return copy_sparse(s, limits, external, scratch, dst, err);
  if (s->tensor.dtype == SUMI_STRING)
    copy_strings(s, dst);
  else if (s->flat)
    copy_flat(s, dst);
  else
    copy_list(s, dst);
  return SUMI_OK;
}

/* ---- and back -------------------------------------------------------------------------------------------------- */

sumi_status sumi_onnx_tensor_raw(const struct sumi_tensor *t, struct sumi_arena *arena, const void **raw,
                                 size_t *n_bytes, struct sumi_err *err) {
  const size_t unit = unit_bytes(t->dtype);
  const bool six = is_float6(t->dtype);
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  *n_bytes = six ? float6_bytes(bytes) : bytes;
  *raw = t->data;
  if (!bytes || (!six && (LITTLE_ENDIAN_HOST || unit == 1))) return SUMI_OK;
  uint8_t *copy = sumi_arena_alloc(arena, *n_bytes);
  if (!copy) SUMI_FAIL_MEMORY(err);
  *raw = copy;
  const uint8_t *from = t->data;
  if (!six) swap_bytes(copy, from, bytes, unit);
  for (size_t i = 0; six && i < bytes; i++) { /* low bits first */
    const unsigned v = (unsigned)(from[i] & 63) << (6 * i % 8);
    copy[6 * i / 8] |= (uint8_t)v;
    if (v > 255) copy[6 * i / 8 + 1] |= (uint8_t)(v >> 8);
  }
  return SUMI_OK;
}

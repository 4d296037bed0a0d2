/* ONNX files assembled by hand, for tests: protobuf fields appended to byte strings. Header-only; never part
 * of the library.
 *
 *   struct bytes model = model_bytes(8, 17), graph = {0};
 *   put_message(&graph, 1, node_bytes("Relu", "x", "y"));
 *   put_message(&graph, 11, value_bytes("x", 1, "N,3"));
 *   put_message(&model, 7, graph); */
#ifndef SUMI_ONNX_BYTES_TEST_H
#define SUMI_ONNX_BYTES_TEST_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/import.h"

/* A growing byte string. put_message and import_bytes free what they are given. */
struct bytes {
  uint8_t *data;
  size_t n;
};

static inline void put_raw(struct bytes *b, const void *data, size_t n) {
  b->data = realloc(b->data, b->n + n + 1);
  if (!b->data) abort();
  if (n) memcpy(b->data + b->n, data, n);
  b->n += n;
}

static inline void put_varint(struct bytes *b, uint64_t v) {
  do {
    const uint8_t byte = (uint8_t)((v & 127) | (v > 127 ? 128 : 0));
    put_raw(b, &byte, 1);
    v >>= 7;
  } while (v);
}

static inline void put_int(struct bytes *b, unsigned field, int64_t v) {
  put_varint(b, (uint64_t)field << 3);
  put_varint(b, (uint64_t)v);
}

static inline void put_float(struct bytes *b, unsigned field, float v) {
  put_varint(b, (uint64_t)field << 3 | 5);
  put_raw(b, &v, 4);
}

static inline void put_data(struct bytes *b, unsigned field, const void *data, size_t n) {
  put_varint(b, (uint64_t)field << 3 | 2);
  put_varint(b, n);
  put_raw(b, data, n);
}

static inline void put_text(struct bytes *b, unsigned field, const char *text) {
  put_data(b, field, text, strlen(text));
}

static inline void put_message(struct bytes *b, unsigned field, struct bytes take_message) {
  put_data(b, field, take_message.data, take_message.n);
  free(take_message.data);
}

/* Each item of a comma-separated list as a string field; "" is one empty item, NULL none. */
static inline void put_texts(struct bytes *b, unsigned field, const char *list) {
  while (list) {
    const char *comma = strchr(list, ',');
    put_data(b, field, list, comma ? (size_t)(comma - list) : strlen(list));
    list = comma ? comma + 1 : NULL;
  }
}

/* ModelProto with IR version and one operator set of ai.onnx. */
static inline struct bytes model_bytes(int64_t ir_version, int64_t opset) {
  struct bytes b = {0}, o = {0};
  put_int(&b, 1, ir_version);
  put_int(&o, 2, opset);
  put_message(&b, 8, o);
  return b;
}

/* op is "Relu" or "domain:Relu". */
static inline struct bytes node_bytes(const char *op, const char *inputs, const char *outputs) {
  struct bytes b = {0};
  const char *colon = strchr(op, ':');
  put_texts(&b, 1, inputs);
  put_texts(&b, 2, outputs);
  put_text(&b, 4, colon ? colon + 1 : op);
  if (colon) put_data(&b, 7, op, (size_t)(colon - op));
  return b;
}

/* TypeProto of a tensor. dims: "2,N,?" ("" = rank 0, NULL = no shape); an item of digits (or -1) is a
 * number. */
static inline struct bytes type_bytes(int64_t elem_type, const char *dims) {
  struct bytes type = {0}, tensor = {0}, shape = {0};
  put_int(&tensor, 1, elem_type);
  for (const char *d = dims && *dims ? dims : NULL; d;) {
    struct bytes dim = {0};
    char *end;
    const long long v = strtoll(d, &end, 10);
    const size_t n = strcspn(d, ",");
    if (end != d && end == d + n)
      put_int(&dim, 1, v);
    else if (n != 1 || *d != '?')
      put_data(&dim, 2, d, n);
    put_message(&shape, 1, dim);
    d = d[n] ? d + n + 1 : NULL;
  }
  if (dims) put_message(&tensor, 2, shape);
  put_message(&type, 1, tensor);
  return type;
}

/* ValueInfoProto. */
static inline struct bytes value_bytes(const char *name, int64_t elem_type, const char *dims) {
  struct bytes b = {0};
  put_text(&b, 1, name);
  put_message(&b, 2, type_bytes(elem_type, dims));
  return b;
}

/* TensorProto without elements. dims "2,3"; "" = rank 0. */
static inline struct bytes tensor_bytes(const char *name, int64_t elem_type, const char *dims) {
  struct bytes b = {0};
  for (const char *d = *dims ? dims : NULL; d; d = strchr(d, ',') ? strchr(d, ',') + 1 : NULL)
    put_int(&b, 1, (int64_t)strtoull(d, NULL, 10));
  put_int(&b, 2, elem_type);
  if (name) put_text(&b, 8, name);
  return b;
}

static inline struct bytes raw_tensor_bytes(const char *name, int64_t elem_type, const char *dims,
                                            const void *raw, size_t n) {
  struct bytes b = tensor_bytes(name, elem_type, dims);
  put_data(&b, 9, raw, n);
  return b;
}

/* AttributeProto, to which the value is still to be added. */
static inline struct bytes attr_bytes(const char *name, int64_t type) {
  struct bytes b = {0};
  put_text(&b, 1, name);
  put_int(&b, 20, type);
  return b;
}

static inline struct bytes int_attr_bytes(const char *name, int64_t v) {
  struct bytes b = attr_bytes(name, 2);
  put_int(&b, 3, v);
  return b;
}

/* An attribute of a function's body that takes the value of the function's attribute ref. */
static inline struct bytes ref_attr_bytes(const char *name, int64_t type, const char *ref) {
  struct bytes b = attr_bytes(name, type);
  put_text(&b, 21, ref);
  return b;
}

static inline void free_bytes(struct sumi_blob *blob) { free(blob->user); }

/* Imports and frees the model. The bytes stand at a multiple of 64 plus shift, with nothing readable
 * behind them that a sanitizer would not report. */
static inline sumi_status import_bytes(struct bytes take_model, struct sumi_onnx_source src, size_t shift,
                                       const struct sumi_allocator *a, struct sumi_graph **g,
                                       struct sumi_err *err) {
  char *copy = aligned_alloc(64, (take_model.n + shift + 63 + 1) / 64 * 64);
  if (!copy) abort();
  if (take_model.n) memcpy(copy + shift, take_model.data, take_model.n);
  struct sumi_blob *blob =
      sumi_blob_wrap(sumi_allocator_default(), copy + shift, take_model.n, free_bytes, copy);
  if (!blob) abort();
  src.file = blob;
  const sumi_status status = sumi_onnx_import(&src, a, g, err);
  sumi_blob_unref(blob);
  free(take_model.data);
  return status;
}

#endif

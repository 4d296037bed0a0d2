/* Tensors as ONNX files store them: TensorProto (typed fields, raw bytes, external data) and
 * SparseTensorProto. Two steps: find says what a tensor is, checks it, and where its elements stand; then
 * they are used where they stand (little-endian, aligned) or copied. Nothing is allocated here but scratch.
 */
#ifndef SUMI_ONNX_TENSOR_H
#define SUMI_ONNX_TENSOR_H

#include <sumi/sumi.h>

#include "base/mem.h"
#include "onnx/external.h"
#include "onnx/schema.h"
#include "tensor/tensor.h"

/* A checked tensor whose elements are not yet fetched. */
struct sumi_onnx_stored {
  struct sumi_tensor tensor; /* data NULL */
  struct sumi_str name;
  int64_t count;
  size_t bytes;        /* what tensor.data takes; for strings, their bytes behind the elements included */
  bool raw;            /* flat holds ONNX's raw layout */
  const uint8_t *flat; /* the elements, one after another, little-endian; NULL: they are in list */
  struct sumi_wire_list list; /* items of a typed field */
  struct sumi_blob *blob;     /* external data's file (borrowed); NULL: the model's own bytes */
  /* sparse only: */
  bool sparse;
  struct sumi_onnx_tensor values, indices;
};

/* Checks type, shape, size and storage. external may be NULL: such data is then refused. */
sumi_status sumi_onnx_tensor_find(const struct sumi_onnx_tensor *proto, const struct sumi_limits *limits,
                                  struct sumi_onnx_external *external, struct sumi_onnx_stored *out,
                                  struct sumi_err *err);
/* The same for a sparse one, which becomes dense: its elements are never used in place. */
sumi_status sumi_onnx_sparse_find(const struct sumi_onnx_sparse_tensor *proto,
                                  const struct sumi_limits *limits, struct sumi_onnx_stored *out,
                                  struct sumi_err *err);

/* The elements where they stand, NULL where their layout does not allow it: whatever their alignment, or aligned. */
const void *sumi_onnx_tensor_unaligned(const struct sumi_onnx_stored *stored);
const void *sumi_onnx_tensor_in_place(const struct sumi_onnx_stored *stored);

/* Writes the elements to dst[stored->bytes], zeroed and aligned like malloc's. scratch and external: sparse
 * only. */
sumi_status sumi_onnx_tensor_copy(const struct sumi_onnx_stored *stored, const struct sumi_limits *limits,
                                  struct sumi_onnx_external *external, struct sumi_arena *scratch, void *dst,
                                  struct sumi_err *err);

/* A tensor of numbers in ONNX's raw layout: its data itself where that is so, else in arena. */
sumi_status sumi_onnx_tensor_raw(const struct sumi_tensor *t, struct sumi_arena *arena, const void **raw,
                                 size_t *n_bytes, struct sumi_err *err);

#endif

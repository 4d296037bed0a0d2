/* A tensor that owns its memory, and comes from a file or from random numbers; its view goes into a run. */
#ifndef CLI_COMMON_TENSOR_H
#define CLI_COMMON_TENSOR_H

#include <sumi/inspect.h>

#include "common/cli.h"

/* Not movable: the view points into it. */
struct cli_tensor {
  struct sumi_view view;
  int64_t dims[SUMI_MAX_RANK], strides[SUMI_MAX_RANK];
  char *name;                 /* owned; view.name */
  void *memory;               /* owned elements, or NULL */
  void *text;                 /* owned bytes of strings, or NULL */
  struct sumi_buffer *buffer; /* owned by the library's reader, or NULL */
  int opaque_bytes;           /* elements of a type that .npy files cannot name, this wide; 0 = none */
};

/* A row-major tensor with zeroed elements, or NULL where the shape does not fit into memory's address range. */
struct cli_tensor *cli_tensor_new(const char *name, sumi_dtype dtype, int rank, const int64_t *dims);
/* One that owns an ONNX buffer; its view is the buffer's. */
struct cli_tensor *cli_tensor_from_buffer(const char *name, struct sumi_buffer *take_buffer);
void cli_tensor_free(struct cli_tensor *t);
void cli_tensor_rename(struct cli_tensor *t, const char *name);

/* Bytes that n elements take. False on overflow. */
bool cli_tensor_bytes(sumi_dtype dtype, int64_t n, size_t *bytes);

/* Files hold some types in wider or nameless elements: gives t the type the model wants where its bytes allow it (raw
 * one- and two-byte elements, int8 for int4 and int2). False where t's type is another one; then t is unchanged. */
bool cli_tensor_adopt(struct cli_tensor *t, sumi_dtype dtype);

/* Writes x as element i of a row-major tensor, as its type has it (integers cut, uint8 rounded and kept in range, short
 * floats kept finite). Types that cli_tensor_puts() does not know keep their zeros. */
void cli_tensor_put(struct cli_tensor *t, int64_t i, double x);
bool cli_tensor_puts(sumi_dtype dtype);

/* Whether a value's items are the members of a sequence. */
static inline bool cli_is_sequence(sumi_kind kind) {
  return kind == SUMI_SEQUENCE || kind == SUMI_OPTIONAL_SEQUENCE || kind == SUMI_MAP_SEQUENCE;
}

#endif

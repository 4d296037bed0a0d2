/* Files beside the model that hold tensors' bytes: each is mapped once and shared. Names come from the model
 * and are not trusted: they must stay inside its folder. */
#ifndef SUMI_ONNX_EXTERNAL_H
#define SUMI_ONNX_EXTERNAL_H

#include "base/mem.h"
#include "onnx/schema.h"

struct sumi_onnx_external_file {
  struct sumi_onnx_external_file *next;
  struct sumi_blob *blob;
  size_t bytes; /* of this struct */
  bool wanted;  /* for whoever looks through them: false at first */
  char name[];  /* as the model has it; it lies inside the folder */
};

enum { SUMI_ONNX_MAX_EXTERNAL_FILES = 1024 }; /* beside one model */

struct sumi_onnx_external {
  const struct sumi_allocator *allocator;
  const char *folder; /* NULL: external data is refused */
  size_t max_file_bytes;
  struct sumi_onnx_external_file *first; /* in front: the one asked for last */
  int n_files;
};

void sumi_onnx_external_fini(struct sumi_onnx_external *x);

/* The bytes that tensor's external_data names (location, offset, length); blob is a borrowed reference that
 * lives until x is freed. Without a length everything from the offset on, at most want_bytes. */
sumi_status sumi_onnx_external_find(struct sumi_onnx_external *x, const struct sumi_onnx_tensor *tensor,
                                    size_t want_bytes, struct sumi_wire *bytes, struct sumi_blob **blob,
                                    struct sumi_err *err);

#endif

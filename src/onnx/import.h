/* ONNX in: a model file's bytes to a graph with names and shapes as given.
 *
 * What is taken: IR versions 1 to SUMI_ONNX_NEWEST_IR; every operator that room op knows; typed, raw and
 * external tensor data; sparse initializers (made dense); local functions, which are inlined; bodies,
 * whose captures become inputs. Not taken: value_info of intermediate values (inference finds it),
 * training and device information. Constants whose bytes stand aligned and little-endian in the file are
 * used where they stand.
 *
 * What cannot be taken is collected over the whole model and reported at once. Apart from struct
 * sumi_limits: operator sets of a model or function 256, attributes of a function 1,024, metadata entries
 * 10,000, external files 1,024, dimensions SUMI_MAX_RANK. */
#ifndef SUMI_ONNX_IMPORT_H
#define SUMI_ONNX_IMPORT_H

#include <sumi/sumi.h>

#include "graph/graph.h"

enum { SUMI_ONNX_NEWEST_IR = 14 };

/* Facts about the file stand in the graph's metadata under keys that begin with this: ir_version,
 * opset.DOMAIN, producer_name, producer_version, domain, model_version, doc_string. The file's own
 * metadata_props stand beside them; what it gives under such keys is passed over. */
#define SUMI_ONNX_FACT "sumi.file."

struct sumi_onnx_source {
  struct sumi_blob *file; /* the model's bytes; the graph takes a reference of its own */
  const char *folder;     /* where external data may lie; NULL = none is allowed */
  const struct sumi_limits
      *limits; /* NULL = the defaults. max_file_bytes also bounds what is made of the file */
  void (*on_refusal)(void *user, const struct sumi_refusal *refusal); /* NULL allowed */
  void *user;
};

/* SUMI_E_UNSUPPORTED: well formed but not known here; SUMI_E_FORMAT and others: damaged; err lists as many
 * reasons as fit, one a line. SUMI_E_LIMIT and SUMI_E_MEMORY end the import at once. The graph is tidied
 * and verified, its shapes are not inferred. Free it with sumi_graph_free. */
sumi_status sumi_onnx_import(const struct sumi_onnx_source *src, const struct sumi_allocator *a,
                             struct sumi_graph **out, struct sumi_err *err);

/* The bytes of one TensorProto, SequenceProto (of tensors or maps), OptionalProto (of tensors or a sequence) or MapProto
 * to a tensor that lives in arena; kind says which. For test data; limits may be NULL. */
sumi_status sumi_onnx_value_read(const void *bytes, size_t n_bytes, sumi_kind kind,
                                 const struct sumi_limits *limits, struct sumi_arena *arena,
                                 struct sumi_tensor **out, struct sumi_err *err);

#endif

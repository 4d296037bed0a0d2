/* ONNX out: a copy of a model's file with a list of changes made to its main graph.
 *
 * Every byte that no change names stays as it is: unknown fields, the order of fields, documentation, packed or unpacked
 * numbers, functions, bodies, training information. Of what is around a change only the lengths of the messages it lies in
 * are written anew. The file's large tensors are not copied in memory: they go from the mapped file to the new one.
 *
 * Changes are made one after the other (graph/change.h); each sees the names that those before it left:
 *   constant  gives an initializer, sparse initializer or Constant node new contents as raw_data; its name, documentation
 *             and metadata stay. An external one moves into the file. Another type or shape is refused where the
 *             graph's inputs, outputs or value_info declare the old one. A new name becomes an initializer behind the last
 *             one, and before IR version 4 an input as well, as that asks for.
 *   node      an operator that the file's operator set does not have, or not so, is refused: versions are never raised.
 *             before NULL: right behind the nodes that make its inputs; where none does, in front of the file's nodes.
 *   input, output  "" leaves it out. Another name for an output must not be taken.
 *   drop      also of a Constant node by its name. Entries of inputs and value_info with that name go too.
 *   metadata  replaces the value, or appends an entry.
 * At the end, what changed nodes read must be there, made in front of them (unless the file itself is not in order), and nothing may read what is gone: each is an
 * error that names both. */
#ifndef SUMI_ONNX_REWRITE_H
#define SUMI_ONNX_REWRITE_H

#include "graph/change.h"
#include "onnx/import.h"

/* Receives the new file's bytes from first to last, in pieces. */
typedef sumi_status sumi_onnx_sink(void *user, const void *bytes, size_t n, struct sumi_err *err);

/* Of src, file and limits count. External data keeps its location, wherever the bytes go. SUMI_E_LIMIT: the new file would
 * pass 2 GiB, more than readers of protobuf take. Nothing was given to sink where a change is refused. */
sumi_status sumi_onnx_rewrite_to(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                                 const struct sumi_allocator *a, sumi_onnx_sink *sink, void *user,
                                 struct sumi_err *err);

/* Writes the file at path, whole or not at all; it may be the one that src was mapped from. Files in which tensors that
 * stay as they are have their data are copied to path's folder, under their names, unless that is src's folder or they are
 * there already; SUMI_E_IO where something else is there, or where the new file would take the place of one of them.
 * Where the new file would pass 2 GiB, the contents of new tensors go to a file beside it, called like it with ".data"
 * behind; SUMI_E_LIMIT where it still would. Where a failure is returned none of these files is left but a ".data" file
 * that was there before. */
sumi_status sumi_onnx_rewrite(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                              const char *path, const struct sumi_allocator *a, struct sumi_err *err);

#endif

/* What the files of the rewriter share: the main graph as a list of parts, and what its names stand for. */
#ifndef SUMI_ONNX_REWRITE_INT_H
#define SUMI_ONNX_REWRITE_INT_H

#include "base/file_write.h"
#include "base/names.h"
#include "onnx/import_int.h"
#include "onnx/rewrite.h"
#include "onnx/wire_out.h"

/* Fields of the messages that are written, as schema.def numbers them. */
enum {
  SUMI_GRAPH_NODE = 1,
  SUMI_GRAPH_INITIALIZER = 5,
  SUMI_GRAPH_INPUT = 11,
  SUMI_GRAPH_OUTPUT = 12,
  SUMI_GRAPH_VALUE_INFO = 13,
  SUMI_GRAPH_SPARSE = 15
};

/* A node's inputs and outputs as they will be. */
struct sumi_rewrite_node {
  const char *op, *name;                        /* op NULL: not of the default domain; name: of new nodes */
  const char **in, **out;                       /* [n_in], [n_out], "" = left out */
  const char *const *file_in, *const *file_out; /* as the file has them; another pointer than in's: changed */
  size_t n_in, n_out, n_file_in, n_file_out, cap_in;
  int64_t axis; /* of new nodes; INT64_MIN: none */
  bool changed;
};

/* One field of the main graph, or a run of fields that are of no interest (number 0), in the order of the new file. */
struct sumi_rewrite_part {
  struct sumi_rewrite_part *next, *prev;
  const uint8_t *from, *to; /* in the file; all NULL: new */
  const uint8_t *tag;       /* from there to the tag: groups that nobody knows */
  struct sumi_wire body;
  uint32_t number;
  bool dropped, mark;
  size_t place;                     /* in the order of nodes, while checking */
  const char *name;                 /* of what is no node */
  struct sumi_rewrite_node *node;   /* of nodes */
  const struct sumi_tensor *tensor; /* a constant's new contents; NULL: as it is */
};

/* What a name of the main graph stands for. */
struct sumi_rewrite_value {
  const char *name;
  struct sumi_rewrite_part *maker;                 /* the node that writes it */
  struct sumi_rewrite_part *constant;              /* its initializer, or its Constant node */
  struct sumi_rewrite_part *input, *output, *info; /* where its type is declared */
  bool read;                                       /* by a node of the file */
  bool moved;                                      /* a change took it from who made it, or made it anew */
};

/* Contents of a new tensor that stand in a file beside the new one. */
struct sumi_rewrite_data {
  struct sumi_rewrite_data *next;
  const void *bytes;
  size_t n;
};

struct sumi_rewrite_entry {
  struct sumi_rewrite_entry *next;
  const char *key, *text;
  bool found; /* the file has the key */
};

struct sumi_rewrite {
  const struct sumi_onnx_source *src;
  const struct sumi_changes *changes;
  const struct sumi_allocator *allocator;
  struct sumi_limits limits;
  struct sumi_arena arena;
  struct sumi_onnx_model model;
  int64_t opset; /* of the default domain; 0: it is not imported */
  struct sumi_rewrite_part *first, *last;
  struct sumi_rewrite_part *first_node, *last_initializer, *last_input; /* of the file; NULL: none */
  size_t n_parts;
  struct sumi_names values;                            /* struct sumi_rewrite_value */
  struct sumi_names node_names;                        /* any item */
  struct sumi_rewrite_entry *metadata, **metadata_end; /* of the changes, one of each key */
  struct sumi_names metadata_names;
  bool graph_changed, nodes_changed;
  bool
      unsorted; /* the file's nodes do not stand in order; its readers must not mind, and new ones need not */
  const char
      *data_name; /* of the file for the contents of large new tensors; NULL: they stand in the new file */
  struct sumi_rewrite_data *data, **data_end;
  uint64_t data_bytes; /* of that file */
};

/* rewrite_read.c: the parts of the main graph and its names. */
sumi_status sumi_rewrite_read(struct sumi_rewrite *r, struct sumi_err *err);
/* The value of a name; NULL: none. The other makes one where there is none; NULL: out of memory. */
struct sumi_rewrite_value *sumi_rewrite_find(const struct sumi_rewrite *r, const char *name);
struct sumi_rewrite_value *sumi_rewrite_value(struct sumi_rewrite *r, const char *name);
/* A new part behind (or, with before, in front of) another; at NULL: the last. NULL: out of memory. */
struct sumi_rewrite_part *sumi_rewrite_add(struct sumi_rewrite *r, struct sumi_rewrite_part *at, bool before);

/* rewrite_change.c: makes the changes to the parts. */
sumi_status sumi_rewrite_apply(struct sumi_rewrite *r, struct sumi_err *err);

/* rewrite_check.c: whether what the changes left is a graph. */
sumi_status sumi_rewrite_check(struct sumi_rewrite *r, struct sumi_err *err);

enum {
  SUMI_REWRITE_ALIGN = 4096, /* of contents in a file beside the new one: a page, as the standard asks for */
  SUMI_REWRITE_SMALLEST = 1024 /* bytes: smaller ones stay in the new file */
};

/* rewrite_put.c: the new file. */
sumi_status sumi_rewrite_put(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_err *err);

/* rewrite_external.c: opens the files in which the tensors of the old file have their data, and marks as wanted those that
 * the new file reads too. */
sumi_status sumi_rewrite_find_files(struct sumi_rewrite *r, struct sumi_onnx_external *x,
                                    struct sumi_err *err);
/* Files that were made and go again where the rest fails; paths lie in the arena of the rewriter. */
struct sumi_rewrite_made {
  struct sumi_rewrite_made *next;
  const char *path;
};
/* Copies what is wanted to the folder of path, unless it is there. SUMI_E_IO where other bytes are there, or path itself
 * is one of the files. */
sumi_status sumi_rewrite_copy_files(struct sumi_rewrite *r, const struct sumi_onnx_external *x,
                                    const char *folder, const char *path, struct sumi_rewrite_made **made,
                                    struct sumi_err *err);
/* Writes bytes, and lets go of their pages where they are of the mapped file source. */
sumi_status sumi_rewrite_write(struct sumi_file_writer *w, const struct sumi_blob *source, const void *bytes,
                               size_t n, struct sumi_err *err);

/* rewrite.c: sumi_onnx_rewrite() for a limit of its own on the new file. */
sumi_status sumi_rewrite_file(const struct sumi_onnx_source *src, const struct sumi_changes *changes,
                              const char *path, uint64_t most_bytes, const struct sumi_allocator *a,
                              struct sumi_err *err);

#endif

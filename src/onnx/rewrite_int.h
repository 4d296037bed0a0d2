/* What the files of the rewriter share: the main graph as a list of parts, and what its names stand for. */
#ifndef SUMI_ONNX_REWRITE_INT_H
#define SUMI_ONNX_REWRITE_INT_H

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
  bool dropped;
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
  bool moved;                                      /* a change took it from who made it, or made it anew */
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
  int64_t opset; /* of the default domain */
  struct sumi_rewrite_part *first, *last;
  struct sumi_rewrite_part *first_node, *last_initializer, *last_input; /* of the file; NULL: none */
  size_t n_parts;
  struct sumi_names values;                            /* struct sumi_rewrite_value */
  struct sumi_names node_names;                        /* any item */
  struct sumi_rewrite_entry *metadata, **metadata_end; /* of the changes, one of each key */
  struct sumi_names metadata_names;
  bool graph_changed, nodes_changed;
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

/* rewrite_put.c: the new file. */
sumi_status sumi_rewrite_put(struct sumi_rewrite *r, struct sumi_wire_out *out, struct sumi_err *err);

#endif

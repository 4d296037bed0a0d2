/* A list of changes to a model's file: what a tool that changed a graph wants written back, under the file's own names.
 * The writer (room onnx) makes them one after the other and keeps every other byte. */
#ifndef SUMI_GRAPH_CHANGE_H
#define SUMI_GRAPH_CHANGE_H

#include "graph/graph.h"

enum sumi_change_kind {
  SUMI_CHANGE_CONSTANT, /* initializer or Constant node's output `name` becomes tensor; a new name: a new initializer */
  SUMI_CHANGE_NODE, /* a new node op(inputs) -> output, with attribute axis where it is not INT64_MIN, in front of the
                           node that makes value `before` (NULL: as early as its inputs allow). Its name is `name`,
                           made up where that is NULL */
  SUMI_CHANGE_INPUT, /* input `index` of the node whose first given output is `node` reads value `name`; index may be
                           the count of its inputs */
  SUMI_CHANGE_OUTPUT, /* output `index` of that node writes value `name` */
  SUMI_CHANGE_DROP, /* the node whose first given output is `node` goes; an initializer or Constant node `name`
                           goes (node NULL) */
  SUMI_CHANGE_METADATA /* metadata_props: name = text */
};

struct sumi_change {
  enum sumi_change_kind kind;
  const char *name, *text, *node, *before;
  int index;
  const char *op, *output;   /* "QuantizeLinear", of the default domain */
  const char *const *inputs; /* [n_inputs], "" = left out */
  int n_inputs;
  int64_t axis;
  const struct sumi_tensor *tensor;
};

/* Everything a change points to lives in the arena (tensors' data: as long as whoever made the list says). */
struct sumi_changes {
  struct sumi_arena arena;
  struct sumi_change *change; /* [n] */
  size_t n, cap;
};

void sumi_changes_init(struct sumi_changes *c, const struct sumi_allocator *a);
void sumi_changes_fini(struct sumi_changes *c);
/* Appends one; its texts and arrays are copied, the tensor is borrowed. */
sumi_status sumi_changes_add(struct sumi_changes *c, const struct sumi_change *change, struct sumi_err *err);

#endif

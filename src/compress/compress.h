/* What the room's callers ask for and get. Read this header first.
 *
 * A job works on a copy of a model's graph as the file has it (no simplifying passes), and returns that copy with new
 * constants, the changes as a list for the writer of files, and a report. */
#ifndef SUMI_COMPRESS_COMPRESS_H
#define SUMI_COMPRESS_COMPRESS_H

#include <sumi/compress.h>

#include "graph/graph.h"

/* One change of a file, in the order they are to be made. Names are the file's; texts and data live in the job's arena. */
enum sumi_change_kind {
  SUMI_CHANGE_CONSTANT, /* initializer (or Constant node's output) name becomes tensor; a new name is a new initializer */
  SUMI_CHANGE_ADD_NODE, /* a node op with inputs, outputs and attribute axis (-1: none), before the node that makes `before` */
  SUMI_CHANGE_INPUT,   /* input index of the node whose first output is node reads name instead */
  SUMI_CHANGE_OUTPUT,  /* output index of the node whose first output is node writes name instead */
  SUMI_CHANGE_METADATA /* metadata_props: name = text */
};

struct sumi_change {
  enum sumi_change_kind kind;
  const char *name, *text, *node, *before; /* before NULL: in front of all nodes */
  int index;
  const char *op;            /* "QuantizeLinear" */
  const char *const *inputs; /* [n_inputs] */
  int n_inputs;
  const char *output;
  int64_t axis; /* INT64_MIN: none */
  const struct sumi_tensor *tensor;
};

struct sumi_changes {
  struct sumi_arena arena;
  struct sumi_change *change;
  size_t n, cap;
};

#endif

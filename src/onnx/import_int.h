/* What the files of the importer share: its state, scopes of names, frames of inlined functions, refusals. */
#ifndef SUMI_ONNX_IMPORT_INT_H
#define SUMI_ONNX_IMPORT_INT_H

#include "base/names.h"
#include "onnx/import.h"
#include "onnx/tensor.h"

enum { SUMI_ONNX_MAX_OPSETS = 256, SUMI_ONNX_MAX_METADATA = 10000, SUMI_ONNX_MAX_FUNCTION_ATTRS = 1024 };

/* Reasons against the model, collected. */
struct sumi_onnx_refusals {
  void (*on_refusal)(void *user, const struct sumi_refusal *refusal);
  void *user;
  sumi_status status; /* of the whole: damage outweighs what is only unsupported */
  bool fatal;         /* one of them ends the import */
  size_t n, n_shown;
  size_t size; /* of text */
  char text[SUMI_ERR_TEXT];
};

/* Where in the model a reason belongs; zero: the model as a whole. */
struct sumi_onnx_place {
  const char *prefix;
  struct sumi_str node, domain, op;
  int version;
};

struct sumi_onnx_opsets {
  size_t n;
  struct {
    struct sumi_str domain;
    int64_t version;
  } item[];
};

struct sumi_onnx_importer {
  const struct sumi_onnx_source *src;
  const struct sumi_allocator *allocator;
  struct sumi_limits limits;
  struct sumi_arena scratch; /* freed with the importer */
  struct sumi_graph *root;
  struct sumi_onnx_external external;
  struct sumi_onnx_refusals refusals;
  struct sumi_names functions; /* struct sumi_onnx_local by domain, name and overload */
  int64_t ir_version;
  size_t n_nodes, n_values, made_bytes;
  size_t depth; /* bodies and functions that are open */
  char *text;   /* the name looked up last, terminated */
  size_t text_cap;
};

/* A local function of the model. */
struct sumi_onnx_local {
  struct sumi_onnx_function proto;
  size_t bytes;
  const struct sumi_onnx_opsets *opsets;
};

/* An attribute that a function call gives its body. What it refers to is seen from the caller's scope. */
struct sumi_onnx_scope;

struct sumi_onnx_binding {
  struct sumi_str name;
  struct sumi_onnx_attribute attr;
  struct sumi_onnx_scope *scope;
};

/* The model itself, or one call of a function that is being inlined. */
struct sumi_onnx_frame {
  const struct sumi_onnx_frame *caller;
  const struct sumi_onnx_local *function; /* NULL: the model */
  const struct sumi_onnx_opsets *opsets;
  const char *prefix; /* of the names of what is inlined: "layer1/" */
  struct sumi_onnx_binding *binding;
  size_t n_binding;
};

/* What a name of the file means in a graph, body or function. */
struct sumi_onnx_slot {
  struct sumi_value *value; /* NULL: an input of a function that the call does not give */
  bool defined;             /* false: an output of a function that no node has been seen to compute */
  const uint8_t *constant;  /* the Constant node that counts where several have this output; else NULL */
};

struct sumi_onnx_scope {
  struct sumi_onnx_scope *outer; /* the graph around a body; functions have none */
  const struct sumi_onnx_frame *frame;
  struct sumi_graph *graph;
  struct sumi_names names; /* struct sumi_onnx_slot */
  struct sumi_arena arena; /* freed with the scope */
};

/* refuse.c: a failure of one part of the model. Records why and returns SUMI_OK, so that the import goes
 * on to find the others; returns the failure where it cannot go on (memory, limits). */
sumi_status sumi_onnx_refuse(struct sumi_onnx_importer *im, const struct sumi_onnx_place *place,
                             const struct sumi_err *why, struct sumi_err *err);
/* Puts all reasons into err; SUMI_OK where there are none. */
sumi_status sumi_onnx_refusals_end(const struct sumi_onnx_importer *im, struct sumi_err *err);
/* Up to size - 1 bytes of s, control bytes replaced, terminated. */
void sumi_onnx_printable(char *to, size_t size, struct sumi_str s);

/* scope.c */
void sumi_onnx_scope_init(struct sumi_onnx_importer *im, struct sumi_onnx_scope *s,
                          struct sumi_onnx_scope *outer, const struct sumi_onnx_frame *frame,
                          struct sumi_graph *graph);
void sumi_onnx_scope_fini(struct sumi_onnx_importer *im, struct sumi_onnx_scope *s);
/* A name of the file, checked and terminated; valid until the next call. */
sumi_status sumi_onnx_name(struct sumi_onnx_importer *im, struct sumi_str name, const char **out,
                           struct sumi_err *err);
/* The slot of a name in this scope alone, or in the ones around it too; NULL: not there. */
struct sumi_onnx_slot *sumi_onnx_scope_own(const struct sumi_onnx_scope *s, const char *name);
struct sumi_onnx_slot *sumi_onnx_scope_find(const struct sumi_onnx_scope *s, const char *name);
/* A new slot; the name is copied and must not be there yet. */
sumi_status sumi_onnx_scope_add(struct sumi_onnx_importer *im, struct sumi_onnx_scope *s, const char *name,
                                struct sumi_value *value, bool defined, struct sumi_err *err);
/* The name in the graph for a name of the file: with the frame's prefix; NULL = let the graph make one up. */
const char *sumi_onnx_scope_spell(struct sumi_onnx_scope *s, const char *name);
/* Counts values against the limit. */
sumi_status sumi_onnx_count_value(struct sumi_onnx_importer *im, struct sumi_err *err);
/* Opens a body or function of so many bytes (which may be read many times); sumi_onnx_leave closes it. */
sumi_status sumi_onnx_enter(struct sumi_onnx_importer *im, size_t bytes, struct sumi_err *err);
void sumi_onnx_leave(struct sumi_onnx_importer *im);
/* Counts bytes made of the file, or read again, against the limit. */
sumi_status sumi_onnx_count_bytes(struct sumi_onnx_importer *im, size_t bytes, struct sumi_err *err);

/* import.c */
/* The model's own fields; its graph is there. */
sumi_status sumi_onnx_read_file(const struct sumi_blob *file, struct sumi_onnx_model *p,
                                struct sumi_err *err);
sumi_status sumi_onnx_read_opsets(struct sumi_onnx_importer *im, struct sumi_wire_list list,
                                  const struct sumi_onnx_opsets **out, struct sumi_err *err);
/* The version of a domain that a node in this frame follows; 1 where none is imported. */
int64_t sumi_onnx_opset(const struct sumi_onnx_frame *frame, struct sumi_str domain);
bool sumi_onnx_str_is(struct sumi_str s, const char *text);
bool sumi_onnx_is_standard(struct sumi_str domain); /* "" or "ai.onnx" */
/* What tells a Constant node from others of the file; NULL: another operator. */
const uint8_t *sumi_onnx_constant_node(const struct sumi_onnx_node *node);

/* import_graph.c: fills scope->graph. Failures of parts are refused, not returned. */
sumi_status sumi_onnx_import_graph(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   const struct sumi_onnx_graph *p, struct sumi_err *err);
/* Declares what the nodes compute, then makes them. */
sumi_status sumi_onnx_import_nodes(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   struct sumi_wire_list nodes, struct sumi_err *err);
/* The tensor itself: in place (take_blob: what keeps it alive) or copied into a blob of its own. */
sumi_status sumi_onnx_import_tensor(struct sumi_onnx_importer *im, const struct sumi_onnx_stored *stored,
                                    struct sumi_tensor *tensor, struct sumi_blob **take_blob,
                                    struct sumi_err *err);

/* import_node.c: one node, or what a call of a function stands for. */
sumi_status sumi_onnx_import_node(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                  const struct sumi_onnx_node *node, struct sumi_err *err);

/* import_attr.c: the attributes of a node that is in the graph, checked against the operator's schema. */
sumi_status sumi_onnx_import_attrs(struct sumi_onnx_importer *im, struct sumi_onnx_scope *scope,
                                   struct sumi_node *node, struct sumi_wire_list attributes,
                                   struct sumi_err *err);
/* What an attribute with ref_attr_name refers to in a function; NULL: the call does not give it. */
const struct sumi_onnx_binding *sumi_onnx_binding_find(const struct sumi_onnx_frame *frame,
                                                       struct sumi_str name);

/* inline.c */
sumi_status sumi_onnx_read_functions(struct sumi_onnx_importer *im, struct sumi_wire_list functions,
                                     struct sumi_err *err);
/* The local function that a node calls; NULL: none. */
sumi_status sumi_onnx_find_function(struct sumi_onnx_importer *im, const struct sumi_onnx_node *node,
                                    const struct sumi_onnx_local **out, struct sumi_err *err);
sumi_status sumi_onnx_inline(struct sumi_onnx_importer *im, struct sumi_onnx_scope *caller,
                             const struct sumi_onnx_node *call, const struct sumi_onnx_local *function,
                             struct sumi_err *err);

/* type.c: TypeProto to what is known of a value. SUMI_E_UNSUPPORTED: maps, sparse tensors, opaque types. */
sumi_status sumi_onnx_read_info(struct sumi_wire type, struct sumi_symbols *symbols, struct sumi_info *out,
                                struct sumi_err *err);

#endif

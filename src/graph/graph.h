/* The IR: a graph of named nodes over named values. Read this header first in the room.
 *
 * A graph owns everything in it through one arena; graphs of bodies (If, Loop, Scan) share their root's
 * arena. A body sees only its own inputs: what ONNX lets it capture from outside is passed explicitly (the
 * importer adds captured values behind a control node's own inputs and behind the body's own inputs). Values
 * are single-assignment; nodes stand in topological order (sumi_graph_verify checks both). */
#ifndef SUMI_GRAPH_GRAPH_H
#define SUMI_GRAPH_GRAPH_H

#include "base/mem.h"
#include "base/names.h"
#include "base/text.h"
#include "graph/dim.h"
#include "tensor/tensor.h"

struct sumi_graph;
struct sumi_node;
struct sumi_op;

/* What is known of a value before or while running. rank -1: unknown; dtype SUMI_UNDEFINED: unknown. */
struct sumi_info {
  sumi_kind kind;
  sumi_dtype dtype; /* of the tensor, or of the elements of a sequence or optional */
  int rank;
  sumi_dim dim[SUMI_MAX_RANK];
  const struct sumi_tensor *data; /* the contents, where known (shape as above, all numbers); else NULL */
  const sumi_dim *content; /* integers of rank 0 or 1 whose elements are dims, possibly symbolic; else NULL */
  int n_content;
  bool absent;    /* an optional input that is not given, or an output that nobody wants */
  sumi_dtype key; /* of the keys of a map or of a sequence of maps, whose values have dtype */
};
#define SUMI_INFO_UNKNOWN ((struct sumi_info){.rank = -1})

/* One use of a value: input `index` of node, or graph output `index` where node is NULL. */
struct sumi_use {
  struct sumi_node *node;
  size_t index;
  struct sumi_use *next, **link; /* link: the pointer that points here */
};

struct sumi_value {
  const char *name;           /* unique in its graph */
  size_t id;                  /* index in graph->value */
  struct sumi_use *first_use; /* every use, in no particular order; kept by the functions below */
  size_t n_use;
  struct sumi_info info;
  struct sumi_node *producer; /* NULL: graph input or constant */
  /* Initializer; its bytes live in blob. In the graphs of a model they may have left memory: exec/model.h says who asks for
   * them before reading. */
  const struct sumi_tensor *constant;
  struct sumi_blob *blob;   /* what keeps constant->data alive (a reference); may be shared */
  bool is_input, is_output; /* an input with a constant has it as its default */
  size_t mark;              /* for algorithms of this room; 0 between calls */
};

enum sumi_attr_type {
  SUMI_ATTR_INT,
  SUMI_ATTR_FLOAT,
  SUMI_ATTR_STRING,
  SUMI_ATTR_TENSOR,
  SUMI_ATTR_GRAPH,
  SUMI_ATTR_TYPE,
  SUMI_ATTR_INTS,
  SUMI_ATTR_FLOATS,
  SUMI_ATTR_STRINGS,
  SUMI_ATTR_TENSORS,
  SUMI_ATTR_GRAPHS,
  SUMI_N_ATTR_TYPES
};

struct sumi_attr {
  const char *name;
  enum sumi_attr_type type;
  size_t n; /* items of the plural types; 1 otherwise */
  union {
    int64_t i;
    float f;
    struct sumi_str s; /* terminated as well */
    const struct sumi_tensor *t;
    struct sumi_graph *g;
    struct sumi_info *type_info;
    const int64_t *ints;
    const float *floats;
    const struct sumi_str *strings;
    const struct sumi_tensor *tensors; /* array */
    struct sumi_graph **graphs;
  } u;
};

struct sumi_node {
  const char *name; /* as in the file; made up where it has none; unique in its graph */
  size_t id;        /* index in graph->node */
  struct sumi_graph *graph;
  const struct sumi_op *op;
  const char *op_name;           /* as in the file: "Conv", "com.microsoft.Attention" */
  int version;                   /* the operator set version its meaning follows */
  struct sumi_value **in, **out; /* NULL = optional one not given; changed by the functions below only */
  int n_in, n_out, cap_in;
  bool inlined;   /* it stands in a local function of the file, not in its main graph */
  bool made_up;   /* the name: such a node gives way to one that is given it, and prints without */
  int n_captured; /* the last so many inputs are what the bodies capture: every body's last inputs take them */
  struct sumi_use *use; /* [n_in] */
  struct sumi_attr *attr;
  int n_attr, cap_attr;
};

enum { SUMI_MAX_BODY_DEPTH = 64 }; /* bodies in bodies; deeper ones are refused */

struct sumi_metadata {
  const char *key, *value;
};

struct sumi_graph {
  const char *name;
  struct sumi_graph *parent; /* the graph whose node holds this body; NULL for the root */
  struct sumi_graph *root;
  int depth;                    /* 0 for the root */
  struct sumi_arena *arena;     /* the root's */
  struct sumi_symbols *symbols; /* the root's */
  const struct sumi_allocator *allocator;
  struct sumi_value **value;
  size_t n_value, cap_value;
  struct sumi_node **node;
  size_t n_node, cap_node;
  struct sumi_value **input, **output; /* an output may be an input or a constant */
  size_t n_input, cap_input, n_output, cap_output;
  struct sumi_use *output_use; /* [n_output] */
  size_t cap_output_use;
  struct sumi_names value_names, node_names;
  size_t made_up; /* names made up so far */
  /* root only: */
  struct sumi_blob *arena_blob; /* keeps the arena alive; clones share it */
  struct sumi_metadata *metadata;
  size_t n_metadata, cap_metadata;
  struct sumi_graph *first_body; /* list of all bodies, for freeing; linked by next_body */
  struct sumi_graph *next_body;
  struct sumi_blob **held; /* blobs kept for the graph's life (the mapped file, attribute tensors) */
  size_t n_held, cap_held;
};

/* A new empty root graph with an arena of its own; NULL when out of memory. */
struct sumi_graph *sumi_graph_new(const struct sumi_allocator *a, const char *name);
/* A new body inside parent; NULL also when it would lie deeper than SUMI_MAX_BODY_DEPTH. */
struct sumi_graph *sumi_graph_new_body(struct sumi_graph *parent, const char *name);
/* Frees a root with all its bodies; NULL allowed. */
void sumi_graph_free(struct sumi_graph *g);
/* A new root with the structure of g (which may be a body). What never changes (names, attributes' contents,
 * constants' bytes, g's arena) is shared by reference and lives until the last of both is freed. NULL and err
 * on failure. */
struct sumi_graph *sumi_graph_clone(const struct sumi_graph *g, struct sumi_err *err);
/* Keeps a reference to blob (taken over, not added) until the root is freed; false: out of memory, reference
 * dropped. */
bool sumi_graph_hold(struct sumi_graph *g, struct sumi_blob *take_blob);

/* Sets an entry of the metadata (of the root); false: out of memory. */
bool sumi_graph_set_metadata(struct sumi_graph *g, const char *key, const char *value);

/* All of these return NULL when out of memory. Names are copied; NULL or a name already used makes a unique
 * one up. */
struct sumi_value *sumi_graph_add_value(struct sumi_graph *g, const char *name);
struct sumi_value *sumi_graph_add_input(struct sumi_graph *g, const char *name, const struct sumi_info *info);
/* tensor's header is copied; data is borrowed from take_blob, whose reference is taken over (also on
 * failure). */
struct sumi_value *sumi_graph_add_constant(struct sumi_graph *g, const char *name,
                                           const struct sumi_tensor *tensor, struct sumi_blob *take_blob);
/* Gives a constant other contents (and, while nothing is inferred from it, another shape); tensor, in the graph's arena,
 * is borrowed, take_blob is what keeps its data alive. Other graphs that share the constant keep theirs. */
void sumi_graph_set_constant(struct sumi_value *v, const struct sumi_tensor *tensor,
                             struct sumi_blob *take_blob);
bool sumi_graph_add_output(struct sumi_graph *g, struct sumi_value *v);
/* Inputs with a default are inputs no more but constants; whether there were any. Not those of bodies. */
bool sumi_graph_fix_defaults(struct sumi_graph *g);
/* Takes the inputs that nobody reads away; the values stay. */
void sumi_graph_drop_inputs(struct sumi_graph *g);
/* Takes all outputs away; the values stay. */
void sumi_graph_clear_outputs(struct sumi_graph *g);
/* Appends a node. in/out arrays are copied; out values get their producer. */
struct sumi_node *sumi_graph_add_node(struct sumi_graph *g, const char *name, const struct sumi_op *op,
                                      const char *op_name, int version, struct sumi_value *const *in,
                                      int n_in, struct sumi_value *const *out, int n_out);
/* Replaces input i < n_in (value may be NULL) or, with sumi_node_add_input, appends one; false: out of
 * memory. */
void sumi_node_set_input(struct sumi_node *node, int i, struct sumi_value *value);
bool sumi_node_add_input(struct sumi_node *node, struct sumi_value *value);
/* Output i becomes v, which nothing makes (its node was taken out); what it was is made by nothing then. */
void sumi_node_set_output(struct sumi_node *node, int i, struct sumi_value *v);
/* Takes the inputs from n on away. */
void sumi_node_keep_inputs(struct sumi_node *node, int n);

/* Room for one more attribute on a node (name copied, rest zero). What an attribute points to lives in the
 * graph's arena or in a blob the graph holds. The setters below replace an attribute of that name and copy
 * what they are given. */
struct sumi_attr *sumi_node_add_attr(struct sumi_node *node, const char *name, enum sumi_attr_type type);
sumi_status sumi_node_set_int(struct sumi_node *node, const char *name, int64_t value, struct sumi_err *err);
sumi_status sumi_node_set_float(struct sumi_node *node, const char *name, float value, struct sumi_err *err);
sumi_status sumi_node_set_string(struct sumi_node *node, const char *name, const char *value,
                                 struct sumi_err *err);
sumi_status sumi_node_set_ints(struct sumi_node *node, const char *name, const int64_t *value, size_t n,
                               struct sumi_err *err);
sumi_status sumi_node_set_floats(struct sumi_node *node, const char *name, const float *value, size_t n,
                                 struct sumi_err *err);
sumi_status sumi_node_set_strings(struct sumi_node *node, const char *name, const struct sumi_str *value,
                                  size_t n, struct sumi_err *err);
/* tensor's header is copied; its data is borrowed from take_blob, whose reference is taken over (also on
 * failure). */
sumi_status sumi_node_set_tensor(struct sumi_node *node, const char *name, const struct sumi_tensor *tensor,
                                 struct sumi_blob *take_blob, struct sumi_err *err);
sumi_status sumi_node_set_graph(struct sumi_node *node, const char *name, struct sumi_graph *body,
                                struct sumi_err *err);
void sumi_node_remove_attr(struct sumi_node *node, const char *name);
/* Gives to, which has none, the attributes of from: bodies are copied, other contents shared with from's graph, which must not
 * be freed before. */
sumi_status sumi_node_copy_attrs(const struct sumi_node *from, struct sumi_node *to, struct sumi_err *err);

/* By name, in constant time; NULL where there is none. */
struct sumi_value *sumi_graph_find_value(const struct sumi_graph *g, const char *name);
struct sumi_node *sumi_graph_find_node(const struct sumi_graph *g, const char *name);

/* The value that a name means inside g: g's own, else that of the nearest enclosing graph. */
struct sumi_value *sumi_graph_find_in_scope(const struct sumi_graph *g, const char *name);

/* Makes captures explicit. While a graph is built, nodes and outputs of a body may use values of the enclosing
 * graphs as they are (what a name means: sumi_graph_find_in_scope). This call, on the root when all is built,
 * gives every body an input for each value that it or a body inside it, or another body of the same node, takes
 * from outside, behind its own inputs and in the order of first use; the node that holds the body gets the
 * values behind its own inputs (n_captured). Names of such inputs are those of the captured values unless the
 * body has them already. A second call changes nothing. SUMI_E_FORMAT where a value is used that no enclosing
 * graph holds; then only freeing is left. */
sumi_status sumi_graph_close_bodies(struct sumi_graph *g, struct sumi_err *err);

/* For passes. */
/* Makes every use of from (node inputs and graph outputs) use to instead. A graph output keeps from's name:
 * the two exchange names. False: outputs still use from, because to is an input or output itself, whose name
 * is fixed. */
bool sumi_graph_replace_uses(struct sumi_graph *g, struct sumi_value *from, struct sumi_value *to);
/* How many node inputs and graph outputs use v; v->first_use lists them. */
size_t sumi_graph_count_uses(const struct sumi_graph *g, const struct sumi_value *v);
/* Takes a node out: its outputs lose their producer (the caller has replaced their uses), its inputs a use
 * each. It stays in graph->node, marked, until sumi_graph_tidy(). */
void sumi_graph_remove_node(struct sumi_graph *g, struct sumi_node *node);
static inline bool sumi_node_removed(const struct sumi_node *node) { return node->graph == NULL; }
/* Drops removed nodes and values that are neither input, output, used nor produced; sorts nodes topologically
 * (those in order stay in order); renews ids. Of g itself, not of its bodies. SUMI_E_FORMAT names a node on a
 * cycle. */
sumi_status sumi_graph_tidy(struct sumi_graph *g, struct sumi_err *err);

/* Names unique, one producer each, topological order, ids right, operators' arity and attribute schema;
 * bodies too. The first finding is the error. */
sumi_status sumi_graph_verify(const struct sumi_graph *g, struct sumi_err *err);

/* Prints in the ONNX text syntax (onnx.parser), parsed again by sumi_graph_parse() to a graph that prints the same.
 * Constants of up to max_elements are written out; larger ones only by type, shape and a hash in a comment (such text is
 * for reading: it does not parse). Shapes of all values follow as comments when annotate is set. */
void sumi_graph_print(const struct sumi_graph *g, size_t max_elements, bool annotate, struct sumi_text *out);

/* Where a tensor's bytes lie outside the text. Written as the standard's text has external data:
 * ["location": "weights", "offset": "128", "length": "4096"]. */
struct sumi_outside {
  const char *location;
  uint64_t offset, bytes;
};

struct sumi_print_options {
  size_t max_elements;
  bool annotate;
  /* True: the tensor is not written out, *where is; called once a tensor, in the order of the text. NULL: none is. */
  bool (*outside)(void *user, const struct sumi_tensor *t, struct sumi_outside *where);
  void *user;
};
void sumi_graph_print_with(const struct sumi_graph *g, const struct sumi_print_options *options,
                           struct sumi_text *out);

/* The newest operator sets known: "" (ai.onnx), ai.onnx.ml, com.microsoft, ai.onnx.preview and ai.onnx.preview.training. */
enum {
  SUMI_NEWEST_OPSET = 28,
  SUMI_NEWEST_ML_OPSET = 5,
  SUMI_NEWEST_MS_OPSET = 1,
  SUMI_NEWEST_PREVIEW_OPSET = 1
};

/* Finds the operator for a domain ("" = ai.onnx), name and operator set version; NULL and a sentence in why.
 * Given by room op; passed in because op lies above. */
typedef const struct sumi_op *(*sumi_op_lookup)(const char *domain, const char *name, int opset, char *why,
                                                size_t why_size);

/* Parses the ONNX text syntax:
 *   <opset_import: ["": 17, "com.microsoft": 1]>            (optional; default: the newest of each)
 *   name (float[N,3] x, float[4,3] w) => (float[N,4] y) <float[2] c = {1, 2}> {
 *     t = MatMul (x, w)
 *     [node_name] y = com.microsoft.Gelu <alpha = 1.5, axes = [1, 2]> (t)      # a comment
 *   }
 * Names that are no identifiers stand in double quotes, as strings do; a backslash takes the next byte as it is
 * ("\"", "\\"; "\n" is "n"). A value stands before its uses. Bodies may use values from around them.
 * Types: ONNX's names or Sumi's (float, float32); "float" is a scalar, "float[]" of unknown rank (a
 * constant: a scalar too), "float[2,?,N]"; seq(T), optional(T). A dimension in quotes is an expression
 * ("past + seq"). "undefined" is a type that is not known.
 * Elements: whole numbers of the short floating-point types (float16, bfloat16, float8...) are bit patterns, as in
 * onnx.parser; with a point or an exponent they are values ("1.0"). complex64 takes two numbers an element.
 * Beyond the standard: "Op:v11" states a node's own operator set version; "_captured = 2" among a node's attributes
 * that its last two inputs are what its bodies capture (n_captured).
 * An input may have a default: "(float[2] x = {1, 2})", and the default a shape of its own:
 * "(float[N] x = float[2] {1, 2})". Functions and attribute references are not read.
 * Errors name line and column. The graph is as the text says: not verified. */
sumi_status sumi_graph_parse(const char *text, size_t n, sumi_op_lookup lookup,
                             const struct sumi_allocator *a, struct sumi_graph **out, struct sumi_err *err);

struct sumi_parse_options {
  sumi_op_lookup lookup;
  /* Sets t->data, for t's type and shape, and *blob, a new reference that keeps it alive. NULL: external data is refused.
   * where->bytes is UINT64_MAX where the text gives no length. */
  sumi_status (*outside)(void *user, const struct sumi_outside *where, struct sumi_tensor *t,
                         struct sumi_blob **blob, struct sumi_err *err);
  void *user;
};
sumi_status sumi_graph_parse_with(const char *text, size_t n, const struct sumi_parse_options *options,
                                  const struct sumi_allocator *a, struct sumi_graph **out,
                                  struct sumi_err *err);

/* "int", "floats", ...: the standard's names; "?" for what is none. */
const char *sumi_attr_type_label(enum sumi_attr_type type);

/* Attributes. The getters return the default where the attribute is absent; types were checked by the
 * verifier. */
const struct sumi_attr *sumi_node_attr(const struct sumi_node *node, const char *name); /* NULL = absent */
int64_t sumi_attr_int(const struct sumi_node *node, const char *name, int64_t otherwise);
float sumi_attr_float(const struct sumi_node *node, const char *name, float otherwise);
const char *sumi_attr_string(const struct sumi_node *node, const char *name, const char *otherwise);
const int64_t *sumi_attr_ints(const struct sumi_node *node, const char *name,
                              int *n); /* NULL, n = 0 when absent */
const float *sumi_attr_floats(const struct sumi_node *node, const char *name, int *n);
const struct sumi_tensor *sumi_attr_tensor(const struct sumi_node *node, const char *name);
struct sumi_graph *sumi_attr_graph(const struct sumi_node *node, const char *name);
bool sumi_attr_is(const struct sumi_node *node, const char *name, const char *otherwise,
                  const char *value); /* string attr == value? */

#endif

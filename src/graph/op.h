/* What an operator is: one descriptor per operator, in its own file src/op/NAME.c, listed in src/op/ops.def.
 * Every part that is absent has the documented default. */
#ifndef SUMI_GRAPH_OP_H
#define SUMI_GRAPH_OP_H

#include "graph/graph.h"
#include "tensor/layout.h"

struct sumi_lower; /* plan/lower.h */
struct sumi_cells; /* plan/cell.h */
struct sumi_call;
struct sumi_infer;
struct sumi_random; /* base/random.h */
struct sumi_grad;   /* op/grad.h */

/* A name under which ONNX files know the operator, and the versions at which its meaning or schema changed.
 * domain "" is ai.onnx. Versions in rising order, 0-terminated; a model may import any version >= the first. */
struct sumi_op_name {
  const char *domain, *name;
  int version[14];
};

/* An attribute. The importer and verifier refuse others and other types. */
struct sumi_attr_spec {
  const char *name;
  enum sumi_attr_type type;
  bool required;
  int until;  /* the first version that no longer has it; 0 = still there */
  bool names; /* its strings name values of the node's graph */
};

enum {
  SUMI_PORT_OPTIONAL = 1,  /* may be left out */
  SUMI_PORT_VARIADIC = 2,  /* the last port; takes any number (at least one unless also OPTIONAL) */
  SUMI_PORT_MIXED = 4,     /* a variadic port whose types may differ from each other */
  SUMI_PORT_ANY_KIND = 8,  /* also sequences and optionals */
  SUMI_PORT_SEQUENCE = 16, /* a sequence */
  SUMI_PORT_MAP = 32       /* a map; dtypes are those of its values */
};

struct sumi_port {
  const char *name;
  uint64_t dtypes; /* set of element types taken */
  char var;        /* ports with the same letter have the same element type; 0 = free */
  int flags;
};

/* One thing the operator can do that matters to the executor. */
enum {
  SUMI_OP_CONTROL = 1, /* has bodies and runs them through call->bodies */
  SUMI_OP_DYNAMIC =
      2, /* its outputs' shapes are known only after it ran: ref makes them with sumi_call_output() */
  SUMI_OP_RANDOM = 4, /* draws random numbers: never folded */
  SUMI_OP_VIEW =
      8, /* output 0 has the bytes of input 0 in their order (Reshape, Identity): may share memory */
  SUMI_OP_IN_PLACE = 16, /* ref and lower allow output 0 to lie over input 0 when their bytes agree */
  SUMI_OP_INTERNAL = 32, /* passes make it; what is imported must not name it */
  SUMI_OP_MOVES = 64     /* outputs are made of elements of inputs of their type, whatever the type */
};

/* A test case: a graph in text form whose one graph runs on every device; inputs are filled at random. */
struct sumi_case {
  const char *text;  /* ONNX text syntax (graph.h); NULL ends the list */
  double rtol, atol; /* |got - want| <= atol + rtol * max|want|; 0, 0 = equal */
  double low, high;  /* range of random inputs, both 0 = normal(0, 1) for floats, 0..7 for integers */
  const char *why;   /* why the tolerance is what it is, or what the case is about */
};

/* How an input or output may lie, beside row-major. Outputs set lanes and axis only. */
struct sumi_lane_wish {
  bool lanes;
  bool any; /* every halo and every phases will do: halo and fill say nothing */
  int axis; /* of the channels: 1 or the last */
  struct sumi_halo halo;
  uint8_t fill; /* what the halo must hold */
};

struct sumi_cost {
  double dense_macs; /* multiply-accumulates if nothing is skipped */
  double macs;       /* what is left when zero weights are skipped */
  double bytes;      /* read and written, at least */
};

/* A product with constant weights as a matrix, its columns ordered tap, channel (as room sparse wants them):
 *   y[row, sample] = sum over tap, channel of w[row, tap, channel] * x[tap, channel, sample] + b[row]
 * Element (row, tap, channel) of the weights is number first + row * row_step + tap * tap_step + channel * channel_step.
 * Rows [g * rows / groups, ...) read channels [g * channels, ...) of x. */
struct sumi_op_product {
  int x, w,
      b; /* inputs of the node; x < 0: the node's own state; b < 0: no bias of one number a row is possible */
  int64_t rows, groups, taps, channels; /* channels of one group */
  int64_t first, row_step, tap_step, channel_step;
  int axis;    /* of the channels in x; negative counts from the end */
  bool window; /* the taps are those of a convolution's window */
};

struct sumi_op {
  const char *name; /* the operator's name in Sumi: the ONNX name, with its domain where it is not ai.onnx */
  const char *formula;                /* one line for the operation table */
  struct sumi_op_name known_as[3];    /* ended by a NULL name; [0].name = NULL: {"", name} at version 1 */
  const struct sumi_attr_spec *attrs; /* ended by a NULL name; NULL = none */
  const struct sumi_port *in, *out;   /* ended by a NULL name */
  int flags;

  /* Sets every wanted output's kind, dtype, rank and dims, from the inputs' and attributes; the only validation.
   * Called with symbolic or unknown shapes (while importing) and with numbers (while preparing; then also with the
   * contents of what is known). Arity, element types and attribute types were checked before. Required. */
  sumi_status (*infer)(struct sumi_infer *ctx);

  /* The reference function: the plain loops that define what is right. Shapes were inferred from the same inputs;
   * outputs are allocated (unless SUMI_OP_DYNAMIC). Required. */
  sumi_status (*ref)(const struct sumi_call *call);

  /* Bytes of scratch that ref wants for these shapes (data may be NULL). NULL = none. Ask sumi_call_scratch(). */
  sumi_status (*scratch)(const struct sumi_call *call, size_t *bytes);

  /* Emits steps of kernel families on device cpu. SUMI_E_UNSUPPORTED (after sumi_lower_refuse) = use ref. NULL = use ref. */
  sumi_status (*lower)(struct sumi_lower *l);

  /* Describes the node as cells, for the card. SUMI_E_UNSUPPORTED (after sumi_cells_refuse) = the host does it. NULL = the host. */
  sumi_status (*cells)(struct sumi_cells *c);

  /* Device cpu: which inputs lower can read, and which outputs it can write, in lanes (tensor/layout.h). Shapes are
   * numbers, data is there where constant. All wishes come in zero, but for the outputs' axis: the one their readers want
   * the channels along, -1 where they want no lanes. lower must take every value row-major as well. NULL = row-major
   * only. */
  void (*lanes)(const struct sumi_call *call, struct sumi_lane_wish *in, struct sumi_lane_wish *out);

  /* Work of one run; NULL = bytes of inputs and outputs, no macs. */
  void (*cost)(const struct sumi_call *call, struct sumi_cost *cost);

  /* Appends the nodes that compute the inputs' gradients from the outputs' to the graph. They are ordinary operators
   * with a gradient of their own where one exists, so that what comes out can be differentiated again. NULL = no gradient
   * is known; pass/gradient.h refuses by the operator's name. */
  sumi_status (*grad)(struct sumi_grad *g);

  /* Whether item i (index of dimension 0) of every output follows from item i of the inputs that carry items, carries[n_in],
   * by itself, and as dimension 0 of them. Shapes are numbers, data is there where constant. NULL = no. op/by_item.h. */
  bool (*by_item)(const struct sumi_call *call, const bool *carries);

  /* The node's products with weights that are constants, part 0, 1, ...; false: there is no such part. */
  bool (*product)(const struct sumi_node *node, int part, struct sumi_op_product *out);

  const struct sumi_case *cases; /* NULL = covered by the conformance tests only (say why in the file) */
};

/* ---- inference ------------------------------------------------------------------------------------------------ */

struct sumi_infer {
  const struct sumi_node *node;
  struct sumi_symbols *symbols; /* NULL where all shapes are numbers */
  struct sumi_arena *arena;     /* for contents and bodies; lives as long as the outputs' infos */
  int n_in, n_out;
  const struct sumi_info *in; /* [n_in]; .absent where an optional input is not given */
  struct sumi_info *out;      /* [n_out]; .absent where nobody wants it; set the others */
  struct sumi_err *err;
};

/* True when input i, which is no capture, is there. */
static inline bool sumi_infer_has(const struct sumi_infer *ctx, int i) {
  return i < ctx->n_in - ctx->node->n_captured && !ctx->in[i].absent;
}

/* Sets output i to a tensor of dtype and shape; does nothing when nobody wants it (i beyond n_out or absent). */
void sumi_infer_out(struct sumi_infer *ctx, int i, sumi_dtype dtype, int rank, const sumi_dim *dim);
/* The same with rank unknown. */
void sumi_infer_out_unknown(struct sumi_infer *ctx, int i, sumi_dtype dtype);
/* Output i has the shape (and kind) of in; dtype SUMI_UNDEFINED takes in's as well. */
void sumi_infer_out_like(struct sumi_infer *ctx, int i, const struct sumi_info *in, sumi_dtype dtype);
/* Output i has the broadcast shape of the inputs [first, n_in). SUMI_E_SHAPE where numbers do not fit. */
sumi_status sumi_infer_broadcast(struct sumi_infer *ctx, int i, int first, int last, sumi_dtype dtype);

/* The integers an input holds: from its data or contents. *n = -1 where unknown. At most SUMI_MAX_RANK unless data
 * is known. Elements may be symbolic dims (negative numbers in data are passed as they are only through values). */
sumi_status sumi_infer_ints(struct sumi_infer *ctx, int input, const int64_t **values, int *n);
/* The same, from the input if it is given, else from the attribute (Squeeze's axes and its relatives changed from
 * one to the other). n = -1: unknown; values NULL with n = 0: neither is given. */
sumi_status sumi_infer_ints_or_attr(struct sumi_infer *ctx, int input, const char *attr,
                                    const int64_t **values, int *n);

/* Sets output i's symbolic contents (copied); n <= SUMI_MAX_RANK. */
sumi_status sumi_infer_content(struct sumi_infer *ctx, int i, const sumi_dim *content, int n);

/* Infers a body's outputs from its inputs (in[n_in], the body's order); out[body->n_output]. */
sumi_status sumi_infer_body(struct sumi_infer *ctx, const struct sumi_graph *body, const struct sumi_info *in,
                            struct sumi_info *out);

/* Checks a node's arity, kinds and element types against its ports, then calls its infer. Errors name the node. */
sumi_status sumi_infer_node(struct sumi_infer *ctx);

/* Infers all values of a graph: the job's info[n_value] receives what was found. What is declared (value_info) but
 * contradicts what is inferred is overruled by the inferred. */
struct sumi_infer_job {
  const struct sumi_graph *graph;
  const struct sumi_info *in;   /* [n_input] infos of its inputs; NULL = as declared */
  struct sumi_symbols *symbols; /* NULL where all shapes are numbers */
  struct sumi_arena *arena;     /* for contents and folded tensors; must outlive the infos */
  size_t fold_bytes; /* > 0: nodes whose inputs are known and whose outputs take at most so many bytes are
                                   computed with their reference function */
  size_t
      fold_more_bytes; /* > 0: also nodes whose outputs take at most so many, as long as all of these together take
                             no more than fold_total_bytes */
  size_t fold_total_bytes;
  size_t fold_ratio; /* > 0: also those whose outputs take at most so many times their inputs' bytes */
  bool (*keep)(const struct sumi_node *node);               /* nodes that are not computed; NULL = all are */
  void (*before)(void *user, const struct sumi_node *node); /* called before one is; NULL = nothing */
  const bool *skip;       /* [n_node] nodes whose outputs' infos are given already; NULL = none */
  struct sumi_info *info; /* [n_value] */
  /* Called for every node that fails; its outputs become unknown and inference goes on. NULL: the first one ends it. */
  void (*on_fail)(void *user, const struct sumi_node *node, const struct sumi_err *err);
  void *user;
};
sumi_status sumi_graph_infer(const struct sumi_infer_job *job, struct sumi_err *err);

/* ---- calls ---------------------------------------------------------------------------------------------------- */

/* Runs bodies for control operators; given by the executor. */
struct sumi_bodies {
  void *self;
  /* Runs the graph attribute `body`; in[n_in] in the body's order (captures included). On success out[i] points to
   * the i-th output, which stays while the same body runs once more (so it may be an input of that run), not longer. */
  sumi_status (*run)(void *self, const struct sumi_graph *body, const struct sumi_tensor *const *in, int n_in,
                     const struct sumi_tensor **out, int n_out, struct sumi_err *err);
};

struct sumi_call {
  const struct sumi_node *node;
  int n_in, n_out;
  const struct sumi_tensor *const *in; /* NULL = optional input not given */
  struct sumi_tensor *const *out;      /* shape set, data allocated; NULL = nobody wants it */
  void *scratch;                       /* what .scratch asked for */
  struct sumi_arena *heap; /* strings and dynamic outputs; lives as long as the outputs. NULL where the
                                          node is static: such a node must not need it */
  const struct sumi_bodies *bodies; /* control operators only */
  struct sumi_random *random;       /* the session's generator, for SUMI_OP_RANDOM operators without a seed */
  struct sumi_err *err;
};

static inline bool sumi_call_has(const struct sumi_call *c, int i) {
  return i < c->n_in - c->node->n_captured && c->in[i];
}
static inline bool sumi_call_wants(const struct sumi_call *c, int i) { return i < c->n_out && c->out[i]; }

/* For SUMI_OP_DYNAMIC operators: gives output i its type and shape and allocates it from the heap. */
sumi_status sumi_call_output(const struct sumi_call *c, int i, sumi_dtype dtype, int rank,
                             const int64_t *dim);
/* Deep-copies a tensor, sequence or optional to output i (allocated from the heap). */
sumi_status sumi_call_output_copy(const struct sumi_call *c, int i, const struct sumi_tensor *from);

/* The integers of an input if it is given, else of the attribute; *n = 0 and NULL when neither is. int32 inputs are widened
 * into buf[SUMI_MAX_RANK * 4]; more than that is SUMI_E_LIMIT. */
sumi_status sumi_call_ints_or_attr(const struct sumi_call *c, int input, const char *attr, int64_t *buf,
                                   const int64_t **values, int *n);

/* Everything is known of a constant, which is borrowed. */
struct sumi_info sumi_info_of_constant(const struct sumi_tensor *t);
/* What is known of a value as a tensor: shape where it is known, data where it is constant. */
struct sumi_tensor sumi_info_tensor(const struct sumi_info *info);
/* Bytes of scratch that the call's operator is to get: 0 where it has none, else at least 1, so that places in it are some. */
sumi_status sumi_call_scratch(const struct sumi_call *call, size_t *bytes);
/* Whether the contents of all outputs are known: nobody has to run the node. info: by value. */
bool sumi_node_known(const struct sumi_node *node, const struct sumi_info *info);

/* How a node's failure reads: "node 'n' (Conv): reason". Used by infer_node and the executor. */
sumi_status sumi_node_fail(const struct sumi_node *node, struct sumi_err *err, sumi_status status);

#endif

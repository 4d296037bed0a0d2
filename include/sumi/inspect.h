/* Sumi's experimental API: looking inside models, sessions and the library itself. For tools; it may change between
 * versions. All texts live as long as the object they come from unless said otherwise; visitors return false to stop. */
#ifndef SUMI_INSPECT_H
#define SUMI_INSPECT_H

#include <sumi/sumi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Receives text piece by piece. */
typedef void (*sumi_text_sink)(void *user, const char *bytes, size_t n);

/* A value of the graph, with constants' statistics. */
struct sumi_node_info {
  size_t size;
  const char *name, *op; /* "conv1", "Conv" */
  int version;
  int depth;                 /* 0 = the main graph, 1 = a body ... */
  const char *const *inputs; /* names, "" = not given */
  size_t n_inputs;
  const char *const *outputs;
  size_t n_outputs;
  double dense_macs, macs; /* per run, -1 where shapes are unknown; macs skips zero weights */
  int64_t parameters;      /* elements of floating-point and quantised weights */
  double density;          /* non-zero share of the weights; -1 without weights */
  const char
      *pattern; /* the coarsest pattern its zeros keep: "1x1", "1x4", "4x4", ...; "" = dense or no weights */
  const char *output_shapes; /* "float32[1,64,56,56], ..." */
  bool random;               /* it draws random numbers */
};
/* The nodes of the portable graph, bodies included; inputs (may be NULL) fix the shapes. Texts live during the visit. */
SUMI_API sumi_status sumi_model_visit_nodes(const struct sumi_model *model, const struct sumi_view *inputs,
                                            size_t n_inputs,
                                            bool (*visit)(void *user, const struct sumi_node_info *info),
                                            void *user, struct sumi_err *err);
/* The model's operator sets, IR version and producer as one line each: key, value. */
SUMI_API bool sumi_model_fact(const struct sumi_model *model, size_t i, const char **key, const char **value);

/* The graph as text after the pass of that name (NULL: after the last portable pass; "import": before all). */
SUMI_API sumi_status sumi_model_print(const struct sumi_model *model, const char *after_pass,
                                      const char *device, sumi_text_sink sink, void *user,
                                      struct sumi_err *err);

/* One step of a prepared session. */
struct sumi_step_info {
  size_t size;
  const char *node, *op, *device, *kernel;
  const char *shapes; /* "float32[1,3,32,32], ... -> ..." */
  double density;     /* of its weights, -1 = none */
  double dense_macs, macs;
  double predicted_s;   /* 0 = not predicted */
  double measured_s;    /* mean over runs, 0 = not profiled */
  const char *refusals; /* one a line; "" = none */
};
SUMI_API sumi_status sumi_session_visit_steps(const struct sumi_session *session,
                                              bool (*visit)(void *user, const struct sumi_step_info *info),
                                              void *user, struct sumi_err *err);

/* One buffer of a prepared session's memory plan. */
struct sumi_buffer_info {
  size_t size;
  const char *name; /* the value, or the node whose scratch it is */
  const char *kind; /* "arena", "scratch", "constant", "input", "output", "run time" */
  size_t offset_bytes, bytes;
  int first_step, last_step; /* lifetime */
};
SUMI_API sumi_status sumi_session_visit_buffers(const struct sumi_session *session,
                                                bool (*visit)(void *user,
                                                              const struct sumi_buffer_info *info),
                                                void *user, struct sumi_err *err);

/* The library's tables. */

/* An input or output of an operator. */
struct sumi_op_port_info {
  size_t size;
  const char *name;
  const char
      *kind; /* "tensor", "sequence", "map", "sequence of maps", "any" (tensors, sequences, optionals) */
  uint64_t dtypes; /* bit d: elements (of a map: values) may be of the sumi_dtype d */
  char var;        /* ports with the same letter have the same element type; 0: free */
  bool optional, variadic;
};

struct sumi_op_info {
  size_t size;
  const char *name, *domain, *formula;
  const int *versions; /* rising, 0-terminated */
  const struct sumi_op_port_info *inputs, *outputs;
  size_t n_inputs, n_outputs;
  bool on_cpu; /* has a fast path on device cpu (otherwise its reference function) */
};
SUMI_API void sumi_visit_ops(bool (*visit)(void *user, const struct sumi_op_info *info), void *user);

struct sumi_kernel_info {
  size_t size;
  const char *family, *name, *isa, *what;
  bool runs_here;
};
SUMI_API void sumi_visit_kernels(bool (*visit)(void *user, const struct sumi_kernel_info *info), void *user);

struct sumi_named {
  size_t size;
  const char *name, *what, *value; /* value: what is in force now */
};
SUMI_API void sumi_visit_knobs(bool (*visit)(void *user, const struct sumi_named *info),
                               void *user); /* environment */
SUMI_API void sumi_visit_passes(bool (*visit)(void *user, const struct sumi_named *info), void *user);
SUMI_API void sumi_visit_devices(bool (*visit)(void *user, const struct sumi_named *info), void *user);
SUMI_API const char *sumi_machine(void);  /* the processor: "AMD EPYC ..." */
SUMI_API const char *sumi_isa_name(void); /* the level in force */

/* ONNX TensorProto / SequenceProto / OptionalProto bytes (test data) to a view that owns its memory. */
struct sumi_buffer;
SUMI_API sumi_status sumi_buffer_from_onnx(const void *bytes, size_t n_bytes,
                                           const char *kind /* "tensor", "sequence", "optional" */,
                                           struct sumi_buffer **out, struct sumi_err *err);
SUMI_API const struct sumi_view *sumi_buffer_view(const struct sumi_buffer *buffer);
SUMI_API void sumi_buffer_free(struct sumi_buffer *buffer);

/* Element i of a view as a double, by row-major index, whatever its type (0 for strings); for comparing and printing. */
SUMI_API double sumi_view_get(const struct sumi_view *view, int64_t i);
/* n elements from row-major index first, converted to doubles. */
SUMI_API void sumi_view_read(const struct sumi_view *view, int64_t first, int64_t n, double *out);

#ifdef __cplusplus
}
#endif
#endif

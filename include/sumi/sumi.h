/* Sumi: dual-sparse neural-network inference. The stable API, in the order of use.
 *
 *   #include <stdio.h>
 *   #include <sumi/sumi.h>
 *
 *   int main(int argc, char **argv) {
 *     struct sumi_err err = SUMI_ERR_INIT;
 *     struct sumi_model *model = NULL;
 *     struct sumi_session *session = NULL;
 *     static float image[3 * 32 * 32];
 *     const int64_t dims[] = {1, 3, 32, 32};
 *     const struct sumi_view in = {.size = sizeof in, .name = "image", .data = image, .dtype = SUMI_FLOAT32,
 *                                  .rank = 4, .dims = dims};
 *     struct sumi_view out = {.size = sizeof out, .name = "logits"};
 *     if (argc > 1 && sumi_model_load_file(argv[1], NULL, &model, &err) == SUMI_OK &&
 *         sumi_session_new(model, NULL, &session, &err) == SUMI_OK &&
 *         sumi_session_run(session, &in, 1, &out, 1, &err) == SUMI_OK)
 *       for (int64_t i = 0; i < out.dims[1]; i++) printf("%g\n", ((const float *)out.data)[i]);
 *     else
 *       fprintf(stderr, "%s\n", err.text);
 *     sumi_session_free(session);
 *     sumi_model_unref(model);
 *     return err.status != SUMI_OK;
 *   }
 *
 * Nothing here prints, aborts or exits. Threads: a model may be used by many threads; a session by one at a time.
 * Structs start with their size: set it to sizeof, so that programs and libraries of different age understand
 * each other. */
#ifndef SUMI_SUMI_H
#define SUMI_SUMI_H

#include <stdbool.h>
#include <sumi/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- names ---------------------------------------------------------------------------------------------------- */

SUMI_API const char *sumi_version(void);                      /* "0.1.0" */
SUMI_API const char *sumi_status_name(sumi_status status);    /* "shape" */
SUMI_API const char *sumi_status_explain(sumi_status status); /* one sentence */
SUMI_API const char *sumi_dtype_name(sumi_dtype dtype);       /* "float32" */
SUMI_API size_t sumi_dtype_size_bits(sumi_dtype dtype);       /* 32 */

/* ---- views: how tensors come and go ---------------------------------------------------------------------------- */

/* A borrowed view of a tensor, in DLPack's spirit. Types below a byte are packed, two 4-bit or four 2-bit elements
 * a byte, low bits first (such views must be row-major); strings are struct sumi_str. */
struct sumi_view {
  size_t size;      /* sizeof(struct sumi_view) */
  const char *name; /* the model's input or output */
  void *data;       /* inputs: never written */
  sumi_dtype dtype;
  int rank;
  const int64_t *dims;    /* [rank] */
  const int64_t *strides; /* [rank], elements, may be negative or 0; NULL = row-major */
  sumi_kind kind;         /* SUMI_TENSOR unless the model says otherwise */
  bool absent;            /* an empty optional */
  struct sumi_view
      *items; /* SUMI_SEQUENCE: its tensors; SUMI_MAP_SEQUENCE: its maps; SUMI_MAP: two tensors, [n] keys
                              and [n] values, whose element type is the map's dtype */
  size_t n_items;
};

/* Number of elements, 0 for an empty shape, -1 on overflow or negative dims. */
SUMI_API int64_t sumi_view_count(const struct sumi_view *view);

/* ---- models ---------------------------------------------------------------------------------------------------- */

struct sumi_model;

/* Limits on what a file may ask for. 0 = the default. */
struct sumi_limits {
  size_t size;
  size_t max_file_bytes;   /* 64 GiB */
  size_t max_nodes;        /* 1,000,000, bodies and inlined functions included */
  size_t max_values;       /* 4,000,000 */
  size_t max_depth;        /* 32: bodies in bodies, functions in functions */
  size_t max_attr_items;   /* 16,777,216 items in one attribute list */
  size_t max_name_bytes;   /* 65,536 */
  size_t max_tensor_bytes; /* 32 GiB in one tensor, initializer or intermediate */
};

/* One reason why a model cannot be taken. Texts live during the call. */
struct sumi_refusal {
  const char *node, *op; /* "conv1", "ai.onnx.Conv"; "" where the model as a whole is meant */
  int version;           /* operator set version */
  const char *reason;
};

struct sumi_model_options {
  size_t size;
  const struct sumi_allocator *allocator; /* NULL = the C library's; must outlive the model */
  const struct sumi_limits *limits;       /* NULL = the defaults */
  const char *folder; /* for external data of models loaded from memory; NULL = none allowed */
  void (*on_refusal)(void *user,
                     const struct sumi_refusal *refusal); /* called for every refusal, NULL allowed */
  void *user;
  bool keep_graph_as_is; /* skip the simplifying passes */
};

/* Reads an ONNX file or a compiled one (below), whichever it is by its contents. It is mapped: it must not change while the
 * model lives. options may be NULL. On refusal of an ONNX file every reason is reported through on_refusal, and as many as
 * fit stand in err, one a line; a compiled file is refused for the first. */
SUMI_API sumi_status sumi_model_load_file(const char *path, const struct sumi_model_options *options,
                                          struct sumi_model **model, struct sumi_err *err);
/* The same from memory, which is borrowed until the model is freed. */
SUMI_API sumi_status sumi_model_load_memory(const void *bytes, size_t n_bytes,
                                            const struct sumi_model_options *options,
                                            struct sumi_model **model, struct sumi_err *err);
SUMI_API struct sumi_model *sumi_model_ref(struct sumi_model *model);
SUMI_API void sumi_model_unref(struct sumi_model *model); /* NULL allowed */

/* What an input or output is. dims[i] is -1 where it is not fixed; dim_names[i] then says how it is called or
 * computed ("batch", "past + seq"), "" where nothing is known. rank -1: not fixed. Lives as long as the model. */
struct sumi_port_info {
  size_t size;
  const char *name;
  sumi_kind kind;
  sumi_dtype dtype;
  int rank;
  int64_t dims[SUMI_MAX_RANK];
  const char *dim_names[SUMI_MAX_RANK];
  bool has_default; /* an input that an initializer stands in for: a constant wherever no caller gives it */
  sumi_dtype key;   /* of maps, whose values' element type is dtype */
};

SUMI_API size_t sumi_model_input_count(const struct sumi_model *model);
SUMI_API size_t sumi_model_output_count(const struct sumi_model *model);
SUMI_API sumi_status sumi_model_input(const struct sumi_model *model, size_t i, struct sumi_port_info *info);
SUMI_API sumi_status sumi_model_output(const struct sumi_model *model, size_t i, struct sumi_port_info *info);
/* The i-th key and value of the file's metadata; false beyond the last. */
SUMI_API bool sumi_model_metadata(const struct sumi_model *model, size_t i, const char **key,
                                  const char **value);

/* ---- sessions -------------------------------------------------------------------------------------------------- */

struct sumi_session;

struct sumi_session_options {
  size_t size;
  const struct sumi_allocator *allocator; /* NULL = the model's */
  const char *
      device; /* "cpu" (NULL), "ref", "ref-machine", "audit", "antoum"; cpu and audit take subnormal floats as zero while
                                             they run, and put the caller's mode back */
  int threads;            /* 0 = 1 */
  const char *isa;        /* the highest level of instructions to use, "avx2"; NULL = what is there */
  int max_plans;          /* input shapes remembered, 0 = 4 */
  bool profile;           /* measure every node */
  size_t max_arena_bytes; /* of one plan; 0 = three quarters of the machine's memory */
  const char *
      precision; /* of what the file computes in float32, on device cpu: "file" (NULL), "int8-dynamic", "bf16" */
  struct sumi_card
      *card; /* of device "antoum" (sumi/card.h), which must live longer; NULL = a simulated one of its own */
};

SUMI_API sumi_status sumi_session_new(struct sumi_model *model, const struct sumi_session_options *options,
                                      struct sumi_session **session, struct sumi_err *err);
SUMI_API void sumi_session_free(struct sumi_session *session); /* NULL allowed */

/* Plans for these input shapes (data may be NULL) and allocates what a run needs: a later run with the same shapes
 * allocates nothing, unless the model has shapes that depend on data. Inputs left out must have defaults. Runs that give none
 * of those that have one take the defaults for constants, and are as fast as if they were no inputs; runs that give some have
 * plans of their own, made on first use, in which nothing is made of any default beforehand. */
SUMI_API sumi_status sumi_session_prepare(struct sumi_session *session, const struct sumi_view *inputs,
                                          size_t n_inputs, struct sumi_err *err);

/* Runs, preparing first where the shapes are new. Inputs and outputs are found by name; any subset of the outputs, in
 * any order. An output with data == NULL receives a row-major view of the session's own memory, valid until the next
 * run, prepare or free of the session; with data set, dims, dtype (and strides) must be what the model gives, and the
 * result is written there. After a failure the session can be used again. Operators that draw random numbers draw the same
 * in every run where they have a seed, and others in every run and session where they have none. */
SUMI_API sumi_status sumi_session_run(struct sumi_session *session, const struct sumi_view *inputs,
                                      size_t n_inputs, struct sumi_view *outputs, size_t n_outputs,
                                      struct sumi_err *err);

struct sumi_memory_info {
  size_t size;
  size_t arena_bytes;  /* intermediate values and scratch */
  size_t weight_bytes; /* constants of the model, mapped or not */
  size_t packed_bytes; /* weights packed for this machine, shared by the model's sessions */
  size_t plans;        /* sets of input shapes that are planned */
  bool is_static;      /* the last prepared shapes run without any allocation */
};
SUMI_API sumi_status sumi_session_memory(const struct sumi_session *session, struct sumi_memory_info *info);

/* One executed node of the last run. Texts live until the session is freed. */
struct sumi_profile_entry {
  size_t size;
  const char *node, *op, *kernel;
  double seconds; /* of the last run */
  double total_s; /* of all runs since the session was prepared */
  uint64_t runs;
};
/* Calls visit for every step in running order; needs options.profile. Stops when visit returns false. */
SUMI_API sumi_status sumi_session_profile(const struct sumi_session *session,
                                          bool (*visit)(void *user, const struct sumi_profile_entry *entry),
                                          void *user, struct sumi_err *err);

/* ---- compiled models ------------------------------------------------------------------------------------------- */

/* What is packed into a compiled file. */
struct sumi_compile_options {
  size_t size;
  const struct sumi_view *inputs; /* [n_inputs] shapes to pack for, as sumi_session_prepare() takes them */
  size_t n_inputs;
};

/* Writes a compiled model: the graph after the simplifying passes, its weights, and the weights as device "cpu" packs them
 * on this machine, at the instruction-set level in force. Such a file opens in milliseconds; its weights are used where they
 * are mapped, once in memory for all processes. It works everywhere: other machines and versions pack again. Shapes other
 * than those it was packed for work too. options NULL: nothing is packed. path appears whole or not at all; a file of that
 * name is replaced, and who has it open keeps the old one. SUMI_E_IO where it cannot be written, else what preparing a
 * session says. */
SUMI_API sumi_status sumi_model_compile_file(const struct sumi_model *model, const char *path,
                                             const struct sumi_compile_options *options,
                                             struct sumi_err *err);

/* What a compiled file holds. Texts live as long as the model. */
struct sumi_compiled_info {
  size_t size;
  const char *library, *isa;                      /* what it was packed by and for: "0.1.0", "avx512vnni" */
  size_t graph_bytes, weight_bytes, packed_bytes; /* of the file */
  bool is_for_here; /* what is packed can be used by this library here and now */
};
/* SUMI_E_STATE where the model was not loaded from a compiled file. */
SUMI_API sumi_status sumi_model_compiled(const struct sumi_model *model, struct sumi_compiled_info *info,
                                         struct sumi_err *err);

/* Reads all of a compiled file and compares it with its checksums: SUMI_E_FORMAT where it was damaged. Loading checks the
 * graph and every place only, and leaves the weights' bytes alone. SUMI_E_STATE as above. */
SUMI_API sumi_status sumi_model_verify(const struct sumi_model *model, struct sumi_err *err);

#ifdef __cplusplus
}
#endif
#endif

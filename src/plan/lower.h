/* Lowering: how an operator on device cpu becomes steps of kernel families. Read this header first in the room.
 *
 * A step is a function and its arguments. Arguments live in the plan's arena and name buffers by number; a run gives
 * the step a table of addresses, so one plan serves many sessions. What a step needs beside its buffers (packed
 * weights, offset lists) was made when lowering and does not change. */
#ifndef SUMI_PLAN_LOWER_H
#define SUMI_PLAN_LOWER_H

#include "cpu/cpu.h"
#include "graph/op.h"
#include "par/par.h"

/* What a step sees while running. Allocates nothing. */
struct sumi_run {
  void *const *buffer;     /* by buffer number */
  struct sumi_par *par;    /* threads of the session; NULL = serial */
  struct sumi_arena *heap; /* as in sumi_call; NULL in static steps */
  const struct sumi_bodies *bodies;
  struct sumi_random *random; /* as in sumi_call */
  struct sumi_err *err;
};

typedef sumi_status (*sumi_step_fn)(const void *args, const struct sumi_run *run);

/* How a step makes a few planes of its output 0 at a time, by one thread: each from all of input 0 or, with own, from input 0's
 * plane of the same number. */
struct sumi_planes {
  int64_t n, unit; /* all of them; a part begins at a multiple of unit */
  size_t bytes;    /* of one of output 0 */
  bool own;
  /* Planes [p0, p1); some: where plane p0 lies, of output 0 or, with own, of input 0. */
  void (*run)(const void *args, const struct sumi_run *run, int64_t p0, int64_t p1, void *some, int worker);
};

struct sumi_step {
  sumi_step_fn fn;
  const void *args;             /* in the plan's arena */
  const struct sumi_node *node; /* what it belongs to */
  const char *kernel;           /* "spmm_f32/avx512 dense", "ref" */
  const int *reads, *writes;    /* buffer numbers */
  int n_reads, n_writes;
  double predicted_s;               /* 0 = not predicted */
  const struct sumi_planes *planes; /* in the plan's arena; NULL = only all at once */
  int64_t
      turn; /* so many planes of this step, then the next step's of the same numbers, and so on; 0 = one step after the other */
};

/* A form of packed weights that a compiled file may hold. */
struct sumi_pack_kind {
  const char *name; /* "f32_lists.1": another name whenever the same bytes mean something else */
  sumi_status (*make)(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                      struct sumi_err *err);
  /* Whether bytes (aligned to SUMI_ALIGN) from a file that nobody vouches for are what make could give for user, as far
   * as lowering and kernels trust it: sizes, counts, offsets, columns; not the weights themselves. SUMI_E_FORMAT
   * otherwise. */
  sumi_status (*check)(void *user, const void *data, size_t bytes, struct sumi_err *err);
};

/* Packed weights are made once per model and shared by its sessions and plans. */
struct sumi_packs {
  void *self;
  /* The blob for (node, key), made by make(user, blob_out, err) on first use. The result lives as long as the model. */
  sumi_status (*get)(void *self, const struct sumi_node *node, const char *key,
                     sumi_status (*make)(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                                         struct sumi_err *err),
                     void *user, const void **data, struct sumi_err *err);
  /* The same for weights that may come from a compiled file: with the file's blob, where kind->check takes it. */
  sumi_status (*get_kind)(void *self, const struct sumi_node *node, const char *key,
                          const struct sumi_pack_kind *kind, void *user, const void **data,
                          struct sumi_err *err);
};

struct sumi_plan;
struct sumi_device_code; /* device/device.h */

/* Lists of constant weights: as predicted to be faster, or as the knob SUMI_LISTS says. */
enum sumi_lists { SUMI_LISTS_FASTER = 0, SUMI_LISTS_DENSE, SUMI_LISTS_SPARSE };

struct sumi_lower {
  const struct sumi_node *node;
  int n_in, n_out;
  const struct sumi_tensor *const
      *in; /* concrete shapes; ->data non-NULL where the contents are constant; NULL = absent */
  const struct sumi_tensor *const *out; /* concrete shapes, data NULL; NULL = nobody wants it */
  const int *in_buffer, *out_buffer;    /* buffer numbers, -1 where absent. Constants have buffers too */
  const struct sumi_layout *in_layout, *out_layout; /* how they lie; v = 0: row-major */
  enum sumi_isa isa;                                /* the level kernels may use */
  int threads;
  enum sumi_lists lists;
  const struct sumi_packs *packs;
  struct sumi_device_code *code; /* of the stage; NULL where the device lowers node by node */
  const bool *dies; /* [n_in] nobody reads the input after this node, and its memory is the plan's */
  bool *
      spent; /* [n_in] set for a constant that was packed: nothing in the plan refers to its own bytes any more */
  struct sumi_arena *arena; /* lives as long as the plan */
  struct sumi_plan *plan;
  struct sumi_text *refusals; /* NULL = nobody wants to know */
  struct sumi_err *err;
};

/* A scratch buffer of bytes that lives from this node's first step to its last; its number, or -1 (out of memory). */
int sumi_lower_scratch(struct sumi_lower *l, size_t bytes);

/* Appends a step. reads and writes (copied) are all buffers it touches, scratch included. */
sumi_status sumi_lower_emit(struct sumi_lower *l, sumi_step_fn fn, const void *args, const char *kernel,
                            const int *reads, int n_reads, const int *writes, int n_writes);

/* Lets output 0 lie over this input, where it dies, both lie alike and take as many bytes: for steps that read a place of the
 * input before they write it in the output, and write no other before. Not possible: nothing happens. */
void sumi_lower_over(struct sumi_lower *l, int input);

/* Says how long the step emitted last is expected to take. */
void sumi_lower_predict(struct sumi_lower *l, double seconds);

/* Says that the step emitted last can make its output by planes (copied). SUMI_E_MEMORY. */
sumi_status sumi_lower_planes(struct sumi_lower *l, const struct sumi_planes *planes);

/* The node as its operator sees it; data only of what is constant. */
static inline struct sumi_call sumi_lower_call(struct sumi_lower *l) {
  return (struct sumi_call){.node = l->node,
                            .n_in = l->n_in,
                            .n_out = l->n_out,
                            .in = l->in,
                            .out = (struct sumi_tensor *const *)l->out,
                            .err = l->err};
}

/* Records why a kernel was not taken: "spmm_f32/avx2: ...". */
void sumi_lower_refuse(struct sumi_lower *l, const char *kernel, const char *format, ...) SUMI_PRINTF(3, 4);

#endif

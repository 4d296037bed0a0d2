/* Execution of one graph, the main one or a body, in stages.
 *
 * A stage is a plan for what can be planned: from shapes that are known, all nodes whose shapes follow. It ends with
 * the nodes that cannot be planned (shapes that depend on data, control flow, strings, sequences); those run one by
 * one with what is there, and the shapes they give lead to the next stage. Stages are remembered by those shapes. A
 * graph without such nodes is one stage, and running it allocates nothing. */
#ifndef SUMI_EXEC_EXEC_H
#define SUMI_EXEC_EXEC_H

#include "base/random.h"
#include "exec/model.h"

/* What a session measures of one step or dynamic node. */
struct sumi_timing {
  double last_s, total_s;
  uint64_t runs;
};

struct sumi_stage {
  struct sumi_stage *next;     /* the next one in its parent's list, most recently used first */
  struct sumi_stage *children; /* what may follow, by the shapes of the dynamic nodes' outputs */
  int64_t *key;
  size_t n_key;
  struct sumi_plan plan;      /* its arena holds all that follows too */
  struct sumi_info *info;     /* [n_value] */
  struct sumi_layout *layout; /* [n_value] of what this stage plans; v = 0: row-major */
  bool *done;                 /* [n_node] after this stage, its dynamic nodes included */
  const struct sumi_node **dynamic;
  size_t n_dynamic;
  struct sumi_value **computed; /* values that have their shape and data from this stage's plan */
  size_t n_computed;
  struct sumi_timing *timing;    /* [plan.n_step + n_dynamic]; NULL without profile */
  struct sumi_guard *guard;      /* [plan.n_buffer], guarded devices only */
  struct sumi_device_code *code; /* of devices that look at more than one node; NULL = of none */
  bool last;                     /* nothing is left to do after it */
};

struct sumi_block {
  void *data;
  size_t bytes;
};

enum { SUMI_MAX_STAGES = 4096 }; /* stages one after the other in one run */

struct sumi_exec {
  struct sumi_exec *next; /* behind a main graph's: those of its bodies */
  struct sumi_session *session;
  const struct sumi_graph *graph;
  struct sumi_tensor *value; /* [n_value] shape and data of every value so far in this run */
  void **buffer;             /* addresses by buffer number, of the stage that runs */
  size_t cap_buffer;
  struct sumi_stage *stages;
  struct sumi_slicing *slicings; /* of a main graph: of the shapes seen last */
  struct sumi_block *block;      /* memory of the plans, by depth of stage */
  size_t n_block, cap_block;
  int64_t *key; /* the key being made */
  size_t cap_key, n_key;
  struct sumi_arena heap;      /* dynamic values of this run */
  struct sumi_arena result[2]; /* outputs of a body's last two runs */
  int turn;
  bool running;
};

struct sumi_session {
  struct sumi_model *model;
  const struct sumi_graph *graph; /* the main graph of the call under way, or of the last one: execs' */
  struct sumi_allocator allocator;
  const struct sumi_device *device;
  enum sumi_isa isa;
  enum sumi_precision precision;
  enum sumi_lists lists;
  struct sumi_card *card,
      *own_card; /* of device antoum; own_card: room api made it for this session, and closes it */
  struct sumi_par *par;
  int threads, max_plans;
  bool profile, is_static;
  size_t max_arena_bytes;
  size_t max_tensor_bytes;
  struct sumi_exec
      *form[SUMI_N_DEFAULTS]; /* made when asked for: of the graph without and with defaults as inputs */
  struct sumi_exec *execs;    /* the form in use, of which the main graph's comes first */
  struct sumi_tensor *input;  /* [model->graph->n_input] of the call under way */
  const struct sumi_tensor *
      *input_at;              /* [graph->n_input] where each input of the call is: in input or the default */
  struct sumi_block *staging; /* [model->graph->n_input] row-major copies of inputs that are strided */
  struct sumi_tensor *slice;  /* [graph->n_input] inputs of one run of a sliced batch */
  const struct sumi_tensor **slice_at;
  struct sumi_whole { /* an output of a sliced batch */
    struct sumi_tensor tensor;
    struct sumi_block block;
  } * whole; /* [graph->n_output] */
  struct sumi_output_view {
    int64_t dims[SUMI_MAX_RANK];
  } * output;                /* [graph->n_output] what the borrowed views point to */
  struct sumi_arena views;   /* items of sequence inputs and outputs */
  struct sumi_random random; /* for operators without a seed: other numbers in every session and run */
};

sumi_status sumi_exec_new(struct sumi_session *session, const struct sumi_graph *graph,
                          struct sumi_exec **out, struct sumi_err *err);
void sumi_exec_free(struct sumi_exec *exec);

/* Makes exec->key for these inputs. */
sumi_status sumi_exec_key(struct sumi_exec *exec, const struct sumi_tensor *const *in, struct sumi_err *err);

/* Plans for these inputs [n_input]; those of unknown contents have data NULL. *stage is the first stage. */
sumi_status sumi_exec_prepare(struct sumi_exec *exec, const struct sumi_tensor *const *in,
                              struct sumi_stage **stage, struct sumi_err *err);

/* Runs the graph; the outputs are exec->value[graph->output[i]->id] until the next run. */
sumi_status sumi_exec_run(struct sumi_exec *exec, const struct sumi_tensor *const *in, struct sumi_err *err);

/* layout.c: decides which values made by the planned nodes lie in lanes; fills stage->layout. is_planned[n_node]. */
sumi_status sumi_stage_assign_layouts(struct sumi_exec *exec, struct sumi_stage *stage,
                                      const bool *is_planned, struct sumi_err *err);

/* stage.c: finds or makes the stage for exec->key in *list. parent NULL: the first stage, from the inputs. */
sumi_status sumi_stage_get(struct sumi_exec *exec, struct sumi_stage *parent, struct sumi_stage **list,
                           struct sumi_stage **out, struct sumi_err *err);
void sumi_stage_free(struct sumi_exec *exec, struct sumi_stage *stage);

#endif

/* A model: the portable graph, the machine graphs of the devices that were asked for, and the packed weights.
 * Shared by sessions and threads; immutable but for what is made on first use, under a lock. */
#ifndef SUMI_EXEC_MODEL_H
#define SUMI_EXEC_MODEL_H

#include <pthread.h>
#include <sumi/sumi.h>

#include "device/device.h"
#include "graph/graph.h"
#include "pass/pass.h"

struct sumi_pack {
  struct sumi_pack *next;
  const struct sumi_node *node;
  const char *key;
  const char *kind; /* struct sumi_pack_kind's name; NULL: of no kind */
  struct sumi_blob *blob;
  bool unchecked; /* from a file, and not yet asked for */
};

enum { SUMI_PACK_SLOTS = 256 };

/* What a compiled file holds. Texts and bytes live as long as the model's portable graph and source. */
struct sumi_stored {
  const char *library, *isa; /* what it was packed by and for; NULL: the model is of no compiled file */
  size_t graph_bytes, weight_bytes, packed_bytes;
  bool is_for_here; /* by this library, for the level in force; else n is 0 */
  struct sumi_stored_pack {
    const char *node; /* its path in the machine graph (stored.h) */
    const char *key, *kind;
    const void *data; /* aligned to SUMI_ALIGN */
    size_t bytes;
  } * pack; /* [n] */
  size_t n;
  uint64_t machine_graph; /* sumi_stored_hash() of the machine graph they were made for */
};

/* What a machine graph takes inputs with a default for. */
enum sumi_defaults {
  SUMI_DEFAULTS_FIXED, /* constants: nobody gives one of them */
  SUMI_DEFAULTS_OPEN,  /* inputs */
  SUMI_N_DEFAULTS
};

struct sumi_model {
  int refs;
  struct sumi_allocator allocator;
  struct sumi_graph *graph; /* portable */
  struct sumi_graph
      *machine[SUMI_N_PRECISIONS][SUMI_N_DEFAULTS]; /* made by the machine passes on first use */
  struct sumi_limits limits;
  struct sumi_blob *source; /* the file's bytes, for printing the graph before the passes; may be NULL */
  char *folder;             /* of external data; NULL = none */
  size_t folder_bytes;
  bool keep_graph_as_is;
  pthread_mutex_t lock;
  struct sumi_pack *pack[SUMI_PACK_SLOTS];
  size_t pack_bytes;
  int preparing;             /* stages that are being made */
  struct sumi_stored stored; /* what source holds packed */
};

/* Takes the graph over (also on failure) and runs nothing on it. */
sumi_status sumi_model_new(const struct sumi_allocator *a, struct sumi_graph *take_graph,
                           struct sumi_model **out, struct sumi_err *err);

/* The graph a device runs. Its inputs are those of the portable graph, in their order; of SUMI_DEFAULTS_FIXED those without
 * a default only, or all of them: on devices that run the portable graph, and where the network cannot work with its defaults. */
sumi_status sumi_model_graph_for(struct sumi_model *model, const struct sumi_device *device,
                                 enum sumi_precision precision, enum sumi_defaults defaults,
                                 struct sumi_graph **out, struct sumi_err *err);

/* Weights of which a packed form is all that is read need not stay in memory where they are copies (base/reread.h). While a
 * stage is made, between begin and end, no other takes away what it may read. What is released was packed by the only
 * node that reads it, in the only stage being made; what anybody needs otherwise stays from then on. */
void sumi_model_begin_stage(struct sumi_model *model);
void sumi_model_end_stage(struct sumi_model *model);
/* A node's constants are there, to be looked at until the stage ends; stay: for good. */
void sumi_model_need(struct sumi_model *model, const struct sumi_node *node, bool stay);
/* After a node was lowered: those of its constants that are spent[n_in] may go, the others stay. */
void sumi_model_settle(struct sumi_model *model, const struct sumi_node *node, const bool *spent);
/* The defaults of a graph's inputs are there, and stay: for plans that take them, and callers who get them back. */
void sumi_model_need_defaults(struct sumi_model *model, const struct sumi_graph *graph);
/* All constants of the portable graph are there, and stay: for whoever reads them outside of a stage. */
void sumi_model_need_all(const struct sumi_model *model);

/* Puts a blob into the store: for key of node, of a kind whose name outlives the model. unchecked: from a file. The
 * model's lock is held, or nobody else knows the model. */
sumi_status sumi_model_add_pack(struct sumi_model *model, const struct sumi_node *node, const char *key,
                                const char *kind, bool unchecked, struct sumi_blob *take_blob,
                                struct sumi_err *err);

/* The packed-weight store as lowering sees it. */
struct sumi_packs sumi_model_packs(struct sumi_model *model);

/* Bytes of the constants of the portable graph, bodies included. */
size_t sumi_model_weight_bytes(const struct sumi_model *model);

#endif

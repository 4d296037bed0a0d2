/* Device antoum: segments of the machine graph compiled for the card, the rest for the host's processor.
 *
 *   segment.c  cuts the nodes of a stage into segments of the card and nodes of the host
 *   place.c    describes a segment's nodes as cells for so many items a core, gives every value a place in SRAM or DRAM
 *   compile.c  the words of the segment, and everything of it that lies in the card's DRAM
 *   run.c      a run: items to the card, programs, items back */
#ifndef SUMI_DEVICE_ANTOUM_ANTOUM_H
#define SUMI_DEVICE_ANTOUM_ANTOUM_H

#include "device/antoum/cells.h"
#include "device/antoum/driver.h"
#include "device/device.h"
#include "plan/plan.h"

/* A card as sessions use it: opened by room api, which knows what is behind the bus. Its chips work apart; this is one. */
struct sumi_card {
  struct sumi_allocator allocator;
  struct sumi_card_profile profile;
  struct antoum_options options;
  struct sumi_card_bus bus;
  struct antoum_driver *driver;
  struct antoum_code *codes; /* of all stages alive, the newest first */
  void *owner;               /* api's */
};

/* A value that crosses a segment's border. */
struct antoum_port {
  const struct sumi_value *value;
  bool carries; /* dimension 0 is the items */
  int rank;
  int64_t dim[SUMI_MAX_RANK], step[SUMI_MAX_RANK]; /* of what one core takes, as it lies on the card */
  sumi_dtype dtype;
  size_t bytes, core_step; /* of one core; 0 = the same for all */
  uint64_t at;             /* in the block of inputs or outputs */
};

/* A value or temporary while a segment is compiled, and where it lies. */
struct antoum_local {
  const struct sumi_value *value; /* NULL: a temporary */
  bool fixed;                     /* its form is no longer open */
  int asked;                      /* as in struct sumi_cell_operand */
  int64_t step[SUMI_MAX_RANK];
  int in, out; /* port, -1 = none */
  bool dram;
  uint64_t at; /* SRAM; DRAM: behind its base */
};

struct antoum_segment {
  struct sumi_card *card;
  struct antoum_segment **segment_of; /* the code's */
  const struct sumi_node **node;
  struct sumi_cells *cells; /* [n_node] */
  bool *alias;              /* [n_node] a view: its output is its input's memory */
  size_t n_node;
  const struct sumi_info *info; /* [n_value] of what one core takes */
  const bool *carries;          /* [n_value]; NULL: the batch stays whole */
  int64_t items, each;          /* of the batch; of a core in one run */
  int cores;
  bool split; /* all cores work on the whole batch */
  size_t runs;
  struct antoum_local *local;
  size_t n_local;
  int *local_of; /* [n_value], -1 = not here */
  int **operand; /* [n_node][cells.n_operand] local, -1 = a constant or absent */
  struct antoum_port *in, *out;
  size_t n_in, n_out;
  size_t in_bytes, out_bytes, spill_bytes; /* of one run, of all cores */
  uint32_t values_bytes;                   /* of SRAM */
  /* on the card */
  uint64_t code_at, programs_at, in_at[2], out_at[2], spill_at;
  size_t code_bytes;
  uint8_t *in_host, *out_host; /* of all runs */
  struct antoum_item *item;    /* [runs] */
  struct antoum_piece *piece;
  struct antoum_facts *facts; /* [n_node] */
  size_t n_word;              /* of the first core */
};

struct antoum_code {
  struct sumi_device_code base; /* first */
  struct antoum_code *next;     /* of the card */
  struct sumi_card *card;
  const struct sumi_graph *graph;
  struct antoum_segment **segment_of; /* [n_node] NULL = the host's */
  const char **why;                   /* [n_node] why it is the host's, or what the card does of it */
  struct antoum_segment *segment;
  size_t n_segment, n_card, n_host; /* nodes */
  double compile_s;
};

/* What a stage's compiling finds out about nodes that have to be the host's: card[n_node] becomes false, and code->why says why. */
struct antoum_refused {
  bool *card;
  const char **why; /* [n_node] */
  size_t n;
};
/* Notes status SUMI_E_UNSUPPORTED, whose reasons are in `why`, and gives SUMI_OK; any other status stays. */
sumi_status antoum_leave(const struct sumi_device_stage *s, struct antoum_refused *r,
                         const struct sumi_node *node, const struct sumi_text *why, sumi_status status);

/* segment.c: card[n_node] (false before): nodes that may be the card's; code->why of the others. */
sumi_status antoum_find_card(const struct sumi_device_stage *s, bool *card, struct antoum_code *code);
/* order, segment_of, segments' nodes. */
sumi_status antoum_cut(const struct sumi_device_stage *s, const bool *card, struct antoum_code *code);
/* Whether somebody outside the segment that makes v reads it. */
bool antoum_leaves(const struct antoum_segment *g, const struct sumi_info *info, const struct sumi_value *v);

/* place.c: cells and places of all that a segment holds; nothing where nodes were refused. may_split: with fewer items than cores all
 * cores may work on the same. */
sumi_status antoum_place_segment(const struct sumi_device_stage *s, struct antoum_segment *g, bool may_split,
                                 struct antoum_refused *refused);
/* A node's cells before its operator is asked: operands row-major, those of inputs open. info: of what one core takes. */
sumi_status antoum_cells_init(const struct sumi_device_stage *s, const struct sumi_node *node,
                              const struct sumi_info *info, struct sumi_text *refusals, struct sumi_cells *c);
/* Whether a value may lie on the card at all. */
bool antoum_takes(const struct sumi_info *info);

/* compile.c: the words of a segment, and where they lie; nothing where nodes were refused, or where it had better not be split. */
sumi_status antoum_compile_segment(const struct sumi_device_stage *s, struct antoum_segment *g,
                                   struct antoum_refused *refused, bool *worth);
/* Run i % runs for the driver, with set i % 2 of the buffers; piece: two, which live as long. */
struct antoum_item antoum_item_of(const struct antoum_segment *g, size_t i, struct antoum_piece *piece);
/* What runs give the driver, once all segments are compiled. */
sumi_status antoum_prepare_segment(const struct sumi_device_stage *s, struct antoum_segment *g);
void antoum_release_segment(struct sumi_card *card, struct antoum_segment *g);
/* Bytes [0, values) of SRAM are values'; behind them lie the areas for weights and for what passes through. */
struct antoum_areas {
  uint32_t values, weights, scratch; /* where each ends */
};
struct antoum_areas antoum_areas(const struct sumi_card *card);

/* run.c */
sumi_status antoum_run_segment(const void *args, const struct sumi_run *run);
const char *antoum_node_name(void *segment,
                             uint32_t tag); /* of the node with that tag; NULL = none of the segment's */

/* repeat.c: so many inferences one after the other with the inputs of the last run, as the card sees them; nothing is given to the
 * host's nodes. */
sumi_status antoum_repeat_segment(const struct antoum_segment *g, size_t inferences,
                                  struct antoum_times *times, struct sumi_err *err);

#endif

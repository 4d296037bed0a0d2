/* A plan: the steps of a graph for one set of input shapes, and where every buffer lies in one arena.
 * Buffers [0, graph->n_value) are the graph's values by id; scratch buffers follow. */
#ifndef SUMI_PLAN_PLAN_H
#define SUMI_PLAN_PLAN_H

#include "plan/lower.h"

enum sumi_buffer_kind {
  SUMI_BUFFER_NONE = 0, /* not used by this plan */
  SUMI_BUFFER_ARENA,    /* a value in the arena */
  SUMI_BUFFER_SCRATCH,  /* scratch in the arena */
  SUMI_BUFFER_CONSTANT, /* fixed bytes */
  SUMI_BUFFER_GIVEN     /* its address is given while running: inputs, values of other plans */
};

struct sumi_plan_buffer {
  enum sumi_buffer_kind kind;
  const char *name; /* the value, or the node whose scratch it is */
  size_t bytes;
  size_t offset;    /* in the arena */
  int first, last;  /* steps that touch it; first = INT_MAX: none */
  int root;         /* the buffer whose memory it shares; itself if its own */
  const void *data; /* SUMI_BUFFER_CONSTANT */
};

struct sumi_plan {
  const struct sumi_graph *graph;
  int threads;             /* of a run */
  struct sumi_arena arena; /* all of the plan's own memory */
  struct sumi_plan_buffer *buffer;
  size_t n_buffer, cap_buffer;
  struct sumi_step *step;
  const char **refusals; /* [n_step], text or NULL */
  size_t n_step, cap_step, cap_refusals;
  size_t arena_bytes; /* after sumi_plan_finish */
  size_t live_bytes;  /* the largest sum of bytes live at one step: no placement can need less */
};

/* Room after every buffer of the arena, so that vector loads may run over its end. */
enum { SUMI_BUFFER_SLACK_BYTES = 64 };

sumi_status sumi_plan_init(struct sumi_plan *plan, const struct sumi_graph *graph, int threads,
                           const struct sumi_allocator *a, struct sumi_err *err);
void sumi_plan_fini(struct sumi_plan *plan);

/* The buffer whose memory b lies in, itself if its own. */
int sumi_plan_root(const struct sumi_plan *plan, int b);

/* Makes buffer b share the memory of root (which must be a root already). */
void sumi_plan_share(struct sumi_plan *plan, int b, int root);

/* Extends buffer b's lifetime to the end of the plan. */
void sumi_plan_keep(struct sumi_plan *plan, int b);

/* Computes lifetimes from the steps and places all arena and scratch buffers. */
sumi_status sumi_plan_finish(struct sumi_plan *plan, struct sumi_err *err);

/* The placement itself, a pure function: gives each of the n roots of kind ARENA or SCRATCH with first <= last an
 * offset so that no two that live at the same step overlap. order[n] is working space. */
sumi_status sumi_plan_place(struct sumi_plan_buffer *buffer, size_t n, int *order, size_t *arena_bytes,
                            struct sumi_err *err);

#endif

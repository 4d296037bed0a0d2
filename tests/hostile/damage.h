/* Ways to damage one node of a graph, as its operator's descriptor describes it. */
#ifndef SUMI_TESTS_HOSTILE_DAMAGE_H
#define SUMI_TESTS_HOSTILE_DAMAGE_H

#include "graph/op.h"

/* What was done to a node. */
struct sumi_damage {
  bool must;                    /* no version of the operator allows it; else it may be legal */
  char word[100], or_word[100]; /* what the refusal has to name where it must come: one of both */
  char text[200];               /* for people */
  bool fills;                   /* the graph's input `filled` is to hold `fill` everywhere when it is run */
  const struct sumi_value *filled;
  int64_t fill;
};

enum sumi_damage_done {
  SUMI_DAMAGE_DONE,   /* damaged */
  SUMI_DAMAGE_SAME,   /* nothing to damage at (i, j): the next j */
  SUMI_DAMAGE_NEXT,   /* no more j: the next i */
  SUMI_DAMAGE_NO_MORE /* no more i */
};

/* Damages the j-th way in place i (a port, an attribute). */
struct sumi_damage_kind {
  const char *name;
  enum sumi_damage_done (*apply)(struct sumi_graph *g, struct sumi_node *node, int i, int j,
                                 struct sumi_damage *d);
};

const struct sumi_damage_kind *sumi_damage_kinds(size_t *n);

#endif

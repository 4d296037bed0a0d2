/* What the files of room graph share. */
#ifndef SUMI_GRAPH_GRAPH_INT_H
#define SUMI_GRAPH_GRAPH_INT_H

#include "graph/graph.h"

/* Puts a use into v's list, takes it out; v NULL: nothing. */
static inline void sumi_use_link(struct sumi_use *use, struct sumi_value *v) {
  if (!v) return;
  use->next = v->first_use;
  use->link = &v->first_use;
  if (use->next) use->next->link = &use->next;
  v->first_use = use;
  v->n_use++;
}

static inline void sumi_use_unlink(struct sumi_use *use, struct sumi_value *v) {
  if (!v) return;
  *use->link = use->next;
  if (use->next) use->next->link = use->link;
  v->n_use--;
}

/* v is one of g's values. */
static inline bool sumi_graph_owns(const struct sumi_graph *g, const struct sumi_value *v) {
  return v->id < g->n_value && g->value[v->id] == v;
}

/* The bodies of an attribute: *n of them. NULL where it holds none. */
static inline struct sumi_graph *const *sumi_attr_bodies(const struct sumi_attr *a, size_t *n) {
  *n = a->type == SUMI_ATTR_GRAPH ? 1 : a->type == SUMI_ATTR_GRAPHS ? a->n : 0;
  return a->type == SUMI_ATTR_GRAPH ? &a->u.g : *n ? a->u.graphs : NULL;
}

#endif

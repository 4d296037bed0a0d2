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

#endif

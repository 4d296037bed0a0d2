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

/* Name tables. The item must not be NULL; the name is borrowed. sumi_sumi_names_add returns false when out of
 * memory. */
void *sumi_names_find(const struct sumi_names *t, const char *name);
bool sumi_names_add(const struct sumi_allocator *a, struct sumi_names *t, const char *name, void *item);
void sumi_names_remove(struct sumi_names *t, const char *name);
/* Makes name stand for another item. */
void sumi_names_replace(struct sumi_names *t, const char *name, void *item);
void sumi_names_clear(struct sumi_names *t);
void sumi_names_fini(const struct sumi_allocator *a, struct sumi_names *t);

#endif

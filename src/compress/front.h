/* A cut through a network: the values that nodes behind it read of those in front, kept for all runs over the samples. What is
 * behind can be run from there any number of times, and nothing in front again. Private to the room. */
#ifndef SUMI_COMPRESS_FRONT_H
#define SUMI_COMPRESS_FRONT_H

#include <sumi/sumi.h>

#include "graph/graph.h"

struct sumi_front {
  const struct sumi_allocator *allocator;
  const char **name; /* [n] of [cap]; borrowed from the graph */
  size_t n, cap, networks, runs;
  struct sumi_view *view; /* [networks][runs][n], data and dims are its own; data NULL: not there yet */
  size_t bytes, limit;
  bool full; /* there was more than the limit: nothing is kept */
};

/* Empty, for the cut in front of g's node number `node`. n stays 0 where it cannot be kept: a value is no tensor of numbers, or
 * nothing would be saved. */
sumi_status sumi_front_init(struct sumi_front *f, const struct sumi_graph *g, size_t node, size_t networks,
                            size_t runs, size_t limit_bytes, struct sumi_err *err);
void sumi_front_fini(struct sumi_front *f); /* also of {0} */

/* The number of a name, f->n: it is not among them. */
size_t sumi_front_find(const struct sumi_front *f, const char *name);
/* Keeps a copy of value `which` of a network's run. */
sumi_status sumi_front_keep(struct sumi_front *f, size_t network, size_t run, size_t which,
                            const struct sumi_tensor *t, struct sumi_err *err);
/* Whether everything is there. */
bool sumi_front_is_whole(const struct sumi_front *f);
/* The values of a run, [n]. */
const struct sumi_view *sumi_front_run(const struct sumi_front *f, size_t network, size_t run);

/* Makes the values inputs of g, a clone of the network without outputs; input[n]: their names there. */
sumi_status sumi_front_cut(const struct sumi_front *f, struct sumi_graph *g, const char **input,
                           struct sumi_err *err);

#endif

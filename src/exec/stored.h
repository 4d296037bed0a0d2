/* Packed weights and compiled files: what a model has packed, with names for a file; and back into the store.
 *
 * A node's path names it in the machine graph: its own name, behind the names of the nodes whose bodies it lies in and of
 * the attributes that hold them: "loop > body > conv1". A backslash stands before ">" and backslashes of names. */
#ifndef SUMI_EXEC_STORED_H
#define SUMI_EXEC_STORED_H

#include "exec/model.h"

/* Of a graph's nodes, names, types and shapes, not of the numbers in its tensors; 0 when out of memory. Weights packed for
 * one graph fit the nodes of another only where both come from the same weights and have the same hash. */
uint64_t sumi_stored_hash(const struct sumi_graph *g);

/* Adds what model->stored has for the nodes of the machine graph to the store, unchecked; nothing where it was packed for
 * another one. */
sumi_status sumi_stored_attach(struct sumi_model *model, const struct sumi_graph *machine,
                               struct sumi_err *err);

/* Visits every blob of a kind that was packed for the model's machine graph, in an order that depends on the graph alone;
 * path and key live during the visit. Stops with the status of a visit that fails. */
sumi_status sumi_stored_visit(struct sumi_model *model,
                              sumi_status (*visit)(void *user, const char *path, const struct sumi_pack *pack,
                                                   struct sumi_err *err),
                              void *user, struct sumi_err *err);

#endif

/* What the files of preparation share. */
#ifndef SUMI_COMPRESS_PREPARE_INT_H
#define SUMI_COMPRESS_PREPARE_INT_H

#include "compress/prepare.h"

/* The file's name of a node: of its first output. */
const char *sumi_prepare_node_name(const struct sumi_node *node);

/* The constant of that name is new or has other contents. */
sumi_status sumi_prepare_note(struct sumi_prepared *p, const char *name, struct sumi_err *err);

/* Which values of g somebody reads, [g->n_value]; NULL: out of memory. */
bool *sumi_prepare_look(const struct sumi_graph *g, struct sumi_arena *arena);
/* Takes out nodes and constants that were read then and are not now. */
sumi_status sumi_prepare_sweep(struct sumi_graph *g, const bool *read, size_t n_read, struct sumi_prepared *p,
                               struct sumi_err *err);

#endif

/* Pruning from end to end: which layers, how much of each, on which statistics, and what has changed. */
#ifndef SUMI_COMPRESS_PRUNE_H
#define SUMI_COMPRESS_PRUNE_H

#include "compress/compress.h"

/* Prunes g, which is as its file has it (shapes inferred, no passes; so is teacher, NULL: g as it was, towards which g is finetuned), and adds what has changed to changes, whose tensors live
 * as long as g. o and info are of this library's size; model_hash stands for the file. After a failure g may be half changed and
 * is to be freed. */
sumi_status sumi_prune(struct sumi_graph *g, const struct sumi_graph *teacher, uint64_t model_hash,
                       const struct sumi_prune_options *o, struct sumi_changes *changes,
                       struct sumi_prune_info *info, struct sumi_err *err);

#endif

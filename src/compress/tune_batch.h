/* The batches of a tuning: which samples step i takes, and their inputs, shifted and mirrored where asked for. A pure function of
 * seed, samples and step. */
#ifndef SUMI_COMPRESS_TUNE_BATCH_H
#define SUMI_COMPRESS_TUNE_BATCH_H

#include "compress/tune.h"

enum { SUMI_TUNE_INPUTS = 16 }; /* the most inputs of a sample */

struct sumi_tune_batch;

/* t's batch is at least 1 and at most samples->n. */
sumi_status sumi_tune_batch_new(const struct sumi_tune *t, const struct sumi_allocator *a,
                                struct sumi_tune_batch **out, struct sumi_err *err);
void sumi_tune_batch_free(struct sumi_tune_batch *b); /* NULL allowed */

/* The inputs of step `step`, and which samples they are: sample[t->batch]. All live until the next call. */
sumi_status sumi_tune_batch_get(struct sumi_tune_batch *b, size_t step, const struct sumi_view **in,
                                size_t *n_in, const size_t **sample, struct sumi_err *err);

#endif

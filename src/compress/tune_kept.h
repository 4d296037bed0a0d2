/* What a tuning computes of its samples anew in every epoch though nothing in front of it changes: kept, a row a sample. */
#ifndef SUMI_COMPRESS_TUNE_KEPT_H
#define SUMI_COMPRESS_TUNE_KEPT_H

#include "compress/compress.h"

struct sumi_tune_kept;

/* For n_value values of n_sample samples, in batches of `batch`; at most max_bytes, else nothing is kept. */
sumi_status sumi_tune_kept_new(size_t n_value, size_t n_sample, size_t batch, size_t max_bytes,
                               const struct sumi_allocator *a, struct sumi_tune_kept **out,
                               struct sumi_err *err);
void sumi_tune_kept_free(struct sumi_tune_kept *k); /* NULL allowed */

/* Whether all of these samples are there; then their values, named as they were, which live until the next call. */
bool sumi_tune_kept_get(struct sumi_tune_kept *k, const size_t *sample, struct sumi_view *values);

/* Keeps the values of a batch, unless they have no row for every sample. */
sumi_status sumi_tune_kept_put(struct sumi_tune_kept *k, const size_t *sample, const struct sumi_view *values,
                               struct sumi_err *err);

#endif

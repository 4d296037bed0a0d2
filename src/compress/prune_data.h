/* Calibration samples as a whole: what they are (a hash), and what the network makes of them before and after. Private to the
 * room. */
#ifndef SUMI_COMPRESS_PRUNE_DATA_H
#define SUMI_COMPRESS_PRUNE_DATA_H

#include "compress/calibrate.h"

/* A hash of all samples, batch by batch. Refuses elements that are not finite and views that are not row-major. */
sumi_status sumi_samples_hash(const struct sumi_samples *samples, size_t batch, uint64_t *hash,
                              struct sumi_err *err);

/* Samples in two parts of whole batches: every fourth batch is apart, so that what is fitted on the others can be weighed on samples
 * it has not seen. With fewer than four batches both parts are all samples. Lives as long as all does, at its place. */
struct sumi_samples_part {
  struct sumi_samples samples; /* what to read */
  const struct sumi_samples *all;
  size_t batch;
  bool apart;
};
void sumi_samples_split(const struct sumi_samples *all, size_t batch, struct sumi_samples_part *most,
                        struct sumi_samples_part *apart);

/* The network's floating-point outputs for the first samples, as many as fit into a fixed room. */
struct sumi_outputs {
  const struct sumi_allocator *allocator;
  const char **name; /* [n_names] of [cap_names] */
  size_t n_names, cap_names, samples;
  float *data; /* [n] of [cap] */
  size_t n, cap, at;
  bool full;         /* what came behind was not kept */
  double apart, all; /* sums of squares: of differences, of what was kept */
};

/* Keeps the outputs of c->graph for at most `samples` samples. A network without such outputs keeps none. */
sumi_status sumi_outputs_keep(struct sumi_outputs *o, const struct sumi_calibrate *c, size_t samples,
                              struct sumi_err *err);
/* The squared difference of c->graph's outputs now, relative to those kept; -1 where none were. */
sumi_status sumi_outputs_compare(struct sumi_outputs *o, const struct sumi_calibrate *c, double *loss,
                                 struct sumi_err *err);
void sumi_outputs_fini(struct sumi_outputs *o);

#endif

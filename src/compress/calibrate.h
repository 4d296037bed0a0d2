/* What values and the inputs of layers look like over calibration data: Gram matrices, means, ranges, histograms.
 *
 * The network runs through the executor on device cpu with the values in question as its outputs, batch by batch. */
#ifndef SUMI_COMPRESS_CALIBRATE_H
#define SUMI_COMPRESS_CALIBRATE_H

#include "compress/compress.h"
#include "compress/front.h"
#include "compress/layer.h"

struct sumi_calibrate {
  const struct sumi_graph *graph; /* as its file has it, weights as they are now; not changed */
  const struct sumi_graph
      *beside; /* another network with the same values, run on the same samples; NULL: none */
  const struct sumi_samples *samples;
  size_t batch;                  /* samples of one run; 0 = 8 */
  int threads;                   /* 0 = 1 */
  const struct sumi_front *from; /* a whole one, at which runs begin; NULL: at the inputs */
  struct sumi_front *to;         /* is filled on the way; NULL: nothing is kept */
  int64_t
      max_columns; /* pixels or tokens taken from one run of a layer's input, evenly spread; 0 = all of them */
};

/* Before a job looks at g, its own copy: inputs with a default become constants, so that weights among them are layers', but
 * those that the samples (NULL: none) give, which lose it. batch: samples of one run. */
sumi_status sumi_calibrate_fix_defaults(struct sumi_graph *g, const struct sumi_samples *samples,
                                        size_t batch, struct sumi_err *err);

/* Receives value `which` of the names given, for samples [first, first + n): t[0] of the network, t[1] of the one beside it.
 * They live during the call. */
typedef sumi_status sumi_calibrate_take(void *user, size_t which, size_t first, size_t n,
                                        const struct sumi_tensor *t, struct sumi_err *err);

/* The values themselves for samples [first, first + n): one call of take for each value and batch, in the order of the
 * samples. names[n_names] are values of the main graph. */
sumi_status sumi_calibrate_visit(const struct sumi_calibrate *c, size_t first, size_t n,
                                 const char *const *names, size_t n_names, sumi_calibrate_take *take,
                                 void *user, struct sumi_err *err);

/* Statistics of one layer's input, in the layer's columns. The sum over samples of the squares of row r of the output
 * without bias is w[r]^T gram w[r], their sum w[r]^T sum. */
struct sumi_layer_stats {
  int64_t samples; /* pixels or tokens */
  double *
      gram; /* [groups][cols, cols]: the sum of x x^T, both triangles; NULL: the node's own state is its input */
  double *sum; /* [groups][cols] */
};

/* The same of the network and of the one beside it, and what both have in common. */
struct sumi_layer_pair {
  struct sumi_layer_stats now, beside;
  double *cross; /* [groups][cols, cols]: the sum of x beside (rows) times x of the network (columns) */
  struct sumi_layer_pair
      *held; /* of every fourth run, which is not in the others; NULL: fewer runs, or none beside */
};

/* stats[n] of layers[n]; memory from arena, shared by layers that read the same columns. NaN or infinity in an input is
 * SUMI_E_VALUE and names the layer. SUMI_E_UNSUPPORTED where OpenBLAS is missing. */
sumi_status sumi_calibrate_layers(const struct sumi_calibrate *c, const struct sumi_layer *layers, size_t n,
                                  struct sumi_arena *arena, struct sumi_layer_stats *stats,
                                  struct sumi_err *err);

/* The same with c->beside; without it, of the network alone. */
sumi_status sumi_calibrate_pairs(const struct sumi_calibrate *c, const struct sumi_layer *layers, size_t n,
                                 struct sumi_arena *arena, struct sumi_layer_pair *pairs,
                                 struct sumi_err *err);

/* The columns of group `group` of a layer for samples (int)((first + i) * step), i < count, of x, its input as float32:
 * to is [count, cols]. Returns how many samples x holds (0 where its shape does not fit the weights); nothing is written
 * for those beyond. */
int64_t sumi_layer_columns(const struct sumi_layer *l, const struct sumi_tensor *x, int64_t group,
                           int64_t first, double step, int64_t count, float *to);

enum { SUMI_HISTOGRAM_BINS = 2048 };

/* Statistics of one value over all its elements. */
struct sumi_range_stats {
  double low, high, sum, squares;
  int64_t count, not_finite;
  double edge; /* bins cover [-edge, edge) in equal steps; it grows by doubling, two bins becoming one */
  uint64_t bin[SUMI_HISTOGRAM_BINS];
};

/* stats[n] of values by name. */
sumi_status sumi_calibrate_values(const struct sumi_calibrate *c, const char *const *names, size_t n,
                                  struct sumi_range_stats *stats, struct sumi_err *err);

#endif

/* What the inputs of layers look like over calibration data: the Gram matrix, means, ranges, histograms.
 *
 * The network runs through the executor with the values in question as further outputs, batch by batch; a group of layers
 * at a time, so that memory is that group's sums. */
#ifndef SUMI_COMPRESS_CALIBRATE_H
#define SUMI_COMPRESS_CALIBRATE_H

#include "compress/compress.h"
#include "compress/layer.h"

enum { SUMI_HISTOGRAM_BINS = 2048 };

/* Statistics of one value over all its elements. */
struct sumi_range_stats {
  double low, high, sum, squares;
  int64_t count, not_finite;
  double edge; /* bins cover [-edge, edge) in equal steps; grows by doubling */
  uint64_t bin[SUMI_HISTOGRAM_BINS];
};

/* Statistics of one layer's input, in the layer's columns. */
struct sumi_layer_stats {
  int64_t samples;       /* pixels or tokens */
  double *gram;          /* [groups][cols, cols]: sum of x x^T; both triangles */
  double *mean;          /* [groups][cols] */
  double *output_mean;   /* [rows] of y without bias, and the mean of its square; NULL unless asked for */
  double *output_square; /* [rows] */
};

struct sumi_calibrate {
  const struct sumi_graph *graph; /* as its file has it, weights as they are now; not changed */
  const struct sumi_samples *samples;
  size_t batch; /* samples of one run; 0 = 8 */
  int threads;
  size_t max_tokens; /* columns of x taken from one run and layer, evenly spread; 0 = all */
};

/* stats[n] of layers[n], zeroed before; memory from arena. NaN or infinity in an input is SUMI_E_VALUE and names the layer. */
sumi_status sumi_calibrate_layers(const struct sumi_calibrate *c, const struct sumi_layer *layers, size_t n,
                                  struct sumi_arena *arena, struct sumi_layer_stats *stats,
                                  struct sumi_err *err);

/* stats[n] of values by name. */
sumi_status sumi_calibrate_values(const struct sumi_calibrate *c, const char *const *names, size_t n,
                                  struct sumi_range_stats *stats, struct sumi_err *err);

/* The values themselves for samples [first, first + count): one call of take for each value and batch. */
sumi_status sumi_calibrate_visit(const struct sumi_calibrate *c, size_t first, size_t count,
                                 const char *const *names, size_t n,
                                 sumi_status (*take)(void *user, size_t value, size_t first_sample,
                                                     size_t n_samples, const struct sumi_tensor *t,
                                                     struct sumi_err *err),
                                 void *user, struct sumi_err *err);

#endif

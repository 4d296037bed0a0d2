/* Sumi's experimental API for making networks sparse and small: pruning, quantisation, and writing the result back as ONNX.
 * It may change between versions. */
#ifndef SUMI_COMPRESS_H
#define SUMI_COMPRESS_H

#include <sumi/sumi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Calibration data: n samples. get gives the inputs of samples [first, first + count) as one batch; the views live until the
 * next call. Samples may be asked for many times and must be the same every time. */
struct sumi_samples {
  size_t size;
  size_t n;
  sumi_status (*get)(void *user, size_t first, size_t count, const struct sumi_view **views, size_t *n_views,
                     struct sumi_err *err);
  void *user;
};

/* What happens while a job runs. Return false to stop it: it then ends with SUMI_E_STATE and keeps what is saved. Texts
 * live during the call. */
struct sumi_progress {
  size_t size;
  const char *what;    /* "measure", "calibrate", "alps", "tune" */
  const char *layer;   /* "" = none in particular */
  double done;         /* share of the whole, 0..1 */
  double seconds_left; /* < 0: not known yet */
};

/* ---- pruning ---------------------------------------------------------------------------------------------------- */

/* What became of a layer: a product with constant weights. */
struct sumi_pruned_layer_info {
  size_t size;
  const char *name, *op, *weight; /* the node, its operator, its weights */
  int64_t weights;                /* how many */
  double density;                 /* share of them that is not zero */
  double
      error; /* of its outputs over the samples, sum of squares, relative to the outputs': 0..1; < 0: not known */
  double seconds;           /* the solver took */
  double dense_s, sparse_s; /* of one run of one sample, before and after; < 0: not measured */
  const char *why;          /* it was left as it is; "" = it was pruned */
};

struct sumi_prune_options {
  size_t size;
  const char *pattern; /* "1x1" (NULL), "1x4", "4x4", "16x4", "32x4", "2:4", "1/32" ... */
  double
      sparsity; /* 0..1: share of the weights of pruned layers that becomes zero; 0 where the pattern says it */
  double speedup; /* > 1, instead of sparsity: so many times faster on this machine, one sample a run */
  const char *
      method; /* "magnitude", "wanda", "sparsegpt", "alps"; NULL = the best that can be: magnitude without samples */
  const char
      *budget; /* who gives how much: "uniform" (NULL), "erk", "search"; a speed-up is always searched */
  const char *const
      *layers; /* only these: nodes or weights by name, '*' stands for anything; n_layers 0 = all that pay */
  size_t n_layers;
  const char *const *skip; /* not these */
  size_t n_skip;
  bool ends;                          /* prune the first and the last layer too */
  const struct sumi_samples *samples; /* NULL = none: magnitude and sparsity only */
  size_t batch;                       /* samples of one run; 0 = 8 */
  int threads;                        /* 0 = 1 */
  size_t
      max_bytes; /* memory for the statistics of one group of layers, unless one layer needs more; 0 = 1 GiB */
  const char *
      state; /* a file that keeps every finished layer, so that the same job goes on from there; gone at the end;
                        NULL = none */
  bool resume; /* the state must be there and of this very job; else one of another job is replaced */
  bool (*on_progress)(void *user, const struct sumi_progress *progress); /* NULL allowed */
  void (*on_layer)(
      void *user, const struct sumi_pruned_layer_info *layer); /* at the end, for every layer; NULL allowed */
  void *user;
};

struct sumi_prune_info {
  size_t size;
  size_t pruned, layers, resumed; /* layers pruned, of all; of them taken from the state */
  double sparsity;                /* share of zeros among the weights of pruned layers */
  double loss; /* of the network's outputs over a part of the samples, as a layer's error; < 0: not known */
  double dense_s, sparse_s;    /* one run of one sample, before and after; < 0: not measured */
  double seconds;              /* the job took */
  char method[32], budget[32]; /* in force */
  char calibration[32];        /* a hash of the samples, "" = none */
};

/* Makes a network sparse, layer by layer, each calibrated on what those before it have become, and writes it as an ONNX
 * file: every byte that is not changed stays; pattern, sparsity, method and the samples' hash stand in its metadata_props.
 * The model is one that was loaded from an ONNX file; it does not change. path appears whole or not at all. info may be
 * NULL. Refused, with a sentence: samples that are too few, of the wrong shape or not finite, a network that is sparse
 * already or quantised, a pattern that no layer can have, a speed-up that cannot be reached. */
SUMI_API sumi_status sumi_model_prune_file(const struct sumi_model *model, const char *path,
                                           const struct sumi_prune_options *options,
                                           struct sumi_prune_info *info, struct sumi_err *err);

/* The i-th method of pruning by name, best last; NULL beyond. */
SUMI_API const char *sumi_prune_method(size_t i);

#ifdef __cplusplus
}
#endif
#endif

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
  const int64_t *labels; /* [n] the class of every sample, for tuning; NULL = not known */
};

/* What happens while a job runs. Return false to stop it: it then ends with SUMI_E_STATE and keeps what is saved. Texts
 * live during the call. */
struct sumi_progress {
  size_t size;
  const char *what;    /* "measure", "calibrate", "alps", "reconstruct", "finetune" */
  const char *layer;   /* "" = none in particular */
  double done;         /* share of the whole, 0..1 */
  double seconds_left; /* < 0: not known yet */
};

/* ---- quantisation ---------------------------------------------------------------------------------------------- */

/* What became of a product with constant weights. Texts live during the call. */
struct sumi_quantized_layer_info {
  size_t size;
  const char *name, *op, *weights;
  const char *kept; /* NULL: it has 8 bits; else why it stays in float */
  double
      error; /* squared error of the output over its squares, by its input and weights; -1 = not measured */
  double x_scale;
  int x_zero;
  double w_scale_min, w_scale_max; /* over output channels */
  double density;                  /* share of weights that are not zero in 8 bits */
  bool bias_corrected, equalised;
};

/* Static 8 bits. Zero is the default of everything. */
struct sumi_quantize_options {
  size_t size;
  const struct sumi_samples *samples; /* inputs like those the network will see */
  const char *range;                  /* of activations: "minmax", "percentile", "entropy", "mse" (NULL) */
  double percentile;                  /* share that stays, in percent; 0 = 99.99 */
  bool symmetric;                     /* activations int8 with zero point 0, instead of uint8 with any */
  bool per_tensor; /* one scale for all weights of a layer, instead of one for each output channel */
  bool equalise;   /* even out the channels of pairs of convolutions where that makes less error */
  bool no_bias_correction;
  double
      max_error; /* a layer stays in float above it: squared error of its output over its squares; 0 = 0.1 */
  const char *const *keep; /* [n_keep] layers to leave in float, by the name of node or weights */
  size_t n_keep;
  size_t batch; /* samples in one run; 0 = 8, or 1 where the model's inputs say so */
  int threads;  /* 0 = 1 */
  bool (*on_progress)(void *user, const struct sumi_progress *progress); /* NULL allowed */
  void (*on_layer)(
      void *user,
      const struct sumi_quantized_layer_info *layer); /* at the end, for every layer; NULL allowed */
  void *user;
};

/* Writes the model with 8-bit weights and QuantizeLinear and DequantizeLinear around what can work on 8 bits, at path, whole
 * or not at all; every byte of the file that has not changed stays. Weights that are zero stay zero. The model is one that
 * was loaded from an ONNX file. SUMI_E_STATE: it is quantised already; SUMI_E_UNSUPPORTED: nothing in it can be quantised,
 * or its operator set is too old; SUMI_E_VALUE: values that are not finite. */
SUMI_API sumi_status sumi_model_quantize_file(const struct sumi_model *model, const char *path,
                                              const struct sumi_quantize_options *options,
                                              struct sumi_err *err);
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
  const char *
      budget; /* who gives how much: "uniform" (NULL), "erk", or "search": what costs the network's outputs least; a
                  speed-up is always searched */
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
      max_bytes; /* memory for the statistics of one group of layers, unless one layer needs more, and as much again for values
                    that runs go on from; 0 = 1 GiB */
  const char *
      state; /* a file that keeps every finished layer, so that the same job goes on from there; gone at the end;
                        NULL = none */
  bool resume; /* the state must be there and of this very job; else one of another job is replaced */
  bool (*on_progress)(void *user, const struct sumi_progress *progress); /* NULL allowed */
  void (*on_layer)(
      void *user, const struct sumi_pruned_layer_info *layer); /* at the end, for every layer; NULL allowed */
  void *user;
  /* Tuning of what is left by gradient descent towards the dense network's outputs for the samples; zeros stay zeros. Epochs: passes
   * over all samples; 0 = none. */
  size_t reconstruct; /* epochs for every block of the network, one after the other */
  size_t finetune;    /* epochs for the whole network, after that */
  const char
      *tune_loss;   /* of finetune, on the first output: "mse" (NULL), or "kl": it holds logits of classes */
  double tune_rate; /* the highest rate of Adam; 0 = 1e-3 */
  bool augment;     /* pictures are shifted by up to 4 pixels and mirrored at random while tuning */
  const struct sumi_samples *tune_samples; /* of finetune; NULL = samples */
  size_t tune_batch;                       /* samples of one step of it; 0 = batch */
  double label_share; /* 0..1: of the cross entropy with the samples' labels in the loss "kl" of finetune */
  double temperature; /* both networks' logits are divided by it in the loss "kl"; 0 = 1 */
  const struct sumi_model
      *teacher; /* loaded from an ONNX file: finetune goes towards its outputs of the same names;
                                       NULL = the model as it was. So a network can be made sparser in steps */
  const char *tune_precision; /* of finetune: "file" (NULL), or "bf16", as in struct sumi_session_options */
  /* 0..1: share of finetune's steps over which the sparsity rises to what is asked for, in patterns RxC; before them layers are
   * pruned to the square root of the density that stays. 0: all at once, which loses more, most at high sparsity */
  double gradual;
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
  double pruned_loss;          /* loss before tuning; < 0: not tuned */
  double tuning_s;             /* seconds of the job */
};

/* Makes a network sparse, layer by layer, each calibrated on what those before it have become, and writes it as an ONNX
 * file: every byte that is not changed stays; pattern, sparsity, method and the samples' hash stand in its metadata_props.
 * The model is one that was loaded from an ONNX file; it does not change. path appears whole or not at all. info may be
 * NULL. Stopped while it tunes, it keeps the pruned layers in the state, and of finetune where it was and the last whole epoch: the same
 * job goes on from there, with other options of tuning it tunes anew; without epochs it gives the pruned network at once. Refused, with a sentence: samples that are too few, of the wrong shape or not finite, a network that is sparse
 * already (with epochs of tuning it is tuned further, its zeros as they are) or quantised, a pattern that no layer can have, a speed-up that cannot be reached; and before anything is pruned, tuning through
 * an operator without a gradient, or of weights that are not float32. */
SUMI_API sumi_status sumi_model_prune_file(const struct sumi_model *model, const char *path,
                                           const struct sumi_prune_options *options,
                                           struct sumi_prune_info *info, struct sumi_err *err);

/* The i-th method of pruning by name, best last; NULL beyond. */
SUMI_API const char *sumi_prune_method(size_t i);

#ifdef __cplusplus
}
#endif
#endif

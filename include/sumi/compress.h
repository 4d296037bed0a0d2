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

/* What happens while a job runs. Return false to stop it: it then ends with SUMI_E_STATE and keeps what is saved. */
struct sumi_progress {
  size_t size;
  const char *what;    /* "alps", "calibrate", "tune" */
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

#ifdef __cplusplus
}
#endif
#endif

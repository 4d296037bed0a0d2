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

#ifdef __cplusplus
}
#endif
#endif

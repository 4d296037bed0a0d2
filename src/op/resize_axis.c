/* Coordinates and weights of one resized axis, as the ONNX standard gives them for Resize. The cubic kernel
 * is Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, equation 4. */
#include "op/resize_axis.h"

#include <math.h>

#include "base/size.h"

bool sumi_resize_is_identity(const struct sumi_resize_how *how, const struct sumi_resize_axis *a) {
  if (a->in != a->out || fabs(a->scale - 1) > 1e-9) return false;
  return how->coordinate != SUMI_RESIZE_TF_CROP_AND_RESIZE || (a->roi_start == 0 && a->roi_end == 1);
}

/* x / scale. Where the scale is the ratio of the sizes the ratio itself is used; otherwise the division is
 * made in float, the scale's own precision: 1 / 0.33333334f is 3, not a little less. */
static double unscale(const struct sumi_resize_axis *a, double x) {
  if (a->exact) return x * (double)a->in / (double)a->out;
  return (double)((float)x / (float)a->scale);
}

/* In float, as regions are given in it: what is meant to be the edge is then not outside by a rounding. */
static double crop_place(const struct sumi_resize_axis *a, float x) {
  const float start = (float)a->roi_start, end = (float)a->roi_end, last = (float)(a->in - 1);
  if (a->out <= 1) return (double)(0.5f * (start + end) * last);
  return (double)(start * last + x * (end - start) * last / (float)(a->out - 1));
}

double sumi_resize_place(const struct sumi_resize_how *how, const struct sumi_resize_axis *a, int64_t i) {
  const double x = (double)i, last = (double)(a->in - 1);
  const double width =
      a->exact ? (double)a->out : a->scale * (double)a->in; /* of the output, maybe with a fraction */
  switch (how->coordinate) {
    case SUMI_RESIZE_HALF_PIXEL: return unscale(a, x + 0.5) - 0.5;
    case SUMI_RESIZE_HALF_PIXEL_SYMMETRIC:
      return (double)a->in / 2 * (1 - (double)a->out / width) + unscale(a, x + 0.5) - 0.5;
    case SUMI_RESIZE_PYTORCH_HALF_PIXEL: return a->out > 1 ? unscale(a, x + 0.5) - 0.5 : 0;
    case SUMI_RESIZE_ALIGN_CORNERS: return width == 1 || a->out == 1 ? 0 : x * last / (width - 1);
    case SUMI_RESIZE_ASYMMETRIC: return unscale(a, x);
    case SUMI_RESIZE_TF_HALF_PIXEL_FOR_NN: return unscale(a, x + 0.5);
    default: return crop_place(a, (float)i);
  }
}

static int64_t nearest(const struct sumi_resize_how *how, const struct sumi_resize_axis *a, double x) {
  switch (how->nearest) {
    case SUMI_RESIZE_ROUND_PREFER_FLOOR: return (int64_t)ceil(x - 0.5);
    case SUMI_RESIZE_ROUND_PREFER_CEIL: return (int64_t)floor(x + 0.5);
    case SUMI_RESIZE_FLOOR: return (int64_t)floor(x);
    case SUMI_RESIZE_CEIL: return (int64_t)ceil(x);
    default: return (int64_t)(a->scale < 1 ? ceil(x) : floor(x));
  }
}

/* Half the width of the kernel at scale 1. */
static int support(const struct sumi_resize_how *how) { return how->mode == SUMI_RESIZE_CUBIC ? 2 : 1; }

int64_t sumi_resize_taps(const struct sumi_resize_how *how, double scale) {
  if (how->mode == SUMI_RESIZE_NEAREST) return 1;
  if (!how->antialias || scale >= 1) return 2 * support(how);
  return -2 * (int64_t)floor(-support(how) / scale);
}

static double kernel(const struct sumi_resize_how *how, double x) {
  const double a = how->cubic_a;
  x = fabs(x);
  if (how->mode == SUMI_RESIZE_LINEAR) return x < 1 ? 1 - x : 0;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

bool sumi_resize_weights(const struct sumi_resize_how *how, const struct sumi_resize_axis *a, int64_t i,
                         int64_t taps, int64_t *first, double *weight) {
  double x = sumi_resize_place(how, a, i);
  const double last = (double)(a->in - 1);
  if (how->coordinate == SUMI_RESIZE_TF_CROP_AND_RESIZE && !(x >= 0 && x <= last)) return false;
  /* far outside all is edge, whatever the place: this also keeps the integers below in range */
  x = fmax(-(double)taps - 1, fmin(x, last + (double)taps + 1));
  if (how->mode == SUMI_RESIZE_NEAREST) {
    *first = nearest(how, a, x);
    weight[0] = 1;
    return true;
  }
  const double stretch = how->antialias && a->scale < 1 ? a->scale : 1;
  *first = (int64_t)floor(x) - taps / 2 + 1;
  double sum = 0;
  for (int64_t k = 0; k < taps; k++) {
    const int64_t at = *first + k;
    weight[k] = how->exclude_outside && (at < 0 || at >= a->in) ? 0 : kernel(how, ((double)at - x) * stretch);
    sum += weight[k];
  }
  if ((stretch != 1 || how->exclude_outside) && sum != 0)
    for (int64_t k = 0; k < taps; k++) weight[k] /= sum;
  return true;
}

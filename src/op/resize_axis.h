/* One axis of a Resize: which input elements, with which weights, make an output element. Everything is
 * separable, so this is all there is to interpolation; resize.c applies it axis by axis. */
#ifndef SUMI_OP_RESIZE_AXIS_H
#define SUMI_OP_RESIZE_AXIS_H

#include <stdbool.h>
#include <stdint.h>

enum sumi_resize_mode { SUMI_RESIZE_NEAREST, SUMI_RESIZE_LINEAR, SUMI_RESIZE_CUBIC };

enum sumi_resize_coordinate {
  SUMI_RESIZE_HALF_PIXEL,
  SUMI_RESIZE_HALF_PIXEL_SYMMETRIC,
  SUMI_RESIZE_PYTORCH_HALF_PIXEL,
  SUMI_RESIZE_ALIGN_CORNERS,
  SUMI_RESIZE_ASYMMETRIC,
  SUMI_RESIZE_TF_HALF_PIXEL_FOR_NN, /* version 11 only */
  SUMI_RESIZE_TF_CROP_AND_RESIZE
};

enum sumi_resize_nearest {
  SUMI_RESIZE_ROUND_PREFER_FLOOR,
  SUMI_RESIZE_ROUND_PREFER_CEIL,
  SUMI_RESIZE_FLOOR,
  SUMI_RESIZE_CEIL,
  SUMI_RESIZE_SIMPLE /* before version 11: down going up in size, up going down */
};

struct sumi_resize_how {
  enum sumi_resize_mode mode;
  enum sumi_resize_coordinate coordinate;
  enum sumi_resize_nearest nearest;
  bool antialias, exclude_outside;
  double cubic_a;
};

struct sumi_resize_axis {
  int64_t in, out; /* in > 0 */
  double scale;    /* as asked for: not always out / in */
  bool exact;      /* the scale is out / in, up to its rounding to float */
  double roi_start, roi_end;
};

/* Whether the axis is left as it is: its size, its scale and its region say so, whatever the coordinates. */
bool sumi_resize_is_identity(const struct sumi_resize_how *how, const struct sumi_resize_axis *a);

/* The place of output element i among the input's, [0, in - 1] where it lies inside. */
double sumi_resize_place(const struct sumi_resize_how *how, const struct sumi_resize_axis *a, int64_t i);

/* How many input elements an output element is made of. Never less for a smaller scale. */
int64_t sumi_resize_taps(const struct sumi_resize_how *how, double scale);

/* Output element i is the sum over k < taps of weight[k] * x[clamp(first + k)], clamp to [0, in). False where
 * it lies outside the input and takes the extrapolation value (tf_crop_and_resize). */
bool sumi_resize_weights(const struct sumi_resize_how *how, const struct sumi_resize_axis *a, int64_t i,
                         int64_t taps, int64_t *first, double *weight);

#endif

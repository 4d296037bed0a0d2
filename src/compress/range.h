/* From what a value looked like over calibration to the range that 8 bits cover, and its scale and zero point. */
#ifndef SUMI_COMPRESS_RANGE_H
#define SUMI_COMPRESS_RANGE_H

#include "compress/calibrate.h"

/* How a range is chosen. All of them keep 0 inside.
 *   minmax      everything that was seen
 *   percentile  the share `percentile` (in percent) of what was seen, as much left out below as above
 *   entropy     the threshold t whose histogram on [-t, t], what lies outside put into the last bins, loses the least
 *               information (Kullback-Leibler divergence) by 8 bits (Migacz 2017, "8-bit inference with TensorRT")
 *   mse         the limits with the least mean square of rounding and cutting */
struct sumi_range_choice {
  const char *method; /* NULL = "mse" */
  double percentile;  /* 0 = 99.99 */
  bool symmetric;     /* for int8 without a zero point; else uint8 with one */
};

/* The names of the methods, ended by NULL. */
extern const char *const sumi_range_methods[];

struct sumi_range {
  double low, high; /* low <= 0 <= high */
  float scale;      /* real = (q - zero) * scale */
  int32_t zero;
};

/* SUMI_E_ARG: no such method. Of a value that was always 0 the scale is 1. */
sumi_status sumi_range_choose(const struct sumi_range_stats *s, const struct sumi_range_choice *choice,
                              struct sumi_range *out, struct sumi_err *err);

#endif

/* Mean and spread of a layer's outputs, channel by channel, brought back to what they were in the dense network: what pruning
 * shrinks and shifts, one factor and one bias a row make good without any other weight being touched. */
#ifndef SUMI_COMPRESS_CORRECT_H
#define SUMI_COMPRESS_CORRECT_H

#include "compress/calibrate.h"

struct sumi_correct {
  int64_t rows, cols;
  const float *dense, *sparse; /* [rows, cols] the weights before and now */
  const float *bias;           /* [rows] before */
  struct sumi_layer_stats before,
      after;   /* one group's: of the dense layer's input in the dense network, and of the input
                                            as it is now */
  int threads; /* 0 = 1 */
  double most; /* bound on a factor and on its inverse; 0 = 4 */
};

/* scale[rows] and bias[rows] such that scale * sparse x + bias over `after` has the mean and, within the bound, the deviation
 * that dense x + c->bias has over `before`. A row that is constant now keeps factor 1. SUMI_E_UNSUPPORTED where OpenBLAS is
 * missing. */
sumi_status sumi_correct_rows(const struct sumi_correct *c, const struct sumi_allocator *a, float *scale,
                              float *bias, struct sumi_err *err);

#endif

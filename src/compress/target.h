/* What a layer is solved for: the weights that would be best without zeros. */
#ifndef SUMI_COMPRESS_TARGET_H
#define SUMI_COMPRESS_TARGET_H

#include "compress/calibrate.h"

/* w [rows, cols]: from the dense weights to those with which the input as it is now (x) gives, in the least squares, what the dense
 * weights give on the input as it was (z):
 *
 *   w += w (C - H) (H + damping mean(diag H) I)^-1,   C = sum of z x^T,  H = sum of x x^T
 *
 * so that later layers make good what earlier ones lost (asymmetric calibration: Li et al. 2025, arXiv 2504.02692). Few samples are
 * learned by heart that way: *damping is, of some values, the one that does best on the samples held out, which no layer has
 * seen. It is also what the solver should take.
 *
 * pair: one group's, of the same samples in both networks, and so what is held out; gram: its H, about the mean
 * (sumi_correct_center) with free_bias, and so is C then. Weights of columns that are always zero stay; where H is not positive,
 * all do. SUMI_E_UNSUPPORTED where OpenBLAS is missing. */
sumi_status sumi_target_weights(int64_t rows, int64_t cols, const struct sumi_layer_pair *pair,
                                const double *gram, bool free_bias, int threads,
                                const struct sumi_allocator *a, float *w, double *damping,
                                struct sumi_err *err);

#endif

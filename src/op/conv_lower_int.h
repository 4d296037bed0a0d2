/* What conv_lower.c and conv_depthwise_lower.c share. */
#ifndef SUMI_OP_CONV_LOWER_INT_H
#define SUMI_OP_CONV_LOWER_INT_H

#include "op/conv.h"
#include "plan/lower.h"

enum { X, W, B, Z, S };
enum { D, H, WIDTH, N_DIM };

/* A convolution seen as one of three spatial dimensions; missing ones have size 1. */
struct sumi_conv_space {
  int64_t in[N_DIM], out[N_DIM], kernel[N_DIM], stride[N_DIM], dilation[N_DIM], begin[N_DIM];
};

/* FConv's factors of the output channels; NULL = none. */
static inline const double *sumi_conv_scale(const struct sumi_lower *l) {
  return l->n_in > S && l->in[S] ? l->in[S]->data : NULL;
}

/* One channel in, one out per group; two spatial dimensions, no residual. */
sumi_status sumi_conv_lower_depthwise(struct sumi_lower *l, const struct sumi_conv *v,
                                      const struct sumi_conv_space *s);

#endif

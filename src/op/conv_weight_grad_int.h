/* What both ways to sum the gradient of a convolution's weights share: geometry, planes, offsets. A unit is what lies in one word of
 * a plane: an image in float32, a pair of images in bfloat16. */
#ifndef SUMI_OP_CONV_WEIGHT_GRAD_INT_H
#define SUMI_OP_CONV_WEIGHT_GRAD_INT_H

#include "kernel/copy/copy.h"
#include "op/conv.h"
#include "plan/lower.h"

/* One direction of the convolution. */
struct sumi_weight_grad_line {
  int64_t in, out, kernel, stride, dilation, begin;
  int64_t span; /* of what windows read, padding included */
};

struct sumi_weight_grad {
  struct sumi_weight_grad_line y, x;
  int64_t units, chunk; /* of all images, of what is summed at once */
  int64_t c_in, c_out, in_pixels, out_pixels, taps;
  int64_t plane_words; /* of one unit */
  int64_t steps;       /* products: tap rows, or taps */
  int64_t lanes;       /* of a product: channels of x, of all taps of a row where those follow each other */
};

/* NULL, or why it cannot be. */
const char *sumi_weight_grad_find(const struct sumi_conv *v, int64_t units, struct sumi_weight_grad *g);

/* Bytes from a chunk's planes to what each (unit, pixel of dy) reads for the first tap; up to n they repeat the last one. In l's
 * arena; NULL = out of memory. */
int32_t *sumi_weight_grad_list(struct sumi_lower *l, const struct sumi_weight_grad *g, int64_t n);

/* Words from there to what product `step` reads, and from sums [c_out][tap][c_in] to what it writes. */
int64_t sumi_weight_grad_reads(const struct sumi_weight_grad *g, int64_t step);
int64_t sumi_weight_grad_writes(const struct sumi_weight_grad *g, int64_t step);

/* Row `row` of a unit's planes at `to`, [column][channel]: the row of x [channel][row][column] (words) that lies there, between zeros
 * that stay once `first` has set them. */
void sumi_weight_grad_turn(const struct sumi_weight_grad *g, const struct sumi_copy_kernel *copy,
                           const float *x, int64_t row, bool first, float *to);

/* Sums [tap][channel] of output channels [begin, end) as [channel][tap]. */
void sumi_weight_grad_taps(const struct sumi_weight_grad *g, const struct sumi_copy_kernel *copy,
                           const float *sums, int64_t begin, int64_t end, float *dw);

/* With both operands rounded to bfloat16. */
sumi_status sumi_conv_weight_grad_bf16_lower(struct sumi_lower *l, const struct sumi_conv *v);

#endif

/* QuantizeLinear to lanes and DequantizeLinear from them on device cpu: family lane. */
#ifndef SUMI_OP_QUANT_LOWER_H
#define SUMI_OP_QUANT_LOWER_H

#include "plan/lower.h"

void sumi_quantize_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_quantize_lower(struct sumi_lower *l);
void sumi_dequantize_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out);
sumi_status sumi_dequantize_lower(struct sumi_lower *l);

/* The axis for the channels of a tensor that nobody has a wish for: 1 of images, else the last; -1 for a scalar. */
int sumi_lane_axis(const struct sumi_tensor *t);

#endif

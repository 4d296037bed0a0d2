/* What the 8-bit operators of com.microsoft share: tensors of real values scale * (q - zero), one scale and zero point each.
 */
#ifndef SUMI_OP_MS_QLINEAR_H
#define SUMI_OP_MS_QLINEAR_H

#include "op/ms_util.h"

struct sumi_ms_quant {
  double scale, zero;
};

/* From the inputs of these numbers; a zero point that is not given is 0. */
struct sumi_ms_quant sumi_ms_quant_of(const struct sumi_call *c, int scale, int zero);

/* The real value of element i. */
double sumi_ms_real(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant q);

/* Element i of an int8 or uint8 tensor = round_half_to_even(r / scale) + zero, saturated; NaN is the lowest. In float32. */
void sumi_ms_quantise(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant q, double r);

/* Element i = the mean of n elements of parameters qx whose sum is given: (sum - n * zero) * (scale / qy's scale / n), rounded. */
void sumi_ms_mean(const struct sumi_tensor *t, int64_t i, struct sumi_ms_quant qx, struct sumi_ms_quant qy,
                  int64_t sum, int64_t n);

/* SUMI_E_SHAPE unless inputs [first, n_in), but those whose bit is set in data, hold one element each. */
sumi_status sumi_ms_want_single(const struct sumi_infer *ctx, int first, uint32_t data);

#endif

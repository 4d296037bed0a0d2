/* Integer sums back to 8 bits, as the QLinear operators of the standard do it, and their scale and zero-point
 * inputs. */
#ifndef SUMI_OP_REQUANTIZE_H
#define SUMI_OP_REQUANTIZE_H

#include <math.h>

#include "tensor/tensor.h"

/* round(sum * multiplier) + zero point, rounded to nearest even, then held to what int8 or uint8 can say. The
 * product is taken in float32; NaN becomes the zero point. */
static inline int32_t sumi_requantize(int32_t sum, float multiplier, int32_t zero_point, sumi_dtype d) {
  const int32_t low = d == SUMI_INT8 ? -128 : 0, high = d == SUMI_INT8 ? 127 : 255;
  const float scaled = (float)sum * multiplier;
  const float x = (scaled != scaled ? 0 : rintf(scaled)) + (float)zero_point;
  return x < (float)low ? low : x > (float)high ? high : (int32_t)x;
}

#endif

/* A total order of numbers as integers: a < b exactly where order(a) < order(b). Zeros are equal; every NaN
 * is the largest of all. */
#ifndef SUMI_OP_ORDER_H
#define SUMI_OP_ORDER_H

#include <math.h>
#include <string.h>

#include "tensor/dtype.h"

/* The same of float32 alone. */
static inline int32_t sumi_order_f32(float x) {
  int32_t bits;
  x += 0.0f; /* -0 becomes 0 */
  memcpy(&bits, &x, sizeof bits);
  return x != x ? INT32_MAX : bits ^ (bits >> 31 & INT32_MAX);
}

static inline int64_t sumi_order(sumi_dtype d, const void *data, int64_t i) {
  if (d == SUMI_UINT64) return (int64_t)(((const uint64_t *)data)[i] ^ (UINT64_C(1) << 63));
  if (!sumi_dtype_is_float(d)) return sumi_get_i64(d, data, i);
  const double x = sumi_get_f64(d, data, i) + 0.0; /* -0 becomes 0 */
  if (isnan(x)) return INT64_MAX;
  int64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits < 0 ? (int64_t)(~(uint64_t)bits ^ (UINT64_C(1) << 63)) : bits;
}

#endif

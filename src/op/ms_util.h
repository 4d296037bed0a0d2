/* What the com.microsoft operators share: shape checks that leave unknown and symbolic dims alone.
 * Their definitions are ONNX Runtime's documentation of its contributed operators (docs/ContribOperators.md).
 */
#ifndef SUMI_OP_MS_UTIL_H
#define SUMI_OP_MS_UTIL_H

#include "op/op_util.h"

/* Sets of element types that recur. */
#define SUMI_MS_T (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16))

/* dims[axis] of input i; unknown where the rank is unknown or the input is not given. */
sumi_dim sumi_ms_dim(const struct sumi_infer *ctx, int i, int axis);

/* What two dims that must be equal are: the number if either is one, else a. */
static inline sumi_dim sumi_ms_same(sumi_dim a, sumi_dim b) {
  return a >= 0 || b == SUMI_DIM_UNKNOWN ? a : a == SUMI_DIM_UNKNOWN || b >= 0 ? b : a;
}

/* SUMI_E_SHAPE unless input i is absent or its rank is unknown or in [low, high]. */
sumi_status sumi_ms_want_rank(const struct sumi_infer *ctx, int i, int low, int high);

/* SUMI_E_SHAPE when dims[axis] of input i and want are different numbers; what says what the dim is. */
sumi_status sumi_ms_want_dim(const struct sumi_infer *ctx, int i, int axis, sumi_dim want, const char *what);

/* Adds n * item_bytes, rounded up to SUMI_ALIGN, to *bytes; SUMI_E_LIMIT on overflow. For counting scratch.
 */
sumi_status sumi_ms_book(size_t *bytes, int64_t n, size_t item_bytes, struct sumi_err *err);

/* The next n * item_bytes of scratch booked in the same order. */
void *sumi_ms_take(char **scratch, int64_t n, size_t item_bytes);

/* Entry i of a row of entries of 2, 4 or 8 bits, low bits first. */
static inline int sumi_ms_unpack(const void *row, int64_t i, int64_t bits) {
  return ((const uint8_t *)row)[i * bits / 8] >> (i * bits % 8) & ((1 << bits) - 1);
}

/* Adds the bytes of all inputs and outputs to cost->bytes. */
void sumi_ms_cost_bytes(const struct sumi_call *c, struct sumi_cost *cost);

#endif

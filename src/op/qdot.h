/* The 8-bit dot products that passes make of quantised networks (sumi.QConv, sumi.QMatMul): their inputs, and what
 * follows the integer sum, resolved once from a node and its constants; shared by the reference functions and by
 * whatever lowers them.
 *
 *   dot   = b[m] + sum of w[m, k] * (x[k] - x_zero)                                       int32, modulo 2^32
 *   q     = round(clamp((float)dot * scale[m], lo - zero, hi - zero)) + zero
 *   then for each stage (where given: first c, then r)
 *   v     = fma((float)(q - zero before), mul, residual ? (float)(r - r_zero) * r_mul : add[m])
 *   v     = function(v) * out_mul                                                         where it has a function
 *   q     = round(clamp(v, lo - zero, hi - zero)) + zero
 * A node without y_scale and y_zero is direct: its sum is not quantised first, stage c begins with
 *   v     = fma((float)dot, scale[m], add[m])
 * and ends as above, out_mul applied always; or, without c_scale and c_zero too, v as it is, float32, is the result (real).
 *
 * round is to nearest even; clamp(v, a, b) = min(max(v, a), b), where a NaN becomes a. All of it is float32, a product
 * and a quotient each rounded; it is the arithmetic of kernel/spmm/spmm_i8.h.
 * Bytes are "stored": those of int8 tensors plus 128, so that zero, lo, hi are whole numbers 0..255 for both types. */
#ifndef SUMI_OP_QDOT_H
#define SUMI_OP_QDOT_H

#include "op/activation.h"
#include "op/op_util.h"

/* Inputs. c: a constant a channel is added to the dequantised y, the sum quantised again; r: a tensor like y is added.
 * y, c and r come with their scale and zero point or not at all; only c of a real result has none, and may be absent. */
enum {
  SUMI_QDOT_X,
  SUMI_QDOT_X_SCALE,
  SUMI_QDOT_X_ZERO,
  SUMI_QDOT_W, /* int8, zero point 0 */
  SUMI_QDOT_W_SCALE,
  SUMI_QDOT_B,       /* int32 [rows], optional */
  SUMI_QDOT_Y_SCALE, /* optional with y_zero: direct */
  SUMI_QDOT_Y_ZERO,
  SUMI_QDOT_C, /* float32 [rows], optional */
  SUMI_QDOT_C_SCALE,
  SUMI_QDOT_C_ZERO,
  SUMI_QDOT_R, /* optional with the four behind it */
  SUMI_QDOT_R_SCALE,
  SUMI_QDOT_R_ZERO,
  SUMI_QDOT_S_SCALE,
  SUMI_QDOT_S_ZERO,
  SUMI_QDOT_INPUTS
};

struct sumi_qdot_stage {
  bool residual;
  struct sumi_activation function; /* NONE unless it is more than a clamp */
  float mul, out_mul;              /* out_mul: with a function only */
  float zero, lo, hi;              /* stored */
  float r_zero, r_mul;             /* residual only; r_zero stored */
};

struct sumi_qdot {
  bool direct, real;
  int64_t rows;   /* output channels */
  int32_t x_zero; /* stored */
  uint8_t x_flip, r_flip,
      y_flip;       /* 0x80 for int8, else 0: stored byte = byte of the tensor ^ flip. y: the result's */
  const int8_t *w;  /* [rows, ...] or as the operator says; NULL = not constant */
  const int32_t *b; /* [rows]; NULL = none */
  const float *w_scale, *c; /* [rows] or one; [rows] or NULL */
  int64_t w_scale_step;     /* 0: one for all rows */
  float x_scale, y_scale, c_div;
  float zero, lo, hi; /* stored */
  int n_stage;
  struct sumi_qdot_stage stage[2];
};

/* Reads node (a QConv or QMatMul of so many rows) and in[n_in], whose parameters' data is looked at: SUMI_E_UNSUPPORTED
 * where one is not known. The result borrows from in. */
sumi_status sumi_qdot_resolve(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in,
                              int64_t rows, struct sumi_qdot *q, struct sumi_err *err);

/* The multiplier of row m, and what stage c adds to it. */
static inline float sumi_qdot_scale(const struct sumi_qdot *q, int64_t m) {
  return q->x_scale * q->w_scale[m * q->w_scale_step] / q->y_scale;
}
static inline float sumi_qdot_add(const struct sumi_qdot *q, int64_t m) {
  return q->c ? q->c[m] / q->c_div : 0;
}

/* The formula above behind the sum, for n elements of row m: y[i * y_step] (bytes of the tensor, or floats where q
 * is real) from sum[i], which lacks b[m], and r[i * y_step] (NULL where there is no residual). */
void sumi_qdot_finish(const struct sumi_qdot *q, int64_t m, const uint32_t *sum, int64_t n, const uint8_t *r,
                      void *y, int64_t y_step);

/* Checks the inputs behind x and w against rows (SUMI_DIM_UNKNOWN = not known), r's shape against output 0, which is
 * inferred already, and the attributes. */
sumi_status sumi_qdot_infer(struct sumi_infer *ctx, sumi_dim rows);

/* The output's element type: that of the last zero point given. */
sumi_dtype sumi_qdot_dtype(const struct sumi_infer *ctx);

extern const struct sumi_port sumi_qdot_in[], sumi_qdot_out[];

/* Rows of an attribute table. */
#define SUMI_QDOT_ATTRS                                                              \
  {"activation", SUMI_ATTR_STRING}, {"activation_params", SUMI_ATTR_FLOATS},         \
      {"c_activation", SUMI_ATTR_STRING}, {"c_activation_params", SUMI_ATTR_FLOATS}, \
      {"r_activation", SUMI_ATTR_STRING}, {                                          \
    "r_activation_params", SUMI_ATTR_FLOATS                                          \
  }

#endif

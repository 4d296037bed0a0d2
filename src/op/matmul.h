/* The geometry of matrix products with NumPy's rules for 1-D operands and batches, resolved once from a node
 * and its shapes; shared by the reference functions of MatMul and its relatives and by whatever lowers them.
 *
 *   y[batch..., i, j] = alpha * sum over k of a[batch..., i, k] * b[batch..., k, j] */
#ifndef SUMI_OP_MATMUL_H
#define SUMI_OP_MATMUL_H

#include "op/op_util.h"

/* Strides are elements. y is contiguous [batch..., m, n]; 1-D operands have m or n = 1. */
struct sumi_matmul {
  int64_t m, n, k;
  int n_batch;
  int64_t batch[SUMI_MAX_RANK];
  int64_t a_batch[SUMI_MAX_RANK], b_batch[SUMI_MAX_RANK]; /* 0 where broadcast */
  int64_t a_row, a_col, b_row, b_col; /* a[i * a_row + k * a_col], b[k * b_row + j * b_col] */
  float alpha;                        /* FusedMatMul's; 1 otherwise */
  int a_k, b_k;                       /* the dimensions of a and b that k runs over */
};

/* a and b are inputs of MatMul, FusedMatMul, MatMulInteger or QLinearMatMul; their data is not looked at.
 * Shapes must be concrete. Errors as in inference. */
sumi_status sumi_matmul_resolve(const struct sumi_node *node, const struct sumi_tensor *a,
                                const struct sumi_tensor *b, struct sumi_matmul *mm, struct sumi_err *err);

/* The same for operands whose dimensions have strides sa and sb. */
sumi_status sumi_matmul_resolve_strided(const struct sumi_node *node, const struct sumi_tensor *a,
                                        const int64_t *sa, const struct sumi_tensor *b, const int64_t *sb,
                                        struct sumi_matmul *mm, struct sumi_err *err);

/* Sets output 0 of the product of inputs ia and ib. */
sumi_status sumi_matmul_infer(struct sumi_infer *ctx, int ia, int ib, sumi_dtype dtype);

/* dense_macs and macs where b is input ib (its zero point input zero_point or -1). */
void sumi_matmul_cost(const struct sumi_call *call, const struct sumi_matmul *mm, int ib, int zero_point,
                      struct sumi_cost *cost);

/* y[m, n] (contiguous, overwritten) = a * b in float32. Order of the sum: where b_col is 1 and n > 1, k
 * rising; otherwise sixteen sums over k modulo 16, added up in pairs at distance 8, 4, 2, 1. */
void sumi_matmul_f32(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_col,
                     const float *b, int64_t b_row, int64_t b_col, float *y);

/* sum[j] += a * (b[first + j * b_col] - b_zero[j]) for j in [0, n), modulo 2^32; b is of type d, int8 or uint8, a and the
 * differences are below 2^9. */
void sumi_integer_add_row(sumi_dtype d, uint32_t *sum, const void *b, int64_t first, int64_t b_col,
                          const int16_t *b_zero, int16_t a, int64_t n);

#endif

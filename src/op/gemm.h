/* The geometry of Gemm, resolved once; shared by its reference function and by whatever lowers it.
 *
 *   y[i, j] = act(alpha * sum over k of a[i, k] * b[k, j] + beta * c[i, j]) with a, b transposed as asked */
#ifndef SUMI_OP_GEMM_H
#define SUMI_OP_GEMM_H

#include "op/activation.h"
#include "op/op_util.h"

struct sumi_gemm {
  int64_t m, n, k;
  int64_t a_row, a_col, b_row, b_col; /* a[i * a_row + k * a_col], b[k * b_row + j * b_col] */
  bool has_c;
  int64_t c_row, c_col; /* c[i * c_row + j * c_col]: 0 where it is broadcast */
  float alpha, beta;
  struct sumi_activation activation; /* FusedGemm's; NONE otherwise */
};

/* c may be NULL. Data is not looked at; shapes must be concrete. Errors as in inference. */
sumi_status sumi_gemm_resolve(const struct sumi_node *node, const struct sumi_tensor *a,
                              const struct sumi_tensor *b, const struct sumi_tensor *c, struct sumi_gemm *g,
                              struct sumi_err *err);

#endif

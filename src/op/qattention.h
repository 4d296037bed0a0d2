/* sumi.QAttention resolved from a node and its constants, shared by its reference function and its lowering. */
#ifndef SUMI_OP_QATTENTION_H
#define SUMI_OP_QATTENTION_H

#include "plan/lower.h"

enum {
  SUMI_QATTENTION_Q,
  SUMI_QATTENTION_Q_SCALE,
  SUMI_QATTENTION_Q_ZERO,
  SUMI_QATTENTION_K,
  SUMI_QATTENTION_K_SCALE,
  SUMI_QATTENTION_K_ZERO,
  SUMI_QATTENTION_V,
  SUMI_QATTENTION_V_SCALE,
  SUMI_QATTENTION_V_ZERO,
  SUMI_QATTENTION_Q_SHAPE, /* int64 [4]: what q, k and v are reshaped to, as Reshape has it with allowzero = 0 */
  SUMI_QATTENTION_K_SHAPE,
  SUMI_QATTENTION_V_SHAPE,
  SUMI_QATTENTION_P_SCALE,
  SUMI_QATTENTION_P_ZERO,
  SUMI_QATTENTION_Y_SCALE,
  SUMI_QATTENTION_Y_ZERO,
  SUMI_QATTENTION_Y_SHAPE, /* int64 [n] */
  SUMI_QATTENTION_MASK,    /* float32, broadcasts to [batch, heads, queries, keys], optional */
  SUMI_QATTENTION_S_SCALE, /* optional with the one behind it */
  SUMI_QATTENTION_S_ZERO,
  SUMI_QATTENTION_INPUTS
};

struct sumi_qattention {
  int64_t batch, heads, queries, keys, features;
  int rank; /* of the result */
  int64_t dim[SUMI_MAX_RANK];
  float factor; /* of the scores */
  bool divide;  /* by it */
  bool masked, quantised;
  int64_t mask_stride[4];
};

/* Reads node and in[n_in], where the shapes' data is looked at: SUMI_E_UNSUPPORTED where one is not known. */
sumi_status sumi_qattention_resolve(const struct sumi_node *node, const struct sumi_tensor *const *in,
                                    int n_in, struct sumi_qattention *a, struct sumi_err *err);

void sumi_qattention_lanes(const struct sumi_call *call, struct sumi_lane_wish *in,
                           struct sumi_lane_wish *out);
sumi_status sumi_qattention_lower(struct sumi_lower *l);
sumi_status sumi_qattention_cells(struct sumi_cells *c);

#endif

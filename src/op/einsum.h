/* The equation of Einsum, and its cells. */
#ifndef SUMI_OP_EINSUM_H
#define SUMI_OP_EINSUM_H

#include "plan/cell.h"

/* Letters take labels 0..51; dim i of the ellipsis, counted from its end, takes SUMI_EINSUM_DOTS + i. */
enum {
  SUMI_EINSUM_DOTS = 52,
  SUMI_EINSUM_LABELS = SUMI_EINSUM_DOTS + SUMI_MAX_RANK,
  SUMI_EINSUM_INPUTS = 16
};

struct sumi_einsum_term {
  int n; /* -1: the rank is unknown */
  int label[SUMI_MAX_RANK];
};

struct sumi_einsum {
  int n_in;
  struct sumi_einsum_term in[SUMI_EINSUM_INPUTS], out;
};

/* For inputs whose ranks are known. */
sumi_status sumi_einsum_resolve(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in,
                                struct sumi_einsum *e, struct sumi_err *err);

sumi_status sumi_einsum_cells(struct sumi_cells *c);

#endif

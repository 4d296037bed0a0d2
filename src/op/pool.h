/* The geometry of a sliding pool, resolved once; shared by the reference functions and by whatever lowers
 * them.
 *
 *   y[b, c, o] = f(x[b, c, i] for all taps k whose i = o * stride + k * dilation - begin lies inside) */
#ifndef SUMI_OP_POOL_H
#define SUMI_OP_POOL_H

#include "op/op_util.h"

struct sumi_pool {
  int64_t batch, channels;
  int n;                     /* spatial dimensions, >= 1 */
  int64_t in[SUMI_MAX_RANK]; /* spatial sizes of x; of y in window.out */
  struct sumi_window window;
  int64_t in_pixels, out_pixels;
  bool count_include_pad; /* AveragePool: divide by the taps that lie inside the padded input */
  bool column_major;      /* MaxPool: Indices count the first spatial dimension fastest */
};

/* MaxPool, AveragePool, LpPool: x is [batch, channels, in...]; its data is not looked at. Errors as in
 * inference. */
sumi_status sumi_pool_resolve(const struct sumi_node *node, const struct sumi_tensor *x,
                              struct sumi_pool *pool, struct sumi_err *err);

/* Elements of the input (padded: and its padding) that the window of output o has along spatial dimension d. */
int64_t sumi_pool_taps(const struct sumi_pool *pool, int d, int64_t o, bool padded);

/* Attribute p of LpPool and GlobalLpPool, which was a float in operator set 1; SUMI_E_VALUE unless p > 0. */
sumi_status sumi_pool_p(const struct sumi_node *node, double *p, struct sumi_err *err);

#endif

/* Gradients of sums, means, and of what is built of them: softmax and normalisation. */
#include <math.h>

#include "base/size.h"
#include "op/grad.h"
#include "op/op_util.h"

typedef struct sumi_value *value;

/* ---- ReduceSum and its relatives, GlobalAveragePool ------------------------------------------------------------ */

/* v, of the output's shape, with the reduced dims back as dims of 1. Without axes all were reduced, and v broadcasts as it is. */
static value spread(struct sumi_grad *g, value v) {
  const struct sumi_node *node = g->node;
  int n;
  const int64_t *attr = sumi_attr_ints(node, "axes", &n);
  value axes = node->n_in > 1 ? node->in[1] : NULL;
  if (!sumi_attr_int(node, "keepdims", 1) && (axes || attr))
    return sumi_grad_unsqueeze(g, v, axes ? axes : sumi_grad_ints(g, attr, n));
  return v;
}

sumi_status sumi_reduce_sum_grad(struct sumi_grad *g) {
  g->dx[0] = sumi_grad_expand_like(g, spread(g, g->dy[0]), g->node->in[0]);
  return g->status;
}

sumi_status sumi_reduce_mean_grad(struct sumi_grad *g) {
  const value x = g->node->in[0];
  const value share = sumi_grad_div(g, spread(g, g->dy[0]), sumi_grad_ratio(g, x, g->node->out[0]));
  g->dx[0] = sumi_grad_expand_like(g, share, x);
  return g->status;
}

sumi_status sumi_reduce_l1_grad(struct sumi_grad *g) {
  g->dx[0] = sumi_grad_mul(g, sumi_grad_sign(g, g->node->in[0]), spread(g, g->dy[0]));
  return g->status;
}

/* x / y, and 0 where y is 0 */
sumi_status sumi_reduce_l2_grad(struct sumi_grad *g) {
  const value y = g->node->out[0], zero = sumi_grad_scalar(g, y, 0);
  const value slope = sumi_grad_where(g, sumi_grad_equal(g, y, zero), zero, sumi_grad_div(g, g->dy[0], y));
  g->dx[0] = sumi_grad_mul(g, g->node->in[0], spread(g, slope));
  return g->status;
}

sumi_status sumi_reduce_sum_square_grad(struct sumi_grad *g) {
  const value x = g->node->in[0];
  g->dx[0] = sumi_grad_mul(g, sumi_grad_mul(g, x, sumi_grad_scalar(g, x, 2)), spread(g, g->dy[0]));
  return g->status;
}

sumi_status sumi_global_average_pool_grad(struct sumi_grad *g) {
  const value x = g->node->in[0];
  const value share = sumi_grad_div(g, g->dy[0], sumi_grad_ratio(g, x, g->node->out[0]));
  g->dx[0] = sumi_grad_expand_like(g, share, x);
  return g->status;
}

/* ---- softmax ---------------------------------------------------------------------------------------------------- */

/* The sum over what the softmax runs along. */
static value softmax_sum(struct sumi_grad *g, value v) {
  const bool before_13 = g->node->version < 13;
  int64_t axes[SUMI_MAX_RANK];
  int axis, n = 0;
  const int rank = sumi_grad_rank(g, g->node->in[0]);
  if (g->status == SUMI_OK) g->status = sumi_op_axis(g->node, before_13 ? 1 : -1, rank, &axis, g->err);
  if (g->status != SUMI_OK) return NULL;
  if (rank == 0) return v;
  for (int i = axis; i < (before_13 ? rank : axis + 1); i++) axes[n++] = i;
  return sumi_grad_sum(g, v, axes, n, true);
}

/* dx = (dy - sum(dy y)) y */
sumi_status sumi_softmax_grad(struct sumi_grad *g) {
  const value y = g->node->out[0], dy = g->dy[0];
  g->dx[0] = sumi_grad_mul(g, sumi_grad_sub(g, dy, softmax_sum(g, sumi_grad_mul(g, dy, y))), y);
  return g->status;
}

/* dx = dy - sum(dy) exp(y) */
sumi_status sumi_log_softmax_grad(struct sumi_grad *g) {
  const value dy = g->dy[0];
  g->dx[0] = sumi_grad_sub(g, dy, sumi_grad_mul(g, softmax_sum(g, dy), sumi_grad_exp(g, g->node->out[0])));
  return g->status;
}

/* ---- BatchNormalization ---------------------------------------------------------------------------------------- */

enum { X, SCALE, BIAS, MEAN, VAR };

/* 1 / sqrt(v + epsilon) */
static value inverse_deviation(struct sumi_grad *g, value v) {
  const value e = sumi_grad_scalar(g, v, (double)sumi_attr_float(g->node, "epsilon", 1e-5f));
  return sumi_grad_div(g, sumi_grad_scalar(g, v, 1), sumi_grad_sqrt(g, sumi_grad_add(g, v, e)));
}

/* With mean and var given, y = scale r (x - mean) + bias, r = 1 / sqrt(var + epsilon); all of them per channel:
 *   dx = dy scale r          dscale = sum(dy (x - mean)) r    dbias = sum(dy)
 *   dmean = -dbias scale r   dvar = -dscale scale r^2 / 2 */
sumi_status sumi_batch_norm_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const value x = node->in[X], dy = g->dy[0];
  if (sumi_attr_int(node, "training_mode", 0) || (node->version < 7 && !sumi_attr_int(node, "is_test", 0)))
    SUMI_FAIL(g->err, SUMI_E_UNSUPPORTED, "only normalisation by given statistics has a gradient");
  if (node->version < 9 && !sumi_attr_int(node, "spatial", 1))
    SUMI_FAIL(g->err, SUMI_E_UNSUPPORTED, "statistics of single pixels have no gradient");
  SUMI_TRY(sumi_grad_only(g, 1));
  const int rank = sumi_grad_rank(g, x);
  int64_t axes[SUMI_MAX_RANK], shape[SUMI_MAX_RANK];
  int n = 0;
  for (int i = 0; i < rank; i++) shape[i] = i == 1 ? -1 : 1;
  for (int i = 0; i < rank; i++)
    if (i != 1) axes[n++] = i;
  if (g->status != SUMI_OK) return g->status;
  const value channels = sumi_grad_ints(g, shape, rank); /* a list of channels as it broadcasts with x */
  const value r = inverse_deviation(g, node->in[VAR]);
  const value slope = sumi_grad_mul(g, sumi_grad_cast(g, node->in[SCALE], r), r);
  if (g->wanted[X])
    g->dx[X] = sumi_grad_mul(g, dy, sumi_grad_cast(g, sumi_grad_reshape(g, slope, channels), x));
  if (!g->wanted[SCALE] && !g->wanted[BIAS] && !g->wanted[MEAN] && !g->wanted[VAR]) return g->status;
  const value sum = sumi_grad_sum(g, dy, axes, n, false);
  const value centred =
      sumi_grad_sub(g, x, sumi_grad_cast(g, sumi_grad_reshape(g, node->in[MEAN], channels), x));
  const value dot = sumi_grad_cast(g, sumi_grad_sum(g, sumi_grad_mul(g, dy, centred), axes, n, false), r);
  const value dscale = sumi_grad_mul(g, dot, r);
  if (g->wanted[SCALE]) g->dx[SCALE] = sumi_grad_cast(g, dscale, node->in[SCALE]);
  if (g->wanted[BIAS]) g->dx[BIAS] = sumi_grad_cast(g, sum, node->in[BIAS]);
  if (g->wanted[MEAN]) g->dx[MEAN] = sumi_grad_neg(g, sumi_grad_mul(g, sumi_grad_cast(g, sum, slope), slope));
  if (g->wanted[VAR])
    g->dx[VAR] =
        sumi_grad_mul(g, sumi_grad_mul(g, dscale, sumi_grad_mul(g, slope, r)), sumi_grad_scalar(g, r, -0.5));
  return g->status;
}

/* ---- LayerNormalization ---------------------------------------------------------------------------------------- */

static value mean(struct sumi_grad *g, value v, const int64_t *axes, int n) {
  return sumi_grad_op(g, &sumi_op_reduce_mean, 2, (value[]){v, sumi_grad_ints(g, axes, n)});
}

/* y = scale h + bias, h = (x - mean) r, r = 1 / sqrt(mean((x - mean)^2) + epsilon), means along the last axes:
 *   dscale = sum(dy h)   dbias = sum(dy)   dx = r (d - mean(d) - h mean(d h)), d = dy scale */
sumi_status sumi_layer_norm_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const value x = node->in[X], scale = node->in[SCALE], dy = g->dy[0];
  SUMI_TRY(sumi_grad_only(g, 1));
  const int rank = sumi_grad_rank(g, x);
  int64_t axes[SUMI_MAX_RANK];
  int axis = 0, n = 0;
  if (g->status == SUMI_OK) g->status = sumi_op_axis(node, -1, rank, &axis, g->err);
  if (g->status != SUMI_OK) return g->status;
  for (int i = axis; i < rank; i++) axes[n++] = i;
  const value centred = sumi_grad_sub(g, x, mean(g, x, axes, n));
  const value r = inverse_deviation(g, mean(g, sumi_grad_mul(g, centred, centred), axes, n));
  const value h = sumi_grad_mul(g, centred, r);
  if (g->wanted[X]) {
    const value d = sumi_grad_mul(g, dy, sumi_grad_cast(g, scale, dy));
    const value along = sumi_grad_mul(g, h, mean(g, sumi_grad_mul(g, d, h), axes, n));
    g->dx[X] = sumi_grad_mul(g, r, sumi_grad_sub(g, sumi_grad_sub(g, d, mean(g, d, axes, n)), along));
  }
  if (g->wanted[SCALE])
    g->dx[SCALE] = sumi_grad_cast(g, sumi_grad_sum_to(g, sumi_grad_mul(g, dy, h), scale), scale);
  if (BIAS < node->n_in && g->wanted[BIAS])
    g->dx[BIAS] = sumi_grad_cast(g, sumi_grad_sum_to(g, dy, node->in[BIAS]), node->in[BIAS]);
  return g->status;
}

/* Gradients of matrix products: da = dy b^T, db = a^T dy. */
#include "op/grad.h"

typedef struct sumi_value *value;

/* The last two dims exchanged; rank >= 2. */
static value turned(struct sumi_grad *g, value v) {
  const int rank = sumi_grad_rank(g, v);
  int64_t perm[SUMI_MAX_RANK];
  if (rank < 2) return NULL;
  for (int i = 0; i < rank; i++) perm[i] = i;
  perm[rank - 1] = rank - 2;
  perm[rank - 2] = rank - 1;
  return sumi_grad_permute(g, v, perm, rank);
}

static value with_dim(struct sumi_grad *g, value v, int64_t axis) {
  return sumi_grad_unsqueeze(g, v, sumi_grad_ints(g, &axis, 1));
}

/* db of one matrix b [k, n] that all matrices of a share: one product over all rows, instead of one each and their sum. */
static value shared_grad(struct sumi_grad *g, value a, value b, value dy) {
  const value rest = sumi_grad_ints(g, (const int64_t[]){-1}, 1);
  const value rows_a = sumi_grad_join(g, 2, (value[]){rest, sumi_grad_dims(g, b, 0, 1)}),
              rows_dy = sumi_grad_join(g, 2, (value[]){rest, sumi_grad_dims(g, b, 1, 2)});
  const value product = sumi_grad_gemm(g, sumi_grad_reshape(g, a, rows_a), sumi_grad_reshape(g, dy, rows_dy));
  return sumi_grad_int(g, product, "transA", 1);
}

/* Sizes are known not to be 0, so that the number of rows follows from them. */
static bool is_shared(struct sumi_grad *g, value a, value b) {
  const struct sumi_info *info = sumi_grad_info(g, b);
  return info && info->rank == 2 && sumi_grad_rank(g, a) > 2 && info->dim[0] > 0 && info->dim[1] > 0 &&
         info->dtype == SUMI_FLOAT32;
}

/* A vector stands for a row in front and for a column behind; its dim is not in the product. */
sumi_status sumi_matmul_grad(struct sumi_grad *g) {
  value a = g->node->in[0], b = g->node->in[1], dy = g->dy[0];
  const int rank_a = sumi_grad_rank(g, a), rank_b = sumi_grad_rank(g, b);
  if (g->status != SUMI_OK) return g->status;
  if (rank_b == 1) {
    b = with_dim(g, b, -1);
    dy = with_dim(g, dy, -1);
  }
  if (rank_a == 1) {
    a = with_dim(g, a, 0);
    dy = with_dim(g, dy, -2);
  }
  if (g->wanted[0])
    g->dx[0] = sumi_grad_reshape_like(g, sumi_grad_sum_to(g, sumi_grad_matmul(g, dy, turned(g, b)), a),
                                      g->node->in[0]);
  if (g->wanted[1] && is_shared(g, a, b))
    g->dx[1] = shared_grad(g, a, b, dy);
  else if (g->wanted[1])
    g->dx[1] = sumi_grad_reshape_like(g, sumi_grad_sum_to(g, sumi_grad_matmul(g, turned(g, a), dy), b),
                                      g->node->in[1]);
  return g->status;
}

/* alpha a b, each transposed or not */
static value product(struct sumi_grad *g, value a, bool turn_a, value b, bool turn_b) {
  const value v = sumi_grad_int(g, sumi_grad_gemm(g, a, b), "transA", turn_a);
  return sumi_grad_float(g, sumi_grad_int(g, v, "transB", turn_b), "alpha",
                         sumi_attr_float(g->node, "alpha", 1));
}

sumi_status sumi_gemm_grad(struct sumi_grad *g) {
  const struct sumi_node *node = g->node;
  const value a = node->in[0], b = node->in[1], dy = g->dy[0];
  const bool turn_a = sumi_attr_int(node, "transA", 0) != 0, turn_b = sumi_attr_int(node, "transB", 0) != 0;
  if (g->wanted[0]) g->dx[0] = turn_a ? product(g, b, turn_b, dy, true) : product(g, dy, false, b, !turn_b);
  if (g->wanted[1]) g->dx[1] = turn_b ? product(g, dy, true, a, turn_a) : product(g, a, !turn_a, dy, false);
  if (node->n_in > 2 && g->wanted[2]) {
    const double beta = (double)sumi_attr_float(node, "beta", 1);
    g->dx[2] = sumi_grad_sum_to(g, sumi_grad_mul(g, dy, sumi_grad_scalar(g, dy, beta)), node->in[2]);
  }
  return g->status;
}

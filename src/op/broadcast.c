/* Broadcasting for element-wise operators. See the header. */
#include "op/broadcast.h"

#include <inttypes.h>

#include "base/size.h"

void sumi_bcast_init(struct sumi_bcast *b, int rank, const int64_t *dim, const struct sumi_tensor *const *t,
                     int n) {
  int64_t own[SUMI_BCAST_MAX][SUMI_MAX_RANK];
  for (int k = 0; k < n; k++) sumi_broadcast_strides(t[k], rank, dim, own[k]);
  *b = (struct sumi_bcast){.n = n};
  /* dims are collected from the last to the first, then turned round */
  for (int i = rank - 1; i >= 0; i--) {
    if (dim[i] == 1) continue;
    const int last = b->rank - 1;
    bool joins = last >= 0;
    for (int k = 0; k < n && joins; k++) joins = own[k][i] == b->stride[k][last] * b->dim[last];
    if (joins) {
      b->dim[last] *= dim[i];
      continue;
    }
    b->dim[b->rank] = dim[i];
    for (int k = 0; k < n; k++) b->stride[k][b->rank] = own[k][i];
    b->rank++;
  }
  if (!b->rank) b->dim[b->rank++] = 1;
  for (int i = 0, j = b->rank - 1; i < j; i++, j--) {
    const int64_t d = b->dim[i];
    b->dim[i] = b->dim[j];
    b->dim[j] = d;
    for (int k = 0; k < n; k++) {
      const int64_t s = b->stride[k][i];
      b->stride[k][i] = b->stride[k][j];
      b->stride[k][j] = s;
    }
  }
}

struct sumi_walk sumi_bcast_rows(const struct sumi_bcast *b) {
  struct sumi_walk w = sumi_walk_start(b->rank - 1, b->dim, b->n > 0 ? b->stride[0] : NULL,
                                       b->n > 1 ? b->stride[1] : NULL, b->n > 2 ? b->stride[2] : NULL, NULL);
  w.done |= b->dim[b->rank - 1] == 0;
  return w;
}

/* ---- before operator set 7 ----------------------------------------------------------------------------- */

/* Where the second input's dims begin among the first's. */
static int64_t old_axis(const struct sumi_node *node, int rank_a, int rank_b) {
  const int64_t axis = sumi_attr_int(node, "axis", rank_a - rank_b);
  return axis < 0 ? axis + rank_a : axis;
}

static sumi_status infer_old(struct sumi_infer *ctx, sumi_dtype dtype) {
  const struct sumi_info *a = &ctx->in[0], *b = &ctx->in[1];
  sumi_infer_out_like(ctx, 0, a, dtype);
  if (a->rank < 0 || b->rank < 0) return SUMI_OK;
  const bool broadcast = sumi_attr_int(ctx->node, "broadcast", 0) != 0;
  if (!broadcast && a->rank != b->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the ranks are %d and %d, and attribute broadcast is not set", a->rank,
              b->rank);
  const int64_t axis = broadcast ? old_axis(ctx->node, a->rank, b->rank) : 0;
  if (axis < 0 || axis > a->rank - b->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%d dimensions at axis %" PRId64 " do not lie within %d", b->rank, axis,
              a->rank);
  for (int i = 0; i < b->rank; i++) {
    const sumi_dim x = a->dim[axis + i], y = b->dim[i];
    if (x >= 0 && y >= 0 && x != y && !(broadcast && y == 1))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "dimension %d of the second input is %" PRId64 ", not %" PRId64, i, y,
                x);
  }
  return SUMI_OK;
}

sumi_status sumi_infer_binary(struct sumi_infer *ctx, sumi_dtype dtype) {
  return ctx->node->version < 7 ? infer_old(ctx, dtype) : sumi_infer_broadcast(ctx, 0, 0, 2, dtype);
}

struct sumi_tensor sumi_second_operand(const struct sumi_call *c) {
  struct sumi_tensor b = *c->in[1];
  const int rank_a = c->in[0]->rank;
  if (c->node->version >= 7 || b.rank >= rank_a) return b;
  const int64_t axis = old_axis(c->node, rank_a, b.rank);
  for (int i = 0; i < rank_a; i++)
    b.dim[i] = i >= axis && i < axis + c->in[1]->rank ? c->in[1]->dim[i - axis] : 1;
  b.rank = rank_a;
  return b;
}

int sumi_second_axis(const struct sumi_node *node, int rank_a, int rank_b, int rank_out) {
  return node->version >= 7 || rank_b >= rank_a ? rank_out - rank_b : (int)old_axis(node, rank_a, rank_b);
}

/* ---- types and contents -------------------------------------------------------------------------------- */

sumi_dtype sumi_infer_dtype(const struct sumi_infer *ctx, int first, int last) {
  for (int i = first; i < last; i++)
    if (sumi_infer_has(ctx, i) && ctx->in[i].dtype != SUMI_UNDEFINED) return ctx->in[i].dtype;
  return SUMI_UNDEFINED;
}

int sumi_content_count(const struct sumi_info *in) {
  if (in->absent || in->rank < 0 || in->rank > 1) return -1;
  if (in->content) return in->n_content;
  if (!in->data || (!sumi_dtype_is_int(in->dtype) && in->dtype != SUMI_BOOL)) return -1;
  const int64_t n = sumi_tensor_count(in->data);
  return n <= SUMI_MAX_RANK ? (int)n : -1;
}

sumi_dim sumi_content_at(const struct sumi_info *in, int k) {
  const int n = sumi_content_count(in);
  if (n <= 0) return SUMI_DIM_UNKNOWN;
  if (in->content) return in->content[k % n];
  const int64_t v = sumi_get_i64(in->data->dtype, in->data->data, k % n);
  return v < 0 ? SUMI_DIM_UNKNOWN : v;
}

sumi_status sumi_infer_content_of(struct sumi_infer *ctx, enum sumi_dim_op op) {
  const int na = sumi_content_count(&ctx->in[0]), nb = sumi_content_count(&ctx->in[1]);
  if (na < 0 || nb < 0 || (na != nb && na != 1 && nb != 1)) return SUMI_OK;
  const int n = na == 1 ? nb : na;
  sumi_dim content[SUMI_MAX_RANK];
  for (int i = 0; i < n; i++)
    content[i] =
        sumi_dim_apply(ctx->symbols, op, sumi_content_at(&ctx->in[0], i), sumi_content_at(&ctx->in[1], i));
  return sumi_infer_content(ctx, 0, content, n);
}

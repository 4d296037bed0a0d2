/* Shapes and strides of matrix products, and the float32 loops that the reference functions share. */
#include <inttypes.h>

#include "base/size.h"
#include "op/matmul.h"

/* An operand seen as a stack of matrices: view dimension i is dimension axis[i] of the tensor, -1 = a one put
 * in. */
struct view {
  int rank; /* >= 2 */
  sumi_dim dim[SUMI_MAX_RANK + 1];
  int axis[SUMI_MAX_RANK + 1];
};

/* transpose swaps the last two dimensions after rotate has moved dimension 0 behind the batch ones ([m,
 * batch..., k] becomes [batch..., m, k]). Both leave a vector alone. */
static sumi_status view_make(const sumi_dim *dim, int rank, const char *who, bool right, bool transpose,
                             bool rotate, struct view *v, struct sumi_err *err) {
  if (rank < 1) SUMI_FAIL(err, SUMI_E_SHAPE, "operand %s is a scalar", who);
  if (rank == 1) {
    *v = (struct view){
        .rank = 2, .dim = {right ? dim[0] : 1, right ? 1 : dim[0]}, .axis = {right ? 0 : -1, right ? -1 : 0}};
    return SUMI_OK;
  }
  v->rank = rank;
  for (int i = 0; i < rank; i++) v->axis[i] = i == rank - 1 ? i : !rotate ? i : i == rank - 2 ? 0 : i + 1;
  if (transpose) {
    const int last = v->axis[rank - 1];
    v->axis[rank - 1] = v->axis[rank - 2];
    v->axis[rank - 2] = last;
  }
  for (int i = 0; i < rank; i++) v->dim[i] = dim[v->axis[i]];
  return SUMI_OK;
}

static sumi_status views(const struct sumi_node *node, const sumi_dim *a, int rank_a, const sumi_dim *b,
                         int rank_b, struct view *va, struct view *vb, struct sumi_err *err) {
  const bool ta = sumi_attr_int(node, "transA", 0) != 0, tb = sumi_attr_int(node, "transB", 0) != 0;
  SUMI_TRY(view_make(a, rank_a, "A", false, ta, sumi_attr_int(node, "transBatchA", 0) != 0, va, err));
  SUMI_TRY(view_make(b, rank_b, "B", true, tb, sumi_attr_int(node, "transBatchB", 0) != 0, vb, err));
  const sumi_dim ka = va->dim[va->rank - 1], kb = vb->dim[vb->rank - 2];
  if (ka >= 0 && kb >= 0 && ka != kb)
    SUMI_FAIL(err, SUMI_E_SHAPE, "A has %" PRId64 " columns, B has %" PRId64 " rows", ka, kb);
  return SUMI_OK;
}

/* Batch dimension i of n, counted from the left of the longer one; 1 where v has none. */
static sumi_dim batch_dim(const struct view *v, int i, int n) {
  const int j = i - (n - (v->rank - 2));
  return j < 0 ? 1 : v->dim[j];
}

static sumi_status batch_merge(sumi_dim x, sumi_dim y, sumi_dim *out, struct sumi_err *err) {
  if (x == y || y == 1)
    *out = x;
  else if (x == 1)
    *out = y;
  else if (x >= 0 && y >= 0)
    SUMI_FAIL(err, SUMI_E_SHAPE, "batch dimensions %" PRId64 " and %" PRId64 " do not broadcast", x, y);
  else
    *out = x >= 0 ? x : y >= 0 ? y : SUMI_DIM_UNKNOWN; /* a number other than 1 wins */
  return SUMI_OK;
}

sumi_status sumi_matmul_infer(struct sumi_infer *ctx, int ia, int ib, sumi_dtype dtype) {
  const struct sumi_info *a = &ctx->in[ia], *b = &ctx->in[ib];
  if (a->rank == 0 || b->rank == 0)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "operand %s is a scalar", a->rank == 0 ? "A" : "B");
  if (a->rank < 0 || b->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, dtype);
    return SUMI_OK;
  }
  struct view va, vb;
  SUMI_TRY(views(ctx->node, a->dim, a->rank, b->dim, b->rank, &va, &vb, ctx->err));
  int rank = SUMI_MAX(va.rank, vb.rank) - 2;
  sumi_dim out[SUMI_MAX_RANK + 1];
  for (int i = 0; i < rank; i++) {
    SUMI_TRY(batch_merge(batch_dim(&va, i, rank), batch_dim(&vb, i, rank), &out[i], ctx->err));
  }
  if (a->rank > 1) out[rank++] = va.dim[va.rank - 2];
  if (b->rank > 1) out[rank++] = vb.dim[vb.rank - 1];
  sumi_infer_out(ctx, 0, dtype, rank, out);
  return SUMI_OK;
}

sumi_status sumi_matmul_resolve(const struct sumi_node *node, const struct sumi_tensor *a,
                                const struct sumi_tensor *b, struct sumi_matmul *mm, struct sumi_err *err) {
  int64_t sa[SUMI_MAX_RANK], sb[SUMI_MAX_RANK];
  sumi_strides(a->dim, a->rank, sa);
  sumi_strides(b->dim, b->rank, sb);
  return sumi_matmul_resolve_strided(node, a, sa, b, sb, mm, err);
}

sumi_status sumi_matmul_resolve_strided(const struct sumi_node *node, const struct sumi_tensor *a,
                                        const int64_t *sa, const struct sumi_tensor *b, const int64_t *sb,
                                        struct sumi_matmul *mm, struct sumi_err *err) {
  struct view va, vb;
  SUMI_TRY(views(node, a->dim, a->rank, b->dim, b->rank, &va, &vb, err));
#define STRIDE(v, s, i) ((v).axis[i] < 0 ? 0 : (s)[(v).axis[i]])
  *mm = (struct sumi_matmul){.m = va.dim[va.rank - 2],
                             .n = vb.dim[vb.rank - 1],
                             .k = va.dim[va.rank - 1],
                             .n_batch = SUMI_MAX(va.rank, vb.rank) - 2,
                             .a_row = STRIDE(va, sa, va.rank - 2),
                             .a_col = STRIDE(va, sa, va.rank - 1),
                             .b_row = STRIDE(vb, sb, vb.rank - 2),
                             .b_col = STRIDE(vb, sb, vb.rank - 1),
                             .alpha = sumi_attr_float(node, "alpha", 1),
                             .a_k = va.axis[va.rank - 1],
                             .b_k = vb.axis[vb.rank - 2]};
  for (int i = 0; i < mm->n_batch; i++) {
    const int64_t da = batch_dim(&va, i, mm->n_batch), db = batch_dim(&vb, i, mm->n_batch);
    SUMI_TRY(batch_merge(da, db, &mm->batch[i], err));
    const int ja = i - (mm->n_batch - (va.rank - 2)), jb = i - (mm->n_batch - (vb.rank - 2));
    mm->a_batch[i] = da == 1 ? 0 : STRIDE(va, sa, ja);
    mm->b_batch[i] = db == 1 ? 0 : STRIDE(vb, sb, jb);
  }
#undef STRIDE
  return SUMI_OK;
}

void sumi_matmul_cost(const struct sumi_call *call, const struct sumi_matmul *mm, int ib, int zero_point,
                      struct sumi_cost *cost) {
  double batch = 1;
  for (int i = 0; i < mm->n_batch; i++) batch *= (double)mm->batch[i];
  cost->dense_macs = batch * (double)mm->m * (double)mm->n * (double)mm->k;
  cost->macs = cost->dense_macs * sumi_op_density(call, ib, zero_point);
  cost->bytes = sumi_op_bytes(call);
}

/* y[j] += sum over k of a[k * a_col] * b[k * b_row + j], k rising; four k at a time only save loads of y. */
static void add_rows(int64_t n, int64_t k, const float *restrict a, int64_t a_col, const float *restrict b,
                     int64_t b_row, float *restrict y) {
  int64_t i = 0;
  for (; i + 4 <= k; i += 4, a += 4 * a_col, b += 4 * b_row) {
    const float a0 = a[0], a1 = a[a_col], a2 = a[2 * a_col], a3 = a[3 * a_col];
    const float *b1 = b + b_row, *b2 = b1 + b_row, *b3 = b2 + b_row;
    for (int64_t j = 0; j < n; j++) y[j] = y[j] + a0 * b[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j];
  }
  for (; i < k; i++, a += a_col, b += b_row)
    for (int64_t j = 0; j < n; j++) y[j] += a[0] * b[j];
}

static float dot(int64_t k, const float *a, int64_t a_col, const float *b, int64_t b_row) {
  enum { LANES = 16 };
  float sum[LANES] = {0};
  int64_t i = 0;
  if (a_col == 1 && b_row == 1)
    for (; i + LANES <= k; i += LANES)
      for (int l = 0; l < LANES; l++) sum[l] += a[i + l] * b[i + l];
  for (; i < k; i++) sum[i % LANES] += a[i * a_col] * b[i * b_row];
  for (int half = LANES / 2; half; half /= 2)
    for (int l = 0; l < half; l++) sum[l] += sum[l + half];
  return sum[0];
}

void sumi_matmul_f32(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_col,
                     const float *b, int64_t b_row, int64_t b_col, float *y) {
  enum { COLUMNS = 256, ROWS = 16 }; /* a block of b stays in the cache over all rows of a */
  if (b_col == 1 && n > 1)
    for (int64_t j = 0; j < n; j += COLUMNS)
      for (int64_t i = 0; i < m; i++) {
        const int64_t some = SUMI_MIN(n - j, COLUMNS);
        for (int64_t t = 0; t < some; t++) y[i * n + j + t] = 0;
        add_rows(some, k, a + i * a_row, a_col, b + j, b_row, y + i * n + j);
      }
  else
    for (int64_t j0 = 0; j0 < n; j0 += ROWS)
      for (int64_t i = 0; i < m; i++)
        for (int64_t j = j0; j < n && j < j0 + ROWS; j++)
          y[i * n + j] = dot(k, a + i * a_row, a_col, b + j * b_col, b_row);
}

/* Shapes, strides, broadcasting, index walks. */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/size.h"

sumi_status sumi_shape_count(const int64_t *dim, int rank, int64_t *count, struct sumi_err *err) {
  int64_t n = 1, nonzero = 1;
  for (int i = 0; i < rank; i++) {
    if (dim[i] < 0) SUMI_FAIL(err, SUMI_E_SHAPE, "dimension %d is %" PRId64, i, dim[i]);
    /* the product without zero dims must fit too, or strides would overflow */
    if (dim[i] && !sumi_i64_mul(nonzero, dim[i], &nonzero))
      SUMI_FAIL(err, SUMI_E_LIMIT, "the product of the dimensions passes 2^63");
    n = dim[i] ? n : 0;
  }
  *count = n ? nonzero : 0;
  return SUMI_OK;
}

sumi_status sumi_shape_bytes(sumi_dtype d, const int64_t *dim, int rank, size_t *bytes,
                             struct sumi_err *err) {
  int64_t n;
  SUMI_TRY(sumi_shape_count(dim, rank, &n, err));
  if (!sumi_dtype_bytes(d, n, bytes) || *bytes > PTRDIFF_MAX / 2)
    SUMI_FAIL(err, SUMI_E_LIMIT, "%" PRId64 " elements of %s do not fit in memory", n, sumi_dtype_label(d));
  return SUMI_OK;
}

char *sumi_shape_print(const int64_t *dim, int rank, char *buf, size_t size) {
  size_t at = 0;
  at += (size_t)snprintf(buf, size, "[");
  for (int i = 0; i < rank && at < size; i++)
    at += (size_t)snprintf(buf + at, size - at, "%s%" PRId64, i ? "," : "", dim[i]);
  if (at < size) snprintf(buf + at, size - at, "]");
  return buf;
}

void sumi_strides(const int64_t *dim, int rank, int64_t *stride) {
  int64_t s = 1;
  for (int i = rank - 1; i >= 0; i--) {
    stride[i] = s;
    s *= dim[i] ? dim[i] : 1;
  }
}

sumi_status sumi_broadcast(const int64_t *a, int rank_a, const int64_t *b, int rank_b, int64_t *out,
                           int *rank_out, struct sumi_err *err) {
  const int rank = SUMI_MAX(rank_a, rank_b);
  for (int i = 0; i < rank; i++) {
    const int64_t x = i < rank - rank_a ? 1 : a[i - (rank - rank_a)],
                  y = i < rank - rank_b ? 1 : b[i - (rank - rank_b)];
    if (x != y && x != 1 && y != 1) {
      char p[128], q[128];
      SUMI_FAIL(err, SUMI_E_SHAPE, "shapes %s and %s do not broadcast",
                sumi_shape_print(a, rank_a, p, sizeof p), sumi_shape_print(b, rank_b, q, sizeof q));
    }
    out[i] = x == 1 ? y : x;
  }
  *rank_out = rank;
  return SUMI_OK;
}

void sumi_broadcast_strides(const struct sumi_tensor *t, int rank, const int64_t *dim, int64_t *stride) {
  int64_t own[SUMI_MAX_RANK];
  sumi_strides(t->dim, t->rank, own);
  for (int i = 0; i < rank; i++) {
    const int j = i - (rank - t->rank);
    stride[i] = j < 0 || (t->dim[j] == 1 && dim[i] != 1) ? 0 : own[j];
  }
}

struct sumi_walk sumi_walk_start(int rank, const int64_t *dim, const int64_t *s0, const int64_t *s1,
                                 const int64_t *s2, const int64_t *s3) {
  struct sumi_walk w = {.rank = rank, .dim = dim, .stride = {s0, s1, s2, s3}};
  w.n = s3 ? 4 : s2 ? 3 : s1 ? 2 : s0 ? 1 : 0;
  for (int i = 0; i < rank; i++) w.done |= dim[i] == 0;
  return w;
}

void sumi_walk_next(struct sumi_walk *w) {
  for (int i = w->rank - 1; i >= 0; i--) {
    if (++w->index[i] < w->dim[i]) {
      for (int k = 0; k < w->n; k++) w->offset[k] += w->stride[k][i];
      return;
    }
    for (int k = 0; k < w->n; k++) w->offset[k] -= (w->dim[i] - 1) * w->stride[k][i];
    w->index[i] = 0;
  }
  w->done = true;
}

void sumi_walk_seek(struct sumi_walk *w, int64_t i) {
  for (int d = w->rank - 1; d >= 0; d--) {
    w->index[d] = i % w->dim[d];
    for (int k = 0; k < w->n; k++) w->offset[k] += w->index[d] * w->stride[k][d];
    i /= w->dim[d];
  }
}

sumi_status sumi_axis(int64_t axis, int rank, int *out, struct sumi_err *err) {
  if (axis < -rank || axis >= rank)
    SUMI_FAIL(err, SUMI_E_VALUE, "axis %" PRId64 " is outside [-%d, %d)", axis, rank, rank);
  *out = (int)(axis < 0 ? axis + rank : axis);
  return SUMI_OK;
}

/* Det: the determinant of every matrix of a stack [..., m, m], by elimination with row exchanges in double precision,
 * rounded once. An empty matrix has 1. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/op_util.h"

static sumi_status det_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, x->dtype);
    return SUMI_OK;
  }
  if (x->rank < 2) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the input has rank %d, at least 2 is needed", x->rank);
  const sumi_dim rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1];
  if (rows >= 0 && columns >= 0 && rows != columns)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a matrix of %" PRId64 " by %" PRId64 " is not square", rows, columns);
  sumi_infer_out(ctx, 0, x->dtype, x->rank - 2, x->dim);
  return SUMI_OK;
}

static sumi_status det_scratch(const struct sumi_call *c, size_t *bytes) {
  const size_t m = (size_t)c->in[0]->dim[c->in[0]->rank - 1];
  if (!sumi_size_mul(m, m, bytes) || !sumi_size_mul(*bytes, sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a matrix of %zu rows is too large", m);
  return SUMI_OK;
}

/* a is [m, m] and is destroyed. */
static double determinant(double *a, int64_t m) {
  double det = 1;
  for (int64_t k = 0; k < m; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < m; i++)
      if (fabs(a[i * m + k]) > fabs(a[pivot * m + k])) pivot = i;
    if (a[pivot * m + k] == 0) return 0;
    if (pivot != k) {
      det = -det;
      for (int64_t j = k; j < m; j++) {
        const double t = a[k * m + j];
        a[k * m + j] = a[pivot * m + j];
        a[pivot * m + j] = t;
      }
    }
    det *= a[k * m + k];
    for (int64_t i = k + 1; i < m; i++) {
      const double f = a[i * m + k] / a[k * m + k];
      for (int64_t j = k + 1; j < m; j++) a[i * m + j] -= f * a[k * m + j];
    }
  }
  return det;
}

static sumi_status det_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t m = x->dim[x->rank - 1], count = sumi_dims_count(x->dim, 0, x->rank - 2);
  for (int64_t i = 0; i < count; i++) {
    for (int64_t k = 0; k < m * m; k++)
      ((double *)c->scratch)[k] = sumi_get_f64(x->dtype, x->data, i * m * m + k);
    sumi_set_f64(y->dtype, y->data, i, determinant(c->scratch, m));
  }
  return SUMI_OK;
}

static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3,4,4] x) => (y) { y = Det (x) }", .rtol = 1e-6,
     .why = "rounded once; another elimination differs"},
    {"g (double[2,2] x) => (y) { y = Det (x) }", .rtol = 1e-12},
    {"g (float[2,0,0] x) => (y) { y = Det (x) }", .why = "the empty product"},
    {NULL},
};

const struct sumi_op sumi_op_det = {
    .name = "Det",
    .formula = "the determinant of every matrix",
    .known_as = {{"", "Det", {11, 22}}},
    .in = in,
    .out = out,
    .infer = det_infer,
    .ref = det_ref,
    .scratch = det_scratch,
    .cases = cases,
};

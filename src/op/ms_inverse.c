/* Inverse (com.microsoft): the inverse of every matrix of a stack [..., m, m], by elimination with row exchanges in double
 * precision, rounded once. A singular matrix is refused. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/ms_util.h"

static sumi_status inverse_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 2, SUMI_MAX_RANK));
  if (x->rank >= 2) SUMI_TRY(sumi_ms_want_dim(ctx, 0, x->rank - 2, x->dim[x->rank - 1], "number of columns"));
  sumi_infer_out_like(ctx, 0, x, SUMI_UNDEFINED);
  return SUMI_OK;
}

/* The matrix, then what becomes its inverse. */
static sumi_status inverse_scratch(const struct sumi_call *c, size_t *bytes) {
  const size_t m = (size_t)c->in[0]->dim[c->in[0]->rank - 1];
  if (!sumi_size_mul(m, m, bytes) || !sumi_size_mul(*bytes, 2 * sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "a matrix of %zu rows is too large", m);
  return SUMI_OK;
}

static void swap_rows(double *a, int64_t m, int64_t i, int64_t j) {
  for (int64_t k = 0; k < m && i != j; k++) {
    const double t = a[i * m + k];
    a[i * m + k] = a[j * m + k];
    a[j * m + k] = t;
  }
}

/* a[m, m] becomes the unit matrix, b[m, m] (the unit matrix) a's inverse; false: a is singular. */
static bool invert(double *a, double *b, int64_t m) {
  for (int64_t k = 0; k < m; k++) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < m; i++)
      if (fabs(a[i * m + k]) > fabs(a[pivot * m + k])) pivot = i;
    if (a[pivot * m + k] == 0) return false;
    swap_rows(a, m, k, pivot);
    swap_rows(b, m, k, pivot);
    const double scale = 1 / a[k * m + k];
    for (int64_t j = 0; j < m; j++) a[k * m + j] *= scale, b[k * m + j] *= scale;
    for (int64_t i = 0; i < m; i++) {
      const double f = a[i * m + k];
      for (int64_t j = 0; j < m && i != k; j++) {
        a[i * m + j] -= f * a[k * m + j];
        b[i * m + j] -= f * b[k * m + j];
      }
    }
  }
  return true;
}

static sumi_status inverse_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const int64_t m = x->dim[x->rank - 1], count = sumi_dims_count(x->dim, 0, x->rank - 2);
  double *a = c->scratch, *b = a + m * m;
  for (int64_t i = 0; i < count && m; i++) {
    for (int64_t k = 0; k < m * m; k++) {
      a[k] = sumi_get_f64(x->dtype, x->data, i * m * m + k);
      b[k] = k / m == k % m;
    }
    if (!invert(a, b, m)) SUMI_FAIL(c->err, SUMI_E_VALUE, "matrix %" PRId64 " is singular", i);
    for (int64_t k = 0; k < m * m; k++) sumi_set_f64(y->dtype, y->data, i * m * m + k, b[k]);
  }
  return SUMI_OK;
}

static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[2,3,4,4] x) => (y) { y = com.microsoft.Inverse (x) }", .rtol = 1e-6, .why = "rounded once"},
    {"g (double[5,5] x) => (y) { y = com.microsoft.Inverse (x) }", .rtol = 1e-12},
    {"g (float[2,0,0] x) => (y) { y = com.microsoft.Inverse (x) }", .why = "nothing to invert"},
    {NULL},
};

const struct sumi_op sumi_op_ms_inverse = {
    .name = "com.microsoft.Inverse",
    .formula = "the inverse of every matrix",
    .known_as = {{"com.microsoft", "Inverse", {1}}},
    .in = in,
    .out = out,
    .infer = inverse_infer,
    .ref = inverse_ref,
    .scratch = inverse_scratch,
    .cases = cases,
};

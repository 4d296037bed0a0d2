/* CDist (com.microsoft): the distance of every row of a [m, n] from every row of b [k, n],
 *   c[i, j] = sum over n of (a[i, n] - b[j, n])^2 (metric sqeuclidean), or its square root (euclidean)
 * in double precision, rounded once. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <math.h>

#include "base/size.h"
#include "base/text.h"
#include "op/ms_util.h"

static sumi_status cdist_infer(struct sumi_infer *ctx) {
  const char *metric = sumi_attr_string(ctx->node, "metric", "sqeuclidean");
  if (!sumi_streq(metric, "sqeuclidean") && !sumi_streq(metric, "euclidean"))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "metric '%s' is not known, only sqeuclidean and euclidean",
              metric);
  SUMI_TRY(sumi_ms_want_rank(ctx, 0, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, 1, 2, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, 1, 1, sumi_ms_dim(ctx, 0, 1), "number of columns of 'A'"));
  const sumi_dim dim[] = {sumi_ms_dim(ctx, 0, 0), sumi_ms_dim(ctx, 1, 0)};
  sumi_infer_out(ctx, 0, ctx->in[0].dtype, 2, dim);
  return SUMI_OK;
}

static double distance_f32(const float *a, const float *b, int64_t n) {
  enum { PARTS = 4 };
  double part[PARTS] = {0};
  int64_t k = 0;
  for (; k + PARTS <= n; k += PARTS)
    for (int p = 0; p < PARTS; p++) {
      const double d = (double)a[k + p] - (double)b[k + p];
      part[p] += d * d;
    }
  for (; k < n; k++) part[0] += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
  return part[0] + part[1] + (part[2] + part[3]);
}

/* The sum of squares between rows a[i] and b[j]. */
static double distance(const struct sumi_tensor *a, int64_t i, const struct sumi_tensor *b, int64_t j,
                       int64_t n) {
  if (a->dtype == SUMI_FLOAT32)
    return distance_f32((const float *)a->data + i * n, (const float *)b->data + j * n, n);
  double sum = 0;
  for (int64_t k = 0; k < n; k++) {
    const double d = sumi_get_f64(a->dtype, a->data, i * n + k) - sumi_get_f64(b->dtype, b->data, j * n + k);
    sum += d * d;
  }
  return sum;
}

static sumi_status cdist_ref(const struct sumi_call *c) {
  const struct sumi_tensor *a = c->in[0], *b = c->in[1], *y = c->out[0];
  const bool root = sumi_attr_is(c->node, "metric", "sqeuclidean", "euclidean");
  const int64_t n = a->dim[1];
  for (int64_t i = 0; i < a->dim[0]; i++)
    for (int64_t j = 0; j < b->dim[0]; j++) {
      const double sum = distance(a, i, b, j, n);
      sumi_set_f64(y->dtype, y->data, i * b->dim[0] + j, root ? sqrt(sum) : sum);
    }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"metric", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"A", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"C", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[4,7] a, float[5,7] b) => (y) { y = com.microsoft.CDist (a, b) }", .rtol = 1e-6,
     .why = "rounded once"},
    {"g (float[3,50] a, float[4,50] b) => (y) { y = com.microsoft.CDist <metric = \"euclidean\"> (a, b) }",
     .rtol = 1e-6, .why = "rounded once"},
    {"g (double[4,7] a, double[5,7] b) => (y) { y = com.microsoft.CDist <metric = \"euclidean\"> (a, b) }",
     .rtol = 1e-13},
    {NULL},
};

const struct sumi_op sumi_op_ms_cdist = {
    .name = "com.microsoft.CDist",
    .formula = "distances between the rows of two matrices",
    .known_as = {{"com.microsoft", "CDist", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = cdist_infer,
    .ref = cdist_ref,
    .cases = cases,
};

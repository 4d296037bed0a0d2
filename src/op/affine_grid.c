/* AffineGrid: theta is [N, r, r + 1], size lists [N, C, spatial...] with r = 2 or 3 spatial dims, y is
 * [N, spatial..., r] for GridSample: y[n, i..., a] = sum over b of theta[n, a, b] * p[b] + theta[n, a, r],
 * p the place of pixel i in [-1, 1], last spatial dim first. -1 and 1 are the centres (align_corners; the only
 * pixel of a dim of 1 lies at -1) or the outer edges of the first and last pixel. */
#include <inttypes.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"

static sumi_status affine_infer(struct sumi_infer *ctx) {
  const struct sumi_info *theta = &ctx->in[0];
  const int64_t *size;
  int n, rank = -1;
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 3));
  SUMI_TRY(sumi_op_list_length(ctx, 1, &rank));
  if (rank >= 0 && rank != 4 && rank != 5)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "size has %d entries, 4 or 5 are wanted", rank);
  SUMI_TRY(sumi_infer_ints(ctx, 1, &size, &n));
  sumi_dim batch = SUMI_DIM_UNKNOWN;
  if (theta->rank == 3) {
    const int64_t rows = theta->dim[1], cols = theta->dim[2];
    batch = theta->dim[0];
    if (rank < 0 && rows >= 0 && rows <= 3) rank = (int)rows + 2;
    if ((rows >= 0 && rows != rank - 2) || (cols >= 0 && rank >= 0 && cols != rank - 1))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "theta is [.., %" PRId64 ", %" PRId64 "] for a size of %d entries",
                rows, cols, rank);
  }
  if (rank != 4 && rank != 5) {
    sumi_infer_out_unknown(ctx, 0, theta->dtype);
    return SUMI_OK;
  }
  sumi_dim dim[SUMI_MAX_RANK] = {batch};
  for (int i = 1; i < rank - 1; i++) dim[i] = SUMI_DIM_UNKNOWN;
  dim[rank - 1] = rank - 2;
  for (int i = 0; i < n; i++) {
    if (size[i] < 0 && ctx->in[1].data) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "size[%d] is %" PRId64, i, size[i]);
    if (i == 0 && batch >= 0 && size[0] >= 0 && size[0] != batch)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the batch is %" PRId64 " in theta, %" PRId64 " in size", batch,
                size[0]);
    if (i != 1 && (i || batch < 0)) dim[i ? i - 1 : 0] = size[i];
  }
  sumi_infer_out(ctx, 0, theta->dtype, rank, dim);
  return SUMI_OK;
}

/* The place of pixel i of n. */
static double place(int64_t i, int64_t n, bool align) {
  if (align) return n > 1 ? (double)(2 * i) / (double)(n - 1) - 1 : -1;
  return (double)(2 * i + 1) / (double)n - 1;
}

enum { MOST = 3 }; /* spatial dims */

/* The matrix of an image, [r, r + 1]. */
static void read_theta(const struct sumi_tensor *theta, int64_t image, int r, double m[MOST][MOST + 1]) {
  for (int i = 0; i < r * (r + 1); i++)
    m[i / (r + 1)][i % (r + 1)] = sumi_get_f64(theta->dtype, theta->data, image * r * (r + 1) + i);
}

static sumi_status affine_ref(const struct sumi_call *c) {
  const struct sumi_tensor *theta = c->in[0], *y = c->out[0];
  const bool align = sumi_attr_int(c->node, "align_corners", 0) != 0;
  const int r = y->rank - 2;
  double m[MOST][MOST + 1] = {{0}}, x[MOST] = {0};
  int64_t at = 0;
  for (struct sumi_walk w = sumi_walk_start(r, y->dim, NULL, NULL, NULL, NULL); !w.done; sumi_walk_next(&w)) {
    read_theta(theta, w.index[0], r, m);
    for (int b = 1; b < r; b++) x[b] = place(w.index[r - b], y->dim[r - b], align);
    for (int64_t i = 0; i < y->dim[r]; i++) { /* a row */
      x[0] = place(i, y->dim[r], align);
      for (int a = 0; a < r; a++, at++) {
        double sum = m[a][r];
        for (int b = 0; b < r; b++) sum += m[a][b] * x[b];
        if (y->dtype == SUMI_FLOAT32)
          ((float *)y->data)[at] = (float)sum;
        else
          sumi_set_f64(y->dtype, y->data, at, sum);
      }
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"align_corners", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"theta", SUMI_FLOATS, 'T'}, {"size", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port out[] = {{"grid", SUMI_FLOATS, 'T'}, {NULL}};

#define WHY "double sums rounded once"
static const struct sumi_case cases[] = {
    {"g (float[2,2,3] t) => (y) <int64[4] s = {2, 3, 5, 6}> { y = AffineGrid (t, s) }", .rtol = 1e-6,
     .why = WHY},
    {"g (double[2,3,4] t) => (y) <int64[5] s = {2, 3, 4, 1, 6}> { y = AffineGrid <align_corners = 1> (t, s) "
     "}",
     .rtol = 1e-14, .why = WHY},
    {"g (float16[1,2,3] t) => (y) <int64[4] s = {1, 3, 0, 6}> { y = AffineGrid (t, s) }", .rtol = 1e-3,
     .why = "no pixels"},
    {NULL},
};

const struct sumi_op sumi_op_affine_grid = {
    .name = "AffineGrid",
    .formula = "theta * (place, 1) of every pixel",
    .known_as = {{"", "AffineGrid", {20}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = affine_infer,
    .ref = affine_ref,
    .cases = cases,
};

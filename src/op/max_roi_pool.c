/* MaxRoiPool (Girshick 2015, "Fast R-CNN"): x is [N, C, H, W], rois [R, 5] of image, x1, y1, x2, y2; y is
 * [R, C, ph, pw]. A region's corners are scaled and rounded to pixels, both ends are in it and it is at least 1 x 1; it
 * is cut into bins of equal, fractional size, and each gives the maximum of the pixels that it touches, 0 where it
 * lies outside the image. Corners and bins are computed in float32, as in the original and in ONNX Runtime: where
 * a bin ends is then the same. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"

static sumi_status read_shape(const struct sumi_node *node, const int64_t **shape, struct sumi_err *err) {
  int n;
  *shape = sumi_attr_ints(node, "pooled_shape", &n);
  if (n != 2) SUMI_FAIL(err, SUMI_E_VALUE, "pooled_shape has %d entries, not 2", n);
  for (int i = 0; i < 2; i++)
    if ((*shape)[i] < 1 || (*shape)[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "pooled_shape[%d] is %" PRId64, i, (*shape)[i]);
  return SUMI_OK;
}

static sumi_status pool_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *rois = &ctx->in[1];
  const int64_t *shape = NULL;
  SUMI_TRY(read_shape(ctx->node, &shape, ctx->err));
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 4));
  SUMI_TRY(sumi_op_want_rank(ctx, 1, 2));
  if (rois->rank == 2 && rois->dim[1] >= 0 && rois->dim[1] != 5)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a region has %" PRId64 " numbers, not 5", rois->dim[1]);
  const sumi_dim dim[4] = {rois->rank == 2 ? rois->dim[0] : SUMI_DIM_UNKNOWN,
                           x->rank == 4 ? x->dim[1] : SUMI_DIM_UNKNOWN, shape[0], shape[1]};
  sumi_infer_out(ctx, 0, x->dtype, 4, dim);
  return SUMI_OK;
}

/* One region along one dim of `size` pixels. */
struct side {
  float start, bin;
  int64_t size;
};

static struct side side_of(double from, double to, float scale, int64_t bins, int64_t size) {
  const float start = roundf((float)from * scale), end = roundf((float)to * scale);
  return (struct side){start, fmaxf(end - start + 1, 1) / (float)bins, size};
}

/* A place clipped to the pixels; what is not a number is the first. */
static int64_t clip(float at, int64_t size) { return at > 0 ? at < (float)size ? (int64_t)at : size : 0; }
static int64_t bin_start(const struct side *s, int64_t i) {
  return clip(floorf((float)i * s->bin) + s->start, s->size);
}
static int64_t bin_end(const struct side *s, int64_t i) {
  return clip(ceilf((float)(i + 1) * s->bin) + s->start, s->size);
}

/* The largest element of x[first + r * width + k] for r in rows, k in columns; 0 where there is none. */
static double largest(const struct sumi_tensor *x, int64_t first, const int64_t row[2],
                      const int64_t col[2]) {
  double best = -INFINITY;
  if (row[0] >= row[1] || col[0] >= col[1]) return 0;
  for (int64_t r = row[0]; r < row[1]; r++)
    for (int64_t k = col[0]; k < col[1]; k++) {
      const double value = sumi_get_f64(x->dtype, x->data, first + r * x->dim[3] + k);
      if (value > best) best = value;
    }
  return best;
}

static sumi_status pool_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *rois = c->in[1], *y = c->out[0];
  const float scale = sumi_attr_float(c->node, "spatial_scale", 1);
  const int64_t plane = x->dim[2] * x->dim[3];
  int64_t at = 0;
  for (int64_t r = 0; r < y->dim[0]; r++) {
    double roi[5];
    for (int i = 0; i < 5; i++) roi[i] = sumi_get_f64(rois->dtype, rois->data, r * 5 + i);
    if (!(roi[0] >= 0 && roi[0] < (double)x->dim[0]))
      SUMI_FAIL(c->err, SUMI_E_VALUE, "region %" PRId64 " is of image %g, there are %" PRId64, r, roi[0],
                x->dim[0]);
    const struct side across = side_of(roi[1], roi[3], scale, y->dim[3], x->dim[3]);
    const struct side down = side_of(roi[2], roi[4], scale, y->dim[2], x->dim[2]);
    for (int64_t k = 0; k < x->dim[1]; k++)
      for (int64_t i = 0; i < y->dim[2]; i++)
        for (int64_t j = 0; j < y->dim[3]; j++) {
          const int64_t row[] = {bin_start(&down, i), bin_end(&down, i)};
          const int64_t col[] = {bin_start(&across, j), bin_end(&across, j)};
          sumi_set_f64(y->dtype, y->data, at++,
                       largest(x, ((int64_t)roi[0] * x->dim[1] + k) * plane, row, col));
        }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {
    {"pooled_shape", SUMI_ATTR_INTS, .required = true}, {"spatial_scale", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_port in[] = {{"X", SUMI_FLOATS, 'T'}, {"rois", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,3,9,11] x) => (y) <float[3,5] r = {0,1,2,8,6, 1,-3,0,4.5,40, 0,6,6,2,2}> "
     "{ y = MaxRoiPool <pooled_shape = [3, 4]> (x, r) }"},
    {"g (float16[1,2,9,11] x, float16[2,5] r) => (y) "
     "{ y = MaxRoiPool <pooled_shape = [2, 2], spatial_scale = 5.0> (x, r) }",
     .low = 0.001, .high = 0.999},
    {NULL},
};

const struct sumi_op sumi_op_max_roi_pool = {
    .name = "MaxRoiPool",
    .formula = "max of x over each bin of each region",
    .known_as = {{"", "MaxRoiPool", {1, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = pool_infer,
    .ref = pool_ref,
    .cases = cases,
};

/* CropAndResize (com.microsoft): boxes [n, 4] = (y1, x1, y2, x2), in units of the image's last row and column, of images x
 * [batch, channels, height, width], each from the image that batch_indices names, resized to crop_size = (rows, columns):
 *   y[n, c, i, j] = x at (y1 (height - 1) + i s, ...), s = (y2 - y1) (height - 1) / (rows - 1)
 * and at the middle of the box where rows = 1; between pixels bilinear or the nearest (mode), outside the image
 * extrapolation_value. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "base/text.h"
#include "op/ms_util.h"

enum { X, BOXES, IMAGES, SIZE };

static sumi_status crop_infer(struct sumi_infer *ctx) {
  const char *mode = sumi_attr_string(ctx->node, "mode", "bilinear");
  if (!sumi_streq(mode, "bilinear") && !sumi_streq(mode, "nearest"))
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "mode is '%s', neither bilinear nor nearest", mode);
  SUMI_TRY(sumi_ms_want_rank(ctx, X, 4, 4));
  SUMI_TRY(sumi_ms_want_rank(ctx, BOXES, 2, 2));
  SUMI_TRY(sumi_ms_want_dim(ctx, BOXES, 1, 4, "count of a box's edges"));
  SUMI_TRY(sumi_ms_want_rank(ctx, IMAGES, 1, 1));
  SUMI_TRY(sumi_ms_want_dim(ctx, IMAGES, 0, sumi_ms_dim(ctx, BOXES, 0), "number of boxes"));
  SUMI_TRY(sumi_ms_want_rank(ctx, SIZE, 1, 1));
  SUMI_TRY(sumi_ms_want_dim(ctx, SIZE, 0, 2, "count of sizes"));
  const int64_t *size;
  int n;
  SUMI_TRY(sumi_infer_ints(ctx, SIZE, &size, &n));
  sumi_dim dim[] = {sumi_ms_dim(ctx, BOXES, 0), sumi_ms_dim(ctx, X, 1), SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  for (int k = 0; k < 2 && n == 2; k++) {
    if (ctx->in[SIZE].data && size[k] <= 0)
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "crop_size has %" PRId64, size[k]);
    dim[2 + k] = size[k];
  }
  sumi_infer_out(ctx, 0, ctx->in[X].dtype, 4, dim);
  return SUMI_OK;
}

/* Where row or column i of n lies in a dimension of `size` pixels, in float32 as its neighbours are chosen; NAN: outside. */
static float place(float low, float high, int64_t size, int64_t i, int64_t n) {
  const float last = (float)(size - 1);
  const float at =
      n > 1 ? low * last + (float)i * ((high - low) * last / (float)(n - 1)) : 0.5f * (low + high) * last;
  return at >= 0 && at <= last ? at : NAN;
}

/* Of a dimension of more pixels than float32 counts the last one may round up: indices are held to the image. */
static double sample(const struct sumi_tensor *x, int64_t plane, float row, float column, bool nearest) {
  const int64_t height = x->dim[2], width = x->dim[3], first = plane * height * width;
  if (nearest) {
    const int64_t i = SUMI_MIN((int64_t)roundf(row), height - 1),
                  j = SUMI_MIN((int64_t)roundf(column), width - 1);
    return sumi_get_f64(x->dtype, x->data, first + i * width + j);
  }
  const int64_t bottom = SUMI_MIN((int64_t)ceilf(row), height - 1),
                right = SUMI_MIN((int64_t)ceilf(column), width - 1);
  const int64_t top = SUMI_MIN((int64_t)floorf(row), bottom), left = SUMI_MIN((int64_t)floorf(column), right);
  const double dy = (double)row - (double)top, dx = (double)column - (double)left;
  const double a = sumi_get_f64(x->dtype, x->data, first + top * width + left),
               b = sumi_get_f64(x->dtype, x->data, first + top * width + right),
               c = sumi_get_f64(x->dtype, x->data, first + bottom * width + left),
               d = sumi_get_f64(x->dtype, x->data, first + bottom * width + right);
  const double above = a + (b - a) * dx, below = c + (d - c) * dx;
  return above + (below - above) * dy;
}

static sumi_status crop_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[X], *boxes = c->in[BOXES], *y = c->out[0];
  const int64_t channels = x->dim[1], rows = y->dim[2], columns = y->dim[3];
  const bool nearest = sumi_attr_is(c->node, "mode", "bilinear", "nearest");
  const double outside = (double)sumi_attr_float(c->node, "extrapolation_value", 0);
  int64_t o = 0;
  for (int64_t n = 0; n < boxes->dim[0]; n++) {
    const int64_t image = ((const int32_t *)c->in[IMAGES]->data)[n];
    if (image < 0 || image >= x->dim[0])
      SUMI_FAIL(c->err, SUMI_E_VALUE, "box %" PRId64 " is of image %" PRId64 " of %" PRId64, n, image,
                x->dim[0]);
    float edge[4];
    sumi_to_f32(boxes->dtype, boxes->data, 4 * n, 4, edge);
    for (int64_t k = 0; k < channels; k++)
      for (int64_t i = 0; i < rows; i++) {
        const float row = place(edge[0], edge[2], x->dim[2], i, rows);
        for (int64_t j = 0; j < columns; j++, o++) {
          const float column = place(edge[1], edge[3], x->dim[3], j, columns);
          const bool inside = !isnan(row) && !isnan(column);
          sumi_set_f64(y->dtype, y->data, o,
                       inside ? sample(x, image * channels + k, row, column, nearest) : outside);
        }
      }
  }
  return SUMI_OK;
}

#define TYPES (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_FLOAT64))
static const struct sumi_attr_spec attrs[] = {
    {"extrapolation_value", SUMI_ATTR_FLOAT}, {"mode", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_port in[] = {{"X", TYPES, 'T'},
                                      {"rois", TYPES, 'T'},
                                      {"batch_indices", SUMI_BIT(SUMI_INT32)},
                                      {"crop_size", SUMI_BIT(SUMI_INT32)},
                                      {NULL}};
static const struct sumi_port out[] = {{"Y", TYPES, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[2,3,6,7] x, float[3,4] r) => (y) <int32[3] b = {1, 0, 1}, int32[2] s = {4, 5}> { y = "
     "com.microsoft.CropAndResize <extrapolation_value = -2.0> (x, r, b, s) }",
     .rtol = 1e-6, .low = -0.2, .high = 1.2, .why = "boxes that reach beyond the image; rounded once"},
    {"g (float[1,2,6,7] x, float[2,4] r) => (y) <int32[2] b = {0, 0}, int32[2] s = {1, 3}> { y = "
     "com.microsoft.CropAndResize <mode = \"nearest\"> (x, r, b, s) }",
     .low = 0, .high = 1, .why = "the middle row of a box"},
    {NULL},
};

const struct sumi_op sumi_op_ms_crop_and_resize = {
    .name = "com.microsoft.CropAndResize",
    .formula = "boxes of images, resized",
    .known_as = {{"com.microsoft", "CropAndResize", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = crop_infer,
    .ref = crop_ref,
    .cases = cases,
};

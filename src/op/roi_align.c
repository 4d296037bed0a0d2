/* RoiAlign (He et al. 2017, "Mask R-CNN"): x is [N, C, H, W]; every region [x1, y1, x2, y2] is cut into
 * output_height x output_width bins, and each bin is the mean (or maximum) of bilinear samples on a grid in
 * it. mode max takes the largest of the four weighted corners of each sample, as the standard's reference
 * does. coordinate_transformation_mode half_pixel (default from version 16) shifts by half a pixel;
 * output_half_pixel (and version 10) does not, and takes regions as at least 1 x 1. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/call_lower.h"
#include "op/dims.h"
#include "op/op_util.h"

struct settings {
  int64_t height, width, ratio; /* of the output; samples along a bin, 0: by the region's size */
  double scale;
  bool maximum, half_pixel;
};

static sumi_status read_settings(const struct sumi_node *node, struct settings *s, struct sumi_err *err) {
  const char *mode = sumi_attr_string(node, "mode", "avg");
  const char *place = sumi_attr_string(node, "coordinate_transformation_mode",
                                       node->version < 16 ? "output_half_pixel" : "half_pixel");
  *s = (struct settings){
      .height = sumi_attr_int(node, "output_height", 1),
      .width = sumi_attr_int(node, "output_width", 1),
      .ratio = sumi_attr_int(node, "sampling_ratio", 0),
      .scale = sumi_attr_float(node, "spatial_scale", 1),
      .maximum = sumi_streq(mode, "max"),
      .half_pixel = sumi_streq(place, "half_pixel"),
  };
  if (s->height < 1 || s->height > INT32_MAX || s->width < 1 || s->width > INT32_MAX || s->ratio < 0 ||
      s->ratio > 4096)
    SUMI_FAIL(err, SUMI_E_VALUE,
              "output_height is %" PRId64 ", output_width %" PRId64 ", sampling_ratio %" PRId64, s->height,
              s->width, s->ratio);
  if (!s->maximum && !sumi_streq(mode, "avg")) SUMI_FAIL(err, SUMI_E_VALUE, "mode is '%s'", mode);
  if (!s->half_pixel && !sumi_streq(place, "output_half_pixel"))
    SUMI_FAIL(err, SUMI_E_VALUE, "coordinate_transformation_mode is '%s'", place);
  return SUMI_OK;
}

static sumi_status roi_infer(struct sumi_infer *ctx) {
  struct settings s = {0};
  SUMI_TRY(read_settings(ctx->node, &s, ctx->err));
  for (int i = 0; i < 3; i++) SUMI_TRY(sumi_op_want_rank(ctx, i, i == 0 ? 4 : 3 - i));
  const struct sumi_info *x = &ctx->in[0], *rois = &ctx->in[1], *batch = &ctx->in[2];
  if (rois->rank == 2 && rois->dim[1] >= 0 && rois->dim[1] != 4)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a region has %" PRId64 " numbers", rois->dim[1]);
  sumi_dim n = rois->rank == 2 ? rois->dim[0] : SUMI_DIM_UNKNOWN;
  const sumi_dim other = batch->rank == 1 ? batch->dim[0] : SUMI_DIM_UNKNOWN;
  if (n >= 0 && other >= 0 && n != other)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "%" PRId64 " regions, %" PRId64 " batch indices", n, other);
  if (n == SUMI_DIM_UNKNOWN || other >= 0) n = other;
  if (x->rank == 4 && (x->dim[2] == 0 || x->dim[3] == 0))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the images have no pixels");
  const sumi_dim dim[4] = {n, x->rank == 4 ? x->dim[1] : SUMI_DIM_UNKNOWN, s.height, s.width};
  sumi_infer_out(ctx, 0, x->dtype, 4, dim);
  return SUMI_OK;
}

/* The samples along one side of one region's bins. */
struct side {
  double start, bin; /* first edge, length of a bin */
  int64_t n;         /* samples in a bin */
};

static sumi_status side_of(const struct sumi_call *c, const struct settings *s, double from, double to,
                           int64_t bins, struct side *side) {
  const double offset = s->half_pixel ? 0.5 : 0, start = from * s->scale - offset;
  double length = to * s->scale - offset - start;
  if (!s->half_pixel) length = fmax(length, 1);
  const double n = s->ratio ? (double)s->ratio : ceil(length / (double)bins);
  if (!isfinite(start) || !isfinite(length) || n > 4096)
    SUMI_FAIL(c->err, SUMI_E_VALUE, "a region is from %g to %g", from, to);
  *side = (struct side){start, length / (double)bins, n > 0 ? (int64_t)n : 0};
  return SUMI_OK;
}

/* Where sample i of bin b lies, as the pixel before it and the weight of the one after; false: outside. */
static bool sample(const struct side *side, int64_t b, int64_t i, int64_t size, int64_t *low, int64_t *high,
                   double *weight) {
  double at = side->start + (double)b * side->bin + ((double)i + 0.5) * side->bin / (double)side->n;
  if (at < -1 || at > (double)size) return false;
  at = fmax(at, 0);
  *low = SUMI_MIN((int64_t)at, size - 1);
  *high = SUMI_MIN(*low + 1, size - 1);
  *weight = *low == size - 1 ? 0 : at - (double)*low;
  return true;
}

static double bin(const struct settings *s, const struct sumi_tensor *x, int64_t plane, const struct side *v,
                  const struct side *h, int64_t by, int64_t bx) {
  const int64_t width = x->dim[3];
  double result = 0;
  bool first = true;
  for (int64_t iy = 0; iy < v->n; iy++)
    for (int64_t ix = 0; ix < h->n; ix++) {
      int64_t y[2] = {0, 0}, z[2] = {0, 0};
      double wy = 0, wx = 0;
      double corner[4] = {0, 0, 0, 0};
      if (sample(v, by, iy, x->dim[2], &y[0], &y[1], &wy) && sample(h, bx, ix, width, &z[0], &z[1], &wx))
        for (int k = 0; k < 4; k++)
          corner[k] = (k / 2 ? wy : 1 - wy) * (k % 2 ? wx : 1 - wx) *
                      sumi_get_f64(x->dtype, x->data, plane + y[k / 2] * width + z[k % 2]);
      const double most = fmax(fmax(corner[0], corner[1]), fmax(corner[2], corner[3]));
      if (!s->maximum)
        result += corner[0] + corner[1] + corner[2] + corner[3];
      else
        result = first ? most : fmax(result, most);
      first = false;
    }
  return s->maximum || first ? result : result / (double)(v->n * h->n);
}

static sumi_status image_of(const struct sumi_call *c, int64_t r, int64_t *image) {
  *image = sumi_get_i64(c->in[2]->dtype, c->in[2]->data, r);
  if (*image < 0 || *image >= c->in[0]->dim[0])
    SUMI_FAIL(c->err, SUMI_E_VALUE, "batch index %" PRId64 " is outside [0, %" PRId64 ")", *image,
              c->in[0]->dim[0]);
  return SUMI_OK;
}

static sumi_status roi_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *rois = c->in[1], *y = c->out[0];
  struct settings s = {0};
  SUMI_TRY(read_settings(c->node, &s, c->err));
  int64_t at = 0;
  for (int64_t r = 0; r < y->dim[0]; r++) {
    int64_t image;
    double edge[4];
    struct side v, h;
    SUMI_TRY(image_of(c, r, &image));
    for (int k = 0; k < 4; k++) edge[k] = sumi_get_f64(rois->dtype, rois->data, 4 * r + k);
    SUMI_TRY(side_of(c, &s, edge[0], edge[2], s.width, &h));
    SUMI_TRY(side_of(c, &s, edge[1], edge[3], s.height, &v));
    for (int64_t k = 0; k < y->dim[1]; k++)
      for (int64_t by = 0; by < s.height; by++)
        for (int64_t bx = 0; bx < s.width; bx++)
          sumi_set_f64(y->dtype, y->data, at++,
                       bin(&s, x, (image * x->dim[1] + k) * x->dim[2] * x->dim[3], &v, &h, by, bx));
  }
  return SUMI_OK;
}

/* ---- for threads, float32 ------------------------------------------------------------------------------------------- */

/* The samples of a bin: they are found once for all channels. */
enum { CORNERS = 256 };
struct corners {
  int64_t at[CORNERS]; /* words of a plane */
  float weight[CORNERS];
  int n;
};

struct roi_run {
  const struct sumi_call *call;
  struct settings s;
};

/* y[k] (step apart) += the corners' weighted sum in plane k of x. */
static void add_corners(const struct corners *c, const float *x, int64_t plane, int64_t channels, float *y,
                        int64_t step) {
  for (int64_t k = 0; k < channels; k++, x += plane, y += step) {
    float sum = 0;
    for (int i = 0; i < c->n; i++) sum += c->weight[i] * x[c->at[i]];
    *y += sum;
  }
}

/* Bin (by, bx) of all channels, the average form; y is the bin in the first channel. */
static void average_bin(const struct sumi_tensor *x, const float *image, const struct side *v,
                        const struct side *h, int64_t by, int64_t bx, float *y, int64_t step) {
  const int64_t width = x->dim[3], plane = x->dim[2] * width, count = v->n * h->n;
  struct corners c = {.n = 0};
  for (int64_t k = 0; k < x->dim[1]; k++) y[k * step] = 0;
  for (int64_t iy = 0; iy < v->n; iy++)
    for (int64_t ix = 0; ix < h->n; ix++) {
      int64_t row[2], col[2];
      double wy, wx;
      if (!sample(v, by, iy, x->dim[2], &row[0], &row[1], &wy) ||
          !sample(h, bx, ix, width, &col[0], &col[1], &wx))
        continue;
      for (int k = 0; k < 4; k++, c.n++) {
        c.at[c.n] = row[k / 2] * width + col[k % 2];
        c.weight[c.n] = (float)((k / 2 ? wy : 1 - wy) * (k % 2 ? wx : 1 - wx) / (double)count);
      }
      if (c.n < CORNERS) continue;
      add_corners(&c, image, plane, x->dim[1], y, step);
      c.n = 0;
    }
  add_corners(&c, image, plane, x->dim[1], y, step);
}

static sumi_status sides_of(const struct sumi_call *c, const struct settings *s, int64_t r, struct side *v,
                            struct side *h) {
  const float *edge = (const float *)c->in[1]->data + 4 * r;
  SUMI_TRY(side_of(c, s, (double)edge[0], (double)edge[2], s->width, h));
  return side_of(c, s, (double)edge[1], (double)edge[3], s->height, v);
}

/* Regions that were all found to be sound. */
static void run_regions(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct roi_run *run = user;
  const struct sumi_call *c = run->call;
  const struct sumi_tensor *x = c->in[0];
  const int64_t bins = run->s.height * run->s.width, words = x->dim[1] * x->dim[2] * x->dim[3];
  for (int64_t r = begin; r < end; r++) {
    struct side v, h;
    if (sides_of(c, &run->s, r, &v, &h) != SUMI_OK) return;
    const float *image = (const float *)x->data + ((const int64_t *)c->in[2]->data)[r] * words;
    for (int64_t i = 0; i < bins; i++)
      average_bin(x, image, &v, &h, i / run->s.width, i % run->s.width,
                  (float *)c->out[0]->data + r * x->dim[1] * bins + i, bins);
  }
}

static sumi_status run_shared(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct roi_run run = {.call = c};
  struct side v, h;
  SUMI_TRY(read_settings(c->node, &run.s, c->err));
  for (int64_t r = 0; r < c->out[0]->dim[0]; r++) {
    SUMI_TRY(image_of(c, r, &(int64_t){0}));
    SUMI_TRY(sides_of(c, &run.s, r, &v, &h));
  }
  sumi_par_for(tools->par, c->out[0]->dim[0], 1, run_regions, &run);
  return SUMI_OK;
}

static sumi_status roi_lower(struct sumi_lower *l) {
  struct settings s = {0};
  SUMI_TRY(read_settings(l->node, &s, l->err));
  if (s.maximum || l->in[0]->dtype != SUMI_FLOAT32) {
    sumi_lower_refuse(l, "regions", "mode max, or not float32");
    return SUMI_E_UNSUPPORTED;
  }
  return sumi_call_lower(l, run_shared, NULL, 0, -1, "regions");
}

static const struct sumi_attr_spec attrs[] = {
    {"mode", SUMI_ATTR_STRING},
    {"output_height", SUMI_ATTR_INT},
    {"output_width", SUMI_ATTR_INT},
    {"sampling_ratio", SUMI_ATTR_INT},
    {"spatial_scale", SUMI_ATTR_FLOAT},
    {"coordinate_transformation_mode", SUMI_ATTR_STRING},
    {NULL},
};
static const struct sumi_port in[] = {
    {"X", SUMI_FLOATS, 'T'}, {"rois", SUMI_FLOATS, 'T'}, {"batch_indices", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[2,3,9,8] x) => (y) <float[2,4] r = {1, 2, 6.5, 7, 0, 0, 3, 9}, int64[2] b = {1, 0}>"
     " { y = RoiAlign <output_height = 3, output_width = 2, spatial_scale = 0.8> (x, r, b) }",
     .rtol = 1e-6, .why = "double sums rounded once"},
    {"g (float[1,5,40,40] x) => (y) <float[2,4] r = {-3, 2, 39, 45, 5, 5, 5.5, 5.1}, int64[2] b = {0, 0}>"
     " { y = RoiAlign <output_height = 3, output_width = 3> (x, r, b) }",
     .rtol = 2e-6, .why = "more samples than are kept at once, some outside; float sums of 196"},
    {"g (float[1,1,9,8] x) => (y) <float[1,4] r = {1, 2, 6.5, 7}, int64[1] b = {0}>"
     " { y = RoiAlign <mode = \"max\", sampling_ratio = 2, coordinate_transformation_mode = "
     "\"output_half_pixel\"> (x, r, b) }",
     .rtol = 1e-6, .why = "double products rounded once"},
    {NULL},
};

const struct sumi_op sumi_op_roi_align = {
    .name = "RoiAlign",
    .formula = "bins of bilinear samples of regions",
    .known_as = {{"", "RoiAlign", {10, 16, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = roi_infer,
    .ref = roi_ref,
    .lower = roi_lower,
    .cases = cases,
};

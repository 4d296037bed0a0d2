/* GridSample: x is [N, C, spatial...] with r spatial dims, grid [N, out..., r], y is [N, C, out...]. Each
 * grid entry is a place in [-1, 1], last spatial dim first; -1 and 1 are the centres (align_corners) or the
 * outer edges of the first and last pixel. y is the pixel nearest to it (ties to even), or an interpolation,
 * linear or cubic (Keys 1981, a = -0.75), along every dim. padding_mode says what lies outside: zeros, the
 * border, or reflections. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/grid_sample.h"
#include "op/grid_sample_lower.h"
#include "op/move.h"
#include "op/op_util.h"
#include "op/parts.h"

sumi_status sumi_grid_settings(const struct sumi_node *node, struct sumi_grid_settings *s,
                               struct sumi_err *err) {
  static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", "bicubic"};
  static const char *const paddings[] = {"zeros", "border", "reflection"};
  const char *mode = sumi_attr_string(node, "mode", "linear"),
             *padding = sumi_attr_string(node, "padding_mode", "zeros");
  int m = 0, p = 0;
  while (m < 5 && !sumi_streq(mode, modes[m])) m++; /* version 16 says bilinear and bicubic */
  while (p < 3 && !sumi_streq(padding, paddings[p])) p++;
  if (m == 5) SUMI_FAIL(err, SUMI_E_VALUE, "mode is '%s'", mode);
  if (p == 3) SUMI_FAIL(err, SUMI_E_VALUE, "padding_mode is '%s'", padding);
  *s = (struct sumi_grid_settings){(enum sumi_grid_mode)(m > SUMI_GRID_CUBIC ? m - 2 : m),
                                   (enum sumi_grid_padding)p, sumi_attr_int(node, "align_corners", 0) != 0};
  return SUMI_OK;
}

static sumi_status grid_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *grid = &ctx->in[1];
  struct sumi_grid_settings s = {0};
  SUMI_TRY(sumi_grid_settings(ctx->node, &s, ctx->err));
  const int rank = x->rank >= 0 ? x->rank : grid->rank;
  if (rank >= 0 && rank < 3) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the rank is %d, at least 3 is wanted", rank);
  if (x->rank >= 0) SUMI_TRY(sumi_op_want_rank(ctx, 1, x->rank));
  if (s.mode != SUMI_GRID_NEAREST && x->dtype == SUMI_STRING)
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "strings cannot be interpolated: mode must be nearest");
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++)
    dim[i] = i >= 2 && grid->rank == rank ? grid->dim[i - 1]
             : x->rank == rank && i < 2   ? x->dim[i]
                                          : SUMI_DIM_UNKNOWN;
  if (x->rank == rank && grid->rank == rank && rank >= 0) {
    if (grid->dim[rank - 1] >= 0 && grid->dim[rank - 1] != rank - 2)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a grid entry has %" PRId64 " numbers for %d spatial dims",
                grid->dim[rank - 1], rank - 2);
    if (grid->dim[0] >= 0 && x->dim[0] >= 0 && grid->dim[0] != x->dim[0])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the batch is %" PRId64 " and %" PRId64, x->dim[0], grid->dim[0]);
    for (int i = 2; i < rank; i++)
      if (x->dim[i] == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "spatial dim %d is 0", i);
  }
  sumi_infer_out(ctx, 0, x->dtype, rank, dim);
  return SUMI_OK;
}

/* x reflected at low and high until it lies between them. */
static double reflect(double x, double low, double high) {
  const double range = high - low;
  if (x >= low && x <= high) return x;
  if (!(range > 0)) return low;
  const double away = fmod(x < low ? low - x : x - high, 2 * range);
  const bool turned = away > range; /* an odd number of whole ranges further */
  const double back = turned ? 2 * range - away : away;
  return x < low ? low + back : high - back;
}

/* Where a grid coordinate lies among n pixels. */
static double place(const struct sumi_grid_settings *s, double g, int64_t n) {
  const double low = s->align ? 0 : -0.5, high = (double)n - (s->align ? 1 : 0.5);
  float at = (float)(s->align ? (g + 1) / 2 * (double)(n - 1) : ((g + 1) * (double)n - 1) / 2);
  if (isnan(at)) at = -4; /* somewhere outside */
  if (s->mode == SUMI_GRID_NEAREST) at = nearbyintf(at);
  if (at >= low && at <= high) return at;
  if (s->padding == SUMI_GRID_BORDER) return fmax(0, fmin(at, (double)(n - 1)));
  if (s->padding == SUMI_GRID_REFLECTION) return isinf(at) ? low : reflect(at, low, high);
  return fmax(-4, fmin(at, (double)n + 4)); /* all zeros there */
}

/* The pixel that index i stands for; -1: a zero. */
static int64_t pixel(const struct sumi_grid_settings *s, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  if (s->padding == SUMI_GRID_ZEROS) return -1;
  if (s->padding == SUMI_GRID_BORDER) return i < 0 ? 0 : n - 1;
  const double r = reflect((double)i, s->align ? 0 : -0.5, (double)n - (s->align ? 1 : 0.5));
  return SUMI_MAX(0, SUMI_MIN((int64_t)r, n - 1));
}

static double cubic(double x) {
  const double a = -0.75;
  x = fabs(x);
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

void sumi_grid_taps(const struct sumi_grid_settings *s, double g, int64_t n, struct sumi_grid_taps *t) {
  const double at = place(s, g, n);
  const int64_t base = (int64_t)floor(at);
  t->n = s->mode == SUMI_GRID_NEAREST ? 1 : s->mode == SUMI_GRID_LINEAR ? 2 : 4;
  for (int k = 0; k < t->n; k++) {
    const int64_t i = base + k - (s->mode == SUMI_GRID_CUBIC);
    const double d = fabs(at - (double)i);
    t->at[k] = pixel(s, i, n);
    t->weight[k] = s->mode == SUMI_GRID_NEAREST ? 1 : s->mode == SUMI_GRID_LINEAR ? 1 - d : cubic(d);
  }
}

/* sum[parts] = the weighted sum over all combinations of taps of r dims, from element `first` of x on. */
static void interpolate(const struct sumi_tensor *x, int r, const struct sumi_grid_taps *t,
                        const int64_t *stride, int64_t first, double sum[2]) {
  const sumi_dtype part = sumi_part_dtype(x->dtype);
  const int parts = sumi_n_parts(x->dtype);
  int64_t size[SUMI_MAX_RANK];
  sum[0] = sum[1] = 0;
  for (int i = 0; i < r; i++) size[i] = t[i].n;
  for (struct sumi_walk w = sumi_walk_start(r, size, NULL, NULL, NULL, NULL); !w.done; sumi_walk_next(&w)) {
    int64_t at = first;
    double weight = 1;
    bool inside = true;
    for (int i = 0; i < r; i++) {
      inside &= t[i].at[w.index[i]] >= 0;
      at += t[i].at[w.index[i]] * stride[i];
      weight *= t[i].weight[w.index[i]];
    }
    for (int k = 0; k < parts && inside; k++) sum[k] += weight * sumi_get_f64(part, x->data, at * parts + k);
  }
}

/* Element `to` of y: the pixel at `at` from element `first` of x on (-1: a zero), or an interpolation. */
static void sample(const struct sumi_grid_settings *s, const struct sumi_tensor *x,
                   const struct sumi_tensor *y, const struct sumi_grid_taps *t, const int64_t *stride,
                   int64_t first, int64_t at, int64_t to) {
  const int parts = sumi_n_parts(y->dtype);
  double sum[2];
  if (s->mode == SUMI_GRID_NEAREST && at >= 0) {
    sumi_copy(x->dtype, y->data, to, x->data, first + at, 1);
  } else if (s->mode == SUMI_GRID_NEAREST) {
    sumi_fill(y->dtype, y->data, to, 1, NULL, 0);
  } else {
    interpolate(x, x->rank - 2, t, stride, first, sum);
    for (int k = 0; k < parts; k++) sumi_set_f64(sumi_part_dtype(y->dtype), y->data, to * parts + k, sum[k]);
  }
}

static sumi_status grid_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *grid = c->in[1], *y = c->out[0];
  const int r = x->rank - 2;
  struct sumi_grid_settings s = {0};
  int64_t stride[SUMI_MAX_RANK];
  SUMI_TRY(sumi_grid_settings(c->node, &s, c->err));
  sumi_strides(x->dim, x->rank, stride);
  const int64_t places = sumi_dims_count(y->dim, 2, y->rank), channels = x->dim[1];
  for (int64_t b = 0; b < x->dim[0]; b++)
    for (int64_t p = 0; p < places; p++) {
      struct sumi_grid_taps t[SUMI_MAX_RANK];
      bool inside = true;
      int64_t at = 0;
      for (int i = 0; i < r; i++) {
        const double g = sumi_get_f64(grid->dtype, grid->data, (b * places + p) * r + (r - 1 - i));
        sumi_grid_taps(&s, g, x->dim[2 + i], &t[i]);
        inside &= t[i].at[0] >= 0;
        at += t[i].at[0] * stride[2 + i];
      }
      for (int64_t k = 0; k < channels; k++) {
        const int64_t first = b * stride[0] + k * stride[1], to = (b * channels + k) * places + p;
        sample(&s, x, y, t, stride + 2, first, inside ? at : -1, to);
      }
    }
  return SUMI_OK;
}

#define TYPES (SUMI_NUMBERS | SUMI_COMPLEX | SUMI_BIT(SUMI_BOOL) | SUMI_BIT(SUMI_STRING))
static const struct sumi_attr_spec attrs[] = {
    {"mode", SUMI_ATTR_STRING}, {"padding_mode", SUMI_ATTR_STRING}, {"align_corners", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"X", TYPES, 'T'}, {"grid", SUMI_FLOATS}, {NULL}};
static const struct sumi_port out[] = {{"Y", TYPES, 'T'}, {NULL}};

#define WHY "double sums rounded once"
static const struct sumi_case cases[] = {
    {"g (float[2,3,5,6] x, float[2,4,3,2] g) => (y) { y = GridSample (x, g) }", .rtol = 1e-6, .why = WHY},
    {"g (float[1,2,5,6] x, float[1,4,3,2] g) => (y) { y = GridSample <mode = \"cubic\", padding_mode = "
     "\"reflection\"> (x, g) }",
     .rtol = 1e-6, .why = WHY},
    {"g (float[1,2,5,6] x, float[1,4,3,2] g) => (y) { y = GridSample <mode = \"nearest\", padding_mode = "
     "\"border\", align_corners = 1> (x, g) }"},
    {"g (float[1,2,3,5,6] x, float[1,2,4,3,3] g) => (y) { y = GridSample <padding_mode = \"border\"> (x, g) "
     "}",
     .rtol = 1e-6, .why = WHY},
    {"g (float[2,3,5,6] x, float[2,37,41,2] g) => (y) { y = GridSample <mode = \"nearest\"> (x, g) }",
     .low = -2, .high = 2, .why = "more places than a chunk, some outside"},
    {"g (float[1,2,5,6] x, float[1,37,41,2] g) => (y) { y = GridSample <mode = \"cubic\"> (x, g) }",
     .rtol = 1e-6, .why = WHY},
    {"g (float[1,2,3,2,4] x, float[1,5,6,7,3] g) => (y) { y = GridSample <mode = \"cubic\", align_corners = "
     "1> (x, g) }",
     .rtol = 2e-6, .why = "float32 sums of 64 products"},
    {"g (float[1,2,1,6] x, float[1,7,9,2] g) => (y) { y = GridSample <padding_mode = \"reflection\", "
     "align_corners = 1> (x, g) }",
     .rtol = 1e-6, .why = WHY},
    {"g (float[2,3,9] x, float[2,7,1] g) => (y) { y = GridSample (x, g) }", .rtol = 1e-6, .why = WHY},
    {"g (float[2,3,5,6] x, float[2,0,3,2] g) => (y) { y = GridSample (x, g) }", .why = "no places"},
    {"g (float[1,2,2,3] x) => (y) <float[1,2,2,2] g = {nan, 0, inf, -1, -inf, 1, 1, -1}> { y = GridSample "
     "<padding_mode = "
     "\"border\"> (x, g) }",
     .rtol = 1e-6, .why = "places that are no numbers"},
    {"g (complex64[1,2,4,3] x, float[1,4,3,2] g) => (y) { y = GridSample <mode = \"cubic\"> (x, g) }",
     .rtol = 1e-6, .why = WHY},
    {"g (int32[1,2,5,6] x, float[1,4,3,2] g) => (y) { s = Cast <to = 8> (x) y = GridSample <mode = "
     "\"nearest\"> (s, g) }",
     .why = "strings; what lies outside is empty"},
    {NULL},
};

const struct sumi_op sumi_op_grid_sample = {
    .name = "GridSample",
    .formula = "x interpolated at the grid's places",
    .known_as = {{"", "GridSample", {16, 20, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = grid_infer,
    .ref = grid_ref,
    .lower = sumi_grid_sample_lower,
    .cases = cases,
};

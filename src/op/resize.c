/* Resize (10, 11, 13, 18, 19), Upsample (1, 7, 9): interpolation along each axis, y = sum of weights * x.
 * Sizes are given or follow from scales: floor(in * scale), computed in float as scales are. Before version
 * 11 the places are asymmetric. Weights are made once per axis (resize_axis.h), then the axes are resampled
 * one after the other, the last first, in float (double for float64 and wide integers). Integers are rounded
 * and saturated. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/dims.h"
#include "op/move.h"
#include "op/op_util.h"
#include "op/resize.h"
#include "op/resize_cells.h"
#include "op/resize_lower.h"

/* ---- attributes and inputs ----------------------------------------------------------------------------- */

static bool is_upsample(const struct sumi_node *node) { return sumi_streq(node->op->name, "Upsample"); }

static const char *const policies[] = {"stretch", "not_larger", "not_smaller", NULL};

static sumi_status choose(const struct sumi_node *node, const char *attr, const char *const *names,
                          int *which, struct sumi_err *err) {
  const char *s = sumi_attr_string(node, attr, names[0]);
  for (*which = 0; names[*which]; ++*which)
    if (sumi_streq(s, names[*which])) return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_VALUE, "%s is '%s'", attr, s);
}

static sumi_status read_how(const struct sumi_node *node, struct sumi_resize_how *how, struct sumi_err *err) {
  static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear", NULL};
  static const char *const places[] = {
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
      "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
  static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
  const bool old = is_upsample(node) || node->version < 11;
  int mode, place, rounding, policy;
  SUMI_TRY(choose(node, "mode", modes, &mode, err));
  SUMI_TRY(choose(node, "coordinate_transformation_mode", places, &place, err));
  SUMI_TRY(choose(node, "nearest_mode", roundings, &rounding, err));
  SUMI_TRY(choose(node, "keep_aspect_ratio_policy", policies, &policy, err));
  if ((mode == 3 && !(is_upsample(node) && node->version < 7)) || (mode == 2 && old))
    SUMI_FAIL(err, SUMI_E_VALUE, "mode is '%s'", modes[mode]);
  *how = (struct sumi_resize_how){
      .mode = mode == 3 ? SUMI_RESIZE_LINEAR : (enum sumi_resize_mode)mode,
      .coordinate = old ? SUMI_RESIZE_ASYMMETRIC : (enum sumi_resize_coordinate)place,
      .nearest = old ? SUMI_RESIZE_SIMPLE : (enum sumi_resize_nearest)rounding,
      .antialias = sumi_attr_int(node, "antialias", 0) != 0,
      .exclude_outside = sumi_attr_int(node, "exclude_outside", 0) != 0,
      .cubic_a = sumi_attr_float(node, "cubic_coeff_a", -0.75f),
  };
  if (how->antialias && how->mode == SUMI_RESIZE_NEAREST)
    SUMI_FAIL(err, SUMI_E_VALUE, "antialias with mode nearest");
  if (how->antialias && how->coordinate == SUMI_RESIZE_TF_CROP_AND_RESIZE)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "antialias with tf_crop_and_resize");
  return SUMI_OK;
}

/* Numbers of the inputs roi, scales, sizes; -1: this form has none. */
struct ports {
  int roi, scales, sizes;
};

static struct ports ports_of(const struct sumi_node *node) {
  if (is_upsample(node)) return (struct ports){-1, node->version < 9 ? -1 : 1, -1};
  return node->version < 11 ? (struct ports){-1, 1, -1} : (struct ports){1, 2, 3};
}

/* The axes that scales, sizes and roi list; all where the attribute is absent. */
static sumi_status listed_axes(const struct sumi_node *node, int rank, int *axis, int *n,
                               struct sumi_err *err) {
  const int64_t *list = sumi_attr_ints(node, "axes", n);
  if (list || sumi_node_attr(node, "axes")) return sumi_op_axes(list, *n, rank, axis, err);
  *n = rank;
  for (int i = 0; i < rank; i++) axis[i] = i;
  return SUMI_OK;
}

/* What sizes and scales ask for, read from data. */
struct wish {
  const struct sumi_tensor *roi, *scales, *sizes; /* NULL or empty = not given */
};

static bool given(const struct sumi_tensor *t) { return t && sumi_tensor_count(t) > 0; }

static sumi_status want_count(const struct sumi_tensor *t, const char *name, int n, struct sumi_err *err) {
  if (sumi_tensor_count(t) != n)
    SUMI_FAIL(err, SUMI_E_SHAPE, "%s lists %" PRId64 " numbers, not %d", name, sumi_tensor_count(t), n);
  return SUMI_OK;
}

/* Scale i of those listed; Upsample had attributes. */
static double scale_of(const struct sumi_node *node, const struct wish *w, int i) {
  int n;
  const float *f = sumi_attr_floats(node, "scales", &n);
  if (given(w->scales)) return sumi_get_f64(w->scales->dtype, w->scales->data, i);
  if (f) return i < n ? f[i] : 1;
  return i < 2 ? 1 : sumi_attr_float(node, i == 2 ? "height_scale" : "width_scale", 1);
}

static sumi_status check_wish(const struct sumi_node *node, const struct sumi_resize_how *how,
                              const struct wish *w, int rank, int n, struct sumi_err *err) {
  const bool by_attr = is_upsample(node) && node->version < 9;
  if (given(w->scales) && given(w->sizes)) SUMI_FAIL(err, SUMI_E_VALUE, "both scales and sizes are given");
  if (!by_attr && !given(w->scales) && !given(w->sizes) && n)
    SUMI_FAIL(err, SUMI_E_VALUE, "neither scales nor sizes are given");
  if (given(w->scales)) SUMI_TRY(want_count(w->scales, "scales", n, err));
  if (given(w->sizes)) SUMI_TRY(want_count(w->sizes, "sizes", n, err));
  if (how->coordinate == SUMI_RESIZE_TF_CROP_AND_RESIZE) {
    if (!w->roi) SUMI_FAIL(err, SUMI_E_ARG, "tf_crop_and_resize without roi");
    SUMI_TRY(want_count(w->roi, "roi", 2 * n, err));
  }
  if (!by_attr) return SUMI_OK;
  int n_scales;
  sumi_attr_floats(node, "scales", &n_scales);
  if (node->version >= 7 && n_scales != rank)
    SUMI_FAIL(err, SUMI_E_SHAPE, "scales lists %d numbers, not %d", n_scales, rank);
  if (node->version < 7 && rank != 4) SUMI_FAIL(err, SUMI_E_SHAPE, "the rank is %d, not 4", rank);
  return SUMI_OK;
}

/* From sizes: the scale is their ratio, or the one ratio that keep_aspect_ratio_policy allows. */
static sumi_status axes_by_size(const struct sumi_node *node, const struct wish *w, const int *axis, int n,
                                struct sumi_resize_axis *a, struct sumi_err *err) {
  int policy;
  SUMI_TRY(choose(node, "keep_aspect_ratio_policy", policies, &policy, err));
  double one = 0;
  for (int i = 0; i < n; i++) {
    struct sumi_resize_axis *x = &a[axis[i]];
    const int64_t size = sumi_get_i64(w->sizes->dtype, w->sizes->data, i);
    if (size < 0 || size > INT32_MAX) SUMI_FAIL(err, SUMI_E_VALUE, "sizes[%d] is %" PRId64, i, size);
    x->out = size;
    x->exact = true;
    x->scale = x->in ? (double)size / (double)x->in : 1;
    one = !i ? x->scale : policy == 1 ? fmin(one, x->scale) : fmax(one, x->scale);
  }
  for (int i = 0; policy && i < n; i++) {
    struct sumi_resize_axis *x = &a[axis[i]];
    const double size = floor(one * (double)x->in + 0.5);
    if (size > INT32_MAX) SUMI_FAIL(err, SUMI_E_LIMIT, "dimension %d would be %g", axis[i], size);
    x->out = (int64_t)size;
    x->exact = x->scale == one;
    x->scale = one;
  }
  return SUMI_OK;
}

static sumi_status axes_by_scale(const struct sumi_node *node, const struct sumi_resize_how *how,
                                 const struct wish *w, const int *axis, int n, struct sumi_resize_axis *a,
                                 struct sumi_err *err) {
  const bool crop = how->coordinate == SUMI_RESIZE_TF_CROP_AND_RESIZE;
  for (int i = 0; i < n; i++) {
    struct sumi_resize_axis *x = &a[axis[i]];
    x->scale = scale_of(node, w, i);
    if (!(x->scale > 0) || x->scale > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "scales[%d] is %g", i, x->scale);
    if (is_upsample(node) && x->scale < 1)
      SUMI_FAIL(err, SUMI_E_VALUE, "scales[%d] is %g: Upsample takes 1 and more", i, x->scale);
    const float part = crop ? (float)(x->roi_end - x->roi_start) : 1,
                size = floorf((float)x->in * part * (float)x->scale);
    if (!(size >= 0) || size > (float)INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "dimension %d would be %g", axis[i], (double)size);
    x->out = (int64_t)size;
    x->exact = x->in && (float)((double)x->out / (double)x->in) == (float)x->scale;
  }
  return SUMI_OK;
}

/* Every axis of a resize of numbers: dim[rank] are the input's, a[rank] receives the rest. */
static sumi_status read_axes(const struct sumi_node *node, const struct sumi_resize_how *how,
                             const struct wish *w, int rank, const int64_t *dim, struct sumi_resize_axis *a,
                             struct sumi_err *err) {
  int axis[SUMI_MAX_RANK], n;
  SUMI_TRY(listed_axes(node, rank, axis, &n, err));
  SUMI_TRY(check_wish(node, how, w, rank, n, err));
  for (int i = 0; i < rank; i++)
    a[i] = (struct sumi_resize_axis){.in = dim[i], .out = dim[i], .scale = 1, .exact = true, .roi_end = 1};
  if (how->coordinate == SUMI_RESIZE_TF_CROP_AND_RESIZE)
    for (int i = 0; i < n; i++) {
      a[axis[i]].roi_start = sumi_get_f64(w->roi->dtype, w->roi->data, i);
      a[axis[i]].roi_end = sumi_get_f64(w->roi->dtype, w->roi->data, n + i);
    }
  if (given(w->sizes))
    SUMI_TRY(axes_by_size(node, w, axis, n, a, err));
  else
    SUMI_TRY(axes_by_scale(node, how, w, axis, n, a, err));
  for (int i = 0; i < rank; i++)
    if (a[i].out && !a[i].in)
      SUMI_FAIL(err, SUMI_E_SHAPE, "dimension %d is to grow from 0 to %" PRId64, i, a[i].out);
  return SUMI_OK;
}

/* ---- inference ----------------------------------------------------------------------------------------- */

/* What input i may say: its data, nothing because it is absent or empty, or something not known yet. */
static bool settled(struct sumi_infer *ctx, int i, const struct sumi_tensor **t) {
  *t = NULL;
  if (i < 0 || !sumi_infer_has(ctx, i)) return true;
  *t = ctx->in[i].data;
  return ctx->in[i].data || (ctx->in[i].rank == 1 && ctx->in[i].dim[0] == 0);
}

/* A dim whose size follows from a symbol: listed sizes as they are, whole scales as products. */
static sumi_status symbolic_dims(struct sumi_infer *ctx, const struct ports *p, const struct wish *w,
                                 sumi_dim *dim) {
  const int rank = ctx->in[0].rank;
  int axis[SUMI_MAX_RANK], n, n_sizes = 0;
  const int64_t *sizes = NULL;
  SUMI_TRY(listed_axes(ctx->node, rank, axis, &n, ctx->err));
  const bool stretch = sumi_attr_is(ctx->node, "keep_aspect_ratio_policy", "stretch", "stretch");
  const bool crop =
      sumi_attr_is(ctx->node, "coordinate_transformation_mode", "half_pixel", "tf_crop_and_resize");
  if (p->sizes > 0 && sumi_infer_has(ctx, p->sizes))
    SUMI_TRY(sumi_infer_ints(ctx, p->sizes, &sizes, &n_sizes));
  const bool by_attr = is_upsample(ctx->node) && ctx->node->version < 9;
  const bool scaled =
      n_sizes == 0 && !crop && (by_attr || (given(w->scales) && sumi_tensor_count(w->scales) == n));
  for (int i = 0; i < n; i++) {
    sumi_dim *d = &dim[axis[i]];
    const double scale = scaled ? scale_of(ctx->node, w, i) : 0;
    if (stretch && n_sizes == n)
      *d = sumi_op_dim(sizes[i], ctx->in[p->sizes].data);
    else if (scale > 0 && scale <= INT32_MAX && scale == floor(scale))
      *d = sumi_dim_mul(ctx->symbols, *d, (int64_t)scale);
    else
      *d = SUMI_DIM_UNKNOWN;
  }
  return SUMI_OK;
}

static sumi_status resize_infer(struct sumi_infer *ctx) {
  const struct sumi_info *in = &ctx->in[0];
  const struct ports p = ports_of(ctx->node);
  struct sumi_resize_how how = {0};
  struct wish w = {0};
  SUMI_TRY(read_how(ctx->node, &how, ctx->err));
  if (how.mode != SUMI_RESIZE_NEAREST && sumi_dtype_in(in->dtype, SUMI_BIT(SUMI_STRING) | SUMI_COMPLEX))
    SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "interpolation of %s", sumi_dtype_label(in->dtype));
  bool all = settled(ctx, p.scales, &w.scales);
  all &= settled(ctx, p.sizes, &w.sizes);
  if (how.coordinate == SUMI_RESIZE_TF_CROP_AND_RESIZE) all &= settled(ctx, p.roi, &w.roi);
  if (in->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, in->dtype);
    return SUMI_OK;
  }
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < in->rank; i++) {
    dim[i] = in->dim[i];
    all &= in->dim[i] >= 0;
  }
  if (all) {
    struct sumi_resize_axis a[SUMI_MAX_RANK];
    SUMI_TRY(read_axes(ctx->node, &how, &w, in->rank, in->dim, a, ctx->err));
    for (int i = 0; i < in->rank; i++) dim[i] = a[i].out;
  } else {
    SUMI_TRY(symbolic_dims(ctx, &p, &w, dim));
  }
  sumi_infer_out(ctx, 0, in->dtype, in->rank, dim);
  return SUMI_OK;
}

/* ---- the reference ------------------------------------------------------------------------------------- */

/* Scratch holds, one after the other, each part aligned to 64 bytes: two buffers for what lies between two
 * axes, and one table: for every output element of an axis its first input element, then its weights. */
struct layout {
  size_t element; /* bytes: 4 or 8 */
  int64_t most;   /* elements of a buffer */
  size_t second, table, weights, total;
};

static bool in_double(sumi_dtype d) {
  return sumi_dtype_in(d,
                       SUMI_BIT(SUMI_FLOAT64) | SUMI_INDICES | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT64));
}

static sumi_status lay_out(const struct sumi_resize_how *how, const struct sumi_tensor *x,
                           const struct sumi_tensor *y, struct layout *l, struct sumi_err *err) {
  int64_t dim[SUMI_MAX_RANK], entries = 0, longest = 0;
  bool fits = true;
  *l = (struct layout){.element = in_double(x->dtype) ? 8 : 4, .most = sumi_tensor_count(x)};
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  for (int i = x->rank - 1; i >= 0; i--) {
    dim[i] = y->dim[i];
    int64_t n;
    SUMI_TRY(sumi_shape_count(dim, x->rank, &n, err));
    l->most = SUMI_MAX(l->most, n);
    /* out is the floor, or at worst the rounded value, of in * scale: the scale is at least this */
    const double least = x->dim[i] ? fmax((double)y->dim[i] - 0.5, 0.5) / (double)x->dim[i] : 1;
    fits &= sumi_i64_mul(y->dim[i], sumi_resize_taps(how, least), &n);
    entries = SUMI_MAX(entries, n);
    longest = SUMI_MAX(longest, y->dim[i]);
  }
  size_t bytes;
  fits &= sumi_size_mul((size_t)l->most, l->element, &bytes) && sumi_size_align(bytes, 64, &l->second) &&
          sumi_size_mul(l->second, how->mode == SUMI_RESIZE_NEAREST ? 0 : 2, &l->table) &&
          sumi_size_mul((size_t)longest, 8, &bytes) && sumi_size_align(bytes, 64, &bytes) &&
          sumi_size_add(l->table, bytes, &l->weights) && sumi_size_mul((size_t)entries, 8, &bytes) &&
          sumi_size_add(l->weights, bytes, &l->total);
  if (!fits) SUMI_FAIL(err, SUMI_E_LIMIT, "the scratch memory passes what can be addressed");
  return SUMI_OK;
}

static sumi_status resize_scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_resize_how how = {0};
  struct layout l;
  *bytes = 0;
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  SUMI_TRY(read_how(c->node, &how, c->err));
  SUMI_TRY(lay_out(&how, c->in[0], c->out[0], &l, c->err));
  *bytes = l.total;
  if (how.mode == SUMI_RESIZE_NEAREST) { /* an index for every output element of every axis */
    int64_t n = 0;
    for (int i = 0; i < c->out[0]->rank; i++) n += c->out[0]->dim[i];
    if (!sumi_size_mul((size_t)n, 8, bytes)) SUMI_FAIL(c->err, SUMI_E_LIMIT, "the dimensions are too long");
  }
  return SUMI_OK;
}

static const int64_t outside = INT64_MIN; /* in a table: takes the extrapolation value */

static int64_t clamp(int64_t i, int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

/* Nearest: y[i...] = x[index of i along every axis...]; any element type. */
static void resize_nearest(const struct sumi_resize_how *how, const struct sumi_resize_axis *a,
                           const struct sumi_tensor *x, const struct sumi_tensor *y, double extrapolation,
                           int64_t *table) {
  int64_t *index[SUMI_MAX_RANK], stride[SUMI_MAX_RANK];
  const int last = x->rank - 1;
  sumi_strides(x->dim, x->rank, stride);
  for (int k = 0; k < x->rank; k++) {
    index[k] = table;
    table += y->dim[k];
    for (int64_t i = 0; i < y->dim[k]; i++) {
      double weight;
      int64_t at = i;
      const bool inside =
          sumi_resize_is_identity(how, &a[k]) || sumi_resize_weights(how, &a[k], i, 1, &at, &weight);
      index[k][i] = inside ? clamp(at, a[k].in) * stride[k] : outside;
    }
  }
  int64_t row = 0;
  const int64_t width = y->dim[last], *column = index[last];
  for (struct sumi_walk w = sumi_walk_start(last, y->dim, NULL, NULL, NULL, NULL); !w.done && width;
       sumi_walk_next(&w), row += width) {
    int64_t from = 0;
    bool inside = true;
    for (int k = 0; k < last; k++) {
      inside &= index[k][w.index[k]] != outside;
      from += inside ? index[k][w.index[k]] : 0;
    }
    if (y->dtype == SUMI_FLOAT32 && how->coordinate != SUMI_RESIZE_TF_CROP_AND_RESIZE) {
      const float *s = (const float *)x->data + from;
      float *d = (float *)y->data + row;
      for (int64_t i = 0; i < width; i++) d[i] = s[column[i]];
      continue;
    }
    for (int64_t i = 0; i < width; i++) {
      if (inside && column[i] != outside)
        sumi_copy(y->dtype, y->data, row + i, x->data, from + column[i], 1);
      else
        sumi_set_f64(y->dtype, y->data, row + i, extrapolation);
    }
  }
}

/* One axis: y[o, i, j] = sum over k of weight[i, k] * x[o, clamp(first[i] + k), j]. x is [outer, n, inner], y
 * is [outer, m, inner]. Two weights, the usual case, in one go. */
#define RESAMPLE(T)                                                                                     \
  static void resample_##T(const T *x, T *y, int64_t outer, int64_t n, int64_t m, int64_t inner,        \
                           const int64_t *first, const double *weight, int64_t taps, T extrapolation) { \
    for (int64_t o = 0; o < outer; o++, x += n * inner)                                                 \
      for (int64_t i = 0; i < m; i++, y += inner) {                                                     \
        const double *w = weight + i * taps;                                                            \
        if (first[i] == outside) {                                                                      \
          for (int64_t j = 0; j < inner; j++) y[j] = extrapolation;                                     \
          continue;                                                                                     \
        }                                                                                               \
        const T *a = x + clamp(first[i], n) * inner, *b = x + clamp(first[i] + 1, n) * inner;           \
        const T u = (T)w[0], v = (T)w[1]; /* there are never less than two */                           \
        for (int64_t j = 0; j < inner; j++) y[j] = u * a[j] + v * b[j];                                 \
        for (int64_t k = 2; k < taps; k++) {                                                            \
          const T *s = x + clamp(first[i] + k, n) * inner, t = (T)w[k];                                 \
          for (int64_t j = 0; j < inner; j++) y[j] += t * s[j];                                         \
        }                                                                                               \
      }                                                                                                 \
  }
RESAMPLE(float)
RESAMPLE(double)
#undef RESAMPLE

/* Integers between their least and largest value, rounded to nearest even. */
static double saturate(sumi_dtype d, double x) {
  const char class = sumi_dtype_class(d);
  const int bits = sumi_dtype_bits(d);
  if (class == 'B') return x != 0;
  if (class != 'I' && class != 'U') return x;
  const double low = class == 'I' ? -ldexp(1, bits - 1) : 0,
               high = ldexp(1, class == 'I' ? bits - 1 : bits) - 1;
  return fmax(low, fmin(high, nearbyint(x)));
}

static void resize_weighted(const struct sumi_call *c, const struct sumi_resize_how *how,
                            const struct sumi_resize_axis *a, const struct layout *l, double extrapolation) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const bool wide = in_double(x->dtype);
  void *buffer[2] = {c->scratch, (char *)c->scratch + l->second};
  int64_t *first = (int64_t *)(void *)((char *)c->scratch + l->table);
  double *weight = (double *)(void *)((char *)c->scratch + l->weights);
  int which = 0;
  const void *from = buffer[0];
  if (x->dtype == SUMI_FLOAT32 || x->dtype == SUMI_FLOAT64)
    from = x->data;
  else if (wide)
    for (int64_t i = 0; i < sumi_tensor_count(x); i++)
      ((double *)buffer[0])[i] = sumi_get_f64(x->dtype, x->data, i);
  else
    sumi_to_f32(x->dtype, x->data, 0, sumi_tensor_count(x), buffer[0]);
  for (int k = x->rank - 1; k >= 0; k--) {
    if (sumi_resize_is_identity(how, &a[k])) continue;
    const int64_t taps = sumi_resize_taps(how, a[k].scale), m = a[k].out;
    for (int64_t i = 0; i < m; i++)
      if (!sumi_resize_weights(how, &a[k], i, taps, &first[i], weight + i * taps)) first[i] = outside;
    const int64_t outer = sumi_dims_count(x->dim, 0, k), inner = sumi_dims_count(y->dim, k + 1, y->rank);
    which = !which;
    if (wide)
      resample_double(from, buffer[which], outer, a[k].in, m, inner, first, weight, taps, extrapolation);
    else
      resample_float(from, buffer[which], outer, a[k].in, m, inner, first, weight, taps,
                     (float)extrapolation);
    from = buffer[which];
  }
  const int64_t n = sumi_tensor_count(y);
  if (y->dtype == SUMI_FLOAT32 || y->dtype == SUMI_FLOAT64)
    memcpy(y->data, from, (size_t)n * l->element);
  else if (sumi_dtype_is_float(y->dtype))
    sumi_from_f32(y->dtype, from, n, y->data, 0);
  else
    for (int64_t i = 0; i < n; i++)
      sumi_set_f64(y->dtype, y->data, i,
                   saturate(y->dtype, wide ? ((const double *)from)[i] : (double)((const float *)from)[i]));
}

sumi_status sumi_resize_resolve(const struct sumi_call *c, struct sumi_resize_how *how,
                                struct sumi_resize_axis *a) {
  const struct ports p = ports_of(c->node);
  SUMI_TRY(read_how(c->node, how, c->err));
  const struct wish w = {
      .roi = p.roi > 0 && sumi_call_has(c, p.roi) ? c->in[p.roi] : NULL,
      .scales = p.scales > 0 && sumi_call_has(c, p.scales) ? c->in[p.scales] : NULL,
      .sizes = p.sizes > 0 && sumi_call_has(c, p.sizes) ? c->in[p.sizes] : NULL,
  };
  return read_axes(c->node, how, &w, c->in[0]->rank, c->in[0]->dim, a, c->err);
}

static sumi_status resize_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  struct sumi_resize_how how = {0};
  struct sumi_resize_axis a[SUMI_MAX_RANK];
  SUMI_TRY(sumi_resize_resolve(c, &how, a));
  if (!sumi_tensor_count(y)) return SUMI_OK;
  const double extrapolation = sumi_attr_float(c->node, "extrapolation_value", 0);
  bool same = true;
  for (int i = 0; i < x->rank; i++) same &= sumi_resize_is_identity(&how, &a[i]);
  if (same) return sumi_ref_view(c);
  if (how.mode == SUMI_RESIZE_NEAREST) {
    resize_nearest(&how, a, x, y, extrapolation, c->scratch);
    return SUMI_OK;
  }
  struct layout l;
  SUMI_TRY(lay_out(&how, x, y, &l, c->err));
  resize_weighted(c, &how, a, &l, extrapolation);
  return SUMI_OK;
}

/* ---- descriptors --------------------------------------------------------------------------------------- */

#define TYPES (SUMI_NUMBERS | SUMI_BIT(SUMI_BOOL) | SUMI_BIT(SUMI_STRING) | SUMI_COMPLEX)

static const struct sumi_attr_spec resize_attrs[] = {
    {"mode", SUMI_ATTR_STRING},
    {"coordinate_transformation_mode", SUMI_ATTR_STRING},
    {"nearest_mode", SUMI_ATTR_STRING},
    {"cubic_coeff_a", SUMI_ATTR_FLOAT},
    {"exclude_outside", SUMI_ATTR_INT},
    {"extrapolation_value", SUMI_ATTR_FLOAT},
    {"antialias", SUMI_ATTR_INT},
    {"axes", SUMI_ATTR_INTS},
    {"keep_aspect_ratio_policy", SUMI_ATTR_STRING},
    {NULL},
};
static const struct sumi_port resize_in[] = {
    {"X", TYPES, 'T'},
    {"roi", SUMI_FLOATS, 0, SUMI_PORT_OPTIONAL}, /* version 10: scales */
    {"scales", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL},
    {"sizes", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port resize_out[] = {{"Y", TYPES, 'T'}, {NULL}};

#define FLOAT_WHY "sums of float products"
static const struct sumi_case resize_cases[] = {
    {"g (float[1,2,3,4] x) => (y) <float[4] s = {1, 1, 2, 3}> { y = Resize <mode = \"nearest\"> (x, , s) }"},
    {"g (float[1,2,4,6] x) => (y) <int64[4] s = {1, 2, 7, 9}> { y = Resize <mode = \"linear\"> (x, , , s) }",
     .rtol = 1e-6, .why = FLOAT_WHY},
    {"g (float[1,2,4,6] x) => (y) <int64[2] s = {3, 9}> { y = Resize <mode = \"cubic\", axes = [3, 2],"
     " coordinate_transformation_mode = \"align_corners\"> (x, , , s) }",
     .rtol = 1e-6, .why = FLOAT_WHY},
    {"g (float[1,1,9,9] x) => (y) <int64[2] s = {4, 2}> { y = Resize <mode = \"cubic\", axes = [2, 3], "
     "antialias = 1,"
     " exclude_outside = 1> (x, , , s) }",
     .rtol = 1e-6, .why = FLOAT_WHY},
    {"g (uint8[1,5,5] x) => (y) <int64[3] s = {1, 8, 3}> { y = Resize <mode = \"linear\"> (x, , , s) }",
     .low = 0, .high = 255},
    {"<opset_import: [\"\": 10]> g (float[1,1,2,4] x) => (y) <float[4] s = {1, 1, 0.6, 0.6}> { y = Resize "
     "(x, s) }",
     .why = "version 10 takes the next element going down in size"},
    {NULL},
};

const struct sumi_op sumi_op_resize = {
    .name = "Resize",
    .formula = "interpolation along axes",
    .known_as = {{"", "Resize", {10, 11, 13, 18, 19}}},
    .attrs = resize_attrs,
    .in = resize_in,
    .out = resize_out,
    .infer = resize_infer,
    .by_item = sumi_by_item_first,
    .ref = resize_ref,
    .lower = sumi_resize_lower,
    .cells = sumi_resize_cells,
    .scratch = resize_scratch,
    .cases = resize_cases,
};

static const struct sumi_attr_spec upsample_attrs[] = {
    {"mode", SUMI_ATTR_STRING},
    {"scales", SUMI_ATTR_FLOATS, false, 9},
    {"height_scale", SUMI_ATTR_FLOAT, false, 7},
    {"width_scale", SUMI_ATTR_FLOAT, false, 7},
    {NULL},
};
static const struct sumi_port upsample_in[] = {
    {"X", TYPES, 'T'},
    {"scales", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_case upsample_cases[] = {
    {"<opset_import: [\"\": 9]> g (float[1,2,3,4] x) => (y) <float[4] s = {1, 1, 2, 1.5}> { y = Upsample (x, "
     "s) }"},
    {"<opset_import: [\"\": 7]> g (float[1,2,3,4] x) => (y) { y = Upsample <mode = \"linear\", scales = "
     "[1.0, 1.0, 2.0, 2.0]> (x) }",
     .rtol = 1e-6, .why = FLOAT_WHY},
    {NULL},
};

const struct sumi_op sumi_op_upsample = {
    .name = "Upsample",
    .formula = "interpolation along axes",
    .known_as = {{"", "Upsample", {1, 7, 9, 10}}},
    .attrs = upsample_attrs,
    .in = upsample_in,
    .out = resize_out,
    .infer = resize_infer,
    .ref = resize_ref,
    .lower = sumi_resize_lower,
    .cells = sumi_resize_cells,
    .scratch = resize_scratch,
    .cases = upsample_cases,
};

/* The columns of layers' inputs, and their Gram matrices. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "compress/blas.h"
#include "compress/calibrate.h"
#include "op/conv.h"

/* ---- columns ---------------------------------------------------------------------------------------------------- */

/* Output pixel o of image b of x: every tap's channels, 0 where a tap lies outside. */
static void window_column(const struct sumi_conv *v, const float *x, int64_t group, int64_t b, int64_t o,
                          float *to) {
  const struct sumi_window *w = &v->window;
  for (int64_t tap = 0; tap < v->taps; tap++, to += v->c_group) {
    int64_t k = tap, rest = o, at = 0, pitch = 1;
    bool inside = true;
    for (int d = v->n - 1; d >= 0 && inside; d--) {
      const int64_t i = rest % w->out[d] * w->stride[d] + k % w->kernel[d] * w->dilation[d] - w->begin[d];
      inside = i >= 0 && i < v->in[d];
      at += i * pitch;
      pitch *= v->in[d];
      rest /= w->out[d];
      k /= w->kernel[d];
    }
    const int64_t base = (b * v->c_in + group * v->c_group) * v->in_pixels + at;
    for (int64_t c = 0; c < v->c_group; c++) to[c] = inside ? x[base + c * v->in_pixels] : 0;
  }
}

int64_t sumi_layer_columns(const struct sumi_layer *l, const struct sumi_tensor *x, int64_t group,
                           int64_t first, double step, int64_t count, float *to) {
  const struct sumi_op_product *p = &l->product;
  const int64_t cols = sumi_layer_cols(l);
  const float *data = x->data;
  struct sumi_conv v = {0};
  int axis = p->axis < 0 ? p->axis + x->rank : p->axis;
  if (axis < 0 || axis >= x->rank) return 0;
  if (p->window && sumi_conv_resolve(l->node, x, l->weight->constant, &v, NULL) != SUMI_OK) return 0;
  if (!p->window && x->dim[axis] != p->groups * p->channels) return 0;
  const int64_t after = p->window ? v.out_pixels : sumi_dims_count(x->dim, axis + 1, x->rank);
  const int64_t samples = (p->window ? v.batch : sumi_dims_count(x->dim, 0, axis)) * after;
  for (int64_t i = 0; i < count; i++, to += cols) {
    const int64_t s = (int64_t)((double)(first + i) * step);
    if (s >= samples) break;
    if (p->window) {
      window_column(&v, data, group, s / after, s % after, to);
      continue;
    }
    const int64_t base = (s / after * x->dim[axis] + group * p->channels) * after + s % after;
    for (int64_t c = 0; c < cols; c++) to[c] = data[base + c * after];
  }
  return samples;
}

/* ---- Gram matrices ---------------------------------------------------------------------------------------------- */

enum { CHUNK = 1024 }; /* columns summed in float32 before they go into float64 */

struct accumulator {
  const struct sumi_calibrate *c;
  const struct sumi_layer *layers;
  const size_t *layer_of;         /* [values] the layer whose input it is */
  struct sumi_layer_stats *stats; /* [layers] */
  float *x, *product;             /* [CHUNK, cols], [cols, cols] of the widest layer */
  struct sumi_arena wide;         /* an input of another type as float32 */
};

static sumi_status add_chunk(struct accumulator *a, size_t which, int64_t group, int64_t n,
                             struct sumi_err *err) {
  const struct sumi_layer *l = &a->layers[which];
  struct sumi_layer_stats *s = &a->stats[which];
  const int64_t cols = sumi_layer_cols(l);
  double *sum = s->sum + group * cols, *gram = s->gram + group * cols * cols;
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < cols; c++) sum[c] += (double)a->x[i * cols + c];
  sumi_blas_gram(cols, n, a->x, a->product);
  for (int64_t c = 0; c < cols; c++)
    if (!isfinite(sum[c]) || !isfinite(a->product[c * cols + c]))
      SUMI_FAIL(err, SUMI_E_VALUE, "the input of layer '%s' has elements that are not finite or too large",
                l->node->name);
  for (int64_t r = 0; r < cols; r++)
    for (int64_t c = 0; c <= r; c++) gram[r * cols + c] += (double)a->product[r * cols + c];
  return SUMI_OK;
}

/* t as float32, in a's own memory where it is of another type. */
static sumi_status to_float(struct accumulator *a, const struct sumi_tensor *t, struct sumi_tensor *wide,
                            struct sumi_err *err) {
  *wide = *t;
  if (t->dtype == SUMI_FLOAT32) return SUMI_OK;
  const size_t n = (size_t)sumi_tensor_count(t);
  sumi_arena_reset(&a->wide);
  float *to = SUMI_NEW_ARRAY(&a->wide, n, float);
  if (!to) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) to[i] = (float)sumi_get_f64(t->dtype, t->data, (int64_t)i);
  wide->dtype = SUMI_FLOAT32;
  wide->data = to;
  return SUMI_OK;
}

static sumi_status take_columns(void *user, size_t value, size_t first, size_t n, const struct sumi_tensor *t,
                                struct sumi_err *err) {
  (void)first, (void)n;
  struct accumulator *a = user;
  const size_t which = a->layer_of[value];
  struct sumi_tensor wide;
  SUMI_TRY(to_float(a, t, &wide, err));
  t = &wide;
  const struct sumi_layer *l = &a->layers[which];
  const int64_t all = sumi_layer_columns(l, t, 0, 0, 1, 0, NULL), limit = a->c->max_columns;
  if (!all && sumi_tensor_count(t))
    SUMI_FAIL(err, SUMI_E_SHAPE, "the input of layer '%s' does not fit its weights", l->node->name);
  const int64_t taken = limit && limit < all ? limit : all;
  const double step = taken ? (double)all / (double)taken : 1;
  for (int64_t group = 0; group < l->product.groups; group++)
    for (int64_t at = 0; at < taken; at += CHUNK) {
      const int64_t count = SUMI_MIN(taken - at, (int64_t)CHUNK);
      sumi_layer_columns(l, t, group, at, step, count, a->x);
      SUMI_TRY(add_chunk(a, which, group, count, err));
    }
  a->stats[which].samples += taken;
  return SUMI_OK;
}

/* Whether two layers read the same columns of the same value. */
static bool reads_same(const struct sumi_layer *a, const struct sumi_layer *b) {
  const struct sumi_op_product *p = &a->product, *q = &b->product;
  return p->x >= 0 && q->x >= 0 && a->node->in[p->x] == b->node->in[q->x] && !p->window && !q->window &&
         p->axis == q->axis && p->channels == q->channels && p->groups == q->groups;
}

static sumi_status make_room(const struct sumi_layer *l, struct sumi_arena *arena, struct sumi_layer_stats *s,
                             struct sumi_err *err) {
  const size_t cols = (size_t)sumi_layer_cols(l), groups = (size_t)l->product.groups;
  size_t items;
  if (!sumi_size_mul(cols, cols, &items) || !sumi_size_mul(items, groups, &items))
    SUMI_FAIL(err, SUMI_E_LIMIT, "layer '%s' has %zu columns", l->node->name, cols);
  s->gram = SUMI_NEW_ARRAY(arena, items, double);
  s->sum = SUMI_NEW_ARRAY(arena, cols * groups, double);
  if (!s->gram || !s->sum) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

static void mirror(const struct sumi_layer *l, struct sumi_layer_stats *s) {
  const int64_t cols = sumi_layer_cols(l);
  for (int64_t g = 0; g < l->product.groups; g++) {
    double *h = s->gram + g * cols * cols;
    for (int64_t r = 0; r < cols; r++)
      for (int64_t c = r + 1; c < cols; c++) h[r * cols + c] = h[c * cols + r];
  }
}

sumi_status sumi_calibrate_layers(const struct sumi_calibrate *c, const struct sumi_layer *layers, size_t n,
                                  struct sumi_arena *arena, struct sumi_layer_stats *stats,
                                  struct sumi_err *err) {
  SUMI_TRY(sumi_blas_load(c->threads, err));
  const struct sumi_allocator *al = c->graph->allocator;
  const char **names = SUMI_NEW_ARRAY(arena, n, const char *);
  size_t *layer_of = SUMI_NEW_ARRAY(arena, n, size_t), *same = SUMI_NEW_ARRAY(arena, n, size_t), n_names = 0;
  if (!names || !layer_of || !same) SUMI_FAIL_MEMORY(err);
  size_t widest = 1;
  for (size_t i = 0; i < n; i++) {
    stats[i] = (struct sumi_layer_stats){0};
    for (same[i] = 0; same[i] < i && !reads_same(&layers[same[i]], &layers[i]);) same[i]++;
    if (same[i] < i || layers[i].product.x < 0) continue;
    SUMI_TRY(make_room(&layers[i], arena, &stats[i], err));
    widest = SUMI_MAX(widest, (size_t)sumi_layer_cols(&layers[i]));
    layer_of[n_names] = i;
    names[n_names++] = layers[i].node->in[layers[i].product.x]->name;
  }
  const size_t x_bytes = CHUNK * widest * sizeof(float), product_bytes = widest * widest * sizeof(float);
  struct accumulator a = {c, layers, layer_of, stats, sumi_alloc(al, x_bytes), sumi_alloc(al, product_bytes)};
  sumi_arena_init(&a.wide, al);
  sumi_status status = SUMI_OK;
  if (!a.x || !a.product)
    status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  else
    status = sumi_calibrate_visit(c, 0, c->samples->n, names, n_names, take_columns, &a, err);
  sumi_free(al, a.x, x_bytes);
  sumi_free(al, a.product, product_bytes);
  sumi_arena_fini(&a.wide);
  for (size_t i = 0; i < n && status == SUMI_OK; i++) {
    if (same[i] == i && stats[i].gram) mirror(&layers[i], &stats[i]);
    if (same[i] < i) stats[i] = stats[same[i]];
  }
  return status;
}

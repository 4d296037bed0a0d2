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

enum { HELD = 4 };     /* every fourth run is summed up apart */
enum { CHUNK = 1024 }; /* columns summed in float32 before they go into float64 */

struct accumulator {
  const struct sumi_calibrate *c;
  const struct sumi_layer *layers;
  const size_t *layer_of;        /* [values] the layer whose input it is */
  struct sumi_layer_pair *pairs; /* [layers] */
  float *x, *beside, *product;   /* [CHUNK, cols] twice, [cols, cols] of the widest layer */
  struct sumi_arena wide;        /* inputs of another type as float32 */
};

static sumi_status add_chunk(struct accumulator *a, const struct sumi_layer *l, struct sumi_layer_stats *s,
                             int64_t group, const float *x, int64_t n, struct sumi_err *err) {
  const int64_t cols = sumi_layer_cols(l);
  double *sum = s->sum + group * cols, *gram = s->gram + group * cols * cols;
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < cols; c++) sum[c] += (double)x[i * cols + c];
  sumi_blas_gram(cols, n, x, a->product);
  for (int64_t c = 0; c < cols; c++)
    if (!isfinite(sum[c]) || !isfinite(a->product[c * cols + c]))
      SUMI_FAIL(err, SUMI_E_VALUE, "the input of layer '%s' has elements that are not finite or too large",
                l->node->name);
  for (int64_t r = 0; r < cols; r++)
    for (int64_t c = 0; c <= r; c++) gram[r * cols + c] += (double)a->product[r * cols + c];
  return SUMI_OK;
}

static void add_cross(struct accumulator *a, const struct sumi_layer *l, double *cross, int64_t n) {
  const int64_t cols = sumi_layer_cols(l);
  sumi_blas_cross(cols, n, a->beside, a->x, a->product);
  for (int64_t i = 0; i < cols * cols; i++) cross[i] += (double)a->product[i];
}

/* t as float32, in a's own memory where it is of another type. */
static sumi_status to_float(struct accumulator *a, const struct sumi_tensor *t, struct sumi_tensor *wide,
                            struct sumi_err *err) {
  *wide = *t;
  if (t->dtype == SUMI_FLOAT32) return SUMI_OK;
  const size_t n = (size_t)sumi_tensor_count(t);
  float *to = SUMI_NEW_ARRAY(&a->wide, n, float);
  if (!to) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) to[i] = (float)sumi_get_f64(t->dtype, t->data, (int64_t)i);
  wide->dtype = SUMI_FLOAT32;
  wide->data = to;
  return SUMI_OK;
}

static sumi_status take_group(struct accumulator *a, const struct sumi_layer *l, struct sumi_layer_pair *p,
                              const struct sumi_tensor *t, int64_t group, int64_t taken, double step,
                              struct sumi_err *err) {
  const int64_t cols = sumi_layer_cols(l);
  for (int64_t at = 0; at < taken; at += CHUNK) {
    const int64_t count = SUMI_MIN(taken - at, (int64_t)CHUNK);
    sumi_layer_columns(l, &t[0], group, at, step, count, a->x);
    SUMI_TRY(add_chunk(a, l, &p->now, group, a->x, count, err));
    if (!a->c->beside) continue;
    sumi_layer_columns(l, &t[1], group, at, step, count, a->beside);
    SUMI_TRY(add_chunk(a, l, &p->beside, group, a->beside, count, err));
    add_cross(a, l, p->cross + group * cols * cols, count);
  }
  return SUMI_OK;
}

static sumi_status take_columns(void *user, size_t value, size_t first, size_t n, const struct sumi_tensor *t,
                                struct sumi_err *err) {
  struct accumulator *a = user;
  const struct sumi_layer *l = &a->layers[a->layer_of[value]];
  struct sumi_layer_pair *p = &a->pairs[a->layer_of[value]];
  struct sumi_tensor wide[2];
  sumi_arena_reset(&a->wide);
  SUMI_TRY(to_float(a, &t[0], &wide[0], err));
  if (a->c->beside) SUMI_TRY(to_float(a, &t[1], &wide[1], err));
  const int64_t all = sumi_layer_columns(l, &wide[0], 0, 0, 1, 0, NULL), limit = a->c->max_columns;
  if (!all && sumi_tensor_count(t))
    SUMI_FAIL(err, SUMI_E_SHAPE, "the input of layer '%s' does not fit its weights", l->node->name);
  if (a->c->beside && sumi_layer_columns(l, &wide[1], 0, 0, 1, 0, NULL) != all)
    SUMI_FAIL(err, SUMI_E_SHAPE, "the input of layer '%s' has another shape in the network beside it",
              l->node->name);
  const int64_t taken = limit && limit < all ? limit : all;
  const double step = taken ? (double)all / (double)taken : 1;
  const bool last = first + n == a->c->samples->n; /* may be shorter than the others */
  if (p->held && first && !last && first / n % HELD == HELD - 1) p = p->held;
  for (int64_t group = 0; group < l->product.groups; group++)
    SUMI_TRY(take_group(a, l, p, wide, group, taken, step, err));
  p->now.samples += taken;
  p->beside.samples += a->c->beside ? taken : 0;
  return SUMI_OK;
}

/* Whether two layers read the same columns of the same value. */
static bool reads_same(const struct sumi_layer *a, const struct sumi_layer *b) {
  const struct sumi_op_product *p = &a->product, *q = &b->product;
  return p->x >= 0 && q->x >= 0 && a->node->in[p->x] == b->node->in[q->x] && !p->window && !q->window &&
         p->axis == q->axis && p->channels == q->channels && p->groups == q->groups;
}

static sumi_status make_room(const struct sumi_layer *l, bool paired, struct sumi_arena *arena,
                             struct sumi_layer_pair *p, struct sumi_err *err) {
  const size_t cols = (size_t)sumi_layer_cols(l), groups = (size_t)l->product.groups;
  size_t items;
  if (!sumi_size_mul(cols, cols, &items) || !sumi_size_mul(items, groups, &items))
    SUMI_FAIL(err, SUMI_E_LIMIT, "layer '%s' has %zu columns", l->node->name, cols);
  struct sumi_layer_stats *stats[] = {&p->now, &p->beside};
  for (size_t i = 0; i < (paired ? SUMI_COUNT(stats) : 1); i++) {
    stats[i]->gram = SUMI_NEW_ARRAY(arena, items, double);
    stats[i]->sum = SUMI_NEW_ARRAY(arena, cols * groups, double);
    if (!stats[i]->gram || !stats[i]->sum) SUMI_FAIL_MEMORY(err);
  }
  if (paired && !(p->cross = SUMI_NEW_ARRAY(arena, items, double))) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

/* The same for what is held out. */
static sumi_status hold_out(const struct sumi_layer *l, struct sumi_arena *arena, struct sumi_layer_pair *p,
                            struct sumi_err *err) {
  if (!(p->held = SUMI_NEW(arena, struct sumi_layer_pair))) SUMI_FAIL_MEMORY(err);
  return make_room(l, true, arena, p->held, err);
}

static void mirror(const struct sumi_layer *l, struct sumi_layer_stats *s) {
  const int64_t cols = sumi_layer_cols(l);
  for (int64_t g = 0; s->gram && g < l->product.groups; g++) {
    double *h = s->gram + g * cols * cols;
    for (int64_t r = 0; r < cols; r++)
      for (int64_t c = r + 1; c < cols; c++) h[r * cols + c] = h[c * cols + r];
  }
}

/* Runs the samples; names[n_names] are the inputs of layers layer_of[n_names]. */
static sumi_status accumulate(const struct sumi_calibrate *c, const struct sumi_layer *layers,
                              const char *const *names, const size_t *layer_of, size_t n_names,
                              struct sumi_layer_pair *pairs, struct sumi_err *err) {
  const struct sumi_allocator *al = c->graph->allocator;
  size_t widest = 1;
  for (size_t i = 0; i < n_names; i++)
    widest = SUMI_MAX(widest, (size_t)sumi_layer_cols(&layers[layer_of[i]]));
  const size_t x_bytes = CHUNK * widest * sizeof(float), product_bytes = widest * widest * sizeof(float);
  struct accumulator a = {c,
                          layers,
                          layer_of,
                          pairs,
                          sumi_alloc(al, x_bytes),
                          sumi_alloc(al, x_bytes),
                          sumi_alloc(al, product_bytes)};
  sumi_arena_init(&a.wide, al);
  sumi_status status = SUMI_OK;
  if (!a.x || !a.beside || !a.product)
    status = sumi_err_set(err, SUMI_E_MEMORY, "out of memory");
  else
    status = sumi_calibrate_visit(c, 0, c->samples->n, names, n_names, take_columns, &a, err);
  sumi_free(al, a.x, x_bytes);
  sumi_free(al, a.beside, x_bytes);
  sumi_free(al, a.product, product_bytes);
  sumi_arena_fini(&a.wide);
  return status;
}

sumi_status sumi_calibrate_pairs(const struct sumi_calibrate *c, const struct sumi_layer *layers, size_t n,
                                 struct sumi_arena *arena, struct sumi_layer_pair *pairs,
                                 struct sumi_err *err) {
  SUMI_TRY(sumi_blas_load(c->threads, err));
  const char **names = SUMI_NEW_ARRAY(arena, n, const char *);
  size_t *layer_of = SUMI_NEW_ARRAY(arena, n, size_t), *same = SUMI_NEW_ARRAY(arena, n, size_t), n_names = 0;
  if (!names || !layer_of || !same) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < n; i++) {
    pairs[i] = (struct sumi_layer_pair){0};
    for (same[i] = 0; same[i] < i && !reads_same(&layers[same[i]], &layers[i]);) same[i]++;
    if (same[i] < i || layers[i].product.x < 0) continue;
    SUMI_TRY(make_room(&layers[i], c->beside != NULL, arena, &pairs[i], err));
    if (c->beside) SUMI_TRY(hold_out(&layers[i], arena, &pairs[i], err));
    layer_of[n_names] = i;
    names[n_names++] = layers[i].node->in[layers[i].product.x]->name;
  }
  SUMI_TRY(accumulate(c, layers, names, layer_of, n_names, pairs, err));
  for (size_t i = 0; i < n; i++) {
    if (same[i] < i) {
      pairs[i] = pairs[same[i]];
      continue;
    }
    mirror(&layers[i], &pairs[i].now);
    mirror(&layers[i], &pairs[i].beside);
    if (pairs[i].held) mirror(&layers[i], &pairs[i].held->now);
    if (pairs[i].held && !pairs[i].held->now.samples) pairs[i].held = NULL;
  }
  return SUMI_OK;
}

sumi_status sumi_calibrate_layers(const struct sumi_calibrate *c, const struct sumi_layer *layers, size_t n,
                                  struct sumi_arena *arena, struct sumi_layer_stats *stats,
                                  struct sumi_err *err) {
  struct sumi_layer_pair *pairs = SUMI_NEW_ARRAY(arena, n, struct sumi_layer_pair);
  if (!pairs) SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_calibrate_pairs(c, layers, n, arena, pairs, err));
  for (size_t i = 0; i < n; i++) stats[i] = pairs[i].now;
  return SUMI_OK;
}

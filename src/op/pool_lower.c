/* MaxPool and AveragePool over up to three spatial dimensions, GlobalMaxPool and GlobalAveragePool, in float32: family
 * pool, plane by plane. Of three dimensions every slice is pooled into scratch, then family reduce combines slices:
 * windows are boxes, so a mean is the mean of means. MaxPool's indices are found by plain loops. */
#include "op/pool_lower.h"

#include <math.h>

#include "base/size.h"
#include "kernel/pool/pool.h"
#include "kernel/reduce/reduce.h"
#include "op/pool.h"
#include "op/qpool_lower.h"
#include "op/spmm_lower.h"

struct args {
  struct sumi_pool_window window;
  const struct sumi_pool_kernel *kernel;
  void (*slide)(const struct sumi_pool_window *p, const float *x, float *y); /* NULL = the plane as a whole */
  void (*whole)(const float *x, int64_t n, float *y);
  float scale; /* of what whole gives */
  int x, y;    /* buffers */
  int64_t planes, in_pixels, out_pixels;

  /* three dimensions, else slices = 0 */
  struct sumi_pool pool;
  sumi_reduce_columns_fn combine;
  bool mean;
  int64_t slices, slice_pixels, slice_out; /* of one plane: how many, pixels of x's and of y's */
  int scratch;                             /* [threads, slices, slice_out] */
};

struct state {
  const struct args *a;
  const float *x;
  float *y, *scratch;
};

/* The first place of a window that starts at `start` and steps by dilation that is not in front of the input. */
static int64_t first_inside(int64_t start, int64_t dilation) {
  return start < 0 ? start + (-start + dilation - 1) / dilation * dilation : start;
}

/* One output slice from those that its window meets, x [slices, slice_out]. */
static void combine_slices(const struct args *a, const float *x, int64_t o, float *y) {
  const struct sumi_window *w = &a->pool.window;
  const int64_t n = sumi_pool_taps(&a->pool, 0, o, false),
                first = first_inside(o * w->stride[0] - w->begin[0], w->dilation[0]);
  if (n)
    a->combine(x + first * a->slice_out, n, w->dilation[0] * a->slice_out, a->slice_out, y);
  else
    for (int64_t i = 0; i < a->slice_out; i++) y[i] = a->mean ? 0 : -INFINITY;
  const int64_t count = a->mean ? sumi_pool_taps(&a->pool, 0, o, a->pool.count_include_pad) : 1;
  if (count > 1)
    for (int64_t i = 0; i < a->slice_out; i++) y[i] /= (float)count;
}

static void run_volumes(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *s = user;
  const struct args *a = s->a;
  float *scratch = s->scratch + worker * a->slices * a->slice_out;
  for (int64_t i = begin; i < end; i++) {
    for (int64_t d = 0; d < a->slices; d++)
      a->slide(&a->window, s->x + i * a->in_pixels + d * a->slice_pixels, scratch + d * a->slice_out);
    for (int64_t o = 0; o < a->pool.window.out[0]; o++)
      combine_slices(a, scratch, o, s->y + i * a->out_pixels + o * a->slice_out);
  }
}

static void run_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  for (int64_t i = begin; i < end; i++) {
    const float *x = s->x + i * a->in_pixels;
    float *y = s->y + i * a->out_pixels;
    if (a->slide) {
      a->slide(&a->window, x, y);
    } else {
      a->whole(x, a->in_pixels, y);
      *y *= a->scale;
    }
  }
}

static sumi_status run_pool(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state s = {a, run->buffer[a->x], run->buffer[a->y], a->slices ? run->buffer[a->scratch] : NULL};
  sumi_par_for(run->par, a->planes, 1, a->slices ? run_volumes : run_planes, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "pool", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status emit(struct sumi_lower *l, struct args *a) {
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  const int writes[] = {a->y, a->scratch};
  return sumi_lower_emit(l, run_pool, a, a->kernel->name, &a->x, 1, writes, a->slices ? 2 : 1);
}

static sumi_status plan_slices(struct sumi_lower *l, const struct sumi_pool *v, bool is_max, struct args *a) {
  size_t bytes;
  a->pool = *v;
  a->mean = !is_max;
  a->combine = sumi_reduce_pick(l->isa)->columns[is_max ? SUMI_REDUCE_max : SUMI_REDUCE_sum];
  a->slices = v->in[0];
  a->slice_pixels = v->in_pixels / v->in[0];
  a->slice_out = v->out_pixels / v->window.out[0];
  if (!sumi_size_mul((size_t)a->slices, (size_t)a->slice_out, &bytes) ||
      !sumi_size_mul(bytes, (size_t)l->threads * sizeof(float), &bytes))
    return refuse(l, "the scratch memory would be too large");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

/* ---- indices -------------------------------------------------------------------------------------------------------- */

enum { D, H, WIDTH, N_DIM };

/* MaxPool of three spatial dimensions, missing ones of size 1; y and index may be -1. */
struct index_args {
  struct line {
    int64_t in, out, stride, dilation, kernel, begin;
  } line[N_DIM];
  int64_t planes, in_pixels, out_pixels;
  int x, y, index;
};

struct index_state {
  const struct index_args *a;
  const float *x;
  float *y;
  int64_t *index;
};

/* The places [*first, *end) by steps of dilation that the window of output o meets. */
static void span(const struct line *l, int64_t o, int64_t *first, int64_t *end) {
  const int64_t start = o * l->stride - l->begin;
  *first = first_inside(start, l->dilation);
  *end = SUMI_MIN(l->in, start + (l->kernel - 1) * l->dilation + 1);
}

/* One row of outputs; from: the planes' first element in x. */
static void index_row(const struct index_state *s, int64_t from, int64_t od, int64_t oy, int64_t to) {
  const struct line *line = s->a->line;
  int64_t d0, d1, y0, y1, x0, x1;
  span(&line[D], od, &d0, &d1);
  span(&line[H], oy, &y0, &y1);
  for (int64_t ox = 0; ox < line[WIDTH].out; ox++, to++) {
    float best = -INFINITY;
    int64_t at = -1;
    span(&line[WIDTH], ox, &x0, &x1);
    for (int64_t d = d0; d < d1; d += line[D].dilation)
      for (int64_t y = y0; y < y1; y += line[H].dilation)
        for (int64_t x = x0; x < x1; x += line[WIDTH].dilation) {
          const int64_t i = (d * line[H].in + y) * line[WIDTH].in + x;
          const float v = s->x[from + i];
          if (at >= 0 && !(v > best) && !(v != v && best == best)) continue;
          best = v;
          at = i;
        }
    if (s->y) s->y[to] = best;
    s->index[to] = at < 0 ? 0 : from + at;
  }
}

static void index_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct index_state *s = user;
  const struct index_args *a = s->a;
  for (int64_t i = begin; i < end; i++)
    for (int64_t r = 0; r < a->line[D].out * a->line[H].out; r++)
      index_row(s, i * a->in_pixels, r / a->line[H].out, r % a->line[H].out,
                i * a->out_pixels + r * a->line[WIDTH].out);
}

static sumi_status run_indexed(const void *args, const struct sumi_run *run) {
  const struct index_args *a = args;
  struct index_state s = {a, run->buffer[a->x], a->y < 0 ? NULL : run->buffer[a->y], run->buffer[a->index]};
  sumi_par_for(run->par, a->planes, 1, index_planes, &s);
  return SUMI_OK;
}

static sumi_status lower_indexed(struct sumi_lower *l, const struct sumi_pool *v) {
  if (v->column_major) return refuse(l, "indices count columns first");
  struct index_args *a = SUMI_NEW(l->arena, struct index_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  for (int d = 0; d < N_DIM; d++) {
    const int i = d - N_DIM + v->n;
    const struct sumi_window *w = &v->window;
    a->line[d] =
        i < 0 ? (struct line){1, 1, 1, 1, 1, 0}
              : (struct line){v->in[i], w->out[i], w->stride[i], w->dilation[i], w->kernel[i], w->begin[i]};
  }
  a->planes = v->batch * v->channels, a->in_pixels = v->in_pixels, a->out_pixels = v->out_pixels;
  a->x = l->in_buffer[0], a->index = l->out_buffer[1], a->y = l->out[0] ? l->out_buffer[0] : -1;
  const int writes[] = {a->index, a->y};
  return sumi_lower_emit(l, run_indexed, a, "loops with indices", &a->x, 1, writes, a->y < 0 ? 1 : 2);
}

/* ---- lowering ------------------------------------------------------------------------------------------------------- */

static sumi_status lower_window(struct sumi_lower *l, bool is_max) {
  struct sumi_pool v;
  if (!sumi_lower_is_f32(l->in[0])) return refuse(l, "element type is not float32");
  SUMI_TRY(sumi_pool_resolve(l->node, l->in[0], &v, l->err));
  if (v.n > N_DIM) return refuse(l, "more than three spatial dimensions");
  if (!v.batch || !v.channels || !v.in_pixels || !v.out_pixels) return refuse(l, "an empty tensor");
  if (l->n_out > 1 && l->out[1]) return lower_indexed(l, &v);
  if (!l->out[0]) return refuse(l, "no output is wanted");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_window *w = &v.window;
  const int x = v.n - 1, y = v.n - 2; /* y < 0: one row */
  a->window = (struct sumi_pool_window){.h = y < 0 ? 1 : v.in[y],
                                        .w = v.in[x],
                                        .h_out = y < 0 ? 1 : w->out[y],
                                        .w_out = w->out[x],
                                        .kh = y < 0 ? 1 : w->kernel[y],
                                        .kw = w->kernel[x],
                                        .stride_y = y < 0 ? 1 : w->stride[y],
                                        .stride_x = w->stride[x],
                                        .dilation_y = y < 0 ? 1 : w->dilation[y],
                                        .dilation_x = w->dilation[x],
                                        .top = y < 0 ? 0 : w->begin[y],
                                        .left = w->begin[x],
                                        .bottom = y < 0 ? 0 : w->end[y],
                                        .right = w->end[x],
                                        .include_pad = v.count_include_pad};
  if ((w->kernel[x] - 1) * w->dilation[x] >= SUMI_POOL_MOST_SPAN) return refuse(l, "the window is too wide");
  a->kernel = sumi_pool_pick(l->isa);
  a->slide = is_max ? a->kernel->max : a->kernel->average;
  a->planes = v.batch * v.channels;
  a->in_pixels = v.in_pixels;
  a->out_pixels = v.out_pixels;
  if (v.n == N_DIM) SUMI_TRY(plan_slices(l, &v, is_max, a));
  return emit(l, a);
}

static sumi_status lower_whole(struct sumi_lower *l, bool is_max) {
  const struct sumi_tensor *x = l->in[0];
  if (!sumi_lower_is_f32(x)) return refuse(l, "element type is not float32");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->kernel = sumi_pool_pick(l->isa);
  a->planes = x->dim[0] * x->dim[1];
  a->in_pixels = sumi_dims_count(x->dim, 2, x->rank);
  a->out_pixels = 1;
  if (!a->planes || !a->in_pixels) return refuse(l, "an empty tensor");
  a->whole = is_max ? a->kernel->plane_max : a->kernel->plane_sum;
  a->scale = is_max ? 1 : 1 / (float)a->in_pixels;
  return emit(l, a);
}

sumi_status sumi_max_pool_lower(struct sumi_lower *l) {
  return sumi_lower_is_f32(l->in[0]) ? lower_window(l, true) : sumi_qmax_pool_lower(l);
}
sumi_status sumi_average_pool_lower(struct sumi_lower *l) { return lower_window(l, false); }
sumi_status sumi_global_max_pool_lower(struct sumi_lower *l) { return lower_whole(l, true); }
sumi_status sumi_global_average_pool_lower(struct sumi_lower *l) { return lower_whole(l, false); }

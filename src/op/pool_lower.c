/* MaxPool and AveragePool over one or two spatial dimensions, GlobalMaxPool and GlobalAveragePool, in float32: family
 * pool, plane by plane. */
#include "op/pool_lower.h"

#include "base/size.h"
#include "kernel/pool/pool.h"
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
};

struct state {
  const struct args *a;
  const float *x;
  float *y;
};

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
  struct state s = {a, run->buffer[a->x], run->buffer[a->y]};
  sumi_par_for(run->par, a->planes, 1, run_planes, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "pool", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status emit(struct sumi_lower *l, struct args *a) {
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run_pool, a, a->kernel->name, &a->x, 1, &a->y, 1);
}

static sumi_status lower_window(struct sumi_lower *l, bool is_max) {
  struct sumi_pool v;
  if (!sumi_lower_is_f32(l->in[0])) return refuse(l, "element type is not float32");
  if (!l->out[0] || (l->n_out > 1 && l->out[1])) return refuse(l, "indices are wanted");
  SUMI_TRY(sumi_pool_resolve(l->node, l->in[0], &v, l->err));
  if (v.n > 2) return refuse(l, "more than two spatial dimensions");
  if (!v.batch || !v.channels || !v.in_pixels || !v.out_pixels) return refuse(l, "an empty tensor");
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

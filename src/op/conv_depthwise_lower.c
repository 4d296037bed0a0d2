/* Convolutions with one channel in and one out per group in float32 on device cpu: family depthwise, plane by plane. */
#include <math.h>

#include "base/size.h"
#include "kernel/depthwise/depthwise.h"
#include "op/conv_lower_int.h"
#include "op/eltwise_lower.h"
#include "op/spmm_lower.h"

/* Weights times the factors of their rows. */
static sumi_status make_scaled(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                               struct sumi_err *err) {
  const struct sumi_matrix *w = user;
  struct sumi_blob *blob = sumi_blob_new(a, (size_t)(w->rows * w->cols) * sizeof(float));
  if (!blob) SUMI_FAIL_MEMORY(err);
  float *to = sumi_blob_bytes(blob);
  for (int64_t r = 0; r < w->rows; r++)
    for (int64_t c = 0; c < w->cols; c++) *to++ = sumi_matrix_at(w, r, c);
  *out = blob;
  return SUMI_OK;
}

static sumi_status check_scaled(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct sumi_matrix *w = user;
  (void)data; /* numbers and nothing else */
  if (bytes != (size_t)(w->rows * w->cols) * sizeof(float))
    SUMI_FAIL(err, SUMI_E_FORMAT, "scaled weights of %zu bytes", bytes);
  return SUMI_OK;
}

static const struct sumi_pack_kind scaled_kind = {"f32_scaled.1", make_scaled, check_scaled};

struct depthwise_args {
  struct sumi_depthwise d;
  const struct sumi_depthwise_kernel *kernel;
  struct sumi_epilogue epilogue; /* what is left to do with finished planes */
  const struct sumi_eltwise_kernel *eltwise;
  int x, w, b, z, y;   /* buffers */
  const float *scaled; /* takes the place of buffer w; NULL = none */
  int64_t planes, c_out, m_group, in_pixels, out_pixels, taps;
};

struct depthwise_run {
  const struct depthwise_args *a;
  const float *x, *w, *b, *z;
  float *y;
  int64_t first; /* plane of x that lies first */
};

static void clip(const struct depthwise_args *a, float *y) {
  const float limits[] = {a->epilogue.lo, a->epilogue.hi};
  if (limits[0] > -INFINITY || limits[1] < INFINITY)
    a->eltwise->unary[SUMI_UNARY_clip](y, y, a->out_pixels, limits);
}

static void depthwise_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct depthwise_run *r = user;
  const struct depthwise_args *a = r->a;
  for (int64_t i = begin; i < end;
       i++) { /* output plane i = batch * c_out + m reads input plane i / m_group */
    const int64_t m = i % a->c_out;
    float *y = r->y + i * a->out_pixels;
    a->kernel->run(&a->d, r->x + (i / a->m_group - r->first) * a->in_pixels, r->w + m * a->taps,
                   r->b ? r->b[m] : 0, y);
    if (r->z) a->eltwise->binary[SUMI_BINARY_add](y, 1, r->z + i * a->out_pixels, 1, y, a->out_pixels);
    if (a->epilogue.act) a->epilogue.act(y, y, a->out_pixels, a->epilogue.param);
    if (r->z) clip(a, y);
  }
}

static struct depthwise_run make_run(const struct depthwise_args *a, const struct sumi_run *run) {
  return (struct depthwise_run){a,
                                run->buffer[a->x],
                                a->scaled ? a->scaled : run->buffer[a->w],
                                a->b < 0 ? NULL : run->buffer[a->b],
                                a->z < 0 ? NULL : run->buffer[a->z],
                                run->buffer[a->y],
                                0};
}

static sumi_status run_depthwise(const void *args, const struct sumi_run *run) {
  const struct depthwise_args *a = args;
  struct depthwise_run r = make_run(a, run);
  sumi_par_for(run->par, a->planes, 1, depthwise_planes, &r);
  return SUMI_OK;
}

static void run_planes(const void *args, const struct sumi_run *run, int64_t p0, int64_t p1, void *some,
                       int worker) {
  struct depthwise_run r = make_run(args, run);
  r.x = some;
  r.first = p0;
  depthwise_planes(&r, p0, p1, worker);
}

sumi_status sumi_conv_lower_depthwise(struct sumi_lower *l, const struct sumi_conv *v,
                                      const struct sumi_conv_space *s) {
  struct depthwise_args *a = SUMI_NEW(l->arena, struct depthwise_args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  a->kernel = sumi_depthwise_pick(l->isa, s->out[WIDTH]);
  SUMI_TRY(sumi_lower_epilogue(l, v->activation, &a->epilogue));
  a->d = (struct sumi_depthwise){.h = s->in[H],
                                 .w = s->in[WIDTH],
                                 .h_out = s->out[H],
                                 .w_out = s->out[WIDTH],
                                 .kh = s->kernel[H],
                                 .kw = s->kernel[WIDTH],
                                 .stride_y = s->stride[H],
                                 .stride_x = s->stride[WIDTH],
                                 .dilation_y = s->dilation[H],
                                 .dilation_x = s->dilation[WIDTH],
                                 .top = s->begin[H],
                                 .left = s->begin[WIDTH],
                                 .lo = a->epilogue.lo,
                                 .hi = a->epilogue.hi};
  a->z = l->n_in > Z && l->in[Z] ? l->in_buffer[Z] : -1;
  a->eltwise = sumi_eltwise_pick(l->isa);
  if (a->z >= 0) a->d.lo = -INFINITY, a->d.hi = INFINITY; /* only behind the sum */
  a->x = l->in_buffer[X];
  a->w = l->in_buffer[W];
  a->b = l->n_in > B && l->in[B] ? l->in_buffer[B] : -1;
  a->y = l->out_buffer[0];
  a->planes = v->batch * v->c_out;
  a->c_out = v->c_out;
  a->m_group = v->m_group;
  a->in_pixels = v->in_pixels;
  a->out_pixels = v->out_pixels;
  a->taps = v->taps;
  if (sumi_conv_scale(l)) {
    struct sumi_matrix w = {l->in[W]->data, v->c_out, v->taps, v->taps, 1, sumi_conv_scale(l)};
    const void *data = NULL;
    SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, "f32 w scaled", &scaled_kind, &w, &data, l->err));
    a->scaled = data;
  }
  int reads[4] = {a->x}, n_reads = 1;
  if (!a->scaled) reads[n_reads++] = a->w;
  if (a->b >= 0) reads[n_reads++] = a->b;
  if (a->z >= 0) reads[n_reads++] = a->z;
  SUMI_TRY(sumi_lower_emit(l, run_depthwise, a, a->kernel->name, reads, n_reads, &a->y, 1));
  if (a->m_group == 1 && a->z < 0) { /* the sum may lie over an input of the step before */
    const struct sumi_planes planes = {.n = a->planes,
                                       .unit = 1,
                                       .bytes = (size_t)a->out_pixels * sizeof(float),
                                       .own = true,
                                       .run = run_planes};
    SUMI_TRY(sumi_lower_planes(l, &planes));
  }
  const double macs = (double)a->planes * (double)v->out_pixels * (double)v->taps;
  sumi_lower_predict(l, macs / (a->kernel->gmacs * 1e9) / l->threads);
  return SUMI_OK;
}

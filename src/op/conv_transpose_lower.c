/* ConvTranspose in float32 on device cpu, one or two spatial dimensions. Output pixels o whose o + begin is p modulo the
 * stride form a phase; each phase is a convolution of stride 1 with the taps k whose k * dilation is p modulo the stride:
 *   y[s r + p - begin] = sum over those k = (p + s t) / dilation of w[k] * x[r - t]
 * So: a copy of x with a halo (family copy), one product a phase (family spmm), and the phases interleaved (family copy); of one
 * phase alone the product is the output. Weights that are known only while running are gathered in every run. */
#include "op/conv_transpose_lower.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "op/conv.h"
#include "op/spmm_lower.h"

enum { X, W, B };
enum { H, WIDTH, N_DIM };
enum { WHOLE_IMAGES = 4 }; /* so many for every thread: each takes whole ones */

/* One direction, spatial sizes and figures, and what follows: r runs over [r0, r0 + count), t up to reach. */
struct line {
  int64_t in, out, kernel, stride, dilation, begin, r0, count, reach;
};

/* The matrix of one phase, [c_out, c_group * n] row-major, of weights w [c_in, m_group, kernel...]. */
struct taps {
  const struct sumi_conv *v;
  const float *w;
  const int64_t *tap; /* [n] taps of the phase */
  int64_t n;
  int block;
};

struct phase {
  struct sumi_spmm_f32 s; /* pointers to buffers are set while running */
  struct sumi_spmm_tiles tiles;
  struct taps taps;
  int64_t gathered; /* where its matrix lies in buffer `gathered` */
};

struct args {
  const struct sumi_spmm_f32_kernel *kernel;
  const struct sumi_copy_kernel *copy;
  struct sumi_copy_halo halo, merge;
  struct phase *phase; /* [n_phase], rows of phases one after the other */
  int64_t n_phase, batch, group, blocks_group, m_group, c_group, c_in, c_out, in_pixels, out_pixels;
  struct sumi_conv v;
  int64_t image_words; /* of scratch, for one image */
  bool whole;          /* a thread takes whole images and has scratch of its own, else all share one */
  int x, w, b, y, scratch, panels, gathered; /* buffers; w, gathered: -1 = packed */
};

struct state {
  const struct args *a;
  const struct sumi_run *run;
  const float *x, *bias;
  float *planes, *sums, *y; /* the copy of one image, its sums [c_out][phase][plane], the output */
  const float *w;
  float *gathered, *panels;
};

/* Rows [begin, end) of the phase's matrix. */
static void gather(const struct taps *t, const float *w, int64_t begin, int64_t end, float *to) {
  const struct sumi_conv *v = t->v;
  for (int64_t m = begin; m < end; m++)
    for (int64_t c = 0; c < v->c_group; c++) {
      const float *from = w + ((m / v->m_group * v->c_group + c) * v->m_group + m % v->m_group) * v->taps;
      for (int64_t k = 0; k < t->n; k++) to[(m * v->c_group + c) * t->n + k] = from[t->tap[k]];
    }
}

static void gather_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t k = 0; k < st->a->n_phase; k++)
    gather(&st->a->phase[k].taps, st->w, begin, end, st->gathered + st->a->phase[k].gathered);
}

static void copy_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t i = begin; i < end; i++)
    st->a->copy->halo(&st->a->halo, st->x + i * st->a->in_pixels, st->planes + i * st->a->halo.plane);
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct args *a = st->a;
  const int64_t tiles = a->phase[0].tiles.count;
  for (int64_t i = begin; i < end; i++) {
    const int64_t tile = i % tiles, k = i / tiles % a->n_phase, group = i / tiles / a->n_phase;
    const int64_t first = group * a->blocks_group;
    struct sumi_spmm_f32 s = a->phase[k].s;
    s.x = st->planes + group * a->c_group * a->halo.plane;
    s.y = st->sums + group * a->m_group * s.y_row + k * a->merge.plane;
    if (st->bias) s.bias = st->bias + group * a->m_group;
    if (st->gathered) s.w = st->gathered + a->phase[k].gathered;
    s.w += first * s.w_block;
    if (s.start) s.start += first;
    sumi_spmm_run_tile(a->kernel, &s, &a->phase[k].tiles, tile, st->panels, worker);
  }
}

static void merge_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  for (int64_t m = begin; m < end; m++)
    a->copy->merge(&a->merge, st->sums + m * a->n_phase * a->merge.plane, st->y + m * a->out_pixels);
}

/* Image b, with the threads of par. */
static void run_image(struct state *st, int64_t b, struct sumi_par *par) {
  const struct args *a = st->a;
  st->x = (const float *)st->run->buffer[a->x] + b * a->c_in * a->in_pixels;
  st->y = (float *)st->run->buffer[a->y] + b * a->c_out * a->out_pixels;
  st->sums = a->n_phase == 1 ? st->y : st->planes + a->c_in * a->halo.plane;
  sumi_par_for(par, a->c_in, 1, copy_planes, st);
  sumi_par_for(par, a->group * a->n_phase * a->phase[0].tiles.count, 1, sum_tiles, st);
  if (a->n_phase > 1) sumi_par_for(par, a->c_out, 1, merge_planes, st);
}

static void run_images(void *user, int64_t begin, int64_t end, int worker) {
  struct state st = *(const struct state *)user;
  st.planes += worker * st.a->image_words;
  if (st.panels) st.panels += worker * sumi_spmm_f32_scratch(&st.a->phase[0].s);
  for (int64_t b = begin; b < end; b++) run_image(&st, b, NULL);
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state st = {
      .a = a, .run = r, .planes = r->buffer[a->scratch], .bias = a->b < 0 ? NULL : r->buffer[a->b]};
  st.panels = a->panels < 0 ? NULL : r->buffer[a->panels];
  if (a->gathered >= 0) {
    st.w = r->buffer[a->w];
    st.gathered = r->buffer[a->gathered];
    sumi_par_for(r->par, a->c_out, 4, gather_rows, &st);
  }
  if (a->whole)
    sumi_par_for(r->par, a->batch, 1, run_images, &st);
  else
    for (int64_t b = 0; b < a->batch; b++) run_image(&st, b, r->par);
  return SUMI_OK;
}

/* ---- weights of one phase ---------------------------------------------------------------------------------------- */

/* The phase's matrix gathered and packed. */
static sumi_status make_phase(void *user, const struct sumi_allocator *allocator, struct sumi_blob **out,
                              struct sumi_err *err) {
  const struct taps *t = user;
  const struct sumi_conv *v = t->v;
  const int64_t cols = v->c_group * t->n;
  const size_t bytes = SUMI_MAX((size_t)(v->c_out * cols) * sizeof(float), 1);
  float *dense = sumi_alloc(allocator, bytes);
  if (!dense) SUMI_FAIL_MEMORY(err);
  gather(t, t->w, 0, v->c_out, dense);
  const struct sumi_matrix matrix = {dense, v->c_out, cols, cols, 1, NULL};
  const sumi_status status = sumi_packed_make(matrix, t->block, true, allocator, out, err);
  sumi_free(allocator, dense, bytes);
  return status;
}

static sumi_status check_phase(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct taps *t = user;
  return sumi_packed_check_form(data, bytes, t->v->c_out, t->v->c_group * t->n, t->block, true, err);
}

static const struct sumi_pack_kind phase_kind = {SUMI_PACKED_KIND, make_phase, check_phase};

/* The taps k of a line with k * dilation = p modulo stride; *n of them. */
static bool of_phase(const struct line *s, int64_t k, int64_t p) { return k * s->dilation % s->stride == p; }

static sumi_status make_taps(struct sumi_lower *l, const struct sumi_conv *v, const struct line *s,
                             struct args *a, int64_t p, int64_t q, struct phase *phase) {
  const struct line *y = &s[H], *x = &s[WIDTH];
  int64_t *tap = SUMI_NEW_ARRAY(l->arena, (size_t)v->taps, int64_t), n = 0;
  int32_t *shift = SUMI_NEW_ARRAY(l->arena, (size_t)v->taps, int32_t);
  if (!tap || !shift) SUMI_FAIL_MEMORY(l->err);
  for (int64_t ky = 0; ky < y->kernel; ky++)
    for (int64_t kx = 0; kx < x->kernel; kx++) {
      if (!of_phase(y, ky, p) || !of_phase(x, kx, q)) continue;
      const int64_t ty = (ky * y->dilation - p) / y->stride, tx = (kx * x->dilation - q) / x->stride;
      shift[n] = (int32_t)((y->reach - ty) * a->halo.pitch + (x->reach - tx));
      tap[n++] = ky * x->kernel + kx;
    }
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)(v->c_group * n), int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t c = 0; c < v->c_group; c++)
    for (int64_t k = 0; k < n; k++) off[c * n + k] = (int32_t)(4 * (c * a->halo.plane + shift[k]));
  int block = SUMI_SPMM_BLOCK;
  while (v->group > 1 && v->m_group % block) block--;
  phase->taps = (struct taps){&a->v, l->in[W]->data, tap, n, block};
  if (!sumi_lower_is_constant(l, W)) {
    const int64_t cols = v->c_group * n;
    phase->s.block = block, phase->s.off = off, phase->s.n_list = cols;
    phase->s.w_row = cols, phase->s.w_entry = 1, phase->s.w_block = block * cols;
    return SUMI_OK;
  }
  char key[64];
  const void *data = NULL;
  snprintf(key, sizeof key, "f32 phase %" PRId64 " %" PRId64, p, q);
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, key, &phase_kind, &phase->taps, &data, l->err));
  return sumi_spmm_set_weights(l, &phase->s, data, off, false);
}

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_f32", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

static struct line line_of(const struct sumi_conv *v, int d) {
  struct line s = {1, 1, 1, 1, 1, 0, 0, 1, 0};
  const int i = d - N_DIM + v->n;
  if (i < 0) return s;
  const struct sumi_window *w = &v->window;
  s.in = v->in[i], s.out = w->out[i], s.kernel = w->kernel[i], s.stride = w->stride[i];
  s.dilation = w->dilation[i], s.begin = w->begin[i];
  s.r0 = floor_div(s.begin, s.stride); /* of output 0; later phases of the same r lie behind it */
  s.count = floor_div(s.out - 1 + s.begin, s.stride) - s.r0 + 1;
  s.reach = (s.kernel - 1) * s.dilation / s.stride;
  return s;
}

static sumi_status plan_copies(struct sumi_lower *l, const struct sumi_conv *v, const struct line *s,
                               struct args *a) {
  const struct line *y = &s[H], *x = &s[WIDTH];
  if (y->stride > SUMI_COPY_PHASES || x->stride > SUMI_COPY_PHASES)
    return refuse(l, "the stride has too many phases");
  a->halo = (struct sumi_copy_halo){.h = y->in,
                                    .w = x->in,
                                    .rows = y->count + y->reach,
                                    .pitch = x->count + x->reach,
                                    .top = y->reach - y->r0,
                                    .left = x->reach - x->r0,
                                    .step_y = 1,
                                    .step_x = 1,
                                    .n_y = 1,
                                    .n_x = 1};
  a->merge = (struct sumi_copy_halo){.h = y->out,
                                     .w = x->out,
                                     .rows = y->count,
                                     .pitch = x->count,
                                     .top = y->begin - y->r0 * y->stride,
                                     .left = x->begin - x->r0 * x->stride,
                                     .step_y = y->stride,
                                     .step_x = x->stride,
                                     .n_y = (int)y->stride,
                                     .n_x = (int)x->stride};
  for (int i = 0; i < SUMI_COPY_PHASES; i++) a->merge.phase_y[i] = a->merge.phase_x[i] = i;
  a->n_phase = y->stride * x->stride;
  int64_t in_words, out_words, bytes;
  if (!sumi_i64_mul(a->halo.rows, a->halo.pitch, &a->halo.plane) ||
      !sumi_i64_mul(a->halo.plane, v->c_in, &in_words) ||
      !sumi_i64_mul(a->merge.rows, a->merge.pitch, &a->merge.plane) ||
      !sumi_i64_mul(a->merge.plane, a->n_phase, &out_words) ||
      !sumi_i64_mul(out_words, v->c_out, &out_words) ||
      !sumi_i64_add(in_words, a->n_phase == 1 ? 0 : out_words, &a->image_words) ||
      !sumi_i64_mul(a->image_words, a->whole ? l->threads : 1, &bytes) || !sumi_i64_mul(bytes, 4, &bytes) ||
      !sumi_i64_mul(a->halo.plane, 4 * v->c_group, &in_words) || in_words > INT32_MAX)
    return refuse(l, "the padded input takes more than 2 GiB");
  a->scratch = sumi_lower_scratch(l, (size_t)bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

static sumi_status plan_phases(struct sumi_lower *l, const struct sumi_conv *v, const struct line *s,
                               struct args *a) {
  a->phase = SUMI_NEW_ARRAY(l->arena, (size_t)a->n_phase, struct phase);
  if (!a->phase) SUMI_FAIL_MEMORY(l->err);
  const int64_t pixels = (s[H].count - 1) * a->halo.pitch + s[WIDTH].count;
  int64_t at = 0;
  for (int64_t i = 0; i < a->n_phase; i++) {
    struct phase *phase = &a->phase[i];
    SUMI_TRY(make_taps(l, v, s, a, i / s[WIDTH].stride, i % s[WIDTH].stride, phase));
    phase->s.rows = v->m_group, phase->s.pixels = pixels, phase->s.scale = 1;
    phase->s.lo = -INFINITY, phase->s.hi = INFINITY;
    phase->s.y_row = a->n_phase * a->merge.plane;
    phase->gathered = at;
    at += v->c_out * phase->s.n_list;
    phase->s.pitch = a->halo.pitch, phase->s.width = s[WIDTH].count;
    a->blocks_group = (v->m_group + phase->s.block - 1) / phase->s.block;
    phase->tiles = sumi_spmm_tile(1, 3 * a->kernel->lanes, a->whole ? 1 : l->threads, a->blocks_group, pixels,
                                  v->m_group * v->c_group * v->taps / a->n_phase, v->c_group * a->halo.plane);
  }
  if (!sumi_lower_is_constant(l, W)) {
    a->w = l->in_buffer[W];
    a->gathered = sumi_lower_scratch(l, (size_t)SUMI_MAX(at, 1) * sizeof(float));
    if (a->gathered < 0) SUMI_FAIL_MEMORY(l->err);
  }
  return sumi_spmm_panels(l, &a->phase[0].s, &a->panels);
}

static sumi_status emit(struct sumi_lower *l, struct args *a) {
  int reads[3] = {a->x}, writes[4] = {a->y, a->scratch}, n_reads = 1, n_writes = 2;
  if (a->b >= 0) reads[n_reads++] = a->b;
  if (a->w >= 0) reads[n_reads++] = a->w;
  if (a->panels >= 0) writes[n_writes++] = a->panels;
  if (a->gathered >= 0) writes[n_writes++] = a->gathered;
  const char *name =
      sumi_arena_printf(l->arena, "%s + %s dense, %" PRId64 " phase%s%s", a->copy->name, a->kernel->name,
                        a->n_phase, a->n_phase == 1 ? "" : "s", a->w < 0 ? "" : ", weights gathered");
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, run, a, name, reads, n_reads, writes, n_writes);
}

sumi_status sumi_conv_transpose_lower(struct sumi_lower *l) {
  struct sumi_conv v;
  if (!sumi_lower_is_f32(l->in[X])) return refuse(l, "element type is not float32");
  SUMI_TRY(sumi_conv_transpose_resolve(l->node, l->in[X], l->in[W], &v, l->err));
  if (!v.batch || !v.c_in || !v.c_out || !v.in_pixels || !v.out_pixels) return refuse(l, "an empty tensor");
  if (v.n > N_DIM) return refuse(l, "more than two spatial dimensions");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct line s[N_DIM] = {line_of(&v, H), line_of(&v, WIDTH)};
  a->kernel = sumi_spmm_f32_pick(l->isa);
  a->copy = sumi_copy_pick(l->isa);
  a->batch = v.batch, a->group = v.group, a->m_group = v.m_group, a->c_group = v.c_group;
  a->c_in = v.c_in, a->c_out = v.c_out, a->in_pixels = v.in_pixels, a->out_pixels = v.out_pixels;
  a->v = v;
  a->whole = l->threads > 1 && v.batch >= WHOLE_IMAGES * l->threads;
  a->x = l->in_buffer[X];
  a->w = a->gathered = a->panels = -1;
  a->b = l->n_in > B && l->in[B] ? l->in_buffer[B] : -1;
  a->y = l->out_buffer[0];
  SUMI_TRY(plan_copies(l, &v, s, a));
  SUMI_TRY(plan_phases(l, &v, s, a));
  return emit(l, a);
}

/* DeformConv in float32 on device cpu. The planes of an image are copied with a zero behind each, which is what lies outside
 * (family copy); then, for a chunk of output pixels at a time:
 *   columns[c, k, o] = mask * x[c] interpolated where tap k of pixel o reads          (family resize, by tables made in every run)
 *   y[m, o] = bias[m] + sum over c, k of w[m, c, k] * columns[c, k, o]                 (family spmm) */
#include "op/deform_conv_lower.h"

#include <math.h>

#include "base/size.h"
#include "kernel/resize/resize.h"
#include "op/conv.h"
#include "op/spmm_lower.h"
#include "op/zero_behind.h"

enum { X, W, OFFSET, BIAS, MASK };
enum {
  NEIGHBOURS = 4,
  UNIT = 48,                /* pixels: whole vectors of every kernel */
  MOST_CHUNK = 10 * UNIT,   /* pixels of a chunk; the tables of one tap lie on the stack */
  COLUMN_WORDS = 256 * 1024 /* of a chunk, as far as a unit allows: they stay in the second-level cache */
};

struct args {
  struct sumi_spmm_f32 s; /* pointers to buffers are set while running */
  const struct sumi_spmm_f32_kernel *kernel;
  const struct sumi_resize_kernel *resize;
  struct sumi_zero_behind zero; /* of the planes of an image */
  struct sumi_conv v;
  int64_t offset_groups, chunk, blocks_group;
  struct sumi_spmm_tiles tiles, last_tiles;         /* of a whole chunk and of what is left */
  int x, w, offset, bias, mask, y, columns, panels; /* buffers; -1 = none; w -1 = packed */
};

struct state {
  const struct args *a;
  const float *offset, *mask; /* of one image; mask NULL = none */
  float *planes, *columns, *panels;
  struct sumi_spmm_f32 s;
  int64_t first, n; /* pixels of the chunk */
};

/* The four neighbours of place (r, c) and their weights, n entries apart. */
static void set_place(const struct sumi_conv *v, double r, double c, double mask, int32_t *at, float *w,
                      int64_t n) {
  const int64_t height = v->in[0], width = v->in[1], outside = v->in_pixels;
  if (!(r > -1 && r < (double)height && c > -1 && c < (double)width)) { /* or no number */
    for (int i = 0; i < NEIGHBOURS; i++) at[i * n] = (int32_t)outside, w[i * n] = (float)mask;
    return;
  }
  const double r0 = floor(r), c0 = floor(c), down = r - r0, right = c - c0;
  for (int i = 0; i < NEIGHBOURS; i++) {
    const int64_t y = (int64_t)r0 + i / 2, x = (int64_t)c0 + i % 2;
    const bool inside = y >= 0 && y < height && x >= 0 && x < width;
    at[i * n] = (int32_t)(inside ? y * width + x : outside);
    w[i * n] = (float)(mask * (i / 2 ? down : 1 - down) * (i % 2 ? right : 1 - right));
  }
}

/* Columns of taps [begin, end) of all offset groups. */
static void gather_columns(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  const struct sumi_conv *v = &a->v;
  const struct sumi_window *win = &v->window;
  const int64_t channels = v->c_in / a->offset_groups;
  int32_t at[NEIGHBOURS * MOST_CHUNK];
  float w[NEIGHBOURS * MOST_CHUNK];
  for (int64_t map = begin; map < end; map++) {
    const int64_t k = map % v->taps, group = map / v->taps;
    const int64_t ky = k / win->kernel[1] * win->dilation[0] - win->begin[0],
                  kx = k % win->kernel[1] * win->dilation[1] - win->begin[1];
    const float *down = st->offset + 2 * map * v->out_pixels, *right = down + v->out_pixels;
    for (int64_t j = 0; j < st->n; j++) {
      const int64_t o = st->first + j, oy = o / win->out[1], ox = o % win->out[1];
      set_place(v, (double)(oy * win->stride[0] + ky) + (double)down[o],
                (double)(ox * win->stride[1] + kx) + (double)right[o],
                st->mask ? (double)st->mask[map * v->out_pixels + o] : 1, at + j, w + j, st->n);
    }
    const struct sumi_resize_table table = {st->n, NEIGHBOURS, at, w};
    for (int64_t c = group * channels; c < (group + 1) * channels; c++)
      a->resize->across(&table, st->planes + c * a->zero.halo.plane,
                        st->columns + (c * v->taps + k) * a->chunk);
  }
}

static const struct sumi_spmm_tiles *tiles_of(const struct state *st) {
  return st->n == st->a->chunk ? &st->a->tiles : &st->a->last_tiles;
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct args *a = st->a;
  const struct sumi_conv *v = &a->v;
  const struct sumi_spmm_tiles *tiles = tiles_of(st);
  for (int64_t i = begin; i < end; i++) {
    const int64_t group = i / tiles->count, block = group * a->blocks_group;
    struct sumi_spmm_f32 s = st->s;
    s.pixels = s.pitch = s.width = st->n;
    s.x = st->columns + group * v->c_group * v->taps * a->chunk;
    s.y += group * v->m_group * v->out_pixels + st->first;
    if (s.bias) s.bias += group * v->m_group;
    s.w += block * s.w_block;
    if (s.start) s.start += block;
    sumi_spmm_run_tile(a->kernel, &s, tiles, i % tiles->count, st->panels, worker);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  const struct sumi_conv *v = &a->v;
  const int64_t maps = a->offset_groups * v->taps;
  struct state st = {
      .a = a, .s = a->s, .planes = r->buffer[a->zero.buffer], .columns = r->buffer[a->columns]};
  st.panels = a->panels < 0 ? NULL : r->buffer[a->panels];
  if (a->w >= 0) st.s.w = r->buffer[a->w];
  if (a->bias >= 0) st.s.bias = r->buffer[a->bias];
  for (int64_t b = 0; b < v->batch; b++) {
    st.offset = (const float *)r->buffer[a->offset] + b * 2 * maps * v->out_pixels;
    if (a->mask >= 0) st.mask = (const float *)r->buffer[a->mask] + b * maps * v->out_pixels;
    st.s.y = (float *)r->buffer[a->y] + b * v->c_out * v->out_pixels;
    sumi_zero_behind_copy(&a->zero, r->par, (const float *)r->buffer[a->x] + b * v->c_in * v->in_pixels,
                          st.planes);
    for (st.first = 0; st.first < v->out_pixels; st.first += a->chunk) {
      st.n = SUMI_MIN(v->out_pixels - st.first, a->chunk);
      sumi_par_for(r->par, maps, 1, gather_columns, &st);
      sumi_par_for(r->par, v->group * tiles_of(&st)->count, 1, sum_tiles, &st);
    }
  }
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_f32", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static int buffer_of(const struct sumi_lower *l, int i) {
  return i < l->n_in && l->in[i] ? l->in_buffer[i] : -1;
}

static sumi_status scratch(struct sumi_lower *l, int64_t planes, int64_t words, int *buffer) {
  size_t bytes;
  if (!sumi_size_mul((size_t)planes, (size_t)words, &bytes) || !sumi_size_mul(bytes, sizeof(float), &bytes))
    return refuse(l, "the scratch memory would be too large");
  *buffer = sumi_lower_scratch(l, bytes);
  if (*buffer < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

/* The weights packed, or as they lie where they are known only while running. */
static sumi_status set_weights(struct sumi_lower *l, struct args *a, double *predicted_s) {
  const struct sumi_conv *v = &a->v;
  const int64_t k = v->c_group * v->taps;
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)k, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t e = 0; e < k; e++) off[e] = (int32_t)(4 * e * a->chunk);
  int block = SUMI_SPMM_BLOCK;
  while (v->group > 1 && v->m_group % block) block--; /* none reaches into the next group */
  if (sumi_lower_is_constant(l, W)) {
    const struct sumi_matrix matrix = {l->in[W]->data, v->c_out, k, k, 1, NULL};
    struct sumi_spmm_weights packed;
    SUMI_TRY(sumi_spmm_pack(l, a->kernel, matrix, v->group > 1 ? block : 0, v->out_pixels, "w", &packed));
    *predicted_s = packed.predicted_s;
    l->spent[W] = true;
    a->w = -1;
    return sumi_spmm_set_weights(l, &a->s, packed.packed, off, false);
  }
  const double blocks = (double)v->group * (double)((v->m_group + block - 1) / block);
  *predicted_s = sumi_spmm_f32_predict(a->kernel, block, true, blocks * (double)k, blocks, v->out_pixels);
  a->w = l->in_buffer[W];
  a->s.block = block, a->s.off = off, a->s.n_list = k;
  a->s.w_row = k, a->s.w_entry = 1, a->s.w_block = block * k;
  return SUMI_OK;
}

static sumi_status set_product(struct sumi_lower *l, struct args *a, double *predicted_s) {
  const struct sumi_conv *v = &a->v;
  const int64_t k = v->c_group * v->taps;
  SUMI_TRY(set_weights(l, a, predicted_s));
  struct sumi_spmm_f32 *s = &a->s;
  s->rows = v->m_group, s->pixels = s->pitch = s->width = a->chunk, s->y_row = v->out_pixels;
  s->scale = 1, s->lo = -INFINITY, s->hi = INFINITY;
  a->blocks_group = (v->m_group + s->block - 1) / s->block;
  const int64_t left = v->out_pixels % a->chunk;
  a->tiles = sumi_spmm_tile(1, UNIT, l->threads, a->blocks_group, a->chunk, v->m_group * k, k * a->chunk);
  if (left)
    a->last_tiles = sumi_spmm_tile(1, UNIT, l->threads, a->blocks_group, left, v->m_group * k, k * left);
  return sumi_spmm_panels(l, s, &a->panels);
}

static sumi_status emit(struct sumi_lower *l, const struct args *a) {
  int reads[5] = {a->x, a->offset}, writes[4] = {a->y, a->zero.buffer, a->columns}, n_reads = 2, n_writes = 3;
  if (a->w >= 0) reads[n_reads++] = a->w;
  if (a->bias >= 0) reads[n_reads++] = a->bias;
  if (a->mask >= 0) reads[n_reads++] = a->mask;
  if (a->panels >= 0) writes[n_writes++] = a->panels;
  const char *name =
      sumi_arena_printf(l->arena, "%s + %s %s %d%s", a->resize->name, a->kernel->name,
                        a->s.start ? "sparse" : "dense", a->s.block, a->w < 0 ? "" : ", weights as they lie");
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, run, a, name, reads, n_reads, writes, n_writes);
}

sumi_status sumi_deform_conv_lower(struct sumi_lower *l) {
  if (!sumi_lower_is_f32(l->in[X])) return refuse(l, "element type is not float32");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  struct sumi_conv *v = &a->v;
  SUMI_TRY(sumi_conv_resolve(l->node, l->in[X], l->in[W], v, l->err));
  if (!v->batch || !v->c_group || !v->c_out || !v->in_pixels || !v->out_pixels)
    return refuse(l, "an empty tensor");
  const int64_t fit = COLUMN_WORDS / (v->c_in * v->taps) / UNIT * UNIT;
  a->chunk = SUMI_MIN(v->out_pixels, SUMI_MAX(UNIT, SUMI_MIN(fit, MOST_CHUNK)));
  int64_t bytes;
  if (v->in_pixels >= INT32_MAX || !sumi_i64_mul(v->c_group * v->taps, 4 * a->chunk, &bytes) ||
      bytes > INT32_MAX)
    return refuse(l, "the planes of one group take more than 2 GiB");
  a->offset_groups = sumi_attr_int(l->node, "offset_group", 1);
  a->kernel = sumi_spmm_f32_pick(l->isa);
  a->resize = sumi_resize_pick(l->isa);
  a->x = l->in_buffer[X], a->offset = l->in_buffer[OFFSET], a->y = l->out_buffer[0];
  a->bias = buffer_of(l, BIAS), a->mask = buffer_of(l, MASK);
  double predicted_s = 0;
  SUMI_TRY(sumi_zero_behind_plan(l, "spmm_f32", v->c_in, v->in_pixels, &a->zero));
  SUMI_TRY(scratch(l, v->c_in * v->taps, a->chunk, &a->columns));
  SUMI_TRY(set_product(l, a, &predicted_s));
  SUMI_TRY(emit(l, a));
  sumi_lower_predict(l, (double)v->batch * predicted_s / l->threads);
  return SUMI_OK;
}

/* sumi.ConvWeightGrad on device cpu, one or two spatial dimensions: family spmm with channels of x in lanes. Images are taken in
 * chunks; of each chunk
 *   planes  x with pixels apart and channels together, [image][row][column][channel], and its padding
 *   rows    dy as weights, [m][image, o]
 * are made, and every tap row of the weights adds sum over (image, o) of rows[m][image, o] * planes[image, o's pixel + tap].
 * Where taps of a row follow each other, their channels do too: one product for the whole row. Chunks depend on shapes alone and
 * are summed in order, so the result does not depend on the number of threads. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/conv_weight_grad.h"
#include "op/conv_weight_grad_int.h"
#include "op/spmm_lower.h"

enum { X, DY };
enum { H, WIDTH, N_DIM };
enum {
  CHUNK_PIXELS = 2048, /* of dy, as long as that is more than one unit */
  APART = 16           /* words between rows of dy, so that their beginnings share no cache set */
};

struct args {
  struct sumi_spmm_f32 s; /* pointers to buffers are set while running */
  const struct sumi_spmm_f32_kernel *kernel;
  const struct sumi_copy_kernel *copy;
  struct sumi_spmm_tiles tiles;
  struct sumi_weight_grad g;
  int64_t row_words; /* of one row of dy */
  int in, dy, dw, scratch, panels;
};

struct state {
  const struct args *a;
  const float *x, *dy; /* of the chunk's first image */
  float *planes, *rows, *sums, *dw, *panels;
  int64_t n; /* images of the chunk */
  bool first;
};

static void turn_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct sumi_weight_grad *g = &st->a->g;
  for (int64_t i = begin; i < end; i++)
    sumi_weight_grad_turn(g, st->a->copy, st->x + i / g->y.span * g->c_in * g->in_pixels, i % g->y.span,
                          st->first, st->planes + i * g->x.span * g->c_in);
}

static void copy_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  const struct sumi_weight_grad *g = &a->g;
  for (int64_t i = begin; i < end; i++)
    memcpy(st->rows + i % g->c_out * a->row_words + i / g->c_out * g->out_pixels, st->dy + i * g->out_pixels,
           (size_t)g->out_pixels * sizeof(float));
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct args *a = st->a;
  for (int64_t i = begin; i < end; i++) {
    const int64_t step = i / a->tiles.count;
    struct sumi_spmm_f32 s = a->s;
    s.x = st->planes + sumi_weight_grad_reads(&a->g, step);
    s.w = st->rows;
    s.y = st->sums + sumi_weight_grad_writes(&a->g, step);
    s.n_list = st->n * a->g.out_pixels;
    s.add = st->first ? NULL : s.y;
    sumi_spmm_run_tile(a->kernel, &s, &a->tiles, i % a->tiles.count, st->panels, worker);
  }
}

static void turn_taps(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  sumi_weight_grad_taps(&st->a->g, st->a->copy, st->sums, begin, end, st->dw);
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  const struct sumi_weight_grad *g = &a->g;
  struct state st = {.a = a, .dw = r->buffer[a->dw], .planes = r->buffer[a->scratch], .first = true};
  st.rows = st.planes + g->chunk * g->plane_words;
  st.sums = st.rows + g->c_out * a->row_words;
  st.panels = a->panels < 0 ? NULL : r->buffer[a->panels];
  for (int64_t b = 0; b < g->units; b += g->chunk, st.first = false) {
    st.n = SUMI_MIN(g->chunk, g->units - b);
    st.x = (const float *)r->buffer[a->in] + b * g->c_in * g->in_pixels;
    st.dy = (const float *)r->buffer[a->dy] + b * g->c_out * g->out_pixels;
    sumi_par_for(r->par, st.n * g->y.span, 8, turn_rows, &st);
    sumi_par_for(r->par, st.n * g->c_out, 16, copy_rows, &st);
    sumi_par_for(r->par, g->steps * a->tiles.count, 1, sum_tiles, &st);
  }
  sumi_par_for(r->par, g->c_out, 8, turn_taps, &st);
  return SUMI_OK;
}

/* ---- geometry --------------------------------------------------------------------------------------------------- */

static struct sumi_weight_grad_line line_of(const struct sumi_conv *v, int d) {
  const int i = d - N_DIM + v->n;
  if (i < 0) return (struct sumi_weight_grad_line){1, 1, 1, 1, 1, 0, 1};
  const struct sumi_window *w = &v->window;
  return (struct sumi_weight_grad_line){
      v->in[i],
      w->out[i],
      w->kernel[i],
      w->stride[i],
      w->dilation[i],
      w->begin[i],
      (w->out[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1};
}

const char *sumi_weight_grad_find(const struct sumi_conv *v, int64_t units, struct sumi_weight_grad *g) {
  int64_t words;
  if (v->n > N_DIM) return "more than two spatial dimensions";
  if (!v->batch || !v->c_in || !v->c_out || !v->out_pixels || !v->in_pixels) return "an empty tensor";
  *g = (struct sumi_weight_grad){.y = line_of(v, H),
                                 .x = line_of(v, WIDTH),
                                 .units = units,
                                 .c_in = v->c_in,
                                 .c_out = v->c_out,
                                 .in_pixels = v->in_pixels,
                                 .out_pixels = v->out_pixels,
                                 .taps = v->taps};
  const bool together = g->x.dilation == 1;
  g->chunk = SUMI_MAX(SUMI_MIN(CHUNK_PIXELS / v->out_pixels, units), 1);
  g->steps = together ? g->y.kernel : v->taps;
  g->lanes = together ? g->x.kernel * v->c_in : v->c_in;
  if (!sumi_i64_mul(g->y.span, g->x.span, &g->plane_words) ||
      !sumi_i64_mul(g->plane_words, v->c_in, &g->plane_words) ||
      !sumi_i64_mul(g->plane_words, g->chunk, &words) || words > INT32_MAX / 4)
    return "the padded images take more than 2 GiB"; /* offsets have 32 bits */
  return NULL;
}

int32_t *sumi_weight_grad_list(struct sumi_lower *l, const struct sumi_weight_grad *g, int64_t n) {
  const int64_t last = g->chunk * g->out_pixels - 1;
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)n, int32_t);
  for (int64_t i = 0; off && i < n; i++) {
    const int64_t at = SUMI_MIN(i, last), o = at % g->out_pixels, row = o / g->x.out * g->y.stride,
                  column = o % g->x.out * g->x.stride;
    off[i] = (int32_t)(4 * (at / g->out_pixels * g->plane_words + (row * g->x.span + column) * g->c_in));
  }
  return off;
}

int64_t sumi_weight_grad_reads(const struct sumi_weight_grad *g, int64_t step) {
  const int64_t across = g->steps / g->y.kernel; /* products of a tap row */
  return (step / across * g->y.dilation * g->x.span + step % across * g->x.dilation) * g->c_in;
}

int64_t sumi_weight_grad_writes(const struct sumi_weight_grad *g, int64_t step) {
  const int64_t across = g->steps / g->y.kernel;
  return (step / across * g->x.kernel + step % across) * g->c_in;
}

void sumi_weight_grad_turn(const struct sumi_weight_grad *g, const struct sumi_copy_kernel *copy,
                           const float *x, int64_t row, bool first, float *to) {
  const int64_t lo = SUMI_MAX(-g->x.begin, 0), hi = SUMI_MIN(g->x.span - g->x.begin, g->x.in);
  if (first) memset(to, 0, (size_t)(g->x.span * g->c_in) * sizeof *to);
  row -= g->y.begin;
  if (row < 0 || row >= g->y.in || lo >= hi) return;
  copy->transpose(x + row * g->x.in + lo, g->in_pixels, g->c_in, hi - lo, to + (lo + g->x.begin) * g->c_in,
                  g->c_in);
}

void sumi_weight_grad_taps(const struct sumi_weight_grad *g, const struct sumi_copy_kernel *copy,
                           const float *sums, int64_t begin, int64_t end, float *dw) {
  const int64_t words = g->taps * g->c_in;
  for (int64_t m = begin; m < end; m++)
    copy->transpose(sums + m * words, g->c_in, g->taps, g->c_in, dw + m * words, g->taps);
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_f32", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* The size of the scratch; false: more than can be. */
static bool find_size(struct args *a, size_t *bytes) {
  const struct sumi_weight_grad *g = &a->g;
  int64_t words = g->plane_words * g->chunk, rows, sums;
  a->row_words = g->chunk * g->out_pixels + APART;
  return sumi_i64_mul(a->row_words, g->c_out, &rows) && sumi_i64_mul(g->c_out, g->c_in * g->taps, &sums) &&
         sumi_i64_add(words, rows, &words) && sumi_i64_add(words, sums, &words) &&
         sumi_size_mul((size_t)words, sizeof(float), bytes);
}

static sumi_status set_product(struct sumi_lower *l, struct args *a) {
  const struct sumi_weight_grad *g = &a->g;
  const int64_t n = g->chunk * g->out_pixels;
  const int32_t *off = sumi_weight_grad_list(l, g, n);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  a->s = (struct sumi_spmm_f32){.rows = g->c_out,
                                .pixels = g->lanes,
                                .block = SUMI_SPMM_BLOCK,
                                .off = off,
                                .n_list = n,
                                .w_row = a->row_words,
                                .w_entry = 1,
                                .w_block = SUMI_SPMM_BLOCK * a->row_words,
                                .scale = 1,
                                .add_row = g->taps * g->c_in,
                                .lo = -INFINITY,
                                .hi = INFINITY,
                                .y_row = g->taps * g->c_in,
                                .pitch = g->lanes,
                                .width = g->lanes};
  const int64_t n_blocks = (g->c_out + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK;
  a->tiles =
      sumi_spmm_tile(1, 3 * a->kernel->lanes, l->threads, n_blocks, g->lanes, g->c_out * n, g->plane_words);
  return sumi_spmm_panels(l, &a->s, &a->panels);
}

static double predict(const struct args *a) {
  const struct sumi_weight_grad *g = &a->g;
  const double n_blocks = (double)((g->c_out + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK);
  const double entries = n_blocks * (double)(g->units * g->out_pixels);
  return (double)g->steps *
         sumi_spmm_f32_predict(a->kernel, SUMI_SPMM_BLOCK, true, entries, n_blocks, g->lanes);
}

static sumi_status lower_f32(struct sumi_lower *l, const struct sumi_conv *v) {
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = (struct args){.kernel = sumi_spmm_f32_pick(l->isa),
                     .copy = sumi_copy_pick(l->isa),
                     .in = l->in_buffer[X],
                     .dy = l->in_buffer[DY],
                     .dw = l->out_buffer[0]};
  const char *why = sumi_weight_grad_find(v, v->batch, &a->g);
  size_t bytes;
  if (why) return refuse(l, why);
  if (!find_size(a, &bytes)) return refuse(l, "the images are too large");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(set_product(l, a));
  const int reads[] = {a->in, a->dy}, writes[] = {a->dw, a->scratch, a->panels};
  const char *name =
      sumi_arena_printf(l->arena, "%s + %s dense, channels in lanes", a->copy->name, a->kernel->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(sumi_lower_emit(l, run, a, name, reads, 2, writes, a->panels < 0 ? 2 : 3));
  sumi_lower_predict(l, predict(a) / l->threads);
  return SUMI_OK;
}

sumi_status sumi_conv_weight_grad_lower(struct sumi_lower *l) {
  struct sumi_conv v;
  SUMI_TRY(sumi_conv_resolve(l->node, l->in[X], l->out[0], &v, l->err));
  return sumi_conv_weight_grad_rounds(l->node) ? sumi_conv_weight_grad_bf16_lower(l, &v) : lower_f32(l, &v);
}

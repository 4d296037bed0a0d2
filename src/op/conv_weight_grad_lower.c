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
#include "kernel/copy/copy.h"
#include "op/conv_weight_grad.h"
#include "op/spmm_lower.h"

enum { X, DY };
enum { H, WIDTH, N_DIM };
enum {
  CHUNK_PIXELS = 2048, /* of dy, as long as that is more than one image */
  APART = 16           /* words between rows of dy, so that their beginnings share no cache set */
};

/* One direction of the convolution. */
struct line {
  int64_t in, out, kernel, stride, dilation, begin;
  int64_t span; /* of what windows read, padding included */
};

struct args {
  struct sumi_spmm_f32 s; /* pointers to buffers are set while running */
  const struct sumi_spmm_f32_kernel *kernel;
  const struct sumi_copy_kernel *copy;
  struct sumi_spmm_tiles tiles;
  struct line y, x;
  int64_t batch, c_in, c_out, in_pixels, out_pixels, taps, chunk;
  int64_t plane_words, row_words; /* of one image, of one row of dy */
  int64_t steps;                  /* products: tap rows, or taps */
  int in, dy, dw, scratch, panels;
};

struct state {
  const struct args *a;
  const float *x, *dy; /* of the chunk's first image */
  float *planes, *rows, *sums, *dw, *panels;
  int64_t n; /* images of the chunk */
  bool first;
};

/* Row i of the planes: the row of x that lies there, between zeros that stay from the first chunk on. */
static void turn_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  const int64_t words = a->x.span * a->c_in;
  const int64_t lo = SUMI_MAX(-a->x.begin, 0), hi = SUMI_MIN(a->x.span - a->x.begin, a->x.in);
  for (int64_t i = begin; i < end; i++) {
    const int64_t image = i / a->y.span, row = i % a->y.span - a->y.begin;
    float *to = st->planes + i * words;
    if (st->first) memset(to, 0, (size_t)words * sizeof *to);
    if (row < 0 || row >= a->y.in || lo >= hi) continue;
    a->copy->transpose(st->x + image * a->c_in * a->in_pixels + row * a->x.in + lo, a->in_pixels, a->c_in,
                       hi - lo, to + (lo + a->x.begin) * a->c_in, a->c_in);
  }
}

static void copy_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  for (int64_t i = begin; i < end; i++)
    memcpy(st->rows + i % a->c_out * a->row_words + i / a->c_out * a->out_pixels, st->dy + i * a->out_pixels,
           (size_t)a->out_pixels * sizeof(float));
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct args *a = st->a;
  const int64_t across = a->steps / a->y.kernel; /* products of a tap row */
  for (int64_t i = begin; i < end; i++) {
    const int64_t step = i / a->tiles.count, ky = step / across, kx = step % across;
    struct sumi_spmm_f32 s = a->s;
    s.x = st->planes + (ky * a->y.dilation * a->x.span + kx * a->x.dilation) * a->c_in;
    s.w = st->rows;
    s.y = st->sums + (ky * a->x.kernel + kx) * a->c_in;
    s.n_list = st->n * a->out_pixels;
    s.add = st->first ? NULL : s.y;
    sumi_spmm_run_tile(a->kernel, &s, &a->tiles, i % a->tiles.count, st->panels, worker);
  }
}

/* [tap][channel] of an output channel as [channel][tap]. */
static void turn_taps(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  const int64_t words = a->taps * a->c_in;
  for (int64_t m = begin; m < end; m++)
    a->copy->transpose(st->sums + m * words, a->c_in, a->taps, a->c_in, st->dw + m * words, a->taps);
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state st = {.a = a, .dw = r->buffer[a->dw], .planes = r->buffer[a->scratch], .first = true};
  st.rows = st.planes + a->chunk * a->plane_words;
  st.sums = st.rows + a->c_out * a->row_words;
  st.panels = a->panels < 0 ? NULL : r->buffer[a->panels];
  for (int64_t b = 0; b < a->batch; b += a->chunk, st.first = false) {
    st.n = SUMI_MIN(a->chunk, a->batch - b);
    st.x = (const float *)r->buffer[a->in] + b * a->c_in * a->in_pixels;
    st.dy = (const float *)r->buffer[a->dy] + b * a->c_out * a->out_pixels;
    sumi_par_for(r->par, st.n * a->y.span, 8, turn_rows, &st);
    sumi_par_for(r->par, st.n * a->c_out, 16, copy_rows, &st);
    sumi_par_for(r->par, a->steps * a->tiles.count, 1, sum_tiles, &st);
  }
  sumi_par_for(r->par, a->c_out, 8, turn_taps, &st);
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_f32", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static struct line line_of(const struct sumi_conv *v, int d) {
  const int i = d - N_DIM + v->n;
  if (i < 0) return (struct line){1, 1, 1, 1, 1, 0, 1};
  const struct sumi_window *w = &v->window;
  return (struct line){v->in[i],
                       w->out[i],
                       w->kernel[i],
                       w->stride[i],
                       w->dilation[i],
                       w->begin[i],
                       (w->out[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1};
}

/* The sizes of the scratch; false: more than offsets of 32 bits reach. */
static bool find_sizes(struct args *a, size_t *bytes) {
  int64_t words, rows, sums;
  a->chunk = SUMI_MAX(SUMI_MIN(CHUNK_PIXELS / a->out_pixels, a->batch), 1);
  if (!sumi_i64_mul(a->y.span, a->x.span, &a->plane_words) ||
      !sumi_i64_mul(a->plane_words, a->c_in, &a->plane_words) ||
      !sumi_i64_mul(a->plane_words, a->chunk, &words) || words > INT32_MAX / 4)
    return false;
  a->row_words = a->chunk * a->out_pixels + APART;
  return sumi_i64_mul(a->row_words, a->c_out, &rows) && sumi_i64_mul(a->c_out, a->c_in * a->taps, &sums) &&
         sumi_i64_add(words, rows, &words) && sumi_i64_add(words, sums, &words) &&
         sumi_size_mul((size_t)words, sizeof(float), bytes);
}

static sumi_status set_list(struct sumi_lower *l, struct args *a) {
  const int64_t n = a->chunk * a->out_pixels;
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)n, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  for (int64_t i = 0; i < n; i++) {
    const int64_t o = i % a->out_pixels, row = o / a->x.out * a->y.stride,
                  column = o % a->x.out * a->x.stride;
    off[i] = (int32_t)(4 * (i / a->out_pixels * a->plane_words + (row * a->x.span + column) * a->c_in));
  }
  const bool together = a->x.dilation == 1;
  const int64_t pixels = together ? a->x.kernel * a->c_in : a->c_in;
  a->steps = together ? a->y.kernel : a->taps;
  a->s = (struct sumi_spmm_f32){.rows = a->c_out,
                                .pixels = pixels,
                                .block = SUMI_SPMM_BLOCK,
                                .off = off,
                                .n_list = n,
                                .w_row = a->row_words,
                                .w_entry = 1,
                                .w_block = SUMI_SPMM_BLOCK * a->row_words,
                                .scale = 1,
                                .add_row = a->taps * a->c_in,
                                .lo = -INFINITY,
                                .hi = INFINITY,
                                .y_row = a->taps * a->c_in,
                                .pitch = pixels,
                                .width = pixels};
  const int64_t n_blocks = (a->c_out + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK;
  a->tiles = sumi_spmm_tile(3 * a->kernel->lanes, l->threads, n_blocks, pixels, a->c_out * n, a->plane_words);
  return sumi_spmm_panels(l, &a->s, &a->panels);
}

static double predict(const struct args *a) {
  const double n_blocks = (double)((a->c_out + SUMI_SPMM_BLOCK - 1) / SUMI_SPMM_BLOCK);
  const double entries = n_blocks * (double)(a->batch * a->out_pixels);
  return (double)a->steps *
         sumi_spmm_f32_predict(a->kernel, SUMI_SPMM_BLOCK, true, entries, n_blocks, a->s.pixels);
}

sumi_status sumi_conv_weight_grad_lower(struct sumi_lower *l) {
  struct sumi_conv v;
  SUMI_TRY(sumi_conv_resolve(l->node, l->in[X], l->out[0], &v, l->err));
  if (v.n > N_DIM) return refuse(l, "more than two spatial dimensions");
  if (!v.batch || !v.c_in || !v.c_out || !v.out_pixels || !v.in_pixels) return refuse(l, "an empty tensor");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = (struct args){.kernel = sumi_spmm_f32_pick(l->isa),
                     .copy = sumi_copy_pick(l->isa),
                     .y = line_of(&v, H),
                     .x = line_of(&v, WIDTH),
                     .batch = v.batch,
                     .c_in = v.c_in,
                     .c_out = v.c_out,
                     .in_pixels = v.in_pixels,
                     .out_pixels = v.out_pixels,
                     .taps = v.taps,
                     .in = l->in_buffer[X],
                     .dy = l->in_buffer[DY],
                     .dw = l->out_buffer[0]};
  size_t bytes;
  if (!find_sizes(a, &bytes)) return refuse(l, "the padded images take more than 2 GiB");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(set_list(l, a));
  const int reads[] = {a->in, a->dy}, writes[] = {a->dw, a->scratch, a->panels};
  const char *name =
      sumi_arena_printf(l->arena, "%s + %s dense, channels in lanes", a->copy->name, a->kernel->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(sumi_lower_emit(l, run, a, name, reads, 2, writes, a->panels < 0 ? 2 : 3));
  sumi_lower_predict(l, predict(a) / l->threads);
  return SUMI_OK;
}

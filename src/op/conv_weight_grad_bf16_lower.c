/* sumi.ConvWeightGrad rounded to bfloat16 on device cpu: as conv_weight_grad_lower.c, with family spmm_bf16. A word holds one pixel of
 * two images, so taps that are an odd number of pixels apart read whole words too. Of each chunk of pairs
 *   planes  x as words, channels together, [pair][row][column][channel], and its padding
 *   rows    dy as words, packed as weights of entries (pair, o)
 * are made and multiplied; sums of later chunks are added to those of the first. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "kernel/lane/lane_bf16.h"
#include "kernel/spmm/spmm_bf16.h"
#include "op/conv_weight_grad.h"
#include "op/conv_weight_grad_int.h"
#include "op/spmm_lower.h"
#include "op/word_weights.h"

enum { X, DY };
enum { PAIR = 2 };

struct args {
  struct sumi_spmm_bf16 s; /* pointers to buffers are set while running */
  struct sumi_lane_map map;
  const struct sumi_spmm_bf16_kernel *kernel;
  const struct sumi_lane_bf16_kernel *lane;
  const struct sumi_copy_kernel *copy;
  struct sumi_spmm_tiles tiles;
  struct sumi_weight_grad g; /* units are pairs */
  int64_t images, n_blocks;
  int64_t planes_words, rows_words, sums_words, own_words; /* of the parts of scratch; own: of each thread */
  int in, dy, dw, scratch;
};

struct state {
  const struct args *a;
  const float *x, *dy; /* of the chunk's first image */
  uint32_t *planes, *rows, *own;
  float *sums, *more, *dw; /* more: sums of a later chunk */
  int64_t n, images;       /* pairs and images of the chunk */
  int64_t entries;
  bool first;
};

/* to[c][p] is the word of pixel p of channel c of both images of a pair, or of the one that is there. */
static void pair_up(const struct state *st, const float *x, int64_t pair, int64_t channels, int64_t pixels,
                    uint32_t *to) {
  const int64_t image = channels * pixels;
  for (int64_t c = 0; c < channels; c++) {
    const struct sumi_lane_convert job = {.data = (float *)x + c * pixels,
                                          .channel = image,
                                          .pixel = 1,
                                          .channels = SUMI_MIN(st->images - pair * PAIR, PAIR),
                                          .words = {.word = to + c * pixels, .group = pixels}};
    st->a->lane->narrow(&job, 0, 1, 0, pixels);
  }
}

static void make_planes(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct sumi_weight_grad *g = &st->a->g;
  uint32_t *own = st->own + worker * st->a->own_words;
  for (int64_t i = begin; i < end; i++) {
    pair_up(st, st->x + i * PAIR * g->c_in * g->in_pixels, i, g->c_in, g->in_pixels, own);
    for (int64_t row = 0; row < g->y.span; row++)
      sumi_weight_grad_turn(g, st->a->copy, (const float *)own, row, st->first,
                            (float *)st->planes + i * g->plane_words + row * g->x.span * g->c_in);
  }
}

/* Words of output channel m become entries [e, e + n) of its row. */
static void put_row(const struct state *st, const uint32_t *word, int64_t m, int64_t e, int64_t n) {
  const int block = st->a->s.block;
  const int64_t first = m / block * st->entries, i = m % block;
  for (int64_t k = 0; k < n;) {
    const int64_t step = block < SUMI_WORD_TILE ? 1 : SUMI_WORD_TILE;
    const int64_t run = SUMI_MIN(step - (e + k) % step, n - k);
    memcpy(st->rows + sumi_packed_words_place(block, first, i, e + k), word + k, (size_t)run * sizeof *word);
    k += run;
  }
}

static void make_rows(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *st = user;
  const struct sumi_weight_grad *g = &st->a->g;
  static const uint32_t nothing[SUMI_WORD_TILE];
  uint32_t *own = st->own + worker * st->a->own_words;
  for (int64_t i = begin; i < end; i++) {
    pair_up(st, st->dy + i * PAIR * g->c_out * g->out_pixels, i, g->c_out, g->out_pixels, own);
    for (int64_t m = 0; m < g->c_out; m++) {
      put_row(st, own + m * g->out_pixels, m, i * g->out_pixels, g->out_pixels);
      if (i + 1 == st->n) put_row(st, nothing, m, st->n * g->out_pixels, st->entries - st->n * g->out_pixels);
    }
  }
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  for (int64_t i = begin; i < end; i++) {
    const int64_t step = i / a->tiles.count;
    const struct sumi_spmm_part part = sumi_spmm_tile_part(&a->tiles, i % a->tiles.count);
    struct sumi_spmm_bf16 s = a->s;
    s.map = &a->map;
    s.x = (const uint8_t *)(st->planes + sumi_weight_grad_reads(&a->g, step));
    s.w = (const int32_t *)st->rows;
    s.n_list = st->entries;
    s.w_block = st->entries * s.block;
    s.y_f32 = (st->first ? st->sums : st->more) + sumi_weight_grad_writes(&a->g, step);
    a->kernel->run(&s, part.b0, part.b1, part.p0, part.p1);
  }
}

static void add_more(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t i = begin; i < end; i++) st->sums[i] += st->more[i];
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
  st.rows = st.planes + a->planes_words;
  st.sums = (float *)st.rows + a->rows_words;
  st.more = st.sums + a->sums_words;
  st.own = (uint32_t *)st.more + a->sums_words;
  for (int64_t b = 0; b < g->units; b += g->chunk, st.first = false) {
    st.n = SUMI_MIN(g->chunk, g->units - b);
    st.images = SUMI_MIN(st.n * PAIR, a->images - b * PAIR);
    st.entries = sumi_packed_words_filled(st.n * g->out_pixels, a->s.block);
    st.x = (const float *)r->buffer[a->in] + b * PAIR * g->c_in * g->in_pixels;
    st.dy = (const float *)r->buffer[a->dy] + b * PAIR * g->c_out * g->out_pixels;
    sumi_par_for(r->par, st.n, 1, make_planes, &st);
    sumi_par_for(r->par, st.n, 1, make_rows, &st);
    sumi_par_for(r->par, g->steps * a->tiles.count, 1, sum_tiles, &st);
    if (!st.first) sumi_par_for(r->par, g->c_out * g->taps * g->c_in, 4096, add_more, &st);
  }
  sumi_par_for(r->par, g->c_out, 8, turn_taps, &st);
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_bf16", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* Kernel and size of block that are predicted to be fastest; the seconds they take for all. */
static double choose(const struct sumi_lower *l, struct args *a) {
  const struct sumi_weight_grad *g = &a->g;
  double best = INFINITY;
  for (int block = 4; block <= 32; block *= 2) {
    const struct sumi_spmm_bf16_kernel *k = sumi_spmm_bf16_pick(l->isa, block);
    const double n_blocks = (double)((g->c_out + block - 1) / block);
    const double seconds = sumi_spmm_bf16_predict(
        k, block, true, n_blocks * (double)(g->units * g->out_pixels), n_blocks, g->lanes);
    if (!(seconds < best)) continue;
    best = seconds;
    a->kernel = k;
    a->s.block = block;
  }
  a->n_blocks = (g->c_out + a->s.block - 1) / a->s.block;
  return best * (double)g->steps;
}

/* The parts of the scratch; false: more than can be. */
static bool find_size(struct args *a, int threads, size_t *bytes) {
  const struct sumi_weight_grad *g = &a->g;
  const int64_t entries = sumi_packed_words_filled(g->chunk * g->out_pixels, a->s.block);
  int64_t own_x, own_dy, words = 0;
  if (!sumi_i64_mul(g->c_in, g->in_pixels, &own_x) || !sumi_i64_mul(g->c_out, g->out_pixels, &own_dy) ||
      !sumi_i64_mul(a->n_blocks * a->s.block, entries, &a->rows_words) ||
      !sumi_i64_mul(g->c_out, g->c_in * g->taps, &a->sums_words) || a->sums_words > INT64_MAX / 16)
    return false;
  a->own_words = SUMI_MAX(own_x, own_dy);
  a->planes_words = g->plane_words * g->chunk + SUMI_LANE_OVER_WORDS;
  const int64_t part[] = {a->planes_words, a->rows_words, 2 * a->sums_words};
  for (size_t i = 0; i < SUMI_COUNT(part); i++)
    if (!sumi_i64_add(words, part[i], &words)) return false;
  int64_t own;
  return sumi_i64_mul(a->own_words, threads, &own) && sumi_i64_add(words, own, &words) &&
         sumi_size_mul((size_t)words, sizeof(float), bytes);
}

/* Every lane goes where it is. */
static sumi_status set_map(struct sumi_lower *l, struct args *a) {
  const int64_t n = a->g.lanes;
  int32_t *place = SUMI_NEW_ARRAY(l->arena, (size_t)n, int32_t),
          *first = SUMI_NEW_ARRAY(l->arena, (size_t)(n + 15) / 16 + 1, int32_t);
  struct sumi_lane_piece *piece = SUMI_NEW_ARRAY(l->arena, (size_t)n, struct sumi_lane_piece);
  if (!place || !first || !piece) SUMI_FAIL_MEMORY(l->err);
  for (int64_t i = 0; i < n; i++) place[i] = (int32_t)i;
  a->map = sumi_lane_map_of(place, n, first, piece);
  return SUMI_OK;
}

static sumi_status set_product(struct sumi_lower *l, struct args *a) {
  const struct sumi_weight_grad *g = &a->g;
  const int64_t n = sumi_packed_words_filled(g->chunk * g->out_pixels, a->s.block);
  const int32_t *off = sumi_weight_grad_list(l, g, n);
  const float *bias = SUMI_NEW_ARRAY(l->arena, (size_t)g->c_out + 1, float);
  if (!off || !bias) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(set_map(l, a));
  a->s.rows = g->c_out;
  a->s.off = off;
  a->s.bias = bias;
  a->s.w_entry = a->s.block;
  a->s.w_row = 1;
  a->s.lo = -INFINITY;
  a->s.hi = INFINITY;
  a->s.y_row = g->taps * g->c_in;
  a->tiles =
      sumi_spmm_tile(1, a->kernel->pixels, l->threads, a->n_blocks, g->lanes, a->rows_words, a->planes_words);
  return SUMI_OK;
}

sumi_status sumi_conv_weight_grad_bf16_lower(struct sumi_lower *l, const struct sumi_conv *v) {
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = (struct args){.lane = sumi_lane_bf16_pick(l->isa),
                     .copy = sumi_copy_pick(l->isa),
                     .images = v->batch,
                     .in = l->in_buffer[X],
                     .dy = l->in_buffer[DY],
                     .dw = l->out_buffer[0]};
  const char *why = sumi_weight_grad_find(v, (v->batch + PAIR - 1) / PAIR, &a->g);
  size_t bytes;
  if (why) return refuse(l, why);
  const double seconds = choose(l, a);
  if (!find_size(a, l->threads, &bytes)) return refuse(l, "the images are too large");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(set_product(l, a));
  const int reads[] = {a->in, a->dy}, writes[] = {a->dw, a->scratch};
  const char *name = sumi_arena_printf(l->arena, "%s + %s dense %d, channels in lanes", a->copy->name,
                                       a->kernel->name, a->s.block);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  SUMI_TRY(sumi_lower_emit(l, run, a, name, reads, 2, writes, 2));
  sumi_lower_predict(l, seconds / l->threads);
  return SUMI_OK;
}

/* Speeds of family spmm_i8 on the shapes of ResNet-50: dense, and lists of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "spmm_i8.h"

enum { TILE = 16 };

struct shape {
  int in, out, side, hw; /* channels, window, output pixels a side */
};

/* What the tiles do with their sums. */
enum end { PLAIN, RESIDUAL, TABLE, FLOAT };
static const char *const end_name[] = {"", " +residual", " +table", " to float32"};

struct load {
  struct sumi_spmm_i8 s;
  struct guarded x, w, row, y, r;
  struct sumi_lane_map map;
  int32_t *off, *start, *place, *first;
  struct sumi_lane_piece *piece;
  int64_t entries, blocks; /* of all lists together, filled up */
  double macs;             /* needed */
};

static struct guarded random_bytes(struct check *c, size_t words) {
  struct guarded g = guard(c, words);
  for (size_t i = 0; i < words; i++) {
    const uint32_t bits = (uint32_t)sumi_random_u64(&c->random);
    memcpy(&g.data[i], &bits, sizeof bits);
  }
  return g;
}

/* Entries of the lists: of every `fewer` candidates one is kept. */
static void make_lists(struct check *c, struct load *l, const struct shape *k, int fewer, int pitch,
                       int64_t plane) {
  struct sumi_spmm_i8 *s = &l->s;
  const int taps = k->side * k->side, full = (k->in + 3) / 4 * taps, unit = s->block >= TILE ? TILE : 1;
  l->blocks = (s->rows + s->block - 1) / s->block;
  const int64_t lists = fewer > 1 ? l->blocks : 1;
  l->off = malloc(sizeof *l->off * (size_t)(lists * (full + unit)));
  l->start = malloc(sizeof *l->start * (size_t)(lists + 1));
  int64_t n = 0, kept = 0;
  for (int64_t b = 0; b < lists; b++) {
    l->start[b] = (int32_t)n;
    for (int e = 0; e < full; e += fewer, kept++) {
      const int last = e + fewer < full ? fewer : full - e, at = e + pick(c, 0, last - 1);
      l->off[n++] = (int32_t)(4 * (at / taps * plane + at % taps / k->side * pitch + at % k->side));
    }
    for (; n % unit; n++) l->off[n] = l->off[n - 1];
  }
  l->start[lists] = (int32_t)n;
  s->off = l->off, s->start = fewer > 1 ? l->start : NULL, s->n_list = fewer > 1 ? 0 : n;
  l->entries = fewer > 1 ? n : n * l->blocks;
  s->w_row = 1, s->w_entry = s->block, s->w_block = fewer > 1 ? 0 : n * s->block;
  l->macs = (fewer > 1 ? (double)kept * s->block : (double)kept * (double)s->rows) * 4 * k->hw * k->hw;
}

static void make_map(struct load *l, const struct shape *k, int pitch, int64_t pixels) {
  l->place = malloc(sizeof *l->place * (size_t)pixels);
  l->first = malloc(sizeof *l->first * (size_t)(pixels / 16 + 2));
  l->piece = malloc(sizeof *l->piece * (size_t)pixels);
  const int out_pitch = k->hw + (k->side == 1 && k->hw < 100); /* a convolution of 3x3 reads it next */
  for (int64_t p = 0; p < pixels; p++)
    l->place[p] = p % pitch < k->hw ? (int32_t)(p / pitch * out_pitch + p % pitch) : -1;
  l->map = sumi_lane_map_of(l->place, pixels, l->first, l->piece);
  l->s.map = l->s.r_map = &l->map;
  l->s.y_group = l->s.y_row = (int64_t)k->hw * out_pitch + 16;
}

static void make(struct check *c, struct load *l, const struct shape *k, int block, int fewer, enum end end) {
  struct sumi_spmm_i8 *s = &l->s;
  const int pitch = k->hw + (k->side > 1);
  const int64_t pixels = (int64_t)k->hw * pitch - (pitch - k->hw),
                plane = ((k->hw + k->side - 1) * pitch + 31) / 16 * 16;
  *s = (struct sumi_spmm_i8){.rows = k->out, .block = block, .post = 1, .zero = 0, .lo = 0, .hi = 255};
  make_map(l, k, pitch, pixels);
  make_lists(c, l, k, fewer, pitch, plane);
  l->x = random_bytes(c, (size_t)((k->in + 3) / 4 * plane + SUMI_LANE_OVER_WORDS));
  l->w = random_bytes(c, (size_t)(l->entries * block));
  l->row = guard(c, 2 * (size_t)s->rows);
  fill_random(c, &l->row, 0.0001f, 0.001f);
  memset(l->row.data + s->rows, 0, (size_t)s->rows * sizeof(float));
  l->y = guard(c, (size_t)(end == FLOAT ? s->rows : s->rows / 4) * (size_t)s->y_group);
  l->r = random_bytes(c, (size_t)(s->rows / 4 * s->y_group));
  s->x = (const uint8_t *)l->x.data, s->w = (const int32_t *)l->w.data;
  s->scale = l->row.data, s->bias = (const int32_t *)(l->row.data + s->rows);
  s->y = end == FLOAT ? NULL : (uint32_t *)l->y.data;
  s->y_f32 = end == FLOAT ? l->y.data : NULL;
  if (end == RESIDUAL) {
    s->n_stage = 1;
    s->stage[0] =
        (struct sumi_spmm_i8_stage){.r = (const uint32_t *)l->r.data, .r_group = s->y_group, .hi = 255};
    s->stage[0].mul = s->stage[0].r_mul = 0.7f, s->stage[0].r_zero = 100;
  }
  static _Alignas(64) const uint8_t table[256];
  if (end == TABLE) s->table = table;
}

static void drop(struct check *c, struct load *l) {
  let_go(c, &l->x), let_go(c, &l->w), let_go(c, &l->row), let_go(c, &l->y), let_go(c, &l->r);
  free(l->off), free(l->start), free(l->place), free(l->first), free(l->piece);
}

/* Of this thread alone: others on the machine do not count. */
static double cpu_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench_one(struct check *c, const struct sumi_spmm_i8_kernel *k, const struct shape *shape,
                      int block, int fewer, enum end end) {
  struct load l;
  make(c, &l, shape, block, fewer, end);
  double best = 1e9;
  for (int t = 0; t < 5 || (best * t < 0.03 && t < 200); t++) {
    const double t0 = cpu_s();
    k->run(&l.s, 0, l.blocks, 0, l.map.pixels);
    const double d = cpu_s() - t0;
    if (d < best) best = d;
  }
  const double expected =
      sumi_spmm_i8_predict(k, block, fewer == 1, (double)l.entries, (double)l.blocks, l.map.pixels);
  char text[120];
  snprintf(text, sizeof text, "%d->%d %dx%d @%d block %d 1/%d%s (%.2f)", shape->in, shape->out, shape->side,
           shape->side, shape->hw, block, fewer, end_name[end], best / expected);
  report_i8(c, k->name, text, best, l.macs);
  drop(c, &l);
}

void bench_spmm_i8(struct check *c, const struct sumi_spmm_i8_kernel *k) {
  static const struct shape net[] = {
      /* the stem as it is after its channels are laid side by side, then the layers */
      {4, 64, 7, 112},    {64, 64, 1, 56},   {64, 64, 3, 56},   {64, 256, 1, 56},  {256, 64, 1, 56},
      {128, 128, 3, 28},  {128, 512, 1, 28}, {512, 128, 1, 28}, {256, 256, 3, 14}, {256, 1024, 1, 14},
      {1024, 256, 1, 14}, {512, 512, 3, 7},  {512, 2048, 1, 7}, {2048, 512, 1, 7}};
  static const struct shape few[] = {
      {64, 64, 3, 56}, {128, 512, 1, 28}, {1024, 256, 1, 14}, {512, 512, 3, 7}};
  for (int size = 5; size >= 0; size--) {
    const int block = 1 << size;
    if (!(k->blocks >> size & 1)) continue;
    const bool all = size == 3 || size > 3;
    for (size_t i = 0; i < (all ? sizeof net / sizeof *net : sizeof few / sizeof *few); i++)
      bench_one(c, k, all ? &net[i] : &few[i], block, 1, PLAIN);
    for (int fewer = 4; fewer <= 32; fewer *= 2)
      for (size_t i = 0; i < sizeof few / sizeof *few; i++) bench_one(c, k, &few[i], block, fewer, PLAIN);
    for (enum end end = RESIDUAL; end <= FLOAT; end++) bench_one(c, k, &net[3], block, 1, end);
    for (enum end end = PLAIN; end <= RESIDUAL; end++) {
      bench_one(c, k, &net[3], block, 32, end);
      bench_one(c, k, &net[9], block, 32, end);
    }
  }
}

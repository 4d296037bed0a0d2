/* Family spmm: random rows, pixels, lists, strides and epilogues against the loop of spmm.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernel/spmm/spmm.h"

enum { MOST_ROWS = 40, MOST_LIST = 60, LONG_LIST = 450, MOST_PLANES = 40 };

struct problem {
  struct sumi_spmm_f32 s;
  struct guarded x, w, bias, lane_bias, add, y, scratch;
  int32_t off[MOST_ROWS * MOST_LIST], col[MOST_ROWS * MOST_LIST], start[MOST_ROWS + 1];
  int64_t scans, planes;
  int lanes; /* what the last strip's width is rounded up to */
  struct sumi_spmm_window window;
  int32_t dy[SUMI_SPMM_TAPS], dx[SUMI_SPMM_TAPS];
};

static int64_t place(const struct sumi_spmm_f32 *s, int64_t p) {
  return p / s->pitch * s->width + p % s->pitch;
}

static void double_it(const float *x, float *y, int64_t n, const float *param) {
  for (int64_t i = 0; i < n; i++) y[i] = param[0] * x[i];
}

static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* The word of x that entry e has for pixel p. */
static float word(const struct problem *q, int64_t e, int64_t p) {
  const struct sumi_spmm_f32 *s = &q->s;
  if (s->strip) {
    const int64_t first = p / s->strip * s->strip, left = round_up(s->pixels - first, q->lanes);
    return s->x[first * s->n_list + e * (left < s->strip ? left : s->strip) + p - first];
  }
  if (s->col) e = s->col[e];
  const float *plane = (const float *)((const char *)s->x + s->off[e]);
  const struct sumi_spmm_window *win = s->window;
  if (!win) return plane[p];
  const int64_t y = p / win->cols * win->step + win->dy[e % win->taps],
                x = p % win->cols * win->step + win->dx[e % win->taps];
  return y >= 0 && y < win->h && x >= 0 && x < win->w ? plane[y * win->w + x] : 0;
}

/* The loop of the header for one word; *size receives the sum of magnitudes, for the tolerance of ref. */
static float want(const struct problem *q, int64_t m, int64_t p, float *size) {
  const struct sumi_spmm_f32 *s = &q->s;
  const int64_t b = m / s->block, i = m % s->block;
  float v = s->bias ? s->bias[m] : s->lane_bias ? s->lane_bias[p] : 0;
  *size = fabsf(v);
  for (int64_t e = s->start ? s->start[b] : 0; e < (s->start ? s->start[b + 1] : s->n_list); e++) {
    const float x = word(q, e, p);
    const float w = s->w[b * s->w_block + e * s->w_entry + i * s->w_row];
    v = fmaf(x, w, v);
    *size += fabsf(x * w);
  }
  v *= s->scale;
  *size *= fabsf(s->scale);
  if (s->add) v += s->add[m * s->add_row + place(s, p)];
  if (s->act) s->act(&v, &v, 1, s->act_param);
  return v < s->lo ? s->lo : v > s->hi ? s->hi : v;
}

/* Images instead of planes that lie ready: fewer rows than the pixels need, or more. */
static int64_t make_window(struct check *c, struct problem *q) {
  struct sumi_spmm_window *win = &q->window;
  *win = (struct sumi_spmm_window){.h = pick(c, 1, 9),
                                   .w = pick(c, 1, 40),
                                   .step = pick(c, 1, 2),
                                   .taps = pick(c, 1, pick(c, 0, 3) ? 9 : SUMI_SPMM_TAPS),
                                   .dy = q->dy,
                                   .dx = q->dx};
  const int reach = pick(c, 0, 2) ? 3 : 24; /* far ones find whole strips outside the image */
  for (int t = 0; t < win->taps; t++) q->dy[t] = pick(c, -reach, reach), q->dx[t] = pick(c, -reach, reach);
  static const int widths[] = {SUMI_SPMM_STEP_COLS, 5, 7, 8, 9, 14, 28, 56};
  win->cols = win->step == 1  ? win->w
              : pick(c, 0, 1) ? widths[pick(c, 0, 7)]
                              : pick(c, SUMI_SPMM_STEP_COLS, 72);
  q->s.window = win;
  return win->h * win->w;
}

static void make(struct check *c, struct problem *q, const struct sumi_spmm_f32_kernel *k,
                 const float *param) {
  struct sumi_spmm_f32 *s = &q->s;
  static const int blocks[] = {1, 2, 4, 8, 8, 3};
  memset(s, 0, sizeof *s);
  s->rows = pick(c, 1, pick(c, 0, 3) ? 20 : MOST_ROWS);
  s->pixels = pick(c, 1, pick(c, 0, 3) ? 70 : 300);
  s->block = blocks[pick(c, 0, 5)];
  const bool lists = pick(c, 0, 1), strided = !lists && pick(c, 0, 1);
  const bool columns = lists && k->windows && pick(c, 0, 1);
  if (columns && !pick(c, 0, 2)) { /* three vectors and a pixel, for which blocks of 4 rows have tiles */
    s->pixels = 49;
    s->block = 4;
    s->rows = round_up(s->rows, s->block);
  }
  const int64_t n_blocks = (s->rows + s->block - 1) / s->block;
  const int64_t plane = (columns || !lists) && k->windows && pick(c, 0, 1) ? make_window(c, q) : s->pixels;
  q->planes = pick(c, 1, MOST_PLANES);
  int64_t total;
  if (lists) {
    q->start[0] = 0;
    for (int64_t b = 0; b < n_blocks; b++) q->start[b + 1] = q->start[b] + pick(c, 0, MOST_LIST);
    total = q->start[n_blocks];
    s->start = q->start;
  } else {
    total = s->n_list = pick(c, 0, pick(c, 0, 9) ? MOST_LIST : LONG_LIST);
  }
  if (columns) {
    s->n_list = pick(c, 1, MOST_LIST);
    for (int64_t e = 0; e < total; e++) q->col[e] = pick(c, 0, (int)s->n_list - 1);
    s->col = q->col;
  }
  for (int64_t e = 0; e < (columns ? s->n_list : total); e++)
    q->off[e] = (int32_t)(4 * plane * pick(c, 0, (int)q->planes - 1));
  s->off = q->off;
  s->strip = !lists && !s->window && pick(c, 0, 1) ? k->strip : 0;
  q->lanes = k->lanes;
  s->w_row = strided ? total + pick(c, 0, 3) : 1;
  s->w_entry = strided ? 1 : s->block;
  s->w_block = strided ? s->block * s->w_row : lists ? 0 : s->block * total;
  const int64_t last = strided ? (s->rows - 1) * s->w_row + total
                       : lists ? total * s->block
                               : n_blocks * s->w_block;
  q->w = guard(c, (size_t)(last > 0 ? last : 0));
  q->x = guard(c, (size_t)(s->strip ? total * round_up(s->pixels, k->lanes) : q->planes * plane));
  fill_random(c, &q->w, -1, 1);
  fill_random(c, &q->x, -1, 1);
  s->w = q->w.data;
  s->x = q->x.data;
  const int bias = pick(c, 0, 2);
  q->bias = guard(c, (size_t)s->rows);
  q->lane_bias = guard(c, (size_t)s->pixels);
  fill_random(c, &q->bias, -1, 1);
  fill_random(c, &q->lane_bias, -1, 1);
  s->bias = bias == 1 ? q->bias.data : NULL;
  s->lane_bias = bias == 2 ? q->lane_bias.data : NULL;
  s->scale = pick(c, 0, 3) ? 1 : 0.25f;
  s->pitch = s->window || s->strip || pick(c, 0, 1) ? s->pixels : pick(c, 1, 30);
  s->width = s->pitch == s->pixels ? s->pitch : pick(c, 1, (int)s->pitch);
  q->scans = (s->pixels + s->pitch - 1) / s->pitch;
  s->y_row = q->scans * s->width + pick(c, 0, 2);
  s->add_row = s->y_row + pick(c, 0, 2);
  q->y = guard(c, (size_t)(s->rows * s->y_row));
  q->add = guard(c, (size_t)(s->rows * s->add_row));
  fill_random(c, &q->add, -1, 1);
  s->y = q->y.data;
  s->add = pick(c, 0, 2) ? NULL : q->add.data;
  s->act = pick(c, 0, 3) ? NULL : double_it;
  s->act_param = param;
  s->lo = pick(c, 0, 1) ? -0.25f : -INFINITY;
  s->hi = pick(c, 0, 1) ? 1.5f : INFINITY;
  q->scratch = guard(c, (size_t)sumi_spmm_f32_scratch(s)); /* whole cache lines: aligned at either end */
  s->scratch = s->window || s->col || pick(c, 0, 2) ? q->scratch.data : NULL;
}

static void compare(struct check *c, const struct problem *q, bool exact, int64_t b0, int64_t b1, int64_t p0,
                    int64_t p1) {
  const struct sumi_spmm_f32 *s = &q->s;
  for (int64_t m = 0; m < s->rows; m++) {
    int64_t written = 0;
    for (int64_t p = p0; p < p1; p++) {
      if (m / s->block < b0 || m / s->block >= b1 || p % s->pitch >= s->width) continue;
      float size;
      const int64_t at = m * s->y_row + place(s, p);
      const float right = want(q, m, p, &size), got = q->y.data[at];
      written++;
      /* ref rounds every product and every sum: half a unit in the last place each, of at most the sum of
       * magnitudes */
      const float tolerance =
          exact ? 0 : 1.2e-7f * (size + fabsf(right) + 2) * (float)(s->start ? MOST_LIST : s->n_list + 2);
      if (!(exact ? same_bits(c, "y", at, got, right) : same(c, "y", at, got, right, tolerance))) return;
    }
    for (int64_t i = 0; i < s->y_row; i++) written -= !is_poison(q->y.data[m * s->y_row + i]);
    if (written != 0) {
      fail(c, "row %ld has %ld words too many", (long)m, (long)-written);
      return;
    }
  }
}

static void check_one(struct check *c, const struct sumi_spmm_f32_kernel *k) {
  static struct problem q;
  static const float param[1] = {2};
  make(c, &q, k, param);
  const struct sumi_spmm_f32 *s = &q.s;
  const int64_t n_blocks = (s->rows + s->block - 1) / s->block;
  const bool part = pick(c, 0, 2) == 0;
  const int64_t b0 = part ? pick(c, 0, (int)n_blocks - 1) : 0,
                b1 = part ? pick(c, (int)b0, (int)n_blocks) : n_blocks;
  int64_t p0 = part ? pick(c, 0, (int)s->pixels - 1) : 0,
          p1 = part ? pick(c, (int)p0, (int)s->pixels) : s->pixels;
  if (s->strip) {
    p0 = p0 / s->strip * s->strip;
    p1 = p1 < s->pixels ? p1 / s->strip * s->strip : p1;
  }
  begin_case(c, k->name,
             "rows %ld, pixels %ld, block %d, %s%s%s %ld, w_row %ld, scale %g, %s%s%s, pitch %ld, width %ld, "
             "clip %g..%g, "
             "blocks %ld..%ld, pixels %ld..%ld",
             (long)s->rows, (long)s->pixels, s->block, s->start ? "lists" : "dense",
             s->window  ? " windows"
             : s->strip ? " strips"
                        : "",
             s->col ? " columns" : "", (long)s->n_list, (long)s->w_row, (double)s->scale,
             s->bias        ? "bias"
             : s->lane_bias ? "lane bias"
                            : "no bias",
             s->add ? ", add" : "", s->act ? ", act" : "", (long)s->pitch, (long)s->width, (double)s->lo,
             (double)s->hi, (long)b0, (long)b1, (long)p0, (long)p1);
  k->run(s, b0, b1, p0, p1);
  compare(c, &q, k->isa != SUMI_ISA_REF, b0, b1, p0, p1);
  struct guarded *const all[] = {&q.x, &q.w, &q.bias, &q.lane_bias, &q.add, &q.y, &q.scratch};
  for (int i = 0; i < 7; i++) let_go(c, all[i]);
}

/* NaN in the data must reach the output through the clip. */
static void check_nan(struct check *c, const struct sumi_spmm_f32_kernel *k) {
  float x[20], y[20], w = 1;
  const int32_t off = 0;
  for (int i = 0; i < 20; i++) x[i] = i % 3 ? NAN : -1;
  const struct sumi_spmm_f32 s = {.rows = 1,
                                  .pixels = 20,
                                  .block = 1,
                                  .x = x,
                                  .off = &off,
                                  .n_list = 1,
                                  .w = &w,
                                  .w_block = 1,
                                  .w_entry = 1,
                                  .w_row = 1,
                                  .scale = 1,
                                  .lo = 0,
                                  .hi = 6,
                                  .y = y,
                                  .y_row = 20,
                                  .pitch = 20,
                                  .width = 20};
  begin_case(c, k->name, "NaN");
  k->run(&s, 0, 1, 0, 20);
  for (int i = 0; i < 20; i++) same(c, "y", i, y[i], i % 3 ? NAN : 0, 0);
}

/* ---- speed
 * ------------------------------------------------------------------------------------------------------- */

static void bench_one(struct check *c, const struct sumi_spmm_f32_kernel *k, int m, int ci, int taps, int hw,
                      int block, double density) {
  const int side = taps == 9 ? 3 : 1, pitch = hw + (side > 1), list = ci * taps;
  const int64_t pixels = (int64_t)hw * pitch - (pitch - hw), plane = (int64_t)(hw + 2) * pitch + 2;
  struct sumi_spmm_f32 s = {.rows = m, .pixels = pixels, .block = block, .scale = 1, .lo = 0, .hi = INFINITY};
  const int blocks = (m + block - 1) / block;
  struct guarded x = guard(c, (size_t)(ci * plane)), w = guard(c, (size_t)(blocks * list * block)),
                 y = guard(c, (size_t)m * (size_t)hw * (size_t)hw), bias = guard(c, (size_t)m);
  fill_random(c, &x, -1, 1);
  fill_random(c, &w, -1, 1);
  fill_random(c, &bias, -1, 1);
  int32_t *off = malloc(sizeof *off * (size_t)(blocks * list)),
          *start = malloc(sizeof *start * (size_t)(blocks + 1));
  int n = 0;
  for (int b = 0; b < (density < 1 ? blocks : 1); b++) {
    start[b] = n;
    for (int e = 0; e < list; e++)
      if (density >= 1 || sumi_random_uniform(&c->random) < density)
        off[n++] = (int32_t)(4 * (e / taps * plane + e % taps / side * pitch + e % taps % side));
    start[b + 1] = n;
  }
  s.x = x.data, s.off = off, s.w = w.data, s.bias = bias.data, s.y = y.data;
  s.start = density < 1 ? start : NULL, s.n_list = list;
  s.w_row = 1, s.w_entry = block, s.w_block = density < 1 ? 0 : (int64_t)list * block;
  s.pitch = side > 1 ? pitch : pixels, s.width = side > 1 ? hw : pixels, s.y_row = (int64_t)hw * hw;
  struct guarded scratch = guard(c, SUMI_SPMM_F32_SCRATCH);
  s.scratch = scratch.data;
  const double macs = (density < 1 ? (double)n * block : (double)list * m) * hw * hw;
  double best = 1e9;
  for (int t = 0; t < 5 || (best * t < 0.05 && t < 100); t++) {
    const double t0 = now_s();
    k->run(&s, 0, blocks, 0, pixels);
    const double d = now_s() - t0;
    if (d < best) best = d;
  }
  char shape[100];
  snprintf(shape, sizeof shape, "%d -> %d %dx%d @%dx%d block %d density %.3g", ci, m, side, side, hw, hw,
           block, (double)n / (list * (density < 1 ? blocks : 1)));
  report(c, k->name, shape, best, macs, 0);
  free(off), free(start);
  let_go(c, &x), let_go(c, &w), let_go(c, &y), let_go(c, &bias), let_go(c, &scratch);
}

static void bench(struct check *c, const struct sumi_spmm_f32_kernel *k) {
  static const int net[][4] = {/* the shapes of ResNet-50 and MobileNet: out, in, taps, side */
                               {64, 64, 1, 56},    {64, 64, 9, 56},    {256, 64, 1, 56},  {64, 256, 1, 56},
                               {128, 128, 9, 28},  {512, 128, 1, 28},  {128, 512, 1, 28}, {256, 256, 9, 14},
                               {1024, 256, 1, 14}, {256, 1024, 1, 14}, {512, 512, 9, 7},  {2048, 512, 1, 7},
                               {512, 2048, 1, 7},  {32, 3, 9, 112},    {96, 16, 1, 112},  {24, 144, 1, 56},
                               {192, 32, 1, 28}};
  for (size_t i = 0; i < sizeof net / sizeof *net; i++)
    bench_one(c, k, net[i][0], net[i][1], net[i][2], net[i][3], 8, 1);
  static const int blocks[] = {8, 4, 2, 1};
  for (int b = 0; b < 4; b++)
    for (int d = 2; d <= 32; d *= 2) {
      bench_one(c, k, 256, 256, 1, 14, blocks[b], 1.0 / d);
      bench_one(c, k, 64, 64, 9, 56, blocks[b], 1.0 / d);
    }
}

void check_spmm(struct check *c) {
  size_t n;
  const struct sumi_spmm_f32_kernel *all = sumi_spmm_f32_kernels(&n), *k = sumi_spmm_f32_pick(sumi_cpu_isa());
  begin_case(c, k->name, "pick");
  if (k->isa > sumi_cpu_isa()) fail(c, "level %s is above the mask", sumi_isa_label(k->isa));
  for (size_t i = 0; all + i < k; i++)
    if (sumi_cpu_allows(sumi_cpu_isa(), all[i].isa))
      fail(c, "%s stands first and was not picked", all[i].name);
  if (c->bench) {
    if (k->isa == sumi_cpu_isa() || sumi_cpu_isa() >= SUMI_ISA_AVX512) bench(c, k);
    return;
  }
  check_nan(c, k);
  for (int i = 0; i < 1500; i++) check_one(c, k);
}

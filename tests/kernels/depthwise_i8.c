/* Family depthwise_i8: random taps, ends, maps and splits. A window a channel is a list of its own in the loop of spmm_i8.h:
 * the portable kernel of that family, which is tested against that loop, says what is right, to the bit. */
#include "kernel/depthwise/depthwise_i8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

enum { MOST_TAPS = 30, MOST_GROUPS = 6 };

struct problem {
  struct sumi_depthwise_i8 d;
  struct walk map, r_map;
  struct guarded x, w, bias, scale, shift, table, y, r, add;
  int32_t off[4 * MOST_TAPS], from[4 * MOST_TAPS];
  int8_t weight[4 * MOST_GROUPS][MOST_TAPS]; /* of tap t of channel c */
  int32_t tap[MOST_TAPS], n_tap;
  int64_t groups;
};

/* Windows with strides as offsets into planes that hold rows or phases, or any offsets. */
static void make_taps(struct check *c, struct problem *q) {
  const int wide = pick(c, 1, 5), high = pick(c, 1, 5), pitch = pick(c, 5, 40), step = pick(c, 1, 2);
  const bool any = pick(c, 0, 3) == 0;
  q->n_tap = any ? pick(c, 1, MOST_TAPS) : wide * high;
  for (int t = 0; t < q->n_tap; t++) {
    const int y = t / wide, x = t % wide;
    const int phase = (y % step * step + x % step) * 100;
    q->tap[t] = 4 * (any ? pick(c, 0, 60) : phase + y / step * pitch + x / step);
  }
}

static void make_inputs(struct check *c, struct problem *q) {
  struct sumi_spmm_i8 *s = &q->d.s;
  make_taps(c, q);
  s->n_list = sumi_depthwise_i8_taps(q->tap, q->n_tap, q->off, q->from);
  s->off = q->off;
  int32_t furthest = 0;
  for (int t = 0; t < q->n_tap; t++) furthest = q->tap[t] > furthest ? q->tap[t] : furthest;
  const int64_t plane = furthest / 4 + q->map.pixels + pick(c, 0, 9);
  q->d.x_group = 4 * plane;
  q->x = guard(c, (size_t)(q->groups * plane + SUMI_LANE_OVER_WORDS));
  fill_words(c, &q->x);
  const bool extreme = pick(c, 0, 3) == 0;
  for (size_t i = 0; extreme && i < q->x.n; i++) words_of(&q->x)[i] = pick(c, 0, 1) ? 0xffffffffu : 0;
  s->x = (const uint8_t *)q->x.data;
  q->w = guard(c, (size_t)(q->groups * s->n_list * 4));
  for (int64_t m = 0; m < s->rows; m++)
    for (int t = 0; t < q->n_tap; t++)
      q->weight[m][t] = (int8_t)(extreme ? pick(c, 0, 1) ? -128 : 127 : pick(c, -128, 127));
  for (int64_t m = 0; m < s->rows; m++)
    for (int64_t k = 0; k < 4 * s->n_list; k++) {
      const int32_t tap = q->from[k];
      set_byte(words_of(&q->w), 0, k % 4, (m / 4 * s->n_list + k / 4) * 4 + m % 4,
               tap < 0 ? 0 : (uint8_t)q->weight[m][tap]);
    }
  s->w = (const int32_t *)q->w.data;
}

static void make_end(struct check *c, struct problem *q) {
  struct sumi_spmm_i8 *s = &q->d.s;
  const size_t rows = (size_t)s->rows;
  s->map = &q->map.map, s->r_map = &q->r_map.map;
  q->bias = guard(c, rows), q->scale = guard(c, rows), q->shift = guard(c, rows), q->add = guard(c, rows);
  q->table = guard(c, 64);
  fill_words(c, &q->bias), fill_words(c, &q->table);
  for (size_t i = 0; i < rows; i++) ((int32_t *)q->bias.data)[i] /= 1 << 14;
  fill_random(c, &q->scale, 0, pick(c, 0, 3) ? 0.002f : 1.5f);
  if (pick(c, 0, 9) == 0) q->scale.data[pick(c, 0, (int)rows - 1)] = pick(c, 0, 1) ? NAN : INFINITY;
  fill_random(c, &q->shift, -9, 9), fill_random(c, &q->add, -9, 9);
  s->bias = (const int32_t *)q->bias.data, s->scale = q->scale.data;
  s->zero = (float)pick(c, 0, 255), s->lo = (float)(pick(c, 0, 1) * pick(c, 0, 255));
  s->hi = (float)pick(c, (int)s->lo, 255);
  const bool f32 = pick(c, 0, 5) == 0;
  s->y_group = s->y_row = q->map.words + pick(c, 0, 3);
  q->y = guard(c, (f32 ? rows : rows / 4) * (size_t)s->y_group);
  s->y = f32 ? NULL : words_of(&q->y), s->y_f32 = f32 ? q->y.data : NULL;
  s->shift = pick(c, 0, 1) ? q->shift.data : NULL;
  s->post = pick(c, 0, 1) ? 1 : 0.6f;
  s->table = !f32 && pick(c, 0, 2) == 0 ? (const uint8_t *)q->table.data : NULL;
  s->n_stage = f32 || pick(c, 0, 3) ? 0 : 1;
  const int64_t r_group = q->r_map.words;
  q->r = guard(c, rows / 4 * (size_t)r_group);
  fill_words(c, &q->r);
  s->stage[0] = (struct sumi_spmm_i8_stage){.add = pick(c, 0, 1) ? q->add.data : NULL,
                                            .r = words_of(&q->r),
                                            .r_group = r_group,
                                            .r_zero = (float)pick(c, 0, 255),
                                            .r_mul = 0.7f,
                                            .mul = 0.9f,
                                            .zero = (float)pick(c, 0, 255),
                                            .hi = 255};
}

/* The same through spmm_i8: a list for every group of four rows, in whose words row i has a weight in byte i only. */
static void want(const struct problem *q, const struct guarded *y, uint32_t *words, int64_t p1) {
  struct sumi_spmm_i8 s = q->d.s;
  const int64_t entries = q->groups * q->n_tap;
  int32_t *const off = malloc(sizeof *off * (size_t)entries), start[MOST_GROUPS + 1] = {0};
  int32_t *const w = calloc((size_t)entries * 4, sizeof *w);
  if (!off || !w) exit(4);
  for (int64_t g = 0; g < q->groups; g++) {
    start[g + 1] = (int32_t)(g + 1) * q->n_tap;
    for (int64_t t = 0; t < q->n_tap; t++) {
      const int64_t e = g * q->n_tap + t;
      off[e] = (int32_t)(g * q->d.x_group) + q->tap[t];
      for (int i = 0; i < 4; i++)
        w[4 * e + i] = (int32_t)((uint32_t)(uint8_t)q->weight[4 * g + i][t] << 8 * i);
    }
  }
  s.block = 4, s.off = off, s.start = start, s.n_list = 0, s.w = w, s.w_entry = 4, s.w_row = 1, s.w_block = 0;
  if (s.y) s.y = words;
  if (s.y_f32) s.y_f32 = (float *)(void *)words;
  size_t n;
  const struct sumi_spmm_i8_kernel *all = sumi_spmm_i8_kernels(&n);
  all[n - 1].run(&s, 0, q->groups, 0, p1);
  (void)y;
  free(off), free(w);
}

static void check_one(struct check *c, const struct sumi_depthwise_i8_kernel *k) {
  static struct problem q;
  struct sumi_spmm_i8 *s = &q.d.s;
  memset(s, 0, sizeof *s);
  q.groups = pick(c, 1, MOST_GROUPS);
  s->rows = 4 * q.groups, s->block = 4;
  const int64_t pixels = pick(c, 1, pick(c, 0, 2) ? 70 : 300);
  walk_random(c, pixels, &q.map), walk_random(c, pixels, &q.r_map);
  for (int64_t p = 0; p < pixels; p++) /* the residual has every pixel that is kept */
    if (q.r_map.place[p] < 0) q.r_map.place[p] = (int32_t)(pixels + p);
  walk_finish(&q.r_map);
  make_end(c, &q);
  make_inputs(c, &q);
  begin_case(c, k->name, "%ld groups, %ld pixels, %ld taps in %ld quads, %d stages%s%s", (long)q.groups,
             (long)pixels, (long)q.n_tap, (long)s->n_list, s->n_stage, s->table ? ", table" : "",
             s->y_f32 ? ", float32" : "");
  const int64_t g = pick(c, 0, (int)q.groups), cut = 16 * pick(c, 0, (int)pixels / 16);
  k->run(&q.d, 0, g, 0, pixels);
  k->run(&q.d, g, q.groups, cut, pixels);
  k->run(&q.d, g, q.groups, 0, cut);
  uint32_t *right = poison_words(q.y.n);
  want(&q, &q.y, right, pixels);
  same_words(c, "y", &q.y, right);
  free(right);
  struct guarded *const all[] = {&q.x, &q.w, &q.bias, &q.scale, &q.shift, &q.table, &q.y, &q.r, &q.add};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) let_go(c, all[i]);
}

/* ---- measurements ------------------------------------------------------------------------------------------------ */

struct shape {
  int channels, in, side, stride, times; /* times: so often in MobileNetV2 */
};

/* Seconds of one layer; its planes have the halo that the window wants. */
static double bench_one(struct check *c, const struct sumi_depthwise_i8_kernel *k, const struct shape *f) {
  enum { MOST = 25 };
  const int64_t out = f->in / f->stride, half = f->side / 2;
  const struct sumi_tensor t = {.dtype = SUMI_UINT8, .rank = 4, .dim = {1, f->channels, f->in, f->in}};
  const struct sumi_tensor u = {.dtype = SUMI_UINT8, .rank = 4, .dim = {1, f->channels, out, out}};
  const struct sumi_halo halo = {half, half, half, half, f->stride, f->stride},
                         none = {.step_y = 1, .step_x = 1};
  struct sumi_layout from, to;
  if (sumi_layout_lanes(&t, 1, halo, 0, &from, NULL) || sumi_layout_lanes(&u, 1, none, 0, &to, NULL))
    return 0;
  int32_t tap[MOST], off[4 * MOST], tap_of[4 * MOST];
  for (int i = 0; i < f->side * f->side; i++)
    tap[i] = (int32_t)(4 * sumi_layout_at(&from, 0, i / f->side - half, i % f->side - half));
  const int64_t n_list = sumi_depthwise_i8_taps(tap, f->side * f->side, off, tap_of);
  const int64_t pixels = (out - 1) * from.pitch + out;
  int32_t *place = malloc(sizeof *place * (size_t)pixels),
          *first = malloc(sizeof *first * (size_t)(pixels / 16 + 2));
  struct sumi_lane_piece *piece = malloc(sizeof *piece * (size_t)pixels);
  for (int64_t p = 0; p < pixels; p++)
    place[p] = p % from.pitch < out ? (int32_t)(p / from.pitch * to.pitch + p % from.pitch) : -1;
  const struct sumi_lane_map map = sumi_lane_map_of(place, pixels, first, piece);
  struct guarded x = guard(c, from.bytes / 4), y = guard(c, to.bytes / 4),
                 w = guard(c, (size_t)(f->channels * n_list)), row = guard(c, (size_t)f->channels);
  fill_words(c, &x), fill_words(c, &w), fill_random(c, &row, 0.001f, 0.002f), fill_words(c, &y);
  const struct sumi_depthwise_i8 d = {.s = {.rows = f->channels,
                                            .block = 4,
                                            .x = (const uint8_t *)x.data,
                                            .off = off,
                                            .n_list = n_list,
                                            .w = (const int32_t *)w.data,
                                            .bias = (const int32_t *)w.data,
                                            .scale = row.data,
                                            .hi = 255,
                                            .post = 1,
                                            .map = &map,
                                            .y = words_of(&y),
                                            .y_group = to.group},
                                      .x_group = 4 * from.group};
  double best = 1e9;
  for (int i = 0; i < 60; i++) {
    const double t0 = now_s();
    k->run(&d, 0, f->channels / 4, 0, pixels);
    best = fmin(best, now_s() - t0);
  }
  char shape[80];
  snprintf(shape, sizeof shape, "%d channels %dx%d, %dx%d stride %d", f->channels, f->in, f->in, f->side,
           f->side, f->stride);
  report(c, k->name, shape, best, (double)f->channels * (double)(out * out) * f->side * f->side, 0);
  let_go(c, &x), let_go(c, &y), let_go(c, &w), let_go(c, &row);
  free(place), free(first), free(piece);
  return best;
}

static void bench(struct check *c, const struct sumi_depthwise_i8_kernel *k) {
  static const struct shape shapes[] = {
      {32, 112, 3, 1, 1}, {96, 112, 3, 2, 1}, {144, 56, 3, 1, 1}, {144, 56, 3, 2, 1}, {192, 28, 3, 1, 2},
      {192, 28, 3, 2, 1}, {384, 14, 3, 1, 4}, {576, 14, 3, 1, 2}, {576, 14, 3, 2, 1}, {960, 7, 3, 1, 3},
      {144, 56, 5, 2, 0}, {240, 28, 5, 1, 0}, {672, 14, 5, 1, 0}, {672, 14, 5, 2, 0}, {1152, 7, 5, 1, 0}};
  double all = 0;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    all += bench_one(c, k, &shapes[i]) * shapes[i].times;
  printf("%-22s all depthwise layers of MobileNetV2: %.3f ms\n", k->name, all * 1e3);
}

void check_depthwise_i8(struct check *c) {
  size_t n;
  const struct sumi_depthwise_i8_kernel *all = sumi_depthwise_i8_kernels(&n);
  for (size_t r = 0; r < n; r++) {
    if (!sumi_cpu_allows(sumi_cpu_isa(), all[r].isa)) continue;
    if (c->bench && all[r].isa == sumi_cpu_isa()) bench(c, &all[r]);
    for (int i = 0; !c->bench && i < 150; i++) check_one(c, &all[r]);
  }
  if (sumi_depthwise_i8_pick(sumi_cpu_isa())->isa > sumi_cpu_isa()) fail(c, "pick is above the mask");
}

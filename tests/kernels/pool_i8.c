/* Family pool_i8: random windows, walks and splits against the loops of pool_i8.h, to the bit. */
#include "kernel/pool/pool_i8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "walk.h"

enum { MOST_TAPS = 600 };

struct problem {
  struct sumi_pool_i8 d;
  struct walk map;
  struct guarded x, y, scale;
  int32_t off[MOST_TAPS];
  int64_t groups;
};

static int hold(const struct sumi_pool_i8 *d, float v) {
  const float lo = d->lo - d->zero, hi = d->hi - d->zero, above = v > lo ? v : lo;
  return (int)(rintf(above < hi ? above : hi) + d->zero);
}

static int byte_at(const struct problem *q, int64_t channel, int64_t word) {
  return q->d.x[channel / 4 * q->d.x_group + 4 * word + channel % 4];
}

static int want(const struct problem *q, int kind, int64_t channel, int64_t p) {
  const struct sumi_pool_i8 *d = &q->d;
  int most = 0, sum = 0;
  const int64_t n = kind == 2 ? d->pixels : d->taps;
  for (int64_t t = 0; t < n; t++) {
    const int64_t at = kind == 2 ? q->map.place[t] : p + q->off[t] / 4;
    const int value = at < 0 ? 0 : byte_at(q, channel, at);
    sum += value;
    if (value > most) most = value;
  }
  return kind == 0 ? most
                   : hold(d, (float)(sum - (int)n * (int)d->x_zero) * d->scale[kind == 2 ? 0 : d->step * p]);
}

static void make(struct check *c, struct problem *q) {
  struct sumi_pool_i8 *d = &q->d;
  *d = (struct sumi_pool_i8){.taps = pick(c, 1, pick(c, 0, 9) ? 30 : MOST_TAPS), .step = pick(c, 0, 1)};
  q->groups = pick(c, 1, 4);
  d->pixels = pick(c, 1, pick(c, 0, 2) ? 70 : WALK_MOST);
  walk_random(c, d->pixels, &q->map);
  int32_t furthest = 0;
  for (int64_t t = 0; t < d->taps; t++) {
    q->off[t] = 4 * pick(c, 0, 200);
    if (q->off[t] > furthest) furthest = q->off[t];
  }
  const int64_t reach = furthest / 4 + d->pixels, plane = reach > q->map.words ? reach : q->map.words;
  d->x_group = 4 * (plane + pick(c, 0, 9));
  q->x = guard(c, (size_t)(q->groups * d->x_group / 4 + SUMI_LANE_OVER_WORDS));
  fill_words(c, &q->x);
  const bool extreme = pick(c, 0, 3) == 0;
  for (size_t i = 0; extreme && i < q->x.n; i++) words_of(&q->x)[i] = 0xffffffffu;
  d->y_group = q->map.words + pick(c, 0, 3);
  q->y = guard(c, (size_t)(q->groups * d->y_group));
  q->scale = guard(c, d->step ? (size_t)d->pixels : 1);
  fill_random(c, &q->scale, 0, 2 / (float)d->taps);
  if (pick(c, 0, 9) == 0) q->scale.data[0] = pick(c, 0, 1) ? NAN : 1e30f;
  d->x = (const uint8_t *)q->x.data, d->y = words_of(&q->y), d->off = q->off, d->scale = q->scale.data;
  d->map = &q->map.map;
  d->x_zero = (float)pick(c, 0, 255), d->zero = (float)pick(c, 0, 255);
  d->lo = (float)(pick(c, 0, 1) * pick(c, 0, 255)), d->hi = (float)pick(c, (int)d->lo, 255);
}

static void check_one(struct check *c, const struct sumi_pool_i8_kernel *k, int kind) {
  static const char *const name[] = {"max", "average", "mean"};
  static struct problem q;
  make(c, &q);
  struct sumi_pool_i8 *d = &q.d;
  begin_case(c, k->name, "%s %ld groups, %ld pixels, %ld taps, scale of %s", name[kind], (long)q.groups,
             (long)d->pixels, (long)d->taps, d->step ? "each pixel" : "all");
  const int64_t g = pick(c, 0, (int)q.groups), cut = 16 * pick(c, 0, (int)d->pixels / 16);
  uint32_t *right = poison_words(q.y.n);
  if (kind == 2) {
    d->map = q.map.given;
    k->mean(d, 0, g), k->mean(d, g, q.groups);
    for (int64_t ch = 0; ch < 4 * q.groups; ch++) set_byte(right, d->y_group, ch, 0, want(&q, kind, ch, 0));
  } else {
    void (*const run)(const struct sumi_pool_i8 *, int64_t, int64_t, int64_t, int64_t) =
        kind ? k->average : k->max;
    run(d, 0, g, 0, d->pixels), run(d, g, q.groups, 0, cut), run(d, g, q.groups, cut, d->pixels);
    for (int64_t ch = 0; ch < 4 * q.groups; ch++)
      for (int64_t p = 0; p < d->pixels; p++)
        if (q.map.place[p] >= 0) set_byte(right, d->y_group, ch, q.map.place[p], want(&q, kind, ch, p));
  }
  same_words(c, "y", &q.y, right);
  free(right);
  let_go(c, &q.x), let_go(c, &q.y), let_go(c, &q.scale);
}

static void bench(struct check *c, const struct sumi_pool_i8_kernel *k) {
  static const int sizes[][4] = {/* channels, pixels in and out of a side, taps of a side */
                                 {64, 112, 56, 3},
                                 {192, 28, 28, 3},
                                 {2048, 7, 1, 7},
                                 {1280, 7, 1, 7}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int channels = sizes[i][0], in = sizes[i][1], out = sizes[i][2], side = sizes[i][3];
    const int64_t plane = (in + 2) * (in + 2), groups = channels / 4,
                  n = out == 1 ? in * in : (out - 1) * (out + 1) + out;
    int32_t off[49], first[WALK_MOST * 4];
    for (int t = 0; t < side * side; t++) off[t] = 4 * (t / side * (out + 1) + t % side);
    struct sumi_lane_piece *piece = malloc(sizeof *piece * (size_t)n);
    int32_t *place = malloc(sizeof *place * (size_t)n);
    for (int64_t p = 0; p < n; p++)
      place[p] = p % (out + 1) < out ? (int32_t)(p / (out + 1) * out + p % (out + 1)) : -1;
    const struct sumi_lane_map map = sumi_lane_map_of(place, n, first, piece);
    struct guarded x = guard(c, (size_t)(groups * plane + 256)),
                   y = guard(c, (size_t)(groups * (out * out + 16)));
    fill_words(c, &x), fill_words(c, &y);
    const float scale = 0.02f;
    const struct sumi_pool_i8 d = {.x = (const uint8_t *)x.data,
                                   .x_group = 4 * plane,
                                   .off = off,
                                   .taps = side * side,
                                   .pixels = n,
                                   .map = out == 1 ? NULL : &map,
                                   .y = words_of(&y),
                                   .y_group = out * out + 16,
                                   .x_zero = 9,
                                   .scale = &scale,
                                   .zero = 3,
                                   .hi = 255};
    for (int kind = out == 1 ? 2 : 0; kind < (out == 1 ? 3 : 2); kind++) {
      double best = 1e9;
      for (int t = 0; t < 50; t++) {
        const double t0 = now_s();
        if (kind == 2)
          k->mean(&d, 0, groups);
        else
          (kind ? k->average : k->max)(&d, 0, groups, 0, n);
        best = fmin(best, now_s() - t0);
      }
      char shape[80];
      snprintf(shape, sizeof shape, "%s %d channels %dx%d to %dx%d, %dx%d",
               kind == 2 ? "mean"
               : kind    ? "average"
                         : "max",
               channels, in, in, out, out, side, side);
      report(c, k->name, shape, best, 0, (double)channels * (in * in + out * out));
    }
    let_go(c, &x), let_go(c, &y), free(piece), free(place);
  }
}

void check_pool_i8(struct check *c) {
  size_t n;
  const struct sumi_pool_i8_kernel *all = sumi_pool_i8_kernels(&n);
  for (size_t r = 0; r < n; r++) {
    if (!sumi_cpu_allows(sumi_cpu_isa(), all[r].isa)) continue;
    if (c->bench && all[r].isa == sumi_cpu_isa()) bench(c, &all[r]);
    for (int i = 0; !c->bench && i < 150; i++) check_one(c, &all[r], i % 3);
  }
  if (sumi_pool_i8_pick(sumi_cpu_isa())->isa > sumi_cpu_isa()) fail(c, "pick is above the mask");
}

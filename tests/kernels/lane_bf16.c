/* Family lane_bf16: random walks, channels, windows and splits against the loops of lane_bf16.h, to the bit. */
#include "kernel/lane/lane_bf16.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "walk.h"

static uint16_t half_of(const uint32_t *word, int64_t group, int64_t channel, int64_t at) {
  return (uint16_t)(word[channel / 2 * group + at] >> channel % 2 * 16);
}

static void set_half(uint32_t *word, int64_t group, int64_t channel, int64_t at, uint16_t half) {
  uint32_t *const to = &word[channel / 2 * group + at];
  *to = (*to & ~(0xffffu << channel % 2 * 16)) | (uint32_t)half << channel % 2 * 16;
}

/* ---- row-major data and words ------------------------------------------------------------------------------------ */

struct convert {
  struct sumi_lane_convert job;
  struct walk walk;
  struct guarded data, words;
  int64_t groups;
};

static int64_t element(const struct convert *v, int64_t channel, int64_t p) {
  return channel * v->job.channel + p * v->job.pixel;
}

static void make_convert(struct check *c, struct convert *v) {
  const int channels = pick(c, 1, pick(c, 0, 1) ? 5 : 40), pixels = pick(c, 1, 120);
  const bool rows = pick(c, 0, 1);
  walk_random(c, pixels, &v->walk);
  v->groups = (channels + 1) / 2;
  v->job = (struct sumi_lane_convert){.channels = channels,
                                      .channel = rows ? 1 : pixels + pick(c, 0, 3),
                                      .pixel = rows ? channels + pick(c, 0, 3) : 1};
  v->job.words.group = v->walk.words + pick(c, 0, 5);
  v->job.words.map = v->walk.given;
  v->data = guard(c, (size_t)(element(v, channels - 1, pixels - 1) + 1));
  v->words = guard(c, (size_t)((v->groups - 1) * v->job.words.group + v->walk.words));
  v->job.data = v->data.data;
  v->job.words.word = words_of(&v->words);
}

/* In two parts of planes and two of pixels. */
static void run_parts(struct check *c, const struct convert *v,
                      void (*run)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE)) {
  const int64_t g = pick(c, 0, (int)v->groups), pixels = v->walk.pixels;
  const int64_t cut = 16 * pick(c, 0, (int)(pixels + 15) / 16), p = cut < pixels ? cut : pixels;
  run(&v->job, 0, g, 0, p), run(&v->job, g, v->groups, 0, p);
  run(&v->job, 0, g, p, pixels), run(&v->job, g, v->groups, p, pixels);
}

static void check_narrow(struct check *c, const struct sumi_lane_bf16_kernel *k) {
  struct convert v;
  make_convert(c, &v);
  static const float odd[] = {NAN, INFINITY, -INFINITY, 3.4e38f, -0.0f, 1e-44f, 1.00390625f, 1.01171875f};
  for (size_t i = 0; i < v.data.n; i++)
    v.data.data[i] =
        pick(c, 0, 7) == 0 ? odd[pick(c, 0, 7)] : (float)(2 * sumi_random_uniform(&c->random) - 1);
  begin_case(c, k->name, "narrow %ld channels, %ld pixels, strides %ld %ld", (long)v.job.channels,
             (long)v.walk.pixels, (long)v.job.channel, (long)v.job.pixel);
  run_parts(c, &v, k->narrow);
  uint32_t *want = poison_words(v.words.n);
  for (int64_t ch = 0; ch < 2 * v.groups; ch++)
    for (int64_t p = 0; p < v.walk.pixels; p++)
      if (v.walk.place[p] >= 0)
        set_half(want, v.job.words.group, ch, v.walk.place[p],
                 ch < v.job.channels ? sumi_bf16_from_f32(v.data.data[element(&v, ch, p)]) : 0);
  same_words(c, "words", &v.words, want);
  free(want);
  let_go(c, &v.data), let_go(c, &v.words);
}

static void check_widen(struct check *c, const struct sumi_lane_bf16_kernel *k) {
  struct convert v;
  make_convert(c, &v);
  fill_words(c, &v.words);
  begin_case(c, k->name, "widen %ld channels, %ld pixels, strides %ld %ld", (long)v.job.channels,
             (long)v.walk.pixels, (long)v.job.channel, (long)v.job.pixel);
  run_parts(c, &v, k->widen);
  uint32_t *want = poison_words(v.data.n);
  for (int64_t ch = 0; ch < v.job.channels; ch++)
    for (int64_t p = 0; p < v.walk.pixels; p++) {
      const int32_t at = v.walk.place[p];
      want[element(&v, ch, p)] =
          at < 0 ? 0 : (uint32_t)half_of(v.job.words.word, v.job.words.group, ch, at) << 16;
    }
  same_words(c, "data", &v.data, want);
  free(want);
  let_go(c, &v.data), let_go(c, &v.words);
}

/* ---- windows ----------------------------------------------------------------------------------------------------- */

enum { MOST_TAPS = 9, MOST_GROUPS = 5 };

/* The larger one; NaN is larger than all, a half of all ones smaller. */
static uint16_t larger(uint16_t a, uint16_t b) {
  if (a == 0xffff || b == 0xffff) return a == 0xffff ? b : a;
  const float x = sumi_f32_from_bf16(a), y = sumi_f32_from_bf16(b);
  if (x == 0 && y == 0) return a & 0x8000 ? b : a; /* -0 is below 0 */
  return isnan(x) || x >= y ? a : b;
}

static uint16_t largest(const struct sumi_pool_i8 *d, int64_t channel, int64_t p) {
  uint16_t best = 0xffff, h;
  for (int64_t t = 0; t < d->taps; t++) {
    memcpy(&h, d->x + channel / 2 * d->x_group + 4 * p + d->off[t] + channel % 2 * 2, sizeof h);
    best = larger(best, h);
  }
  return best;
}

static bool is_nan(uint16_t h) { return (h & 0x7fff) > 0x7f80; }

static void check_max(struct check *c, const struct sumi_lane_bf16_kernel *k) {
  const int pixels = pick(c, 1, 120), groups = pick(c, 1, MOST_GROUPS);
  struct walk walk;
  int32_t off[MOST_TAPS], place[128], first[10];
  struct sumi_lane_piece piece[128];
  walk_random(c, pixels, &walk);
  for (int p = 0; p < pixels; p++) place[p] = walk.place[p];
  const struct sumi_lane_map map = sumi_lane_map_of(place, pixels, first, piece);
  struct sumi_pool_i8 d = {.off = off, .taps = pick(c, 1, MOST_TAPS), .pixels = pixels, .map = &map};
  for (int64_t t = 0; t < d.taps; t++) off[t] = 4 * pick(c, 0, 40);
  d.x_group = 4 * (pixels + pick(c, 40, 60));
  d.y_group = walk.words + pick(c, 0, 5);
  struct guarded x = guard(c, (size_t)(groups * d.x_group / 4 + SUMI_LANE_OVER_WORDS));
  struct guarded y = guard(c, (size_t)((groups - 1) * d.y_group + walk.words));
  fill_words(c, &x);
  for (size_t i = 0; i < x.n; i++)
    if (pick(c, 0, 9) == 0) words_of(&x)[i] = pick(c, 0, 1) ? 0xffffffffu : 0xff80ffc0u;
  d.x = (const uint8_t *)x.data, d.y = words_of(&y);
  begin_case(c, k->name, "max %d planes, %d pixels, %ld taps", groups, pixels, (long)d.taps);
  const int64_t cut = 16 * pick(c, 0, pixels / 16);
  k->max(&d, 0, groups, 0, cut), k->max(&d, 0, groups, cut, pixels);
  uint32_t *want = poison_words(y.n);
  for (int64_t ch = 0; ch < 2 * groups; ch++)
    for (int64_t p = 0; p < pixels; p++) {
      const int32_t at = walk.place[p];
      if (at < 0) continue;
      const uint16_t right = largest(&d, ch, p), got = half_of(d.y, d.y_group, ch, at);
      set_half(want, d.y_group, ch, at, is_nan(right) && is_nan(got) && right != 0xffff ? got : right);
    }
  same_words(c, "words", &y, want);
  free(want);
  let_go(c, &x), let_go(c, &y);
}

void check_lane_bf16(struct check *c) {
  size_t n;
  const struct sumi_lane_bf16_kernel *all = sumi_lane_bf16_kernels(&n);
  for (size_t i = 0; i < n; i++) {
    if (all[i].isa != sumi_cpu_isa() || c->bench) continue;
    for (int t = 0; t < 300; t++) {
      check_narrow(c, &all[i]);
      check_widen(c, &all[i]);
      check_max(c, &all[i]);
    }
  }
}

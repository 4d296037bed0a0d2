/* Family norm_i8: random planes against the formula of norm_i8.h in double precision. */
#include "kernel/norm_i8/norm_i8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "walk.h"

enum { MOST_CHANNELS = 200 };

struct job {
  struct sumi_norm_i8 s;
  struct guarded x, r, y, add, gain, offset;
  int64_t pixels, groups;
};

static struct guarded planes(struct check *c, int64_t planes, int64_t row, int64_t pixels) {
  return guard(c, (size_t)((planes - 1) * row + pixels));
}

static void make(struct check *c, struct job *j) {
  const int channels = pick(c, 1, pick(c, 0, 1) ? 9 : MOST_CHANNELS), pixels = pick(c, 1, 150);
  const int64_t row = pixels + pick(c, 0, 20), groups = (channels + 3) / 4;
  const bool words = pick(c, 0, 1), residual = pick(c, 0, 1), bytes = pick(c, 0, 2) > 0;
  *j = (struct job){.pixels = pixels, .groups = groups};
  j->x = planes(c, words ? groups : channels, row, pixels);
  j->r = planes(c, groups, row, pixels);
  j->y = planes(c, bytes ? groups : channels, row, pixels);
  j->add = guard(c, (size_t)channels), j->gain = guard(c, (size_t)channels);
  j->offset = guard(c, (size_t)channels);
  const float far = pick(c, 0, 3) ? 1 : 100; /* a mean beside which the variance is small */
  fill_words(c, &j->r);
  if (words)
    fill_words(c, &j->x);
  else
    fill_random(c, &j->x, far - 2, far + 2);
  fill_random(c, &j->add, far - 1, far + 1), fill_random(c, &j->offset, -20, 20);
  fill_random(c, &j->gain, -30, 30);
  if (pick(c, 0, 9) == 0) j->gain.data[pick(c, 0, channels - 1)] = NAN;
  if (!words && pick(c, 0, 9) == 0) j->x.data[pick(c, 0, (int)j->x.n - 1)] = pick(c, 0, 1) ? NAN : INFINITY;
  j->s = (struct sumi_norm_i8){.channels = channels,
                               .x_f32 = words ? NULL : j->x.data,
                               .x_row = row,
                               .x = words ? words_of(&j->x) : NULL,
                               .r = residual ? words_of(&j->r) : NULL,
                               .x_group = row,
                               .r_group = row,
                               .y_group = row,
                               .x_mul = 0.02f,
                               .r_mul = 0.01f,
                               .add = j->add.data,
                               .gain = j->gain.data,
                               .offset = pick(c, 0, 1) ? j->offset.data : NULL,
                               .centred = pick(c, 0, 3) > 0,
                               .epsilon = pick(c, 0, 1) ? 1e-3f : 1e-12f,
                               .zero = (float)pick(c, 0, 255),
                               .y = bytes ? words_of(&j->y) : NULL,
                               .y_f32 = bytes ? NULL : j->y.data,
                               .y_row = row};
}

static void drop(struct check *c, struct job *j) {
  let_go(c, &j->x), let_go(c, &j->r), let_go(c, &j->y);
  let_go(c, &j->add), let_go(c, &j->gain), let_go(c, &j->offset);
}

static double value(const struct sumi_norm_i8 *s, int64_t c, int64_t p) {
  const double x =
      s->x_f32 ? (double)s->x_f32[c * s->x_row + p] : byte_of(s->x, s->x_group, c, p) * (double)s->x_mul;
  return x + (double)s->add[c] + (s->r ? byte_of(s->r, s->r_group, c, p) * (double)s->r_mul : 0);
}

/* t of one pixel, and how far rounding moves it: values of up to `size` are rounded, and so are sums of them. */
static void expect(const struct sumi_norm_i8 *s, int64_t p, double *t, double *slack) {
  double sum = 0, square = 0, size = 0;
  const double n = (double)s->channels;
  for (int64_t c = 0; c < s->channels; c++) {
    sum += s->centred ? value(s, c, p) : 0;
    size = fmax(size, fabs(value(s, c, p)));
  }
  for (int64_t c = 0; c < s->channels; c++) square += pow(value(s, c, p) - sum / n, 2);
  const double deviation = sqrt(square / n + (double)s->epsilon);
  for (int64_t c = 0; c < s->channels; c++) {
    const double v = (value(s, c, p) - sum / n) / deviation, gain = (double)s->gain[c];
    t[c] = v * gain + (s->offset ? (double)s->offset[c] : 0);
    slack[c] = 6e-8 * (n + 20) * (size / deviation * fabs(gain) + fabs(v * gain)) + 1e-5;
    if (!(slack[c] < INFINITY)) slack[c] = 1e-5; /* an infinite value: the rest is 0 beside it, or a NaN */
    if (deviation < 1e-4 * size) slack[c] = 1e9; /* nothing but rounding errors is left of it */
  }
}

static bool check_pixel(struct check *c, const struct job *j, int64_t p) {
  const struct sumi_norm_i8 *s = &j->s;
  double t[MOST_CHANNELS], slack[MOST_CHANNELS];
  expect(s, p, t, slack);
  for (int64_t ch = 0; ch < 4 * j->groups; ch++) {
    if (ch >= s->channels) {
      if (s->y && byte_of(s->y, s->y_group, ch, p)) return fail(c, "padding of pixel %ld", (long)p), false;
      continue;
    }
    if (!s->y) {
      if (!same(c, "y", ch, s->y_f32[ch * s->y_row + p], (float)t[ch], (float)slack[ch])) return false;
      continue;
    }
    const double q = (t[ch] == t[ch] ? t[ch] : 0) + (double)s->zero, held = fmin(fmax(q, 0), 255);
    if (!same(c, "bytes of y", ch * 1000 + p, (float)byte_of(s->y, s->y_group, ch, p), (float)held,
              t[ch] == t[ch] ? (float)(0.5001 + slack[ch]) : 0))
      return false;
  }
  return true;
}

static void check_one(struct check *c, const struct sumi_norm_i8_kernel *k) {
  struct job j;
  make(c, &j);
  begin_case(c, k->name, "%ld channels, %ld pixels, %s%s to %s", (long)j.s.channels, (long)j.pixels,
             j.s.x_f32 ? "float32" : "bytes", j.s.r ? ", residual" : "", j.s.y ? "bytes" : "float32");
  const int64_t cut = pick(c, 0, (int)(j.pixels / 16)) * 16;
  if (cut) k->run(&j.s, 0, cut);
  if (cut < j.pixels) k->run(&j.s, cut, j.pixels);
  for (int64_t p = 0; p < j.pixels; p++)
    if (!check_pixel(c, &j, p)) break;
  for (int64_t i = 0; i < (j.s.y ? j.groups : j.s.channels) - 1; i++)
    for (int64_t p = j.pixels; p < j.s.y_row; p++)
      if (!is_poison(j.y.data[i * j.s.y_row + p])) fail(c, "word %ld behind plane %ld", (long)p, (long)i);
  drop(c, &j);
}

static void bench_one(struct check *c, const struct sumi_norm_i8_kernel *k, int64_t channels, int64_t pixels,
                      bool words) {
  const int64_t row = pixels + 64, groups = channels / 4;
  struct guarded x = planes(c, channels, row, pixels), r = planes(c, groups, row, pixels),
                 y = planes(c, groups, row, pixels), add = guard(c, (size_t)channels);
  fill_random(c, &x, -3, 3), fill_random(c, &add, -3, 3), fill_words(c, &r);
  const struct sumi_norm_i8 s = {.channels = channels,
                                 .x_f32 = words ? NULL : x.data,
                                 .x = words ? words_of(&r) : NULL,
                                 .r = words_of(&r),
                                 .x_row = row,
                                 .x_group = row,
                                 .r_group = row,
                                 .y_group = row,
                                 .x_mul = 0.02f,
                                 .r_mul = 0.03f,
                                 .add = add.data,
                                 .gain = add.data,
                                 .offset = add.data,
                                 .centred = true,
                                 .epsilon = 1e-12f,
                                 .zero = 117,
                                 .y = words_of(&y)};
  double best = 1e9;
  for (int t = 0; t < 60; t++) {
    const double t0 = now_s();
    k->run(&s, 0, pixels);
    best = fmin(best, now_s() - t0);
  }
  char shape[80];
  snprintf(shape, sizeof shape, "%ld channels, %ld pixels, %s", (long)channels, (long)pixels,
           words ? "bytes" : "float32");
  report(c, k->name, shape, best, 0, (double)(channels * pixels * (words ? 3 : 6)));
  let_go(c, &x), let_go(c, &r), let_go(c, &y), let_go(c, &add);
}

void check_norm_i8(struct check *c) {
  size_t n;
  const struct sumi_norm_i8_kernel *all = sumi_norm_i8_kernels(&n);
  for (size_t i = 0; i < n; i++) {
    if (c->bench && &all[i] != sumi_norm_i8_pick(sumi_cpu_isa())) continue;
    if (!sumi_cpu_allows(sumi_cpu_isa(), all[i].isa)) continue;
    if (c->bench) {
      bench_one(c, &all[i], 768, 128, false);
      bench_one(c, &all[i], 768, 128, true);
      bench_one(c, &all[i], 384, 128, false);
    }
    for (int t = 0; t < 200 && !c->bench; t++) check_one(c, &all[i]);
  }
  if (sumi_norm_i8_pick(sumi_cpu_isa())->isa > sumi_cpu_isa()) fail(c, "pick is above the mask");
}

/* Family lane: random walks, channels and splits against the loops of lane.h; everything to the bit. */
#include "kernel/lane/lane.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

/* The limits of a part of a job. */
struct range {
  int64_t g0, g1, p0, p1;
};

/* A whole job in up to four parts. */
static int split(struct check *c, int64_t groups, int64_t pixels, struct range *part) {
  const int64_t g = pick(c, 0, (int)groups), p = pick(c, 0, (int)((pixels + 15) / 16)) * 16;
  const int64_t cut = p < pixels ? p : pixels;
  int n = 0;
  for (int i = 0; i < 4; i++) {
    const struct range r = {i & 1 ? g : 0, i & 1 ? groups : g, i & 2 ? cut : 0, i & 2 ? pixels : cut};
    if (r.g0 < r.g1 && r.p0 < r.p1) part[n++] = r;
  }
  return n;
}

static int hold(float v, float lo, float hi, float zero) {
  const float above = v > lo - zero ? v : lo - zero;
  return (int)(rintf(above < hi - zero ? above : hi - zero) + zero);
}

/* ---- row-major data and words ------------------------------------------------------------------------------------ */

struct convert {
  struct sumi_lane_convert job;
  struct walk walk;
  struct guarded data, words;
  float scale[48], zero[48];
  int64_t groups;
  struct range part[4];
  int parts;
};

static int64_t element(const struct convert *v, int64_t channel, int64_t p) {
  return channel * v->job.channel + p * v->job.pixel;
}

static void make_convert(struct check *c, struct convert *v, bool bytes) {
  const int channels = pick(c, 1, pick(c, 0, 1) ? 8 : 40), pixels = pick(c, 1, 120), step = pick(c, 0, 1);
  const bool rows = pick(c, 0, 1);
  walk_random(c, pixels, &v->walk);
  v->groups = (channels + 3) / 4;
  v->job = (struct sumi_lane_convert){.channels = channels,
                                      .channel = rows ? 1 : pixels + pick(c, 0, 3),
                                      .pixel = rows ? channels + pick(c, 0, 3) : 1,
                                      .scale = v->scale,
                                      .zero = v->zero,
                                      .step = step,
                                      .flip = (uint8_t)(pick(c, 0, 1) * 128)};
  if (channels == 1 && rows) v->job.pixel = pick(c, 2, 4); /* one column of a matrix */
  for (int i = 0; i < channels; i++) {
    v->scale[i] = pick(c, 0, 2) ? 0.001f + (float)sumi_random_uniform(&c->random) : 0.5f;
    v->zero[i] = (float)pick(c, 0, 255);
  }
  if (pick(c, 0, 9) == 0) v->scale[0] = pick(c, 0, 1) ? 0 : pick(c, 0, 1) ? 1e-40f : 3e38f;
  const int64_t elements = element(v, channels - 1, pixels - 1) + 1;
  v->job.words.group = v->walk.words + pick(c, 0, 5);
  v->job.words.map = v->walk.given;
  v->data = guard(c, (size_t)(bytes ? (elements + 3) / 4 : elements));
  v->words = guard(c, (size_t)((v->groups - 1) * v->job.words.group + v->walk.words));
  v->job.data = v->data.data;
  v->job.words.word = words_of(&v->words);
  v->parts = split(c, v->groups, pixels, v->part);
}

static void drop_convert(struct check *c, struct convert *v) {
  let_go(c, &v->data);
  let_go(c, &v->words);
}

static void begin_convert(struct check *c, const char *name, const struct convert *v, const char *what) {
  begin_case(c, name, "%s %ld channels, %ld pixels, strides %ld %ld, %s, %s", what, (long)v->job.channels,
             (long)v->walk.pixels, (long)v->job.channel, (long)v->job.pixel, v->walk.given ? "map" : "no map",
             v->job.step ? "by channel" : "one scale");
}

#define RUN(function, v)               \
  for (int i = 0; i < (v)->parts; i++) \
  function(&(v)->job, (v)->part[i].g0, (v)->part[i].g1, (v)->part[i].p0, (v)->part[i].p1)

static void check_quantize(struct check *c, const struct sumi_lane_kernel *k) {
  struct convert v;
  make_convert(c, &v, false);
  static const float odd[] = {NAN, INFINITY, -INFINITY, 0.25f, -0.25f, 0.75f, 1.25f, 3e38f, -0.0f, 1e-44f};
  for (size_t i = 0; i < v.data.n; i++)
    v.data.data[i] = pick(c, 0, 15) == 0  ? odd[pick(c, 0, 9)]
                     : pick(c, 0, 3) == 0 ? 0.25f * (float)pick(c, -500, 500) /* ties of scale 0.5 */
                                          : (float)(200 * sumi_random_uniform(&c->random) - 100);
  begin_convert(c, k->name, &v, "quantize");
  RUN(k->quantize, &v);
  uint32_t *want = poison_words(v.words.n);
  for (int64_t ch = 0; ch < 4 * v.groups; ch++)
    for (int64_t p = 0; p < v.walk.pixels; p++) {
      if (v.walk.place[p] < 0) continue;
      int q = 0;
      if (ch < v.job.channels) {
        const int64_t s = ch * v.job.step;
        const float x = v.data.data[element(&v, ch, p)] / v.scale[s];
        q = hold(x == x ? x : 0, 0, 255, v.zero[s]);
      }
      set_byte(want, v.job.words.group, ch, v.walk.place[p], q);
    }
  same_words(c, "words", &v.words, want);
  free(want);
  drop_convert(c, &v);
}

static int read_byte(const struct convert *v, int64_t channel, int64_t p) {
  const int32_t at = v->walk.place[p];
  return at < 0 ? 0 : byte_of(v->job.words.word, v->job.words.group, channel, at);
}

static void check_dequantize(struct check *c, const struct sumi_lane_kernel *k) {
  struct convert v;
  make_convert(c, &v, false);
  fill_words(c, &v.words);
  begin_convert(c, k->name, &v, "dequantize");
  RUN(k->dequantize, &v);
  uint32_t *want = poison_words(v.data.n);
  for (int64_t ch = 0; ch < v.job.channels; ch++)
    for (int64_t p = 0; p < v.walk.pixels; p++) {
      const float y = ((float)read_byte(&v, ch, p) - v.zero[ch * v.job.step]) * v.scale[ch * v.job.step];
      memcpy(&want[element(&v, ch, p)], &y, sizeof y);
    }
  same_words(c, "data", &v.data, want);
  free(want);
  drop_convert(c, &v);
}

static void check_bytes(struct check *c, const struct sumi_lane_kernel *k) {
  struct convert v;
  make_convert(c, &v, true);
  fill_words(c, &v.data);
  begin_convert(c, k->name, &v, "pack");
  RUN(k->pack, &v);
  uint32_t *want = poison_words(v.words.n);
  const uint8_t *const data = v.job.data;
  for (int64_t ch = 0; ch < 4 * v.groups; ch++)
    for (int64_t p = 0; p < v.walk.pixels; p++)
      if (v.walk.place[p] >= 0)
        set_byte(want, v.job.words.group, ch, v.walk.place[p],
                 ch < v.job.channels ? data[element(&v, ch, p)] ^ v.job.flip : 0);
  same_words(c, "words", &v.words, want);
  free(want);

  fill_words(c, &v.words);
  begin_convert(c, k->name, &v, "unpack");
  want = poison_words(v.data.n);
  memcpy(want, v.data.data, v.data.n * 4);
  for (int64_t ch = 0; ch < v.job.channels; ch++)
    for (int64_t p = 0; p < v.walk.pixels; p++)
      ((uint8_t *)want)[element(&v, ch, p)] = (uint8_t)(read_byte(&v, ch, p) ^ v.job.flip);
  RUN(k->unpack, &v);
  same_words(c, "data", &v.data, want);
  free(want);
  drop_convert(c, &v);
}

/* ---- words to words ---------------------------------------------------------------------------------------------- */

struct operand {
  struct walk walk;
  struct guarded words;
  struct sumi_lane_planes planes;
};

static void make_operand(struct check *c, struct operand *o, int64_t groups, int64_t pixels) {
  walk_random(c, pixels, &o->walk);
  const int64_t group = o->walk.words + pick(c, 0, 5);
  o->words = guard(c, (size_t)((groups - 1) * group + o->walk.words));
  o->planes = (struct sumi_lane_planes){words_of(&o->words), group, o->walk.given};
}

static int operand_byte(const struct operand *o, int64_t channel, int64_t p) {
  const int32_t at = o->walk.place[p];
  return at < 0 ? 0 : byte_of(o->planes.word, o->planes.group, channel, at);
}

static void check_binary(struct check *c, const struct sumi_lane_kernel *k) {
  const int64_t groups = pick(c, 1, 4), pixels = pick(c, 1, 120);
  struct operand a, b, y;
  make_operand(c, &a, groups, pixels), make_operand(c, &b, groups, pixels),
      make_operand(c, &y, groups, pixels);
  fill_words(c, &a.words), fill_words(c, &b.words);
  const bool add = pick(c, 0, 1), over = a.walk.given && pick(c, 0, 3) == 0;
  struct sumi_lane_binary job = {.a = a.planes, .b = b.planes, .y = over ? a.planes : y.planes};
  job.b_step = pick(c, 0, 2) > 0;
  job.a_zero = (float)pick(c, 0, 255), job.b_zero = (float)pick(c, 0, 255), job.zero = (float)pick(c, 0, 255);
  job.a_mul = pick(c, 0, 1) ? 0.5f : (float)sumi_random_uniform(&c->random) * (add ? 2 : 0.02f);
  job.b_mul = pick(c, 0, 1) ? 1.5f : (float)sumi_random_uniform(&c->random) * 2;
  if (pick(c, 0, 9) == 0)
    job.a_mul = pick(c, 0, 1) ? 1e38f : INFINITY; /* saturates; infinity makes NaN of 0 */
  job.lo = pick(c, 0, 1) ? 0 : job.zero, job.hi = (float)pick(c, (int)job.lo, 255);
  begin_case(c, k->name, "%s %ld groups, %ld pixels%s%s", add ? "add" : "mul", (long)groups, (long)pixels,
             job.b_step ? "" : ", one word a plane", over ? ", in place" : "");
  const struct operand *to = over ? &a : &y;
  uint32_t *want = poison_words(to->words.n);
  if (over) memcpy(want, a.words.data, a.words.n * 4);
  for (int64_t ch = 0; ch < 4 * groups; ch++)
    for (int64_t p = 0; p < pixels; p++) {
      if (to->walk.place[p] < 0) continue;
      const int second = job.b_step ? operand_byte(&b, ch, p) : byte_of(b.planes.word, b.planes.group, ch, 0);
      const float x0 = (float)operand_byte(&a, ch, p) - job.a_zero, x1 = (float)second - job.b_zero;
      const float v = add ? fmaf(x0, job.a_mul, x1 * job.b_mul) : x0 * x1 * job.a_mul;
      set_byte(want, to->planes.group, ch, to->walk.place[p], hold(v, job.lo, job.hi, job.zero));
    }
  struct range part[4];
  for (int i = split(c, groups, pixels, part) - 1; i >= 0; i--)
    (add ? k->add : k->mul)(&job, part[i].g0, part[i].g1, part[i].p0, part[i].p1);
  same_words(c, "words", &to->words, want);
  free(want);
  let_go(c, &a.words), let_go(c, &b.words), let_go(c, &y.words);
}

static void check_table(struct check *c, const struct sumi_lane_kernel *k) {
  const int64_t groups = pick(c, 1, 4), pixels = pick(c, 1, 120);
  struct operand x, y;
  make_operand(c, &x, groups, pixels), make_operand(c, &y, groups, pixels);
  struct guarded table = guard(c, 64);
  fill_words(c, &x.words), fill_words(c, &table);
  const struct sumi_lane_table job = {x.planes, y.planes, pick(c, 0, 3) ? (const uint8_t *)table.data : NULL};
  begin_case(c, k->name, "%s %ld groups, %ld pixels", job.table ? "table" : "move", (long)groups,
             (long)pixels);
  uint32_t *want = poison_words(y.words.n);
  for (int64_t ch = 0; ch < 4 * groups; ch++)
    for (int64_t p = 0; p < pixels; p++) {
      const int q = operand_byte(&x, ch, p);
      if (y.walk.place[p] >= 0)
        set_byte(want, y.planes.group, ch, y.walk.place[p], job.table ? job.table[q] : q);
    }
  struct range part[4];
  for (int i = split(c, groups, pixels, part) - 1; i >= 0; i--)
    k->table(&job, part[i].g0, part[i].g1, part[i].p0, part[i].p1);
  same_words(c, "words", &y.words, want);
  free(want);
  let_go(c, &x.words), let_go(c, &y.words), let_go(c, &table);
}

/* ---- measurements ------------------------------------------------------------------------------------------------ */

static void bench_one(struct check *c, const struct sumi_lane_kernel *k, const char *what, int64_t channels,
                      int64_t pixels, bool rows) {
  const int64_t groups = (channels + 3) / 4, group = (pixels + 15) / 16 * 16 + 16;
  struct guarded data = guard(c, (size_t)(channels * pixels)), a = guard(c, (size_t)(groups * group)),
                 b = guard(c, (size_t)(groups * group)), y = guard(c, (size_t)(groups * group));
  fill_random(c, &data, -3, 3), fill_words(c, &a), fill_words(c, &b), fill_words(c, &y);
  uint8_t table[256] = {1, 2, 3};
  float scale = 0.0243f, zero = 117;
  const struct sumi_lane_planes pa = {words_of(&a), group, NULL}, pb = {words_of(&b), group, NULL},
                                py = {words_of(&y), group, NULL};
  const struct sumi_lane_convert convert = {.data = data.data,
                                            .channel = rows ? 1 : pixels,
                                            .pixel = rows ? channels : 1,
                                            .channels = channels,
                                            .words = py,
                                            .scale = &scale,
                                            .zero = &zero};
  const struct sumi_lane_binary binary = {pa, pb, py, 1, 3, 0.7f, 5, 0.6f, 9, 0, 255};
  const struct sumi_lane_table look = {pa, py, table}, move = {pa, py, NULL};
  double best = 1e9;
  for (int t = 0; t < 60; t++) {
    const double t0 = now_s();
    switch (*what) {
      case 'q': k->quantize(&convert, 0, groups, 0, pixels); break;
      case 'd': k->dequantize(&convert, 0, groups, 0, pixels); break;
      case 'p': k->pack(&convert, 0, groups, 0, pixels); break;
      case 'u': k->unpack(&convert, 0, groups, 0, pixels); break;
      case 'a': k->add(&binary, 0, groups, 0, pixels); break;
      case 't': k->table(&look, 0, groups, 0, pixels); break;
      default: k->table(&move, 0, groups, 0, pixels); break;
    }
    best = fmin(best, now_s() - t0);
  }
  char shape[80];
  snprintf(shape, sizeof shape, "%s %ld channels, %ld pixels%s", what, (long)channels, (long)pixels,
           strchr("qdpu", *what) ? rows ? ", rows" : ", planes" : "");
  report(c, k->name, shape, best, 0, (double)(channels * pixels));
  let_go(c, &data), let_go(c, &a), let_go(c, &b), let_go(c, &y);
}

static void bench(struct check *c) {
  const struct sumi_lane_kernel *k = sumi_lane_pick(sumi_cpu_isa());
  printf("%s: bytes of the quantised tensor a second\n", k->name);
  bench_one(c, k, "quantize", 3, 224 * 224, false);
  bench_one(c, k, "quantize", 768, 128, true);
  bench_one(c, k, "dequantize", 1000, 1, false);
  bench_one(c, k, "dequantize", 64, 56 * 56, false);
  bench_one(c, k, "dequantize", 768, 128, true);
  bench_one(c, k, "pack", 64, 56 * 56, false);
  bench_one(c, k, "pack", 768, 128, true);
  bench_one(c, k, "unpack", 64, 56 * 56, false);
  bench_one(c, k, "add", 64, 56 * 56, false);
  bench_one(c, k, "table", 64, 56 * 56, false);
  bench_one(c, k, "move", 64, 56 * 56, false);
}

void check_lane(struct check *c) {
  if (c->bench) {
    bench(c);
    return;
  }
  size_t n;
  const struct sumi_lane_kernel *all = sumi_lane_kernels(&n);
  for (size_t r = 0; r < n; r++)
    for (int i = 0; sumi_cpu_allows(sumi_cpu_isa(), all[r].isa) && i < 100; i++) {
      check_quantize(c, &all[r]);
      check_dequantize(c, &all[r]);
      check_bytes(c, &all[r]);
      check_binary(c, &all[r]);
      check_table(c, &all[r]);
    }
  if (sumi_lane_pick(sumi_cpu_isa())->isa > sumi_cpu_isa()) fail(c, "pick is above the mask");
}

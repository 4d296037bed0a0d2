/* Family attention_i8: random heads against the formulas of attention_i8.h in double precision. Where a weight lies so near
 * the middle of two bytes that float32 may round it either way, both are allowed, and what follows from them. */
#include "kernel/attention_i8/attention_i8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "walk.h"

enum { MOST_KEYS = 150, MOST_QUERIES = 150 };

struct head {
  struct sumi_attention_i8 a;
  struct guarded q, k, v, y, mask, scratch;
  int64_t queries;
};

static struct guarded planes(struct check *c, int64_t groups, int64_t group, int64_t tokens) {
  return guard(c, (size_t)((groups - 1) * group + tokens));
}

static void make(struct check *c, const struct sumi_attention_i8_kernel *kernel, struct head *h) {
  const int64_t keys = pick(c, 1, pick(c, 0, 1) ? 9 : MOST_KEYS), groups = pick(c, 1, 9);
  const int64_t queries = pick(c, 1, MOST_QUERIES), most = (keys > queries ? keys : queries) + pick(c, 3, 20);
  const int kind = pick(c, 0, 3);
  *h = (struct head){.queries = queries};
  h->q = planes(c, groups, most, queries), h->k = planes(c, groups, most, (keys + 3) / 4 * 4);
  h->v = planes(c, groups, most, keys), h->y = planes(c, groups, most, queries);
  h->mask = guard(c, (size_t)(queries * (keys + 2)));
  h->scratch = guard(c, sumi_attention_i8_scratch(kernel, keys, groups) / 4);
  fill_words(c, &h->q), fill_words(c, &h->k), fill_words(c, &h->v);
  fill_random(c, &h->mask, -3, 3);
  for (size_t i = 0; i < h->mask.n; i++)
    if (pick(c, 0, 3) == 0) h->mask.data[i] = kind == 1 ? -INFINITY : pick(c, 0, 1) ? -10000 : -3e38f;
  h->a = (struct sumi_attention_i8){.keys = keys,
                                    .groups = groups,
                                    .q = words_of(&h->q),
                                    .k = words_of(&h->k),
                                    .v = words_of(&h->v),
                                    .q_group = most,
                                    .k_group = most,
                                    .v_group = most,
                                    .y_group = most,
                                    .q_zero = pick(c, 0, 255),
                                    .k_zero = pick(c, 0, 255),
                                    .p_zero = pick(c, 0, 1) ? 0 : pick(c, 0, 255),
                                    .v_zero = pick(c, 0, 255),
                                    .quantised = pick(c, 0, 1),
                                    .s_zero = (float)pick(c, 0, 255),
                                    .s_mul = 0.04f,
                                    .mask = kind ? h->mask.data : NULL,
                                    .mask_query = kind == 2 ? keys + 2 : kind == 3,
                                    .mask_key = kind == 3 ? queries : 1,
                                    .p_mul = 255,
                                    .y_zero = (float)pick(c, 0, 255),
                                    .y = words_of(&h->y)};
  h->a.dot_mul = (h->a.quantised ? 20.0f : 1.0f) * 0.0002f / sqrtf((float)groups);
  h->a.y_mul = 1.0f / (255 * 127);
}

static void drop(struct check *c, struct head *h) {
  let_go(c, &h->q), let_go(c, &h->k), let_go(c, &h->v), let_go(c, &h->y);
  let_go(c, &h->mask), let_go(c, &h->scratch);
}

/* ---- expected ---------------------------------------------------------------------------------------------------- */

/* The numbers that rounding x, off by at most slack, may give. */
struct span {
  double low, high;
};

static struct span hold(double x, double slack, double zero) {
  return (struct span){fmin(fmax(rint(x - slack), -zero), 255 - zero),
                       fmin(fmax(rint(x + slack), -zero), 255 - zero)};
}

/* The score without the mask; a span where the quantisation of scores leaves a choice. */
static struct span score(const struct sumi_attention_i8 *a, int64_t i, int64_t t) {
  int64_t dot = 0;
  for (int64_t f = 0; f < 4 * a->groups; f++)
    dot += (byte_of(a->q, a->q_group, f, i) - a->q_zero) * (byte_of(a->k, a->k_group, f, t) - a->k_zero);
  const double s = (double)dot * (double)a->dot_mul;
  if (!a->quantised) return (struct span){s, s};
  const struct span q = hold(s, 1e-6 * fabs(s), (double)a->s_zero);
  return (struct span){q.low * (double)a->s_mul, q.high * (double)a->s_mul};
}

/* p - p_zero of one query; false: a score has a choice, and the query is not looked at. */
static bool weights(const struct sumi_attention_i8 *a, int64_t i, struct span *p) {
  double s[MOST_KEYS], max = -INFINITY, sum = 0, size = 0;
  for (int64_t t = 0; t < a->keys; t++) {
    const struct span of = score(a, i, t);
    if (of.low != of.high) return false;
    s[t] = of.low + (a->mask ? (double)a->mask[i * a->mask_query + t * a->mask_key] : 0);
    if (fabs(s[t]) > 1e30) s[t] = (double)(float)s[t]; /* what is added to such a number is lost */
    max = fmax(max, s[t]);
  }
  for (int64_t t = 0; t < a->keys; t++) sum += exp(s[t] - max);
  for (int64_t t = 0; t < a->keys; t++) {
    p[t] = (struct span){0, 0};
    if (max == -INFINITY) continue;
    const double x = exp(s[t] - max) / sum * (double)a->p_mul;
    size = fmax(fabs(s[t]), fabs(max)); /* of the numbers whose difference is taken */
    p[t] = hold(x, x * (4e-6 + 3e-7 * (size < 1e4 ? size : 0)) + 1e-9, a->p_zero);
    if (size >= 1e4 && s[t] != max && x > 0.01) return false; /* rounded off beside the mask */
  }
  return true;
}

static bool check_query(struct check *c, const struct sumi_attention_i8 *a, int64_t i) {
  struct span p[MOST_KEYS];
  if (!weights(a, i, p)) return true;
  for (int64_t f = 0; f < 4 * a->groups; f++) {
    struct span y = {0, 0};
    for (int64_t t = 0; t < a->keys; t++) {
      const double v = byte_of(a->v, a->v_group, f, t) - a->v_zero;
      y.low += fmin(p[t].low * v, p[t].high * v);
      y.high += fmax(p[t].low * v, p[t].high * v);
    }
    y.low *= (double)a->y_mul, y.high *= (double)a->y_mul;
    const double low = hold(y.low, 1e-6 * fabs(y.low), (double)a->y_zero).low + (double)a->y_zero;
    const double high = hold(y.high, 1e-6 * fabs(y.high), (double)a->y_zero).high + (double)a->y_zero;
    const int got = byte_of(a->y, a->y_group, f, i);
    if (got < low || got > high) {
      fail(c, "feature %ld of query %ld is %d, not %g..%g", (long)f, (long)i, got, low, high);
      return false;
    }
  }
  return true;
}

static void check_one(struct check *c, const struct sumi_attention_i8_kernel *k) {
  struct head h;
  make(c, k, &h);
  begin_case(c, k->name, "%ld queries, %ld keys, %ld features, mask %ld %ld, %s", (long)h.queries,
             (long)h.a.keys, (long)h.a.groups * 4, h.a.mask ? (long)h.a.mask_query : -1, (long)h.a.mask_key,
             h.a.quantised ? "quantised scores" : "scores");
  const int64_t cut = pick(c, 0, (int)(h.queries / 16)) * 16;
  if (cut) k->run(&h.a, 0, cut, h.scratch.data);
  if (cut < h.queries) k->run(&h.a, cut, h.queries, h.scratch.data);
  for (int64_t i = 0; i < h.queries; i++)
    if (!check_query(c, &h.a, i)) break;
  for (int64_t g = 0; g < h.a.groups - 1; g++)
    for (int64_t i = h.queries; i < h.a.y_group; i++)
      if (!is_poison(h.y.data[g * h.a.y_group + i])) fail(c, "word %ld behind plane %ld", (long)i, (long)g);
  drop(c, &h);
}

/* ---- measurements ------------------------------------------------------------------------------------------------ */

static void bench_one(struct check *c, const struct sumi_attention_i8_kernel *k, int64_t tokens,
                      int64_t features) {
  const int64_t groups = features / 4, group = tokens + 64;
  struct guarded q = planes(c, groups, group, group), kv = planes(c, groups, group, group),
                 y = planes(c, groups, group, group), mask = guard(c, (size_t)tokens),
                 scratch = guard(c, sumi_attention_i8_scratch(k, tokens, groups) / 4);
  fill_words(c, &q), fill_words(c, &kv), fill_random(c, &mask, 0, 0);
  const struct sumi_attention_i8 a = {.keys = tokens,
                                      .groups = groups,
                                      .q = words_of(&q),
                                      .k = words_of(&kv),
                                      .v = words_of(&kv),
                                      .q_group = group,
                                      .k_group = group,
                                      .v_group = group,
                                      .y_group = group,
                                      .q_zero = 120,
                                      .k_zero = 130,
                                      .v_zero = 131,
                                      .dot_mul = 0.0001f,
                                      .mask = mask.data,
                                      .mask_key = 1,
                                      .p_mul = 800,
                                      .y_mul = 0.00003f,
                                      .y_zero = 128,
                                      .y = words_of(&y)};
  double best = 1e9;
  for (int t = 0; t < 60; t++) {
    const double t0 = now_s();
    k->run(&a, 0, tokens, scratch.data);
    best = fmin(best, now_s() - t0);
  }
  char shape[80];
  snprintf(shape, sizeof shape, "%ld tokens, %ld features", (long)tokens, (long)features);
  report_i8(c, k->name, shape, best, (double)(2 * tokens * tokens * features));
  let_go(c, &q), let_go(c, &kv), let_go(c, &y), let_go(c, &mask), let_go(c, &scratch);
}

void check_attention_i8(struct check *c) {
  size_t n;
  const struct sumi_attention_i8_kernel *all = sumi_attention_i8_kernels(&n);
  for (size_t i = 0; i < n; i++) {
    if (!sumi_cpu_allows(sumi_cpu_isa(), all[i].isa)) continue;
    for (int t = 0; t < 60 && !c->bench; t++) check_one(c, &all[i]);
  }
  const struct sumi_attention_i8_kernel *k = sumi_attention_i8_pick(sumi_cpu_isa());
  if (k->isa > sumi_cpu_isa()) fail(c, "pick is above the mask");
  if (!c->bench) return;
  bench_one(c, k, 128, 64);
  bench_one(c, k, 128, 32);
  bench_one(c, k, 512, 64);
}

/* Family spmm_bf16: random blocks, lists, forms of weights, ends and maps against the loop of spmm_bf16.h in double
 * precision; sums may be off by what the header states, bfloat16 results by half a unit more. */
#include "kernel/spmm/spmm_bf16.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "check.h"

enum { MOST_ROWS = 72, MOST_LIST = 64, MOST_PIXELS = 320, MOST_PLANES = 12, SIZES = 6, TILE = 16 };

struct map {
  struct sumi_lane_map map;
  int32_t place[MOST_PIXELS], first[MOST_PIXELS / 16 + 2];
  struct sumi_lane_piece piece[MOST_PIXELS];
  int64_t words; /* beyond the last place */
};

struct problem {
  struct sumi_spmm_bf16 s;
  struct map map, r_map;
  struct guarded x, w, bias, r, y, before;
  int32_t off[MOST_ROWS * MOST_LIST], start[MOST_ROWS + 1];
  int64_t n_blocks, b0, b1, p0, p1;
};

/* ---- the loop of the header ------------------------------------------------------------------------------------- */

static uint32_t weight(const struct sumi_spmm_bf16 *s, int64_t b, int64_t e, int64_t i) {
  if (s->block < TILE) return (uint32_t)s->w[b * s->w_block + e * s->w_entry + i * s->w_row];
  const int64_t first = s->start ? s->start[b] : b * s->n_list, at = s->start ? e - first : e;
  return (uint32_t)
      s->w[first * s->block + ((at / 16 * (s->block / 16) + i / 16) * 16 + i % 16) * 16 + at % 16];
}

static float half(uint32_t word, int64_t which) { return sumi_f32_from_bf16((uint16_t)(word >> which * 16)); }

/* What row m gives for pixel p, and how far it may be off. */
static double want(const struct problem *q, int64_t m, int64_t p, double *off) {
  const struct sumi_spmm_bf16 *s = &q->s;
  const int64_t b = m / s->block, first = s->start ? s->start[b] : 0,
                n = (s->start ? s->start[b + 1] : s->n_list) - first;
  double v = s->bias[m], size = fabs(v);
  for (int64_t e = first; e < first + n; e++)
    for (int c = 0; c < 2; c++) {
      uint32_t x;
      memcpy(&x, s->x + s->off[e] + 4 * p, sizeof x);
      const double product = (double)half(x, c) * (double)half(weight(s, b, e, m % s->block), c);
      v += product;
      size += fabs(product);
    }
  if (s->r) {
    const uint32_t *r = (const uint32_t *)(s->r == s->y ? q->before.data : q->r.data);
    const double more = half(r[m / 2 * s->r_group + q->r_map.place[p]], m % 2);
    v += more;
    size += fabs(more);
  }
  *off = (double)(2 * n + 3) * (0x1p-24 * size + 0x1p-126);
  if (s->act) v *= v < 0 ? 0.5 : 1;
  v = v < s->lo ? s->lo : v;
  v = v > s->hi ? s->hi : v;
  if (!s->y_f32) *off += 0x1p-8 * (fabs(v) + *off) + 0x1p-126; /* half a unit of 8 bits */
  return v;
}

/* ---- problems --------------------------------------------------------------------------------------------------- */

/* The function of the tests: no step, slope at most 1. */
static void lean(const float *x, float *y, int64_t n, const float *param) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] < 0 ? x[i] * param[0] : x[i];
}

/* Places of a walk: as they are, rows without their halo, phases, each alone; perhaps with whole vectors left out. Where
 * needed is given, all pixels that it keeps are kept. */
static void make_map(struct check *c, struct map *map, int64_t pixels, const struct map *needed) {
  const int kind = pick(c, 0, 3), pitch = pick(c, 1, 40), width = needed ? pitch : pick(c, 1, pitch);
  const int step = pick(c, 2, 4), base = pick(c, 0, 5);
  map->words = 1;
  for (int64_t p = 0; p < pixels; p++) {
    const int64_t at = kind == 0   ? p
                       : kind == 1 ? p / pitch * (width + 1) + p % pitch
                       : kind == 2 ? p % step * (pixels / step + 1) + p / step
                                   : p * 2 + 1;
    map->place[p] = kind == 0 || p % pitch < width ? (int32_t)(base + at) : -1;
  }
  if (!needed && pick(c, 0, 3) == 0)
    for (int64_t p = 16 * pick(c, 0, (int)pixels / 16); p < pixels && pick(c, 0, 40); p++) map->place[p] = -1;
  for (int64_t p = 0; p < pixels; p++)
    if (map->place[p] >= map->words) map->words = map->place[p] + 1;
  map->map = sumi_lane_map_of(map->place, pixels, map->first, map->piece);
}

/* Words of two bfloat16: a few zeros, sizes of 2^-4 to 2^4. */
static void fill_words(struct check *c, struct guarded *g) {
  for (size_t i = 0; i < g->n; i++) {
    uint32_t word = 0;
    for (int h = 0; h < 2; h++) {
      const uint32_t bits = (uint32_t)sumi_random_u64(&c->random);
      if (bits >> 28) word |= ((bits & 0x807f) | (0x3d80 + ((bits >> 16 & 7) << 7))) << 16 * h;
    }
    memcpy(&g->data[i], &word, sizeof word);
  }
}

static void make_lists(struct check *c, struct problem *q) {
  struct sumi_spmm_bf16 *s = &q->s;
  const int64_t unit = s->block >= TILE ? TILE : 1;
  const int most = pick(c, 0, 3) ? MOST_LIST : 6, plane_words = (int)s->map->pixels + pick(c, 0, 20);
  const bool lists = pick(c, 0, 1), strided = !lists && s->block < TILE && pick(c, 0, 1);
  int64_t total = 0;
  q->start[0] = 0;
  for (int64_t b = 0; b < q->n_blocks; b++) {
    const int64_t n = (pick(c, 0, most) + unit - 1) / unit * unit;
    if (b == 0 || lists) total += n;
    q->start[b + 1] = (int32_t)total;
  }
  s->start = lists ? q->start : NULL;
  s->n_list = lists ? 0 : total;
  const int planes = pick(c, 1, MOST_PLANES);
  int32_t furthest = 0;
  for (int64_t e = 0; e < total; e++) {
    q->off[e] = 4 * (plane_words * pick(c, 0, planes - 1) + pick(c, 0, 20));
    if (q->off[e] > furthest) furthest = q->off[e];
  }
  s->off = q->off;
  s->w_row = s->block >= TILE ? 0 : strided ? total + pick(c, 0, 3) : 1;
  s->w_entry = s->block >= TILE ? 0 : strided ? 1 : s->block;
  s->w_block = s->block >= TILE || lists ? 0 : strided ? s->block * s->w_row : s->block * total;
  q->w = guard(c, (size_t)(strided ? q->n_blocks * s->block * s->w_row
                           : lists ? total * s->block
                                   : q->n_blocks * s->block * total));
  q->x = guard(c, (size_t)(furthest / 4 + s->map->pixels + SUMI_LANE_OVER_WORDS));
  fill_words(c, &q->w);
  fill_words(c, &q->x);
  s->w = (const int32_t *)q->w.data;
  s->x = (const uint8_t *)q->x.data;
}

static void make_end(struct check *c, struct problem *q) {
  static const float slope[1] = {0.5f};
  struct sumi_spmm_bf16 *s = &q->s;
  const size_t rows = (size_t)s->rows, planes = (rows + 1) / 2;
  const bool f32 = pick(c, 0, 3) == 0, residual = pick(c, 0, 1),
             over = residual && !f32 && pick(c, 0, 2) == 0;
  s->map = &q->map.map;
  if (over) q->r_map = q->map;
  s->r_map = over ? s->map : &q->r_map.map;
  q->bias = guard(c, 2 * planes);
  fill_random(c, &q->bias, -9, 9);
  static const float odd[] = {NAN, INFINITY, -INFINITY};
  if (pick(c, 0, 5) == 0) q->bias.data[pick(c, 0, (int)rows - 1)] = odd[pick(c, 0, 2)];
  s->bias = q->bias.data;
  s->act = pick(c, 0, 2) ? NULL : lean;
  s->act_param = slope;
  s->lo = pick(c, 0, 1) ? -INFINITY : (float)pick(c, -5, 0);
  s->hi = pick(c, 0, 1) ? INFINITY : (float)pick(c, 0, 50);
  s->y_group = s->y_row = q->map.words + pick(c, 0, 3);
  q->y = guard(c, (f32 ? rows : planes) * (size_t)s->y_group);
  q->before = guard(c, q->y.n);
  s->y = f32 ? NULL : (uint32_t *)q->y.data;
  s->y_f32 = f32 ? q->y.data : NULL;
  s->r_group = over ? s->y_group : q->r_map.words + pick(c, 0, 3);
  q->r = guard(c, planes * (size_t)s->r_group);
  fill_words(c, &q->r);
  if (residual) s->r = over ? s->y : (const uint32_t *)q->r.data;
  if (over) fill_words(c, &q->y);
  memcpy(q->before.data, q->y.data, q->y.n * sizeof(float));
}

static void make(struct check *c, struct problem *q, int block) {
  struct sumi_spmm_bf16 *s = &q->s;
  memset(s, 0, sizeof *s);
  s->block = block;
  s->rows = pick(c, 1, pick(c, 0, 3) ? 24 : MOST_ROWS);
  const int unit = block == 1 ? 2 : 1; /* blocks of a word */
  q->n_blocks = (s->rows + block * unit - 1) / (block * unit) * unit;
  const int64_t pixels = pick(c, 1, pick(c, 0, 3) ? 70 : MOST_PIXELS);
  make_map(c, &q->map, pixels, NULL);
  make_map(c, &q->r_map, pixels, &q->map);
  make_end(c, q);
  make_lists(c, q);
  const int vectors = (int)(pixels + 15) / 16, units = (int)q->n_blocks / unit;
  const bool part = pick(c, 0, 2) == 0;
  q->b0 = part ? unit * pick(c, 0, units - 1) : 0;
  q->b1 = part ? unit * pick(c, (int)q->b0 / unit, units) : q->n_blocks;
  q->p0 = part ? 16 * pick(c, 0, vectors - 1) : 0;
  q->p1 = part ? 16 * pick(c, (int)q->p0 / 16, vectors) : pixels;
  if (q->p1 > pixels) q->p1 = pixels;
}

/* ---- the check -------------------------------------------------------------------------------------------------- */

static bool near(float got, double right, double off) {
  if (isnan(right)) return isnan(got) && !is_poison(got);
  return isinf(right) ? (double)got == right : fabs((double)got - right) <= off;
}

/* Checks what belongs to pixel p and marks its words as seen. */
static void compare_pixel(struct check *c, const struct problem *q, int64_t m, int64_t p, bool *seen) {
  const struct sumi_spmm_bf16 *s = &q->s;
  const int64_t at = (s->y_f32 ? m : m / 2) * s->y_group + q->map.place[p];
  double off;
  const double right = want(q, m, p, &off);
  const uint32_t word = ((const uint32_t *)q->y.data)[at];
  const float got = s->y_f32 ? q->y.data[at] : half(word, m % 2);
  if (!near(got, right, off))
    fail(c, "row %ld, pixel %ld is %.9g, not %.9g (+- %.3g)", (long)m, (long)p, (double)got, right, off);
  if (!s->y_f32 && m % 2 == 0 && m + 1 == s->rows && word >> 16) fail(c, "row %ld is not 0", (long)m + 1);
  seen[at] = true;
}

static void compare(struct check *c, const struct problem *q) {
  const struct sumi_spmm_bf16 *s = &q->s;
  bool *const seen = calloc(q->y.n + 1, sizeof *seen);
  for (int64_t m = q->b0 * s->block; m < q->b1 * s->block && m < s->rows; m++)
    for (int64_t p = q->p0; p < q->p1; p++)
      if (q->map.place[p] >= 0) compare_pixel(c, q, m, p, seen);
  for (size_t i = 0; i < q->y.n; i++)
    if (!seen[i] && memcmp(&q->y.data[i], &q->before.data[i], sizeof(float)) != 0) {
      fail(c, "y[%zu] of %zu was written", i, q->y.n);
      break;
    }
  free(seen);
}

static void check_one(struct check *c, const struct sumi_spmm_bf16_kernel *k, int block) {
  static struct problem q;
  make(c, &q, block);
  const struct sumi_spmm_bf16 *s = &q.s;
  begin_case(c, k->name,
             "rows %ld, pixels %ld, block %d, %s %ld, w_row %ld, lo %g, hi %g, %s%s%s%s, blocks %ld..%ld, "
             "pixels %ld..%ld",
             (long)s->rows, (long)s->map->pixels, block, s->start ? "lists" : "dense", (long)s->n_list,
             (long)s->w_row, (double)s->lo, (double)s->hi, s->y_f32 ? "float32" : "bfloat16",
             s->r ? ", residual" : "", s->r && s->r == s->y ? " in place" : "", s->act ? ", function" : "",
             (long)q.b0, (long)q.b1, (long)q.p0, (long)q.p1);
  k->run(s, q.b0, q.b1, q.p0, q.p1);
  compare(c, &q);
  struct guarded *const all[] = {&q.x, &q.w, &q.bias, &q.r, &q.y, &q.before};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) let_go(c, all[i]);
}

/* ---- speed ------------------------------------------------------------------------------------------------------ */

/* A dense or thinned product of `rows` by `list` words over `pixels` of one plane each. */
static void bench_one(struct check *c, const struct sumi_spmm_bf16_kernel *k, int rows, int list, int pixels,
                      int block, int fewer) {
  const int n_blocks = rows / block, unit = block >= TILE ? TILE : 1,
            n = (list / fewer + unit - 1) / unit * unit;
  const int plane = pixels + 16;
  struct sumi_spmm_bf16 s = {.rows = rows, .block = block, .lo = 0, .hi = INFINITY, .y_group = plane};
  struct guarded x = guard(c, (size_t)(list * plane + SUMI_LANE_OVER_WORDS)),
                 w = guard(c, (size_t)(n * rows)), bias = guard(c, (size_t)rows),
                 y = guard(c, (size_t)(rows / 2 * plane));
  static struct map map;
  int32_t *const place = malloc(sizeof *place * (size_t)pixels), *const first =
                                                                     malloc(sizeof *first * (size_t)pixels);
  struct sumi_lane_piece *const piece = malloc(sizeof *piece * (size_t)pixels);
  int32_t *const off = malloc(sizeof *off * (size_t)(n * n_blocks)), *const start =
                                                                         malloc(sizeof *start *
                                                                                (size_t)(n_blocks + 1));
  fill_words(c, &x), fill_words(c, &w), fill_random(c, &bias, -1, 1);
  for (int p = 0; p < pixels; p++) place[p] = p;
  map.map = sumi_lane_map_of(place, pixels, first, piece);
  for (int b = 0; b <= n_blocks; b++) start[b] = b * n;
  for (int e = 0; e < n * n_blocks; e++)
    off[e] = 4 * plane * ((e % n * fewer + (fewer > 1 ? pick(c, 0, fewer - 1) : 0)) % list);
  s.map = s.r_map = &map.map;
  s.x = (const uint8_t *)x.data, s.w = (const int32_t *)w.data, s.off = off, s.bias = bias.data;
  s.y = (uint32_t *)y.data, s.start = fewer > 1 ? start : NULL, s.n_list = fewer > 1 ? 0 : n;
  s.w_row = 1, s.w_entry = block, s.w_block = fewer > 1 ? 0 : (int64_t)n * block;
  double best = 1e9;
  for (int t = 0; t < 5 || (best * t < 0.03 && t < 200); t++) {
    const double t0 = now_s(), d = (k->run(&s, 0, n_blocks, 0, pixels), now_s() - t0);
    if (d < best) best = d;
  }
  char text[96];
  snprintf(text, sizeof text, "%d x %d over %d, block %d 1/%d (%.2f)", rows, 2 * list, pixels, block, fewer,
           best / sumi_spmm_bf16_predict(k, block, fewer == 1, (double)n * n_blocks, n_blocks, pixels));
  report(c, k->name, text, best, 2.0 * n * rows * pixels, 0);
  let_go(c, &x), let_go(c, &w), let_go(c, &bias), let_go(c, &y);
  free(place), free(first), free(piece), free(off), free(start);
}

static void bench(struct check *c, const struct sumi_spmm_bf16_kernel *k) {
  static const int shape[][3] = {
      {64, 288, 3136}, {256, 32, 3136}, {128, 576, 784}, {256, 1152, 196}, {1024, 128, 196}};
  for (int size = SIZES - 1; size >= 0; size--) {
    if (!(k->blocks >> size & 1)) continue;
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
      bench_one(c, k, shape[i][0], shape[i][1], shape[i][2], 1 << size, 1);
    for (int fewer = 4; fewer <= 16; fewer *= 2)
      bench_one(c, k, shape[0][0], shape[0][1], shape[0][2], 1 << size, fewer);
  }
}

static void check_pick(struct check *c) {
  for (int size = 0; size < SIZES; size++) {
    const struct sumi_spmm_bf16_kernel *k = sumi_spmm_bf16_pick(sumi_cpu_isa(), 1 << size);
    begin_case(c, k->name, "pick");
    if (!sumi_cpu_allows(sumi_cpu_isa(), k->isa))
      fail(c, "level %s is above the mask", sumi_isa_label(k->isa));
    if (!(k->blocks >> size & 1)) fail(c, "takes no blocks of %d", 1 << size);
  }
}

void check_spmm_bf16(struct check *c) {
  size_t n;
  const struct sumi_spmm_bf16_kernel *all = sumi_spmm_bf16_kernels(&n);
  if (!c->bench) check_pick(c);
  for (size_t i = 0; i < n; i++) {
    if (all[i].isa != sumi_cpu_isa()) continue; /* every row has its turn when the mask is its level */
    if (c->bench) bench(c, &all[i]);
    for (int size = 0; size < SIZES && !c->bench; size++)
      for (int t = 0; t < 300 && all[i].blocks >> size & 1; t++) check_one(c, &all[i], 1 << size);
  }
}

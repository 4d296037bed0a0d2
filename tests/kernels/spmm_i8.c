/* Family spmm_i8: random blocks, lists, forms of weights, ends and maps against the loop of spmm_i8.h, to the
 * bit. */
#include "kernel/spmm/spmm_i8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "spmm_i8.h"

enum {
  MOST_ROWS = 72,
  MOST_LIST = 64,
  LONGEST_LIST = 3000, /* less than MOST_ROWS * MOST_LIST */
  MOST_PIXELS = 320,
  MOST_PLANES = 12,
  SIZES = 6,
  TILE = 16
};

struct map {
  struct sumi_lane_map map;
  int32_t place[MOST_PIXELS], first[MOST_PIXELS / 16 + 2];
  struct sumi_lane_piece piece[MOST_PIXELS];
  int64_t words; /* beyond the last place */
};

struct problem {
  struct sumi_spmm_i8 s;
  struct map map, r_map;
  struct guarded x, w, bias, scale, shift, table, y, before, add[SUMI_SPMM_I8_STAGES], r[SUMI_SPMM_I8_STAGES];
  int32_t off[MOST_ROWS * MOST_LIST], start[MOST_ROWS + 1];
  int64_t b0, b1, p0, p1;
};

/* ---- the loop of the header ------------------------------------------------------------------------------------- */

static int32_t weight(const struct sumi_spmm_i8 *s, int64_t b, int64_t e, int64_t i) {
  if (s->block < TILE) return s->w[b * s->w_block + e * s->w_entry + i * s->w_row];
  const int64_t first = s->start ? s->start[b] : b * s->n_list, at = s->start ? e - first : e;
  return s->w[first * s->block + ((at / 16 * (s->block / 16) + i / 16) * 16 + i % 16) * 16 + at % 16];
}

static float clamped(float v, float lo, float hi) {
  if (isnan(v)) return lo;
  const float a = v > lo ? v : lo;
  return a < hi ? a : hi;
}

/* The word that the kernel must leave for row m and pixel p: a byte, or the bits of a float. */
static uint32_t want(const struct problem *q, int64_t m, int64_t p) {
  const struct sumi_spmm_i8 *s = &q->s;
  const int64_t b = m / s->block;
  uint32_t sum = (uint32_t)s->bias[m];
  for (int64_t e = s->start ? s->start[b] : 0; e < (s->start ? s->start[b + 1] : s->n_list); e++)
    for (int c = 0; c < 4; c++)
      sum += (uint32_t)(s->x[s->off[e] + 4 * p + c] *
                        (int8_t)((uint32_t)weight(s, b, e, m % s->block) >> 8 * c));
  if (s->y_f32) {
    float y = fmaf((float)(int32_t)sum, s->scale[m], s->shift ? s->shift[m] : 0);
    if (s->act) s->act(&y, &y, 1, s->act_param);
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    return bits;
  }
  float zero = s->zero, first = fmaf((float)(int32_t)sum, s->scale[m], s->shift ? s->shift[m] : 0);
  if (s->act) s->act(&first, &first, 1, s->act_param);
  int v = (int)rintf(clamped(first * s->post, s->lo - zero, s->hi - zero)) + (int)zero;
  for (int i = 0; i < s->n_stage; i++) {
    const struct sumi_spmm_i8_stage *t = &s->stage[i];
    float add;
    if (t->add) {
      add = t->add[m];
    } else {
      const uint32_t *r = (const uint32_t *)(t->r == s->y ? q->before.data : q->r[i].data);
      const int byte = (int)(r[m / 4 * t->r_group + q->r_map.place[p]] >> m % 4 * 8 & 255);
      add = (float)(byte - (int)t->r_zero) * t->r_mul;
    }
    float f = fmaf((float)(v - (int)zero), t->mul, add);
    if (t->act) {
      t->act(&f, &f, 1, t->act_param);
      f *= t->post;
    }
    v = (int)rintf(clamped(f, t->lo - t->zero, t->hi - t->zero)) + (int)t->zero;
    zero = t->zero;
  }
  return s->table ? s->table[v] : (uint32_t)v;
}

/* ---- problems --------------------------------------------------------------------------------------------------- */

/* Places of a walk: rows of a padded pitch without their halo, phases of them, or any order with gaps. Where
 * needed is given, all pixels that it keeps are kept. */
static void make_map(struct check *c, struct map *map, int64_t pixels, const struct map *needed) {
  const int kind = pick(c, 0, 4), pitch = pick(c, 1, 40), gap = pick(c, 0, 3);
  const int width = needed ? pitch : pick(c, 1, pitch);
  const int step = pick(c, 2, 4), base = pick(c, 0, 5);
  const int64_t phase = pixels / step + 1 + gap;
  for (int64_t p = 0; p < pixels; p++) {
    const bool kept = kind == 0 || p % pitch < width;
    const int64_t at = kind == 0   ? p
                       : kind == 1 ? p / pitch * (width + gap) + p % pitch
                       : kind == 2 ? p % step * phase + p / step
                                   : p * 2 + 1;
    map->place[p] = kept ? (int32_t)(base + at) : -1;
  }
  for (int64_t p = pixels - 1; kind == 4 && p > 0; p--) {
    const int other = pick(c, 0, (int)p);
    const int32_t keep = map->place[p];
    map->place[p] = map->place[other], map->place[other] = keep;
  }
  for (int64_t p = 0; needed && p < pixels; p++)
    if (needed->place[p] < 0 && pick(c, 0, 1)) map->place[p] = -1;
  if (!needed && pick(c, 0, 3) == 0) /* whole vectors without a place */
    for (int64_t p = 16 * pick(c, 0, (int)pixels / 16); p < pixels && pick(c, 0, 40); p++) map->place[p] = -1;
  map->words = 1;
  for (int64_t p = 0; p < pixels; p++)
    if (map->place[p] >= map->words) map->words = map->place[p] + 1;
  map->map = sumi_lane_map_of(map->place, pixels, map->first, map->piece);
}

static void fill_bits(struct check *c, struct guarded *g) {
  for (size_t i = 0; i < g->n; i++) {
    const uint32_t bits = (uint32_t)sumi_random_u64(&c->random);
    memcpy(&g->data[i], &bits, sizeof bits);
  }
}

/* Bytes: any, or the extremes only. */
static void fill_bytes(struct check *c, struct guarded *g, bool extreme, uint8_t low, uint8_t high) {
  fill_bits(c, g);
  uint8_t *const byte = (uint8_t *)g->data;
  for (size_t i = 0; extreme && i < 4 * g->n; i++) byte[i] = byte[i] & 1 ? high : low;
}

/* Scales: of the size that makes bytes, or any float at all. */
static struct guarded scales(struct check *c, size_t n, float size) {
  struct guarded g = guard(c, n);
  static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 0, 1, -1, 1e-40f};
  const bool wild = pick(c, 0, 5) == 0;
  fill_random(c, &g, pick(c, 0, 3) ? 0 : -size, size);
  for (size_t i = 0; wild && i < n; i++)
    if (pick(c, 0, 2) == 0) g.data[i] = odd[pick(c, 0, 8)];
  return g;
}

/* longer: entries of one list for all blocks, 0 = as it comes. */
static void make_lists(struct check *c, struct problem *q, int longer) {
  struct sumi_spmm_i8 *s = &q->s;
  const int64_t n_blocks = (s->rows + s->block - 1) / s->block, unit = s->block >= TILE ? TILE : 1;
  const int most = pick(c, 0, 3) ? MOST_LIST : 6, plane_words = (int)s->map->pixels + pick(c, 0, 20);
  const bool lists = !longer && pick(c, 0, 1), strided = !lists && s->block < TILE && pick(c, 0, 1);
  int64_t total = 0;
  q->start[0] = 0;
  for (int64_t b = 0; b < n_blocks; b++) {
    const int64_t n = ((longer ? longer : pick(c, 0, most)) + unit - 1) / unit * unit;
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
  const int64_t words = strided ? (s->rows - 1) * s->w_row + total
                        : lists ? total * s->block
                                : n_blocks * s->block * total;
  const bool extreme = pick(c, 0, 3) == 0;
  q->w = guard(c, (size_t)words);
  fill_bytes(c, &q->w, extreme, 0x80, 0x7f);
  q->x = guard(c, (size_t)(furthest / 4 + s->map->pixels + SUMI_LANE_OVER_WORDS));
  fill_bytes(c, &q->x, extreme, 0, 255);
  const double zeros = pick(c, 0, 1) ? 0.7 : 0; /* words that a kernel may leave out */
  for (size_t i = 0; i < q->x.n; i++)
    if (sumi_random_uniform(&c->random) < zeros) q->x.data[i] = 0;
  s->w = (const int32_t *)q->w.data;
  s->x = (const uint8_t *)q->x.data;
}

static float whole(struct check *c, int low, int high) { return (float)pick(c, low, high); }

/* Something that is neither monotone nor odd, exact in every build. */
static void bend(const float *x, float *y, int64_t n, const float *param) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] < param[0] ? x[i] * -0.5f : x[i];
}

static void make_stage(struct check *c, struct problem *q, int i) {
  struct sumi_spmm_i8 *s = &q->s;
  struct sumi_spmm_i8_stage *t = &s->stage[i];
  const bool residual = pick(c, 0, 2) > 0, over = residual && i == 0 && pick(c, 0, 2) == 0;
  q->add[i] = scales(c, (size_t)s->rows, 100);
  if (over) s->r_map = s->map, q->r_map = q->map;
  t->r_group = over ? s->y_group : q->r_map.words + pick(c, 0, 3);
  q->r[i] = guard(c, (size_t)(s->rows / 4 * t->r_group));
  fill_bits(c, &q->r[i]);
  t->add = residual ? NULL : q->add[i].data;
  t->r = (const uint32_t *)(over ? q->y.data : q->r[i].data);
  t->r_zero = pick(c, 0, 1) ? whole(c, 0, 255) : 0;
  t->r_mul = pick(c, 0, 9) ? (float)sumi_random_uniform(&c->random) : NAN;
  t->mul = pick(c, 0, 9) ? 2 * (float)sumi_random_uniform(&c->random) : 1e38f;
  static const float knee[1] = {-3};
  t->act = pick(c, 0, 2) ? NULL : bend;
  t->act_param = knee;
  t->post = (float)sumi_random_uniform(&c->random);
  const bool all = pick(c, 0, 1); /* every byte is in range: kernels have a shorter end then */
  t->zero = all ? 0 : whole(c, 0, 255);
  t->lo = all || pick(c, 0, 1) ? 0 : whole(c, 0, 255);
  t->hi = all || pick(c, 0, 1) ? 255 : whole(c, (int)t->lo, 255);
}

static void make_end(struct check *c, struct problem *q) {
  struct sumi_spmm_i8 *s = &q->s;
  const size_t rows = (size_t)s->rows;
  const bool f32 = pick(c, 0, 4) == 0;
  s->map = s->r_map = &q->map.map;
  s->r_map = &q->r_map.map;
  q->bias = guard(c, rows);
  fill_bits(c, &q->bias);
  int32_t *const bias = (int32_t *)q->bias.data;
  const bool wraps = pick(c, 0, 3) == 0;
  for (size_t i = 0; i < rows && !wraps; i++) bias[i] /= 1 << 14;
  q->scale = scales(c, rows, pick(c, 0, 3) ? 0.002f : 1.5f);
  q->shift = scales(c, rows, 100);
  q->table = guard(c, 256 / sizeof(float));
  fill_bits(c, &q->table);
  s->bias = bias, s->scale = q->scale.data;
  s->zero = pick(c, 0, 2) ? whole(c, 0, 255) : 0;
  s->lo = pick(c, 0, 1) ? 0 : whole(c, 0, 255);
  s->hi = pick(c, 0, 1) ? 255 : whole(c, (int)s->lo, 255);
  s->y_group = s->y_row = q->map.words + pick(c, 0, 3);
  q->y = guard(c, (f32 ? rows : rows / 4) * (size_t)s->y_group);
  q->before = guard(c, q->y.n);
  s->y = f32 ? NULL : (uint32_t *)q->y.data;
  s->y_f32 = f32 ? q->y.data : NULL;
  s->shift = pick(c, 0, 1) ? q->shift.data : NULL;
  static const float knee[1] = {-3};
  s->act = pick(c, 0, 2) ? NULL : bend;
  s->act_param = knee;
  s->post = pick(c, 0, 1) ? 1 : (float)sumi_random_uniform(&c->random);
  s->n_stage = f32 ? 0 : pick(c, -1, SUMI_SPMM_I8_STAGES);
  if (s->n_stage < 0) s->n_stage = 0;
  s->table = !f32 && pick(c, 0, 2) == 0 ? (const uint8_t *)q->table.data : NULL;
  const bool common =
      !f32 && pick(c, 0, 2) == 0; /* a residual and nothing else: kernels have an end for it */
  if (common) s->shift = NULL, s->act = NULL, s->table = NULL, s->post = 1, s->n_stage = 1;
  for (int i = 0; i < s->n_stage; i++) make_stage(c, q, i);
  if (common) s->stage[0].add = NULL, s->stage[0].act = NULL;
  if (s->n_stage && s->stage[0].r == s->y) fill_bits(c, &q->y); /* the residual lies there */
  memcpy(q->before.data, q->y.data, q->y.n * sizeof(float));
}

static void make(struct check *c, struct problem *q, int block, int longer) {
  struct sumi_spmm_i8 *s = &q->s;
  memset(s, 0, sizeof *s);
  s->block = block;
  s->rows = 4 * (longer ? pick(c, 9, 12) : pick(c, 1, pick(c, 0, 3) ? 6 : MOST_ROWS / 4));
  const int64_t pixels = longer ? pick(c, 60, 150) : pick(c, 1, pick(c, 0, 3) ? 70 : MOST_PIXELS);
  make_map(c, &q->map, pixels, NULL);
  make_map(c, &q->r_map, pixels, &q->map);
  make_end(c, q);
  make_lists(c, q, longer);
  const int words = block < 4 ? 4 / block : 1; /* blocks are split between words */
  const int units = (int)((s->rows + block - 1) / block) / words, vectors = (int)(pixels + 15) / 16;
  const bool part = pick(c, 0, 2) == 0;
  q->b0 = part ? words * pick(c, 0, units - 1) : 0;
  q->b1 = part ? words * pick(c, (int)q->b0 / words, units) : words * units;
  q->p0 = part ? 16 * pick(c, 0, vectors - 1) : 0;
  q->p1 = part ? 16 * pick(c, (int)q->p0 / 16, vectors) : pixels;
  if (q->p1 > pixels) q->p1 = pixels;
}

/* ---- the check -------------------------------------------------------------------------------------------------- */

/* Every word of y: what the loop leaves there, or what was there before. */
static void compare(struct check *c, const struct problem *q) {
  const struct sumi_spmm_i8 *s = &q->s;
  const uint32_t *const got = (const uint32_t *)q->y.data;
  uint32_t *const right = malloc(q->y.n * sizeof *right + 1);
  memcpy(right, q->before.data, q->y.n * sizeof *right);
  for (int64_t m = q->b0 * s->block; m < q->b1 * s->block && m < s->rows; m++)
    for (int64_t p = q->p0; p < q->p1; p++) {
      if (q->map.place[p] < 0) continue;
      const uint32_t value = want(q, m, p);
      uint32_t *const to = right + (s->y_f32 ? m : m / 4) * s->y_group + q->map.place[p];
      *to = s->y_f32 ? value : (*to & ~(255u << m % 4 * 8)) | value << m % 4 * 8;
    }
  for (size_t i = 0; i < q->y.n; i++) {
    float a, b;
    memcpy(&a, &got[i], sizeof a), memcpy(&b, &right[i], sizeof b);
    if (s->y_f32 ? got[i] == right[i] || (isnan(a) && isnan(b) && is_poison(a) == is_poison(b))
                 : got[i] == right[i])
      continue;
    fail(c, "y[%zu] of %zu is %08x, not %08x", i, q->y.n, got[i], right[i]);
    break;
  }
  free(right);
}

static void check_one(struct check *c, const struct sumi_spmm_i8_kernel *k, int block, int longer) {
  static struct problem q;
  make(c, &q, block, longer);
  const struct sumi_spmm_i8 *s = &q.s;
  begin_case(c, k->name,
             "rows %ld, pixels %ld, block %d, %s %ld, w_row %ld, zero %g, lo %g, hi %g, %d stages, %s%s%s, "
             "blocks %ld..%ld, "
             "pixels %ld..%ld",
             (long)s->rows, (long)s->map->pixels, block, s->start ? "lists" : "dense", (long)s->n_list,
             (long)s->w_row, (double)s->zero, (double)s->lo, (double)s->hi, s->n_stage,
             s->y_f32 ? "float32" : "bytes", s->table ? ", table" : "",
             s->n_stage && s->stage[0].r == s->y ? ", in place" : "", (long)q.b0, (long)q.b1, (long)q.p0,
             (long)q.p1);
  k->run(s, q.b0, q.b1, q.p0, q.p1);
  compare(c, &q);
  struct guarded *const all[] = {&q.x, &q.w, &q.bias, &q.scale, &q.shift, &q.table, &q.y, &q.before};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) let_go(c, all[i]);
  for (int i = 0; i < s->n_stage; i++) let_go(c, &q.add[i]), let_go(c, &q.r[i]);
}

static void check_pick(struct check *c, const struct sumi_spmm_i8_kernel *all, size_t n) {
  for (int i = 0; i < 2 * SIZES; i++) {
    const int size = i / 2;
    const int64_t pixels = i % 2 ? 1 : 1000;
    const struct sumi_spmm_i8_kernel *k = sumi_spmm_i8_pick(sumi_cpu_isa(), 1 << size, pixels);
    begin_case(c, k->name, "pick");
    if (k->isa > sumi_cpu_isa()) fail(c, "level %s is above the mask", sumi_isa_label(k->isa));
    if (!(k->blocks >> size & 1)) fail(c, "takes no blocks of %d", 1 << size);
    if (pixels > k->most_pixels) fail(c, "is for %ld pixels at most", (long)k->most_pixels);
    for (size_t j = 0; j < n && all + j < k; j++)
      if (sumi_cpu_allows(sumi_cpu_isa(), all[j].isa) && all[j].blocks >> size & 1 &&
          pixels <= all[j].most_pixels)
        fail(c, "%s stands first and was not picked", all[j].name);
  }
}

void check_spmm_i8(struct check *c) {
  size_t n;
  const struct sumi_spmm_i8_kernel *all = sumi_spmm_i8_kernels(&n);
  if (!c->bench) check_pick(c, all, n);
  for (size_t i = 0; i < n; i++) {
    if (all[i].isa != sumi_cpu_isa()) continue; /* every row has its turn when the mask is its level */
    if (c->bench) bench_spmm_i8(c, &all[i]);
    for (int size = 0; size < SIZES && !c->bench; size++)
      for (int t = 0; t < 300 && all[i].blocks >> size & 1; t++) check_one(c, &all[i], 1 << size, 0);
    /* lists that no tile keeps at hand; the loop of the header is slow on them */
    for (int t = 0; t < 12 && !c->bench && all[i].isa != SUMI_ISA_REF && all[i].blocks >> 5 & 1; t++)
      check_one(c, &all[i], t & 1 ? 16 : 32, t % 3 ? pick(c, MOST_LIST, LONGEST_LIST / 2) : LONGEST_LIST);
  }
}

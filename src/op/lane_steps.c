/* Steps of kernel family lane. A step is split into parts of a few thousand words for threads. */
#include "op/lane_steps.h"

#include "base/size.h"
#include "kernel/lane/lane_bf16.h"

/* ---- parts of a job --------------------------------------------------------------------------------------------- */

struct split {
  int64_t groups, pixels, groups_each, pixels_each, down, across;
  int64_t count; /* of one image */
};

struct part {
  int64_t g0, g1, p0, p1;
};

/* unit: groups that are best done together. */
static struct split split_of(int64_t groups, int64_t pixels, int64_t unit) {
  enum { WORDS = 4096 };
  struct split s = {.groups = groups, .pixels = pixels};
  s.pixels_each = SUMI_MIN(WORDS, (pixels + 15) / 16 * 16);
  s.groups_each = SUMI_MAX(WORDS / SUMI_MAX(s.pixels_each, 1) / unit, 1) * unit;
  s.down = (groups + s.groups_each - 1) / s.groups_each;
  s.across = pixels ? (pixels + s.pixels_each - 1) / s.pixels_each : 0;
  s.count = s.down * s.across;
  return s;
}

static struct part part_of(const struct split *s, int64_t i) {
  const int64_t g = i / s->across * s->groups_each, p = i % s->across * s->pixels_each;
  return (struct part){g, SUMI_MIN(g + s->groups_each, s->groups), p,
                       SUMI_MIN(p + s->pixels_each, s->pixels)};
}

/* Pixels lie one after the other, without halo or phases. */
static bool is_dense(const struct sumi_layout *l) {
  const struct sumi_halo *h = &l->halo;
  return !h->top && !h->left && !h->bottom && !h->right && h->step_y == 1 && h->step_x == 1;
}

/* The map from the pixels of a walk over `from` to those of `to`; *out NULL where both are dense. */
static sumi_status map_between(struct sumi_lower *l, const struct sumi_layout *from,
                               const struct sumi_layout *to, const struct sumi_lane_map **out) {
  *out = NULL;
  if (is_dense(from) && is_dense(to)) return SUMI_OK;
  struct sumi_lane_map *map = SUMI_NEW(l->arena, struct sumi_lane_map);
  if (!map) SUMI_FAIL_MEMORY(l->err);
  *out = map;
  return sumi_lower_map_same(l, from, to, map);
}

sumi_status sumi_lower_lane_image(struct sumi_lower *l, const struct sumi_layout *lanes,
                                  const struct sumi_lane_map **out) {
  struct sumi_layout one = *lanes;
  one.images = 1;
  struct sumi_layout dense = one;
  dense.halo = (struct sumi_halo){.step_y = 1, .step_x = 1};
  dense.pitch = one.w;
  dense.image = one.h * one.w;
  return map_between(l, &dense, &one, out);
}

/* ---- row-major and lanes ---------------------------------------------------------------------------------------- */

typedef void (*convert_fn)(const struct sumi_lane_convert *l, SUMI_LANE_RANGE);

struct convert {
  struct sumi_lane_convert job; /* of one image; buffers are set while running */
  convert_fn run;
  struct split split;
  int64_t images, image_bytes, image_words;
  int rows, lanes; /* buffers */
};

struct convert_run {
  const struct convert *c;
  uint8_t *rows;
  uint32_t *lanes;
};

static void convert_parts(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct convert_run *r = user;
  const struct convert *c = r->c;
  for (int64_t i = begin; i < end; i++) {
    const int64_t image = i / c->split.count;
    const struct part p = part_of(&c->split, i % c->split.count);
    struct sumi_lane_convert job = c->job;
    job.data = r->rows + image * c->image_bytes;
    job.words.word = r->lanes + image * c->image_words;
    c->run(&job, p.g0, p.g1, p.p0, p.p1);
  }
}

static sumi_status run_convert(const void *args, const struct sumi_run *run) {
  const struct convert *c = args;
  struct convert_run r = {c, run->buffer[c->rows], run->buffer[c->lanes]};
  sumi_par_for(run->par, c->images * c->split.count, 1, convert_parts, &r);
  return SUMI_OK;
}

/* One image of rows and columns, or all pixels as one row: where elements of t lie, and where words do. */
static sumi_status set_places(struct sumi_lower *l, const struct sumi_tensor *t,
                              const struct sumi_layout *lanes, int64_t element_bytes, struct convert *c) {
  const int64_t inner = sumi_dims_count(t->dim, lanes->axis + 1, t->rank), pixels = lanes->h * lanes->w;
  c->images = lanes->images;
  c->image_bytes = pixels * lanes->channels * element_bytes;
  c->image_words = lanes->image;
  c->job.channels = lanes->channels;
  c->job.channel = inner;
  c->job.pixel = inner == 1 ? lanes->channels : 1;
  c->job.words.group = lanes->group;
  c->split = split_of(lanes->groups, pixels, c->job.channel == 1 ? 8 : 1);
  return sumi_lower_lane_image(l, lanes, &c->job.words.map);
}

enum direction { TO_LANES, FROM_LANES };

static sumi_status emit_convert(struct sumi_lower *l, const struct sumi_tensor *t, enum direction direction,
                                const char *kernel, const char *verb, const struct sumi_lane_operand *lanes,
                                struct convert *c) {
  SUMI_TRY(set_places(l, t, &lanes->layout, sumi_dtype_bits(t->dtype) / 8, c));
  c->lanes = lanes->buffer;
  const char *name = sumi_arena_printf(l->arena, "%s %s", kernel, verb);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  const int *from = direction == TO_LANES ? &c->rows : &c->lanes,
            *to = direction == TO_LANES ? &c->lanes : &c->rows;
  return sumi_lower_emit(l, run_convert, c, name, from, 1, to, 1);
}

static struct convert *new_convert(struct sumi_lower *l, convert_fn run, int rows) {
  struct convert *c = SUMI_NEW(l->arena, struct convert);
  if (c) *c = (struct convert){.run = run, .rows = rows};
  return c;
}

sumi_status sumi_lower_lane_quantize(struct sumi_lower *l, const struct sumi_tensor *t, int rows,
                                     const struct sumi_lane_scales *s, const struct sumi_lane_operand *to) {
  const struct sumi_lane_kernel *k = sumi_lane_pick(l->isa);
  struct convert *c = new_convert(l, k->quantize, rows);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  c->job.scale = s->scale, c->job.zero = s->zero, c->job.step = s->step;
  return emit_convert(l, t, TO_LANES, k->name, "quantize", to, c);
}

sumi_status sumi_lower_lane_dequantize(struct sumi_lower *l, const struct sumi_tensor *t,
                                       const struct sumi_lane_operand *from, const struct sumi_lane_scales *s,
                                       int rows) {
  const struct sumi_lane_kernel *k = sumi_lane_pick(l->isa);
  struct convert *c = new_convert(l, k->dequantize, rows);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  c->job.scale = s->scale, c->job.zero = s->zero, c->job.step = s->step;
  return emit_convert(l, t, FROM_LANES, k->name, "dequantize", from, c);
}

static uint8_t flip_of(const struct sumi_tensor *t) { return t->dtype == SUMI_INT8 ? 0x80 : 0; }

sumi_status sumi_lower_lane_pack(struct sumi_lower *l, const struct sumi_tensor *t, int rows,
                                 const struct sumi_lane_operand *to) {
  const struct sumi_lane_kernel *k = sumi_lane_pick(l->isa);
  struct convert *c = new_convert(l, k->pack, rows);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  c->job.flip = flip_of(t);
  return emit_convert(l, t, TO_LANES, k->name, "pack", to, c);
}

sumi_status sumi_lower_lane_unpack(struct sumi_lower *l, const struct sumi_tensor *t,
                                   const struct sumi_lane_operand *from, int rows) {
  const struct sumi_lane_kernel *k = sumi_lane_pick(l->isa);
  struct convert *c = new_convert(l, k->unpack, rows);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  c->job.flip = flip_of(t);
  return emit_convert(l, t, FROM_LANES, k->name, "unpack", from, c);
}

sumi_status sumi_lower_lane_narrow(struct sumi_lower *l, const struct sumi_tensor *t, int rows,
                                   const struct sumi_lane_operand *to) {
  const struct sumi_lane_bf16_kernel *k = sumi_lane_bf16_pick(l->isa);
  struct convert *c = new_convert(l, k->narrow, rows);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  return emit_convert(l, t, TO_LANES, k->name, "narrow", to, c);
}

sumi_status sumi_lower_lane_widen(struct sumi_lower *l, const struct sumi_tensor *t,
                                  const struct sumi_lane_operand *from, int rows) {
  const struct sumi_lane_bf16_kernel *k = sumi_lane_bf16_pick(l->isa);
  struct convert *c = new_convert(l, k->widen, rows);
  if (!c) SUMI_FAIL_MEMORY(l->err);
  return emit_convert(l, t, FROM_LANES, k->name, "widen", from, c);
}

/* ---- lanes to lanes --------------------------------------------------------------------------------------------- */

/* Words of a walk over a plane, as far as its last pixel. */
static int64_t walk_pixels(const struct sumi_layout *from, const struct sumi_lane_map *map) {
  return map ? map->pixels : from->images * from->h * from->w;
}

struct table {
  struct sumi_lane_table job; /* word: NULL, buffers are added while running */
  const struct sumi_lane_kernel *kernel;
  struct split split;
  int64_t x_first, y_first; /* words */
  int x, y;                 /* buffers */
};

struct table_run {
  const struct table *t;
  struct sumi_lane_table job;
};

static void table_parts(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct table_run *r = user;
  for (int64_t i = begin; i < end; i++) {
    const struct part p = part_of(&r->t->split, i);
    r->t->kernel->table(&r->job, p.g0, p.g1, p.p0, p.p1);
  }
}

static sumi_status run_table(const void *args, const struct sumi_run *run) {
  const struct table *t = args;
  struct table_run r = {t, t->job};
  r.job.x.word = (uint32_t *)run->buffer[t->x] + t->x_first;
  r.job.y.word = (uint32_t *)run->buffer[t->y] + t->y_first;
  sumi_par_for(run->par, t->split.count, 1, table_parts, &r);
  return SUMI_OK;
}

sumi_status sumi_lower_lane_table(struct sumi_lower *l, const struct sumi_lane_operand *from,
                                  int64_t from_group, const struct sumi_lane_operand *to, int64_t to_group,
                                  int64_t groups, const uint8_t *table) {
  struct table *t = SUMI_NEW(l->arena, struct table);
  if (!t) SUMI_FAIL_MEMORY(l->err);
  *t = (struct table){.kernel = sumi_lane_pick(l->isa),
                      .x_first = from_group * from->layout.group,
                      .y_first = to_group * to->layout.group,
                      .x = from->buffer,
                      .y = to->buffer};
  t->job.table = table;
  t->job.x.group = from->layout.group;
  t->job.y.group = to->layout.group;
  SUMI_TRY(map_between(l, &from->layout, &to->layout, &t->job.y.map));
  t->split = split_of(groups, walk_pixels(&from->layout, t->job.y.map), 1);
  const char *name = sumi_arena_printf(l->arena, "%s %s", t->kernel->name, table ? "table" : "move");
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, run_table, t, name, &t->x, 1, &t->y, 1);
}

struct table_rows {
  const struct sumi_lane_kernel *kernel;
  const uint8_t *table;
  struct split split;
  int64_t n;
  int x, y;
};

struct table_rows_run {
  const struct table_rows *t;
  struct sumi_lane_table job;
};

static void table_rows_parts(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct table_rows_run *r = user;
  for (int64_t i = begin; i < end; i++) {
    const struct part p = part_of(&r->t->split, i);
    r->t->kernel->table(&r->job, 0, 1, p.p0, p.p1);
  }
}

static sumi_status run_table_rows(const void *args, const struct sumi_run *run) {
  const struct table_rows *t = args;
  const uint8_t *x = run->buffer[t->x];
  uint8_t *y = run->buffer[t->y];
  struct table_rows_run r = {t, {.table = t->table}};
  r.job.x.word = run->buffer[t->x];
  r.job.y.word = run->buffer[t->y];
  sumi_par_for(run->par, t->split.count, 1, table_rows_parts, &r);
  for (int64_t i = t->n / 4 * 4; i < t->n; i++) y[i] = t->table[x[i]];
  return SUMI_OK;
}

sumi_status sumi_lower_lane_table_rows(struct sumi_lower *l, int from, int to, int64_t n,
                                       const uint8_t *table) {
  struct table_rows *t = SUMI_NEW(l->arena, struct table_rows);
  if (!t) SUMI_FAIL_MEMORY(l->err);
  *t = (struct table_rows){.kernel = sumi_lane_pick(l->isa),
                           .table = table,
                           .split = split_of(1, n / 4, 1),
                           .n = n,
                           .x = from,
                           .y = to};
  const char *name = sumi_arena_printf(l->arena, "%s table", t->kernel->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  return sumi_lower_emit(l, run_table_rows, t, name, &t->x, 1, &t->y, 1);
}

struct binary {
  struct sumi_lane_binary job;
  void (*run)(const struct sumi_lane_binary *l, SUMI_LANE_RANGE);
  struct split split;
  int64_t b_first; /* word */
  int a, b, y;     /* buffers; b < 0: its words are in the job */
};

struct binary_run {
  const struct binary *b;
  struct sumi_lane_binary job;
};

static void binary_parts(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct binary_run *r = user;
  for (int64_t i = begin; i < end; i++) {
    const struct part p = part_of(&r->b->split, i);
    r->b->run(&r->job, p.g0, p.g1, p.p0, p.p1);
  }
}

static sumi_status run_binary(const void *args, const struct sumi_run *run) {
  const struct binary *b = args;
  struct binary_run r = {b, b->job};
  r.job.a.word = run->buffer[b->a];
  if (b->b >= 0) r.job.b.word = (uint32_t *)run->buffer[b->b] + b->b_first;
  r.job.y.word = run->buffer[b->y];
  sumi_par_for(run->par, b->split.count, 1, binary_parts, &r);
  return SUMI_OK;
}

sumi_status sumi_lower_lane_binary(struct sumi_lower *l, bool add, const struct sumi_lane_binary *figures,
                                   const struct sumi_lane_operand *a, const struct sumi_lane_operand *b,
                                   uint32_t *b_word, const struct sumi_lane_operand *y) {
  const struct sumi_lane_kernel *k = sumi_lane_pick(l->isa);
  struct binary *n = SUMI_NEW(l->arena, struct binary);
  if (!n) SUMI_FAIL_MEMORY(l->err);
  *n =
      (struct binary){.job = *figures, .run = add ? k->add : k->mul, .a = a->buffer, .b = -1, .y = y->buffer};
  n->job.a = (struct sumi_lane_planes){.group = a->layout.group};
  n->job.b = (struct sumi_lane_planes){.word = b_word, .group = 1};
  n->job.y = (struct sumi_lane_planes){.group = y->layout.group};
  if (!b_word) {
    n->b = b->buffer;
    n->job.b.group = b->layout.group;
    if (figures->b_step)
      SUMI_TRY(map_between(l, &a->layout, &b->layout, &n->job.b.map));
    else
      n->b_first = sumi_layout_at(&b->layout, 0, 0, 0);
  }
  SUMI_TRY(map_between(l, &a->layout, &y->layout, &n->job.y.map));
  /* a walk over a's words, mapped or not, ends with its last pixel */
  const struct sumi_lane_map *map = n->job.y.map ? n->job.y.map : n->job.b.map;
  n->split = split_of(y->layout.groups, walk_pixels(&a->layout, map), 1);
  const char *name = sumi_arena_printf(l->arena, "%s %s", k->name, add ? "add" : "mul");
  if (!name) SUMI_FAIL_MEMORY(l->err);
  const int reads[] = {n->a, n->b};
  return sumi_lower_emit(l, run_binary, n, name, reads, n->b < 0 ? 1 : 2, &n->y, 1);
}

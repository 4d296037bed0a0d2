/* Words of a product whose operands lie in SRAM: weights brought in load by load, sums of one tile of pixels and outputs after the other
 * in the accumulators, results out of them. Accumulators and the area for weights are used round and round, so that a tile's
 * sums, the results of the one before and the weights of a later one are at work at the same time.
 *
 * Split: tiles go to the cores in turn, and every core's results to the others, where that is expected to take less time than that every
 * core makes all of them. */
#include <math.h>
#include <string.h>

#include "device/antoum/product_int.h"

enum { TILE_IMAGES, TILE_ROWS, TILE_COLS, TILE_OUTPUTS, TILE_SIDES, CANDIDATES = 24, AHEAD = 16 };

struct tile {
  int64_t n[TILE_SIDES];
};

/* What a unit's words are written from; p has been narrowed to box. */
struct writer {
  const struct product *p;
  const struct box *box;
  struct packed *packed;
  bool more;
  const struct unit *u;
  double block;  /* cycles of a block of the SPU */
  double alike;  /* units and steps of outer loops that have the same tiles */
  uint32_t half; /* sums of a tile, bytes */
  bool shared;   /* tiles go to the cores in turn */
};

struct window product_window(int64_t at, int64_t n, int stride, int dilation, int kernel, int64_t pad,
                             int64_t limit) {
  const int64_t first = at * stride - pad;
  const int64_t end = first + (n - 1) * stride + (int64_t)(kernel - 1) * dilation + 1;
  if (first >= limit) return (struct window){0, 1, -1}; /* all behind the last pixel */
  if (end <= 0) return (struct window){0, 1, end - first};
  const int64_t lo = SUMI_MAX(first, 0);
  return (struct window){lo, SUMI_MIN(end, limit) - lo, lo - first};
}

/* ---- tiles ---------------------------------------------------------------------------------------------------------------------- */

static int64_t value(const struct writer *r, enum sumi_card_param param) {
  return r->p->job->w->profile->value[param];
}

static double block_cycles(const struct writer *r) {
  double cycles = 0;
  for (size_t i = 0; i < r->u->n_parts; i++) {
    const struct part *t = &r->packed->part[r->u->part + i];
    const int64_t taps = (int64_t)t->n_ky * t->n_kx * t->banks;
    const int pairs = t->k == SUMI_CARD_BANK && t->banks == 1 ? t->last : t->k;
    cycles += (double)(product_div_up(taps, value(r, SUMI_CARD_P_spu_banks)) * pairs);
  }
  return cycles * (r->p->elem == 2 ? (double)value(r, SUMI_CARD_P_spu_bf16_cycles) : 1);
}

/* Whether the fields of a word hold it, and half of the accumulators its sums. */
static bool fits(const struct writer *r, const struct tile *t) {
  const struct sumi_cell_product *v = &r->p->v;
  const int64_t in_rows =
      (t->n[TILE_ROWS] - 1) * v->stride_h + (int64_t)(v->kernel_h - 1) * v->dilation_h + 1;
  const int64_t in_cols =
      (t->n[TILE_COLS] - 1) * v->stride_w + (int64_t)(v->kernel_w - 1) * v->dilation_w + 1;
  double sums = 1;
  for (int i = 0; i < TILE_SIDES; i++) {
    if (t->n[i] > UINT16_MAX) return false;
    sums *= (double)t->n[i];
  }
  return SUMI_MIN(in_rows, v->in_rows) <= UINT16_MAX && SUMI_MIN(in_cols, v->in_cols) <= UINT16_MAX &&
         sums * 4 <= r->half;
}

/* A tile's results as the other cores get them, the first of them at byte `at`. */
static struct antoum_share share_of(const struct product *p, const struct tile *t, int64_t at) {
  const struct sumi_cell_product *v = &p->v;
  return (struct antoum_share){
      .elem = p->y_elem,
      .at = at,
      .row_bytes = t->n[TILE_OUTPUTS] * p->y_elem,
      .n = {t->n[TILE_IMAGES], t->n[TILE_ROWS], t->n[TILE_COLS]},
      .step = {v->y_image * p->y_elem, v->y_row * p->y_elem, v->y_pixel * p->y_elem}};
}

/* Expected cycles of all tiles of `side` out of `whole`: the slower of SPU and ACT, and the other's share of one tile, when nothing
 * overlaps. Shared: of the core with most tiles, and so with the exchange of what they give. */
static double expected(const struct writer *r, const struct tile *whole, const struct tile *side) {
  double spu = 0, act = 0, tiles = 0;
  for (unsigned mask = 0; mask < 1u << TILE_SIDES; mask++) { /* bit: what is left over along this side */
    double count = 1, pixels = 1, outputs = 1;
    for (int i = 0; i < TILE_SIDES; i++) {
      const int64_t rest = whole->n[i] % side->n[i];
      count *= mask >> i & 1 ? rest != 0 : (double)(whole->n[i] / side->n[i]);
      const double n = (double)(mask >> i & 1 ? rest : side->n[i]);
      *(i == TILE_OUTPUTS ? &outputs : &pixels) *= n;
    }
    if (count == 0) continue;
    const double blocks = (double)product_div_up((int64_t)pixels, value(r, SUMI_CARD_P_spu_pixels)) *
                          (double)product_div_up((int64_t)outputs, value(r, SUMI_CARD_P_spu_outputs));
    spu += count * ((double)value(r, SUMI_CARD_P_spu_latency) * (double)r->u->n_parts + blocks * r->block);
    act += count * ((double)value(r, SUMI_CARD_P_act_latency) +
                    pixels * outputs / (double)value(r, SUMI_CARD_P_act_lanes));
    tiles += count;
  }
  if (!r->shared) return SUMI_MAX(spu, act) + SUMI_MIN(spu, act) / tiles;
  const struct antoum_words *w = r->p->job->w;
  const struct antoum_share share = share_of(r->p, side, 0);
  const double turns = ceil(tiles * r->alike / w->cores), copy = antoum_share_cycles(w, &share);
  const double most = SUMI_MAX(SUMI_MAX(spu, act) / tiles, copy);
  return (turns * most + (spu + act) / tiles + copy - most) / r->alike;
}

/* Tries tiles that are cut along one side, ever smaller; the others are as `t` has them. */
static void try_side(const struct writer *r, const struct tile *whole, struct tile t, int side, int64_t most,
                     struct tile *best, double *least) {
  const int64_t n = whole->n[side], first = product_div_up(n, SUMI_MAX(SUMI_MIN(most, n), 1));
  int64_t before = 0;
  for (int64_t pieces = first; pieces < first + CANDIDATES && pieces <= n; pieces++) {
    t.n[side] = product_div_up(n, pieces);
    if (t.n[side] == before || !fits(r, &t)) continue;
    before = t.n[side];
    const double cycles = expected(r, whole, &t);
    if (cycles < *least) *least = cycles, *best = t;
  }
}

static sumi_status choose_tile(const struct writer *r, struct tile *best, double *cycles) {
  const struct sumi_cell_product *v = &r->p->v;
  const struct tile whole = {{v->images, v->rows, v->cols, r->u->n}};
  const int64_t unit = value(r, SUMI_CARD_P_spu_outputs);
  double least = INFINITY;
  for (int64_t n = whole.n[TILE_OUTPUTS];; n = n > unit ? product_div_up(n / 2, unit) * unit : n / 2) {
    const int64_t pixels = (int64_t)r->half / 4 / n;
    try_side(r, &whole, (struct tile){{1, v->rows, v->cols, n}}, TILE_IMAGES, pixels / v->rows / v->cols,
             best, &least);
    try_side(r, &whole, (struct tile){{1, 1, v->cols, n}}, TILE_ROWS, pixels / v->cols, best, &least);
    try_side(r, &whole, (struct tile){{1, 1, 1, n}}, TILE_COLS, pixels, best, &least);
    if (n == 1 || (n <= unit && least < INFINITY)) break;
  }
  *cycles = least;
  return least < INFINITY ? SUMI_OK : antoum_refuse(r->p->job, "a product's input is too wide for a word");
}

/* ---- weights -------------------------------------------------------------------------------------------------------------------- */

static uint32_t next_place(const struct antoum_words *w, uint32_t bytes) {
  const uint64_t at = (uint64_t)w->weights.lo + w->weights_turn;
  return at + bytes <= w->weights.hi ? (uint32_t)at : w->weights.lo;
}

static bool overlap(const struct load *l, uint32_t at, uint32_t bytes) {
  return l->resident && at < l->sram + l->bytes && l->sram < at + bytes;
}

static sumi_status bring(struct writer *r, struct load *l) {
  struct antoum_words *w = r->p->job->w;
  l->sram = next_place(w, l->bytes);
  for (size_t i = 0; i < r->packed->n_loads; i++)
    if (overlap(&r->packed->load[i], l->sram, l->bytes)) r->packed->load[i].resident = false;
  l->resident = true;
  w->weights_turn = (l->sram - w->weights.lo + l->bytes + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
  return antoum_load_shared(w, ANTOUM_BASE_CODE, l->image_at, l->sram, l->bytes);
}

/* Load i is in SRAM from here on, and those behind it on their way as far as there is room for all of them. */
static sumi_status need_load(struct writer *r, uint32_t i) {
  struct packed *packed = r->packed;
  const struct antoum_words *w = r->p->job->w;
  if (!packed->load[i].resident) SUMI_TRY(bring(r, &packed->load[i]));
  for (uint32_t ahead = 1; ahead <= (w->split ? AHEAD : 1) && ahead < packed->n_loads; ahead++) {
    if (i + ahead >= packed->n_loads && !r->more) return SUMI_OK;
    struct load *next = &packed->load[(i + ahead) % packed->n_loads];
    if (next->resident) continue;
    for (uint32_t k = 0; k < ahead; k++)
      if (overlap(&packed->load[(i + k) % packed->n_loads], next_place(w, next->bytes), next->bytes))
        return SUMI_OK;
    SUMI_TRY(bring(r, next));
  }
  return SUMI_OK;
}

/* ---- words ---------------------------------------------------------------------------------------------------------------------- */

/* A tile: steps of the outer loops, pixels and outputs relative to the box. */
struct spot {
  int64_t outer[SUMI_CELL_OUTER];
  int64_t at[TILE_SIDES], n[TILE_SIDES];
  uint32_t acc; /* byte of the accumulators */
};

static int64_t outer_at(const struct spot *s, const struct sumi_cell_view *v) {
  int64_t at = v->at;
  for (int d = 0; d < SUMI_CELL_OUTER; d++) at += s->outer[d] * v->step[d];
  return at;
}

static uint64_t sums_bytes(const struct spot *s) {
  return (uint64_t)(s->n[TILE_IMAGES] * s->n[TILE_ROWS] * s->n[TILE_COLS] * s->n[TILE_OUTPUTS]) * 4;
}

/* Weights of a part for the outputs of a spot. */
static sumi_status set_weights(struct writer *r, const struct spot *s, const struct part *t,
                               struct sumi_card_spu *w, struct antoum_touch *touch) {
  const struct product *p = r->p;
  const struct sumi_cell_product *v = &p->v;
  uint64_t at;
  w->w_step_bytes = t->step_bytes;
  if (p->weights) {
    SUMI_TRY(need_load(r, t->load));
    const int64_t n = r->box->at[PRODUCT_OUT] + s->at[TILE_OUTPUTS] - r->u->n0;
    at = r->packed->load[t->load].sram + (uint64_t)t->at + (uint64_t)n * t->step_bytes;
  } else {
    at = p->w_at + (uint64_t)(outer_at(s, &v->w) + s->at[TILE_OUTPUTS] * v->w_output + t->ky * v->w_row +
                              t->kx * v->w_col + t->bank * SUMI_CARD_BANK) *
                       p->elem;
    w->w_step_bytes = (uint32_t)v->w_output * p->elem;
  }
  const uint64_t row = (uint64_t)t->n_ky * (uint64_t)t->n_kx *
                       ((uint64_t)(t->banks - 1) * sumi_card_group_bytes(t->k, p->elem, SUMI_CARD_BANK) +
                        sumi_card_group_bytes(t->k, p->elem, t->last));
  w->w = SUMI_CARD_AT(SUMI_CARD_HERE, at);
  *touch = (struct antoum_touch){ANTOUM_SRAM, false, at,
                                 at + (uint64_t)(s->n[TILE_OUTPUTS] - 1) * w->w_step_bytes + row};
  return SUMI_OK;
}

static sumi_status set_geometry(const struct writer *r, const struct spot *s, const struct part *t,
                                struct sumi_card_spu *w, struct antoum_touch *touch) {
  const struct product *p = r->p;
  const struct sumi_cell_product *v = &p->v;
  const struct window y = product_window(s->at[TILE_ROWS], s->n[TILE_ROWS], v->stride_h, v->dilation_h,
                                         v->kernel_h, v->pad_top, v->in_rows);
  const struct window x = product_window(s->at[TILE_COLS], s->n[TILE_COLS], v->stride_w, v->dilation_w,
                                         v->kernel_w, v->pad_left, v->in_cols);
  const int64_t top = y.pad - (int64_t)t->ky * v->dilation_h, left = x.pad - (int64_t)t->kx * v->dilation_w;
  if (top < INT16_MIN || top > INT16_MAX || left < INT16_MIN || left > INT16_MAX)
    return antoum_refuse(p->job, "a kernel's padding of %lld x %lld is too large", (long long)top,
                         (long long)left);
  w->in_rows = (uint16_t)y.n;
  w->in_cols = (uint16_t)x.n;
  w->pad_top = (int16_t)top;
  w->pad_left = (int16_t)left;
  w->stride_h = s->n[TILE_ROWS] > 1 ? (uint8_t)v->stride_h : 1;
  w->stride_w = s->n[TILE_COLS] > 1 ? (uint8_t)v->stride_w : 1;
  w->dilation_h = t->n_ky > 1 ? (uint8_t)v->dilation_h : 1;
  w->dilation_w = t->n_kx > 1 ? (uint8_t)v->dilation_w : 1;
  const int64_t channels = (t->banks - 1) * SUMI_CARD_BANK + t->last;
  const uint64_t at =
      p->x_at + (uint64_t)(outer_at(s, &v->x) + s->at[TILE_IMAGES] * v->x_image + y.first * v->x_row +
                           x.first * v->x_pixel + t->bank * SUMI_CARD_BANK) *
                    p->elem;
  const int64_t span =
      (s->n[TILE_IMAGES] - 1) * v->x_image + (y.n - 1) * v->x_row + (x.n - 1) * v->x_pixel + channels;
  w->x = SUMI_CARD_AT(SUMI_CARD_HERE, at);
  *touch = (struct antoum_touch){ANTOUM_SRAM, false, at, at + (uint64_t)span * p->elem};
  return SUMI_OK;
}

/* What is skipped at run time: in products of weights only, whose network was trained for it. */
static void set_options(const struct writer *r, struct sumi_card_spu *w) {
  const struct antoum_options *o = r->p->job->options;
  if (!r->p->weights) return;
  if (o->x_top > 0 && o->x_top < SUMI_CARD_BANK && r->p->join == 1) w->x_top = (uint8_t)o->x_top;
  if (!o->dual || r->p->elem != 1 || !value(r, SUMI_CARD_P_dual)) return;
  w->h.flags |= SUMI_CARD_SPU_DUAL;
  if (o->x_density > 0 && o->x_density < 1) w->x_density = (uint16_t)SUMI_MAX(o->x_density * 65536, 1);
}

static sumi_status multiply_part(struct writer *r, const struct spot *s, const struct part *t, bool first) {
  const struct product *p = r->p;
  const struct sumi_cell_product *v = &p->v;
  union sumi_card_word word = {
      .spu = {.h = {.opcode = SUMI_CARD_OP_SPU, .flags = first ? 0 : SUMI_CARD_SPU_ADD},
              .acc = SUMI_CARD_AT(SUMI_CARD_ACC, s->acc),
              .x_image = (uint32_t)v->x_image,
              .x_row = (uint32_t)v->x_row,
              .x_pixel = (uint32_t)v->x_pixel,
              .x_bank = SUMI_CARD_BANK,
              .images = (uint16_t)s->n[TILE_IMAGES],
              .banks = (uint16_t)t->banks,
              .rows = (uint16_t)s->n[TILE_ROWS],
              .cols = (uint16_t)s->n[TILE_COLS],
              .outputs = (uint16_t)s->n[TILE_OUTPUTS],
              .kernel_h = (uint8_t)t->n_ky,
              .kernel_w = (uint8_t)t->n_kx,
              .x_dtype = p->x_type,
              .w_dtype = p->w_type,
              .x_zero = (int16_t)v->x_zero,
              .w_zero = (int16_t)v->w_zero,
              .k = t->k,
              .last_bank = t->last}};
  struct antoum_touch touch[3];
  SUMI_TRY(set_weights(r, s, t, &word.spu, &touch[0]));
  SUMI_TRY(set_geometry(r, s, t, &word.spu, &touch[1]));
  set_options(r, &word.spu);
  touch[2] = (struct antoum_touch){ANTOUM_ACC, true, s->acc, s->acc + sums_bytes(s)};
  return antoum_emit(p->job->w, &word, touch, 3, 0);
}

/* Byte of the first result of a spot in y, of `elem` bytes each, or in the residual. */
static uint64_t result_at(const struct product *p, const struct spot *s, const struct sumi_cell_view *view,
                          uint64_t at, uint32_t elem) {
  const struct sumi_cell_product *v = &p->v;
  return at + (uint64_t)(outer_at(s, view) + s->at[TILE_IMAGES] * v->y_image + s->at[TILE_ROWS] * v->y_row +
                         s->at[TILE_COLS] * v->y_pixel + s->at[TILE_OUTPUTS]) *
                  elem;
}

static void set_function(const struct sumi_cell_product *v, struct sumi_card_act *a) {
  a->h.flags = (uint16_t)v->flags;
  a->function = (uint8_t)v->function;
  a->first_zero = v->first_zero;
  a->first_lo = v->first_lo;
  a->first_hi = v->first_hi;
  a->c = v->c;
  a->r = v->r;
  a->r_zero = v->r_zero;
  a->r_mul = v->r_mul;
  a->alpha = v->alpha;
}

static sumi_status activate(struct writer *r, const struct spot *s) {
  const struct product *p = r->p;
  const struct sumi_cell_product *v = &p->v;
  SUMI_TRY(need_load(r, r->u->load));
  const struct load *l = &r->packed->load[r->u->load];
  const uint64_t n = (uint64_t)(r->box->at[PRODUCT_OUT] + s->at[TILE_OUTPUTS] - r->u->n0);
  const uint64_t channel = l->sram + r->u->param_at + n * sizeof(struct sumi_card_channel);
  const uint64_t out = result_at(p, s, &v->y, p->y_at, p->y_elem);
  const uint64_t span = (uint64_t)((s->n[TILE_IMAGES] - 1) * v->y_image + (s->n[TILE_ROWS] - 1) * v->y_row +
                                   (s->n[TILE_COLS] - 1) * v->y_pixel + s->n[TILE_OUTPUTS]);
  union sumi_card_word word = {.act = {.h = {.opcode = SUMI_CARD_OP_ACT},
                                       .acc = SUMI_CARD_AT(SUMI_CARD_ACC, s->acc),
                                       .channel = SUMI_CARD_AT(SUMI_CARD_HERE, channel),
                                       .out = SUMI_CARD_AT(SUMI_CARD_HERE, out),
                                       .out_image = (uint32_t)v->y_image,
                                       .out_row = (uint32_t)v->y_row,
                                       .out_pixel = (uint32_t)v->y_pixel,
                                       .out_bank = SUMI_CARD_BANK,
                                       .images = (uint16_t)s->n[TILE_IMAGES],
                                       .rows = (uint16_t)s->n[TILE_ROWS],
                                       .cols = (uint16_t)s->n[TILE_COLS],
                                       .channels = (uint16_t)s->n[TILE_OUTPUTS],
                                       .acc_dtype = p->elem == 1 ? SUMI_CARD_I32 : SUMI_CARD_F32,
                                       .out_dtype = p->y_type,
                                       .residual_dtype = p->r_type}};
  struct antoum_touch touch[5] = {{ANTOUM_ACC, false, s->acc, s->acc + sums_bytes(s)},
                                  {ANTOUM_SRAM, false, channel,
                                   channel + (uint64_t)s->n[TILE_OUTPUTS] * sizeof(struct sumi_card_channel)},
                                  {ANTOUM_SRAM, true, out, out + span * p->y_elem}};
  int n_touch = 3;
  set_function(v, &word.act);
  if (p->r_place) {
    const uint64_t at = result_at(p, s, &v->residual, p->r_at, p->r_elem);
    word.act.residual = SUMI_CARD_AT(SUMI_CARD_HERE, at);
    touch[n_touch++] = (struct antoum_touch){ANTOUM_SRAM, false, at, at + span * p->r_elem};
  }
  if (v->flags & SUMI_CARD_ACT_TABLE) {
    word.act.table = SUMI_CARD_AT(SUMI_CARD_HERE, l->sram + l->table_at);
    touch[n_touch++] = (struct antoum_touch){ANTOUM_SRAM, false, l->sram + (uint64_t)l->table_at,
                                             l->sram + (uint64_t)l->table_at + 256};
  }
  return antoum_emit(p->job->w, &word, touch, n_touch, 0);
}

static sumi_status write_spot(struct writer *r, struct spot *s) {
  struct antoum_words *w = r->p->job->w;
  const uint64_t bytes = sums_bytes(s), room = (uint64_t)SUMI_CARD_VALUE(w->profile, acc_bytes);
  if (r->shared) antoum_share_turn(w);
  uint32_t *turn = &w->acc_turn[SUMI_MAX(w->only, 0)];
  s->acc = *turn + bytes <= room ? *turn : 0;
  *turn = (uint32_t)(s->acc + bytes);
  for (size_t i = 0; i < r->u->n_parts; i++)
    SUMI_TRY(multiply_part(r, s, &r->packed->part[r->u->part + i], i == 0));
  SUMI_TRY(activate(r, s));
  if (!r->shared) return SUMI_OK;
  struct tile tile;
  memcpy(tile.n, s->n, sizeof tile.n);
  const struct antoum_share share =
      share_of(r->p, &tile, (int64_t)result_at(r->p, s, &r->p->v.y, r->p->y_at, r->p->y_elem));
  return antoum_share_copy(w, &share);
}

/* All tiles of a unit at one step of the outer loops. */
static sumi_status write_tiles(struct writer *r, const struct tile *tile, struct spot *s) {
  const struct sumi_cell_product *v = &r->p->v;
  const int64_t first = r->u->n0 - r->box->at[PRODUCT_OUT];
  const int64_t whole[TILE_SIDES] = {v->images, v->rows, v->cols, r->u->n};
  int64_t at[TILE_SIDES] = {0};
  for (;;) {
    for (int i = 0; i < TILE_SIDES; i++) {
      s->at[i] = at[i] + (i == TILE_OUTPUTS ? first : 0);
      s->n[i] = SUMI_MIN(tile->n[i], whole[i] - at[i]);
    }
    SUMI_TRY(write_spot(r, s));
    int i = TILE_SIDES - 1;
    for (; i >= 0; i--) {
      at[i] += tile->n[i];
      if (at[i] < whole[i]) break;
      at[i] = 0;
    }
    if (i < 0) return SUMI_OK;
  }
}

static sumi_status write_unit(struct writer *r, const struct tile *tile) {
  struct spot s = {0};
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    if (r->p->own[d]) s.outer[d] = r->u->outer[d] - r->box->at[d];
  for (;;) {
    SUMI_TRY(write_tiles(r, tile, &s));
    int d = SUMI_CELL_OUTER - 1;
    for (; d >= 0; d--) {
      if (r->p->own[d]) continue;
      if (++s.outer[d] < r->box->n[d]) break;
      s.outer[d] = 0;
    }
    if (d < 0) return SUMI_OK;
  }
}

static bool in_box(const struct writer *r, const struct unit *u) {
  const struct box *b = r->box;
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    if (r->p->own[d] && (u->outer[d] < b->at[d] || u->outer[d] >= b->at[d] + b->n[d])) return false;
  return u->n0 >= b->at[PRODUCT_OUT] && u->n0 < b->at[PRODUCT_OUT] + b->n[PRODUCT_OUT];
}

/* Chooses how unit u is cut, unless it is like the one before it; *cycles: expected of it and those alike, each. */
struct choice {
  struct tile tile;
  int64_t outputs;
  size_t parts;
  double block, cycles;
};

static sumi_status choose(struct writer *r, const struct unit *u, struct choice *c) {
  r->u = u;
  r->block = block_cycles(r);
  if (u->n == c->outputs && r->block == c->block && u->n_parts == c->parts) return SUMI_OK;
  r->alike = 0;
  for (size_t i = 0; r->shared && i < r->packed->n_units; i++)
    r->alike += r->packed->unit[i].n == u->n && in_box(r, &r->packed->unit[i]);
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    if (!r->p->own[d]) r->alike *= (double)r->box->n[d];
  SUMI_TRY(choose_tile(r, &c->tile, &c->cycles));
  c->outputs = u->n;
  c->block = r->block;
  c->parts = u->n_parts;
  return SUMI_OK;
}

/* Expected cycles of the box. */
static sumi_status weigh(struct writer *r, bool shared, double *cycles) {
  struct choice c = {.outputs = 0};
  double steps = 1;
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    if (!r->p->own[d]) steps *= (double)r->box->n[d];
  r->shared = shared;
  *cycles = 0;
  for (size_t i = 0; i < r->packed->n_units; i++) {
    if (!in_box(r, &r->packed->unit[i])) continue;
    SUMI_TRY(choose(r, &r->packed->unit[i], &c));
    *cycles += c.cycles * steps;
  }
  return SUMI_OK;
}

/* Whether the cores share the box: what they make lies in SRAM, apart from what they read, and the exchange is worth it. */
static sumi_status find_shared(struct writer *r) {
  const struct product *p = r->p;
  struct antoum_words *w = p->job->w;
  const int y = p->v.y.operand;
  double alone, shared;
  r->shared = false;
  if (!w->split || p->y_place->dram || p->v.x.operand == y || p->v.w.operand == y ||
      p->v.residual.operand == y)
    return SUMI_OK;
  SUMI_TRY(weigh(r, false, &alone));
  SUMI_TRY(weigh(r, true, &shared));
  r->shared = antoum_share_worth(w, alone, shared);
  return SUMI_OK;
}

/* Bytes of SRAM from the first to the last result of the box. */
static sumi_status begin_sharing(const struct writer *r) {
  const struct product *p = r->p;
  const struct sumi_cell_product *v = &p->v;
  int64_t at = v->y.at, far = r->box->n[PRODUCT_OUT] + (v->images - 1) * v->y_image +
                              (v->rows - 1) * v->y_row + (v->cols - 1) * v->y_pixel;
  for (int d = 0; d < SUMI_CELL_OUTER; d++) far += (r->box->n[d] - 1) * v->y.step[d];
  const uint64_t lo = p->y_at + (uint64_t)at * p->y_elem;
  return antoum_share_begin(p->job->w, lo, lo + (uint64_t)far * p->y_elem);
}

sumi_status product_multiply(const struct product *p, const struct box *box, struct packed *packed,
                             bool more) {
  struct writer r = {.p = p, .box = box, .packed = packed, .more = more};
  struct choice c = {.outputs = 0};
  r.half = (uint32_t)(SUMI_CARD_VALUE(p->job->w->profile, acc_bytes) / 8 * 4);
  SUMI_TRY(find_shared(&r));
  if (p->job->w->split && packed->n_loads) SUMI_TRY(need_load(&r, 0)); /* before the cores meet about x */
  p->job->facts->shared |= r.shared;
  if (r.shared) SUMI_TRY(begin_sharing(&r));
  for (size_t i = 0; i < packed->n_units; i++) {
    if (!in_box(&r, &packed->unit[i])) continue;
    SUMI_TRY(choose(&r, &packed->unit[i], &c));
    SUMI_TRY(write_unit(&r, &c.tile));
  }
  return r.shared ? antoum_share_end(p->job->w) : SUMI_OK;
}

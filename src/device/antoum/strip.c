/* Products whose operands lie in DRAM: cut into boxes of which two fit into scratch, one half being computed while the other is
 * filled or emptied. What a box needs of an operand lies in scratch without gaps, in the order in which it lies in DRAM. */
#include "device/antoum/product_int.h"

enum { STEPS = PRODUCT_LOOPS + 3 };

/* An operand's part that a box touches: from element `at` of DRAM on, n[i] steps of dram[i] there and sram[i] in scratch, elements;
 * loop[i]: which loop of the product it is (of x: rows and columns of the input), or the operand's own. */
struct piece {
  const struct antoum_place *place;
  uint32_t elem;
  int64_t at;
  int n_steps;
  int64_t n[STEPS], dram[STEPS], sram[STEPS];
  int loop[STEPS];
};

enum { OWN = PRODUCT_LOOPS, OWN_TAP_ROW, OWN_TAP_COL };

static void add_step(struct piece *s, int loop, int64_t at, int64_t n, int64_t step) {
  s->at += at * step;
  s->n[s->n_steps] = step ? n : 1;
  s->dram[s->n_steps] = step;
  s->loop[s->n_steps++] = loop;
}

static void add_outer(struct piece *s, const struct sumi_cell_view *v, const struct box *b) {
  s->at = v->at;
  for (int d = 0; d < SUMI_CELL_OUTER; d++) add_step(s, d, b->at[d], b->n[d], v->step[d]);
}

/* Pixels of the input that n results want where no border cuts them. */
static int64_t reach(int64_t n, int stride, int dilation, int kernel, int64_t limit) {
  return SUMI_MIN((n - 1) * stride + (int64_t)(kernel - 1) * dilation + 1, limit);
}

/* anywhere: of the largest piece that a box of this size wants, wherever it lies. */
static struct piece piece_of_x(const struct product *p, const struct box *b, bool anywhere) {
  const struct sumi_cell_product *v = &p->v;
  struct piece s = {.place = p->x_place, .elem = p->elem};
  struct window y = product_window(b->at[PRODUCT_ROW], b->n[PRODUCT_ROW], v->stride_h, v->dilation_h,
                                   v->kernel_h, v->pad_top, v->in_rows);
  struct window x = product_window(b->at[PRODUCT_COL], b->n[PRODUCT_COL], v->stride_w, v->dilation_w,
                                   v->kernel_w, v->pad_left, v->in_cols);
  if (anywhere) {
    y.n = reach(b->n[PRODUCT_ROW], v->stride_h, v->dilation_h, v->kernel_h, v->in_rows);
    x.n = reach(b->n[PRODUCT_COL], v->stride_w, v->dilation_w, v->kernel_w, v->in_cols);
  }
  add_outer(&s, &v->x, b);
  add_step(&s, PRODUCT_IMAGE, b->at[PRODUCT_IMAGE], b->n[PRODUCT_IMAGE], v->x_image);
  add_step(&s, PRODUCT_ROW, y.first, y.n, v->x_row);
  add_step(&s, PRODUCT_COL, x.first, x.n, v->x_pixel);
  add_step(&s, OWN, 0, v->channels, 1);
  return s;
}

static struct piece piece_of_w(const struct product *p, const struct box *b) {
  const struct sumi_cell_product *v = &p->v;
  struct piece s = {.place = p->w_place, .elem = p->elem};
  add_outer(&s, &v->w, b);
  add_step(&s, PRODUCT_OUT, b->at[PRODUCT_OUT], b->n[PRODUCT_OUT], v->w_output);
  add_step(&s, OWN_TAP_ROW, 0, v->kernel_h, v->w_row);
  add_step(&s, OWN_TAP_COL, 0, v->kernel_w, v->w_col);
  add_step(&s, OWN, 0, v->channels, 1);
  return s;
}

static struct piece piece_of_y(const struct product *p, const struct box *b, bool residual) {
  const struct sumi_cell_product *v = &p->v;
  struct piece s = {.place = residual ? p->r_place : p->y_place, .elem = residual ? p->r_elem : p->y_elem};
  add_outer(&s, residual ? &v->residual : &v->y, b);
  add_step(&s, PRODUCT_IMAGE, b->at[PRODUCT_IMAGE], b->n[PRODUCT_IMAGE], v->y_image);
  add_step(&s, PRODUCT_ROW, b->at[PRODUCT_ROW], b->n[PRODUCT_ROW], v->y_row);
  add_step(&s, PRODUCT_COL, b->at[PRODUCT_COL], b->n[PRODUCT_COL], v->y_pixel);
  add_step(&s, PRODUCT_OUT, b->at[PRODUCT_OUT], b->n[PRODUCT_OUT], 1);
  return s;
}

/* Steps in scratch: none between neighbours, nearest in DRAM first. */
static void pack_steps(struct piece *s) {
  bool done[STEPS] = {false};
  int64_t step = 1;
  for (int k = 0; k < s->n_steps; k++) {
    int next = -1;
    for (int i = s->n_steps - 1; i >= 0; i--)
      if (!done[i] && (next < 0 || s->dram[i] < s->dram[next])) next = i;
    done[next] = true;
    s->sram[next] = s->dram[next] ? step : 0;
    step *= s->n[next];
  }
}

static int64_t span(const struct piece *s) {
  int64_t n = 1;
  for (int i = 0; i < s->n_steps; i++) n += (s->n[i] - 1) * s->sram[i];
  return n;
}

/* The pieces of a box with their places in scratch. y and residual share their strides (ACT has one set), so where one of them
 * stays in SRAM the other one takes its strides. */
struct pieces {
  struct piece x, w, y, r;
  bool has_x, has_w, has_y, has_r;
  int64_t x_at, w_at, y_at, r_at, bytes; /* in a half */
};

static bool in_dram(const struct antoum_place *place) { return place && place->dram; }

static int64_t take(struct piece *s, int64_t *bytes) {
  const int64_t at = *bytes;
  *bytes += (span(s) * s->elem + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
  return at;
}

static void plan_results(const struct product *p, const struct box *b, struct pieces *s) {
  if (!s->has_y && !s->has_r) return;
  s->y = piece_of_y(p, b, false);
  pack_steps(&s->y);
  if (p->r_place && s->has_y != s->has_r)
    for (int i = 0; i < s->y.n_steps; i++) s->y.sram[i] = s->y.dram[i];
  if (s->has_y) s->y_at = take(&s->y, &s->bytes);
  if (!s->has_r) return;
  s->r = piece_of_y(p, b, true);
  for (int i = 0; i < s->r.n_steps; i++) s->r.sram[i] = s->r.dram[i] ? s->y.sram[i] : 0;
  s->r_at = take(&s->r, &s->bytes);
}

static struct pieces plan(const struct product *p, const struct box *b, bool anywhere) {
  struct pieces s = {.has_x = in_dram(p->x_place),
                     .has_w = in_dram(p->w_place),
                     .has_y = in_dram(p->y_place),
                     .has_r = in_dram(p->r_place)};
  if (s.has_x) {
    s.x = piece_of_x(p, b, anywhere);
    pack_steps(&s.x);
    s.x_at = take(&s.x, &s.bytes);
  }
  if (s.has_w) { /* rows as the SPU wants them, whatever the order in DRAM */
    s.w = piece_of_w(p, b);
    int64_t step = 1;
    for (int i = s.w.n_steps - 1; i >= 0; i--) {
      s.w.sram[i] = s.w.dram[i] || s.w.loop[i] >= OWN ? step : 0;
      step *= s.w.n[i];
    }
    s.w_at = take(&s.w, &s.bytes);
  }
  plan_results(p, b, &s);
  return s;
}

/* ---- the size of a box ------------------------------------------------------------------------------------------------------------ */

static struct box whole(const struct product *p) {
  const struct sumi_cell_product *v = &p->v;
  return (struct box){.n = {v->outer[0], v->outer[1], v->outer[2], v->images, v->rows, v->cols, v->outputs}};
}

sumi_status product_box(const struct product *p, struct box *size) {
  const struct antoum_words *w = p->job->w;
  const int64_t half = (w->scratch.hi - w->scratch.lo) / 2 / SUMI_ALIGN * SUMI_ALIGN;
  const struct box all = whole(p);
  *size = all;
  for (;;) {
    const int64_t bytes = plan(p, size, true).bytes;
    if (bytes <= half) break;
    int best = -1;
    int64_t least = bytes;
    for (int i = 0; i < PRODUCT_LOOPS;
         i++) { /* halves the loop that helps most, of equal ones the outer one */
      struct box smaller = *size;
      if (size->n[i] == 1) continue;
      smaller.n[i] = product_div_up(size->n[i], 2);
      const int64_t then = plan(p, &smaller, true).bytes;
      if (then < least) least = then, best = i;
    }
    if (best < 0)
      return antoum_refuse(p->job, "a product whose smallest part takes %lld bytes does not fit into scratch",
                           (long long)bytes);
    size->n[best] = product_div_up(size->n[best], 2);
  }
  for (int i = 0; i < PRODUCT_LOOPS; i++) /* even pieces */
    size->n[i] = product_div_up(all.n[i], product_div_up(all.n[i], size->n[i]));
  return SUMI_OK;
}

/* ---- words ------------------------------------------------------------------------------------------------------------------------ */

/* Loops of a copy, nearest first, neighbours on both sides joined. */
static void tidy(const struct piece *s, struct piece *t) {
  bool done[STEPS] = {false};
  *t = (struct piece){.place = s->place, .elem = s->elem, .at = s->at};
  for (int k = 0; k < s->n_steps; k++) {
    int next = -1;
    for (int i = 0; i < s->n_steps; i++)
      if (!done[i] && (next < 0 || s->sram[i] < s->sram[next])) next = i;
    done[next] = true;
    if (s->n[next] == 1) continue;
    const int last = t->n_steps - 1;
    if (last >= 0 && s->dram[next] == t->dram[last] * t->n[last] &&
        s->sram[next] == t->sram[last] * t->n[last]) {
      t->n[last] *= s->n[next];
      continue;
    }
    t->n[t->n_steps] = s->n[next];
    t->dram[t->n_steps] = s->dram[next];
    t->sram[t->n_steps++] = s->sram[next];
  }
}

/* Up to two loops of rows of neighbours. */
static sumi_status move_rows(const struct product *p, unsigned opcode, const struct piece *t, int64_t dram,
                             int64_t sram) {
  const bool load = opcode == SUMI_CARD_OP_LOAD;
  const bool rows = t->n_steps && t->dram[0] == 1 && t->sram[0] == 1;
  const int first = rows ? 1 : 0;
  const uint64_t e = t->elem, from = t->place->at + (uint64_t)dram * e;
  union sumi_card_word word = {.move = {.h = {.opcode = (uint8_t)opcode, .base = (uint8_t)t->place->base},
                                        .dram = from,
                                        .sram = SUMI_CARD_AT(SUMI_CARD_HERE, sram),
                                        .row_bytes = (uint32_t)(rows ? t->n[0] * (int64_t)e : (int64_t)e),
                                        .n = {1, 1}}};
  uint64_t dram_bytes = word.move.row_bytes, sram_bytes = dram_bytes;
  for (int i = first; i < t->n_steps && i < first + 2; i++) {
    word.move.n[i - first] = (uint32_t)t->n[i];
    word.move.dram_step_bytes[i - first] = (uint64_t)t->dram[i] * e;
    word.move.sram_step_bytes[i - first] = (uint32_t)((uint64_t)t->sram[i] * e);
    dram_bytes += (uint64_t)((t->n[i] - 1) * t->dram[i]) * e;
    sram_bytes += (uint64_t)((t->n[i] - 1) * t->sram[i]) * e;
  }
  const uint64_t at = antoum_dram(t->place->base, from);
  const struct antoum_touch touch[2] = {{ANTOUM_SRAM, load, (uint64_t)sram, (uint64_t)sram + sram_bytes},
                                        {ANTOUM_DRAM, !load, at, at + dram_bytes}};
  return antoum_emit(p->job->w, &word, touch, t->place->base == ANTOUM_BASE_CODE ? 1 : 2,
                     t->place->core_step);
}

/* A piece between DRAM and byte `to` of SRAM. */
static sumi_status move_piece(const struct product *p, unsigned opcode, const struct piece *s, int64_t to) {
  struct piece t;
  int64_t i[STEPS] = {0};
  tidy(s, &t);
  const int rest = (t.n_steps && t.dram[0] == 1 && t.sram[0] == 1 ? 1 : 0) + 2; /* loops beyond a word's */
  for (;;) {
    int64_t dram = t.at, sram = 0;
    for (int d = rest; d < t.n_steps; d++) {
      dram += i[d] * t.dram[d];
      sram += i[d] * t.sram[d];
    }
    SUMI_TRY(move_rows(p, opcode, &t, dram, to + sram * t.elem));
    int d = rest;
    for (; d < t.n_steps; d++) {
      if (++i[d] < t.n[d]) break;
      i[d] = 0;
    }
    if (d >= t.n_steps) return SUMI_OK;
  }
}

static int64_t step_of(const struct piece *s, int loop) {
  for (int i = 0; i < s->n_steps; i++)
    if (s->loop[i] == loop) return s->sram[i];
  return 0;
}

static struct sumi_cell_view view_of(const struct piece *s, int operand) {
  struct sumi_cell_view v = {.operand = operand};
  for (int d = 0; d < SUMI_CELL_OUTER; d++) v.step[d] = step_of(s, d);
  return v;
}

/* The start of an operand in SRAM, moved to a box. */
static void shift(struct sumi_cell_view *v, const struct box *b, int64_t at) {
  v->at += at;
  for (int d = 0; d < SUMI_CELL_OUTER; d++) v->at += b->at[d] * v->step[d];
}

static void narrow_x(const struct product *p, const struct box *b, const struct pieces *s, int64_t base,
                     struct product *to) {
  struct sumi_cell_product *v = &to->v;
  const struct window y = product_window(b->at[PRODUCT_ROW], b->n[PRODUCT_ROW], v->stride_h, v->dilation_h,
                                         v->kernel_h, v->pad_top, v->in_rows);
  const struct window x = product_window(b->at[PRODUCT_COL], b->n[PRODUCT_COL], v->stride_w, v->dilation_w,
                                         v->kernel_w, v->pad_left, v->in_cols);
  shift(&v->x, b, b->at[PRODUCT_IMAGE] * v->x_image + y.first * v->x_row + x.first * v->x_pixel);
  v->in_rows = y.n;
  v->in_cols = x.n;
  v->pad_top = (int)y.pad;
  v->pad_left = (int)x.pad;
  if (!s->has_x) return;
  to->x_at = (uint64_t)(base + s->x_at);
  v->x = view_of(&s->x, p->v.x.operand);
  v->x_image = step_of(&s->x, PRODUCT_IMAGE);
  v->x_row = step_of(&s->x, PRODUCT_ROW);
  v->x_pixel = step_of(&s->x, PRODUCT_COL);
}

static void narrow_w(const struct box *b, const struct pieces *s, int64_t base, struct product *to) {
  struct sumi_cell_product *v = &to->v;
  if (to->weights) return;
  shift(&v->w, b, b->at[PRODUCT_OUT] * v->w_output);
  if (!s->has_w) return;
  to->w_at = (uint64_t)(base + s->w_at);
  v->w = view_of(&s->w, v->w.operand);
  v->w_output = step_of(&s->w, PRODUCT_OUT);
  v->w_row = step_of(&s->w, OWN_TAP_ROW);
  v->w_col = step_of(&s->w, OWN_TAP_COL);
}

static void narrow_y(const struct box *b, const struct pieces *s, int64_t base, struct product *to) {
  struct sumi_cell_product *v = &to->v;
  const int64_t at = b->at[PRODUCT_IMAGE] * v->y_image + b->at[PRODUCT_ROW] * v->y_row +
                     b->at[PRODUCT_COL] * v->y_pixel + b->at[PRODUCT_OUT];
  shift(&v->y, b, at);
  shift(&v->residual, b, at);
  if (s->has_r) {
    to->r_at = (uint64_t)(base + s->r_at);
    v->residual = view_of(&s->r, v->residual.operand);
  }
  if (s->has_y) {
    to->y_at = (uint64_t)(base + s->y_at);
    v->y = view_of(&s->y, v->y.operand);
  }
  if (!s->has_y && !s->has_r) return;
  v->y_image = step_of(&s->y, PRODUCT_IMAGE);
  v->y_row = step_of(&s->y, PRODUCT_ROW);
  v->y_pixel = step_of(&s->y, PRODUCT_COL);
}

static sumi_status run_box(const struct product *p, const struct box *b, struct packed *packed, bool more) {
  struct antoum_words *w = p->job->w;
  const struct pieces s = plan(p, b, false);
  const uint32_t half = (w->scratch.hi - w->scratch.lo) / 2 / SUMI_ALIGN * SUMI_ALIGN;
  if (s.bytes) {
    w->scratch_turn ^= 1;
    p->job->facts->streamed = true;
  }
  const int64_t base = (int64_t)w->scratch.lo + (w->scratch_turn ? half : 0);
  if (s.has_x) SUMI_TRY(move_piece(p, SUMI_CARD_OP_LOAD, &s.x, base + s.x_at));
  if (s.has_w) SUMI_TRY(move_piece(p, SUMI_CARD_OP_LOAD, &s.w, base + s.w_at));
  if (s.has_r) SUMI_TRY(move_piece(p, SUMI_CARD_OP_LOAD, &s.r, base + s.r_at));
  struct product part = *p;
  narrow_x(p, b, &s, base, &part);
  narrow_w(b, &s, base, &part);
  narrow_y(b, &s, base, &part);
  for (int d = 0; d < SUMI_CELL_OUTER; d++) part.v.outer[d] = b->n[d];
  part.v.images = b->n[PRODUCT_IMAGE];
  part.v.rows = b->n[PRODUCT_ROW];
  part.v.cols = b->n[PRODUCT_COL];
  SUMI_TRY(product_multiply(&part, b, packed, more));
  return s.has_y ? move_piece(p, SUMI_CARD_OP_STORE, &s.y, base + s.y_at) : SUMI_OK;
}

sumi_status product_strips(const struct product *p, const struct box *size, struct packed *packed) {
  const struct box all = whole(p);
  struct box b = {{0}, {0}};
  for (;;) {
    bool more = false;
    for (int i = 0; i < PRODUCT_LOOPS; i++) {
      b.n[i] = SUMI_MIN(size->n[i], all.n[i] - b.at[i]);
      more |= b.at[i] + b.n[i] < all.n[i];
    }
    SUMI_TRY(run_box(p, &b, packed, more));
    int i = PRODUCT_LOOPS - 1;
    for (; i >= 0; i--) {
      b.at[i] += size->n[i];
      if (b.at[i] < all.n[i]) break;
      b.at[i] = 0;
    }
    if (i < 0) return SUMI_OK;
  }
}

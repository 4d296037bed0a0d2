/* COPY cells: RESHAPE words of 4 loops inside SRAM; LOAD and STORE words where one side lies in DRAM and neighbours are many. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "device/antoum/stream.h"

enum { WORD_LOOPS = 4, WIDEST = 8, TO = 0, FROM = 1 };

struct copy {
  bool filled; /* there is no view FROM */
  uint32_t fill;
};

/* The loop along which elements are neighbours in all views; -1: none. */
static int run_loop(const struct antoum_nest *t) {
  for (int d = 0; d < t->rank; d++) {
    bool run = t->n[d] > 1;
    for (int i = 0; i < t->n_views; i++) run = run && t->view[i].step[d] == t->view[i].elem_bytes;
    if (run) return d;
  }
  return -1;
}

/* Whether elements of `wide` bytes can be moved instead: runs, places and steps are multiples of it. */
static bool can_widen(const struct antoum_nest *t, int run, int64_t wide) {
  if (t->n[run] * t->view[TO].elem_bytes % wide) return false;
  for (int i = 0; i < t->n_views; i++) {
    if (t->view[i].at % wide) return false;
    for (int d = 0; d < t->rank; d++)
      if (d != run && t->n[d] > 1 && t->view[i].step[d] % wide) return false;
  }
  return true;
}

/* Moves neighbours together in wider elements. */
static void widen(struct antoum_nest *t, struct copy *c) {
  const int run = run_loop(t);
  const int64_t e = t->view[TO].elem_bytes;
  if (run < 0) return;
  int64_t wide = c->filled && c->fill ? 4 : WIDEST;
  while (wide > e && !can_widen(t, run, wide)) wide /= 2;
  if (wide <= e) return;
  for (int64_t b = e; b < 4 && c->filled; b *= 2)
    c->fill = b == 1 ? (c->fill & 0xff) * 0x101u : (c->fill & 0xffff) * 0x10001u;
  t->n[run] = t->n[run] * e / wide;
  for (int i = 0; i < t->n_views; i++) {
    t->view[i].step[run] = t->view[i].elem_bytes = (uint32_t)wide;
    t->view[i].hi = wide;
  }
}

/* The loops of a word, loop[WORD_LOOPS - 1] the innermost: the one with the run, then the longest. -1: none. */
static void choose_loops(const struct antoum_nest *t, int loop[WORD_LOOPS]) {
  bool taken[SUMI_CELL_LOOPS] = {false};
  for (int slot = WORD_LOOPS - 1; slot >= 0; slot--) {
    loop[slot] = slot == WORD_LOOPS - 1 ? run_loop(t) : -1;
    for (int d = t->rank - 1; d >= 0 && !(slot == WORD_LOOPS - 1 && run_loop(t) >= 0); d--)
      if (!taken[d] && t->n[d] > 1 && (loop[slot] < 0 || t->n[d] > t->n[loop[slot]])) loop[slot] = d;
    if (loop[slot] >= 0) taken[loop[slot]] = true;
  }
}

static sumi_status emit_word(const struct antoum_cell_job *job, const struct copy *c,
                             const struct antoum_nest *t, const int loop[WORD_LOOPS],
                             const struct antoum_boxes *box) {
  union sumi_card_word word = {.reshape = {.h = {.opcode = SUMI_CARD_OP_RESHAPE}}};
  struct sumi_card_reshape *w = &word.reshape;
  struct antoum_touch touch[2];
  w->elem_bytes = t->view[TO].elem_bytes;
  for (int k = 0; k < WORD_LOOPS; k++) w->n[k] = loop[k] < 0 ? 1 : (uint32_t)box->n[loop[k]];
  for (int i = 0; i < t->n_views; i++) {
    const struct antoum_view *v = &t->view[i];
    const int64_t at = antoum_view_place(t, v, box->first);
    *(i == TO ? &w->to : &w->from) = SUMI_CARD_AT(SUMI_CARD_HERE, at);
    for (int k = 0; k < WORD_LOOPS; k++)
      if (w->n[k] > 1) (i == TO ? w->to_step : w->from_step)[k] = (int32_t)v->step[loop[k]];
    touch[i] = antoum_view_touch(t, v, at, box->n);
  }
  if (c->filled) {
    w->h.flags = SUMI_CARD_RESHAPE_FILL;
    w->fill = c->fill;
  }
  return antoum_emit(job->w, &word, touch, t->n_views, 0);
}

static sumi_status emit_part(const struct antoum_cell_job *job, const struct antoum_nest *part,
                             const int64_t *first, void *user) {
  (void)first;
  struct antoum_nest t = *part;
  struct copy c = *(const struct copy *)user;
  int loop[WORD_LOOPS];
  int64_t block[SUMI_CELL_LOOPS];
  widen(&t, &c);
  choose_loops(&t, loop);
  for (int d = 0; d < t.rank; d++) block[d] = 1;
  for (int k = 0; k < WORD_LOOPS; k++)
    if (loop[k] >= 0) block[loop[k]] = t.n[loop[k]];
  const int64_t words = antoum_boxes_count(t.rank, t.n, block);
  if (words > ANTOUM_MOST_STEPS)
    return antoum_refuse(job, "%lld copy words, the most is %d", (long long)words, ANTOUM_MOST_STEPS);
  struct antoum_boxes box;
  antoum_boxes_begin(&box, t.rank, t.n, block);
  do SUMI_TRY(emit_word(job, &c, &t, loop, &box));
  while (antoum_boxes_next(&box));
  return SUMI_OK;
}

/* ---- between DRAM and SRAM ---------------------------------------------------------------------------------------- */

/* LOAD or STORE words for a nest of views DRAM and SRAM (places in SRAM), the run loop's elements one row of each. */
static sumi_status move_rows(const struct antoum_cell_job *job, enum sumi_card_opcode opcode,
                             const struct antoum_place *place, const struct antoum_nest *t, int dram,
                             int run) {
  enum { ROWS = 2 };
  int loop[ROWS] = {-1, -1};
  int64_t block[SUMI_CELL_LOOPS];
  for (int k = 0; k < ROWS; k++)
    for (int d = t->rank - 1; d >= 0; d--)
      if (d != run && d != loop[0] && t->n[d] > 1 && (loop[k] < 0 || t->n[d] > t->n[loop[k]])) loop[k] = d;
  for (int d = 0; d < t->rank; d++) block[d] = d == run || d == loop[0] || d == loop[1] ? t->n[d] : 1;
  const struct antoum_view *far = &t->view[dram], *near = &t->view[!dram];
  const bool load = opcode == SUMI_CARD_OP_LOAD;
  if (load && place->base == ANTOUM_BASE_CODE && loop[0] < 0) /* all of it neighbours */
    return antoum_load_shared(job->w, place->at + (uint64_t)far->at, (uint32_t)near->at,
                              near->elem_bytes * (uint32_t)(run < 0 ? 1 : t->n[run]));
  struct antoum_boxes box;
  antoum_boxes_begin(&box, t->rank, t->n, block);
  do {
    const int64_t at = antoum_view_place(t, near, box.first), from = antoum_view_place(t, far, box.first);
    union sumi_card_word word = {.move = {.h = {.opcode = (uint8_t)opcode, .base = (uint8_t)place->base},
                                          .dram = place->at + (uint64_t)from,
                                          .sram = SUMI_CARD_AT(SUMI_CARD_HERE, at),
                                          .row_bytes = near->elem_bytes * (uint32_t)(run < 0 ? 1 : t->n[run]),
                                          .n = {1, 1}}};
    for (int k = 0; k < ROWS && loop[k] >= 0; k++) {
      word.move.n[k] = (uint32_t)t->n[loop[k]];
      word.move.dram_step_bytes[k] = (uint64_t)far->step[loop[k]];
      word.move.sram_step_bytes[k] = (uint32_t)near->step[loop[k]];
    }
    struct antoum_touch touch[2] = {antoum_view_touch(t, near, at, box.n),
                                    antoum_view_touch(t, far, from, box.n)};
    touch[0].write = load;
    touch[1] = (struct antoum_touch){ANTOUM_DRAM, !load, antoum_dram(place->base, place->at + touch[1].lo),
                                     antoum_dram(place->base, place->at + touch[1].hi)};
    SUMI_TRY(antoum_emit(job->w, &word, touch, place->base == ANTOUM_BASE_CODE ? 1 : 2, place->core_step));
  } while (antoum_boxes_next(&box));
  return SUMI_OK;
}

/* Whether rows are long enough that moving them one by one wastes little of what DRAM can do, and none is read again and again. */
static bool long_rows(const struct antoum_cell_job *job, const struct antoum_nest *t, int run) {
  const int64_t row = t->view[TO].elem_bytes * (run < 0 ? 1 : t->n[run]);
  int64_t rows = 1;
  for (int d = 0; d < t->rank; d++) {
    for (int i = 0; i < t->n_views; i++)
      if (t->n[d] > 1 && t->view[i].step[d] <= 0) return false;
    if (d != run) rows *= t->n[d];
  }
  return rows == 1 || (row >= SUMI_CARD_VALUE(job->w->profile, dram_burst) && rows <= ANTOUM_MOST_STEPS);
}

/* DRAM to DRAM: rows lie packed in scratch in between, parts of a half of it. */
static sumi_status through_scratch(const struct antoum_cell_job *job, const struct antoum_nest *t, int run) {
  struct antoum_words *w = job->w;
  const uint32_t half = (w->scratch.hi - w->scratch.lo) / 2 / SUMI_ALIGN * SUMI_ALIGN;
  int64_t block[SUMI_CELL_LOOPS], left = half / t->view[TO].elem_bytes;
  if (!left) return antoum_refuse(job, "no SRAM is free");
  job->facts->streamed = true;
  if (run >= 0) left /= block[run] = SUMI_MIN(t->n[run], left);
  for (int d = t->rank - 1; d >= 0; d--)
    if (d != run) left /= block[d] = SUMI_MIN(t->n[d], left);
  if (antoum_boxes_count(t->rank, t->n, block) > ANTOUM_MOST_STEPS)
    return antoum_refuse(job, "too many parts");
  struct antoum_boxes box;
  antoum_boxes_begin(&box, t->rank, t->n, block);
  do {
    struct antoum_nest part = *t;
    w->scratch_turn ^= 1;
    memcpy(part.n, box.n, sizeof part.n);
    for (int i = 0; i < part.n_views; i++) part.view[i].at = antoum_view_place(t, &t->view[i], box.first);
    struct antoum_nest in = part, out = part;
    struct antoum_view *packed = &in.view[TO];
    int64_t step = packed->elem_bytes;
    packed->at = w->scratch.lo + w->scratch_turn * half;
    if (run >= 0) packed->step[run] = step, step *= box.n[run];
    for (int d = t->rank - 1; d >= 0; d--)
      if (d != run) packed->step[d] = step, step *= box.n[d];
    out.view[FROM] = *packed;
    SUMI_TRY(move_rows(job, SUMI_CARD_OP_LOAD, &job->place[t->view[FROM].operand], &in, FROM, run));
    SUMI_TRY(move_rows(job, SUMI_CARD_OP_STORE, &job->place[t->view[TO].operand], &out, TO, run));
  } while (antoum_boxes_next(&box));
  return SUMI_OK;
}

sumi_status antoum_copy_cell(const struct antoum_cell_job *job, const struct sumi_cell_copy *cell) {
  struct copy c = {.filled = cell->from.operand < 0, .fill = cell->fill};
  struct antoum_nest nest = {.rank = cell->rank};
  SUMI_ASSERT(job->w->err, cell->rank >= 1 && cell->rank <= SUMI_CELL_LOOPS && cell->to.operand >= 0);
  for (int d = 0; d < cell->rank; d++) {
    if (cell->n[d] < 1) return SUMI_OK;
    nest.n[d] = cell->n[d];
  }
  SUMI_TRY(antoum_nest_view(job, &nest, &cell->to, 0, 1));
  nest.view[TO].write = nest.view[TO].solid = true;
  if (!c.filled) {
    SUMI_TRY(antoum_nest_view(job, &nest, &cell->from, 0, 1));
    nest.view[FROM].read = true;
    SUMI_ASSERT(job->w->err, nest.view[FROM].elem_bytes == nest.view[TO].elem_bytes);
  }
  SUMI_ASSERT(job->w->err, nest.view[TO].elem_bytes <= WIDEST);
  SUMI_TRY(antoum_nest_tidy(job, &nest));
  const int run = run_loop(&nest);
  if (c.filled || !long_rows(job, &nest, run)) return antoum_stream(job, &nest, emit_part, &c);
  const struct antoum_place *to = &job->place[cell->to.operand], *from = &job->place[cell->from.operand];
  if (to->dram && from->dram) return through_scratch(job, &nest, run);
  if (!to->dram && !from->dram) return antoum_stream(job, &nest, emit_part, &c);
  nest.view[to->dram ? FROM : TO].at += (int64_t)(to->dram ? from : to)->at;
  return move_rows(job, to->dram ? SUMI_CARD_OP_STORE : SUMI_CARD_OP_LOAD, to->dram ? to : from, &nest,
                   to->dram ? TO : FROM, run);
}

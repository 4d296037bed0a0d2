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

/* The whole nest as LOAD or STORE words, the run loop's elements one row of each. */
static sumi_status move_rows(const struct antoum_cell_job *job, const struct antoum_nest *t, int run) {
  const bool store = job->place[t->view[TO].operand].dram;
  const struct antoum_view *dram = &t->view[store ? TO : FROM], *sram = &t->view[store ? FROM : TO];
  struct antoum_rows rows = {.row_bytes = dram->elem_bytes * (run < 0 ? 1 : t->n[run]),
                             .dram = dram->at,
                             .sram = (int64_t)job->place[sram->operand].at + sram->at};
  for (int d = t->rank - 1; d >= 0; d--) {
    if (d == run) continue;
    rows.n[rows.rank] = t->n[d];
    rows.dram_step[rows.rank] = dram->step[d];
    rows.sram_step[rows.rank++] = sram->step[d];
  }
  return antoum_rows(job, store ? SUMI_CARD_OP_STORE : SUMI_CARD_OP_LOAD, &job->place[dram->operand], &rows);
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
  const bool one_side = !c.filled && job->place[cell->to.operand].dram != job->place[cell->from.operand].dram;
  if (one_side && long_rows(job, &nest, run)) return move_rows(job, &nest, run);
  return antoum_stream(job, &nest, emit_part, &c);
}

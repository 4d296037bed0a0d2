/* Split: what one core makes for all. Around the pieces of a cell the cores meet twice: before, so that nobody still needs what lies
 * there, and before the first word that touches what was made. In between nothing orders the cores, and nothing has to: a piece is
 * written by its core only, in its own memory and in the others'. */
#include "base/size.h"
#include "device/antoum/words.h"

sumi_status antoum_share_begin(struct antoum_words *w, uint64_t lo, uint64_t hi) {
  const struct antoum_touch touch = {ANTOUM_SRAM, true, lo, hi};
  SUMI_ASSERT(w->err, w->split && w->only < 0);
  SUMI_TRY(antoum_share_settle(w, &touch, 1));
  w->sharing_lo = lo;
  w->sharing_hi = hi;
  return antoum_sync(w, &touch, 1);
}

void antoum_share_turn(struct antoum_words *w) { w->only = w->last_core = (w->last_core + 1) % w->cores; }

void antoum_share_all(struct antoum_words *w) { w->only = -1; }

static bool touches(const struct antoum_touch *touch, int n_touch, const struct antoum_touch *open) {
  for (int i = 0; i < n_touch; i++)
    if (touch[i].space == ANTOUM_SRAM && touch[i].lo < open->hi && open->lo < touch[i].hi) return true;
  return false;
}

sumi_status antoum_share_settle(struct antoum_words *w, const struct antoum_touch *touch, int n_touch) {
  struct antoum_touch met[ANTOUM_MOST_OPEN];
  int n_met = 0, n = 0;
  for (int k = 0; k < w->n_open; k++) {
    if (touches(touch, n_touch, &w->open[k]))
      met[n_met++] = w->open[k];
    else
      w->open[n++] = w->open[k];
  }
  w->n_open = n;
  return n_met ? antoum_sync(w, met, n_met) : SUMI_OK;
}

sumi_status antoum_share_open(struct antoum_words *w, const struct antoum_touch *touch) {
  if (w->n_open == ANTOUM_MOST_OPEN) SUMI_TRY(antoum_share_settle(w, &w->open[0], 1));
  w->open[w->n_open++] = *touch;
  return SUMI_OK;
}

sumi_status antoum_share_end(struct antoum_words *w) {
  antoum_share_all(w);
  return antoum_share_open(w, &(struct antoum_touch){ANTOUM_SRAM, true, w->sharing_lo, w->sharing_hi});
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

/* Loops of a copy by falling steps, so that rows which are neighbours are one. */
static void sort(struct antoum_share *s) {
  for (int k = 1; k < 3; k++)
    for (int d = k; d && (s->n[d] > 1 ? s->step[d] : 0) > (s->n[d - 1] > 1 ? s->step[d - 1] : 0); d--) {
      const int64_t n = s->n[d], step = s->step[d];
      s->n[d] = s->n[d - 1];
      s->step[d] = s->step[d - 1];
      s->n[d - 1] = n;
      s->step[d - 1] = step;
    }
}

/* Neighbours in a row, and the rows. */
static int64_t run_of(const struct antoum_share *s, double *rows) {
  int64_t run = s->row_bytes;
  *rows = 1;
  for (int d = 2; d >= 0; d--) {
    if (s->n[d] == 1) continue;
    if (*rows == 1 && s->step[d] == run)
      run *= s->n[d];
    else
      *rows *= (double)s->n[d];
  }
  return run;
}

static int64_t hops(const struct antoum_words *w, int to) {
  const int all = (int)SUMI_CARD_VALUE(w->profile, cores);
  return SUMI_MIN(to, all - to);
}

double antoum_share_cycles(const struct antoum_words *w, const struct antoum_share *share) {
  struct antoum_share s = *share;
  double rows, way = 0;
  sort(&s);
  const int64_t run = run_of(&s, &rows), wide = SUMI_CARD_VALUE(w->profile, reshape_bytes);
  for (int c = 1; c < w->cores; c++) way += (double)hops(w, c);
  const double links =
      2.0 * (double)SUMI_CARD_VALUE(w->profile, cores) * (double)SUMI_CARD_VALUE(w->profile, ring_bytes);
  const double copy = (w->cores - 1) * rows * (double)((run + wide - 1) / wide);
  const double start = (w->cores - 1) * (double)SUMI_CARD_VALUE(w->profile, reshape_latency) +
                       way * (double)SUMI_CARD_VALUE(w->profile, ring_latency);
  return start + SUMI_MAX(copy, rows * (double)run * way * w->cores / links);
}

bool antoum_share_worth(struct antoum_words *w, double alone, double shared) {
  shared += 2.0 * (double)SUMI_CARD_VALUE(w->profile, ring_latency) * w->cores;
  w->alone += alone;
  w->taken += SUMI_MIN(alone, shared);
  return shared < alone;
}

sumi_status antoum_share_copy(struct antoum_words *w, const struct antoum_share *share) {
  struct antoum_share s = *share;
  SUMI_ASSERT(w->err, w->only >= 0);
  sort(&s);
  const union sumi_card_word word = {
      .reshape = {
          .h = {.opcode = SUMI_CARD_OP_RESHAPE},
          .from = SUMI_CARD_AT(SUMI_CARD_HERE, s.at),
          .n = {(uint32_t)s.n[0], (uint32_t)s.n[1], (uint32_t)s.n[2], (uint32_t)(s.row_bytes / s.elem)},
          .from_step = {(int32_t)s.step[0], (int32_t)s.step[1], (int32_t)s.step[2], (int32_t)s.elem},
          .to_step = {(int32_t)s.step[0], (int32_t)s.step[1], (int32_t)s.step[2], (int32_t)s.elem},
          .elem_bytes = s.elem}};
  int64_t far = s.row_bytes;
  for (int d = 0; d < 3; d++) far += (s.n[d] - 1) * s.step[d];
  const struct antoum_touch touch = {ANTOUM_SRAM, false, (uint64_t)s.at, (uint64_t)(s.at + far)};
  for (int c = 1; c < w->cores; c++) { /* the nearest first, each core from another one */
    union sumi_card_word to = word;
    to.reshape.to = SUMI_CARD_AT((w->only + c) % w->cores, s.at);
    SUMI_TRY(antoum_emit(w, &to, &touch, 1, 0));
  }
  return SUMI_OK;
}

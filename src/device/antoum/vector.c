/* VECTOR cells: programs of the vector engine over nests of up to 8 loops, in words of 3. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "device/antoum/stream.h"

enum { WORD_LOOPS = 3 };

/* What the operations do with a view, in elements. */
struct use {
  bool body, tail, read, write, gather;
  int64_t lo, hi;    /* distances of LD and ST */
  uint32_t gather_n; /* elements that GATHER may reach */
  uint64_t stored;   /* bit d: distance lo + d is written by the body, d < 64 */
  int n_stored;
};

struct vector {
  const struct sumi_cell_vector *cell;
  struct sumi_card_vop op[SUMI_CARD_VPU_OPS];
  int n_op;
  struct use use[SUMI_CARD_VPU_VIEWS];
  int view[SUMI_CARD_VPU_VIEWS];            /* of the nest; -1: not used */
  int64_t gather_step[SUMI_CARD_VPU_VIEWS]; /* elements between what GATHER counts; 0 without it */
  unsigned indexed;                         /* bit j: INDEX sees loop rank - 1 - j */
  int cost;                                 /* cycles of the body */
};

static bool touches_view(uint8_t op) {
  return op == SUMI_CARD_V_LD || op == SUMI_CARD_V_ST || op == SUMI_CARD_V_GATHER;
}

static int cost_of(const struct antoum_cell_job *job, uint8_t op) {
  const uint32_t cycles = sumi_card_vector_cycles(op);
  return cycles ? (int)cycles : (int)SUMI_CARD_VALUE(job->w->profile, vpu_special);
}

/* ---- what a program does ------------------------------------------------------------------------------------------ */

static void note_distance(struct use *u, int64_t c, bool first) {
  u->lo = first ? c : SUMI_MIN(u->lo, c);
  u->hi = first ? c : SUMI_MAX(u->hi, c);
}

static sumi_status read_program(const struct antoum_cell_job *job, struct vector *v) {
  const struct sumi_cell_vector *cell = v->cell;
  if (cell->body < 1 || cell->tail < 0 || cell->body > UINT8_MAX || cell->tail > UINT8_MAX ||
      cell->body + cell->tail > SUMI_CARD_VPU_OPS)
    return antoum_refuse(job, "%d + %d operations, the most is %d", cell->body, cell->tail,
                         SUMI_CARD_VPU_OPS);
  v->n_op = cell->body + cell->tail;
  memcpy(v->op, cell->op, (size_t)v->n_op * sizeof *v->op);
  for (int i = 0; i < v->n_op; i++) {
    const struct sumi_card_vop *o = &v->op[i];
    SUMI_ASSERT(job->w->err, o->op < SUMI_CARD_N_VECTOR_OPS);
    if (i < cell->body) v->cost += cost_of(job, o->op);
    if (o->op == SUMI_CARD_V_INDEX) {
      SUMI_ASSERT(job->w->err, o->a < WORD_LOOPS);
      v->indexed |= 4u >> o->a;
    }
    if (!touches_view(o->op)) continue;
    SUMI_ASSERT(job->w->err, o->a < SUMI_CARD_VPU_VIEWS && cell->view[o->a].operand >= 0);
    struct use *u = &v->use[o->a];
    u->read |= o->op != SUMI_CARD_V_ST;
    if (o->op == SUMI_CARD_V_GATHER) {
      u->gather = true;
      u->gather_n = SUMI_MAX(u->gather_n, o->c);
      continue;
    }
    note_distance(u, (int32_t)o->c, !u->body && !u->tail);
    *(i < cell->body ? &u->body : &u->tail) = true;
    u->write |= o->op == SUMI_CARD_V_ST;
  }
  return SUMI_OK;
}

/* Which distances are stored for every element, and whether the view begins within what is touched: the address of a word must
 * lie in memory, so a view whose distances are all on one side is moved. */
static void settle_distances(struct vector *v, int i, struct sumi_cell_view *view) {
  struct use *u = &v->use[i];
  const int64_t by = !u->gather && (u->lo > 0 || u->hi < 0) ? u->lo : 0;
  view->at += by;
  u->lo -= by;
  u->hi -= by;
  for (int k = 0; k < v->n_op; k++) {
    struct sumi_card_vop *o = &v->op[k];
    if (!touches_view(o->op) || o->a != i || o->op == SUMI_CARD_V_GATHER) continue;
    o->c -= (uint32_t)by;
    const int64_t d = (int32_t)o->c - u->lo;
    if (o->op == SUMI_CARD_V_ST && d < 64 && (k < v->cell->body || !u->body)) u->stored |= 1ull << d;
  }
  u->n_stored = __builtin_popcountll(u->stored);
}

/* Whether an operand is written, and read or written at other places of the same row or step as well. */
static bool order_matters(const struct vector *v) {
  const struct sumi_cell_vector *cell = v->cell;
  for (int i = 0; i < SUMI_CARD_VPU_VIEWS; i++)
    for (int j = 0; j < SUMI_CARD_VPU_VIEWS; j++) {
      const struct use *a = &v->use[i], *b = &v->use[j];
      if (!a->write || !(b->read || (b->write && i != j)) || cell->view[i].operand != cell->view[j].operand)
        continue;
      if (b->gather || a->lo != a->hi || b->lo != b->hi) return true;
      if (cell->view[i].at + a->lo != cell->view[j].at + b->lo) return true;
      for (int d = 0; d < cell->rank; d++)
        if (cell->n[d] > 1 && cell->view[i].step[d] != cell->view[j].step[d]) return true;
    }
  return false;
}

/* Loops from the inside that INDEX, GATHER or a tail see as they are. */
static int fixed_loops(const struct vector *v) {
  int fixed = v->cell->tail ? 1 : 0;
  for (int i = 0; i < SUMI_CARD_VPU_VIEWS; i++)
    if (v->use[i].gather) fixed = SUMI_MAX(fixed, 1);
  for (int j = 0; j < WORD_LOOPS; j++)
    if (v->indexed >> j & 1) fixed = SUMI_MAX(fixed, j + 1);
  return fixed;
}

/* ---- the nest ----------------------------------------------------------------------------------------------------- */

static sumi_status add_view(const struct antoum_cell_job *job, struct vector *v, struct antoum_nest *nest,
                            int i) {
  struct use *u = &v->use[i];
  struct sumi_cell_view view = v->cell->view[i];
  const int last = nest->rank - 1;
  v->view[i] = -1;
  if (!u->read && !u->write) return SUMI_OK;
  if (sumi_cells_type(job->operand[view.operand].dtype) == SUMI_CARD_N_DTYPES)
    return antoum_refuse(job, "the vector engine has no elements of type %s",
                         sumi_dtype_label(job->operand[view.operand].dtype));
  settle_distances(v, i, &view);
  int64_t lo = u->lo, hi = u->hi + 1;
  const int64_t step = view.step[last];
  if (u->gather) { /* what a row touches as a whole, i2 = 0 being its place */
    int64_t far, row = 0;
    if (!sumi_i64_mul((int64_t)u->gather_n - 1, step, &far) ||
        (u->body && !sumi_i64_mul(nest->n[last] - 1, step, &row)) ||
        !sumi_i64_add(lo, SUMI_MIN(row, 0), &lo) || !sumi_i64_add(hi, SUMI_MAX(row, 0), &hi))
      return antoum_refuse(job, "operand %d: a step beyond all memory", view.operand);
    lo = SUMI_MIN(lo, SUMI_MIN(far, 0));
    hi = SUMI_MAX(hi, SUMI_MAX(far, 0) + 1);
    if (u->body && nest->n[last] > 1) nest->whole |= 1;
  }
  if (u->gather || !u->body) view.step[last] = 0; /* tails begin at the row's first element */
  v->view[i] = nest->n_views;
  SUMI_TRY(antoum_nest_view(job, nest, &view, lo, hi));
  struct antoum_view *to = &nest->view[v->view[i]];
  to->read = u->read;
  to->write = u->write;
  to->solid = u->n_stored == hi - lo;
  v->gather_step[i] = u->gather ? step : 0;
  return SUMI_OK;
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

/* The cell's operations for a word that begins at `first` of the loops that INDEX sees: what INDEX gives grows by it. */
static sumi_status with_first(const struct antoum_cell_job *job, const struct vector *v,
                              const int64_t first[WORD_LOOPS], struct sumi_card_vop *op, int *body,
                              int *tail) {
  uint32_t used = 0;
  for (int i = 0; i < v->n_op; i++) {
    const struct sumi_card_vop *o = &v->op[i];
    const bool third = o->op == SUMI_CARD_V_FMA || o->op == SUMI_CARD_V_SELECT;
    used |= 1u << o->d | 1u << (o->a & 15) | 1u << (o->b & 15) | (third ? 1u << (o->c & 15) : 0);
  }
  const int spare = __builtin_ctz(~used);
  int n = 0;
  *body = *tail = 0;
  for (int i = 0; i < v->n_op; i++) {
    const struct sumi_card_vop *o = &v->op[i];
    const int64_t by = o->op == SUMI_CARD_V_INDEX ? first[o->a] : 0;
    if (by && (spare >= SUMI_CARD_VPU_REGS || n + 3 + v->n_op - i > UINT8_MAX))
      return antoum_refuse(job, "a cut loop is counted, and its program has no room for that");
    op[n++] = *o;
    if (by) {
      op[n++] = (struct sumi_card_vop){.op = SUMI_CARD_V_IMM, .d = (uint8_t)spare, .c = (uint32_t)by};
      op[n++] = (struct sumi_card_vop){.op = SUMI_CARD_V_IADD, .d = o->d, .a = o->d, .b = (uint8_t)spare};
    }
    *(i < v->cell->body ? body : tail) += by ? 3 : 1;
  }
  return SUMI_OK;
}

/* Cycles of all rows with loop d innermost: the longer of arithmetic and what SRAM moves for elements that are no neighbours. */
static double cycles(const struct antoum_cell_job *job, const struct vector *v, const struct antoum_nest *t,
                     int d) {
  const struct sumi_card_profile *p = job->w->profile;
  const int64_t lanes = SUMI_CARD_VALUE(p, vpu_lanes), line = SUMI_CARD_VALUE(p, sram_line);
  const double row = (double)((t->n[d] - 1) / lanes + 1) * v->cost / (double)SUMI_MAX(lanes / t->n[d], 1);
  double bytes = 0;
  for (int i = 0; i < t->n_views; i++) {
    const int64_t step = llabs(t->view[i].step[d]), e = t->view[i].elem_bytes;
    bytes += step ? (double)t->n[d] * (double)SUMI_MAX(e, SUMI_MIN(step, line)) : (double)e;
  }
  const double moved = bytes / (double)(line * SUMI_CARD_VALUE(p, sram_banks));
  return SUMI_MAX(row, moved) / (double)t->n[d];
}

/* The loops of a word, loop[2] the innermost; -1: none. */
static void choose_loops(const struct antoum_cell_job *job, const struct vector *v,
                         const struct antoum_nest *t, int loop[WORD_LOOPS]) {
  const int fixed = SUMI_MIN(t->fixed, WORD_LOOPS);
  const int from = t->fixed > WORD_LOOPS ? 0 : t->rank - fixed; /* loops [0, from) may be chosen */
  bool taken[SUMI_CELL_LOOPS] = {false};
  int slot = WORD_LOOPS - 1;
  for (; slot >= WORD_LOOPS - fixed; slot--) loop[slot] = t->rank - WORD_LOOPS + slot;
  for (; slot >= 0; slot--) {
    loop[slot] = -1;
    for (int d = from - 1; d >= 0; d--) {
      if (taken[d]) continue;
      const int best = loop[slot];
      const bool better = best < 0 || (slot == WORD_LOOPS - 1 ? cycles(job, v, t, d) < cycles(job, v, t, best)
                                                              : t->n[d] > t->n[best]);
      if (better) loop[slot] = d;
    }
    if (loop[slot] >= 0) taken[loop[slot]] = true;
  }
}

static sumi_status emit_word(const struct antoum_cell_job *job, const struct vector *v,
                             const struct antoum_nest *t, const int loop[WORD_LOOPS],
                             const struct antoum_boxes *box, const int64_t *part_first) {
  union sumi_card_word word = {.vector = {.h = {.opcode = SUMI_CARD_OP_VPU}}};
  struct sumi_card_vector *w = &word.vector;
  struct antoum_touch touch[SUMI_CARD_VPU_VIEWS];
  struct sumi_card_vop op[SUMI_CARD_VPU_OPS + 3];
  int64_t first[WORD_LOOPS] = {0};
  int n_touch = 0, body, tail;
  memcpy(w->param, v->cell->param, sizeof w->param);
  for (int k = 0; k < WORD_LOOPS; k++) {
    w->n[k] = loop[k] < 0 ? 1 : (uint32_t)box->n[loop[k]];
    if (loop[k] >= 0 && k >= WORD_LOOPS - t->fixed) first[k] = part_first[loop[k]] + box->first[loop[k]];
  }
  for (int i = 0; i < SUMI_CARD_VPU_VIEWS; i++) {
    if (v->view[i] < 0) continue;
    const struct antoum_view *from = &t->view[v->view[i]];
    const int64_t at = antoum_view_place(t, from, box->first), e = from->elem_bytes;
    w->view[i].at = SUMI_CARD_AT(SUMI_CARD_HERE, at);
    w->view[i].dtype = (uint8_t)sumi_cells_type(job->operand[from->operand].dtype);
    for (int k = 0; k < WORD_LOOPS; k++)
      if (w->n[k] > 1) w->view[i].step[k] = (int32_t)(from->step[loop[k]] / e);
    if (v->gather_step[i]) w->view[i].step[2] = (int32_t)v->gather_step[i];
    touch[n_touch++] = antoum_view_touch(t, from, at, box->n);
  }
  SUMI_TRY(with_first(job, v, first, op, &body, &tail));
  w->body = (uint8_t)body;
  w->tail = (uint8_t)tail;
  SUMI_TRY(antoum_program(job->w, op, body + tail, &w->start));
  return antoum_emit(job->w, &word, touch, n_touch, 0);
}

/* Long words are cut along their outermost loop, so that what reads their first results need not wait for the last. */
static void cut_long(const struct antoum_cell_job *job, const struct vector *v, const struct antoum_nest *t,
                     const int loop[WORD_LOOPS], int64_t *block) {
  enum { PIECES = 4, LEAST_CYCLES = 1024 };
  const int64_t lanes = SUMI_CARD_VALUE(job->w->profile, vpu_lanes);
  double cycles = v->cost / (double)lanes;
  int outer = -1;
  for (int k = WORD_LOOPS - 1; k >= 0; k--) {
    if (loop[k] < 0) continue;
    cycles *= (double)block[loop[k]];
    if (block[loop[k]] >= PIECES) outer = loop[k];
  }
  const int64_t pieces = cycles < PIECES * LEAST_CYCLES ? (int64_t)(cycles / LEAST_CYCLES) : PIECES;
  const int from_last = outer < 0 ? 0 : t->rank - 1 - outer;
  if (pieces < 2 || outer < 0 || (from_last < t->fixed && t->whole >> from_last & 1)) return;
  block[outer] = (block[outer] + pieces - 1) / pieces;
}

/* ---- split -------------------------------------------------------------------------------------------------------- */

/* Loops over which a view's elements differ, of a box: what it writes there. */
static struct antoum_share share_of(const struct antoum_nest *t, const struct antoum_view *v,
                                    const struct antoum_boxes *box) {
  struct antoum_share s = {.elem = v->elem_bytes,
                           .at = antoum_view_place(t, v, box->first) + v->lo,
                           .row_bytes = v->hi - v->lo,
                           .n = {1, 1, 1}};
  int k = 0;
  for (int d = 0; d < t->rank; d++) {
    if (box->n[d] == 1 || !v->step[d]) continue;
    s.at += SUMI_MIN((box->n[d] - 1) * v->step[d], 0);
    s.n[k] = box->n[d];
    s.step[k++] = llabs(v->step[d]);
  }
  return s;
}

/* Whether what the views of a part write can be told apart by the bytes: neither read by it, nor in DRAM, without gaps. */
static bool can_share(const struct antoum_cell_job *job, const struct antoum_nest *t) {
  int writes = 0;
  for (int i = 0; i < t->n_views; i++) {
    const struct antoum_view *v = &t->view[i];
    if (!v->write) continue;
    if (v->read || !v->solid || job->place[v->operand].dram) return false;
    for (int k = 0; k < t->n_views; k++)
      if (k != i && t->view[k].operand == v->operand) return false;
    writes++;
  }
  return job->w->split && writes == 1; /* one range of bytes to meet about */
}

static const struct antoum_view *written(const struct antoum_nest *t) {
  const struct antoum_view *v = t->view;
  while (!v->write) v++;
  return v;
}

/* Cuts the loop that gives every core most, into a piece for each; false where all cores had better do all. */
static bool cut_for_cores(const struct antoum_cell_job *job, const struct vector *v,
                          const struct antoum_nest *t, const int64_t *block, int64_t *piece) {
  struct antoum_words *w = job->w;
  const struct antoum_view *y;
  int cut = -1;
  double alone = v->cost / (double)SUMI_CARD_VALUE(w->profile, vpu_lanes);
  if (!can_share(job, t)) return false;
  y = written(t);
  for (int d = 0; d < t->rank; d++) {
    const int from_last = t->rank - 1 - d;
    alone *= (double)t->n[d];
    if (!y->step[d] || (from_last < t->fixed && t->whole >> from_last & 1)) continue;
    if (cut < 0 || (t->n[cut] < w->cores && t->n[d] > t->n[cut])) cut = d;
  }
  if (cut < 0 || t->n[cut] < 2) return false;
  memcpy(piece, block, (size_t)t->rank * sizeof *piece);
  piece[cut] = SUMI_MIN(block[cut], (t->n[cut] + w->cores - 1) / w->cores);
  struct antoum_boxes box;
  antoum_boxes_begin(&box, t->rank, t->n, piece);
  const struct antoum_share share = share_of(t, y, &box);
  const double words = (double)antoum_boxes_count(t->rank, t->n, piece);
  const double each = alone / words + (double)SUMI_CARD_VALUE(w->profile, vpu_latency);
  const double turns = (double)(((int64_t)words + w->cores - 1) / w->cores);
  return antoum_share_worth(w, alone, turns * (each + antoum_share_cycles(w, &share)));
}

static sumi_status begin_sharing(const struct antoum_cell_job *job, const struct antoum_nest *t) {
  const struct antoum_view *y = written(t);
  static const int64_t first[SUMI_CELL_LOOPS];
  const struct antoum_touch all = antoum_view_touch(t, y, antoum_view_place(t, y, first), t->n);
  return antoum_share_begin(job->w, all.lo, all.hi);
}

/* ---- parts -------------------------------------------------------------------------------------------------------- */

static sumi_status emit_boxes(const struct antoum_cell_job *job, const struct vector *v,
                              const struct antoum_nest *t, const int loop[WORD_LOOPS], const int64_t *block,
                              const int64_t *first, bool shared) {
  struct antoum_boxes box;
  job->facts->shared |= shared;
  if (shared) SUMI_TRY(begin_sharing(job, t));
  antoum_boxes_begin(&box, t->rank, t->n, block);
  do {
    if (shared) antoum_share_turn(job->w);
    SUMI_TRY(emit_word(job, v, t, loop, &box, first));
    if (!shared) continue;
    const struct antoum_share share = share_of(t, written(t), &box);
    SUMI_TRY(antoum_share_copy(job->w, &share));
  } while (antoum_boxes_next(&box));
  return shared ? antoum_share_end(job->w) : SUMI_OK;
}

static sumi_status emit_part(const struct antoum_cell_job *job, const struct antoum_nest *t,
                             const int64_t *first, void *user) {
  const struct vector *v = user;
  int loop[WORD_LOOPS];
  int64_t block[SUMI_CELL_LOOPS], piece[SUMI_CELL_LOOPS], elements = 1;
  choose_loops(job, v, t, loop);
  for (int d = 0; d < t->rank; d++) block[d] = 1;
  for (int k = WORD_LOOPS - 1; k >= 0; k--) {
    if (loop[k] < 0) continue;
    block[loop[k]] = SUMI_MIN(t->n[loop[k]], SUMI_CARD_MOST_ELEMENTS / elements);
    const int from_last = t->rank - 1 - loop[k];
    if (block[loop[k]] < t->n[loop[k]] && from_last < t->fixed && t->whole >> from_last & 1)
      return antoum_refuse(job, "a row of %lld elements, the most is %d", (long long)t->n[loop[k]],
                           SUMI_CARD_MOST_ELEMENTS);
    elements *= block[loop[k]];
  }
  const bool shared = cut_for_cores(job, v, t, block, piece);
  if (!shared) cut_long(job, v, t, loop, block);
  const int64_t words = antoum_boxes_count(t->rank, t->n, shared ? piece : block);
  if (words > ANTOUM_MOST_STEPS)
    return antoum_refuse(job, "%lld vector words, the most is %d", (long long)words, ANTOUM_MOST_STEPS);
  return emit_boxes(job, v, t, loop, shared ? piece : block, first, shared);
}

sumi_status antoum_vector_cell(const struct antoum_cell_job *job, const struct sumi_cell_vector *cell) {
  struct vector v = {.cell = cell};
  struct antoum_nest nest = {.rank = cell->rank};
  SUMI_ASSERT(job->w->err, cell->rank >= 1 && cell->rank <= SUMI_CELL_LOOPS);
  for (int d = 0; d < cell->rank; d++) {
    if (cell->n[d] < 1) return SUMI_OK;
    nest.n[d] = cell->n[d];
  }
  SUMI_TRY(read_program(job, &v));
  nest.fixed = order_matters(&v) ? nest.rank : SUMI_MIN(fixed_loops(&v), nest.rank);
  nest.whole = cell->tail ? 1 : 0;
  for (int i = 0; i < SUMI_CARD_VPU_VIEWS; i++) SUMI_TRY(add_view(job, &v, &nest, i));
  SUMI_TRY(antoum_nest_tidy(job, &nest));
  return antoum_stream(job, &nest, emit_part, &v);
}

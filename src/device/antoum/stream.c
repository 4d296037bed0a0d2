/* Loop nests over operands in SRAM and DRAM: tidied, cut, streamed through scratch. */
#include "device/antoum/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { MOST_MOVES = 64 }; /* LOAD or STORE words for one buffer of one part */

/* ---- nests -------------------------------------------------------------------------------------------------------- */

sumi_status antoum_nest_view(const struct antoum_cell_job *job, struct antoum_nest *nest,
                             const struct sumi_cell_view *view, int64_t lo, int64_t hi) {
  const struct sumi_cell_operand *o = &job->operand[view->operand];
  struct antoum_view *v = &nest->view[nest->n_views++];
  const int64_t e = sumi_dtype_bits(o->dtype) / 8;
  *v = (struct antoum_view){.operand = view->operand, .elem_bytes = (uint32_t)e};
  bool good =
      e && sumi_i64_mul(view->at, e, &v->at) && sumi_i64_mul(lo, e, &v->lo) && sumi_i64_mul(hi, e, &v->hi);
  for (int d = 0; good && d < nest->rank; d++)
    good = nest->n[d] == 1 || sumi_i64_mul(view->step[d], e, &v->step[d]);
  if (!good) return antoum_refuse(job, "operand %d: a step beyond all memory", view->operand);
  return SUMI_OK;
}

int64_t antoum_view_place(const struct antoum_nest *nest, const struct antoum_view *view,
                          const int64_t *first) {
  int64_t at = view->at;
  for (int d = 0; d < nest->rank; d++) at += first[d] * view->step[d];
  return at;
}

/* Bytes [*lo, *hi) that n[] iterations touch, relative to the place of the first. */
static void span(const struct antoum_nest *nest, const struct antoum_view *v, const int64_t *n, int64_t *lo,
                 int64_t *hi) {
  *lo = v->lo;
  *hi = v->hi;
  for (int d = 0; d < nest->rank; d++) {
    const int64_t far = (n[d] - 1) * v->step[d];
    *(far < 0 ? lo : hi) += far;
  }
}

struct antoum_touch antoum_view_touch(const struct antoum_nest *nest, const struct antoum_view *view,
                                      int64_t at, const int64_t *n) {
  int64_t lo, hi;
  span(nest, view, n, &lo, &hi);
  return (struct antoum_touch){ANTOUM_SRAM, view->write, (uint64_t)(at + lo), (uint64_t)(at + hi)};
}

/* As span, checked: everything after relies on it. */
static sumi_status check_view(const struct antoum_cell_job *job, const struct antoum_nest *nest,
                              const struct antoum_view *v) {
  int64_t lo = 0, hi = 0, far;
  bool good = sumi_i64_add(v->at, v->lo, &lo) && sumi_i64_add(v->at, v->hi, &hi);
  for (int d = 0; good && d < nest->rank; d++)
    good = sumi_i64_mul(nest->n[d] - 1, v->step[d], &far) &&
           (far < 0 ? sumi_i64_add(lo, far, &lo) : sumi_i64_add(hi, far, &hi));
  if (!good || lo < 0 || hi > (int64_t)job->operand[v->operand].bytes)
    return antoum_refuse(job, "operand %d: the loops reach bytes %lld to %lld of %zu", v->operand,
                         (long long)lo, (long long)hi, job->operand[v->operand].bytes);
  return SUMI_OK;
}

static void exchange(struct antoum_nest *nest, int a, int b) {
  const int64_t n = nest->n[a];
  nest->n[a] = nest->n[b];
  nest->n[b] = n;
  for (int i = 0; i < nest->n_views; i++) {
    const int64_t step = nest->view[i].step[a];
    nest->view[i].step[a] = nest->view[i].step[b];
    nest->view[i].step[b] = step;
  }
}

static void drop(struct antoum_nest *nest, int d) {
  for (; d + 1 < nest->rank; d++) exchange(nest, d, d + 1);
  nest->rank--;
}

static int64_t written_step(const struct antoum_cell_job *job, const struct antoum_nest *nest, int d) {
  (void)job;
  for (int i = 0; i < nest->n_views; i++)
    if (nest->view[i].write) return llabs(nest->view[i].step[d]);
  return 0;
}

static int64_t dram_step(const struct antoum_cell_job *job, const struct antoum_nest *nest, int d) {
  int64_t most = 0;
  for (int i = 0; i < nest->n_views; i++)
    if (job->place[nest->view[i].operand].dram) most = SUMI_MAX(most, llabs(nest->view[i].step[d]));
  return most;
}

/* Loops [0, n) by falling key, equal ones as they are. */
static void sort(const struct antoum_cell_job *job, struct antoum_nest *nest, int n,
                 int64_t (*key)(const struct antoum_cell_job *, const struct antoum_nest *, int)) {
  for (int i = 1; i < n; i++)
    for (int d = i; d && key(job, nest, d - 1) < key(job, nest, d); d--) exchange(nest, d - 1, d);
}

static bool one_loop(const struct antoum_nest *nest, int d) {
  for (int i = 0; i < nest->n_views; i++)
    if (nest->view[i].step[d] != nest->n[d + 1] * nest->view[i].step[d + 1]) return false;
  return true;
}

sumi_status antoum_nest_tidy(const struct antoum_cell_job *job, struct antoum_nest *nest) {
  for (int i = 0; i < nest->n_views; i++) SUMI_TRY(check_view(job, nest, &nest->view[i]));
  for (int d = nest->rank - nest->fixed - 1; d >= 0; d--)
    if (nest->n[d] == 1) drop(nest, d);
  sort(job, nest, nest->rank - nest->fixed, written_step);
  for (int d = nest->rank - nest->fixed - 2; d >= 0; d--) {
    if (!one_loop(nest, d)) continue;
    nest->n[d + 1] *= nest->n[d];
    drop(nest, d);
  }
  sort(job, nest, nest->rank - nest->fixed, dram_step);
  return SUMI_OK;
}

/* ---- boxes -------------------------------------------------------------------------------------------------------- */

static void fit_box(struct antoum_boxes *b) {
  for (int d = 0; d < b->rank; d++) b->n[d] = SUMI_MIN(b->block[d], b->all[d] - b->first[d]);
}

void antoum_boxes_begin(struct antoum_boxes *b, int rank, const int64_t *n, const int64_t *block) {
  *b = (struct antoum_boxes){.rank = rank};
  for (int d = 0; d < rank; d++) b->all[d] = n[d], b->block[d] = block[d];
  fit_box(b);
}

bool antoum_boxes_next(struct antoum_boxes *b) {
  int d = b->rank - 1;
  for (; d >= 0 && (b->first[d] += b->block[d]) >= b->all[d]; d--) b->first[d] = 0;
  fit_box(b);
  return d >= 0;
}

int64_t antoum_boxes_count(int rank, const int64_t *n, const int64_t *block) {
  int64_t count = 1;
  for (int d = 0; d < rank; d++)
    if (!sumi_i64_mul(count, (n[d] - 1) / block[d] + 1, &count)) return INT64_MAX;
  return count;
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static void swap_rows(struct antoum_rows *r, int a, int b) {
  int64_t *const list[] = {r->n, r->dram_step, r->sram_step};
  for (size_t i = 0; i < SUMI_COUNT(list); i++) {
    const int64_t x = list[i][a];
    list[i][a] = list[i][b];
    list[i][b] = x;
  }
}

sumi_status antoum_rows(const struct antoum_cell_job *job, enum sumi_card_opcode opcode,
                        const struct antoum_place *place, const struct antoum_rows *rows) {
  enum { LOOPS = SUMI_COUNT(((struct sumi_card_move *)0)->n) };
  const bool load = opcode == SUMI_CARD_OP_LOAD, constant = place->base == ANTOUM_BASE_CODE;
  struct antoum_rows r = {.row_bytes = rows->row_bytes, .dram = rows->dram, .sram = rows->sram};
  for (int d = 0; d < rows->rank; d++) { /* rows of rows that are equally far apart are one loop */
    const int k = r.rank - 1;
    if (rows->n[d] == 1) continue;
    if (k >= 0 && rows->dram_step[d] == r.n[k] * r.dram_step[k] &&
        rows->sram_step[d] == r.n[k] * r.sram_step[k]) {
      r.n[k] *= rows->n[d];
      continue;
    }
    r.n[k + 1] = rows->n[d], r.dram_step[k + 1] = rows->dram_step[d], r.sram_step[k + 1] = rows->sram_step[d];
    r.rank++;
  }
  if (r.rank && r.row_bytes == r.dram_step[0] && r.row_bytes == r.sram_step[0]) { /* neighbours all along */
    r.row_bytes *= r.n[0];
    r.n[0] = 1;
  }
  for (int k = 1; k < r.rank; k++) /* the longest loops are the word's */
    for (int d = k; d && r.n[d - 1] < r.n[d]; d--) swap_rows(&r, d - 1, d);
  if (load && constant && (!r.rank || (r.rank == 1 && r.n[0] == 1)))
    return antoum_load_shared(job->w, place->base, place->at + (uint64_t)r.dram, (uint32_t)r.sram,
                              (uint32_t)r.row_bytes);
  int64_t block[SUMI_CELL_LOOPS];
  for (int d = 0; d < r.rank; d++) block[d] = d < LOOPS ? r.n[d] : 1;
  struct antoum_boxes box;
  antoum_boxes_begin(&box, r.rank, r.n, block);
  do {
    int64_t far = r.dram, near = r.sram, far_bytes = r.row_bytes, near_bytes = r.row_bytes;
    union sumi_card_word word = {.move = {.h = {.opcode = (uint8_t)opcode, .base = (uint8_t)place->base},
                                          .row_bytes = (uint32_t)r.row_bytes,
                                          .n = {1, 1}}};
    for (int d = 0; d < r.rank; d++) {
      far += box.first[d] * r.dram_step[d];
      near += box.first[d] * r.sram_step[d];
      if (d >= LOOPS) continue;
      far_bytes += (r.n[d] - 1) * r.dram_step[d];
      near_bytes += (r.n[d] - 1) * r.sram_step[d];
      word.move.n[d] = (uint32_t)r.n[d];
      word.move.dram_step_bytes[d] = (uint64_t)r.dram_step[d];
      word.move.sram_step_bytes[d] = (uint32_t)r.sram_step[d];
    }
    word.move.dram = place->at + (uint64_t)far;
    word.move.sram = SUMI_CARD_AT(SUMI_CARD_HERE, near);
    const uint64_t at = antoum_dram(place->base, word.move.dram);
    const struct antoum_touch touch[] = {{ANTOUM_SRAM, load, (uint64_t)near, (uint64_t)(near + near_bytes)},
                                         {ANTOUM_DRAM, !load, at, at + (uint64_t)far_bytes}};
    SUMI_TRY(antoum_emit(job->w, &word, touch, constant ? 1 : 2, place->core_step));
  } while (antoum_boxes_next(&box));
  return SUMI_OK;
}

/* ---- streams ------------------------------------------------------------------------------------------------------ */

/* Views of one operand in DRAM that share a buffer in scratch. What they touch around one iteration, and the loops whose steps are
 * not far longer than that, make a run of neighbouring bytes; longer steps make rows of runs, packed in scratch. */
struct buffer {
  const struct antoum_place *place;
  unsigned views; /* bit i: view i */
  bool constant, read, write;
  bool
      uniform; /* all views have the same steps; else the buffer holds, unpacked, what the whole nest touches */
  bool kept;   /* the same bytes in all parts */
  int n_loops, run_loops; /* loop[0..run_loops) lie in a run, the others are rows, all by rising steps */
  int loop[SUMI_CELL_LOOPS];
  int64_t bytes;
  uint32_t at;       /* in SRAM behind the start of scratch, or of a half */
  int64_t loaded[2]; /* where what each half holds begins in DRAM, plus 1; 0 = nothing */
};

struct stream {
  const struct antoum_cell_job *job;
  const struct antoum_nest *nest;
  bool tight;   /* rows even where DRAM's bursts make them dearer than the bytes between them */
  int64_t room; /* bytes of scratch */
  int64_t block[SUMI_CELL_LOOPS];
  struct buffer buffer[SUMI_CARD_VPU_VIEWS];
  int n_buffers;
  int64_t kept_bytes, turn_bytes; /* of buffers: kept by all parts; of a half */
  double moved;                   /* bytes of DRAM for all parts */
};

static bool same_steps(const struct antoum_nest *nest, const struct antoum_view *a,
                       const struct antoum_view *b) {
  for (int d = 0; d < nest->rank; d++)
    if (a->step[d] != b->step[d]) return false;
  return true;
}

/* Some view of a buffer: where all have the same steps, these. */
static const struct antoum_view *view_of(const struct stream *s, const struct buffer *b) {
  return &s->nest->view[__builtin_ctz(b->views)];
}

/* Bytes [*lo, *hi) of the operand that all views of the buffer touch in iteration first; not uniform: in the whole nest. */
static void touched(const struct stream *s, const struct buffer *b, const int64_t *first, int64_t *lo,
                    int64_t *hi) {
  static const int64_t start[SUMI_CELL_LOOPS];
  *lo = INT64_MAX;
  *hi = 0;
  for (int i = 0; i < s->nest->n_views; i++) {
    const struct antoum_view *v = &s->nest->view[i];
    int64_t from = v->lo, to = v->hi;
    if (!(b->views >> i & 1)) continue;
    if (!b->uniform) span(s->nest, v, s->nest->n, &from, &to);
    const int64_t at = antoum_view_place(s->nest, v, b->uniform ? first : start);
    *lo = SUMI_MIN(*lo, at + from);
    *hi = SUMI_MAX(*hi, at + to);
  }
}

static bool near(const struct stream *s, const struct antoum_view *a, const struct antoum_view *b) {
  const int64_t burst = SUMI_CARD_VALUE(s->job->w->profile, dram_burst);
  return a->at + a->lo <= b->at + b->hi + burst && b->at + b->lo <= a->at + a->hi + burst;
}

static bool written_anywhere(const struct antoum_nest *nest, int operand) {
  for (int i = 0; i < nest->n_views; i++)
    if (nest->view[i].operand == operand && nest->view[i].write) return true;
  return false;
}

/* Views of an operand that is written, and those that read nearly the same, share a buffer. */
static void find_buffers(struct stream *s) {
  const struct antoum_nest *nest = s->nest;
  unsigned seen = 0;
  for (int i = 0; i < nest->n_views; i++) {
    const struct antoum_view *v = &nest->view[i];
    const struct antoum_place *place = &s->job->place[v->operand];
    if (!place->dram || seen >> i & 1) continue;
    struct buffer *b = &s->buffer[s->n_buffers++];
    *b = (struct buffer){.place = place, .uniform = true, .constant = place->base == ANTOUM_BASE_CODE};
    const bool written = written_anywhere(nest, v->operand);
    for (int j = i; j < nest->n_views; j++) {
      const struct antoum_view *u = &nest->view[j];
      const bool same = same_steps(nest, u, v);
      if (u->operand != v->operand || !(written || (same && near(s, u, v)))) continue;
      seen |= 1u << j;
      b->views |= 1u << j;
      b->read |= u->read;
      b->write |= u->write;
      b->uniform &= same;
    }
    if (!b->constant) s->job->facts->streamed = true;
  }
}

/* Which loops of block[] iterations lie in a run: those without gaps, or with gaps that cost DRAM less than rows of their own.
 * Where nothing is read gaps cost twice, because they are read and written back. */
static void lay_out(const struct stream *s, struct buffer *b, const int64_t *block) {
  const struct antoum_view *v = view_of(s, b);
  const int64_t burst = SUMI_CARD_VALUE(s->job->w->profile, dram_burst), gap = b->read ? 1 : 2;
  int64_t lo, hi;
  b->n_loops = b->run_loops = 0;
  for (int d = 0; d < s->nest->rank && b->uniform; d++) {
    if (block[d] == 1 || !v->step[d]) continue;
    int k = b->n_loops++;
    for (; k && llabs(v->step[b->loop[k - 1]]) > llabs(v->step[d]); k--) b->loop[k] = b->loop[k - 1];
    b->loop[k] = d;
  }
  touched(s, b, (const int64_t[SUMI_CELL_LOOPS]){0}, &lo, &hi);
  for (int64_t run = hi - lo; b->run_loops < b->n_loops; b->run_loops++) {
    const int d = b->loop[b->run_loops];
    const int64_t step = llabs(v->step[d]), row = ((run + burst - 2) / burst + 1) * burst;
    if (step > run && (s->tight || row <= step * gap)) break;
    run += (block[d] - 1) * step;
  }
}

/* Bytes that DRAM spends on rows, and words of LOAD or STORE. */
static void cost_of(const struct stream *s, const struct antoum_rows *r, double *bytes, double *words) {
  const int64_t burst = SUMI_CARD_VALUE(s->job->w->profile, dram_burst);
  int64_t most[2] = {1, 1};
  *bytes = (double)(((r->row_bytes + burst - 2) / burst + 1) * burst);
  *words = 1;
  for (int k = 0; k < r->rank; k++) {
    *bytes *= (double)r->n[k];
    *words *= (double)r->n[k];
    const int64_t n = SUMI_MIN(r->n[k], most[0]);
    most[0] = SUMI_MAX(r->n[k], most[0]);
    most[1] = SUMI_MAX(n, most[1]);
  }
  *words /= (double)most[0] * (double)most[1];
}

/* What a part needs of a buffer's operand: rows whose first begins at r->dram; r->sram is 0. Rows, then their bytes in scratch. */
static int64_t find_rows(const struct stream *s, const struct buffer *b, const int64_t *first,
                         const int64_t *n, struct antoum_rows *r) {
  const struct antoum_view *v = view_of(s, b);
  int64_t hi;
  *r = (struct antoum_rows){.rank = b->n_loops - b->run_loops};
  touched(s, b, first, &r->dram, &hi);
  r->row_bytes = hi - r->dram;
  for (int k = 0; k < b->n_loops; k++) {
    const int64_t far = (n[b->loop[k]] - 1) * v->step[b->loop[k]];
    r->dram += SUMI_MIN(far, 0);
    if (k < b->run_loops) r->row_bytes += llabs(far);
  }
  int64_t bytes = r->row_bytes;
  for (int k = 0; k < r->rank; k++) {
    const int d = b->loop[b->run_loops + k];
    r->n[k] = n[d];
    r->dram_step[k] = llabs(v->step[d]);
    r->sram_step[k] = bytes;
    bytes *= n[d];
  }
  return bytes;
}

/* Whether the part writes every byte of the buffer's rows. */
static bool covers(const struct stream *s, const struct buffer *b, const int64_t *n) {
  const struct antoum_view *v = view_of(s, b);
  if (b->views & (b->views - 1) || !v->solid) return false;
  int64_t run = v->hi - v->lo;
  for (int k = 0; k < b->run_loops; k++) {
    const int64_t step = llabs(v->step[b->loop[k]]);
    if (n[b->loop[k]] > 1 && step > run) return false;
    run += (n[b->loop[k]] - 1) * step;
  }
  return true;
}

static bool is_kept(const struct stream *s, const struct buffer *b, const int64_t *block) {
  for (int d = 0; d < s->nest->rank; d++)
    if (block[d] < s->nest->n[d] && view_of(s, b)->step[d]) return false;
  return b->uniform && !b->write;
}

/* Whether parts of block[] fit into scratch: what all parts use, and twice what a part has of its own, which shall not be
 * more than `most`. Fills in layouts, sizes and places. */
static bool fits(struct stream *s, const int64_t *block, int64_t most) {
  const int64_t parts = antoum_boxes_count(s->nest->rank, s->nest->n, block);
  bool good = true;
  s->kept_bytes = s->turn_bytes = 0;
  s->moved = 0;
  for (int i = 0; i < s->n_buffers; i++) {
    struct buffer *b = &s->buffer[i];
    struct antoum_rows rows;
    lay_out(s, b, block);
    const int64_t bytes = find_rows(s, b, (const int64_t[SUMI_CELL_LOOPS]){0}, block, &rows);
    b->kept = parts > 1 && is_kept(s, b, block);
    int64_t *end = b->kept ? &s->kept_bytes : &s->turn_bytes;
    double cost, words;
    b->at = (uint32_t)*end;
    *end += (bytes + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
    cost_of(s, &rows, &cost, &words);
    good = good && words <= MOST_MOVES;
    s->moved +=
        cost * (b->kept ? 1 : (double)parts) * (b->write && (b->read || !covers(s, b, block)) ? 2 : 1);
  }
  return good && s->turn_bytes <= most && s->kept_bytes + 2 * s->turn_bytes <= s->room;
}

/* The largest parts that fit, the outer loops cut before the inner ones. */
static bool cut(struct stream *s, bool tight, int64_t most) {
  const struct antoum_nest *nest = s->nest;
  int64_t *block = s->block;
  s->tight = tight;
  for (int d = 0; d < nest->rank; d++) block[d] = nest->n[d];
  if (fits(s, block, most)) return true;
  for (int d = 0; d < nest->rank; d++) {
    const int from_last = nest->rank - 1 - d;
    if (from_last < nest->fixed && nest->whole >> from_last & 1) continue;
    int64_t lo = 0, hi = nest->n[d]; /* lo fits, hi does not */
    while (hi - lo > 1) {
      const int64_t mid = lo + (hi - lo) / 2;
      block[d] = mid;
      *(fits(s, block, most) ? &lo : &hi) = mid;
    }
    block[d] = lo ? (nest->n[d] - 1) / ((nest->n[d] - 1) / lo + 1) + 1 : 1; /* parts of about the same size */
    if (lo && fits(s, block, most)) return true;
    if (lo) return block[d] = lo, fits(s, block, most);
  }
  return fits(s, block, most);
}

/* Turns the part's views of a buffer into what they are in scratch, where its rows begin at rows->sram. */
static void place_views(const struct stream *s, const struct buffer *b, const struct antoum_boxes *box,
                        const struct antoum_rows *rows, struct antoum_nest *part) {
  int64_t lo, hi;
  touched(s, b, box->first, &lo, &hi);
  for (int i = 0; i < part->n_views; i++) {
    struct antoum_view *v = &part->view[i];
    if (!(b->views >> i & 1)) continue;
    v->at = rows->sram + antoum_view_place(s->nest, &s->nest->view[i], box->first) - lo;
    for (int k = 0; k < b->n_loops; k++) {
      const int d = b->loop[k];
      if (k >= b->run_loops) {
        const int64_t step = rows->sram_step[k - b->run_loops];
        v->step[d] = v->step[d] < 0 ? -step : step;
      }
      v->at -= SUMI_MIN((box->n[d] - 1) * v->step[d], 0);
    }
  }
}

static sumi_status load(struct stream *s, struct buffer *b, int half, const struct antoum_rows *rows) {
  if (b->loaded[half] == rows->dram + 1 && !b->write) return SUMI_OK;
  b->loaded[half] = rows->dram + 1;
  return antoum_rows(s->job, SUMI_CARD_OP_LOAD, b->place, rows);
}

/* Moves what a part needs in, lets it be emitted, moves what it wrote out. */
static sumi_status part(struct stream *s, const struct antoum_boxes *box, antoum_part *emit, void *user) {
  struct antoum_words *w = s->job->w;
  const int half = s->turn_bytes ? (int)(w->scratch_turn ^= 1) : 0;
  const int64_t half_bytes = (s->room - s->kept_bytes) / (2 * SUMI_ALIGN) * SUMI_ALIGN;
  const int64_t start = w->scratch.lo + s->kept_bytes + half * half_bytes;
  struct antoum_nest t = *s->nest;
  struct antoum_rows rows[SUMI_CARD_VPU_VIEWS];
  memcpy(t.n, box->n, sizeof t.n);
  for (int i = 0; i < t.n_views; i++)
    t.view[i].at = (int64_t)s->job->place[t.view[i].operand].at +
                   antoum_view_place(s->nest, &s->nest->view[i], box->first);
  for (int k = 0; k < s->n_buffers; k++) {
    struct buffer *b = &s->buffer[k];
    find_rows(s, b, box->first, box->n, &rows[k]);
    rows[k].sram = (b->kept ? w->scratch.lo : start) + b->at;
    place_views(s, b, box, &rows[k], &t);
    if (b->read || !covers(s, b, box->n)) SUMI_TRY(load(s, b, b->kept ? 0 : half, &rows[k]));
  }
  SUMI_TRY(emit(s->job, &t, box->first, user));
  for (int k = 0; k < s->n_buffers; k++)
    if (s->buffer[k].write) SUMI_TRY(antoum_rows(s->job, SUMI_CARD_OP_STORE, s->buffer[k].place, &rows[k]));
  return SUMI_OK;
}

/* The way that moves the least; parts small enough that the first one's work begins long before the last one is there, unless
 * they move much more. */
static bool choose_parts(struct stream *s) {
  enum { OVERLAP = 4, LEAST = 1 << 15 };
  const bool loose = cut(s, false, INT64_MAX);
  const double moved = loose ? s->moved : (double)INFINITY;
  bool streams = false;
  bool tight = cut(s, true, INT64_MAX);
  if (!loose && !tight) return false;
  tight = tight && s->moved < moved;
  if (!cut(s, tight, INT64_MAX)) return false;
  for (int i = 0; i < s->n_buffers; i++) streams |= !s->buffer[i].constant;
  const double large = s->moved, parts = (double)antoum_boxes_count(s->nest->rank, s->nest->n, s->block);
  const double most = SUMI_MAX((double)s->turn_bytes * parts / OVERLAP, (double)LEAST);
  if (!streams || (cut(s, tight, (int64_t)most) && s->moved <= large * (1 + 1.0 / OVERLAP))) return true;
  return cut(s, tight, INT64_MAX);
}

sumi_status antoum_stream(const struct antoum_cell_job *job, const struct antoum_nest *nest,
                          antoum_part *emit, void *user) {
  const int64_t room =
      ((int64_t)job->w->scratch.hi - job->w->scratch.lo) / (2 * SUMI_ALIGN) * (2 * SUMI_ALIGN);
  struct stream s = {.job = job, .nest = nest, .room = room};
  find_buffers(&s);
  if (!choose_parts(&s))
    return antoum_refuse(job,
                         "one step of the inner loops takes %lld bytes of SRAM, twice in turn; %lld are free",
                         (long long)s.turn_bytes, (long long)room);
  const int64_t parts = antoum_boxes_count(nest->rank, nest->n, s.block);
  if (parts > ANTOUM_MOST_STEPS)
    return antoum_refuse(job, "%lld parts, the most is %d", (long long)parts, ANTOUM_MOST_STEPS);
  struct antoum_boxes box;
  antoum_boxes_begin(&box, nest->rank, nest->n, s.block);
  do SUMI_TRY(part(&s, &box, emit, user));
  while (antoum_boxes_next(&box));
  return SUMI_OK;
}

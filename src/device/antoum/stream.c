/* Loop nests over operands in SRAM and DRAM: tidied, cut, streamed through scratch. */
#include "device/antoum/stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

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

/* ---- streams ------------------------------------------------------------------------------------------------------ */

/* Views of one operand in DRAM that share a buffer in scratch. */
struct buffer {
  const struct antoum_place *place;
  unsigned views; /* bit i: view i */
  bool constant, read, write;
  bool uniform; /* all views have the same steps; else the buffer holds what the whole nest touches */
  bool kept;    /* the same bytes in all parts */
  int64_t bytes;
  uint32_t at; /* in SRAM, or behind the start of a half */
  bool loaded[2];
  int64_t lo[2], hi[2]; /* what each half holds, where loaded */
};

struct stream {
  const struct antoum_cell_job *job;
  const struct antoum_nest *nest;
  int64_t block[SUMI_CELL_LOOPS];
  struct buffer buffer[SUMI_CARD_VPU_VIEWS];
  int n_buffers;
  int64_t kept_bytes, turn_bytes; /* of buffers: kept by all parts; of a half */
  bool one_part;
};

static bool same_steps(const struct antoum_nest *nest, const struct antoum_view *a,
                       const struct antoum_view *b) {
  for (int d = 0; d < nest->rank; d++)
    if (a->step[d] != b->step[d]) return false;
  return true;
}

/* What a part needs of a buffer's operand, counted from its first byte. */
static void needs(const struct stream *s, const struct buffer *b, const int64_t *first, const int64_t *n,
                  int64_t *lo, int64_t *hi) {
  static const int64_t start[SUMI_CELL_LOOPS];
  *lo = INT64_MAX;
  *hi = 0;
  for (int i = 0; i < s->nest->n_views; i++) {
    const struct antoum_view *v = &s->nest->view[i];
    int64_t from, to;
    if (!(b->views >> i & 1)) continue;
    span(s->nest, v, b->uniform ? n : s->nest->n, &from, &to);
    const int64_t at = antoum_view_place(s->nest, v, b->uniform ? first : start);
    *lo = SUMI_MIN(*lo, at + from);
    *hi = SUMI_MAX(*hi, at + to);
  }
}

static bool written_anywhere(const struct antoum_nest *nest, int operand) {
  for (int i = 0; i < nest->n_views; i++)
    if (nest->view[i].operand == operand && nest->view[i].write) return true;
  return false;
}

/* Views of an operand that is written, or with the same steps, share a buffer. */
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
      if (u->operand != v->operand || !(written || same)) continue;
      seen |= 1u << j;
      b->views |= 1u << j;
      b->read |= u->read;
      b->write |= u->write;
      b->uniform &= same;
    }
    if (!b->constant) s->job->facts->streamed = true;
  }
}

static bool is_kept(const struct stream *s, const struct buffer *b, const int64_t *block) {
  for (int i = 0; i < s->nest->n_views && b->uniform; i++)
    for (int d = 0; d < s->nest->rank && b->views >> i & 1; d++)
      if (block[d] < s->nest->n[d] && s->nest->view[i].step[d]) return false;
  return true;
}

/* Whether parts of block[] fit into scratch: what all parts use, and twice what a part has of its own, which shall not be
 * more than `most`. Fills in sizes and places. */
static bool fits(struct stream *s, const int64_t *block, int64_t most) {
  static const int64_t first[SUMI_CELL_LOOPS];
  const struct antoum_words *w = s->job->w;
  const int64_t room = ((int64_t)w->scratch.hi - w->scratch.lo) / (2 * SUMI_ALIGN) * (2 * SUMI_ALIGN);
  s->kept_bytes = s->turn_bytes = 0;
  s->one_part = antoum_boxes_count(s->nest->rank, s->nest->n, block) == 1;
  for (int i = 0; i < s->n_buffers; i++) {
    struct buffer *b = &s->buffer[i];
    int64_t lo, hi;
    needs(s, b, first, block, &lo, &hi);
    b->kept = !s->one_part && !b->write && is_kept(s, b, block);
    b->bytes = (hi - lo + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
    int64_t *end = b->kept ? &s->kept_bytes : &s->turn_bytes;
    b->at = (uint32_t)*end;
    *end += b->bytes;
  }
  return s->turn_bytes <= most && s->kept_bytes + 2 * s->turn_bytes <= room;
}

/* The largest parts that fit, the outer loops cut before the inner ones. */
static bool cut(struct stream *s, int64_t most) {
  const struct antoum_nest *nest = s->nest;
  int64_t *block = s->block;
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
    if (lo) return fits(s, block, most);
  }
  return false;
}

/* Whether the part writes every byte of the buffer's range. */
static bool covers(const struct stream *s, const struct buffer *b, const int64_t *n) {
  const struct antoum_view *v = NULL;
  for (int i = 0; i < s->nest->n_views; i++) {
    if (!(b->views >> i & 1)) continue;
    if (v || !s->nest->view[i].solid) return false;
    v = &s->nest->view[i];
  }
  int64_t run = v->hi - v->lo;
  bool used[SUMI_CELL_LOOPS] = {false};
  for (int k = 0; k < s->nest->rank; k++) {
    int next = -1;
    for (int d = 0; d < s->nest->rank; d++)
      if (!used[d] && (next < 0 || llabs(v->step[d]) < llabs(v->step[next]))) next = d;
    used[next] = true;
    if (n[next] > 1 && llabs(v->step[next]) > run) return false;
    run += (n[next] - 1) * llabs(v->step[next]);
  }
  return true;
}

static sumi_status load(struct stream *s, struct buffer *b, int half, uint32_t to, int64_t lo, int64_t hi) {
  if (b->loaded[half] && b->lo[half] == lo && b->hi[half] == hi && !b->write) return SUMI_OK;
  b->loaded[half] = true;
  b->lo[half] = lo;
  b->hi[half] = hi;
  struct antoum_words *w = s->job->w;
  const uint64_t from = b->place->at + (uint64_t)lo;
  if (b->constant && !b->place->core_step) return antoum_load_shared(w, from, to, (uint32_t)(hi - lo));
  return antoum_move(w, SUMI_CARD_OP_LOAD, b->place->base, from, b->place->core_step, to,
                     (uint32_t)(hi - lo));
}

/* Moves what a part needs in, lets it be emitted, moves what it wrote out. */
static sumi_status part(struct stream *s, const struct antoum_boxes *box, antoum_part *emit, void *user) {
  struct antoum_words *w = s->job->w;
  const int64_t room = ((int64_t)w->scratch.hi - w->scratch.lo) / (2 * SUMI_ALIGN) * (2 * SUMI_ALIGN);
  const int half = s->turn_bytes ? (int)(w->scratch_turn ^= 1) : 0;
  const int64_t half_bytes = (room - s->kept_bytes) / (2 * SUMI_ALIGN) * SUMI_ALIGN;
  const uint32_t base = w->scratch.lo + (uint32_t)(s->kept_bytes + half * half_bytes);
  struct antoum_nest t = *s->nest;
  int64_t lo[SUMI_CARD_VPU_VIEWS], hi[SUMI_CARD_VPU_VIEWS];
  uint32_t to[SUMI_CARD_VPU_VIEWS];
  memcpy(t.n, box->n, sizeof t.n);
  for (int i = 0; i < t.n_views; i++) {
    t.view[i].at = antoum_view_place(s->nest, &s->nest->view[i], box->first);
    if (!s->job->place[t.view[i].operand].dram) t.view[i].at += (int64_t)s->job->place[t.view[i].operand].at;
  }
  for (int k = 0; k < s->n_buffers; k++) {
    struct buffer *b = &s->buffer[k];
    needs(s, b, box->first, box->n, &lo[k], &hi[k]);
    to[k] = (b->kept ? w->scratch.lo : base) + b->at;
    if (b->read || !covers(s, b, box->n)) SUMI_TRY(load(s, b, b->kept ? 0 : half, to[k], lo[k], hi[k]));
    for (int i = 0; i < t.n_views; i++)
      if (b->views >> i & 1) t.view[i].at += (int64_t)to[k] - lo[k];
  }
  SUMI_TRY(emit(s->job, &t, box->first, user));
  for (int k = 0; k < s->n_buffers; k++) {
    const struct buffer *b = &s->buffer[k];
    if (b->write)
      SUMI_TRY(antoum_move(w, SUMI_CARD_OP_STORE, b->place->base, b->place->at + (uint64_t)lo[k],
                           b->place->core_step, to[k], (uint32_t)(hi[k] - lo[k])));
  }
  return SUMI_OK;
}

/* Bytes that all parts move in, about. */
static int64_t traffic(const struct stream *s) {
  const int64_t parts = antoum_boxes_count(s->nest->rank, s->nest->n, s->block);
  int64_t bytes;
  return sumi_i64_mul(parts, s->turn_bytes, &bytes) ? bytes + s->kept_bytes : INT64_MAX;
}

/* Parts small enough that the first one's work begins long before the last one is there, unless they move much more. */
static bool choose_parts(struct stream *s) {
  enum { OVERLAP = 4, LEAST = 1 << 15 };
  if (!cut(s, INT64_MAX)) return false;
  bool streams = false;
  for (int i = 0; i < s->n_buffers; i++) streams |= !s->buffer[i].constant;
  const int64_t large = traffic(s);
  if (!streams || (cut(s, SUMI_MAX(large / OVERLAP, LEAST)) && traffic(s) <= large + large / OVERLAP))
    return true;
  return cut(s, INT64_MAX);
}

sumi_status antoum_stream(const struct antoum_cell_job *job, const struct antoum_nest *nest,
                          antoum_part *emit, void *user) {
  struct stream s = {.job = job, .nest = nest};
  find_buffers(&s);
  if (!choose_parts(&s))
    return antoum_refuse(job,
                         "one step of the inner loops takes %lld bytes of SRAM, twice in turn; %u are free",
                         (long long)s.turn_bytes, job->w->scratch.hi - job->w->scratch.lo);
  const int64_t parts = antoum_boxes_count(nest->rank, nest->n, s.block);
  if (parts > ANTOUM_MOST_STEPS)
    return antoum_refuse(job, "%lld parts, the most is %d", (long long)parts, ANTOUM_MOST_STEPS);
  struct antoum_boxes box;
  antoum_boxes_begin(&box, nest->rank, nest->n, s.block);
  do SUMI_TRY(part(&s, &box, emit, user));
  while (antoum_boxes_next(&box));
  return SUMI_OK;
}

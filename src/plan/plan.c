/* Plans: steps, buffers, lifetimes, and placement in one arena by best fit in order of first use. */
#include "plan/plan.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

sumi_status sumi_plan_init(struct sumi_plan *plan, const struct sumi_graph *graph, int threads,
                           const struct sumi_allocator *a, struct sumi_err *err) {
  *plan = (struct sumi_plan){.graph = graph, .threads = threads};
  sumi_arena_init(&plan->arena, a);
  void *p = NULL;
  if (graph->n_value > INT_MAX / 2) SUMI_FAIL(err, SUMI_E_LIMIT, "%zu values", graph->n_value);
  if (!sumi_grow(a, &p, &plan->cap_buffer, graph->n_value + 1, sizeof *plan->buffer)) SUMI_FAIL_MEMORY(err);
  plan->buffer = p;
  plan->n_buffer = graph->n_value;
  for (size_t i = 0; i < plan->n_buffer; i++)
    plan->buffer[i] = (struct sumi_plan_buffer){
        .name = graph->value[i]->name, .first = INT_MAX, .last = -1, .root = (int)i};
  return SUMI_OK;
}

void sumi_plan_fini(struct sumi_plan *plan) {
  const struct sumi_allocator *a = plan->arena.allocator;
  if (!a) return;
  sumi_free(a, plan->buffer, plan->cap_buffer * sizeof *plan->buffer);
  sumi_free(a, plan->step, plan->cap_step * sizeof *plan->step);
  sumi_free(a, (void *)plan->refusals, plan->cap_refusals * sizeof *plan->refusals);
  sumi_arena_fini(&plan->arena);
  *plan = (struct sumi_plan){0};
}

int sumi_lower_scratch(struct sumi_lower *l, size_t bytes) {
  struct sumi_plan *plan = l->plan;
  void *p = plan->buffer;
  if (plan->n_buffer >= INT_MAX / 2 || bytes > PTRDIFF_MAX / 2 ||
      !sumi_grow(plan->arena.allocator, &p, &plan->cap_buffer, plan->n_buffer + 1, sizeof *plan->buffer))
    return -1;
  plan->buffer = p;
  const int id = (int)plan->n_buffer++;
  plan->buffer[id] = (struct sumi_plan_buffer){.kind = SUMI_BUFFER_SCRATCH,
                                               .name = l->node->name,
                                               .bytes = bytes,
                                               .first = INT_MAX,
                                               .last = -1,
                                               .root = id};
  return id;
}

static int *copy_ids(struct sumi_arena *arena, const int *ids, int n) {
  int *copy = SUMI_NEW_ARRAY(arena, (size_t)n, int);
  if (copy && n) memcpy(copy, ids, (size_t)n * sizeof *copy);
  return copy;
}

int sumi_plan_root(const struct sumi_plan *plan, int b) {
  while (plan->buffer[b].root != b) b = plan->buffer[b].root;
  return b;
}

void sumi_lower_over(struct sumi_lower *l, int input) {
  if (!l->dies[input] || l->out_buffer[0] < 0 || !sumi_layout_equal(&l->in_layout[input], &l->out_layout[0]))
    return;
  const int root = sumi_plan_root(l->plan, l->in_buffer[input]);
  const struct sumi_plan_buffer *to = &l->plan->buffer[l->out_buffer[0]];
  if (to->kind == SUMI_BUFFER_ARENA && to->root == l->out_buffer[0] &&
      to->bytes == l->plan->buffer[root].bytes)
    sumi_plan_share(l->plan, l->out_buffer[0], root);
}

sumi_status sumi_lower_emit(struct sumi_lower *l, sumi_step_fn fn, const void *args, const char *kernel,
                            const int *reads, int n_reads, const int *writes, int n_writes) {
  struct sumi_plan *plan = l->plan;
  const struct sumi_allocator *a = plan->arena.allocator;
  void *steps = plan->step, *texts = (void *)plan->refusals;
  if (plan->n_step >= INT_MAX / 2) SUMI_FAIL(l->err, SUMI_E_LIMIT, "%zu steps", plan->n_step);
  if (!sumi_grow(a, &steps, &plan->cap_step, plan->n_step + 1, sizeof *plan->step)) SUMI_FAIL_MEMORY(l->err);
  plan->step = steps;
  if (!sumi_grow(a, &texts, &plan->cap_refusals, plan->n_step + 1, sizeof *plan->refusals))
    SUMI_FAIL_MEMORY(l->err);
  plan->refusals = texts;
  struct sumi_step s = {
      .fn = fn, .args = args, .node = l->node, .kernel = kernel, .n_reads = n_reads, .n_writes = n_writes};
  s.reads = copy_ids(&plan->arena, reads, n_reads);
  s.writes = copy_ids(&plan->arena, writes, n_writes);
  if (!s.reads || !s.writes) SUMI_FAIL_MEMORY(l->err);
  plan->step[plan->n_step] = s;
  plan->refusals[plan->n_step] = NULL;
  if (l->refusals && l->refusals->size) {
    plan->refusals[plan->n_step] = sumi_arena_strdup(&plan->arena, sumi_text_str(l->refusals));
    if (!plan->refusals[plan->n_step]) SUMI_FAIL_MEMORY(l->err);
    l->refusals->size = 0;
  }
  plan->n_step++;
  return SUMI_OK;
}

sumi_status sumi_lower_planes(struct sumi_lower *l, const struct sumi_planes *planes) {
  struct sumi_planes *copy = SUMI_NEW(l->arena, struct sumi_planes);
  if (!copy) SUMI_FAIL_MEMORY(l->err);
  *copy = *planes;
  l->plan->step[l->plan->n_step - 1].planes = copy;
  return SUMI_OK;
}

void sumi_lower_predict(struct sumi_lower *l, double seconds) {
  if (l->plan->n_step) l->plan->step[l->plan->n_step - 1].predicted_s = seconds;
}

void sumi_lower_refuse(struct sumi_lower *l, const char *kernel, const char *format, ...) {
  if (!l->refusals) return;
  va_list args;
  va_start(args, format);
  sumi_text_add_reason(l->refusals, kernel, format, args);
  va_end(args);
}

static int root_of(const struct sumi_plan *plan, int b) {
  while (plan->buffer[b].root != b) b = plan->buffer[b].root;
  return b;
}

void sumi_plan_share(struct sumi_plan *plan, int b, int root) { plan->buffer[b].root = root_of(plan, root); }

static void touch(struct sumi_plan *plan, int b, int step) {
  struct sumi_plan_buffer *p = &plan->buffer[b];
  p->first = SUMI_MIN(p->first, step);
  p->last = SUMI_MAX(p->last, step);
}

void sumi_plan_keep(struct sumi_plan *plan, int b) { plan->buffer[b].last = INT_MAX; }

/* ---- placement ------------------------------------------------------------------------------------------------ */

static int compare(const struct sumi_plan_buffer *buffer, int a, int b) {
  const struct sumi_plan_buffer *x = &buffer[a], *y = &buffer[b];
  if (x->first != y->first) return x->first < y->first ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
  return a < b ? -1 : a > b;
}

static void sift(const struct sumi_plan_buffer *buffer, int *order, size_t i, size_t n) {
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= n) return;
    if (child + 1 < n && compare(buffer, order[child], order[child + 1]) < 0) child++;
    if (compare(buffer, order[i], order[child]) >= 0) return;
    const int t = order[i];
    order[i] = order[child];
    order[child] = t;
    i = child;
  }
}

/* Heap sort: no context argument in C's qsort, and no worst case. */
static void sort_by_first(const struct sumi_plan_buffer *buffer, int *order, size_t n) {
  for (size_t i = n / 2; i-- > 0;) sift(buffer, order, i, n);
  for (size_t i = n; i-- > 1;) {
    const int t = order[0];
    order[0] = order[i];
    order[i] = t;
    sift(buffer, order, 0, i);
  }
}

enum {
  MAX_ACTIVE = 4096
}; /* buffers live at once among which gaps are looked for; beyond it all go on top, which bounds the time */

sumi_status sumi_plan_place(struct sumi_plan_buffer *buffer, size_t n, int *order, size_t *arena_bytes,
                            struct sumi_err *err) {
  size_t n_order = 0, top = 0;
  for (size_t i = 0; i < n; i++) {
    const struct sumi_plan_buffer *b = &buffer[i];
    if ((b->kind == SUMI_BUFFER_ARENA || b->kind == SUMI_BUFFER_SCRATCH) && b->root == (int)i &&
        b->first <= b->last)
      order[n_order++] = (int)i;
  }
  sort_by_first(buffer, order, n_order);
  int active[MAX_ACTIVE]; /* sorted by offset */
  size_t n_active = 0;
  bool full = false;
  for (size_t k = 0; k < n_order; k++) {
    struct sumi_plan_buffer *b = &buffer[order[k]];
    size_t need;
    if (!sumi_size_add(b->bytes, SUMI_BUFFER_SLACK_BYTES, &need) || !sumi_size_align(need, SUMI_ALIGN, &need))
      SUMI_FAIL(err, SUMI_E_LIMIT, "value '%s' takes %zu bytes", b->name, b->bytes);
    size_t kept = 0;
    for (size_t i = 0; i < n_active; i++)
      if (buffer[active[i]].last >= b->first) active[kept++] = active[i];
    n_active = kept;
    size_t best = SIZE_MAX, best_gap = SIZE_MAX, at = 0, end = 0;
    for (size_t i = 0; i <= n_active && !full; i++) {
      const size_t next = i < n_active ? buffer[active[i]].offset : SIZE_MAX;
      if (next > end && next - end >= need && (i < n_active ? next - end < best_gap : best == SIZE_MAX)) {
        best = end;
        best_gap = next - end;
        at = i;
      }
      if (i < n_active) {
        size_t occupied = 0;
        sumi_size_align(buffer[active[i]].bytes + SUMI_BUFFER_SLACK_BYTES, SUMI_ALIGN, &occupied);
        end = SUMI_MAX(end, next + occupied);
      }
    }
    if (full) {
      b->offset = top;
    } else {
      b->offset = best;
      memmove(active + at + 1, active + at, (n_active - at) * sizeof *active);
      active[at] = order[k];
      full = ++n_active == MAX_ACTIVE;
    }
    size_t high;
    if (!sumi_size_add(b->offset, need, &high) || high > PTRDIFF_MAX / 2)
      SUMI_FAIL(err, SUMI_E_LIMIT, "the intermediate values do not fit in memory");
    top = SUMI_MAX(top, high);
  }
  *arena_bytes = top;
  return SUMI_OK;
}

static sumi_status largest_live(struct sumi_plan *plan, struct sumi_err *err) {
  /* change[s] = bytes that begin to live at step s less those that ended before it */
  int64_t *change = sumi_alloc(plan->arena.allocator, (plan->n_step + 2) * sizeof *change);
  if (!change) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < plan->n_buffer; i++) {
    const struct sumi_plan_buffer *b = &plan->buffer[i];
    if ((b->kind != SUMI_BUFFER_ARENA && b->kind != SUMI_BUFFER_SCRATCH) || b->root != (int)i ||
        b->first > b->last)
      continue;
    change[SUMI_MIN((size_t)b->first, plan->n_step)] += (int64_t)b->bytes;
    if ((size_t)b->last < plan->n_step) change[b->last + 1] -= (int64_t)b->bytes;
  }
  int64_t live = 0, most = 0;
  for (size_t s = 0; s <= plan->n_step; s++) {
    live += change[s];
    most = SUMI_MAX(most, live);
  }
  plan->live_bytes = (size_t)most;
  sumi_free(plan->arena.allocator, change, (plan->n_step + 2) * sizeof *change);
  return SUMI_OK;
}

/* ---- turns ------------------------------------------------------------------------------------------------------ */

/* A step whose output is more than stays in the second-level cache takes turns with the next one, if that reads it plane by
 * plane and nobody else does: then only the planes of a turn are ever there. */
enum { LEAST_BYTES = 1 << 20, TURN_BYTES = 256 << 10, TURNS_EACH = 2 };

/* Whether step s alone reads value b, which shares its memory with no other. */
static bool is_only_for(const struct sumi_plan *plan, int b, size_t s) {
  const struct sumi_plan_buffer *p = &plan->buffer[b];
  bool only = p->kind == SUMI_BUFFER_ARENA && p->root == b && p->last != INT_MAX;
  for (size_t i = 0; i < plan->n_buffer && only; i++)
    only = (int)i == b || plan->buffer[i].kind == SUMI_BUFFER_NONE || root_of(plan, (int)i) != b;
  for (size_t k = 0; k < plan->n_step && only; k++)
    for (int i = 0; i < plan->step[k].n_reads; i++) only &= plan->step[k].reads[i] != b || k == s;
  return only;
}

static sumi_status take_turns(struct sumi_plan *plan, size_t s, struct sumi_err *err) {
  struct sumi_step *step = &plan->step[s];
  const struct sumi_step *next = step + 1;
  const struct sumi_planes *p = step->planes, *q = next->planes;
  if (!p || !q || p->own || !q->own || p->n != q->n || next->reads[0] != step->writes[0]) return SUMI_OK;
  struct sumi_plan_buffer *between = &plan->buffer[step->writes[0]];
  if (between->bytes < LEAST_BYTES || !is_only_for(plan, step->writes[0], s + 1) ||
      root_of(plan, next->writes[0]) == root_of(plan, step->reads[0]))
    return SUMI_OK;
  const int64_t unit = SUMI_MAX(p->unit, q->unit), most = TURN_BYTES / (int64_t)p->bytes / unit * unit;
  const int64_t turn = SUMI_MAX(most, unit), turns = (p->n + turn - 1) / turn, threads = plan->threads;
  if (turns < TURNS_EACH * threads) return SUMI_OK;
  step->kernel = sumi_arena_printf(&plan->arena, "%s, in turns with the next", step->kernel);
  if (!step->kernel) SUMI_FAIL_MEMORY(err);
  step->turn = turn;
  between->bytes = (size_t)(threads * turn) * p->bytes;
  return SUMI_OK;
}

/* The last step that runs beside step s, or the first. */
static int end_of(const struct sumi_plan *plan, size_t s) { return (int)s + (plan->step[s].turn > 0); }
static int begin_of(const struct sumi_plan *plan, size_t s) {
  return (int)s - (s > 0 && plan->step[s - 1].turn > 0);
}

sumi_status sumi_plan_finish(struct sumi_plan *plan, struct sumi_err *err) {
  for (size_t s = 0; s + 1 < plan->n_step; s++) SUMI_TRY(take_turns(plan, s, err));
  for (size_t s = 0; s < plan->n_step; s++) {
    const struct sumi_step *step = &plan->step[s];
    for (int i = 0; i < step->n_reads + step->n_writes; i++) {
      const int b = i < step->n_reads ? step->reads[i] : step->writes[i - step->n_reads];
      touch(plan, b, begin_of(plan, s));
      touch(plan, b, end_of(plan, s));
    }
  }
  for (size_t i = 0; i < plan->n_buffer; i++) { /* what shares memory lives as long as all its sharers */
    struct sumi_plan_buffer *b = &plan->buffer[i];
    const int root = root_of(plan, (int)i);
    b->root = root;
    if (b->last == INT_MAX && b->first == INT_MAX) b->first = 0; /* kept, but no step touches it */
    if (root == (int)i || b->first == INT_MAX) continue;
    struct sumi_plan_buffer *r = &plan->buffer[root];
    r->first = SUMI_MIN(r->first, b->first);
    r->last = SUMI_MAX(r->last, b->last);
  }
  int *order = sumi_alloc(plan->arena.allocator, (plan->n_buffer + 1) * sizeof *order);
  if (!order) SUMI_FAIL_MEMORY(err);
  sumi_status status = sumi_plan_place(plan->buffer, plan->n_buffer, order, &plan->arena_bytes, err);
  sumi_free(plan->arena.allocator, order, (plan->n_buffer + 1) * sizeof *order);
  for (size_t i = 0; i < plan->n_buffer; i++)
    plan->buffer[i].offset = plan->buffer[plan->buffer[i].root].offset;
  return status == SUMI_OK ? largest_live(plan, err) : status;
}

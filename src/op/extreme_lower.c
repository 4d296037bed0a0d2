/* ArgMax, ArgMin, Hardmax in float32 on device cpu. x is [outer, n, inner]; of a strip of columns family reduce finds the
 * extremes, then the places are looked for where they stand: first (or last) come last, so that they stay. Columns with a NaN,
 * which is equal to nothing, are gone through element by element. */
#include "op/extreme_lower.h"

#include "base/size.h"
#include "kernel/reduce/reduce.h"
#include "op/column_strips.h"
#include "op/op_util.h"
#include "op/spmm_lower.h"

enum { STRIP = 256 }; /* columns */

struct args {
  sumi_reduce_row_fn row;
  sumi_reduce_columns_fn columns;
  struct sumi_column_strips v;
  bool smallest, last;
  bool hard; /* y is 1 at the place and 0 elsewhere, else its index as int64 */
  int x, y;
};

struct state {
  const struct args *a;
  const float *x;
  void *y;
};

/* Of column x[0], x[inner], ... [n]: as the reference functions compare. */
static int32_t find_plain(const struct args *a, const float *x) {
  int64_t at = 0;
  float best = x[0];
  for (int64_t k = 1; k < a->v.n; k++) {
    const float v = x[k * a->v.inner];
    const bool better =
        (a->smallest ? v < best : v > best) || (a->last && v == best) || (!a->hard && v != v && best == best);
    if (better) best = v, at = k;
  }
  return (int32_t)at;
}

static int32_t find_in_row(const struct args *a, const float *x) {
  float best;
  a->row(x, a->v.n, &best);
  if (a->last)
    for (int64_t k = a->v.n - 1; k >= 0; k--) {
      if (x[k] == best) return (int32_t)k;
    }
  else
    for (int64_t k = 0; k < a->v.n; k++)
      if (x[k] == best) return (int32_t)k;
  return find_plain(a, x);
}

static void find_in_columns(const struct args *a, const float *x, int64_t width, int32_t *at) {
  float best[STRIP];
  a->columns(x, a->v.n, a->v.inner, width, best);
  for (int64_t i = 0; i < width; i++) at[i] = -1;
  for (int64_t r = 0; r < a->v.n; r++) {
    const int64_t k = a->last ? r : a->v.n - 1 - r;
    const float *row = x + k * a->v.inner;
    for (int64_t i = 0; i < width; i++) at[i] = row[i] == best[i] ? (int32_t)k : at[i];
  }
  for (int64_t i = 0; i < width; i++)
    if (at[i] < 0) at[i] = find_plain(a, x + i);
}

static void find_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  int32_t at[STRIP];
  for (int64_t t = begin; t < end; t++) {
    const struct sumi_column_strip strip = sumi_column_strip(&a->v, t);
    const int64_t o = strip.slab, j = strip.first, width = strip.wide;
    const float *x = s->x + o * a->v.n * a->v.inner + j;
    if (a->v.inner == 1)
      at[0] = find_in_row(a, x);
    else
      find_in_columns(a, x, width, at);
    if (!a->hard) {
      int64_t *y = (int64_t *)s->y + o * a->v.inner + j;
      for (int64_t i = 0; i < width; i++) y[i] = at[i];
      continue;
    }
    float *y = (float *)s->y + o * a->v.n * a->v.inner + j;
    for (int64_t k = 0; k < a->v.n; k++) {
      if (a->v.inner == 1)
        y[k] = at[0] == (int32_t)k ? 1 : 0;
      else
        for (int64_t i = 0; i < width; i++) y[k * a->v.inner + i] = at[i] == (int32_t)k ? 1 : 0;
    }
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state s = {a, r->buffer[a->x], r->buffer[a->y]};
  sumi_par_for(r->par, sumi_column_strips_count(&a->v), sumi_column_strips_tile(&a->v), find_tile, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "reduce", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status emit(struct sumi_lower *l, const struct args *args) {
  if (!sumi_lower_is_f32(l->in[0])) return refuse(l, "element type is not float32");
  if (!args->v.outer || !args->v.n || !args->v.inner) return refuse(l, "an empty tensor");
  if (args->v.n > INT32_MAX) return refuse(l, "more than 2^31 elements along the axis");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_reduce_kernel *kernel = sumi_reduce_pick(l->isa);
  *a = *args;
  a->row = kernel->row[a->smallest ? SUMI_REDUCE_min : SUMI_REDUCE_max];
  a->columns = kernel->columns[a->smallest ? SUMI_REDUCE_min : SUMI_REDUCE_max];
  a->x = l->in_buffer[0], a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run, a, kernel->name, &a->x, 1, &a->y, 1);
}

/* The dims before the axis, along it and behind it; flat: those behind it belong to it. */
static struct sumi_column_strips view(const struct sumi_tensor *x, int axis, bool flat) {
  if (!x->rank) return sumi_column_strips(1, 1, 1, STRIP);
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), n = x->dim[axis],
                inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  return flat ? sumi_column_strips(outer, sumi_dims_count(x->dim, axis, x->rank), 1, STRIP)
              : sumi_column_strips(outer, n, inner, STRIP);
}

sumi_status sumi_arg_extreme_lower(struct sumi_lower *l) {
  int axis;
  SUMI_TRY(sumi_op_axis(l->node, 0, l->in[0]->rank, &axis, l->err));
  const struct args a = {.v = view(l->in[0], axis, false),
                         .smallest = sumi_streq(l->node->op->name, "ArgMin"),
                         .last = sumi_attr_int(l->node, "select_last_index", 0) != 0};
  return emit(l, &a);
}

sumi_status sumi_hardmax_lower(struct sumi_lower *l) {
  const bool before_13 = l->node->version < 13;
  int axis;
  SUMI_TRY(sumi_op_axis(l->node, before_13 ? 1 : -1, l->in[0]->rank, &axis, l->err));
  const struct args a = {.v = view(l->in[0], axis, before_13), .hard = true};
  return emit(l, &a);
}

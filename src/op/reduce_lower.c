/* The Reduce operators in float32 on family reduce. Axes that follow each other make x [outer, n, inner]: rows where inner
 * is 1, else columns, strip by strip. */
#include "op/reduce_lower.h"

#include <math.h>

#include "base/size.h"
#include "base/text.h"
#include "kernel/reduce/reduce.h"
#include "op/column_strips.h"
#include "op/reduce.h"
#include "op/spmm_lower.h"

enum { STRIP = 1024 }; /* columns of a strip: threads share one slab of columns, too */

/* An operator is a function of the family and what becomes of its result. */
static const struct reduction {
  const char *op;
  enum sumi_reduce f;
  bool mean, root;
} reductions[] = {
    {"ReduceSum", SUMI_REDUCE_sum, false, false},           {"ReduceMean", SUMI_REDUCE_sum, true, false},
    {"ReduceMax", SUMI_REDUCE_max, false, false},           {"ReduceMin", SUMI_REDUCE_min, false, false},
    {"ReduceL1", SUMI_REDUCE_magnitudes, false, false},     {"ReduceL2", SUMI_REDUCE_squares, false, true},
    {"ReduceSumSquare", SUMI_REDUCE_squares, false, false},
};

struct args {
  sumi_reduce_row_fn row;
  sumi_reduce_columns_fn columns;
  struct sumi_column_strips v;
  bool mean, root;
  int x, y; /* buffers */
};

struct state {
  const struct args *a;
  const float *x;
  float *y;
};

static void finish(const struct args *a, float *y, int64_t n) {
  const float count = (float)a->v.n;
  for (int64_t i = 0; a->mean && i < n; i++) y[i] /= count;
  for (int64_t i = 0; a->root && i < n; i++) y[i] = sqrtf(y[i]);
}

static void run_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  for (int64_t i = begin; i < end; i++) a->row(s->x + i * a->v.n, a->v.n, s->y + i);
  finish(a, s->y + begin, end - begin);
}

static void run_strips(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  for (int64_t i = begin; i < end; i++) {
    const struct sumi_column_strip t = sumi_column_strip(&a->v, i);
    float *y = s->y + t.slab * a->v.inner + t.first;
    a->columns(s->x + t.slab * a->v.n * a->v.inner + t.first, a->v.n, a->v.inner, t.wide, y);
    finish(a, y, t.wide);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state s = {a, r->buffer[a->x], r->buffer[a->y]};
  sumi_par_for(r->par, sumi_column_strips_count(&a->v), sumi_column_strips_tile(&a->v),
               a->v.inner == 1 ? run_rows : run_strips, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "reduce", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

/* x as [outer, n, inner]; false where kept dims lie between reduced ones. */
static bool split(const struct sumi_tensor *x, const bool *reduced, struct sumi_column_strips *v) {
  int64_t outer = 1, n = 1, inner = 1;
  int first = x->rank, last = -1;
  for (int i = 0; i < x->rank; i++)
    if (reduced[i] && x->dim[i] != 1) {
      first = SUMI_MIN(first, i);
      last = i;
    }
  for (int i = 0; i < x->rank; i++) {
    if (i > first && i < last && !reduced[i] && x->dim[i] != 1) return false;
    *(i < first ? &outer : i > last ? &inner : &n) *= x->dim[i];
  }
  *v = sumi_column_strips(outer, n, last < 0 ? 1 : inner, STRIP);
  return true;
}

sumi_status sumi_reduce_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  size_t which = 0;
  while (which < SUMI_COUNT(reductions) && !sumi_streq(reductions[which].op, l->node->op->name)) which++;
  if (which == SUMI_COUNT(reductions)) return refuse(l, "no kernel for this function");
  if (!sumi_lower_is_f32(x)) return refuse(l, "element type is not float32");
  if (l->n_in > 1 && l->in[1] && !l->in[1]->data) return refuse(l, "the axes are not constant");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  bool reduced[SUMI_MAX_RANK];
  const struct sumi_call call = {.node = l->node, .n_in = l->n_in, .in = l->in, .err = l->err};
  SUMI_TRY(sumi_reduce_axes(&call, reduced));
  if (!split(x, reduced, &a->v)) return refuse(l, "kept dimensions lie between the axes");
  if (!a->v.outer || !a->v.n || !a->v.inner) return refuse(l, "an empty tensor");
  const struct sumi_reduce_kernel *kernel = sumi_reduce_pick(l->isa);
  a->row = kernel->row[reductions[which].f];
  a->columns = kernel->columns[reductions[which].f];
  a->mean = reductions[which].mean;
  a->root = reductions[which].root;
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run, a, kernel->name, &a->x, 1, &a->y, 1);
}

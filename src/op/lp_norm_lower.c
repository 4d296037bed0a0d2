/* LpNormalization in float32 on device cpu: x is [outer, n, inner]; of a strip of columns family reduce sums, family eltwise
 * divides. Sums that float32 cannot hold well are taken in double precision. */
#include "op/lp_norm_lower.h"

#include <math.h>

#include "base/size.h"
#include "kernel/eltwise/eltwise.h"
#include "kernel/reduce/reduce.h"
#include "op/column_strips.h"
#include "op/op_util.h"
#include "op/spmm_lower.h"

enum { STRIP = 256 }; /* columns */
/* Between these no term that counts was lost or is infinite. */
static const float LEAST_SUM = 1e-25f, MOST_SUM = 1e35f;

struct args {
  sumi_reduce_row_fn row;
  sumi_reduce_columns_fn columns;
  sumi_binary_fn divide;
  struct sumi_column_strips v;
  bool squares;
  int x, y; /* buffers */
};

struct state {
  const struct args *a;
  const float *x;
  float *y;
};

/* Column x[0], x[inner], ... [n] as the reference function has it; y may be x. */
static void column_plain(const struct args *a, const float *x, float *y) {
  double norm = 0;
  for (int64_t k = 0; k < a->v.n; k++) {
    const double value = (double)x[k * a->v.inner];
    norm += a->squares ? value * value : fabs(value);
  }
  if (a->squares) norm = sqrt(norm);
  for (int64_t k = 0; k < a->v.n; k++)
    y[k * a->v.inner] = norm == 0 ? 0 : (float)((double)x[k * a->v.inner] / norm);
}

static void normalise(const struct args *a, const float *x, int64_t width, float *y) {
  float norm[STRIP];
  bool good = true;
  if (a->v.inner == 1)
    a->row(x, a->v.n, norm);
  else
    a->columns(x, a->v.n, a->v.inner, width, norm);
  for (int64_t i = 0; i < width; i++) {
    good &= norm[i] >= LEAST_SUM && norm[i] <= MOST_SUM;
    if (a->squares) norm[i] = sqrtf(norm[i]);
  }
  if (!good)
    for (int64_t i = 0; i < width; i++) column_plain(a, x + i, y + i);
  else if (a->v.inner == 1)
    a->divide(x, 1, norm, 0, y, a->v.n);
  else
    for (int64_t k = 0; k < a->v.n; k++) a->divide(x + k * a->v.inner, 1, norm, 1, y + k * a->v.inner, width);
}

static void norm_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  for (int64_t t = begin; t < end; t++) {
    const struct sumi_column_strip strip = sumi_column_strip(&a->v, t);
    const int64_t at = strip.slab * a->v.n * a->v.inner + strip.first;
    normalise(a, s->x + at, strip.wide, s->y + at);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  const struct args *a = args;
  struct state s = {a, r->buffer[a->x], r->buffer[a->y]};
  sumi_par_for(r->par, sumi_column_strips_count(&a->v), sumi_column_strips_tile(&a->v), norm_tile, &s);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "reduce", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

sumi_status sumi_lp_norm_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  int axis;
  if (!sumi_lower_is_f32(x)) return refuse(l, "element type is not float32");
  if (!x->rank || !sumi_tensor_count(x)) return refuse(l, "a scalar, or an empty tensor");
  SUMI_TRY(sumi_op_axis(l->node, -1, x->rank, &axis, l->err));
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  const struct sumi_reduce_kernel *reduce = sumi_reduce_pick(l->isa);
  a->squares = sumi_attr_int(l->node, "p", 2) == 2;
  const enum sumi_reduce f = a->squares ? SUMI_REDUCE_squares : SUMI_REDUCE_magnitudes;
  a->row = reduce->row[f];
  a->columns = reduce->columns[f];
  a->divide = sumi_eltwise_pick(l->isa)->binary[SUMI_BINARY_div];
  a->v = sumi_column_strips(sumi_dims_count(x->dim, 0, axis), x->dim[axis],
                            sumi_dims_count(x->dim, axis + 1, x->rank), STRIP);
  a->x = l->in_buffer[0];
  a->y = l->out_buffer[0];
  return sumi_lower_emit(l, run, a, reduce->name, &a->x, 1, &a->y, 1);
}

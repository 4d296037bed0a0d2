/* Nearest elements that are equally far apart or repeated are one copy; all else goes axis by axis: a constant table has the places and
 * weights of every output element, whose inputs are taken by index. */
#include "op/resize_cells.h"

#include "base/size.h"
#include "op/move_cells.h"
#include "op/resize.h"
#include "op/rows_cells.h"

enum { MOST_TAPS = 16 };

struct axis {
  bool same;                   /* left as it is */
  int64_t n, taps;             /* outputs; elements each is made of */
  float *table;                /* [n, taps, 2]: place, weight */
  int64_t repeat, step, first; /* place of output i is first + i / repeat * step; repeat 0: it is not */
};

static int64_t place(const struct axis *a, int64_t i, int64_t k) {
  return (int64_t)a->table[2 * (i * a->taps + k)];
}

/* Whether places are repeated and equally far apart. */
static void find_pattern(struct axis *a) {
  int64_t repeat = 1;
  a->first = place(a, 0, 0);
  while (repeat < a->n && place(a, repeat, 0) == a->first) repeat++;
  a->step = repeat < a->n ? place(a, repeat, 0) - a->first : 0;
  a->repeat = a->n % repeat ? 0 : repeat;
  for (int64_t i = 0; a->repeat && i < a->n; i++)
    if (place(a, i, 0) != a->first + i / repeat * a->step) a->repeat = 0;
}

static sumi_status read_axis(struct sumi_cells *c, const struct sumi_resize_how *how,
                             const struct sumi_resize_axis *r, struct axis *a) {
  enum { EXACT = 1 << 24 }; /* whole numbers in float32 */
  *a = (struct axis){
      .same = sumi_resize_is_identity(how, r), .n = r->out, .taps = sumi_resize_taps(how, r->scale)};
  if (a->same) return SUMI_OK;
  if (a->taps > MOST_TAPS) return sumi_cells_refuse(c, "more than %d elements make one", MOST_TAPS);
  if (r->in > EXACT) return sumi_cells_refuse(c, "an axis of more than %d elements", EXACT);
  a->table = SUMI_NEW_ARRAY(c->arena, (size_t)(2 * a->n * a->taps), float);
  if (!a->table) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i < a->n; i++) {
    double weight[MOST_TAPS];
    int64_t first;
    if (!sumi_resize_weights(how, r, i, a->taps, &first, weight))
      return sumi_cells_refuse(c, "a region outside the input");
    for (int64_t k = 0; k < a->taps; k++) {
      const int64_t at = SUMI_MAX(SUMI_MIN(first + k, r->in - 1), 0);
      a->table[2 * (i * a->taps + k)] = (float)at;
      a->table[2 * (i * a->taps + k) + 1] = (float)weight[k];
    }
  }
  find_pattern(a);
  return SUMI_OK;
}

/* One copy, where every axis has a pattern. */
static bool has_patterns(const struct axis *a, int rank) {
  for (int i = 0; i < rank; i++)
    if (!a[i].same && !a[i].repeat) return false;
  return true;
}

static sumi_status copy_cell(struct sumi_cells *c, const struct axis *a, const struct sumi_seen *x,
                             const struct sumi_seen *y) {
  int64_t dim[SUMI_MOVE_RANK], to[SUMI_MOVE_RANK], from[SUMI_MOVE_RANK], at = 0;
  for (int i = 0; i < x->rank; i++) {
    const int64_t repeat = a[i].same ? 1 : a[i].repeat, step = a[i].same ? 1 : a[i].step;
    dim[2 * i] = y->dim[i] / repeat, dim[2 * i + 1] = repeat;
    to[2 * i] = repeat * y->step[i], to[2 * i + 1] = y->step[i];
    from[2 * i] = step * x->step[i], from[2 * i + 1] = 0;
    if (!a[i].same) at += a[i].first * x->step[i];
  }
  const struct sumi_box box = sumi_box_make(2 * x->rank, dim, to, from);
  return sumi_box_cell(c, &box, y->operand, 0, x->operand, at, 0);
}

/* Axis k of x: y = sum of weight * x at place; nearest: the element itself. */
static sumi_status axis_cell(struct sumi_cells *c, const struct axis *a, int k, int64_t in, bool nearest,
                             const struct sumi_seen *x, const struct sumi_seen *y) {
  const int64_t entry = 2 * a->taps, size = a->n * entry;
  struct sumi_seen table = {.operand = sumi_cells_constant(c, SUMI_FLOAT32, 1, &size, a->table),
                            .rank = x->rank};
  for (int i = 0; i < x->rank; i++) table.dim[i] = i == k ? a->n : 1;
  table.step[k] = entry;
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, y, 1u << k);
  const int from = sumi_vector_see_by_index(&p, x, k), figures = sumi_vector_see(&p, &table);
  int v = -1;
  for (int64_t t = 0; t < a->taps; t++) {
    const int at = sumi_vector_op(&p, SUMI_CARD_V_F2I, sumi_vector_load_at(&p, figures, 2 * t), 0, 0);
    int e = sumi_vector_gather(&p, from, at, (uint32_t)in);
    if (!nearest) e = SUMI_VECTOR(&p, "a * b", sumi_vector_load_at(&p, figures, 2 * t + 1), e);
    v = v < 0 ? e : SUMI_VECTOR(&p, "a + b", v, e);
  }
  sumi_vector_store(&p, sumi_vector_see(&p, y), v);
  return sumi_vector_end(&p);
}

sumi_status sumi_resize_cells(struct sumi_cells *c) {
  const struct sumi_tensor *in = c->in[0];
  const int rank = in->rank;
  const bool real = in->dtype == SUMI_FLOAT32 || in->dtype == SUMI_BFLOAT16;
  struct sumi_resize_how how = {0};
  struct sumi_resize_axis r[SUMI_MAX_RANK];
  struct axis a[SUMI_MAX_RANK];
  for (int i = 1; i < c->n_in; i++)
    if (sumi_cells_has(c, i) && !c->in[i]->data)
      return sumi_cells_refuse(c, "sizes or scales are not constant");
  if (!sumi_tensor_count(c->out[0])) return sumi_cells_refuse(c, "an empty tensor");
  const struct sumi_call call = sumi_cells_call(c);
  SUMI_TRY(sumi_resize_resolve(&call, &how, r));
  const bool nearest = how.mode == SUMI_RESIZE_NEAREST;
  if (!nearest && !real) return sumi_cells_refuse(c, "interpolation of integers");
  int last = -1;
  for (int i = rank - 1; i >= 0; i--) {
    SUMI_TRY(read_axis(c, &how, &r[i], &a[i]));
    if (!a[i].same) last = i;
  }
  SUMI_TRY(sumi_cells_follow(c, 0));
  struct sumi_seen x = sumi_see(c, 0);
  const struct sumi_seen y = sumi_see(c, sumi_cells_out(c, 0));
  if (last < 0 || (nearest && has_patterns(a, rank))) return copy_cell(c, a, &x, &y);
  const int inner = sumi_cells_inner(c, 0);
  for (int i = rank - 1; i >= 0; i--) {
    if (a[i].same) continue;
    struct sumi_seen to = x;
    to.dim[i] = a[i].n;
    if (i == last)
      to = y;
    else
      to = sumi_seen_temp(c, nearest ? in->dtype : SUMI_FLOAT32, &to, 0, inner < 0 ? 0 : 1u << inner, 1);
    if (to.operand < 0) return SUMI_E_MEMORY;
    SUMI_TRY(axis_cell(c, &a[i], i, r[i].in, nearest, &x, &to));
    x = to;
  }
  return SUMI_OK;
}

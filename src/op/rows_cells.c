/* Rows: reductions, softmax, normalisation. */
#include "op/rows_cells.h"

#include <string.h>

#include "base/size.h"
#include "op/move_cells.h"

/* ---- operands ---------------------------------------------------------------------------------------------------------- */

struct sumi_seen sumi_see(const struct sumi_cells *c, int operand) {
  struct sumi_seen s = {.operand = operand};
  if (operand < 0) return s;
  const struct sumi_cell_operand *o = &c->operand[operand];
  s.rank = o->rank;
  for (int i = 0; i < o->rank; i++) {
    s.dim[i] = o->dim[i];
    s.step[i] = o->dim[i] == 1 ? 0 : o->step[i];
  }
  return s;
}

struct sumi_seen sumi_see_broadcast(const struct sumi_cells *c, int operand, int rank, int first) {
  const struct sumi_seen own = sumi_see(c, operand);
  struct sumi_seen s = {.operand = operand, .rank = rank};
  for (int i = 0; i < rank; i++) s.dim[i] = 1;
  for (int i = 0; i < own.rank; i++) {
    s.dim[first + i] = own.dim[i];
    s.step[first + i] = own.step[i];
  }
  return s;
}

struct sumi_seen sumi_see_reduced(const struct sumi_cells *c, const bool *reduced) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_seen own = sumi_see(c, sumi_cells_out(c, 0));
  struct sumi_seen s = {.operand = own.operand, .rank = x->rank};
  for (int i = 0, k = 0; i < x->rank; i++) {
    s.dim[i] = reduced[i] ? 1 : x->dim[i];
    if (own.rank == x->rank || !reduced[i]) s.step[i] = own.step[k++];
  }
  return s;
}

void sumi_seen_split(struct sumi_seen *s, int axis, int64_t parts) {
  for (int i = s->rank; i > axis; i--) s->dim[i] = s->dim[i - 1], s->step[i] = s->step[i - 1];
  s->rank++;
  s->dim[axis + 1] = s->dim[axis] / parts;
  s->dim[axis] = parts;
  s->step[axis] *= s->dim[axis + 1];
}

unsigned sumi_seen_set(const bool *marks, int rank) {
  unsigned set = 0;
  for (int i = 0; i < rank; i++) set |= (unsigned)marks[i] << i;
  return set;
}

struct sumi_seen sumi_seen_temp(struct sumi_cells *c, sumi_dtype dtype, const struct sumi_seen *like,
                                unsigned without, unsigned inner, int64_t each) {
  struct sumi_seen s = {.operand = -1, .rank = like->rank};
  int64_t step = each;
  for (int pass = 0; pass < 2; pass++)
    for (int i = like->rank - 1; i >= 0; i--) {
      if ((inner >> i & 1) == (unsigned)pass) continue;
      s.dim[i] = without >> i & 1 ? 1 : like->dim[i];
      s.step[i] = s.dim[i] == 1 ? 0 : step;
      step *= s.dim[i];
    }
  s.operand = sumi_cells_temp(c, dtype, 1, &step);
  return s;
}

static int64_t row_length(const struct sumi_seen *s, unsigned inner) {
  int64_t n = 1;
  for (int i = 0; i < s->rank; i++)
    if (inner >> i & 1) n *= s->dim[i];
  return n;
}

/* Whether the dimensions of the set are one loop. */
static bool straight(const struct sumi_seen *s, unsigned inner) {
  int64_t smallest = 0, n = 1;
  for (int i = 0; i < s->rank; i++)
    if (inner >> i & 1 && s->dim[i] != 1 && (!smallest || s->step[i] < smallest)) smallest = s->step[i];
  for (bool found = true; found;) { /* the dimension that goes on after n elements */
    found = false;
    for (int i = 0; i < s->rank && !found; i++)
      if (inner >> i & 1 && s->dim[i] != 1 && s->step[i] == smallest * n) found = true, n *= s->dim[i];
  }
  return n == row_length(s, inner);
}

sumi_status sumi_rows_straight(struct sumi_cells *c, struct sumi_seen *x, unsigned inner) {
  if (straight(x, inner)) return SUMI_OK;
  const struct sumi_seen to = sumi_seen_temp(c, c->operand[x->operand].dtype, x, 0, inner, 1);
  if (to.operand < 0) return SUMI_E_MEMORY;
  const struct sumi_box box = sumi_box_make(x->rank, x->dim, to.step, x->step);
  SUMI_TRY(sumi_box_cell(c, &box, to.operand, 0, x->operand, 0, 0));
  *x = to;
  return SUMI_OK;
}

/* ---- reductions --------------------------------------------------------------------------------------------------------- */

enum { MOST_TAPS = 100 }; /* a load and a combination each, in a program of 256 operations */

static int apply(struct sumi_vector *p, const char *formula, int a, float b) {
  if (!formula || sumi_vector_bad(p)) return a;
  return SUMI_VECTOR(p, formula, a, sumi_vector_float(p, b));
}

static void store_result(struct sumi_vector *p, const struct sumi_cells *c, const struct sumi_seen *y,
                         int v) {
  const bool real = sumi_dtype_is_float(c->operand[y->operand].dtype);
  if (v >= 0 && p->value[v].real && !real) v = sumi_vector_op(p, SUMI_CARD_V_F2I, v, 0, 0);
  sumi_vector_store_wrapped(p, sumi_vector_see(p, y), v);
}

/* A row's elements one after the other, in lanes along a dimension that is kept. */
static sumi_status reduce_by_taps(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                                  const struct sumi_reduction *r, const struct sumi_seen *y, int64_t count) {
  static const char *const combine[] = {"a + b", "a > b ? a : b", "a < b ? a : b"};
  struct sumi_vector p;
  struct sumi_seen kept = *x;
  int64_t index[SUMI_VECTOR_LOOPS] = {0}, n[SUMI_VECTOR_LOOPS];
  for (int i = 0; i < x->rank; i++) {
    n[i] = inner >> i & 1 ? x->dim[i] : 1;
    if (inner >> i & 1) kept.dim[i] = 1;
  }
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &kept, 0);
  const int view = sumi_vector_see(&p, &kept);
  int v = -1, d;
  do {
    int64_t distance = 0;
    for (int i = 0; i < x->rank; i++) distance += index[i] * x->step[i];
    const int a = apply(&p, r->each, sumi_vector_load_at(&p, view, distance), 0);
    v = v < 0 ? a : SUMI_VECTOR(&p, combine[r->kind], v, a);
    for (d = x->rank - 1; d >= 0 && ++index[d] >= n[d]; d--) index[d] = 0;
  } while (d >= 0 && !sumi_vector_bad(&p));
  store_result(&p, c, y, apply(&p, r->last, v, (float)count));
  return sumi_vector_end(&p);
}

static sumi_status reduce_by_rows(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                                  const struct sumi_reduction *r, const struct sumi_seen *y, int64_t count) {
  static const enum sumi_card_vector_op op[] = {SUMI_CARD_V_RSUM, SUMI_CARD_V_RMAX, SUMI_CARD_V_RMIN};
  struct sumi_vector p;
  struct sumi_seen from = *x;
  SUMI_TRY(sumi_rows_straight(c, &from, inner));
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &from, inner);
  int v = apply(&p, r->each, sumi_vector_load(&p, sumi_vector_see(&p, &from)), 0);
  const bool whole = v >= 0 && !p.value[v].real;
  if (whole && r->kind != SUMI_REDUCTION_SUM) {
    if (c->operand[x->operand].dtype == SUMI_INT32)
      return sumi_cells_refuse(c, "the largest or smallest of a row of int32");
    v = sumi_vector_op(&p, SUMI_CARD_V_I2F, v, 0, 0);
  }
  v = sumi_vector_reduce(&p, whole && r->kind == SUMI_REDUCTION_SUM ? SUMI_CARD_V_RISUM : op[r->kind], v);
  sumi_vector_tail(&p);
  store_result(&p, c, y, apply(&p, r->last, v, (float)count));
  return sumi_vector_end(&p);
}

/* Whether lanes can run along a kept dimension. */
static bool has_lanes(const struct sumi_seen *x, unsigned inner) {
  enum { FEW = 8 };
  for (int i = 0; i < x->rank; i++)
    if (!(inner >> i & 1) && x->dim[i] >= FEW && x->step[i] == 1) return true;
  return false;
}

/* part with the lanes of x innermost. */
static struct sumi_seen lanes_innermost(const struct sumi_seen *part, const struct sumi_seen *x,
                                        unsigned inner) {
  struct sumi_seen s = *part;
  int lanes = 0;
  while (inner >> lanes & 1 || x->step[lanes] != 1 || x->dim[lanes] == 1) lanes++;
  int64_t step = part->dim[lanes];
  s.step[lanes] = 1;
  for (int k = x->rank - 1; k >= 0; k--)
    if (k != lanes) s.step[k] = part->dim[k] == 1 ? 0 : step, step *= part->dim[k];
  return s;
}

/* count: elements that are combined into one, those of earlier steps among them. */
static sumi_status reduce(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                          const struct sumi_reduction *r, const struct sumi_seen *y, int64_t count) {
  if (!has_lanes(x, inner)) return reduce_by_rows(c, x, inner, r, y, count);
  if (row_length(x, inner) <= MOST_TAPS) return reduce_by_taps(c, x, inner, r, y, count);
  /* one dimension after the other, as long as each is short enough */
  int last = -1;
  for (int i = 0; i < x->rank; i++) {
    if (!(inner >> i & 1) || x->dim[i] == 1) continue;
    if (x->dim[i] > MOST_TAPS) return reduce_by_rows(c, x, inner, r, y, count);
    last = i;
  }
  const sumi_dtype d = sumi_dtype_is_float(c->operand[x->operand].dtype) ? SUMI_FLOAT32 : SUMI_INT32;
  const struct sumi_seen part = sumi_seen_temp(c, d, x, 1u << last, 0, 1);
  if (part.operand < 0) return SUMI_E_MEMORY;
  const struct sumi_seen between = lanes_innermost(&part, x, inner);
  const struct sumi_reduction first = {r->kind, r->each, NULL}, rest = {r->kind, NULL, r->last};
  SUMI_TRY(reduce_by_taps(c, x, 1u << last, &first, &between, 0));
  return reduce(c, &between, inner & ~(1u << last), &rest, y, count);
}

sumi_status sumi_reduce_cells(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                              const struct sumi_reduction *r, const struct sumi_seen *y) {
  return reduce(c, x, inner, r, y, row_length(x, inner));
}

/* ---- softmax -------------------------------------------------------------------------------------------------------------- */

sumi_status sumi_softmax_cells(struct sumi_cells *c, const struct sumi_seen *x, unsigned inner,
                               const struct sumi_seen *y) {
  struct sumi_seen from = *x;
  SUMI_TRY(sumi_rows_straight(c, &from, inner));
  const struct sumi_seen max = sumi_seen_temp(c, SUMI_FLOAT32, &from, inner, 0, 1),
                         inverse = sumi_seen_temp(c, SUMI_FLOAT32, &from, inner, 0, 1);
  struct sumi_seen e = from;
  e.operand = sumi_cells_temp(c, SUMI_FLOAT32, 1, &(const int64_t){row_length(&from, ~0u)});
  if (max.operand < 0 || inverse.operand < 0 || e.operand < 0) return SUMI_E_MEMORY;
  struct sumi_vector p;

  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &from, inner);
  const int largest =
      sumi_vector_reduce(&p, SUMI_CARD_V_RMAX, sumi_vector_load(&p, sumi_vector_see(&p, &from)));
  sumi_vector_tail(&p);
  sumi_vector_store(&p, sumi_vector_see(&p, &max), largest);
  SUMI_TRY(sumi_vector_end(&p));

  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &from, inner);
  const int a = sumi_vector_load(&p, sumi_vector_see(&p, &from)),
            m = sumi_vector_load(&p, sumi_vector_see(&p, &max));
  const int v = SUMI_VECTOR(&p, "sumi_exp_f32(a - b)", a, m);
  sumi_vector_store(&p, sumi_vector_see(&p, &e), v);
  const int sum = sumi_vector_reduce(&p, SUMI_CARD_V_RSUM, v);
  sumi_vector_tail(&p);
  sumi_vector_store(&p, sumi_vector_see(&p, &inverse), SUMI_VECTOR(&p, "1 / a", sum));
  SUMI_TRY(sumi_vector_end(&p));

  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &e, 0);
  const int part = sumi_vector_load(&p, sumi_vector_see(&p, &e)),
            scale = sumi_vector_load(&p, sumi_vector_see(&p, &inverse));
  sumi_vector_store(&p, sumi_vector_see(&p, y), SUMI_VECTOR(&p, "a * b", part, scale));
  return sumi_vector_end(&p);
}

/* ---- normalisation ---------------------------------------------------------------------------------------------------------- */

static int see_if(struct sumi_vector *p, const struct sumi_seen *s) {
  return s->operand < 0 ? -1 : sumi_vector_see(p, s);
}

static sumi_status mean_cell(struct sumi_cells *c, const struct sumi_norm *n, const struct sumi_seen *x,
                             const struct sumi_seen *mean) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, x, n->inner);
  const int sum = sumi_vector_reduce(&p, SUMI_CARD_V_RSUM, sumi_vector_load(&p, sumi_vector_see(&p, x)));
  sumi_vector_tail(&p);
  const int m = apply(&p, "a / b", sum, (float)row_length(x, n->inner));
  sumi_vector_store(&p, sumi_vector_see(&p, mean), m);
  sumi_vector_store(&p, see_if(&p, &n->mean), m);
  return sumi_vector_end(&p);
}

/* both: mean and factor beside each other. */
static sumi_status factor_cell(struct sumi_cells *c, const struct sumi_norm *n, const struct sumi_seen *x,
                               const struct sumi_seen *mean, const struct sumi_seen *both) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, x, n->inner);
  const int from = see_if(&p, mean);
  int d = sumi_vector_load(&p, sumi_vector_see(&p, x));
  if (n->centred) d = SUMI_VECTOR(&p, "a - b", d, sumi_vector_load(&p, from));
  const int squares = sumi_vector_reduce(&p, SUMI_CARD_V_RSUM, SUMI_VECTOR(&p, "a * a", d));
  sumi_vector_tail(&p);
  const int f = apply(&p, n->factor, apply(&p, "a / b", squares, (float)row_length(x, n->inner)), n->epsilon);
  const int to = sumi_vector_see(&p, both),
            m = n->centred ? sumi_vector_load(&p, from) : sumi_vector_float(&p, 0);
  sumi_vector_store_at(&p, to, 0, m);
  sumi_vector_store_at(&p, to, 1, f);
  sumi_vector_store(&p, see_if(&p, &n->inverse), f);
  if (!n->centred) sumi_vector_store(&p, see_if(&p, &n->mean), m);
  return sumi_vector_end(&p);
}

/* scale and bias beside each other, where both are constants of one shape; operand -1: they are not. */
static struct sumi_seen join_constants(struct sumi_cells *c, const struct sumi_seen *a,
                                       const struct sumi_seen *b) {
  struct sumi_seen pair = *a;
  pair.operand = -1;
  if (a->operand < 0 || b->operand < 0) return pair;
  const struct sumi_cell_operand x = c->operand[a->operand], y = c->operand[b->operand];
  if (!x.data || !y.data || memcmp(a->dim, b->dim, sizeof a->dim) ||
      memcmp(a->step, b->step, sizeof a->step) || !sumi_dtype_is_float(x.dtype) ||
      !sumi_dtype_is_float(y.dtype))
    return pair;
  const int64_t n = row_length(a, ~0u), both = 2 * n;
  float *data = SUMI_NEW_ARRAY(c->arena, (size_t)both, float);
  if (!data) return pair;
  for (int64_t i = 0; i < n; i++) {
    data[2 * i] = (float)sumi_get_f64(x.dtype, x.data, i);
    data[2 * i + 1] = (float)sumi_get_f64(y.dtype, y.data, i);
  }
  for (int i = 0; i < pair.rank; i++) pair.step[i] *= 2;
  pair.operand = sumi_cells_constant(c, SUMI_FLOAT32, 1, &both, data);
  return pair;
}

static void finish(struct sumi_vector *p, const struct sumi_cells *c, const struct sumi_norm *n, int v) {
  if (n->finish) v = n->finish(p, c, v);
  sumi_vector_store(p, sumi_vector_see(p, &n->y), v);
}

/* scale and bias of what has been normalised to t. */
static sumi_status scale_cell(struct sumi_cells *c, const struct sumi_norm *n, const struct sumi_seen *t) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, t, 0);
  int v = sumi_vector_load(&p, sumi_vector_see(&p, t));
  if (n->scale.operand >= 0)
    v = SUMI_VECTOR(&p, "a * b", v, sumi_vector_load(&p, sumi_vector_see(&p, &n->scale)));
  if (n->bias.operand >= 0)
    v = SUMI_VECTOR(&p, "a + b", v, sumi_vector_load(&p, sumi_vector_see(&p, &n->bias)));
  finish(&p, c, n, v);
  return sumi_vector_end(&p);
}

sumi_status sumi_norm_cells(struct sumi_cells *c, const struct sumi_norm *n) {
  struct sumi_seen x = n->x, mean = {.operand = -1}, t = {.operand = -1};
  SUMI_TRY(sumi_rows_straight(c, &x, n->inner));
  if (n->centred) {
    mean = sumi_seen_temp(c, SUMI_FLOAT32, &x, n->inner, 0, 1);
    if (mean.operand < 0) return SUMI_E_MEMORY;
    SUMI_TRY(mean_cell(c, n, &x, &mean));
  }
  const struct sumi_seen both = sumi_seen_temp(c, SUMI_FLOAT32, &x, n->inner, 0, 2);
  if (both.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(factor_cell(c, n, &x, &mean, &both));
  const struct sumi_seen pair = join_constants(c, &n->scale, &n->bias);
  const bool two = pair.operand < 0 && n->scale.operand >= 0 && n->bias.operand >= 0;
  if (two) {
    t = sumi_seen_temp(c, SUMI_FLOAT32, &x, 0, n->inner, 1);
    if (t.operand < 0) return SUMI_E_MEMORY;
  }
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &x, 0);
  const int from = sumi_vector_see(&p, &both);
  int v = SUMI_VECTOR(&p, "(a - b) * c", sumi_vector_load(&p, sumi_vector_see(&p, &x)),
                      sumi_vector_load_at(&p, from, 0), sumi_vector_load_at(&p, from, 1));
  if (two) {
    sumi_vector_store(&p, sumi_vector_see(&p, &t), v);
    SUMI_TRY(sumi_vector_end(&p));
    return scale_cell(c, n, &t);
  }
  if (pair.operand >= 0) {
    const int view = sumi_vector_see(&p, &pair);
    v = SUMI_VECTOR(&p, "a * b + c", v, sumi_vector_load_at(&p, view, 0), sumi_vector_load_at(&p, view, 1));
  } else if (n->scale.operand >= 0) {
    v = SUMI_VECTOR(&p, "a * b", v, sumi_vector_load(&p, sumi_vector_see(&p, &n->scale)));
  } else if (n->bias.operand >= 0) {
    v = SUMI_VECTOR(&p, "a + b", v, sumi_vector_load(&p, sumi_vector_see(&p, &n->bias)));
  }
  finish(&p, c, n, v);
  return sumi_vector_end(&p);
}

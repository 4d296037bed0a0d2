/* Padding is copied around the input first, with what loses or adds nothing. A window of many elements is taken one dimension after
 * the other: largest elements and sums allow it. */
#include "op/pool_cells.h"

#include <string.h>

#include "base/size.h"
#include "op/move_cells.h"
#include "op/pool.h"
#include "op/quant_cells.h"

enum {
  FEW_TAPS = 16,  /* of a whole window: taken at once */
  MOST_TAPS = 100 /* a load and a combination each, in a program of 256 operations */
};

struct pool_cells {
  struct sumi_cells *c;
  struct sumi_pool pool;
  struct sumi_seen x, y; /* [batch, channels, ...] */
  bool max;
  uint32_t fill; /* the padding's bytes */
  struct sumi_seen
      counts; /* of average: what a sum is divided by, along the output's pixels; operand -1: count */
  float count;
  bool quantised;
  double scale; /* of quantised sums: y = round((sum - less) / count * scale) + zero */
  int32_t less, zero;
};

/* ---- padding ------------------------------------------------------------------------------------------------------------- */

/* Elements of x that windows reach along a dimension, counted from the padding's beginning. */
static int64_t reach(const struct sumi_pool *v, int d) {
  const struct sumi_window *w = &v->window;
  return (w->out[d] - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1;
}

static bool needs_padding(const struct sumi_pool *v) {
  for (int d = 0; d < v->n; d++)
    if (v->window.begin[d] > 0 || reach(v, d) > v->in[d]) return true;
  return false;
}

static sumi_status copy_part(const struct pool_cells *p, const int64_t *dim, const struct sumi_seen *to,
                             int64_t at, bool fill) {
  const struct sumi_box box = sumi_box_make(to->rank, dim, to->step, fill ? to->step : p->x.step);
  return sumi_box_cell(p->c, &box, to->operand, at, fill ? -1 : p->x.operand, 0, p->fill);
}

/* x between padding, in lanes of channels. */
static sumi_status pad(struct pool_cells *p) {
  const struct sumi_pool *v = &p->pool;
  struct sumi_seen wide = p->x;
  for (int d = 0; d < v->n; d++) wide.dim[2 + d] = reach(v, d);
  const struct sumi_seen to = sumi_seen_temp(p->c, p->c->operand[p->x.operand].dtype, &wide, 0, 1u << 1, 1);
  if (to.operand < 0) return SUMI_E_MEMORY;
  int64_t dim[SUMI_VECTOR_LOOPS], at = 0;
  memcpy(dim, to.dim, sizeof dim);
  for (int d = 0; d < v->n; d++) {
    const int64_t begin = SUMI_MIN(v->window.begin[d], to.dim[2 + d]),
                  kept = SUMI_MIN(v->in[d], to.dim[2 + d] - begin), step = to.step[2 + d];
    dim[2 + d] = begin;
    if (begin) SUMI_TRY(copy_part(p, dim, &to, at, true));
    dim[2 + d] = to.dim[2 + d] - begin - kept;
    if (dim[2 + d]) SUMI_TRY(copy_part(p, dim, &to, at + (begin + kept) * step, true));
    dim[2 + d] = kept;
    at += begin * step;
  }
  SUMI_TRY(copy_part(p, dim, &to, at, false));
  p->x = to;
  return SUMI_OK;
}

/* ---- windows ------------------------------------------------------------------------------------------------------------- */

static int divide(struct sumi_vector *p, const struct pool_cells *j, int sum) {
  if (j->quantised) sum = sumi_quant_centred(p, sum, j->less);
  const int count = j->counts.operand < 0 ? sumi_vector_float(p, j->count)
                                          : sumi_vector_load(p, sumi_vector_see(p, &j->counts));
  if (!j->quantised) return SUMI_VECTOR(p, "a / b", sum, count);
  const int v = SUMI_VECTOR(p, "a / c * b", sum, sumi_vector_float(p, (float)j->scale), count);
  return sumi_quant_round(p, v, sumi_vector_int(p, j->zero));
}

/* The windows' part along the spatial dimensions [first, last) of x. */
static sumi_status stage(const struct pool_cells *j, const struct sumi_seen *x, int first, int last,
                         const struct sumi_seen *y, bool done) {
  const struct sumi_window *w = &j->pool.window;
  struct sumi_seen from = *x;
  int64_t tap[SUMI_MAX_RANK] = {0};
  struct sumi_vector p;
  for (int d = first; d < last; d++) {
    from.dim[2 + d] = w->out[d];
    from.step[2 + d] *= w->stride[d];
  }
  sumi_vector_start(&p, j->c);
  sumi_vector_over_seen(&p, y, 0);
  const int view = sumi_vector_see(&p, &from);
  int v = -1, d;
  do {
    int64_t distance = 0;
    for (int k = first; k < last; k++) distance += tap[k] * w->dilation[k] * x->step[2 + k];
    const int a = sumi_vector_load_at(&p, view, distance);
    v = v < 0 ? a : SUMI_VECTOR(&p, j->max ? "a > b ? a : b" : "a + b", v, a);
    for (d = last - 1; d >= first && ++tap[d] == w->kernel[d]; d--) tap[d] = 0;
  } while (d >= first && !sumi_vector_bad(&p));
  if (done && !j->max) v = divide(&p, j, v);
  sumi_vector_store(&p, sumi_vector_see(&p, y), v);
  return sumi_vector_end(&p);
}

static sumi_status pool_cells(struct pool_cells *j) {
  const struct sumi_pool *v = &j->pool;
  int64_t taps = 1;
  for (int d = 0; d < v->n; d++) {
    if (v->window.kernel[d] > MOST_TAPS)
      return sumi_cells_refuse(j->c, "a window of more than %d elements along a dimension", MOST_TAPS);
    taps = SUMI_MIN(taps * v->window.kernel[d], MOST_TAPS);
  }
  if (needs_padding(v)) SUMI_TRY(pad(j));
  if (taps <= FEW_TAPS) return stage(j, &j->x, 0, v->n, &j->y, true);
  const sumi_dtype x_type = j->c->operand[j->x.operand].dtype, type = j->max ? x_type
                                                                      : sumi_dtype_is_float(x_type)
                                                                          ? SUMI_FLOAT32
                                                                          : SUMI_INT32;
  struct sumi_seen from = j->x;
  for (int d = v->n - 1; d > 0; d--) { /* rows first */
    struct sumi_seen like = from;
    like.dim[2 + d] = v->window.out[d];
    const struct sumi_seen to = sumi_seen_temp(j->c, type, &like, 0, 1u << 1, 1);
    if (to.operand < 0) return SUMI_E_MEMORY;
    SUMI_TRY(stage(j, &from, d, d + 1, &to, false));
    from = to;
  }
  return stage(j, &from, 0, 1, &j->y, true);
}

/* ---- operators ------------------------------------------------------------------------------------------------------------ */

/* Dimensions as [batch, channels, ...] of an operand whose channels are last. */
static struct sumi_seen turned(const struct sumi_cells *c, int operand) {
  const struct sumi_seen own = sumi_see(c, operand);
  struct sumi_seen s = own;
  for (int i = 1; i < s.rank; i++) {
    s.dim[i] = own.dim[i == 1 ? own.rank - 1 : i - 1];
    s.step[i] = own.step[i == 1 ? own.rank - 1 : i - 1];
  }
  return s;
}

/* x and y, and the windows by the rules of operator set `version` (0: the node's). */
static sumi_status begin(struct pool_cells *j, struct sumi_cells *c, bool channels_last, int version) {
  const int y = sumi_cells_out(c, 0);
  *j = (struct pool_cells){.c = c, .counts = {.operand = -1}};
  if (!c->out[0] || (c->n_out > 1 && c->out[1])) return sumi_cells_refuse(c, "indices are wanted");
  if (!sumi_tensor_count(c->out[0]) || !sumi_tensor_count(c->in[0]))
    return sumi_cells_refuse(c, "an empty tensor");
  struct sumi_node node = *c->node;
  struct sumi_tensor x = *c->in[0];
  if (version) node.version = version;
  if (channels_last) {
    j->x = turned(c, 0);
    j->y = turned(c, y);
    for (int i = 0; i < x.rank; i++) x.dim[i] = j->x.dim[i];
  } else {
    const int from = sumi_cells_neighbours(c, 0, 1), to = sumi_cells_neighbours(c, y, 1);
    if (from < 0 || to < 0) return SUMI_E_MEMORY;
    j->x = sumi_see(c, from);
    j->y = sumi_see(c, to);
  }
  return sumi_pool_resolve(&node, &x, &j->pool, c->err);
}

static sumi_status max_pool(struct sumi_cells *c, bool channels_last, int version) {
  struct pool_cells j;
  SUMI_TRY(begin(&j, c, channels_last, version));
  j.max = true;
  const sumi_dtype d = c->in[0]->dtype; /* minus infinity, or the lowest integer */
  j.fill = d == SUMI_FLOAT32 ? 0xff800000u : d == SUMI_BFLOAT16 ? 0xff80u : d == SUMI_INT8 ? 0x80u : 0;
  return pool_cells(&j);
}

sumi_status sumi_max_pool_cells(struct sumi_cells *c) { return max_pool(c, false, 0); }
sumi_status sumi_nhwc_max_pool_cells(struct sumi_cells *c) { return max_pool(c, true, 12); }

/* What each output pixel's sum is divided by, 1 where its window is empty: one number, or a constant of the output's pixels. */
static sumi_status find_counts(struct pool_cells *j) {
  const struct sumi_pool *v = &j->pool;
  float *count = SUMI_NEW_ARRAY(j->c->arena, (size_t)v->out_pixels, float);
  if (!count) SUMI_FAIL_MEMORY(j->c->err);
  bool same = true;
  int64_t i = 0;
  for (struct sumi_walk w = sumi_walk_start(v->n, v->window.out, NULL, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), i++) {
    int64_t n = 1;
    for (int d = 0; d < v->n; d++) n *= sumi_pool_taps(v, d, w.index[d], v->count_include_pad);
    count[i] = (float)SUMI_MAX(n, 1);
    same = same && count[i] == count[0];
  }
  j->count = count[0];
  if (same) return SUMI_OK;
  int64_t dim[SUMI_MAX_RANK] = {1, 1};
  for (int d = 0; d < v->n; d++) dim[2 + d] = v->window.out[d];
  const int operand = sumi_cells_constant(j->c, SUMI_FLOAT32, 2 + v->n, dim, count);
  if (operand < 0) return SUMI_E_MEMORY;
  j->counts = sumi_see(j->c, operand);
  return SUMI_OK;
}

sumi_status sumi_average_pool_cells(struct sumi_cells *c) {
  struct pool_cells j;
  SUMI_TRY(begin(&j, c, false, 0));
  SUMI_TRY(find_counts(&j));
  return pool_cells(&j);
}

/* Padding is the zero point: it adds nothing to what is left of a sum without zero points. */
sumi_status sumi_qlinear_average_pool_cells(struct sumi_cells *c) {
  struct pool_cells j;
  double sx, sy;
  int32_t zx, zy;
  SUMI_TRY(begin(&j, c, sumi_attr_int(c->node, "channels_last", 0) != 0, 11));
  if (!sumi_quant_constants(c, 1, 2, &sx, &zx) || !sumi_quant_constants(c, 3, 4, &sy, &zy))
    return sumi_cells_refuse(c, "a scale or zero point is not constant");
  SUMI_TRY(find_counts(&j));
  int64_t taps = 1;
  for (int d = 0; d < j.pool.n; d++)
    if (!sumi_i64_mul(taps, j.pool.window.kernel[d], &taps) || taps > INT32_MAX / 512)
      return sumi_cells_refuse(c, "a window of very many elements");
  j.fill = (uint8_t)zx;
  j.quantised = true;
  j.scale = sx / sy;
  j.less = (int32_t)taps * zx;
  j.zero = zy;
  return pool_cells(&j);
}

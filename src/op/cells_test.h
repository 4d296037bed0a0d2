/* For tests: carries cells (plan/cell.h) out over host memory, element by element, by the formulas of
 * card/word.h. An element outside its operand, or a cell no word could say, is an error. */
#ifndef SUMI_OP_CELLS_TEST_H
#define SUMI_OP_CELLS_TEST_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "plan/cell.h"
#include "sim/act.h"
#include "sim/vpu.h"

struct cells_run {
  const struct sumi_cells *c;
  uint8_t **data; /* [c->n_operand]: bytes in the operand's order of step */
  char wrong[160];
};

#define CELLS_WRONG(r, ...) (snprintf((r)->wrong, sizeof(r)->wrong, __VA_ARGS__), false)
#define CELLS_DO(call)         \
  do {                         \
    if (!(call)) return false; \
  } while (0)

static inline size_t cells_elem(const struct cells_run *r, int operand) {
  return (size_t)sumi_dtype_bits(r->c->operand[operand].dtype) / 8;
}

/* Whether elements [at, at + n * step) are inside. */
static inline bool cells_inside(struct cells_run *r, int operand, int64_t at, int64_t n, int64_t step) {
  if (operand < 0 || (size_t)operand >= r->c->n_operand || !r->data[operand])
    return CELLS_WRONG(r, "operand %d does not exist", operand);
  const int64_t count = (int64_t)(r->c->operand[operand].bytes / cells_elem(r, operand));
  const int64_t last = at + (n - 1) * step;
  if (at >= 0 && at < count && last >= 0 && last < count) return true;
  return CELLS_WRONG(r, "operand %d: elements %" PRId64 " to %" PRId64 " of %" PRId64, operand, at, last,
                     count);
}

static inline uint8_t *cells_at(const struct cells_run *r, int operand, int64_t at) {
  return r->data[operand] + at * (int64_t)cells_elem(r, operand);
}

/* The next index of a nest of loops; false: it was the last. */
static inline bool cells_next(int rank, const int64_t *n, int64_t *i) {
  for (int d = rank - 1; d >= 0; d--) {
    if (++i[d] < n[d]) return true;
    i[d] = 0;
  }
  return false;
}

static inline int64_t cells_place(const struct sumi_cell_view *v, int rank, const int64_t *i) {
  int64_t at = v->at;
  for (int d = 0; d < rank; d++) at += i[d] * v->step[d];
  return at;
}

static inline bool cells_some(const int64_t *n, int rank) {
  for (int d = 0; d < rank; d++)
    if (n[d] < 1) return false;
  return true;
}

/* ---- vectors --------------------------------------------------------------------------------------------- */

/* What one operation touches in the row whose views begin at at[]. */
static inline bool cells_touch(struct cells_run *r, const struct sumi_cell_vector *v, const int64_t *at,
                               const struct sumi_card_vop *op, bool tail) {
  const bool gather = op->op == SUMI_CARD_V_GATHER;
  if (op->op != SUMI_CARD_V_LD && op->op != SUMI_CARD_V_ST && !gather) return true;
  if (op->a >= SUMI_CARD_VPU_VIEWS) return CELLS_WRONG(r, "view %d", op->a);
  const int operand = v->view[op->a].operand;
  const int64_t first = at[op->a] + (gather ? 0 : (int32_t)op->c);
  CELLS_DO(cells_inside(r, operand, first,
                        gather ? op->c
                        : tail ? 1
                               : v->n[v->rank - 1],
                        v->view[op->a].step[v->rank - 1]));
  if (op->op == SUMI_CARD_V_ST && r->c->operand[operand].data)
    return CELLS_WRONG(r, "constant operand %d is written", operand);
  if (sumi_cells_type(r->c->operand[operand].dtype) == SUMI_CARD_N_DTYPES)
    return CELLS_WRONG(r, "operand %d is of no type of the card", operand);
  return true;
}

static inline bool cells_vector(struct cells_run *r, const struct sumi_cell_vector *v) {
  const int last = v->rank - 1;
  int64_t i[SUMI_CELL_LOOPS] = {0};
  if (v->rank < 1 || v->rank > SUMI_CELL_LOOPS || !cells_some(v->n, v->rank) || v->body < 1 || v->tail < 0 ||
      v->body > UINT8_MAX || v->tail > UINT8_MAX || v->body + v->tail > SUMI_CARD_VPU_OPS)
    return CELLS_WRONG(r, "rank %d, body %d, tail %d, or an empty loop", v->rank, v->body, v->tail);
  struct sumi_card_vector w = {
      .body = (uint8_t)v->body, .tail = (uint8_t)v->tail, .n = {1, 1, (uint32_t)v->n[last]}};
  struct vpu unit;
  struct sim_failure f;
  memcpy(w.param, v->param, sizeof w.param);
  vpu_init(&unit, &w, v->op);
  do {
    int64_t at[SUMI_CARD_VPU_VIEWS];
    for (int k = 0; k < SUMI_CARD_VPU_VIEWS; k++) at[k] = cells_place(&v->view[k], last, i);
    for (int k = 0; k < v->body + v->tail; k++) CELLS_DO(cells_touch(r, v, at, &v->op[k], k >= v->body));
    for (int k = 0; k < SUMI_CARD_VPU_VIEWS; k++) {
      const int operand = v->view[k].operand;
      if (operand < 0 || (size_t)operand >= r->c->n_operand || !r->data[operand]) continue;
      w.view[k] = (struct sumi_card_view){.step = {0, 0, (int32_t)v->view[k].step[last]},
                                          .dtype = (uint8_t)sumi_cells_type(r->c->operand[operand].dtype)};
      unit.view[k] = cells_at(r, operand, at[k]);
    }
    unit.i0 = last > 1 ? (uint32_t)i[last - 2] : 0;
    unit.i1 = last > 0 ? (uint32_t)i[last - 1] : 0;
    if (!vpu_row(&unit, &f)) return CELLS_WRONG(r, "GATHER of element %" PRIu64, f.detail);
  } while (cells_next(last, v->n, i));
  return true;
}

/* ---- copies ---------------------------------------------------------------------------------------------- */

static inline bool cells_copy(struct cells_run *r, const struct sumi_cell_copy *v) {
  int64_t i[SUMI_CELL_LOOPS] = {0};
  if (v->rank < 0 || v->rank > SUMI_CELL_LOOPS || !cells_some(v->n, v->rank))
    return CELLS_WRONG(r, "rank %d, or an empty loop", v->rank);
  do {
    const int64_t to = cells_place(&v->to, v->rank, i), from = cells_place(&v->from, v->rank, i);
    CELLS_DO(cells_inside(r, v->to.operand, to, 1, 0));
    if (r->c->operand[v->to.operand].data) return CELLS_WRONG(r, "a constant is written");
    const size_t e = cells_elem(r, v->to.operand);
    if (v->from.operand < 0) {
      if (e > 4) return CELLS_WRONG(r, "elements of %zu bytes are filled", e);
      memcpy(cells_at(r, v->to.operand, to), &v->fill, e);
      continue;
    }
    CELLS_DO(cells_inside(r, v->from.operand, from, 1, 0));
    if (cells_elem(r, v->from.operand) != e) return CELLS_WRONG(r, "elements of two sizes");
    memcpy(cells_at(r, v->to.operand, to), cells_at(r, v->from.operand, from), e);
  } while (cells_next(v->rank, v->n, i));
  return true;
}

static inline bool cells_lookup(struct cells_run *r, const struct sumi_cell_lookup *v) {
  for (int64_t i = 0; i < v->n; i++) {
    CELLS_DO(cells_inside(r, v->ids, i, 1, 0));
    int64_t id = sumi_get_i64(r->c->operand[v->ids].dtype, r->data[v->ids], i);
    if (id < 0) id += v->rows;
    if (id < 0 || id >= v->rows) return CELLS_WRONG(r, "id %" PRId64 " of %" PRId64, id, v->rows);
    CELLS_DO(cells_inside(r, v->table, id * v->row, v->row, 1));
    CELLS_DO(cells_inside(r, v->out, i * v->row, v->row, 1));
    memcpy(cells_at(r, v->out, i * v->row), cells_at(r, v->table, id * v->row),
           (size_t)v->row * cells_elem(r, v->out));
  }
  return true;
}

/* ---- products -------------------------------------------------------------------------------------------- */

static inline float cells_bf16(const uint8_t *at) {
  uint16_t half;
  memcpy(&half, at, 2);
  return sumi_f32_from_bf16(half);
}

/* One sum's bits; x, w: of the outer step, w of the output. */
static inline bool cells_sum(struct cells_run *r, const struct sumi_cell_product *p, int64_t x, int64_t w,
                             int64_t oy, int64_t ox, int32_t *out) {
  const sumi_dtype xt = r->c->operand[p->x.operand].dtype, wt = r->c->operand[p->w.operand].dtype;
  const bool real = xt == SUMI_BFLOAT16;
  uint32_t whole = 0;
  float sum = 0;
  for (int64_t ky = 0; ky < p->kernel_h; ky++)
    for (int64_t kx = 0; kx < p->kernel_w; kx++) {
      const int64_t iy = oy * p->stride_h + ky * p->dilation_h - p->pad_top,
                    ix = ox * p->stride_w + kx * p->dilation_w - p->pad_left;
      if (iy < 0 || iy >= p->in_rows || ix < 0 || ix >= p->in_cols) continue;
      const int64_t at = x + iy * p->x_row + ix * p->x_pixel, by = w + ky * p->w_row + kx * p->w_col;
      CELLS_DO(cells_inside(r, p->x.operand, at, p->channels, 1));
      CELLS_DO(cells_inside(r, p->w.operand, by, p->channels, p->w_channel));
      const uint8_t *xs = cells_at(r, p->x.operand, at), *ws = cells_at(r, p->w.operand, by);
      for (int64_t c = 0; c < p->channels; c++) {
        if (real) {
          sum += cells_bf16(xs + 2 * c) * cells_bf16(ws + 2 * c * p->w_channel); /* the product is exact */
          continue;
        }
        const int32_t a = xt == SUMI_INT8 ? (int8_t)xs[c] : xs[c];
        const int32_t b = wt == SUMI_INT8 ? (int8_t)ws[c * p->w_channel] : ws[c * p->w_channel];
        whole += (uint32_t)((a - p->x_zero) * (b - p->w_zero));
      }
    }
  *out = real ? (int32_t)sumi_f32_bits(sum) : (int32_t)whole;
  return true;
}

/* ACT's word for an operand of y's and residual's types. */
static inline bool cells_act(struct cells_run *r, const struct sumi_cell_product *p,
                             struct sumi_card_act *a) {
  const struct sumi_cell_operand *o = r->c->operand;
  struct sim_failure f;
  *a = (struct sumi_card_act){
      .h = {.flags = (uint16_t)p->flags},
      .images = 1,
      .rows = 1,
      .cols = 1,
      .channels = 1,
      .acc_dtype = o[p->x.operand].dtype == SUMI_BFLOAT16 ? SUMI_CARD_F32 : SUMI_CARD_I32,
      .out_dtype = (uint8_t)sumi_cells_type(o[p->y.operand].dtype),
      .residual_dtype =
          p->flags & SUMI_CARD_ACT_RESIDUAL ? (uint8_t)sumi_cells_type(o[p->residual.operand].dtype) : 0,
      .function = (uint8_t)p->function,
      .alpha = p->alpha,
      .first_zero = p->first_zero,
      .first_lo = p->first_lo,
      .first_hi = p->first_hi,
      .r_zero = p->r_zero,
      .r_mul = p->r_mul,
      .c = p->c,
      .r = p->r};
  if (!act_form(a, &f)) return CELLS_WRONG(r, "ACT would refuse it: detail %" PRIu64, f.detail);
  return true;
}

static inline bool cells_byte(sumi_dtype d) { return d == SUMI_INT8 || d == SUMI_UINT8 || d == SUMI_BOOL; }

static inline bool cells_product_form(struct cells_run *r, const struct sumi_cell_product *p) {
  const int operand[] = {p->x.operand, p->w.operand, p->y.operand};
  const int step[] = {p->kernel_h, p->kernel_w, p->stride_h, p->stride_w, p->dilation_h, p->dilation_w};
  const int64_t size[] = {p->images, p->rows, p->cols, p->channels, p->outputs, p->in_rows, p->in_cols};
  for (size_t i = 0; i < SUMI_COUNT(operand); i++) CELLS_DO(cells_inside(r, operand[i], 0, 1, 0));
  for (size_t i = 0; i < SUMI_COUNT(step); i++)
    if (step[i] < 1 || step[i] > 255) return CELLS_WRONG(r, "a kernel, stride or dilation is %d", step[i]);
  if (!cells_some(size, SUMI_COUNT(size)) || p->n_outer < 0 || p->n_outer > SUMI_CELL_OUTER ||
      !cells_some(p->outer, p->n_outer))
    return CELLS_WRONG(r, "an empty loop, or %d outer ones", p->n_outer);
  const struct sumi_cell_operand *x = &r->c->operand[p->x.operand], *w = &r->c->operand[p->w.operand];
  if (!(x->dtype == SUMI_BFLOAT16 && w->dtype == SUMI_BFLOAT16) &&
      !(cells_byte(x->dtype) && cells_byte(w->dtype)))
    return CELLS_WRONG(r, "a product of other types");
  if (!w->data && p->w_channel != 1 && p->channels > 1)
    return CELLS_WRONG(r, "a second operand whose channels are no neighbours");
  const int lo_x = x->dtype == SUMI_INT8 ? -128 : 0, lo_w = w->dtype == SUMI_INT8 ? -128 : 0;
  const bool real = x->dtype == SUMI_BFLOAT16;
  if (real ? p->x_zero || p->w_zero
           : p->x_zero < lo_x || p->x_zero > lo_x + 255 || p->w_zero < lo_w || p->w_zero > lo_w + 255)
    return CELLS_WRONG(r, "zero points %d, %d", p->x_zero, p->w_zero);
  return true;
}

static inline bool cells_product(struct cells_run *r, const struct sumi_cell_product *p) {
  CELLS_DO(cells_product_form(r, p));
  struct sumi_card_act act;
  CELLS_DO(cells_act(r, p, &act));
  const int64_t inner[] = {p->outputs, p->images, p->rows, p->cols};
  int64_t o[SUMI_CELL_OUTER] = {0}, o_linear = 0;
  do {
    const int64_t x = cells_place(&p->x, p->n_outer, o), w = cells_place(&p->w, p->n_outer, o);
    int64_t i[4] = {0};
    do {
      const int64_t n = i[0], k = (p->param_outer ? o_linear * p->outputs : 0) + n;
      const int64_t pixel = i[1] * p->y_image + i[2] * p->y_row + i[3] * p->y_pixel + n;
      const int64_t y = cells_place(&p->y, p->n_outer, o) + pixel;
      const struct sumi_card_channel ch = {p->bias ? p->bias[k] : 0, p->scale ? p->scale[k] : 1,
                                           p->add ? p->add[k] : 0, 0};
      const uint8_t *residual = NULL;
      int32_t bits;
      CELLS_DO(cells_sum(r, p, x + i[1] * p->x_image, w + n * p->w_output, i[2], i[3], &bits));
      CELLS_DO(cells_inside(r, p->y.operand, y, 1, 0));
      if (p->flags & SUMI_CARD_ACT_RESIDUAL) {
        const int64_t at = cells_place(&p->residual, p->n_outer, o) + pixel;
        CELLS_DO(cells_inside(r, p->residual.operand, at, 1, 0));
        residual = cells_at(r, p->residual.operand, at);
      }
      act_write(&act, p->flags & SUMI_CARD_ACT_TABLE ? p->table : NULL, cells_at(r, p->y.operand, y),
                act_element(&act, &ch, bits, residual));
    } while (cells_next(4, inner, i));
    o_linear++;
  } while (cells_next(p->n_outer, p->outer, o));
  return true;
}

/* All cells in order; false: r->wrong says what. */
static inline bool cells_run(struct cells_run *r) {
  for (size_t i = 0; i < r->c->n_cell; i++) {
    const struct sumi_cell *cell = &r->c->cell[i];
    bool good = false;
    switch (cell->kind) {
      case SUMI_CELL_VECTOR: good = cells_vector(r, &cell->u.vector); break;
      case SUMI_CELL_COPY: good = cells_copy(r, &cell->u.copy); break;
      case SUMI_CELL_LOOKUP: good = cells_lookup(r, &cell->u.lookup); break;
      case SUMI_CELL_PRODUCT: good = cells_product(r, &cell->u.product); break;
    }
    if (!good) return false;
  }
  return true;
}

#endif

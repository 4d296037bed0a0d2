/* Products: checks a cell, joins its groups where they are small, and has it packed, cut and written (product_int.h). */
#include <limits.h>

#include "device/antoum/product_int.h"

enum { MOST_STEP = INT32_MAX };

/* The card's type of an operand of a product, SUMI_CARD_N_DTYPES where it has none. */
static uint8_t type_of(const struct antoum_cell_job *job, const struct sumi_cell_view *v) {
  switch (job->operand[v->operand].dtype) {
    case SUMI_INT8: return SUMI_CARD_I8;
    case SUMI_UINT8: return SUMI_CARD_U8;
    case SUMI_BFLOAT16: return SUMI_CARD_BF16;
    case SUMI_FLOAT32: return SUMI_CARD_F32;
    case SUMI_INT32: return SUMI_CARD_I32;
    default: return SUMI_CARD_N_DTYPES;
  }
}

static sumi_status take_types(struct product *p) {
  const struct antoum_cell_job *job = p->job;
  const struct sumi_cell_product *v = &p->v;
  p->x_type = type_of(job, &v->x);
  p->w_type = type_of(job, &v->w);
  p->y_type = type_of(job, &v->y);
  p->r_type = p->r_place ? type_of(job, &v->residual) : SUMI_CARD_I8;
  const bool bytes = p->x_type <= SUMI_CARD_U8 && p->w_type <= SUMI_CARD_U8;
  const bool halves = p->x_type == SUMI_CARD_BF16 && p->w_type == SUMI_CARD_BF16;
  if (!bytes && !halves) return antoum_refuse(job, "a product multiplies 8-bit integers or bfloat16");
  if (halves && !SUMI_CARD_VALUE(job->w->profile, bf16))
    return antoum_refuse(job, "this card does not multiply bfloat16");
  const bool real = v->flags & SUMI_CARD_ACT_REAL;
  if (real ? p->y_type != SUMI_CARD_BF16 && p->y_type != SUMI_CARD_F32 : p->y_type > SUMI_CARD_U8)
    return antoum_refuse(job, "a product's results are 8-bit integers, or real where nothing is rounded");
  if (p->r_place && p->r_type >= (real ? SUMI_CARD_I64 : SUMI_CARD_I32))
    return antoum_refuse(job, "a product cannot add a residual of this type");
  p->elem = sumi_card_elem_bytes(p->x_type);
  p->y_elem = sumi_card_elem_bytes(p->y_type);
  p->r_elem = sumi_card_elem_bytes(p->r_type);
  return SUMI_OK;
}

static bool within(int64_t v, int64_t lo, int64_t hi) { return v >= lo && v <= hi; }

/* Constant weights may lie in any order, within their operand. */
static sumi_status check_constant(const struct product *p) {
  const struct sumi_cell_product *v = &p->v;
  const int64_t n[] = {v->outer[0], v->outer[1], v->outer[2], v->outputs,
                       v->kernel_h, v->kernel_w, v->channels};
  const int64_t step[] = {v->w.step[0], v->w.step[1], v->w.step[2], v->w_output,
                          v->w_row,     v->w_col,     v->w_channel};
  const int64_t end = (int64_t)(p->job->operand[v->w.operand].bytes / p->elem);
  int64_t low = v->w.at, high = v->w.at;
  for (size_t i = 0; i < SUMI_COUNT(n); i++) {
    int64_t far, *to = step[i] < 0 ? &low : &high;
    if (!sumi_i64_mul(n[i] - 1, step[i], &far) || !sumi_i64_add(*to, far, to)) high = end;
  }
  if (low < 0 || high >= end) return antoum_refuse(p->job, "a product takes weights that are not there");
  return SUMI_OK;
}

static sumi_status check_computed(const struct product *p) {
  const struct sumi_cell_product *v = &p->v;
  const int64_t n[] = {v->outer[0], v->outer[1], v->outer[2], v->outputs, v->kernel_h, v->kernel_w};
  const int64_t step[] = {v->w.step[0], v->w.step[1], v->w.step[2], v->w_output, v->w_row, v->w_col};
  if (v->channels > 1 && v->w_channel != 1)
    return antoum_refuse(p->job, "channels of weights that are computed must be neighbours");
  /* one matrix may serve all outer steps; outputs and taps have their own */
  for (size_t i = 0; i < SUMI_COUNT(n); i++)
    if (n[i] > 1 && !within(step[i], i < SUMI_CELL_OUTER ? 0 : 1, MOST_STEP))
      return antoum_refuse(p->job, "weights that are computed run backwards, or too far");
  return SUMI_OK;
}

static sumi_status check(const struct product *p) {
  const struct antoum_cell_job *job = p->job;
  const struct sumi_cell_product *v = &p->v;
  const int64_t count[] = {v->images,   v->rows,    v->cols,     v->in_rows,  v->in_cols,
                           v->channels, v->outputs, v->outer[0], v->outer[1], v->outer[2]};
  const int64_t step[] = {v->x_image,   v->x_row,     v->x_pixel,   v->y_image,   v->y_row,
                          v->y_pixel,   v->x.step[0], v->x.step[1], v->x.step[2], v->y.step[0],
                          v->y.step[1], v->y.step[2], v->x.at,      v->y.at};
  for (size_t i = 0; i < SUMI_COUNT(count); i++)
    if (!within(count[i], 1, MOST_STEP)) return antoum_refuse(job, "a product over nothing, or too much");
  for (size_t i = 0; i < SUMI_COUNT(step); i++)
    if (!within(step[i], 0, MOST_STEP))
      return antoum_refuse(job, "a product's operand runs backwards, or too far");
  for (int d = -1; p->r_place && d < SUMI_CELL_OUTER; d++)
    if (!within(d < 0 ? v->residual.at : v->residual.step[d], 0, MOST_STEP))
      return antoum_refuse(job, "a product's residual runs backwards, or too far");
  if (!within(v->kernel_h, 1, INT16_MAX) || !within(v->kernel_w, 1, INT16_MAX) ||
      !within(v->pad_top, INT16_MIN, INT16_MAX) || !within(v->pad_left, INT16_MIN, INT16_MAX) ||
      !within(v->dilation_h, 1, INT16_MAX) || !within(v->dilation_w, 1, INT16_MAX))
    return antoum_refuse(job, "a kernel of %d x %d with dilation %d x %d is too large", v->kernel_h,
                         v->kernel_w, v->dilation_h, v->dilation_w);
  if (!within(v->stride_h, 1, v->rows == 1 ? INT16_MAX : UINT8_MAX) ||
      !within(v->stride_w, 1, v->cols == 1 ? INT16_MAX : UINT8_MAX))
    return antoum_refuse(job, "a stride of %d x %d is too large", v->stride_h, v->stride_w);
  return p->weights ? check_constant(p) : check_computed(p);
}

static const struct antoum_place *place_of(const struct antoum_cell_job *job,
                                           const struct sumi_cell_view *v) {
  return v->operand < 0 ? NULL : &job->place[v->operand];
}

static uint64_t start_of(const struct antoum_place *place) { return place && !place->dram ? place->at : 0; }

static sumi_status resolve(const struct antoum_cell_job *job, const struct sumi_cell_product *v,
                           struct product *p) {
  *p = (struct product){.job = job, .v = *v, .join = 1};
  if (!(v->flags & SUMI_CARD_ACT_RESIDUAL)) p->v.residual.operand = -1;
  for (int d = v->n_outer; d < SUMI_CELL_OUTER; d++) {
    p->v.outer[d] = 1;
    p->v.x.step[d] = p->v.w.step[d] = p->v.y.step[d] = p->v.residual.step[d] = 0;
  }
  p->v.n_outer = SUMI_CELL_OUTER;
  p->weights = job->operand[v->w.operand].data;
  p->x_place = place_of(job, &v->x);
  p->y_place = place_of(job, &v->y);
  p->r_place = place_of(job, &p->v.residual);
  p->w_place = p->weights ? NULL : place_of(job, &v->w);
  p->x_at = start_of(p->x_place);
  p->w_at = start_of(p->w_place);
  p->y_at = start_of(p->y_place);
  p->r_at = start_of(p->r_place);
  SUMI_TRY(take_types(p));
  SUMI_TRY(check(p));
  int64_t step = v->outputs;
  for (int d = SUMI_CELL_OUTER - 1; d >= 0 && v->param_outer; d--) {
    p->p_step[d] = p->v.outer[d] > 1 ? step : 0;
    if (!sumi_i64_mul(step, p->v.outer[d], &step)) return antoum_refuse(job, "a product over too much");
  }
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    p->own[d] = p->p_step[d] || (p->weights && p->v.outer[d] > 1 && p->v.w.step[d]);
  p->rows_whole =
      !p->weights && (p->w_place->dram || ((v->kernel_w == 1 || v->w_col == v->channels) &&
                                           (v->kernel_h == 1 || v->w_row == v->kernel_w * v->channels)));
  return SUMI_OK;
}

/* An outer loop over groups whose channels and outputs are neighbours and so few that several fill a bank; -1 = none. */
static int group_loop(const struct product *p) {
  const struct sumi_cell_product *v = &p->v;
  if (!p->weights || v->channels > SUMI_CARD_BANK / 2) return -1;
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    if (v->outer[d] > 1 && v->x.step[d] == v->channels && v->y.step[d] == v->outputs &&
        (!p->r_place || v->residual.step[d] == v->outputs))
      return d;
  return -1;
}

/* Steps [at, at + n * join) of loop d in n steps of `join` groups. */
static struct product joined(const struct product *p, int d, int64_t at, int64_t n, int64_t join) {
  struct product j = *p;
  struct sumi_cell_product *v = &j.v;
  v->x.at += at * v->x.step[d];
  v->w.at += at * v->w.step[d];
  v->y.at += at * v->y.step[d];
  v->residual.at += at * v->residual.step[d];
  j.p_at += at * j.p_step[d];
  j.join = join;
  j.join_w = v->w.step[d];
  j.join_p = j.p_step[d];
  v->x.step[d] *= join;
  v->w.step[d] *= join;
  v->y.step[d] *= join;
  v->residual.step[d] *= join;
  j.p_step[d] *= join;
  v->outer[d] = n;
  v->channels *= join;
  v->outputs *= join;
  return j;
}

static sumi_status compile(const struct product *p) {
  struct box size;
  SUMI_TRY(product_box(p, &size));
  struct packed packed = {0};
  sumi_status status = product_pack(p, size.n[PRODUCT_OUT], &packed);
  if (status == SUMI_OK) status = product_strips(p, &size, &packed);
  product_packed_fini(p, &packed);
  return status;
}

sumi_status antoum_product_cell(const struct antoum_cell_job *job, const struct sumi_cell_product *v) {
  struct product p;
  SUMI_TRY(resolve(job, v, &p));
  const int d = group_loop(&p);
  if (d < 0) return compile(&p);
  const int64_t groups = p.v.outer[d], most = SUMI_CARD_BANK / p.v.channels;
  const int64_t join = product_div_up(groups, product_div_up(groups, most));
  const struct product whole = joined(&p, d, 0, groups / join, join);
  SUMI_TRY(compile(&whole));
  if (groups % join == 0) return SUMI_OK;
  const struct product rest = joined(&p, d, groups / join * join, 1, groups % join);
  return compile(&rest);
}

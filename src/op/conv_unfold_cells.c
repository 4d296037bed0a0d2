/* Convolutions over three dimensions as convolutions over two, for the card:
 *   sum over k, c of w[m, c, k, ..] * x[b, c, o * stride + k * dilation - begin, ..]
 *   = sum over (k, c) of u[m, (k, c), ..] * t[b, (k, c), o, ..]
 * so t, a temporary, holds every plane of x once for each tap that reads it, and u is w with its channels
 * ordered so. */
#include <string.h>

#include "op/dot_cells.h"

#include "base/size.h"

/* Copies tap k into t, whose outputs beyond x are blank. */
struct tap {
  const struct sumi_conv *v;
  const struct sumi_cell_operand *x, *t;
  int from, to;
  int64_t k;
  uint32_t blank;
};

/* Outputs [first, end): from x, or (blank) what adds nothing. */
static sumi_status copy(struct sumi_cells *c, const struct tap *a, int64_t first, int64_t end, bool blank) {
  const struct sumi_window *w = &a->v->window;
  if (first >= end) return SUMI_OK;
  struct sumi_cell_copy p = {
      .rank = 5,
      .n = {a->v->batch, a->v->c_in, end - first, a->v->in[1], a->v->in[2]},
      .to = {.operand = a->to, .at = a->k * a->v->c_in * a->t->step[1] + first * a->t->step[2]},
      .from = {.operand = blank ? -1 : a->from},
      .fill = a->blank};
  for (int d = 0; d < 5; d++) p.to.step[d] = a->t->step[d];
  if (!blank) {
    p.from.at = (first * w->stride[0] + a->k * w->dilation[0] - w->begin[0]) * a->x->step[2];
    for (int d = 0; d < 5; d++) p.from.step[d] = d == 2 ? w->stride[0] * a->x->step[2] : a->x->step[d];
  }
  return sumi_cells_copy(c, &p);
}

static sumi_status copy_tap(struct sumi_cells *c, const struct tap *a) {
  const struct sumi_window *w = &a->v->window;
  const int64_t stride = w->stride[0], shift = a->k * w->dilation[0] - w->begin[0], out = w->out[0];
  int64_t lo = shift < 0 ? (-shift + stride - 1) / stride : 0,
          hi = a->v->in[0] > shift ? (a->v->in[0] - shift + stride - 1) / stride : 0;
  lo = SUMI_MIN(lo, out);
  hi = SUMI_MAX(lo, SUMI_MIN(hi, out));
  SUMI_TRY(copy(c, a, 0, lo, true));
  SUMI_TRY(copy(c, a, lo, hi, false));
  return copy(c, a, hi, out, true);
}

/* w [m, c, kernel...] as [m, (k, c), 1, kernel...]. */
static sumi_status unfold_weights(struct sumi_cells *c, const struct sumi_conv *v, int w, int *out) {
  const struct sumi_cell_operand o = c->operand[w];
  const size_t e = (size_t)sumi_dtype_bits(o.dtype) / 8;
  const int64_t kernel = v->window.kernel[0], inner = v->taps / kernel;
  const int64_t dim[] = {v->c_out, kernel * v->c_group, 1, v->window.kernel[1], v->window.kernel[2]};
  if (!o.data) return sumi_cells_refuse(c, "weights over three dimensions that are no constants");
  char *data = sumi_arena_alloc(c->arena, o.bytes);
  if (!data) SUMI_FAIL_MEMORY(c->err);
  for (int64_t m = 0; m < v->c_out; m++)
    for (int64_t k = 0; k < kernel; k++)
      for (int64_t ch = 0; ch < v->c_group; ch++)
        memcpy(data + (size_t)(((m * kernel + k) * v->c_group + ch) * inner) * e,
               (const char *)o.data + (size_t)(((m * v->c_group + ch) * kernel + k) * inner) * e,
               (size_t)inner * e);
  *out = sumi_cells_constant(c, o.dtype, 5, dim, data);
  return *out < 0 ? SUMI_E_MEMORY : SUMI_OK;
}

sumi_status sumi_dot_unfold(struct sumi_cells *c, struct sumi_conv *v, struct sumi_dot_operands *o) {
  const int64_t kernel = v->window.kernel[0];
  int64_t channels;
  if (v->group > 1) return sumi_cells_refuse(c, "a convolution over 3 dimensions in groups");
  if (!sumi_i64_mul(kernel, v->c_in, &channels)) SUMI_FAIL(c->err, SUMI_E_LIMIT, "too many channels");
  const int64_t dim[] = {v->batch, channels, v->window.out[0], v->in[1], v->in[2]};
  struct tap a = {.v = v, .blank = o->blank};
  a.from = sumi_cells_neighbours(c, o->x, 1);
  a.to = sumi_cells_temp(c, c->operand[o->x].dtype, 5, dim);
  if (a.to >= 0) a.to = sumi_cells_neighbours(c, a.to, 1);
  if (a.from < 0 || a.to < 0) return SUMI_E_MEMORY;
  SUMI_TRY(unfold_weights(c, v, o->w, &o->w));
  a.x = &c->operand[a.from];
  a.t = &c->operand[a.to];
  for (a.k = 0; a.k < kernel; a.k++) SUMI_TRY(copy_tap(c, &a));
  o->x = a.to;
  v->c_in = v->c_group = channels;
  v->in[0] = v->window.out[0];
  v->taps /= kernel;
  v->window.kernel[0] = v->window.stride[0] = v->window.dilation[0] = 1;
  v->window.begin[0] = v->window.end[0] = 0;
  return SUMI_OK;
}

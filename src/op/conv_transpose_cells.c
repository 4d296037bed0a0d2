/* ConvTranspose for the card. Outputs o = phase + stride * q of one phase are a convolution with stride 1 of
 * the taps that reach them, the last one first:
 *   k = r + stride * j, r = (phase + begin) mod stride:   input i = q + (phase + begin - r) / stride - j * dilation
 * one product a phase. Dilated ones with strides are refused. */
#include "op/dot_cells.h"
#include "op/fdot_cells.h"

#include "base/size.h"

enum { MOST_PHASES = 64 };

/* One spatial dimension of a phase. */
struct phase {
  int64_t first, outputs; /* of y: first + q * stride, q < outputs */
  int64_t r, taps;        /* 0 taps: nothing reaches these outputs */
  int64_t pad;            /* in front of x */
};

static struct phase phase_of(const struct sumi_conv *v, int d, int64_t first) {
  const struct sumi_window *w = &v->window;
  const int64_t stride = w->stride[d], at = first + w->begin[d];
  struct phase p = {.first = first, .outputs = (w->out[d] - first + stride - 1) / stride};
  p.r = (at % stride + stride) % stride;
  p.taps = p.r < w->kernel[d] ? (w->kernel[d] - p.r + stride - 1) / stride : 0;
  p.pad = (p.taps - 1) * w->dilation[d] - (at - p.r) / stride;
  return p;
}

/* Dimension d of the product: counts in order kernel, dilation, pad; steps of w between taps. */
static bool set_dimension(const struct sumi_conv *v, int d, const struct phase *f, int64_t w_step,
                          int *kernel, int *dilation, int *pad, int64_t *w_tap, int64_t *w_at) {
  const int64_t stride = v->window.stride[d];
  if (f->taps > 255 || v->window.dilation[d] > 255 || f->pad > INT16_MAX || f->pad < INT16_MIN) return false;
  *kernel = f->taps ? (int)f->taps : 1;
  *dilation = *kernel > 1 ? (int)v->window.dilation[d] : 1;
  *pad = f->taps ? (int)f->pad : 0;
  *w_tap = -stride * w_step;
  *w_at += f->taps ? (f->r + (f->taps - 1) * stride) * w_step : 0;
  return true;
}

struct task {
  const struct sumi_conv *v;
  const struct sumi_dot_operands *o; /* in their forms */
  const struct sumi_dot_real *e;
};

static int64_t step(const struct sumi_cell_operand *o, int d) { return o->dim[d] == 1 ? 0 : o->step[d]; }

/* Loops and steps of one phase; rows: NULL where there is one spatial dimension. */
static bool set_phase(const struct sumi_cells *c, const struct task *t, const struct phase *rows,
                      const struct phase *cols, struct sumi_cell_product *p) {
  const struct sumi_conv *v = t->v;
  const struct sumi_cell_operand *x = &c->operand[t->o->x], *w = &c->operand[t->o->w],
                                 *y = &c->operand[t->o->y];
  const int col = v->n - 1;
  *p = (struct sumi_cell_product){.x = {.operand = t->o->x},
                                  .w = {.operand = t->o->w},
                                  .y = {.operand = t->o->y},
                                  .residual = {.operand = -1},
                                  .images = v->batch,
                                  .in_rows = 1,
                                  .in_cols = v->in[col],
                                  .rows = 1,
                                  .cols = cols->outputs,
                                  .channels = v->c_group,
                                  .outputs = v->m_group,
                                  .x_image = step(x, 0),
                                  .x_pixel = step(x, 2 + col),
                                  .y_image = step(y, 0),
                                  .y_pixel = v->window.stride[col] * step(y, 2 + col),
                                  .w_output = step(w, 1),
                                  .w_channel = step(w, 0),
                                  .kernel_h = 1,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .dilation_h = 1};
  p->y.at = cols->first * step(y, 2 + col);
  if (!set_dimension(v, col, cols, step(w, 2 + col), &p->kernel_w, &p->dilation_w, &p->pad_left, &p->w_col,
                     &p->w.at))
    return false;
  if (v->group > 1) {
    p->n_outer = 1;
    p->outer[0] = v->group;
    p->x.step[0] = v->c_group * step(x, 1);
    p->w.step[0] = v->c_group * step(w, 0);
    p->y.step[0] = v->m_group * step(y, 1);
    p->param_outer = true;
  }
  if (!rows) return true;
  p->in_rows = v->in[0];
  p->rows = rows->outputs;
  p->x_row = step(x, 2);
  p->y_row = v->window.stride[0] * step(y, 2);
  p->y.at += rows->first * step(y, 2);
  return set_dimension(v, 0, rows, step(w, 2), &p->kernel_h, &p->dilation_h, &p->pad_top, &p->w_row,
                       &p->w.at);
}

static sumi_status add_phase(struct sumi_cells *c, const struct task *t, const struct phase *rows,
                             const struct phase *cols) {
  struct sumi_cell_product p;
  if ((rows && rows->outputs < 1) || cols->outputs < 1) return SUMI_OK;
  if (!set_phase(c, t, rows, cols, &p))
    return sumi_cells_refuse(c, "a kernel, dilation or pad beyond a word's");
  if (!cols->taps || (rows && !rows->taps)) { /* a product with nothing but zeros */
    static const uint16_t zero = 0;
    p.w = (struct sumi_cell_view){.operand = sumi_cells_constant(c, SUMI_BFLOAT16, 0, NULL, &zero)};
    if (p.w.operand < 0) return SUMI_E_MEMORY;
    p.kernel_h = p.kernel_w = p.dilation_h = p.dilation_w = 1;
    p.w_output = p.w_channel = p.w_row = p.w_col = 0;
  }
  return sumi_dot_real(c, &p, t->e, t->v->c_out);
}

static sumi_status check(struct sumi_cells *c, const struct sumi_conv *v) {
  int64_t phases = 1;
  if (v->n > 2) return sumi_cells_refuse(c, "a transposed convolution over %d dimensions", v->n);
  for (int d = 0; d < v->n; d++) {
    const int64_t stride = v->window.stride[d];
    if (stride > 1 && v->window.dilation[d] > 1)
      return sumi_cells_refuse(c, "a transposed convolution with stride and dilation");
    if (stride > MOST_PHASES || (phases *= stride) > MOST_PHASES)
      return sumi_cells_refuse(c, "a transposed convolution of more than %d phases", MOST_PHASES);
  }
  return SUMI_OK;
}

sumi_status sumi_conv_transpose_cells(struct sumi_cells *c) {
  struct sumi_conv v;
  struct sumi_dot_operands o = {.y = sumi_cells_out(c, 0), .residual = -1};
  struct sumi_dot_real e = {.scale = 1, .bias_mul = 1};
  SUMI_TRY(sumi_conv_transpose_resolve(c->node, c->in[0], c->in[1], &v, c->err));
  SUMI_TRY(check(c, &v));
  if (!v.batch || !v.c_in || !v.c_out || !v.in_pixels || !v.out_pixels)
    return sumi_cells_refuse(c, "an empty product");
  if (!c->operand[1].data) return sumi_cells_refuse(c, "the weights are no constants");
  SUMI_TRY(sumi_dot_bias(c, 2, &e));
  SUMI_TRY(sumi_dot_narrow(c, 0, 1, &o.x));
  SUMI_TRY(sumi_dot_narrow(c, 1, -1, &o.w));
  o.x = sumi_cells_neighbours(c, o.x, 1);
  o.y = sumi_cells_neighbours(c, o.y, 1);
  if (o.x < 0 || o.y < 0) return SUMI_E_MEMORY;
  const struct task t = {&v, &o, &e};
  for (int64_t i = 0; i < (v.n == 2 ? v.window.stride[0] : 1); i++)
    for (int64_t j = 0; j < v.window.stride[v.n - 1]; j++) {
      const struct phase rows = phase_of(&v, 0, i), cols = phase_of(&v, v.n - 1, j);
      SUMI_TRY(add_phase(c, &t, v.n == 2 ? &rows : NULL, &cols));
    }
  return SUMI_OK;
}

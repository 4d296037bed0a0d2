/* Geometry of products for the card, and float sums with what follows them. */
#include "op/dot_cells.h"

#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "op/matmul.h"
#include "op/vector_cells.h"

enum { MOST_STEP = 255, MOST_PAD = INT16_MAX }; /* of a word's kernel, stride and dilation; of its pads */

/* Elements between neighbours of dimension d; 0 where there is one only. */
static int64_t step(const struct sumi_cell_operand *o, int d) { return o->dim[d] == 1 ? 0 : o->step[d]; }

static bool is_empty(const struct sumi_cells *c, int operand) {
  const struct sumi_cell_operand *o = &c->operand[operand];
  for (int d = 0; d < o->rank; d++)
    if (o->dim[d] < 1) return true;
  return false;
}

/* Refuses empty operands and sets p to a product of one pixel of so many channels and outputs. */
static sumi_status begin(struct sumi_cells *c, const struct sumi_dot_operands *o,
                         struct sumi_cell_product *p) {
  if (is_empty(c, o->x) || is_empty(c, o->w)) return sumi_cells_refuse(c, "an empty product");
  *p = (struct sumi_cell_product){.x = {.operand = o->x},
                                  .w = {.operand = o->w},
                                  .y = {.operand = o->y},
                                  .residual = {.operand = o->residual},
                                  .images = 1,
                                  .in_rows = 1,
                                  .in_cols = 1,
                                  .rows = 1,
                                  .cols = 1,
                                  .kernel_h = 1,
                                  .kernel_w = 1,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .dilation_h = 1,
                                  .dilation_w = 1};
  return SUMI_OK;
}

/* ---- convolutions ---------------------------------------------------------------------------------------- */

/* Whether dimension d needs a word's window; otherwise it is a plain loop with steps. */
static bool has_window(const struct sumi_conv *v, int d) {
  const struct sumi_window *w = &v->window;
  return w->kernel[d] > 1 || w->begin[d] > 0 || (w->out[d] - 1) * w->stride[d] - w->begin[d] >= v->in[d];
}

/* Chooses the two spatial dimensions that become rows and columns, -1 = none: those with windows, then the
 * last ones. */
static bool choose(const struct sumi_conv *v, int *rows, int *cols) {
  int chosen[2], n = 0;
  for (int d = v->n - 1; d >= 0; d--)
    if (has_window(v, d)) {
      if (n == 2) return false;
      chosen[n++] = d;
    }
  for (int d = v->n - 1; d >= 0 && n < 2; d--)
    if (!has_window(v, d)) chosen[n++] = d;
  *cols = n == 2 ? SUMI_MAX(chosen[0], chosen[1]) : chosen[0];
  *rows = n == 2 ? SUMI_MIN(chosen[0], chosen[1]) : -1;
  return true;
}

/* A word's limits; what a kernel of one tap or one output has no use for is 1. */
static bool window_fits(const struct sumi_conv *v, int d, int *kernel, int *stride, int *dilation, int *pad) {
  const struct sumi_window *w = &v->window;
  const int64_t s = w->out[d] > 1 ? w->stride[d] : 1, a = w->kernel[d] > 1 ? w->dilation[d] : 1;
  if (w->kernel[d] > MOST_STEP || s > MOST_STEP || a > MOST_STEP || w->begin[d] > MOST_PAD ||
      w->begin[d] < -MOST_PAD)
    return false;
  *kernel = (int)w->kernel[d];
  *stride = (int)s;
  *dilation = (int)a;
  *pad = (int)w->begin[d];
  return true;
}

struct conv_steps {
  const struct sumi_cell_operand *x, *w, *y;
};

static void add_outer(struct sumi_cell_product *p, int64_t n, int64_t x, int64_t w, int64_t y) {
  p->outer[p->n_outer] = n;
  p->x.step[p->n_outer] = x;
  p->w.step[p->n_outer] = w;
  p->y.step[p->n_outer] = p->residual.step[p->n_outer] = y;
  p->n_outer++;
}

static sumi_status conv_loops(struct sumi_cells *c, const struct sumi_conv *v, const struct conv_steps *s,
                              struct sumi_cell_product *p) {
  int rows, cols;
  if (!choose(v, &rows, &cols)) return sumi_cells_refuse(c, "a window over more than two dimensions");
  bool fits = window_fits(v, cols, &p->kernel_w, &p->stride_w, &p->dilation_w, &p->pad_left);
  p->in_cols = v->in[cols];
  p->cols = v->window.out[cols];
  p->x_pixel = step(s->x, 2 + cols);
  p->y_pixel = step(s->y, 2 + cols);
  p->w_col = step(s->w, 2 + cols);
  if (rows >= 0) {
    fits = fits && window_fits(v, rows, &p->kernel_h, &p->stride_h, &p->dilation_h, &p->pad_top);
    p->in_rows = v->in[rows];
    p->rows = v->window.out[rows];
    p->x_row = step(s->x, 2 + rows);
    p->y_row = step(s->y, 2 + rows);
    p->w_row = step(s->w, 2 + rows);
  }
  if (!fits)
    return sumi_cells_refuse(c, "a kernel, stride or dilation above %d, or a pad above %d", MOST_STEP,
                             MOST_PAD);
  if (v->group > 1) {
    add_outer(p, v->group, v->c_group * step(s->x, 1), v->m_group * step(s->w, 0),
              v->m_group * step(s->y, 1));
    p->param_outer = true;
  }
  for (int d = 0; d < v->n; d++) {
    if (d == rows || d == cols) continue;
    if (p->n_outer == SUMI_CELL_OUTER || v->group > 1)
      return sumi_cells_refuse(c, "a convolution over %d dimensions%s", v->n,
                               v->group > 1 ? " in groups" : "");
    p->x.at -= v->window.begin[d] * step(s->x, 2 + d);
    add_outer(p, v->window.out[d], v->window.stride[d] * step(s->x, 2 + d), 0, step(s->y, 2 + d));
  }
  return SUMI_OK;
}

/* Windows in three dimensions. */
static bool is_deep(const struct sumi_conv *v) {
  return v->n == 3 && has_window(v, 0) && has_window(v, 1) && has_window(v, 2);
}

sumi_status sumi_dot_conv(struct sumi_cells *c, const struct sumi_conv *given,
                          const struct sumi_dot_operands *given_operands, struct sumi_cell_product *p) {
  struct sumi_conv v = *given;
  struct sumi_dot_operands o = *given_operands;
  if (is_empty(c, o.x) || is_empty(c, o.w)) return sumi_cells_refuse(c, "an empty product");
  if (is_deep(&v)) SUMI_TRY(sumi_dot_unfold(c, &v, &o));
  SUMI_TRY(begin(c, &o, p));
  p->x.operand = sumi_cells_neighbours(c, o.x, 1);
  p->y.operand = sumi_cells_neighbours(c, o.y, 1);
  if (!c->operand[o.w].data) p->w.operand = sumi_cells_neighbours(c, o.w, 1);
  if (o.residual >= 0) p->residual.operand = sumi_cells_neighbours(c, o.residual, 1);
  if (p->x.operand < 0 || p->y.operand < 0 || p->w.operand < 0 ||
      (o.residual >= 0 && p->residual.operand < 0))
    return SUMI_E_MEMORY;
  const struct conv_steps s = {&c->operand[p->x.operand], &c->operand[p->w.operand],
                               &c->operand[p->y.operand]};
  p->images = v.batch;
  p->channels = v.c_group;
  p->outputs = v.m_group;
  p->x_image = step(s.x, 0);
  p->y_image = step(s.y, 0);
  p->w_output = step(s.w, 0);
  p->w_channel = v.c_group > 1 ? s.w->step[1] : 1;
  return conv_loops(c, &v, &s, p);
}

/* ---- matrix products ------------------------------------------------------------------------------------- */

static struct sumi_tensor shape_of(const struct sumi_cell_operand *o) {
  struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = o->dtype, .rank = o->rank};
  memcpy(t.dim, o->dim, sizeof t.dim);
  return t;
}

static sumi_status resolve_matmul(struct sumi_cells *c, int x, int w, struct sumi_matmul *mm) {
  const struct sumi_tensor a = shape_of(&c->operand[x]), b = shape_of(&c->operand[w]);
  return sumi_matmul_resolve_strided(c->node, &a, c->operand[x].step, &b, c->operand[w].step, mm, c->err);
}

/* Loops over matrices, the innermost last; those of one element are left out, neighbours that every operand
 * walks as one are joined. */
struct loops {
  int n;
  int64_t count[SUMI_MAX_RANK + 1], x[SUMI_MAX_RANK + 1], w[SUMI_MAX_RANK + 1], y[SUMI_MAX_RANK + 1];
};

static void add_loop(struct loops *l, int64_t count, int64_t x, int64_t w, int64_t y) {
  const int k = l->n - 1;
  if (count == 1) return;
  if (k >= 0 && l->x[k] == x * count && l->w[k] == w * count && l->y[k] == y * count) {
    l->count[k] *= count;
    l->x[k] = x;
    l->w[k] = w;
    l->y[k] = y;
    return;
  }
  l->count[l->n] = count;
  l->x[l->n] = x;
  l->w[l->n] = w;
  l->y[l->n++] = y;
}

/* Loops become pixels where they leave w where it is, others outer loops. */
static bool set_loops(const struct loops *l, struct sumi_cell_product *p) {
  int pixels = 0;
  for (int k = l->n - 1; k >= 0; k--) {
    if (l->w[k] || pixels == 3) continue;
    int64_t *const count[] = {&p->cols, &p->rows, &p->images},
                   *const x[] = {&p->x_pixel, &p->x_row, &p->x_image},
                   *const y[] = {&p->y_pixel, &p->y_row, &p->y_image};
    *count[pixels] = l->count[k];
    *x[pixels] = l->x[k];
    *y[pixels++] = l->y[k];
  }
  p->in_cols = p->cols;
  p->in_rows = p->rows;
  for (int k = 0, left = pixels; k < l->n; k++) {
    int behind = 0; /* loops from k on that may be pixels */
    for (int i = k; i < l->n; i++) behind += !l->w[i];
    if (!l->w[k] && behind <= left) continue;
    if (p->n_outer == SUMI_CELL_OUTER) return false;
    add_outer(p, l->count[k], l->x[k], l->w[k], l->y[k]);
  }
  return true;
}

sumi_status sumi_dot_matmul(struct sumi_cells *c, const struct sumi_dot_operands *o,
                            struct sumi_cell_product *p) {
  struct sumi_matmul mm;
  struct loops l = {0};
  SUMI_TRY(begin(c, o, p));
  SUMI_TRY(resolve_matmul(c, o->x, o->w, &mm));
  p->x.operand = sumi_cells_neighbours(c, o->x, mm.a_k);
  p->y.operand = sumi_cells_row_major(c, o->y);
  if (!c->operand[o->w].data) p->w.operand = sumi_cells_neighbours(c, o->w, mm.b_k);
  if (o->residual >= 0) p->residual.operand = sumi_cells_row_major(c, o->residual);
  if (p->x.operand < 0 || p->y.operand < 0 || p->w.operand < 0 ||
      (o->residual >= 0 && p->residual.operand < 0))
    return SUMI_E_MEMORY;
  SUMI_TRY(resolve_matmul(c, p->x.operand, p->w.operand, &mm));
  p->channels = mm.k;
  p->outputs = mm.n;
  p->w_output = mm.b_col;
  p->w_channel = mm.k > 1 ? mm.b_row : 1;
  int64_t y = mm.m * mm.n * sumi_dims_count(mm.batch, 0, mm.n_batch);
  for (int i = 0; i < mm.n_batch; i++) {
    y /= mm.batch[i];
    add_loop(&l, mm.batch[i], mm.a_batch[i], mm.b_batch[i], y);
  }
  add_loop(&l, mm.m, mm.a_row, 0, mm.n);
  if (!set_loops(&l, p))
    return sumi_cells_refuse(c, "a product of matrices over more than %d dimensions", SUMI_CELL_OUTER);
  return SUMI_OK;
}

sumi_status sumi_dot_strided(struct sumi_cells *c, const struct sumi_dot_operands *o,
                             const struct sumi_dot_strides *s, struct sumi_cell_product *p) {
  struct loops l = {0};
  SUMI_TRY(begin(c, o, p));
  p->channels = s->channels;
  p->outputs = s->outputs;
  p->w_output = s->w_output;
  p->w_channel = s->channels > 1 ? s->w_channel : 1;
  for (int i = 0; i < s->n; i++) add_loop(&l, s->loop[i].count, s->loop[i].x, s->loop[i].w, s->loop[i].y);
  if (!set_loops(&l, p))
    return sumi_cells_refuse(c, "a product of matrices over more than %d dimensions", SUMI_CELL_OUTER);
  return SUMI_OK;
}

/* ---- types ----------------------------------------------------------------------------------------------- */

int sumi_dot_temp_like(struct sumi_cells *c, sumi_dtype dtype, int like) {
  const struct sumi_cell_operand o = c->operand[like];
  const int made = sumi_cells_temp(c, dtype, o.rank, o.dim);
  if (made >= 0) sumi_cells_same_form(c, made, like);
  return made;
}

sumi_status sumi_dot_check_type(struct sumi_cells *c, sumi_dtype dtype) {
  if (dtype == SUMI_BFLOAT16 || (dtype == SUMI_FLOAT32 && c->narrow)) return SUMI_OK;
  return sumi_cells_refuse(c, "%s product: the card multiplies INT8 and BF16%s", sumi_dtype_label(dtype),
                           dtype == SUMI_FLOAT32 ? " (precision bf16 narrows it)" : "");
}

sumi_status sumi_dot_narrow_scaled(struct sumi_cells *c, int operand, const double *factor, int *out) {
  const struct sumi_cell_operand from = c->operand[operand];
  SUMI_TRY(sumi_dot_check_type(c, from.dtype));
  if (!from.data) return sumi_cells_refuse(c, "the weights are no constants");
  const size_t n = from.bytes / sizeof(float);
  const int64_t outer = factor ? from.step[0] : 1; /* elements of an item of dimension 0 */
  uint16_t *data = SUMI_NEW_ARRAY(c->arena, n, uint16_t);
  if (!data) SUMI_FAIL_MEMORY(c->err);
  for (size_t i = 0; i < n; i++) {
    const float x = ((const float *)from.data)[i];
    data[i] = sumi_bf16_from_f32(factor ? (float)((double)x * factor[(int64_t)i / outer]) : x);
  }
  *out = sumi_cells_constant(c, SUMI_BFLOAT16, from.rank, from.dim, data);
  if (*out < 0) return SUMI_E_MEMORY;
  sumi_cells_same_form(c, *out, operand);
  return SUMI_OK;
}

sumi_status sumi_dot_narrow(struct sumi_cells *c, int operand, int axis, int *out) {
  *out = operand;
  SUMI_TRY(sumi_dot_check_type(c, c->operand[operand].dtype));
  if (c->operand[operand].dtype == SUMI_BFLOAT16) return SUMI_OK;
  if (c->operand[operand].data) return sumi_dot_narrow_scaled(c, operand, NULL, out);
  if (c->operand[operand].free) /* the narrowed one lies like it: chosen here, no copy is needed */
    operand = axis < 0 ? sumi_cells_row_major(c, operand) : sumi_cells_neighbours(c, operand, axis);
  if (operand < 0) return SUMI_E_MEMORY;
  *out = sumi_dot_temp_like(c, SUMI_BFLOAT16, operand);
  if (*out < 0) return SUMI_E_MEMORY;
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over(&p, *out, 0);
  const int x = sumi_vector_load(&p, sumi_vector_view(&p, operand));
  sumi_vector_store(&p, sumi_vector_view(&p, *out), x);
  return sumi_vector_end(&p);
}

sumi_status sumi_dot_bias(struct sumi_cells *c, int i, struct sumi_dot_real *e) {
  if (!sumi_cells_has(c, i)) return SUMI_OK;
  const struct sumi_cell_operand *o = &c->operand[i];
  if (o->dtype != SUMI_FLOAT32 && o->dtype != SUMI_BFLOAT16)
    return sumi_cells_refuse(c, "a bias of %s", sumi_dtype_label(o->dtype));
  if (!o->data) return sumi_cells_refuse(c, "the bias is no constant");
  e->bias = o->data;
  if (o->dtype == SUMI_FLOAT32) return SUMI_OK;
  const int64_t n = (int64_t)(o->bytes / sizeof(uint16_t));
  float *wide = SUMI_NEW_ARRAY(c->arena, (size_t)n, float);
  if (!wide) SUMI_FAIL_MEMORY(c->err);
  sumi_to_f32(o->dtype, o->data, 0, n, wide);
  e->bias = wide;
  return SUMI_OK;
}

/* ---- what follows ---------------------------------------------------------------------------------------- */

bool sumi_dot_function(struct sumi_activation act, struct sumi_cell_product *p) {
  static const struct {
    bool has;
    enum sumi_card_function function;
  } rows[SUMI_N_ACTIVATIONS] = {[SUMI_ACTIVATION_NONE] = {true, SUMI_CARD_F_NONE},
                                [SUMI_ACTIVATION_RELU] = {true, SUMI_CARD_F_RELU},
                                [SUMI_ACTIVATION_LEAKY_RELU] = {true, SUMI_CARD_F_LEAKY_RELU},
                                [SUMI_ACTIVATION_SIGMOID] = {true, SUMI_CARD_F_SIGMOID},
                                [SUMI_ACTIVATION_TANH] = {true, SUMI_CARD_F_TANH},
                                [SUMI_ACTIVATION_SWISH] = {true, SUMI_CARD_F_SWISH},
                                [SUMI_ACTIVATION_GELU] = {true, SUMI_CARD_F_GELU}};
  if (!rows[act.kind].has) return false;
  p->function = rows[act.kind].function;
  p->alpha = act.a;
  return true;
}

int sumi_dot_activation(struct sumi_vector *v, struct sumi_activation act, int x) {
  static const char *const formula[SUMI_N_ACTIVATIONS] = {
      [SUMI_ACTIVATION_NONE] = "a",
      [SUMI_ACTIVATION_RELU] = "a > 0 || a != a ? a : 0",
      [SUMI_ACTIVATION_LEAKY_RELU] = "a < 0 ? b * a : a",
      [SUMI_ACTIVATION_CLIP] = "a < b ? (c < b ? c : b) : a > c ? c : a",
      [SUMI_ACTIVATION_HARD_SIGMOID] = "b * a + c < 0 ? 0 : b * a + c > 1 ? 1 : b * a + c",
      [SUMI_ACTIVATION_SIGMOID] = "sumi_sigmoid_f32(a)",
      [SUMI_ACTIVATION_TANH] = "sumi_tanh_f32(a)",
      [SUMI_ACTIVATION_HARD_SWISH] = "a * (a + 3 < 0 ? 0 : a + 3 > 6 ? 1 : (a + 3) / 6)",
      [SUMI_ACTIVATION_SWISH] = "a * sumi_sigmoid_f32(b * a)",
      [SUMI_ACTIVATION_GELU] = "0.5f * a * (1 + sumi_erf_f32(a * 0.707106781f))",
      [SUMI_ACTIVATION_GELU_TANH] =
          "0.5f * a * (1 + sumi_tanh_f32(0.797884561f * (a + 0.044715f * a * a * a)))"};
  return SUMI_VECTOR(v, formula[act.kind], x, sumi_vector_float(v, act.a), sumi_vector_float(v, act.b));
}

static bool is_bf16(float x) { return sumi_f32_from_bf16(sumi_bf16_from_f32(x)) == x; }

/* Whether the activation of what y holds, rounded to its type, is the activation rounded: then it works in place. */
static bool may_follow(const struct sumi_cells *c, int y, struct sumi_activation act) {
  return c->operand[y].dtype == SUMI_FLOAT32 ||
         (act.kind == SUMI_ACTIVATION_CLIP && is_bf16(act.a) && is_bf16(act.b));
}

/* y's channels [first, first + those of sums) = act(sums); axis: of the channels. */
static sumi_status follow(struct sumi_cells *c, struct sumi_activation act, int sums, int y, int axis,
                          int64_t first) {
  const struct sumi_cell_operand to = c->operand[y];
  struct sumi_vector v;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, sums, 0);
  const int sum = sumi_vector_load(&v, sumi_vector_view(&v, sums)), out = sumi_vector_view_plain(&v, y);
  if (out >= 0) {
    v.view[out].at = axis < 0 ? 0 : first * to.step[axis];
    for (int d = 0; d < to.rank; d++) v.view[out].step[v.loop[d]] = step(&to, d);
  }
  sumi_vector_store(&v, out, sumi_dot_activation(&v, act, sum));
  return sumi_vector_end(&v);
}

/* A product whose sums ACT cannot finish goes by blocks of so many outputs, where y's form and p allow it: a temporary holds
 * the sums of one, and what follows them runs beside the next block's product. */
enum { BLOCK = 64 };

/* The dimension of y's n channels, neighbours; -1: blocks are not possible. */
static int block_axis(const struct sumi_cells *c, const struct sumi_cell_product *p, int64_t n) {
  const struct sumi_cell_operand *y = &c->operand[p->y.operand];
  if (p->residual.operand >= 0 || p->y.at || n <= BLOCK) return -1;
  for (int d = 0; d < y->rank; d++)
    if (y->dim[d] == n && y->step[d] == 1) return d;
  return -1;
}

/* p's channels [first, first + some) of n, into a temporary of y's form. */
static sumi_status add_block(struct sumi_cells *c, const struct sumi_cell_product *p, int axis, int64_t n,
                             int64_t first, int64_t some, int *sums) {
  struct sumi_cell_operand o = c->operand[p->y.operand];
  struct sumi_cell_product q = *p;
  o.dim[axis] = some;
  *sums = sumi_cells_temp(c, SUMI_FLOAT32, o.rank, o.dim);
  if (*sums >= 0) *sums = sumi_cells_neighbours(c, *sums, axis);
  if (*sums < 0) return SUMI_E_MEMORY;
  q.y.operand = *sums;
  /* all steps but the channels' are multiples of n */
  q.y_image = q.y_image / n * some;
  q.y_row = q.y_row / n * some;
  q.y_pixel = q.y_pixel / n * some;
  for (int k = q.param_outer; k < q.n_outer; k++) q.y.step[k] = q.y.step[k] / n * some;
  q.scale += first;
  q.add += first;
  if (q.param_outer) { /* whole groups */
    q.outer[0] = some / q.outputs;
    q.x.at += first / q.outputs * q.x.step[0];
    q.w.at += first / q.outputs * q.w.step[0];
  } else {
    q.outputs = some;
    q.w.at += first * q.w_output;
  }
  return sumi_cells_product(c, &q);
}

static sumi_status by_blocks(struct sumi_cells *c, const struct sumi_cell_product *p,
                             struct sumi_activation act, int axis, int64_t n) {
  const int64_t least = p->param_outer ? p->outputs : 1, most = SUMI_MAX(BLOCK / least * least, least);
  for (int64_t first = 0; first < n; first += most) {
    int sums;
    SUMI_TRY(add_block(c, p, axis, n, first, SUMI_MIN(most, n - first), &sums));
    SUMI_TRY(follow(c, act, sums, p->y.operand, axis, first));
  }
  return SUMI_OK;
}

sumi_status sumi_dot_real(struct sumi_cells *c, struct sumi_cell_product *p, const struct sumi_dot_real *e,
                          int64_t n) {
  const int y = p->y.operand;
  const bool by_act = sumi_dot_function(e->activation, p);
  float *scale = SUMI_NEW_ARRAY(c->arena, (size_t)n, float),
        *add = SUMI_NEW_ARRAY(c->arena, (size_t)n, float);
  if (!scale || !add) SUMI_FAIL_MEMORY(c->err);
  for (int64_t i = 0; i < n; i++) {
    scale[i] = e->scale;
    add[i] = e->bias ? e->bias[i] * e->bias_mul : 0;
  }
  p->flags = SUMI_CARD_ACT_REAL | SUMI_CARD_ACT_CHANNEL;
  p->scale = scale;
  p->add = add;
  p->c = (struct sumi_card_stage){.mul = 1, .out_mul = 1};
  if (p->residual.operand >= 0) {
    p->flags |= SUMI_CARD_ACT_RESIDUAL;
    p->r = p->c;
    p->r_mul = e->r_mul;
  }
  if (by_act) return sumi_cells_product(c, p);
  const int axis = block_axis(c, p, n);
  if (axis >= 0) return by_blocks(c, p, e->activation, axis, n);
  if (!may_follow(c, y, e->activation)) p->y.operand = sumi_dot_temp_like(c, SUMI_FLOAT32, y);
  if (p->y.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_cells_product(c, p));
  return follow(c, e->activation, p->y.operand, y, -1, 0);
}

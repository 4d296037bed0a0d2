/* ConvInteger, QLinearConv, MatMulInteger and QLinearMatMul for the card. Zero points are constants, one for
 * all rows and columns. The QLinear ones end as ACT rounds; the sums of the others leave the accumulators as
 * float32, so they must be below 2^24. */
#include "op/integer_dot_cells.h"

#include <inttypes.h>
#include <stdlib.h>

#include "op/dot_cells.h"
#include "op/vector_cells.h"

#include "base/size.h"

/* Inputs by what they are; -1 = the operator has none. */
struct roles {
  int x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
  bool conv;
};

static const struct roles conv_integer = {0, -1, 2, 1, -1, 3, -1, -1, -1, true},
                          matmul_integer = {0, -1, 2, 1, -1, 3, -1, -1, -1, false},
                          qlinear_conv = {0, 1, 2, 3, 4, 5, 6, 7, 8, true},
                          qlinear_matmul = {0, 1, 2, 3, 4, 5, 6, 7, -1, false};

static bool is_byte(sumi_dtype d) { return d == SUMI_INT8 || d == SUMI_UINT8; }

/* The one zero point of input i; 0 where it is not given. */
static sumi_status zero_of(struct sumi_cells *c, int i, int *zero) {
  *zero = 0;
  if (!sumi_cells_has(c, i)) return SUMI_OK;
  const struct sumi_tensor *t = c->in[i];
  if (!t->data) return sumi_cells_refuse(c, "zero point %d is no constant", i);
  const int64_t n = sumi_tensor_count(t);
  for (int64_t k = 0; k < n; k++) {
    const int z = (int)sumi_get_i64(t->dtype, t->data, k);
    if (k && z != *zero) return sumi_cells_refuse(c, "input %d has several zero points", i);
    *zero = z;
  }
  return SUMI_OK;
}

/* One float32 of input i, or one of each output. */
static sumi_status scale_of(struct sumi_cells *c, int i, int64_t outputs, const float **scale,
                            int64_t *step) {
  const struct sumi_tensor *t = c->in[i];
  const int64_t n = sumi_tensor_count(t);
  if (t->dtype != SUMI_FLOAT32 || !t->data)
    return sumi_cells_refuse(c, "scale %d is no constant of float32", i);
  if (n != 1 && (n != outputs || t->dim[t->rank - 1] != n))
    return sumi_cells_refuse(c, "input %d has %" PRId64 " scales", i, n);
  *scale = t->data;
  *step = n != 1;
  return SUMI_OK;
}

/* The product's loops and zero points; *n: channel parameters. */
static sumi_status product(struct sumi_cells *c, const struct roles *r, struct sumi_cell_product *p,
                           int64_t *n) {
  struct sumi_dot_operands o = {.x = r->x, .w = r->w, .y = sumi_cells_out(c, 0), .residual = -1};
  int x_zero, w_zero;
  if (!is_byte(c->in[r->x]->dtype) || !is_byte(c->in[r->w]->dtype))
    return sumi_cells_refuse(c, "a product of %s and %s", sumi_dtype_label(c->in[r->x]->dtype),
                             sumi_dtype_label(c->in[r->w]->dtype));
  SUMI_TRY(zero_of(c, r->x_zero, &x_zero));
  SUMI_TRY(zero_of(c, r->w_zero, &w_zero));
  o.blank = (uint8_t)x_zero;
  if (r->conv) {
    struct sumi_conv v;
    SUMI_TRY(sumi_conv_resolve(c->node, c->in[r->x], c->in[r->w], &v, c->err));
    SUMI_TRY(sumi_dot_conv(c, &v, &o, p));
    *n = v.c_out;
  } else {
    SUMI_TRY(sumi_dot_matmul(c, &o, p));
    *n = p->outputs;
  }
  p->x_zero = x_zero;
  p->w_zero = w_zero;
  return SUMI_OK;
}

/* ---- 8 bits ----------------------------------------------------------------------------------------------- */

static sumi_status qlinear(struct sumi_cells *c, const struct roles *r) {
  struct sumi_cell_product p;
  const float *x_scale, *w_scale, *y_scale;
  int64_t n = 0, none, step;
  int y_zero;
  SUMI_TRY(product(c, r, &p, &n));
  SUMI_TRY(scale_of(c, r->x_scale, 1, &x_scale, &none));
  SUMI_TRY(scale_of(c, r->w_scale, n, &w_scale, &step));
  SUMI_TRY(scale_of(c, r->y_scale, 1, &y_scale, &none));
  SUMI_TRY(zero_of(c, r->y_zero, &y_zero));
  const bool biased = r->bias >= 0 && sumi_cells_has(c, r->bias);
  const sumi_dtype y = c->operand[p.y.operand].dtype;
  if (!is_byte(y)) return sumi_cells_refuse(c, "a result of %s", sumi_dtype_label(y));
  if (biased && !c->in[r->bias]->data) return sumi_cells_refuse(c, "the bias is no constant");
  float *scale = SUMI_NEW_ARRAY(c->arena, (size_t)n, float);
  if (!scale) SUMI_FAIL_MEMORY(c->err);
  for (int64_t m = 0; m < n; m++) scale[m] = *x_scale * w_scale[m * step] / *y_scale;
  p.scale = scale;
  p.bias = biased ? c->in[r->bias]->data : NULL;
  p.flags = SUMI_CARD_ACT_FIRST;
  p.first_zero = (float)y_zero;
  p.first_lo = y == SUMI_INT8 ? -128 : 0;
  p.first_hi = p.first_lo + 255;
  return sumi_cells_product(c, &p);
}

sumi_status sumi_qlinear_conv_cells(struct sumi_cells *c) { return qlinear(c, &qlinear_conv); }
sumi_status sumi_qlinear_matmul_cells(struct sumi_cells *c) { return qlinear(c, &qlinear_matmul); }

/* ---- int32 ------------------------------------------------------------------------------------------------ */

enum { EXACT = 1 << 24 }; /* float32 has every integer up to here */

/* The largest |x - zero| of a type, or of a constant. */
static int64_t most(const struct sumi_cell_operand *o, int zero) {
  const int lo = o->dtype == SUMI_INT8 ? -128 : 0, hi = lo + 255;
  int64_t largest = 0;
  if (!o->data) return SUMI_MAX(abs(lo - zero), abs(hi - zero));
  for (size_t i = 0; i < o->bytes; i++) {
    const int64_t x = abs((int)sumi_get_i64(o->dtype, o->data, (int64_t)i) - zero);
    largest = SUMI_MAX(largest, x);
  }
  return largest;
}

static sumi_status integer(struct sumi_cells *c, const struct roles *r) {
  struct sumi_cell_product p;
  int64_t n = 0;
  SUMI_TRY(product(c, r, &p, &n));
  const double summands = (double)p.channels * p.kernel_h * p.kernel_w;
  const double bound = summands * (double)most(&c->operand[p.x.operand], p.x_zero) *
                       (double)most(&c->operand[p.w.operand], p.w_zero);
  if (bound > EXACT)
    return sumi_cells_refuse(c, "int32 sums of up to %.0f: the card gives those up to 2^24 only", bound);
  const int y = p.y.operand;
  p.flags = SUMI_CARD_ACT_REAL | SUMI_CARD_ACT_CHANNEL;
  p.c = (struct sumi_card_stage){.mul = 1, .out_mul = 1};
  p.y.operand = sumi_dot_temp_like(c, SUMI_FLOAT32, y);
  if (p.y.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_cells_product(c, &p));
  struct sumi_vector v;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, y, 0);
  const int x = sumi_vector_load(&v, sumi_vector_view(&v, p.y.operand));
  sumi_vector_store(&v, sumi_vector_view(&v, y), sumi_vector_op(&v, SUMI_CARD_V_F2I, x, 0, 0));
  return sumi_vector_end(&v);
}

sumi_status sumi_conv_integer_cells(struct sumi_cells *c) { return integer(c, &conv_integer); }
sumi_status sumi_matmul_integer_cells(struct sumi_cells *c) { return integer(c, &matmul_integer); }

/* Conv, MatMul, Gemm and their relatives for the card: factors are bfloat16, sums float32. A float32 factor
 * is narrowed where that is allowed. */
#include "op/fdot_cells.h"

#include "op/dot_cells.h"
#include "op/gemm.h"
#include "op/matmul.h"

/* The operands of inputs 0 and 1, narrowed; x and w: the axes of their channels. residual: an input, -1 =
 * none. */
static sumi_status operands(struct sumi_cells *c, int x, int w, int residual, struct sumi_dot_operands *o) {
  *o = (struct sumi_dot_operands){.y = sumi_cells_out(c, 0), .residual = residual};
  SUMI_TRY(sumi_dot_narrow(c, 0, x, &o->x));
  return sumi_dot_narrow(c, 1, w, &o->w);
}

static sumi_status matmul_operands(struct sumi_cells *c, int residual, struct sumi_dot_operands *o) {
  struct sumi_matmul mm;
  SUMI_TRY(sumi_matmul_resolve(c->node, c->in[0], c->in[1], &mm, c->err));
  return operands(c, mm.a_k, mm.b_k, residual, o);
}

static sumi_status add_conv(struct sumi_cells *c, const struct sumi_conv *v,
                            const struct sumi_dot_operands *o) {
  struct sumi_dot_real e = {.scale = 1, .bias_mul = 1, .r_mul = 1, .activation = v->activation};
  struct sumi_cell_product p;
  SUMI_TRY(sumi_dot_bias(c, 2, &e));
  SUMI_TRY(sumi_dot_conv(c, v, o, &p));
  return sumi_dot_real(c, &p, &e, v->c_out);
}

sumi_status sumi_conv_cells(struct sumi_cells *c) {
  struct sumi_conv v;
  struct sumi_dot_operands o;
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[0], c->in[1], &v, c->err));
  SUMI_TRY(operands(c, 1, 1, sumi_cells_has(c, 3) ? 3 : -1, &o));
  return add_conv(c, &v, &o);
}

sumi_status sumi_fconv_cells(struct sumi_cells *c) {
  enum { X, W, B, Z, S };
  struct sumi_conv v;
  struct sumi_dot_operands o = {.y = sumi_cells_out(c, 0), .residual = sumi_cells_has(c, Z) ? Z : -1};
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[X], c->in[W], &v, c->err));
  if (!c->operand[S].data) return sumi_cells_refuse(c, "the factors are no constants");
  SUMI_TRY(sumi_dot_narrow_scaled(c, W, c->operand[S].data, &o.w));
  SUMI_TRY(sumi_dot_narrow(c, X, 1, &o.x));
  return add_conv(c, &v, &o);
}

sumi_status sumi_matmul_cells(struct sumi_cells *c) {
  struct sumi_dot_operands o;
  struct sumi_cell_product p;
  const struct sumi_dot_real e = {.scale = sumi_attr_float(c->node, "alpha", 1)};
  SUMI_TRY(matmul_operands(c, -1, &o));
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return sumi_dot_real(c, &p, &e, p.outputs);
}

sumi_status sumi_fmatmul_cells(struct sumi_cells *c) {
  struct sumi_dot_operands o;
  struct sumi_cell_product p;
  struct sumi_dot_real e = {.scale = 1, .bias_mul = 1};
  SUMI_TRY(sumi_activation_resolve(c->node, &e.activation, c->err));
  SUMI_TRY(matmul_operands(c, -1, &o));
  SUMI_TRY(sumi_dot_bias(c, 2, &e));
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return sumi_dot_real(c, &p, &e, p.outputs);
}

/* The bias of one number for all columns, for each. */
static sumi_status spread(struct sumi_cells *c, const struct sumi_gemm *g, struct sumi_dot_real *e) {
  float *all = SUMI_NEW_ARRAY(c->arena, (size_t)g->n, float);
  if (!all) SUMI_FAIL_MEMORY(c->err);
  for (int64_t j = 0; j < g->n; j++) all[j] = e->bias[j * g->c_col];
  e->bias = all;
  return SUMI_OK;
}

sumi_status sumi_gemm_cells(struct sumi_cells *c) {
  struct sumi_gemm g;
  struct sumi_dot_operands o;
  struct sumi_cell_product p;
  const struct sumi_tensor *add = sumi_cells_has(c, 2) ? c->in[2] : NULL;
  SUMI_TRY(sumi_gemm_resolve(c->node, c->in[0], c->in[1], add, &g, c->err));
  if (g.beta == 0) add = NULL;
  struct sumi_dot_real e = {
      .scale = g.alpha, .bias_mul = g.beta, .r_mul = g.beta, .activation = g.activation};
  const bool whole = add && add->rank == 2 && add->dim[0] == g.m && add->dim[1] == g.n &&
                     (g.c_row || !c->operand[2].data); /* C is added like a residual */
  SUMI_TRY(matmul_operands(c, whole ? 2 : -1, &o));
  if (add && g.c_row && !whole) return sumi_cells_refuse(c, "C has a number for each row");
  if (add && !whole) {
    SUMI_TRY(sumi_dot_bias(c, 2, &e));
    SUMI_TRY(spread(c, &g, &e));
  }
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return sumi_dot_real(c, &p, &e, g.n);
}

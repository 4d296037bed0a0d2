/* sumi.BConv and sumi.BMatMul for the card: bfloat16 products, whose sums are float32. */
#include "op/bdot_cells.h"

#include "op/bdot.h"
#include "op/dot_cells.h"

static sumi_status resolve(struct sumi_cells *c, struct sumi_dot_operands *o, struct sumi_dot_real *e) {
  *o = (struct sumi_dot_operands){.x = SUMI_BDOT_X,
                                  .w = SUMI_BDOT_W,
                                  .y = sumi_cells_out(c, 0),
                                  .residual = sumi_cells_has(c, SUMI_BDOT_R) ? SUMI_BDOT_R : -1};
  *e = (struct sumi_dot_real){.scale = 1, .bias_mul = 1, .r_mul = 1};
  SUMI_TRY(sumi_activation_resolve(c->node, &e->activation, c->err));
  return sumi_dot_bias(c, SUMI_BDOT_B, e);
}

sumi_status sumi_bconv_cells(struct sumi_cells *c) {
  struct sumi_dot_operands o;
  struct sumi_dot_real e;
  struct sumi_conv v;
  struct sumi_cell_product p;
  SUMI_TRY(resolve(c, &o, &e));
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[SUMI_BDOT_X], c->in[SUMI_BDOT_W], &v, c->err));
  SUMI_TRY(sumi_dot_conv(c, &v, &o, &p));
  return sumi_dot_real(c, &p, &e, v.c_out);
}

sumi_status sumi_bmatmul_cells(struct sumi_cells *c) {
  struct sumi_dot_operands o;
  struct sumi_dot_real e;
  struct sumi_cell_product p;
  SUMI_TRY(resolve(c, &o, &e));
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return sumi_dot_real(c, &p, &e, p.outputs);
}

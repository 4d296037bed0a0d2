/* sumi.QConv and sumi.QMatMul for the card: a product, and ACT for what follows the sum. What ACT has no
 * function for, or has one before its last stage only, ends as a vector program over the first stage's
 * result. */
#include "op/qdot_cells.h"

#include "op/dot_cells.h"
#include "op/qdot.h"
#include "op/vector_cells.h"

/* A stored figure in the type's own terms. */
static float own(float stored, uint8_t flip) { return flip ? stored - 128 : stored; }

static sumi_status resolve(struct sumi_cells *c, int64_t rows, struct sumi_qdot *q) {
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_qdot_resolve(c->node, c->in, c->n_in, rows, q, &err);
  return status == SUMI_E_UNSUPPORTED ? sumi_cells_refuse(c, "%s", err.text)
         : status != SUMI_OK          ? sumi_err_set(c->err, status, "%s", err.text)
                                      : SUMI_OK;
}

static sumi_status set_channels(struct sumi_cells *c, const struct sumi_qdot *q,
                                struct sumi_cell_product *p) {
  float *scale = SUMI_NEW_ARRAY(c->arena, (size_t)q->rows, float),
        *add = SUMI_NEW_ARRAY(c->arena, (size_t)q->rows, float);
  if (!scale || !add) SUMI_FAIL_MEMORY(c->err);
  for (int64_t m = 0; m < q->rows; m++) {
    scale[m] = sumi_qdot_scale(q, m);
    add[m] = sumi_qdot_add(q, m);
  }
  p->bias = q->b;
  p->scale = scale;
  p->add = add;
  p->x_zero = (int)own((float)q->x_zero, q->x_flip);
  return SUMI_OK;
}

/* ACT's form of a stage; flip: of the type its result is given in. */
static struct sumi_card_stage act_stage(const struct sumi_qdot_stage *s, uint8_t flip) {
  return (struct sumi_card_stage){.mul = s->mul,
                                  .out_mul = s->out_mul != 0 ? s->out_mul : 1,
                                  .zero = own(s->zero, flip),
                                  .lo = own(s->lo, flip),
                                  .hi = own(s->hi, flip)};
}

/* The first stage, of stored figures unless it is the last. */
static void set_first(const struct sumi_qdot *q, uint8_t flip, struct sumi_cell_product *p) {
  if (q->direct) return;
  p->flags |= SUMI_CARD_ACT_FIRST;
  p->first_zero = own(q->zero, flip);
  p->first_lo = own(q->lo, flip);
  p->first_hi = own(q->hi, flip);
}

/* All stages by ACT; false: it cannot. */
static bool set_stages(const struct sumi_qdot *q, struct sumi_cell_product *p) {
  if (q->real) p->flags |= SUMI_CARD_ACT_REAL;
  set_first(q, q->n_stage ? 0 : q->y_flip, p);
  for (int k = 0; k < q->n_stage; k++) {
    const struct sumi_qdot_stage *s = &q->stage[k];
    const bool last = k == q->n_stage - 1;
    if (last ? !sumi_dot_function(s->function, p) : s->function.kind != SUMI_ACTIVATION_NONE) return false;
    p->flags |= s->residual ? SUMI_CARD_ACT_RESIDUAL : SUMI_CARD_ACT_CHANNEL;
    *(s->residual ? &p->r : &p->c) = act_stage(s, last ? q->y_flip : 0);
    if (!s->residual) continue;
    p->r_zero = own(s->r_zero, q->r_flip);
    p->r_mul = s->r_mul;
  }
  return true;
}

/* ---- stages as a vector program ---------------------------------------------------------------------------- */

/* What a stage adds: the residual, or the channel's constant. */
static int plus(struct sumi_vector *v, const struct sumi_qdot *q, const struct sumi_qdot_stage *s,
                int residual, int add) {
  if (!s->residual) return sumi_vector_load(v, sumi_vector_view(v, add));
  const int r = sumi_vector_load(v, sumi_vector_view(v, residual));
  return SUMI_VECTOR(v, "((float)a - b) * c", r, sumi_vector_float(v, own(s->r_zero, q->r_flip)),
                     sumi_vector_float(v, s->r_mul));
}

/* round(clamp(x, lo - zero, hi - zero)) */
static int held(struct sumi_vector *v, const struct sumi_qdot_stage *s, int x) {
  x = sumi_vector_op(v, SUMI_CARD_V_MAX, x, sumi_vector_float(v, s->lo - s->zero), 0);
  x = sumi_vector_op(v, SUMI_CARD_V_MIN, x, sumi_vector_float(v, s->hi - s->zero), 0);
  return sumi_vector_op(v, SUMI_CARD_V_RINT, x, 0, 0);
}

/* y from the first stage's result, a byte, or (direct) the first stage's v, float32. add: operand that
 * broadcasts to y. */
static sumi_status finish(struct sumi_cells *c, const struct sumi_qdot *q, int from, int residual, int add,
                          int y) {
  struct sumi_vector v;
  sumi_vector_start(&v, c);
  sumi_vector_over(&v, y, 0);
  int x = sumi_vector_load(&v, sumi_vector_view(&v, from));
  if (!q->direct) x = SUMI_VECTOR(&v, "(float)a - b", x, sumi_vector_float(&v, q->zero));
  for (int k = 0; k < q->n_stage; k++) {
    const struct sumi_qdot_stage *s = &q->stage[k];
    if (!q->direct || k)
      x = sumi_vector_op(&v, SUMI_CARD_V_FMA, x, sumi_vector_float(&v, s->mul),
                         plus(&v, q, s, residual, add));
    x = sumi_dot_activation(&v, s->function, x);
    if (q->real) break;
    if (s->out_mul != 0) x = sumi_vector_op(&v, SUMI_CARD_V_MUL, x, sumi_vector_float(&v, s->out_mul), 0);
    x = held(&v, s, x);
  }
  if (!q->real) {
    const float zero = own(q->stage[q->n_stage - 1].zero, q->y_flip);
    x = sumi_vector_op(&v, SUMI_CARD_V_F2I, SUMI_VECTOR(&v, "a + b", x, sumi_vector_float(&v, zero)), 0, 0);
  }
  sumi_vector_store(&v, sumi_vector_view(&v, y), x);
  return sumi_vector_end(&v);
}

/* The product with its first stage, then the others; axis: of the channels in y. */
static sumi_status in_two(struct sumi_cells *c, const struct sumi_qdot *q, struct sumi_cell_product *p,
                          int axis) {
  const int y = p->y.operand, residual = p->residual.operand;
  int64_t dim[SUMI_MAX_RANK];
  for (int d = 0; d < c->operand[y].rank; d++) dim[d] = d == axis ? q->rows : 1;
  const int add = sumi_cells_constant(c, SUMI_FLOAT32, c->operand[y].rank, dim, p->add);
  p->y.operand = sumi_dot_temp_like(c, q->direct ? SUMI_FLOAT32 : SUMI_UINT8, y);
  if (add < 0 || p->y.operand < 0) return SUMI_E_MEMORY;
  p->flags = q->direct ? SUMI_CARD_ACT_REAL | SUMI_CARD_ACT_CHANNEL : 0;
  p->function = SUMI_CARD_F_NONE;
  p->residual.operand = -1;
  p->c = (struct sumi_card_stage){.mul = 1, .out_mul = 1};
  set_first(q, 0, p);
  SUMI_TRY(sumi_cells_product(c, p));
  return finish(c, q, p->y.operand, residual, add, y);
}

static sumi_status add_product(struct sumi_cells *c, const struct sumi_qdot *q, struct sumi_cell_product *p,
                               int axis) {
  SUMI_TRY(set_channels(c, q, p));
  return set_stages(q, p) ? sumi_cells_product(c, p) : in_two(c, q, p, axis);
}

static struct sumi_dot_operands operands(const struct sumi_cells *c) {
  return (struct sumi_dot_operands){.x = SUMI_QDOT_X,
                                    .w = SUMI_QDOT_W,
                                    .y = sumi_cells_out(c, 0),
                                    .residual = sumi_cells_has(c, SUMI_QDOT_R) ? SUMI_QDOT_R : -1};
}

sumi_status sumi_qconv_cells(struct sumi_cells *c) {
  struct sumi_dot_operands o = operands(c);
  struct sumi_conv v;
  struct sumi_qdot q;
  struct sumi_cell_product p;
  SUMI_TRY(sumi_conv_resolve(c->node, c->in[SUMI_QDOT_X], c->in[SUMI_QDOT_W], &v, c->err));
  SUMI_TRY(resolve(c, v.c_out, &q));
  o.blank = (uint8_t)(q.x_zero ^ q.x_flip);
  SUMI_TRY(sumi_dot_conv(c, &v, &o, &p));
  return add_product(c, &q, &p, 1);
}

sumi_status sumi_qmatmul_cells(struct sumi_cells *c) {
  const struct sumi_dot_operands o = operands(c);
  const bool transposed = sumi_attr_int(c->node, "transB", 0) != 0;
  struct sumi_qdot q;
  struct sumi_cell_product p;
  SUMI_TRY(resolve(c, c->in[SUMI_QDOT_W]->dim[!transposed], &q));
  SUMI_TRY(sumi_dot_matmul(c, &o, &p));
  return add_product(c, &q, &p, c->operand[o.y].rank - 1);
}

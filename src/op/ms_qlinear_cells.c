/* Sums, products, means and softmax as the references calculate them; functions of one value as tables that the references
 * fill. */
#include "op/ms_qlinear_cells.h"

#include "base/size.h"
#include "op/dims.h"
#include "op/move_cells.h"
#include "op/ms_qlinear.h"
#include "op/quant_cells.h"

static sumi_status not_constant(struct sumi_cells *c) {
  return sumi_cells_refuse(c, "a scale or zero point is not constant");
}

/* ---- two operands -------------------------------------------------------------------------------------------------------- */

enum { A, SECOND = 3, C_SCALE = 6, C_ZERO };

static sumi_status binary_cells(struct sumi_cells *c, bool add) {
  double sa, sb, sc;
  int32_t za, zb, zc;
  if (!sumi_quant_constants(c, A + 1, A + 2, &sa, &za) ||
      !sumi_quant_constants(c, SECOND + 1, SECOND + 2, &sb, &zb) ||
      !sumi_quant_constants(c, C_SCALE, C_ZERO, &sc, &zc))
    return not_constant(c);
  const int y = sumi_cells_out(c, 0);
  struct sumi_vector p;
  sumi_cells_same_form(c, y, SECOND);
  sumi_cells_same_form(c, y, A);
  sumi_vector_start(&p, c);
  sumi_vector_over(&p, y, 0);
  const int a = sumi_quant_centred(&p, sumi_vector_load(&p, sumi_vector_view(&p, A)), za),
            b = sumi_quant_centred(&p, sumi_vector_load(&p, sumi_vector_view(&p, SECOND)), zb);
  const int ma = sumi_vector_float(&p, (float)(add ? sa / sc : sa * sb / sc)),
            mb = sumi_vector_float(&p, (float)(sb / sc));
  const int v = add ? SUMI_VECTOR(&p, "a * c + b * d", a, b, ma, mb) : SUMI_VECTOR(&p, "a * b * c", a, b, ma);
  sumi_vector_store(&p, sumi_vector_view(&p, y), sumi_quant_round(&p, v, sumi_vector_int(&p, zc)));
  return sumi_vector_end(&p);
}

sumi_status sumi_qlinear_add_cells(struct sumi_cells *c) { return binary_cells(c, true); }
sumi_status sumi_qlinear_mul_cells(struct sumi_cells *c) { return binary_cells(c, false); }

/* ---- tables ---------------------------------------------------------------------------------------------------------------- */

enum { BYTES = 256 };

/* A table as a constant operand; -1: out of memory. */
static int table_operand(struct sumi_cells *c, sumi_dtype dtype, const uint8_t *table) {
  return sumi_cells_constant(c, dtype, 1, &(const int64_t){BYTES}, table);
}

static uint8_t *all_bytes(struct sumi_arena *arena) {
  uint8_t *x = SUMI_NEW_ARRAY(arena, BYTES, uint8_t);
  for (int i = 0; x && i < BYTES; i++) x[i] = (uint8_t)i;
  return x;
}

sumi_status sumi_qlinear_table_cells(struct sumi_cells *c) {
  for (int i = 1; i < c->n_in; i++)
    if (sumi_cells_has(c, i) && !c->in[i]->data) return not_constant(c);
  const struct sumi_tensor **in = SUMI_NEW_ARRAY(c->arena, (size_t)c->n_in, const struct sumi_tensor *);
  uint8_t *bytes = all_bytes(c->arena), *table = SUMI_NEW_ARRAY(c->arena, BYTES, uint8_t);
  if (!in || !bytes || !table) SUMI_FAIL_MEMORY(c->err);
  struct sumi_tensor
      x = {.kind = SUMI_TENSOR, .dtype = c->in[0]->dtype, .rank = 1, .dim = {BYTES}, .data = bytes},
      t = {.kind = SUMI_TENSOR, .dtype = c->out[0]->dtype, .rank = 1, .dim = {BYTES}, .data = table};
  struct sumi_tensor *out[] = {&t};
  for (int i = 0; i < c->n_in; i++) in[i] = i ? c->in[i] : &x;
  const struct sumi_call call = {
      .node = c->node, .n_in = c->n_in, .n_out = 1, .in = in, .out = out, .err = c->err};
  SUMI_TRY(c->node->op->ref(&call));
  const int y = sumi_cells_out(c, 0), operand = table_operand(c, t.dtype, table);
  if (operand < 0) return SUMI_E_MEMORY;
  sumi_cells_same_form(c, y, 0);
  const struct sumi_seen from = sumi_see(c, 0), to = sumi_see(c, y);
  return sumi_table_cells(c, &from, &to, 0, operand);
}

/* Input i behind `at` elements of y: by a table, or copied where that says nothing. */
static sumi_status concat_part(struct sumi_cells *c, int i, int64_t at) {
  const int y = sumi_cells_out(c, 0);
  const struct sumi_call call = sumi_cells_call(c);
  const struct sumi_ms_quant qx = sumi_ms_quant_of(&call, i + 1, i + 2), qy = sumi_ms_quant_of(&call, 0, 1);
  uint8_t *bytes = all_bytes(c->arena), *table = SUMI_NEW_ARRAY(c->arena, BYTES, uint8_t);
  if (!bytes || !table) SUMI_FAIL_MEMORY(c->err);
  const struct sumi_tensor x = {.kind = SUMI_TENSOR, .dtype = c->in[i]->dtype, .data = bytes},
                           t = {.kind = SUMI_TENSOR, .dtype = c->out[0]->dtype, .data = table};
  bool same = x.dtype == t.dtype;
  for (int k = 0; k < BYTES; k++) {
    sumi_ms_quantise(&t, k, qy, sumi_ms_real(&x, k, qx));
    same = same && table[k] == bytes[k];
  }
  const struct sumi_seen from = sumi_see(c, i);
  struct sumi_seen to = sumi_see(c, y);
  for (int k = 0; k < to.rank; k++) to.dim[k] = from.dim[k];
  if (same) {
    const struct sumi_box box = sumi_box_make(from.rank, from.dim, to.step, from.step);
    return sumi_box_cell(c, &box, y, at, i, 0, 0);
  }
  const int operand = table_operand(c, t.dtype, table);
  return operand < 0 ? SUMI_E_MEMORY : sumi_table_cells(c, &from, &to, at, operand);
}

sumi_status sumi_qlinear_concat_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0);
  int axis;
  int64_t at = 0;
  SUMI_TRY(sumi_op_axis(c->node, 0, c->out[0]->rank, &axis, c->err));
  const int inner = sumi_cells_inner(c, 2);
  if (inner >= 0 && sumi_cells_neighbours(c, y, inner) < 0) return SUMI_E_MEMORY;
  for (int i = 0; i < c->n_in; i++)
    if ((i < 2 || (i - 2) % 3) && !c->in[i]->data) return not_constant(c);
  for (int i = 2; i < c->n_in; i += 3) {
    if (!sumi_tensor_count(c->in[i])) continue;
    SUMI_TRY(concat_part(c, i, at));
    at += c->in[i]->dim[axis] * c->operand[y].step[axis];
  }
  return SUMI_OK;
}

/* ---- means, softmax -------------------------------------------------------------------------------------------------------- */

enum { X, X_SCALE, X_ZERO, Y_SCALE, Y_ZERO };

struct quants {
  double sx, sy;
  int32_t zx, zy;
};

static bool read_quants(const struct sumi_cells *c, struct quants *q) {
  return sumi_quant_constants(c, X_SCALE, X_ZERO, &q->sx, &q->zx) &&
         sumi_quant_constants(c, Y_SCALE, Y_ZERO, &q->sy, &q->zy);
}

/* The sum is exact; then a mean is scaled, or (at_once) the sum by one product. */
static sumi_status mean_cells(struct sumi_cells *c, unsigned inner, bool at_once, const struct sumi_seen *y) {
  struct quants q;
  if (!read_quants(c, &q)) return not_constant(c);
  const struct sumi_seen x = sumi_see(c, X), sum = sumi_seen_temp(c, SUMI_INT32, &x, inner, 0, 1);
  if (sum.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_reduce_cells(c, &x, inner, &(const struct sumi_reduction){SUMI_REDUCTION_SUM}, &sum));
  const int64_t n = sumi_tensor_count(c->in[X]) / SUMI_MAX(sumi_tensor_count(c->out[0]), 1);
  if (n > INT32_MAX / 512) return sumi_cells_refuse(c, "a mean of %lld elements", (long long)n);
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, &sum, 0);
  const int s = sumi_quant_centred(&p, sumi_vector_load(&p, sumi_vector_see(&p, &sum)), (int32_t)n * q.zx);
  const int v = at_once ? SUMI_VECTOR(&p, "a * b", s, sumi_vector_float(&p, (float)(q.sx / q.sy / (double)n)))
                        : SUMI_VECTOR(&p, "a / b * c", s, sumi_vector_float(&p, (float)n),
                                      sumi_vector_float(&p, (float)(q.sx / q.sy)));
  sumi_vector_store(&p, sumi_vector_see(&p, y), sumi_quant_round(&p, v, sumi_vector_int(&p, q.zy)));
  return sumi_vector_end(&p);
}

sumi_status sumi_qlinear_global_average_pool_cells(struct sumi_cells *c) {
  const int rank = c->in[X]->rank, y = sumi_cells_out(c, 0);
  const bool last = sumi_attr_int(c->node, "channels_last", 0) != 0;
  if (!sumi_tensor_count(c->in[X])) return sumi_cells_refuse(c, "an empty tensor");
  const struct sumi_seen to = sumi_see(c, y);
  return mean_cells(c, ((1u << rank) - 1) & ~(1u | 1u << (last ? rank - 1 : 1)), true, &to);
}

sumi_status sumi_qlinear_reduce_mean_cells(struct sumi_cells *c) {
  const int rank = c->in[X]->rank;
  bool reduced[SUMI_MAX_RANK] = {false};
  int n, axis[SUMI_MAX_RANK];
  const int64_t *axes = sumi_attr_ints(c->node, "axes", &n);
  SUMI_TRY(sumi_op_axes(axes, n, rank, axis, c->err));
  for (int i = 0; i < n; i++) reduced[axis[i]] = true;
  for (int i = 0; i < rank && !n; i++) reduced[i] = true;
  if (!sumi_tensor_count(c->in[X])) return sumi_cells_refuse(c, "an empty tensor");
  const struct sumi_seen to = sumi_see_reduced(c, reduced);
  return mean_cells(c, sumi_seen_set(reduced, rank), false, &to);
}

sumi_status sumi_qlinear_softmax_cells(struct sumi_cells *c) {
  const bool flat = sumi_attr_int(c->node, "opset", 13) < 13;
  const int rank = c->in[X]->rank, y = sumi_cells_out(c, 0);
  struct quants q;
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, flat ? 1 : -1, rank, &axis, c->err));
  if (!read_quants(c, &q)) return not_constant(c);
  if (!sumi_tensor_count(c->in[X])) return sumi_cells_refuse(c, "an empty tensor");
  sumi_cells_same_form(c, y, X);
  const unsigned all = (1u << rank) - 1, inner = flat ? all & ~((1u << axis) - 1) : all & 1u << axis;
  const struct sumi_seen x = sumi_see(c, X), to = sumi_see(c, y),
                         real = sumi_seen_temp(c, SUMI_FLOAT32, &x, 0, inner, 1),
                         result = sumi_seen_temp(c, SUMI_FLOAT32, &x, 0, inner, 1);
  if (real.operand < 0 || result.operand < 0) return SUMI_E_MEMORY;
  SUMI_TRY(sumi_dequantise_cells(c, &x, q.sx, q.zx, &real));
  SUMI_TRY(sumi_softmax_cells(c, &real, inner, &result));
  return sumi_quantise_cells(c, &result, q.sy, q.zy, &to);
}

/* ---- Where: condition, X, its scale and zero point, Y, its, the result's ------------------------------------------------------ */

sumi_status sumi_qlinear_where_cells(struct sumi_cells *c) {
  struct quants q;
  double out_scale;
  int32_t out_zero;
  if (!sumi_quant_constants(c, 2, 3, &q.sx, &q.zx) || !sumi_quant_constants(c, 5, 6, &q.sy, &q.zy) ||
      !sumi_quant_constants(c, 7, 8, &out_scale, &out_zero))
    return not_constant(c);
  struct sumi_vector p;
  const int y = sumi_cells_out(c, 0);
  sumi_vector_start(&p, c);
  sumi_vector_over(&p, y, 0);
  const int condition = sumi_vector_load(&p, sumi_vector_view(&p, 0)),
            a = sumi_quant_centred(&p, sumi_vector_load(&p, sumi_vector_view(&p, 1)), q.zx),
            b = sumi_quant_centred(&p, sumi_vector_load(&p, sumi_vector_view(&p, 4)), q.zy);
  const int sa = sumi_vector_float(&p, (float)(q.sx)), sb = sumi_vector_float(&p, (float)(q.sy)),
            by = sumi_vector_float(&p, (float)out_scale);
  const int v = SUMI_VECTOR(&p, "(a ? b * d : c * e) / f", condition, a, b, sa, sb, by);
  sumi_vector_store(&p, sumi_vector_view(&p, y), sumi_quant_round(&p, v, sumi_vector_int(&p, out_zero)));
  return sumi_vector_end(&p);
}

/* Rounding, tables, whole operands. */
#include "op/quant_cells.h"

#include "base/size.h"
#include "op/quant.h"

bool sumi_quant_constants(const struct sumi_cells *c, int scale, int zero, double *s, int32_t *z) {
  const bool has_zero = sumi_cells_has(c, zero);
  if (!c->in[scale]->data || sumi_tensor_count(c->in[scale]) != 1) return false;
  if (has_zero && (!c->in[zero]->data || sumi_tensor_count(c->in[zero]) != 1)) return false;
  *s = sumi_get_f64(c->in[scale]->dtype, c->in[scale]->data, 0);
  *z = has_zero ? (int32_t)sumi_get_i64(c->in[zero]->dtype, c->in[zero]->data, 0) : 0;
  return true;
}

int sumi_quant_operand(struct sumi_vector *p, const struct sumi_cells *c, int i) {
  const struct sumi_tensor *t = c->in[i];
  if (sumi_tensor_count(t) != 1)
    return sumi_vector_load(p, sumi_vector_view_at(p, i, sumi_quant_axis(c->node, c->in[0]->rank)));
  if (!t->data) return sumi_vector_load(p, sumi_vector_view_plain(p, i));
  return sumi_dtype_is_float(t->dtype) ? sumi_vector_float(p, (float)sumi_get_f64(t->dtype, t->data, 0))
                                       : sumi_vector_int(p, (int32_t)sumi_get_i64(t->dtype, t->data, 0));
}

int sumi_quant_round(struct sumi_vector *p, int x, int zero) {
  enum { FAR = 65536 }; /* from every 8-bit number: adding zero does not wrap */
  const int near = SUMI_VECTOR(p, "b < a ? b : a", x, sumi_vector_float(p, FAR));
  const int both = SUMI_VECTOR(p, "b > a ? b : a", near, sumi_vector_float(p, -FAR));
  return SUMI_VECTOR(p, "a + b", sumi_vector_op(p, SUMI_CARD_V_F2I, both, 0, 0), zero);
}

int sumi_quant_centred(struct sumi_vector *p, int q, int32_t zero) {
  return zero ? SUMI_VECTOR(p, "(float)(a - b)", q, sumi_vector_int(p, zero)) : SUMI_VECTOR(p, "(float)a", q);
}

sumi_status sumi_table_cells(struct sumi_cells *c, const struct sumi_seen *x, const struct sumi_seen *y,
                             int64_t y_at, int table) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, x, 0);
  const int q = sumi_vector_load(&p, sumi_vector_see(&p, x)), bits = SUMI_VECTOR(&p, "a & 255", q);
  const int v = sumi_vector_gather(&p, sumi_vector_table(&p, table), bits, 256), to = sumi_vector_see(&p, y);
  if (to >= 0) p.view[to].at = y_at;
  sumi_vector_store(&p, to, v);
  return sumi_vector_end(&p);
}

sumi_status sumi_dequantise_cells(struct sumi_cells *c, const struct sumi_seen *x, double scale, int32_t zero,
                                  const struct sumi_seen *to) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, x, 0);
  const int q = sumi_quant_centred(&p, sumi_vector_load(&p, sumi_vector_see(&p, x)), zero);
  const int v = SUMI_VECTOR(&p, "a * b", q, sumi_vector_float(&p, (float)scale));
  sumi_vector_store(&p, sumi_vector_see(&p, to), v);
  return sumi_vector_end(&p);
}

sumi_status sumi_quantise_cells(struct sumi_cells *c, const struct sumi_seen *x, double scale, int32_t zero,
                                const struct sumi_seen *to) {
  struct sumi_vector p;
  sumi_vector_start(&p, c);
  sumi_vector_over_seen(&p, x, 0);
  const int v = sumi_vector_load(&p, sumi_vector_see(&p, x));
  const int q = sumi_quant_round(&p, SUMI_VECTOR(&p, "a / b", v, sumi_vector_float(&p, (float)scale)),
                                 sumi_vector_int(&p, zero));
  sumi_vector_store(&p, sumi_vector_see(&p, to), q);
  return sumi_vector_end(&p);
}

/* LpNormalization: y = x / ||x||_p along an axis, p = 1 or 2; where the norm is 0, y is 0. Norms in double precision. */
#include <inttypes.h>
#include <math.h>

#include "op/lp_norm_lower.h"
#include "op/op_util.h"
#include "op/rows_cells.h"

static sumi_status lp_infer(struct sumi_infer *ctx) {
  const int64_t p = sumi_attr_int(ctx->node, "p", 2);
  if (p != 1 && p != 2) SUMI_FAIL(ctx->err, SUMI_E_VALUE, "p is %" PRId64 ", only 1 and 2 are defined", p);
  int axis;
  if (ctx->in[0].rank >= 0) SUMI_TRY(sumi_op_axis(ctx->node, -1, ctx->in[0].rank, &axis, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status lp_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  const bool squares = sumi_attr_int(c->node, "p", 2) == 2;
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, x->rank, &axis, c->err));
  /* x is [outer, n, inner] */
  const int64_t outer = sumi_dims_count(x->dim, 0, x->rank ? axis : 0), n = x->rank ? x->dim[axis] : 1;
  const int64_t inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  for (int64_t o = 0; n && inner && o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      const int64_t first = o * n * inner + i;
      double norm = 0;
      for (int64_t k = 0; k < n; k++) {
        const double value = sumi_get_f64(x->dtype, x->data, first + k * inner);
        norm += squares ? value * value : fabs(value);
      }
      if (squares) norm = sqrt(norm);
      for (int64_t k = 0; k < n; k++)
        sumi_set_f64(y->dtype, y->data, first + k * inner,
                     norm == 0 ? 0 : sumi_get_f64(x->dtype, x->data, first + k * inner) / norm);
    }
  return SUMI_OK;
}

/* With m the largest |x| (1 where it is 0), t = x / m: y = t / ||t||, so that no square is too large or small. */
static sumi_status lp_cells(struct sumi_cells *c) {
  const int y = sumi_cells_out(c, 0), rank = c->in[0]->rank;
  const bool squares = sumi_attr_int(c->node, "p", 2) == 2;
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, rank, &axis, c->err));
  if (!rank) return sumi_cells_refuse(c, "a scalar");
  sumi_cells_same_form(c, y, 0);
  const struct sumi_seen x = sumi_see(c, 0), to = sumi_see(c, y);
  const unsigned inner = 1u << axis;
  const struct sumi_seen m = sumi_seen_temp(c, SUMI_FLOAT32, &x, inner, 0, 1),
                         norm = sumi_seen_temp(c, SUMI_FLOAT32, &x, inner, 0, 1),
                         t = sumi_seen_temp(c, SUMI_FLOAT32, &x, 0, inner, 1);
  if (m.operand < 0 || norm.operand < 0 || t.operand < 0) return SUMI_E_MEMORY;
  const struct sumi_reduction largest = {SUMI_REDUCTION_MAX, "fabsf(a)", "a == 0 ? 1 : a"},
                              length = {SUMI_REDUCTION_SUM, squares ? "a * a" : "fabsf(a)",
                                        squares ? "a == 0 ? 1 : sqrtf(a)" : "a == 0 ? 1 : a"};
  struct sumi_vector p;
  SUMI_TRY(sumi_reduce_cells(c, &x, inner, &largest, &m));
  for (int pass = 0; pass < 2; pass++) {
    sumi_vector_start(&p, c);
    sumi_vector_over_seen(&p, pass ? &t : &x, 0);
    const int a = sumi_vector_load(&p, sumi_vector_see(&p, pass ? &t : &x)),
              b = sumi_vector_load(&p, sumi_vector_see(&p, pass ? &norm : &m));
    sumi_vector_store(&p, sumi_vector_see(&p, pass ? &to : &t), SUMI_VECTOR(&p, "a / b", a, b));
    SUMI_TRY(sumi_vector_end(&p));
    if (!pass) SUMI_TRY(sumi_reduce_cells(c, &t, inner, &length, &norm));
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT}, {"p", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"input", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[3,4,5] x) => (y) { y = LpNormalization (x) }", .rtol = 1e-6},
    {"g (float[3,4,5] x) => (y) { y = LpNormalization <axis = 1, p = 1> (x) }", .rtol = 1e-6},
    {"g (float[3,4] x) => (y) { y = LpNormalization <axis = 0> (x) }", .low = 0, .high = 1e-30, .rtol = 1e-6,
     .why = "squares that float32 cannot hold"},
    {"g (float[3,40,300] x) => (y) { y = LpNormalization <axis = 1> (x) }", .rtol = 1e-6,
     .why = "strips of columns"},
    {"g (float[3,40] x) => (y) { y = LpNormalization (x) }", .low = -1e30, .high = 1e30, .rtol = 1e-6,
     .why = "squares that float32 cannot hold"},
    {"g (float[3,4] x) => (y, z) { n = Log (x) y = LpNormalization <p = 1> (n) m = Sub (x, x) z = "
     "LpNormalization (m) }",
     .rtol = 1e-6, .why = "a NaN spreads over its row, zeros stay"},
    {NULL},
};

const struct sumi_op sumi_op_lp_normalization = {
    .name = "LpNormalization",
    .formula = "x / ||x||_p along axis",
    .known_as = {{"", "LpNormalization", {1, 22}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = lp_infer,
    .ref = lp_ref,
    .lower = sumi_lp_norm_lower,
    .cells = lp_cells,
    .cases = cases,
};

/* MatMulInteger: y[.., i, j] = sum over k of (a[.., i, k] - a_zero) * (b[.., k, j] - b_zero), exact modulo
 * 2^32. QLinearMatMul: y = saturate(round(that sum * a_scale * b_scale / y_scale) + y_zero), 8-bit types with
 * int32 sums and float32 scaling as in requantize.h, float8 types (version 21) in double precision, rounded
 * once. Parameters of a are one figure or one per row, of b one figure or one per column. */
#include <inttypes.h>

#include "base/size.h"
#include "op/call_lower.h"
#include "op/integer_dot_cells.h"
#include "op/matmul.h"
#include "op/requantize.h"

/* A parameter input i of operand `of` is one figure, a vector of as many as the operand has rows (columns),
 * or broadcasts to [batch..., rows, 1] ([batch..., 1, columns]). */
static sumi_status check_parameter(const struct sumi_infer *ctx, int i, int of, bool columns) {
  if (!sumi_infer_has(ctx, i)) return SUMI_OK;
  const struct sumi_info *p = &ctx->in[i], *t = &ctx->in[of];
  if (p->rank <= 0 || t->rank < 0) return SUMI_OK;
  if (p->rank > SUMI_MAX(t->rank, 1))
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, its operand %d", i, p->rank, t->rank);
  for (int k = 0; k < p->rank; k++) {
    if (p->dim[k] < 0 || p->dim[k] == 1) continue;
    const int axis = p->rank == 1 ? (columns ? t->rank - 1 : t->rank - 2) : t->rank - p->rank + k;
    const bool along = axis >= 0 && axis != (columns ? t->rank - 2 : t->rank - 1);
    if (!along || (t->dim[axis] >= 0 && t->dim[axis] != p->dim[k]))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
                "dimension %d of input %d is %" PRId64 ", which does not fit its operand", k, i, p->dim[k]);
  }
  return SUMI_OK;
}

static sumi_status integer_infer(struct sumi_infer *ctx) {
  SUMI_TRY(check_parameter(ctx, 2, 0, false));
  SUMI_TRY(check_parameter(ctx, 3, 1, true));
  return sumi_matmul_infer(ctx, 0, 1, SUMI_INT32);
}

static sumi_status qlinear_infer(struct sumi_infer *ctx) {
  for (int i = 1; i < 6; i++)
    if (i != 3) SUMI_TRY(check_parameter(ctx, i, i < 3 ? 0 : 3, i > 3));
  SUMI_TRY(sumi_matmul_infer(ctx, 0, 3, ctx->in[7].dtype));
  for (int i = 6; i < 8; i++)
    for (int k = 0; k < ctx->in[i].rank; k++)
      if (ctx->in[i].dim[k] >= 0 && ctx->in[i].dim[k] != 1)
        SUMI_FAIL(ctx->err, SUMI_E_UNSUPPORTED, "the output has one scale and zero point, not %" PRId64,
                  ctx->in[i].dim[k]);
  return SUMI_OK;
}

/* A parameter as figures over [batch..., lines]: value(batch, line) is element offset(batch) + line * step.
 */
struct parameter {
  const struct sumi_tensor *t; /* NULL: all zero */
  int64_t batch[SUMI_MAX_RANK], step;
};

static struct parameter parameter_make(const struct sumi_tensor *t, const struct sumi_matmul *mm,
                                       bool columns) {
  struct parameter p = {.t = t};
  if (!t) return p;
  int64_t own[SUMI_MAX_RANK];
  sumi_strides(t->dim, t->rank, own);
  const int axis = t->rank == 1 ? 0 : t->rank - (columns ? 1 : 2);
  if (t->rank && t->dim[axis] != 1) p.step = own[axis];
  for (int k = 0; k < t->rank - 2; k++) {
    const int at = mm->n_batch - (t->rank - 2) + k;
    if (at >= 0 && t->dim[k] != 1) p.batch[at] = own[k];
  }
  return p;
}

static int64_t parameter_index(const struct parameter *p, const struct sumi_walk *w, int64_t line) {
  int64_t at = line * p->step;
  for (int i = 0; i < w->rank; i++) at += w->index[i] * p->batch[i];
  return at;
}

static int32_t zero_at(const struct parameter *p, const struct sumi_walk *w, int64_t line) {
  return p->t ? (int32_t)sumi_get_i64(p->t->dtype, p->t->data, parameter_index(p, w, line)) : 0;
}

static double scale_at(const struct parameter *p, const struct sumi_walk *w, int64_t line) {
  return sumi_get_f64(p->t->dtype, p->t->data, parameter_index(p, w, line));
}

enum { PIECE = 256 }; /* columns done together: their sums and zero points are on the stack */

struct product {
  struct sumi_matmul mm;
  const struct sumi_tensor *a, *b;
  struct parameter a_zero, b_zero, a_scale, b_scale;
};

#define ADD_ROW(function, type)                                                                       \
  static void function(uint32_t *sum, const type *b, int64_t b_col, const int16_t *b_zero, int16_t a, \
                       int64_t n) {                                                                   \
    if (b_col == 1)                                                                                   \
      for (int64_t j = 0; j < n; j++) sum[j] += (uint32_t)((int32_t)a * (int16_t)(b[j] - b_zero[j])); \
    else                                                                                              \
      for (int64_t j = 0; j < n; j++)                                                                 \
        sum[j] += (uint32_t)((int32_t)a * (int16_t)(b[j * b_col] - b_zero[j]));                       \
  }

ADD_ROW(add_u8, uint8_t)
ADD_ROW(add_s8, int8_t)

void sumi_integer_add_row(sumi_dtype d, uint32_t *sum, const void *b, int64_t first, int64_t b_col,
                          const int16_t *b_zero, int16_t a, int64_t n) {
  if (d == SUMI_INT8)
    add_s8(sum, (const int8_t *)b + first, b_col, b_zero, a, n);
  else
    add_u8(sum, (const uint8_t *)b + first, b_col, b_zero, a, n);
}

/* sum[0..n) = row i, columns [j, j + n) of the matrix at walk w. */
static void piece(const struct product *p, const struct sumi_walk *w, int64_t i, int64_t j, int64_t n,
                  uint32_t *sum) {
  const struct sumi_matmul *mm = &p->mm;
  int16_t b_zero[PIECE];
  for (int64_t t = 0; t < n; t++) {
    sum[t] = 0;
    b_zero[t] = (int16_t)zero_at(&p->b_zero, w, j + t);
  }
  const int64_t a_zero = zero_at(&p->a_zero, w, i);
  for (int64_t k = 0; k < mm->k; k++) {
    const int64_t from = w->offset[1] + k * mm->b_row + j * mm->b_col;
    const int16_t a =
        (int16_t)(sumi_get_i64(p->a->dtype, p->a->data, w->offset[0] + i * mm->a_row + k * mm->a_col) -
                  a_zero);
    sumi_integer_add_row(p->b->dtype, sum, p->b->data, from, mm->b_col, b_zero, a, n);
  }
}

/* Pieces of all rows of one matrix, as tasks. */
struct pieces {
  const struct product *p;
  const struct sumi_walk *w;
  uint32_t *y;
  int64_t each; /* of a row */
};

static void run_pieces(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct pieces *s = user;
  for (int64_t task = begin; task < end; task++) {
    const int64_t i = task / s->each, j = task % s->each * PIECE, n = s->p->mm.n;
    piece(s->p, s->w, i, j, SUMI_MIN(n - j, PIECE), s->y + i * n + j);
  }
}

static sumi_status integer_run(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  struct product p = {.a = c->in[0], .b = c->in[1]};
  struct sumi_matmul *mm = &p.mm;
  SUMI_TRY(sumi_matmul_resolve(c->node, p.a, p.b, mm, c->err));
  if (!mm->m || !mm->n) return SUMI_OK;
  p.a_zero = parameter_make(sumi_call_has(c, 2) ? c->in[2] : NULL, mm, false);
  p.b_zero = parameter_make(sumi_call_has(c, 3) ? c->in[3] : NULL, mm, true);
  uint32_t *y = c->out[0]->data;
  for (struct sumi_walk w = sumi_walk_start(mm->n_batch, mm->batch, mm->a_batch, mm->b_batch, NULL, NULL);
       !w.done; sumi_walk_next(&w), y += mm->m * mm->n) {
    struct pieces s = {&p, &w, y, (mm->n + PIECE - 1) / PIECE};
    sumi_par_for(tools ? tools->par : NULL, mm->m * s.each, 1, run_pieces, &s);
  }
  return SUMI_OK;
}

static sumi_status integer_ref(const struct sumi_call *c) { return integer_run(c, NULL); }

/* Constant weights whose sums are cast are the passes'; what is left has neither. */
static sumi_status integer_lower(struct sumi_lower *l) {
  return sumi_call_lower(l, integer_run, NULL, 0, -1, "pieces of rows");
}

static void qlinear_row8(const struct product *p, const struct sumi_walk *w, int64_t i, float y_scale,
                         int32_t y_zero, sumi_dtype d, uint8_t *y) {
  uint32_t sum[PIECE];
  for (int64_t j = 0; j < p->mm.n; j += PIECE) {
    const int64_t n = SUMI_MIN(p->mm.n - j, PIECE);
    piece(p, w, i, j, n, sum);
    for (int64_t t = 0; t < n; t++) {
      const float multiplier =
          (float)scale_at(&p->a_scale, w, i) * (float)scale_at(&p->b_scale, w, j + t) / y_scale;
      y[j + t] = (uint8_t)sumi_requantize((int32_t)sum[t], multiplier, y_zero, d);
    }
  }
}

static double real_at(const struct sumi_tensor *t, int64_t at, const struct parameter *zero,
                      const struct sumi_walk *w, int64_t line) {
  return sumi_get_f64(t->dtype, t->data, at) -
         sumi_get_f64(zero->t->dtype, zero->t->data, parameter_index(zero, w, line));
}

/* One element of a product of float8 matrices. */
static double element_f64(const struct product *p, const struct sumi_walk *w, int64_t i, int64_t j) {
  const struct sumi_matmul *mm = &p->mm;
  double sum = 0;
  for (int64_t k = 0; k < mm->k; k++)
    sum += real_at(p->a, w->offset[0] + i * mm->a_row + k * mm->a_col, &p->a_zero, w, i) *
           real_at(p->b, w->offset[1] + k * mm->b_row + j * mm->b_col, &p->b_zero, w, j);
  return sum * scale_at(&p->a_scale, w, i) * scale_at(&p->b_scale, w, j);
}

static sumi_status qlinear_ref(const struct sumi_call *c) {
  struct product p = {.a = c->in[0], .b = c->in[3]};
  struct sumi_matmul *mm = &p.mm;
  SUMI_TRY(sumi_matmul_resolve(c->node, p.a, p.b, mm, c->err));
  if (!mm->m || !mm->n) return SUMI_OK;
  p.a_scale = parameter_make(c->in[1], mm, false);
  p.a_zero = parameter_make(c->in[2], mm, false);
  p.b_scale = parameter_make(c->in[4], mm, true);
  p.b_zero = parameter_make(c->in[5], mm, true);
  const struct sumi_tensor *y = c->out[0], *zero = c->in[7];
  const double y_scale = sumi_get_f64(c->in[6]->dtype, c->in[6]->data, 0),
               y_zero = sumi_get_f64(zero->dtype, zero->data, 0);
  int64_t at = 0;
  for (struct sumi_walk w = sumi_walk_start(mm->n_batch, mm->batch, mm->a_batch, mm->b_batch, NULL, NULL);
       !w.done; sumi_walk_next(&w))
    for (int64_t i = 0; i < mm->m; i++, at += mm->n) {
      if (sumi_dtype_is_int(y->dtype) && sumi_dtype_is_int(p.a->dtype) && sumi_dtype_is_int(p.b->dtype))
        qlinear_row8(&p, &w, i, (float)y_scale, (int32_t)y_zero, y->dtype, (uint8_t *)y->data + at);
      else
        for (int64_t j = 0; j < mm->n; j++) {
          const double real = element_f64(&p, &w, i, j) / y_scale;
          if (sumi_dtype_is_int(y->dtype)) {
            const double low = y->dtype == SUMI_INT8 ? -128 : 0, x = (real != real ? 0 : rint(real)) + y_zero;
            sumi_set_f64(y->dtype, y->data, at + j, x < low ? low : x > low + 255 ? low + 255 : x);
          } else {
            sumi_set_f64(y->dtype, y->data, at + j, real + y_zero);
          }
        }
    }
  return SUMI_OK;
}

static void integer_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_matmul mm;
  if (sumi_matmul_resolve(c->node, c->in[0], c->in[1], &mm, NULL) == SUMI_OK)
    sumi_matmul_cost(c, &mm, 1, 3, cost);
}

static void qlinear_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_matmul mm;
  if (sumi_matmul_resolve(c->node, c->in[0], c->in[3], &mm, NULL) == SUMI_OK)
    sumi_matmul_cost(c, &mm, 3, 5, cost);
}

#define BYTES (SUMI_BIT(SUMI_INT8) | SUMI_BIT(SUMI_UINT8))
#define FLOAT8                                                                               \
  (SUMI_BIT(SUMI_FLOAT8E4M3FN) | SUMI_BIT(SUMI_FLOAT8E4M3FNUZ) | SUMI_BIT(SUMI_FLOAT8E5M2) | \
   SUMI_BIT(SUMI_FLOAT8E5M2FNUZ))
#define SCALES (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16) | SUMI_BIT(SUMI_BFLOAT16))

static const struct sumi_port integer_in[] = {{"A", BYTES, 'A'},
                                              {"B", BYTES, 'B'},
                                              {"a_zero_point", BYTES, 'A', SUMI_PORT_OPTIONAL},
                                              {"b_zero_point", BYTES, 'B', SUMI_PORT_OPTIONAL},
                                              {NULL}};
static const struct sumi_port integer_out[] = {{"Y", SUMI_BIT(SUMI_INT32)}, {NULL}};
static const struct sumi_port qlinear_in[] = {{"a", BYTES | FLOAT8, 'A'},
                                              {"a_scale", SCALES, 'S'},
                                              {"a_zero_point", BYTES | FLOAT8, 'A'},
                                              {"b", BYTES | FLOAT8, 'B'},
                                              {"b_scale", SCALES, 'S'},
                                              {"b_zero_point", BYTES | FLOAT8, 'B'},
                                              {"y_scale", SCALES, 'S'},
                                              {"y_zero_point", BYTES | FLOAT8, 'Y'},
                                              {NULL}};
static const struct sumi_port qlinear_out[] = {{"y", BYTES | FLOAT8, 'Y'}, {NULL}};

static const struct sumi_case integer_cases[] = {
    {"g (uint8[4,37] a, int8[37,9] b, uint8 az, int8 bz) => (y) { y = MatMulInteger (a, b, az, bz) }"},
    {"g (int8[4,5] a, uint8[5,3] b, int8[4] az, uint8[3] bz) => (y) { y = MatMulInteger (a, b, az, bz) }",
     .why = "a zero point per row and per column"},
    {"g (uint8[2,4,5] a, uint8[5,3] b) => (y) { y = MatMulInteger (a, b) }"},
    {"g (uint8[2,4,5] a, uint8[2,5,3] b, uint8[2,4,1] az, uint8[2,1,3] bz) => (y) { y = MatMulInteger (a, b, "
     "az, bz) }",
     .why = "zero points of their own in each matrix of the stack"},
    {NULL},
};
static const struct sumi_case qlinear_cases[] = {
    {"g (uint8[4,17] a, int8[17,3] b) => (y) <float as = {0.5}, uint8 az = {3}, float[3] bs = {0.1, 0.2, "
     "0.3}, int8[3] bz = "
     "{0, 1, 2}, float ys = {0.7}, uint8 yz = {128}> { y = QLinearMatMul (a, as, az, b, bs, bz, ys, yz) }"},
    {"g (int8[2,4,5] a, int8[2,5,3] b) => (y) <float as = {0.5}, int8 az = {3}, float bs = {0.1}, int8 bz = "
     "{0}, "
     "float ys = {0.2}, int8 yz = {-4}> { y = QLinearMatMul (a, as, az, b, bs, bz, ys, yz) }"},
    {NULL},
};

const struct sumi_op sumi_op_matmul_integer = {
    .name = "MatMulInteger",
    .formula = "sum of (a[i, k] - a_zero) * (b[k, j] - b_zero) over k",
    .known_as = {{"", "MatMulInteger", {10}}},
    .in = integer_in,
    .out = integer_out,
    .infer = integer_infer,
    .ref = integer_ref,
    .lower = integer_lower,
    .cells = sumi_matmul_integer_cells,
    .cost = integer_cost,
    .cases = integer_cases,
};

const struct sumi_op sumi_op_qlinear_matmul = {
    .name = "QLinearMatMul",
    .formula = "quantize(MatMulInteger(a, b)) with a_scale * b_scale / y_scale",
    .known_as = {{"", "QLinearMatMul", {10, 21}}},
    .in = qlinear_in,
    .out = qlinear_out,
    .infer = qlinear_infer,
    .ref = qlinear_ref,
    .cells = sumi_qlinear_matmul_cells,
    .cost = qlinear_cost,
    .cases = qlinear_cases,
};

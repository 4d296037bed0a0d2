/* Products of 8-bit integers that give real numbers (com.microsoft): with s = sum over k of (a - a_zero)(b - b_zero), exact,
 *   MatMulIntegerToFloat   y = s * a_scale * b_scale + bias
 *   DynamicQuantizeMatMul  the same with a float a, quantised to 8 bits over its range (0 included) first
 *   QGemm                  y = (s + c) * alpha * a_scale * b_scale, quantised by y_scale and y_zero_point where given
 * b_scale and b_zero_point: one figure, or one a column. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/call_lower.h"
#include "op/dynamic_matmul_lower.h"
#include "op/matmul.h"
#include "op/ms_util.h"

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define FLOATS (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT16))
#define FLOAT SUMI_BIT(SUMI_FLOAT32)

/* Input i holds one figure, or as many as there are columns (the last dim of the output). */
static sumi_status check_figures(const struct sumi_infer *ctx, int i, sumi_dim columns) {
  if (!sumi_infer_has(ctx, i)) return SUMI_OK;
  SUMI_TRY(sumi_ms_want_rank(ctx, i, 0, 1));
  if (ctx->in[i].rank != 1 || ctx->in[i].dim[0] == 1) return SUMI_OK;
  return sumi_ms_want_dim(ctx, i, 0, columns, "number of columns");
}

/* Figure j of an input that is given for all columns or for each; 0 where it is not given. */
static double figure(const struct sumi_call *c, int i, int64_t j) {
  if (!sumi_call_has(c, i)) return 0;
  return sumi_get_f64(c->in[i]->dtype, c->in[i]->data, sumi_tensor_count(c->in[i]) == 1 ? 0 : j);
}

/* ---- MatMulIntegerToFloat, DynamicQuantizeMatMul ------------------------------------------------------------------ */

/* Where the inputs are; -1: there is none such. */
struct slots {
  int a_scale, b_scale, a_zero, b_zero, bias;
};
static const struct slots integer_slots = {2, 3, 4, 5, 6}, dynamic_slots = {-1, 2, -1, 3, 4};

static sumi_dim last_dim(const struct sumi_infer *ctx, int i) {
  return ctx->in[i].rank > 0 ? ctx->in[i].dim[ctx->in[i].rank - 1] : SUMI_DIM_UNKNOWN;
}

static sumi_status product_infer(struct sumi_infer *ctx, const struct slots *s) {
  const sumi_dim columns = last_dim(ctx, 1);
  if (ctx->in[1].rank == 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'B' is a vector");
  SUMI_TRY(check_figures(ctx, s->b_scale, columns));
  SUMI_TRY(check_figures(ctx, s->b_zero, columns));
  if (s->a_scale >= 0) SUMI_TRY(check_figures(ctx, s->a_scale, 1));
  if (s->a_zero >= 0) SUMI_TRY(check_figures(ctx, s->a_zero, 1));
  SUMI_TRY(sumi_ms_want_rank(ctx, s->bias, 1, 1));
  SUMI_TRY(sumi_ms_want_dim(ctx, s->bias, 0, columns, "number of columns"));
  return sumi_matmul_infer(ctx, 0, 1, ctx->in[s->b_scale].dtype);
}

/* How a is or becomes integers: q = round(x / scale) + zero, real = (q - zero) * scale. */
struct quant {
  float scale;
  int32_t zero;
};

static struct quant range_quant(const struct sumi_tensor *a) {
  const float *x = a->data;
  float low = 0, high = 0;
  for (int64_t i = 0; i < sumi_tensor_count(a); i++) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  const float scale = high == low ? 1 : (high - low) / 255;
  return (struct quant){scale, (int32_t)fminf(255, fmaxf(0, rintf(-low / scale)))};
}

static int32_t quantise(float x, struct quant q) {
  const float r = rintf(x / q.scale) + (float)q.zero;
  return r > 0 ? (int32_t)fminf(r, 255) : 0;
}

enum { PIECE = 256, LONG = 1 << 14 }; /* columns done together; products that a sum of 32 bits has room for */

/* Pieces of the rows of one matrix, as tasks. */
struct product {
  const struct sumi_call *call;
  const struct slots *s;
  struct sumi_matmul mm;
  struct quant q;
  int64_t a_first, b_first, y_first, each; /* each: pieces of a row */
};

static int16_t a_at(const struct product *p, int64_t at) {
  const struct sumi_tensor *a = p->call->in[0];
  const int64_t x = a->dtype == SUMI_FLOAT32 ? quantise(((const float *)a->data)[at], p->q)
                                             : sumi_get_i64(a->dtype, a->data, at);
  return (int16_t)(x - p->q.zero);
}

static void run_pieces(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct product *p = user;
  const struct sumi_matmul *mm = &p->mm;
  const struct sumi_tensor *b = p->call->in[1], *y = p->call->out[0];
  for (int64_t task = begin; task < end; task++) {
    const int64_t i = task / p->each, j = task % p->each * PIECE, n = SUMI_MIN(mm->n - j, PIECE);
    int16_t zero[PIECE];
    uint32_t sum[PIECE];
    int64_t total[PIECE] = {0};
    for (int64_t t = 0; t < n; t++) zero[t] = (int16_t)figure(p->call, p->s->b_zero, j + t);
    for (int64_t k0 = 0; k0 < mm->k; k0 += LONG) {
      for (int64_t t = 0; t < n; t++) sum[t] = 0;
      for (int64_t k = k0; k < SUMI_MIN(mm->k, k0 + LONG); k++)
        sumi_integer_add_row(b->dtype, sum, b->data, p->b_first + k * mm->b_row + j * mm->b_col, mm->b_col,
                             zero, a_at(p, p->a_first + i * mm->a_row + k * mm->a_col), n);
      for (int64_t t = 0; t < n; t++) total[t] += (int32_t)sum[t];
    }
    for (int64_t t = 0; t < n; t++) {
      const double scale = (double)p->q.scale * figure(p->call, p->s->b_scale, j + t);
      sumi_set_f64(y->dtype, y->data, p->y_first + i * mm->n + j + t,
                   (double)total[t] * scale + figure(p->call, p->s->bias, j + t));
    }
  }
}

static sumi_status product_run(const struct sumi_call *c, const struct slots *s, struct sumi_par *par) {
  const struct sumi_tensor *a = c->in[0], *b = c->in[1];
  struct product p = {.call = c, .s = s};
  struct sumi_matmul *mm = &p.mm;
  SUMI_TRY(sumi_matmul_resolve(c->node, a, b, mm, c->err));
  p.q = a->dtype == SUMI_FLOAT32
            ? range_quant(a)
            : (struct quant){(float)figure(c, s->a_scale, 0), (int32_t)figure(c, s->a_zero, 0)};
  p.each = (mm->n + PIECE - 1) / PIECE;
  for (struct sumi_walk w = sumi_walk_start(mm->n_batch, mm->batch, mm->a_batch, mm->b_batch, NULL, NULL);
       !w.done; sumi_walk_next(&w), p.y_first += mm->m * mm->n) {
    p.a_first = w.offset[0];
    p.b_first = w.offset[1];
    sumi_par_for(par, mm->m * p.each, 1, run_pieces, &p);
  }
  return SUMI_OK;
}

static sumi_status product_ref(const struct sumi_call *c, const struct slots *s) {
  return product_run(c, s, NULL);
}

static sumi_status integer_shared(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  return product_run(c, &integer_slots, tools->par);
}
static sumi_status dynamic_shared(const struct sumi_call *c, const struct sumi_call_tools *tools) {
  return product_run(c, &dynamic_slots, tools->par);
}

static sumi_status integer_lower(struct sumi_lower *l) {
  return sumi_call_lower(l, integer_shared, NULL, 0, -1, "pieces of rows");
}
static sumi_status dynamic_lower(struct sumi_lower *l) {
  const sumi_status status = sumi_dynamic_matmul_lower(l);
  return status == SUMI_E_UNSUPPORTED ? sumi_call_lower(l, dynamic_shared, NULL, 0, -1, "pieces of rows")
                                      : status;
}

static sumi_status integer_infer(struct sumi_infer *ctx) { return product_infer(ctx, &integer_slots); }
static sumi_status integer_ref(const struct sumi_call *c) { return product_ref(c, &integer_slots); }
static sumi_status dynamic_infer(struct sumi_infer *ctx) { return product_infer(ctx, &dynamic_slots); }
static sumi_status dynamic_ref(const struct sumi_call *c) { return product_ref(c, &dynamic_slots); }

/* ---- QGemm -------------------------------------------------------------------------------------------------------- */

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, C, Y_SCALE, Y_ZERO };

static bool transposed(const struct sumi_node *node, const char *name) {
  return sumi_attr_int(node, name, 0) != 0;
}

static sumi_status gemm_infer(struct sumi_infer *ctx) {
  const bool ta = transposed(ctx->node, "transA"), tb = transposed(ctx->node, "transB");
  SUMI_TRY(sumi_ms_want_rank(ctx, A, 2, 2));
  SUMI_TRY(sumi_ms_want_rank(ctx, B, 2, 2));
  const sumi_dim m = sumi_ms_dim(ctx, A, ta), k = sumi_ms_dim(ctx, A, !ta), n = sumi_ms_dim(ctx, B, !tb);
  SUMI_TRY(sumi_ms_want_dim(ctx, B, tb, k, "columns of A"));
  SUMI_TRY(check_figures(ctx, A_SCALE, 1));
  SUMI_TRY(check_figures(ctx, A_ZERO, 1));
  SUMI_TRY(check_figures(ctx, B_SCALE, n));
  SUMI_TRY(check_figures(ctx, B_ZERO, n));
  SUMI_TRY(check_figures(ctx, Y_SCALE, 1));
  SUMI_TRY(check_figures(ctx, Y_ZERO, 1));
  if (sumi_infer_has(ctx, Y_SCALE) != sumi_infer_has(ctx, Y_ZERO))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'y_scale' and 'y_zero_point' must be given together");
  SUMI_TRY(sumi_ms_want_rank(ctx, C, 0, 2));
  const int rank = sumi_infer_has(ctx, C) ? ctx->in[C].rank : 0;
  if (rank > 0 && ctx->in[C].dim[rank - 1] != 1)
    SUMI_TRY(sumi_ms_want_dim(ctx, C, rank - 1, n, "number of columns"));
  if (rank > 1 && ctx->in[C].dim[0] != 1) SUMI_TRY(sumi_ms_want_dim(ctx, C, 0, m, "number of rows"));
  const sumi_dim dim[] = {m, n};
  sumi_infer_out(ctx, 0, sumi_infer_has(ctx, Y_ZERO) ? ctx->in[Y_ZERO].dtype : SUMI_FLOAT32, 2, dim);
  return SUMI_OK;
}

static int64_t addend(const struct sumi_tensor *t, int64_t i, int64_t j) {
  const int64_t rows = t->rank > 1 && t->dim[0] != 1 ? t->dim[t->rank - 1] : 0,
                step = t->rank && t->dim[t->rank - 1] != 1;
  return ((const int32_t *)t->data)[i * rows + j * step];
}

static sumi_status gemm_ref(const struct sumi_call *c) {
  const struct sumi_tensor *a = c->in[A], *b = c->in[B], *y = c->out[0];
  const bool ta = transposed(c->node, "transA"), tb = transposed(c->node, "transB");
  const int64_t m = y->dim[0], n = y->dim[1], k = a->dim[!ta];
  const double a_scale = figure(c, A_SCALE, 0) * (double)sumi_attr_float(c->node, "alpha", 1);
  const int64_t a_zero = (int64_t)figure(c, A_ZERO, 0);
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      const int64_t b_zero = (int64_t)figure(c, B_ZERO, j);
      int64_t sum = sumi_call_has(c, C) ? addend(c->in[C], i, j) : 0;
      for (int64_t p = 0; p < k; p++)
        sum += (sumi_get_i64(a->dtype, a->data, ta ? p * m + i : i * k + p) - a_zero) *
               (sumi_get_i64(b->dtype, b->data, tb ? j * k + p : p * n + j) - b_zero);
      double r = (double)sum * a_scale * figure(c, B_SCALE, j);
      if (y->dtype != SUMI_FLOAT32) {
        const double low = y->dtype == SUMI_INT8 ? -128 : 0;
        r = nearbyint(r / figure(c, Y_SCALE, 0)) + figure(c, Y_ZERO, 0);
        r = r > low ? fmin(r, low + 255) : low;
      }
      sumi_set_f64(y->dtype, y->data, i * n + j, r);
    }
  return SUMI_OK;
}

/* ---- descriptors ------------------------------------------------------------------------------------------------- */

static const struct sumi_attr_spec gemm_attrs[] = {
    {"transA", SUMI_ATTR_INT}, {"transB", SUMI_ATTR_INT}, {"alpha", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_port integer_in[] = {{"A", BYTES, 'A'},
                                              {"B", BYTES, 'B'},
                                              {"a_scale", FLOATS, 'T'},
                                              {"b_scale", FLOATS, 'T'},
                                              {"a_zero_point", BYTES, 'A', SUMI_PORT_OPTIONAL},
                                              {"b_zero_point", BYTES, 'B', SUMI_PORT_OPTIONAL},
                                              {"bias", FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                              {NULL}};
static const struct sumi_port dynamic_in[] = {{"A", FLOAT, 'A'},
                                              {"B", BYTES, 'B'},
                                              {"b_scale", FLOAT, 'A'},
                                              {"b_zero_point", BYTES, 'B', SUMI_PORT_OPTIONAL},
                                              {"bias", FLOAT, 'A', SUMI_PORT_OPTIONAL},
                                              {NULL}};
static const struct sumi_port gemm_in[] = {{"A", BYTES, 'A'},
                                           {"a_scale", FLOAT},
                                           {"a_zero_point", BYTES, 'A'},
                                           {"B", BYTES, 'B'},
                                           {"b_scale", FLOAT},
                                           {"b_zero_point", BYTES, 'B'},
                                           {"C", SUMI_BIT(SUMI_INT32), 0, SUMI_PORT_OPTIONAL},
                                           {"y_scale", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                           {"y_zero_point", BYTES, 'Y', SUMI_PORT_OPTIONAL},
                                           {NULL}};
static const struct sumi_port product_out[] = {{"Y", FLOATS, 'T'}, {NULL}};
static const struct sumi_port gemm_out[] = {{"Y", BYTES | FLOAT, 'Y'}, {NULL}};

static const struct sumi_case integer_cases[] = {
    {"g (uint8[2,3,4] a, int8[4,5] b, float s, float[5] t, uint8 z, int8[5] w, float[5] c) => (y) {"
     " y = com.microsoft.MatMulIntegerToFloat (a, b, s, t, z, w, c) }",
     .rtol = 1e-6, .low = 0, .high = 100, .why = "float result"},
    {"g (int8[3,4] a, int8[2,4,5] b, float s, float t) => (y) { y = com.microsoft.MatMulIntegerToFloat (a, "
     "b, s, t) }",
     .rtol = 1e-6, .low = -100, .high = 100},
    {NULL},
};
static const struct sumi_case dynamic_cases[] = {
    {"g (float[2,3,4] a, int8[4,5] b, float[5] t, int8[5] w, float[5] c) => (y) {"
     " y = com.microsoft.DynamicQuantizeMatMul (a, b, t, w, c) }",
     .rtol = 1e-6, .low = -50, .high = 100, .why = "float result"},
    {"g (float[3,37,67] a, int8[67,50] b, float[1] t, float[50] c) => (y) {"
     " y = com.microsoft.DynamicQuantizeMatMul (a, b, t, , c) }",
     .rtol = 1e-6, .low = -50, .high = 100, .why = "float result; many rows"},
    {NULL},
};
static const struct sumi_case gemm_cases[] = {
    {"g (uint8[3,4] a, float s, uint8 z, int8[5,4] b, float[5] t, int8[5] w, int32[5] c) => (y) {"
     " y = com.microsoft.QGemm <transB = 1, alpha = 0.5> (a, s, z, b, t, w, c) }",
     .rtol = 1e-6, .low = 0, .high = 100, .why = "float result"},
    {"g (int8[4,3] a, int8[4,5] b, int32[3,1] c) => (y) <float s = {0.01}, float t = {0.02}, float r = "
     "{0.1}, int8 z = {5}> {"
     " y = com.microsoft.QGemm <transA = 1> (a, s, z, b, t, z, c, r, z) }",
     .low = -100, .high = 100, .why = "quantised result"},
    {NULL},
};

const struct sumi_op sumi_op_ms_matmul_integer_to_float = {
    .name = "com.microsoft.MatMulIntegerToFloat",
    .formula = "(a - a_zero)(b - b_zero) a_scale b_scale + bias",
    .known_as = {{"com.microsoft", "MatMulIntegerToFloat", {1}}},
    .in = integer_in,
    .out = product_out,
    .infer = integer_infer,
    .ref = integer_ref,
    .lower = integer_lower,
    .cases = integer_cases,
};

const struct sumi_op sumi_op_ms_dynamic_quantize_matmul = {
    .name = "com.microsoft.DynamicQuantizeMatMul",
    .formula = "(quantise(a) - a_zero)(b - b_zero) a_scale b_scale + bias",
    .known_as = {{"com.microsoft", "DynamicQuantizeMatMul", {1}}},
    .in = dynamic_in,
    .out = product_out,
    .infer = dynamic_infer,
    .ref = dynamic_ref,
    .lower = dynamic_lower,
    .cases = dynamic_cases,
};

const struct sumi_op sumi_op_ms_qgemm = {
    .name = "com.microsoft.QGemm",
    .formula = "((a - a_zero)(b - b_zero) + c) alpha a_scale b_scale, quantised where y_scale is given",
    .known_as = {{"com.microsoft", "QGemm", {1}}},
    .attrs = gemm_attrs,
    .in = gemm_in,
    .out = gemm_out,
    .infer = gemm_infer,
    .ref = gemm_ref,
    .cases = gemm_cases,
};

/* sumi.QMatMul: a matrix product of 8-bit values with its requantisation, made by passes of DequantizeLinear, MatMul or
 * Gemm and QuantizeLinear (files cannot name it):
 *   dot[..., n] = b[n] + sum over k of w[k, n] * (x[..., k] - x_zero)            w is [K, N]; transB: [N, K]
 * and what qdot.h does with it; its rows are the columns n. Sums are exact modulo 2^32. */
#include "base/size.h"
#include "op/by_item.h"
#include "op/matmul.h"
#include "op/qdot.h"
#include "op/qdot_cells.h"
#include "op/qdot_lower.h"

static bool transposed(const struct sumi_node *node) { return sumi_attr_int(node, "transB", 0) != 0; }

static sumi_status qmatmul_infer(struct sumi_infer *ctx) {
  const struct sumi_info *w = &ctx->in[SUMI_QDOT_W];
  if (w->rank >= 0 && w->rank != 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the weights have rank %d, not 2", w->rank);
  SUMI_TRY(sumi_matmul_infer(ctx, SUMI_QDOT_X, SUMI_QDOT_W, sumi_qdot_dtype(ctx)));
  return sumi_qdot_infer(ctx, w->rank == 2 ? w->dim[!transposed(ctx->node)] : SUMI_DIM_UNKNOWN);
}

enum { COLUMNS = 256 };

/* sum[j] = sum over k of w[k * w_row + j * w_col] * ((x[k] ^ flip) - zero), j < n <= COLUMNS. */
static void dots(const struct sumi_qdot *q, const uint8_t *x, int64_t k, const int8_t *w, int64_t w_row,
                 int64_t w_col, int64_t n, uint32_t *sum) {
  for (int64_t j = 0; j < n; j++) sum[j] = 0;
  if (w_col == 1) {
    for (int64_t i = 0; i < k; i++, w += w_row) {
      const int32_t value = (x[i] ^ q->x_flip) - q->x_zero;
      for (int64_t j = 0; j < n; j++) sum[j] += (uint32_t)(value * w[j]);
    }
    return;
  }
  for (int64_t j = 0; j < n; j++, w += w_col)
    for (int64_t i = 0; i < k; i++) sum[j] += (uint32_t)(((x[i] ^ q->x_flip) - q->x_zero) * w[i * w_row]);
}

static sumi_status qmatmul_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[SUMI_QDOT_X], *w = c->in[SUMI_QDOT_W];
  const bool trans = transposed(c->node);
  const int64_t n = w->dim[!trans], k = w->dim[trans];
  const int64_t w_row = trans ? 1 : n, w_col = trans ? k : 1, lines = sumi_dims_count(x->dim, 0, x->rank - 1);
  struct sumi_qdot q;
  SUMI_TRY(sumi_qdot_resolve(c->node, c->in, c->n_in, n, &q, c->err));
  const size_t bytes = q.real ? sizeof(float) : 1; /* of an element of y */
  const uint8_t *residual = sumi_call_has(c, SUMI_QDOT_R) ? c->in[SUMI_QDOT_R]->data : NULL;
  for (int64_t i = 0; i < lines; i++)
    for (int64_t first = 0; first < n; first += COLUMNS) {
      uint32_t sum[COLUMNS];
      const int64_t some = SUMI_MIN(n - first, COLUMNS);
      dots(&q, (const uint8_t *)x->data + i * k, k, (const int8_t *)w->data + first * w_col, w_row, w_col,
           some, sum);
      for (int64_t j = 0; j < some; j++) {
        const int64_t at = i * n + first + j;
        sumi_qdot_finish(&q, first + j, &sum[j], 1, residual ? residual + at : NULL,
                         (char *)c->out[0]->data + (size_t)at * bytes, 1);
      }
    }
  return SUMI_OK;
}

static void qmatmul_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_matmul mm;
  if (sumi_matmul_resolve(c->node, c->in[SUMI_QDOT_X], c->in[SUMI_QDOT_W], &mm, NULL) == SUMI_OK)
    sumi_matmul_cost(c, &mm, SUMI_QDOT_W, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {{"transB", SUMI_ATTR_INT}, SUMI_QDOT_ATTRS, {NULL}};

/* Scales are constants: random ones would saturate everything. */
#define CASE(inputs, constants, call) "g (" inputs ") => (y) <" constants "> { y = sumi.QMatMul " call " }"
#define X "float xs = {0.04}, uint8 xz = {131}"
#define Y "float ys = {0.5}, uint8 yz = {117}"
#define WS5 "float[5] ws = {0.01, 0.02, 0.015, 0.03, 0.005}"
static const struct sumi_case cases[] = {
    {CASE("uint8[2,7,33] x, int8[33,5] w, int32[5] b", X ", " Y ", " WS5, "(x, xs, xz, w, ws, b, ys, yz)"),
     .low = -128, .high = 255, .why = "scales by column"},
    {CASE("int8[6,40] x, int8[70,40] w",
          "float xs = {0.04}, int8 xz = {3}, float ys = {0.4}, int8 yz = {-11}, float ws = {0.01}",
          "<transB = 1, activation = \"Relu\"> (x, xs, xz, w, ws, , ys, yz)"),
     .low = -128, .high = 127, .why = "signed, transposed"},
    {CASE("uint8[40] x, int8[40,300] w", X ", " Y ", float ws = {0.02}", "(x, xs, xz, w, ws, , ys, yz)"),
     .low = -128, .high = 255, .why = "a vector, many columns"},
    {CASE("uint8[4,12] x, int8[12,5] w, float[5] c", X ", " Y ", " WS5 ", float cs = {0.05}, uint8 cz = {30}",
          "<c_activation = \"Gelu\"> (x, xs, xz, w, ws, , ys, yz, c, cs, cz)"),
     .atol = 1, .low = -128, .high = 255, .why = "the function may round to the next byte"},
    {CASE("uint8[4,12] x, int8[12,5] w, float[5] c, uint8[4,5] r",
          X ", " Y ", " WS5
            ", float cs = {0.6}, uint8 cz = {30}, float rs = {0.3}, uint8 rz = {99}, float ss = {0.9}, "
            "int8 sz = {-100}",
          "<r_activation = \"Clip\", r_activation_params = [-20.0, 50.0]> "
          "(x, xs, xz, w, ws, , ys, yz, c, cs, cz, r, rs, rz, ss, sz)"),
     .low = -128, .high = 255, .why = "every stage"},
    {CASE("uint8[4,12] x, int8[12,5] w, float[5] c", X ", " WS5 ", float cs = {0.05}, uint8 cz = {3}",
          "<c_activation = \"Gelu\"> (x, xs, xz, w, ws, , , , c, cs, cz)"),
     .atol = 1, .low = -128, .high = 255, .why = "direct; the function may round to the next byte"},
    {CASE("int8[4,12] x, int8[12,300] w", "float xs = {0.04}, int8 xz = {9}, float ws = {0.01}",
          "(x, xs, xz, w, ws)"),
     .rtol = 1e-6, .low = -128, .high = 127, .why = "a real result"},
    {NULL},
};

static bool qmatmul_by_item(const struct sumi_call *c, const bool *carries) {
  const bool like_output =
      !sumi_call_has(c, SUMI_QDOT_R) || !carries[SUMI_QDOT_R] || c->in[SUMI_QDOT_R]->rank == c->out[0]->rank;
  return sumi_by_item_only(c, carries, 1 << SUMI_QDOT_X | 1 << SUMI_QDOT_R) && like_output;
}

const struct sumi_op sumi_op_qmatmul = {
    .name = "sumi.QMatMul",
    .formula = "quantise(MatMul(x - x_zero, w) + b), + c, + r, each quantised again",
    .known_as = {{"sumi", "QMatMul", {1}}},
    .attrs = attrs,
    .in = sumi_qdot_in,
    .out = sumi_qdot_out,
    .flags = SUMI_OP_INTERNAL,
    .infer = qmatmul_infer,
    .by_item = qmatmul_by_item,
    .ref = qmatmul_ref,
    .lower = sumi_qmatmul_lower,
    .cells = sumi_qmatmul_cells,
    .lanes = sumi_qmatmul_lanes,
    .cost = qmatmul_cost,
    .cases = cases,
};

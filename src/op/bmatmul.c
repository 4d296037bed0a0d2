/* sumi.BMatMul: a matrix product on bfloat16, made by pass narrow-bf16 (files cannot name it):
 *   y[..., n] = act(b[n] + sum over k of w[k, n] * x[..., k] + r[..., n])         w is [K, N]; transB: [N, K]
 * x, w, r are bfloat16, b and all sums float32; y is bfloat16, or float32 with to = 1. */
#include "base/size.h"
#include "op/activation.h"
#include "op/bdot.h"
#include "op/bdot_cells.h"
#include "op/bdot_lower.h"
#include "op/by_item.h"
#include "op/conv.h"
#include "op/matmul.h"
#include "op/widen.h"

enum { X = SUMI_BDOT_X, W = SUMI_BDOT_W, B = SUMI_BDOT_B, R = SUMI_BDOT_R };

static bool transposed(const struct sumi_node *node) { return sumi_attr_int(node, "transB", 0) != 0; }

static sumi_status bmatmul_infer(struct sumi_infer *ctx) {
  const struct sumi_info *w = &ctx->in[W], *y = &ctx->out[0];
  sumi_dtype dtype = SUMI_UNDEFINED;
  struct sumi_activation act;
  SUMI_TRY(sumi_bdot_dtype(ctx->node, &dtype, ctx->err));
  SUMI_TRY(sumi_activation_resolve(ctx->node, &act, ctx->err));
  if (w->rank >= 0 && w->rank != 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the weights have rank %d, not 2", w->rank);
  SUMI_TRY(sumi_matmul_infer(ctx, X, W, dtype));
  SUMI_TRY(sumi_conv_check_bias(ctx, B, w->rank == 2 ? w->dim[!transposed(ctx->node)] : SUMI_DIM_UNKNOWN));
  if (!sumi_infer_has(ctx, R) || ctx->in[R].rank < 0 || y->rank < 0) return SUMI_OK;
  bool same = ctx->in[R].rank == y->rank;
  for (int i = 0; same && i < y->rank; i++)
    same = ctx->in[R].dim[i] < 0 || y->dim[i] < 0 || ctx->in[R].dim[i] == y->dim[i];
  if (!same) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the residual has another shape than the output");
  return SUMI_OK;
}

static sumi_status bmatmul_ref(const struct sumi_call *c) {
  const bool turned = transposed(c->node);
  const struct sumi_tensor *x = c->in[X], *w = c->in[W];
  const int64_t n = w->dim[!turned], k = w->dim[turned], lines = sumi_dims_count(x->dim, 0, x->rank - 1);
  struct sumi_activation act;
  struct sumi_wide f;
  SUMI_TRY(sumi_activation_resolve(c->node, &act, c->err));
  sumi_widen(c, &f);
  float *const y = f.out[0];
  sumi_matmul_f32(lines, n, k, f.in[X], k, 1, f.in[W], turned ? 1 : n, turned ? k : 1, y);
  for (int64_t i = 0; i < lines * n; i++) {
    if (f.in[B]) y[i] += f.in[B][i % n];
    if (f.in[R]) y[i] += f.in[R][i];
  }
  sumi_activation_apply(act, y, lines * n);
  sumi_narrow(c, &f);
  return SUMI_OK;
}

static void bmatmul_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_matmul mm;
  if (sumi_matmul_resolve(c->node, c->in[X], c->in[W], &mm, NULL) == SUMI_OK)
    sumi_matmul_cost(c, &mm, W, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {{"transB", SUMI_ATTR_INT}, SUMI_BDOT_ATTRS, {NULL}};

/* Results near a tie round the other way where the sum was taken in another order: one unit of 8 bits. */
static const struct sumi_case cases[] = {
    {"g (bfloat16[2,7,33] x, bfloat16[33,5] w, float[5] b) => (y) { y = sumi.BMatMul <to = 1> (x, w, b) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "float32 out; 33 products in another order"},
    {"g (bfloat16[6,40] x, bfloat16[70,40] w) => (y) { y = sumi.BMatMul <transB = 1, activation = \"Relu\"> "
     "(x, w) }",
     .rtol = 0x1.02p-7, .atol = 1e-5, .why = "transposed; may round the other way"},
    {"g (bfloat16[40] x, bfloat16[40,300] w) => (y) { y = sumi.BMatMul (x, w) }", .rtol = 0x1.02p-7,
     .atol = 1e-5, .why = "a vector, many columns; may round the other way"},
    {"g (bfloat16[1,24] x, bfloat16[24,19] w, float[19] b) => (y) { y = sumi.BMatMul <to = 1> (x, w, b) }",
     .rtol = 1e-5, .atol = 1e-5, .why = "one row, an odd number of columns"},
    {"g (bfloat16[20,12] x, bfloat16[12,6] w, float[6] b, bfloat16[20,6] r) => (y) "
     "{ y = sumi.BMatMul <activation = \"Gelu\"> (x, w, b, r) }",
     .rtol = 0x1.02p-7, .atol = 0.01, .why = "a residual and a function; may round the other way"},
    {NULL},
};

static bool bmatmul_by_item(const struct sumi_call *c, const bool *carries) {
  const bool like_output = !sumi_call_has(c, R) || !carries[R] || c->in[R]->rank == c->out[0]->rank;
  return sumi_by_item_only(c, carries, 1 << X | 1 << R) && like_output;
}

const struct sumi_op sumi_op_bmatmul = {
    .name = "sumi.BMatMul",
    .formula = "activation(MatMul(x, w) + b + r) on bfloat16, sums in float32",
    .known_as = {{"sumi", "BMatMul", {1}}},
    .attrs = attrs,
    .in = sumi_bdot_in,
    .out = sumi_bdot_out,
    .flags = SUMI_OP_INTERNAL,
    .infer = bmatmul_infer,
    .by_item = bmatmul_by_item,
    .ref = bmatmul_ref,
    .lower = sumi_bmatmul_lower,
    .cells = sumi_bmatmul_cells,
    .lanes = sumi_bmatmul_lanes,
    .scratch = sumi_widen_scratch,
    .cost = bmatmul_cost,
    .cases = cases,
};

/* sumi.FMatMul: a matrix product with its epilogue in float32, made by pass fuse-matmul (files cannot name it):
 *   y[..., n] = act(c[n] + sum over k of a[..., k] * b[k, n])
 * c may be absent. Attributes activation and activation_params as in op/activation.h. */
#include "op/activation.h"
#include "op/by_item.h"
#include "op/conv.h"
#include "op/fdot_cells.h"
#include "op/matmul_lower.h"

enum { A, B, C };

static sumi_status fmatmul_infer(struct sumi_infer *ctx) {
  const struct sumi_info *b = &ctx->in[B];
  struct sumi_activation act;
  SUMI_TRY(sumi_activation_resolve(ctx->node, &act, ctx->err));
  if (b->rank >= 0 && b->rank != 2) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "B has rank %d, not 2", b->rank);
  SUMI_TRY(sumi_matmul_infer(ctx, A, B, SUMI_FLOAT32));
  return sumi_conv_check_bias(ctx, C, b->rank == 2 ? b->dim[1] : SUMI_DIM_UNKNOWN);
}

static sumi_status fmatmul_ref(const struct sumi_call *call) {
  struct sumi_matmul mm;
  struct sumi_activation act;
  SUMI_TRY(sumi_matmul_resolve(call->node, call->in[A], call->in[B], &mm, call->err));
  SUMI_TRY(sumi_activation_resolve(call->node, &act, call->err));
  const int64_t rows = sumi_dims_count(mm.batch, 0, mm.n_batch) * mm.m;
  const float *c = sumi_call_has(call, C) ? call->in[C]->data : NULL;
  float *y = call->out[0]->data;
  if (!rows || !mm.n) return SUMI_OK;
  sumi_matmul_f32(rows, mm.n, mm.k, call->in[A]->data, mm.k, 1, call->in[B]->data, mm.n, 1, y);
  for (int64_t i = 0; c && i < rows * mm.n; i++) y[i] += c[i % mm.n];
  sumi_activation_apply(act, y, rows * mm.n);
  return SUMI_OK;
}

static void fmatmul_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_matmul mm;
  if (sumi_matmul_resolve(c->node, c->in[A], c->in[B], &mm, NULL) == SUMI_OK)
    sumi_matmul_cost(c, &mm, B, -1, cost);
}

static const struct sumi_attr_spec attrs[] = {
    {"activation", SUMI_ATTR_STRING}, {"activation_params", SUMI_ATTR_FLOATS}, {NULL}};
static const struct sumi_port in[] = {{"A", SUMI_BIT(SUMI_FLOAT32), 'T'},
                                      {"B", SUMI_BIT(SUMI_FLOAT32), 'T'},
                                      {"C", SUMI_BIT(SUMI_FLOAT32), 'T', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32), 'T'}, {NULL}};

static const struct sumi_case cases[] = {
    {"g (float[2,20,33] a, float[33,100] b, float[100] c) => (y) "
     "{ y = sumi.FMatMul <activation = \"Gelu\"> (a, b, c) }",
     .rtol = 1e-5, .why = "33 products in another order"},
    {"g (float[5,12] a, float[12,70] b, float[70] c) => (y) "
     "{ y = sumi.FMatMul <activation = \"LeakyRelu\", activation_params = [0.25]> (a, b, c) }",
     .rtol = 1e-5, .why = "few rows"},
    {"g (float[40,12] a, float[12,7] b) => (y) { y = sumi.FMatMul <activation = \"Tanh\"> (a, b) }",
     .rtol = 1e-5, .why = "no vector, few columns"},
    {"g (float[12] a, float[12,7] b, float[7] c) => (y) { y = sumi.FMatMul (a, b, c) }", .rtol = 1e-5,
     .why = "one row"},
    {"g (float[3,0] a, float[0,4] b, float[4] c) => (y) { y = sumi.FMatMul (a, b, c) }",
     .why = "an empty sum is 0"},
    {NULL},
};

static bool fmatmul_by_item(const struct sumi_call *c, const bool *carries) {
  const bool like_output = !sumi_call_has(c, C) || !carries[C] || c->in[C]->rank == c->out[0]->rank;
  return sumi_by_item_only(c, carries, 1 << A | 1 << C) && like_output;
}

const struct sumi_op sumi_op_fmatmul = {
    .name = "sumi.FMatMul",
    .formula = "activation(c + sum of a[i, k] * b[k, j] over k)",
    .known_as = {{"sumi", "FMatMul", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = fmatmul_infer,
    .by_item = fmatmul_by_item,
    .ref = fmatmul_ref,
    .lower = sumi_fmatmul_lower,
    .cells = sumi_fmatmul_cells,
    .cost = fmatmul_cost,
    .cases = cases,
};

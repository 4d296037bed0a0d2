/* Gemm: y = alpha * A * B + beta * C for matrices, A and B transposed on request, C optional and broadcast to
 * y. com.microsoft.FusedGemm: the same, and an activation. Floats: the product in the order sumi_matmul_f32()
 * documents, then alpha, then beta * c; float16 and bfloat16 in float32, rounded once at the end. Integers
 * are exact modulo 2^bits where alpha and beta are 1, else the figures are applied in double precision.
 * Before version 7 C broadcasts only with attribute broadcast; it is taken either way. */
#include "op/gemm.h"
#include "op/by_item.h"

#include <inttypes.h>

#include "base/size.h"
#include "op/fdot_cells.h"
#include "op/grad.h"
#include "op/matmul.h"
#include "op/matmul_lower.h"
#include "op/widen.h"

static sumi_status activation(const struct sumi_node *node, struct sumi_activation *act,
                              struct sumi_err *err) {
  const float ab[] = {sumi_attr_float(node, "activation_alpha", 0),
                      sumi_attr_float(node, "activation_beta", 0)};
  const int n = sumi_node_attr(node, "activation_beta")    ? 2
                : sumi_node_attr(node, "activation_alpha") ? 1
                                                           : 0;
  return sumi_activation_make(sumi_attr_string(node, "activation", ""), ab, n, act, err);
}

/* Checks and turns the dims (some may be unknown) of a, b, c into m, n, k. c NULL: none, or of unknown rank.
 */
static sumi_status shapes(const struct sumi_node *node, const sumi_dim *a, const sumi_dim *b,
                          const sumi_dim *c, int rank_c, sumi_dim *m, sumi_dim *n, sumi_dim *k,
                          struct sumi_err *err) {
  const bool ta = sumi_attr_int(node, "transA", 0) != 0, tb = sumi_attr_int(node, "transB", 0) != 0;
  *m = a[ta];
  *k = a[!ta];
  *n = b[!tb];
  if (*k >= 0 && b[tb] >= 0 && *k != b[tb])
    SUMI_FAIL(err, SUMI_E_SHAPE, "k is %" PRId64 " in A, %" PRId64 " in B", *k, b[tb]);
  const sumi_dim y[2] = {*m, *n};
  for (int i = 0; c && i < rank_c; i++) {
    const sumi_dim want = y[2 - rank_c + i];
    if (c[i] >= 0 && want >= 0 && c[i] != 1 && c[i] != want)
      SUMI_FAIL(err, SUMI_E_SHAPE, "dimension %d of C is %" PRId64 ", which does not broadcast to %" PRId64,
                i, c[i], want);
  }
  return SUMI_OK;
}

static sumi_status check_ranks(int a, int b, int c, struct sumi_err *err) {
  if ((a >= 0 && a != 2) || (b >= 0 && b != 2))
    SUMI_FAIL(err, SUMI_E_SHAPE, "A has rank %d and B rank %d, both must be matrices", a, b);
  if (c > 2) SUMI_FAIL(err, SUMI_E_SHAPE, "C has rank %d, at most 2 is possible", c);
  return SUMI_OK;
}

static sumi_status gemm_infer(struct sumi_infer *ctx) {
  const sumi_dim unknown[2] = {SUMI_DIM_UNKNOWN, SUMI_DIM_UNKNOWN};
  const struct sumi_info *a = &ctx->in[0], *b = &ctx->in[1], *c = sumi_infer_has(ctx, 2) ? &ctx->in[2] : NULL;
  SUMI_TRY(check_ranks(a->rank, b->rank, c ? c->rank : 0, ctx->err));
  sumi_dim y[2], k;
  SUMI_TRY(shapes(ctx->node, a->rank < 0 ? unknown : a->dim, b->rank < 0 ? unknown : b->dim,
                  c && c->rank >= 0 ? c->dim : NULL, c ? c->rank : 0, &y[0], &y[1], &k, ctx->err));
  struct sumi_activation act;
  SUMI_TRY(activation(ctx->node, &act, ctx->err));
  sumi_infer_out(ctx, 0, a->dtype, 2, y);
  return SUMI_OK;
}

sumi_status sumi_gemm_resolve(const struct sumi_node *node, const struct sumi_tensor *a,
                              const struct sumi_tensor *b, const struct sumi_tensor *c, struct sumi_gemm *g,
                              struct sumi_err *err) {
  SUMI_TRY(check_ranks(a->rank, b->rank, c ? c->rank : 0, err));
  *g = (struct sumi_gemm){.alpha = sumi_attr_float(node, "alpha", 1),
                          .beta = sumi_attr_float(node, "beta", 1)};
  SUMI_TRY(shapes(node, a->dim, b->dim, c ? c->dim : NULL, c ? c->rank : 0, &g->m, &g->n, &g->k, err));
  const bool ta = sumi_attr_int(node, "transA", 0) != 0, tb = sumi_attr_int(node, "transB", 0) != 0;
  g->a_row = ta ? 1 : a->dim[1];
  g->a_col = ta ? a->dim[1] : 1;
  g->b_row = tb ? 1 : b->dim[1];
  g->b_col = tb ? b->dim[1] : 1;
  g->has_c = c != NULL;
  if (c) {
    g->c_col = c->rank >= 1 && c->dim[c->rank - 1] != 1;
    g->c_row = c->rank == 2 && c->dim[0] != 1 ? c->dim[1] : 0;
  }
  return activation(node, &g->activation, err);
}

static void gemm_f32(const struct sumi_gemm *g, const float *a, const float *b, const float *c, float *y) {
  sumi_matmul_f32(g->m, g->n, g->k, a, g->a_row, g->a_col, b, g->b_row, g->b_col, y);
  for (int64_t i = 0; i < g->m; i++)
    for (int64_t j = 0; j < g->n; j++) {
      float *out = &y[i * g->n + j];
      *out *= g->alpha;
      if (c && g->beta != 0) *out += g->beta * c[i * g->c_row + j * g->c_col];
    }
  sumi_activation_apply(g->activation, y, g->m * g->n);
}

/* One element in double precision, any element type. */
static double element_f64(const struct sumi_gemm *g, const struct sumi_call *call, int64_t i, int64_t j) {
  const struct sumi_tensor *a = call->in[0], *b = call->in[1];
  double sum = 0;
  for (int64_t k = 0; k < g->k; k++)
    sum += sumi_get_f64(a->dtype, a->data, i * g->a_row + k * g->a_col) *
           sumi_get_f64(b->dtype, b->data, k * g->b_row + j * g->b_col);
  sum *= g->alpha;
  if (g->has_c)
    sum += g->beta * sumi_get_f64(call->in[2]->dtype, call->in[2]->data, i * g->c_row + j * g->c_col);
  sumi_activation_apply_f64(g->activation, &sum, 1);
  return sum;
}

static uint64_t element_u64(const struct sumi_gemm *g, const struct sumi_call *call, int64_t i, int64_t j) {
  const struct sumi_tensor *a = call->in[0], *b = call->in[1];
  uint64_t sum = 0;
  for (int64_t k = 0; k < g->k; k++)
    sum += (uint64_t)sumi_get_i64(a->dtype, a->data, i * g->a_row + k * g->a_col) *
           (uint64_t)sumi_get_i64(b->dtype, b->data, k * g->b_row + j * g->b_col);
  if (g->has_c)
    sum += (uint64_t)sumi_get_i64(call->in[2]->dtype, call->in[2]->data, i * g->c_row + j * g->c_col);
  return sum;
}

static sumi_status gemm_ref(const struct sumi_call *call) {
  struct sumi_gemm g;
  const struct sumi_tensor *y = call->out[0];
  SUMI_TRY(sumi_gemm_resolve(call->node, call->in[0], call->in[1],
                             sumi_call_has(call, 2) ? call->in[2] : NULL, &g, call->err));
  if (!g.m || !g.n) return SUMI_OK;
  struct sumi_wide f;
  sumi_widen(call, &f);
  if (f.out[0]) {
    gemm_f32(&g, f.in[0], f.in[1], g.has_c ? f.in[2] : NULL, f.out[0]);
    sumi_narrow(call, &f);
    return SUMI_OK;
  }
  const bool exact = y->dtype != SUMI_FLOAT64 && g.alpha == 1 && g.beta == 1;
  for (int64_t i = 0; i < g.m; i++)
    for (int64_t j = 0; j < g.n; j++) {
      if (exact)
        sumi_set_i64(y->dtype, y->data, i * g.n + j, (int64_t)element_u64(&g, call, i, j));
      else
        sumi_set_f64(y->dtype, y->data, i * g.n + j, element_f64(&g, call, i, j));
    }
  return SUMI_OK;
}

static void gemm_cost(const struct sumi_call *call, struct sumi_cost *cost) {
  struct sumi_gemm g;
  if (sumi_gemm_resolve(call->node, call->in[0], call->in[1], NULL, &g, NULL) != SUMI_OK) return;
  cost->dense_macs = (double)g.m * (double)g.n * (double)g.k;
  cost->macs = cost->dense_macs * sumi_op_density(call, 1, -1);
  cost->bytes = sumi_op_bytes(call);
}

#define GEMM_TYPES \
  (SUMI_FLOATS | SUMI_BIT(SUMI_INT32) | SUMI_BIT(SUMI_INT64) | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT64))

#define GEMM_ATTRS                                                                    \
  {"alpha", SUMI_ATTR_FLOAT}, {"beta", SUMI_ATTR_FLOAT}, {"transA", SUMI_ATTR_INT}, { \
    "transB", SUMI_ATTR_INT                                                           \
  }

static bool gemm_product(const struct sumi_node *node, int part, struct sumi_op_product *p) {
  const struct sumi_tensor *b = sumi_op_weight(node, 1);
  const bool ta = sumi_attr_int(node, "transA", 0) != 0, tb = sumi_attr_int(node, "transB", 0) != 0;
  if (part || !b || b->rank != 2) return false;
  const bool plain = sumi_attr_float(node, "alpha", 1) == 1 && sumi_attr_float(node, "beta", 1) == 1;
  *p = (struct sumi_op_product){.x = 0,
                                .w = 1,
                                .b = plain ? 2 : -1,
                                .rows = b->dim[!tb],
                                .groups = 1,
                                .taps = 1,
                                .channels = b->dim[tb],
                                .row_step = tb ? b->dim[1] : 1,
                                .channel_step = tb ? 1 : b->dim[1],
                                .axis = ta ? 0 : 1};
  return true;
}

static const struct sumi_attr_spec gemm_attrs[] = {
    GEMM_ATTRS, {"broadcast", SUMI_ATTR_INT, .until = 7}, {NULL}};
static const struct sumi_attr_spec fused_attrs[] = {GEMM_ATTRS,
                                                    {"activation", SUMI_ATTR_STRING},
                                                    {"activation_alpha", SUMI_ATTR_FLOAT},
                                                    {"activation_beta", SUMI_ATTR_FLOAT},
                                                    {"activation_gamma", SUMI_ATTR_FLOAT},
                                                    {NULL}};
static const struct sumi_port in[] = {
    {"A", GEMM_TYPES, 'T'}, {"B", GEMM_TYPES, 'T'}, {"C", GEMM_TYPES, 'T', SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port out[] = {{"Y", GEMM_TYPES, 'T'}, {NULL}};

static const struct sumi_case gemm_cases[] = {
    {"g (float[5,40] a, float[7,40] b, float[7] c) => (y) { y = Gemm <transB = 1> (a, b, c) }", .rtol = 1e-5,
     .why = "a linear layer; 40 products in another order"},
    {"g (float[37,40] a, float[72,40] b, float[72] c) => (y) { y = Gemm <transB = 1> (a, b, c) }",
     .rtol = 1e-5, .why = "many rows: b turned into strips"},
    {"g (float[40,5] a, float[40,7] b, float[5,1] c) => (y) "
     "{ y = Gemm <transA = 1, alpha = 0.5, beta = 2.0> (a, b, c) }",
     .rtol = 1e-5, .why = "C is a column"},
    {"g (float[6,5] a, float[7,6] b, float[5,7] c) => (y) { y = Gemm <transA = 1, transB = 1, beta = -1.0> "
     "(a, b, c) }",
     .rtol = 1e-5},
    {"g (float[1,40] a, float[40,1] b, float c) => (y) { y = Gemm (a, b, c) }", .rtol = 1e-5,
     .why = "C is a scalar"},
    {"g (float[3,4] a, float[4,2] b) => (y) { y = Gemm (a, b) }", .rtol = 1e-5, .why = "no C"},
    {"<opset_import: [\"\": 6]> g (float[3,4] a, float[4,2] b, float[2] c) => (y) { y = Gemm <broadcast = 1> "
     "(a, b, c) }",
     .rtol = 1e-5},
    {"g (double[3,4] a, double[4,2] b, double[1,2] c) => (y) { y = Gemm (a, b, c) }", .rtol = 1e-13},
    {"g (int64[3,4] a, int64[4,2] b, int64[2] c) => (y) { y = Gemm (a, b, c) }"},
    {"g (float16[3,9] a, float16[9,2] b, float16[2] c) => (y) { y = Gemm (a, b, c) }", .rtol = 2e-3,
     .why = "rounded once to 11 bits"},
    {NULL},
};

static const struct sumi_case fused_cases[] = {
    {"g (float[5,12] a, float[7,12] b, float[7] c) => (y) "
     "{ y = com.microsoft.FusedGemm <transB = 1, activation = \"LeakyRelu\", activation_alpha = 0.2> (a, b, "
     "c) }",
     .rtol = 1e-5},
    {NULL},
};

static bool gemm_by_item(const struct sumi_call *c, const bool *carries) {
  return sumi_by_item_first(c, carries) && !sumi_attr_int(c->node, "transA", 0);
}

const struct sumi_op sumi_op_gemm = {
    .name = "Gemm",
    .formula = "alpha * A * B + beta * C",
    .known_as = {{"", "Gemm", {1, 6, 7, 9, 11, 13}}},
    .attrs = gemm_attrs,
    .in = in,
    .out = out,
    .infer = gemm_infer,
    .by_item = gemm_by_item,
    .ref = gemm_ref,
    .lower = sumi_gemm_lower,
    .cells = sumi_gemm_cells,
    .scratch = sumi_widen_scratch,
    .cost = gemm_cost,
    .grad = sumi_gemm_grad,
    .product = gemm_product,
    .cases = gemm_cases,
};

const struct sumi_op sumi_op_fused_gemm = {
    .name = "com.microsoft.FusedGemm",
    .formula = "activation(alpha * A * B + beta * C)",
    .known_as = {{"com.microsoft", "FusedGemm", {1}}},
    .attrs = fused_attrs,
    .in = in,
    .out = out,
    .infer = gemm_infer,
    .by_item = gemm_by_item,
    .ref = gemm_ref,
    .lower = sumi_gemm_lower,
    .cells = sumi_gemm_cells,
    .scratch = sumi_widen_scratch,
    .cost = gemm_cost,
    .product = gemm_product,
    .cases = fused_cases,
};

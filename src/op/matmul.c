/* MatMul: NumPy's matrix product, with 1-D operands and broadcast batches.
 * com.microsoft.FusedMatMul: the same with operands transposed (transA, transB: the last two dimensions;
 * transBatchA, transBatchB: dimension 0 behind the batch ones, first) and the product scaled by alpha.
 * float32 accumulates in float32 in the order sumi_matmul_f32() documents; float16 and bfloat16 the same,
 * rounded once at the end; float64 and integers are the textbook loop, integers modulo 2^bits. */
#include "op/matmul.h"
#include "op/by_item.h"
#include "op/grad.h"

#include "base/size.h"
#include "op/fdot_cells.h"
#include "op/matmul_lower.h"
#include "op/widen.h"

static sumi_status matmul_infer(struct sumi_infer *ctx) {
  return sumi_matmul_infer(ctx, 0, 1, ctx->in[0].dtype);
}

/* One matrix of the stack. Signed integers run as unsigned: their sums wrap. */
#define TEXTBOOK(function, type)                                                              \
  static void function(const struct sumi_matmul *mm, const type *a, const type *b, type *y) { \
    for (int64_t i = 0; i < mm->m; i++)                                                       \
      for (int64_t j = 0; j < mm->n; j++) {                                                   \
        type sum = 0;                                                                         \
        for (int64_t k = 0; k < mm->k; k++)                                                   \
          sum += a[i * mm->a_row + k * mm->a_col] * b[k * mm->b_row + j * mm->b_col];         \
        y[i * mm->n + j] = sum;                                                               \
      }                                                                                       \
  }

TEXTBOOK(product_f64, double)
TEXTBOOK(product_u32, uint32_t)
TEXTBOOK(product_u64, uint64_t)

static sumi_status matmul_ref(const struct sumi_call *c) {
  struct sumi_matmul mm;
  SUMI_TRY(sumi_matmul_resolve(c->node, c->in[0], c->in[1], &mm, c->err));
  if (!mm.m || !mm.n) return SUMI_OK;
  struct sumi_wide f;
  sumi_widen(c, &f);
  const sumi_dtype d = c->out[0]->dtype;
  int64_t at = 0;
  for (struct sumi_walk w = sumi_walk_start(mm.n_batch, mm.batch, mm.a_batch, mm.b_batch, NULL, NULL);
       !w.done; sumi_walk_next(&w), at += mm.m * mm.n) {
    const int64_t ia = w.offset[0], ib = w.offset[1];
    const void *a = c->in[0]->data, *b = c->in[1]->data;
    void *y = c->out[0]->data;
    if (f.out[0])
      sumi_matmul_f32(mm.m, mm.n, mm.k, f.in[0] + ia, mm.a_row, mm.a_col, f.in[1] + ib, mm.b_row, mm.b_col,
                      f.out[0] + at);
    else if (d == SUMI_FLOAT64)
      product_f64(&mm, (const double *)a + ia, (const double *)b + ib, (double *)y + at);
    else if (d == SUMI_INT32 || d == SUMI_UINT32)
      product_u32(&mm, (const uint32_t *)a + ia, (const uint32_t *)b + ib, (uint32_t *)y + at);
    else
      product_u64(&mm, (const uint64_t *)a + ia, (const uint64_t *)b + ib, (uint64_t *)y + at);
  }
  if (mm.alpha != 1) {
    if (f.out[0])
      for (int64_t i = 0; i < at; i++) f.out[0][i] *= mm.alpha;
    else if (d == SUMI_FLOAT64)
      for (int64_t i = 0; i < at; i++) ((double *)c->out[0]->data)[i] *= mm.alpha;
  }
  sumi_narrow(c, &f);
  return SUMI_OK;
}

static void matmul_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_matmul mm;
  if (sumi_matmul_resolve(c->node, c->in[0], c->in[1], &mm, NULL) == SUMI_OK)
    sumi_matmul_cost(c, &mm, 1, -1, cost);
}

#define MATMUL_TYPES \
  (SUMI_FLOATS | SUMI_BIT(SUMI_INT32) | SUMI_BIT(SUMI_INT64) | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT64))

static const struct sumi_port in[] = {{"A", MATMUL_TYPES, 'T'}, {"B", MATMUL_TYPES, 'T'}, {NULL}};
static const struct sumi_port out[] = {{"Y", MATMUL_TYPES, 'T'}, {NULL}};
static const struct sumi_port fused_in[] = {{"A", SUMI_FLOATS, 'T'}, {"B", SUMI_FLOATS, 'T'}, {NULL}};
static const struct sumi_port fused_out[] = {{"Y", SUMI_FLOATS, 'T'}, {NULL}};

static const struct sumi_attr_spec fused_attrs[] = {
    {"alpha", SUMI_ATTR_FLOAT},     {"transA", SUMI_ATTR_INT},      {"transB", SUMI_ATTR_INT},
    {"transBatchA", SUMI_ATTR_INT}, {"transBatchB", SUMI_ATTR_INT}, {NULL},
};

static const struct sumi_case matmul_cases[] = {
    {"g (float[5,33] a, float[33,7] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5,
     .why = "33 products in another order"},
    {"g (float[2,1,4,6] a, float[3,6,5] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5,
     .why = "both sides broadcast"},
    {"g (float[6] a, float[6] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5, .why = "a scalar"},
    {"g (float[6] a, float[2,6,3] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5, .why = "a row vector"},
    {"g (float[2,3,6] a, float[6] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5, .why = "a column vector"},
    {"g (float[3,40,9] a, float[3,9,1] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5,
     .why = "one column in each of several products"},
    {"g (float[3,40,9] a) => (y) <float[9,1] b = {1, -2, 3, -4, 5, -6, 7, -8, 9}> { y = MatMul (a, b) }",
     .rtol = 1e-5},
    {"g (float[17,300] a, float[300,520] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5,
     .why = "several blocks of columns"},
    {"g (float[2,20,33] a, float[33,100] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-5,
     .why = "enough rows for strips, the last one narrow"},
    {"g (float[3,0] a, float[0,4] b) => (y) { y = MatMul (a, b) }", .why = "an empty sum is 0"},
    {"g (double[3,4] a, double[4,2] b) => (y) { y = MatMul (a, b) }", .rtol = 1e-13},
    {"g (int32[3,4] a, int32[4,2] b) => (y) { y = MatMul (a, b) }"},
    {"g (uint64[3,4] a, uint64[4,2] b) => (y) { y = MatMul (a, b) }"},
    {"g (float16[3,9] a, float16[9,2] b) => (y) { y = MatMul (a, b) }", .rtol = 2e-3,
     .why = "rounded once to 11 bits"},
    {NULL},
};

static const struct sumi_case fused_cases[] = {
    {"g (float[2,6,5] a, float[2,6,4] b) => (y) { y = com.microsoft.FusedMatMul <transA = 1, alpha = 0.5> "
     "(a, b) }",
     .rtol = 1e-5},
    {"g (float[2,5,18] a, float[2,4,18] b) => (y) { y = com.microsoft.FusedMatMul <transB = 1> (a, b) }",
     .rtol = 1e-5},
    {"g (float[5,2,3,6] a, float[6,2,3,4] b) => (y) "
     "{ y = com.microsoft.FusedMatMul <transBatchA = 1, transBatchB = 1> (a, b) }",
     .rtol = 1e-5, .why = "[m, batch, k] and [k, batch, n]"},
    {"g (float[6,2,5] a, float[4,2,6] b) => (y) "
     "{ y = com.microsoft.FusedMatMul <transBatchA = 1, transA = 1, transBatchB = 1, transB = 1> (a, b) }",
     .rtol = 1e-5, .why = "[k, batch, m] and [n, batch, k]: nothing contiguous along k in a"},
    {NULL},
};

static bool matmul_product(const struct sumi_node *node, int part, struct sumi_op_product *p) {
  const struct sumi_tensor *b = sumi_op_weight(node, 1);
  if (part || !b || b->rank != 2) return false;
  *p = (struct sumi_op_product){.x = 0,
                                .w = 1,
                                .b = -1,
                                .rows = b->dim[1],
                                .groups = 1,
                                .taps = 1,
                                .channels = b->dim[0],
                                .row_step = 1,
                                .channel_step = b->dim[1],
                                .axis = -1};
  return true;
}

/* Rows of a, or a product an item. */
static bool matmul_by_item(const struct sumi_call *c, const bool *carries) {
  if (!carries[1]) return sumi_by_item_first(c, carries);
  const int rank = c->out[0]->rank;
  return rank > 2 && c->in[1]->rank == rank && (!carries[0] || c->in[0]->rank == rank);
}

const struct sumi_op sumi_op_matmul = {
    .name = "MatMul",
    .formula = "sum of a[i, k] * b[k, j] over k",
    .known_as = {{"", "MatMul", {1, 9, 13}}},
    .in = in,
    .out = out,
    .infer = matmul_infer,
    .by_item = matmul_by_item,
    .ref = matmul_ref,
    .lower = sumi_matmul_lower,
    .cells = sumi_matmul_cells,
    .scratch = sumi_widen_scratch,
    .cost = matmul_cost,
    .grad = sumi_matmul_grad,
    .product = matmul_product,
    .cases = matmul_cases,
};

const struct sumi_op sumi_op_fused_matmul = {
    .name = "com.microsoft.FusedMatMul",
    .formula = "alpha * MatMul(a or its transpose, b or its transpose)",
    .known_as = {{"com.microsoft", "FusedMatMul", {1}}, {"com.microsoft", "TransposeMatMul", {1}}},
    .attrs = fused_attrs,
    .in = fused_in,
    .out = fused_out,
    .infer = matmul_infer,
    .ref = matmul_ref,
    .lower = sumi_matmul_lower,
    .cells = sumi_matmul_cells,
    .scratch = sumi_widen_scratch,
    .cost = matmul_cost,
    .cases = fused_cases,
};

/* CumSum, CumProd: along an axis, y[k] = x[0] + ... + x[k] (or the product). exclusive leaves x[k] out,
 * reverse starts from the end. Floats accumulate in double precision, integers modulo 2^64. */
#include "base/size.h"
#include "op/lane.h"
#include "op/op_util.h"

static sumi_status axis_of(const struct sumi_tensor *t, int rank, int *axis, struct sumi_err *err) {
  return sumi_axis(sumi_get_i64(t->dtype, t->data, 0), rank ? rank : 1, axis, err);
}

static sumi_status infer(struct sumi_infer *ctx) {
  const struct sumi_info *axis = &ctx->in[1];
  for (int i = 0; i < axis->rank; i++)
    if (axis->dim[i] >= 0 && axis->dim[i] != 1) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the axis is not a scalar");
  int unused;
  if (axis->data && ctx->in[0].rank >= 0) SUMI_TRY(axis_of(axis->data, ctx->in[0].rank, &unused, ctx->err));
  return sumi_infer_same(ctx);
}

/* How a tile of rows is gone through. */
struct way {
  bool product, exclusive, reverse;
};

/* v[rows, width] become the sums (products) so far of their columns, sum[width]. */
#define SCAN(name, T)                                                                              \
  static void name(const struct way *w, int64_t rows, int64_t width, void *values, void *so_far) { \
    T *sum = so_far;                                                                               \
    for (int64_t r = 0; r < rows; r++) {                                                           \
      T *v = (T *)values + (w->reverse ? rows - 1 - r : r) * width;                                \
      for (int64_t i = 0; i < width; i++) {                                                        \
        const T old = sum[i];                                                                      \
        sum[i] = w->product ? old * v[i] : old + v[i];                                             \
        v[i] = w->exclusive ? old : sum[i];                                                        \
      }                                                                                            \
    }                                                                                              \
  }
SCAN(scan_f64, double)
SCAN(scan_u64, uint64_t)

/* Columns [first, first + width) of x [n, inner], as many rows at a time as a tile has room for; at: their first element. */
static void run_columns(const struct sumi_tensor *x, const struct sumi_tensor *y, const struct way *w,
                        int64_t n, int64_t inner, int64_t at, int64_t width) {
  const enum sumi_lane lane = sumi_dtype_is_float(x->dtype) ? SUMI_LANE_F64 : SUMI_LANE_U64;
  const int64_t most = width == inner ? SUMI_LANE_CHUNK / width : 1; /* whole rows follow each other */
  union {
    double f[SUMI_LANE_CHUNK];
    uint64_t u[SUMI_LANE_CHUNK];
  } tile, sum;
  for (int64_t i = 0; i < width; i++) {
    if (lane == SUMI_LANE_F64)
      sum.f[i] = w->product;
    else
      sum.u[i] = w->product;
  }
  for (int64_t done = 0; done < n;) {
    const int64_t rows = SUMI_MIN(n - done, most), k = w->reverse ? n - done - rows : done;
    sumi_lane_load(lane, x->dtype, x->data, at + k * inner, rows * width, &tile);
    (lane == SUMI_LANE_F64 ? scan_f64 : scan_u64)(w, rows, width, &tile, &sum);
    sumi_lane_store(lane, y->dtype, y->data, at + k * inner, rows * width, &tile);
    done += rows;
  }
}

static sumi_status run(const struct sumi_call *c, bool product) {
  const struct sumi_tensor *x = c->in[0], *y = c->out[0];
  int axis;
  SUMI_TRY(axis_of(c->in[1], x->rank, &axis, c->err));
  const struct way w = {product, sumi_attr_int(c->node, "exclusive", 0) != 0,
                        sumi_attr_int(c->node, "reverse", 0) != 0};
  /* x is [outer, n, inner] */
  const int64_t outer = sumi_dims_count(x->dim, 0, axis), n = x->rank ? x->dim[axis] : 1;
  const int64_t inner = x->rank ? sumi_dims_count(x->dim, axis + 1, x->rank) : 1;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t j = 0; j < inner; j += SUMI_LANE_CHUNK)
      run_columns(x, y, &w, n, inner, o * n * inner + j, SUMI_MIN(inner - j, SUMI_LANE_CHUNK));
  return SUMI_OK;
}

static sumi_status cum_sum_ref(const struct sumi_call *c) { return run(c, false); }
static sumi_status cum_prod_ref(const struct sumi_call *c) { return run(c, true); }

#define TYPES (SUMI_FLOATS | SUMI_INDICES | SUMI_BIT(SUMI_UINT32) | SUMI_BIT(SUMI_UINT64))
static const struct sumi_attr_spec attrs[] = {
    {"exclusive", SUMI_ATTR_INT}, {"reverse", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"x", TYPES, 'T'}, {"axis", SUMI_INDICES}, {NULL}};
static const struct sumi_port out[] = {{"y", TYPES, 'T'}, {NULL}};

static const struct sumi_case cum_sum_cases[] = {
    {"g (float[3,5,7] x) => (y) <int64 axis = {1}> { y = CumSum (x, axis) }", .rtol = 1e-6},
    {"g (int32[40] x) => (y) <int32 axis = {-1}> { y = CumSum <exclusive = 1, reverse = 1> (x, axis) }"},
    {"g (float[2,70,9] x) => (y) <int64 axis = {1}> { y = CumSum <reverse = 1> (x, axis) }", .rtol = 1e-6,
     .why = "several tiles"},
    {"g (float[2,5,300] x) => (y) <int64 axis = {1}> { y = CumSum <exclusive = 1> (x, axis) }", .rtol = 1e-6,
     .why = "rows wider than a tile"},
    {NULL},
};
static const struct sumi_case cum_prod_cases[] = {
    {"g (float[3,5,7] x) => (y) <int64 axis = {1}> { y = CumProd <reverse = 1> (x, axis) }", .rtol = 1e-6},
    {NULL}};

const struct sumi_op sumi_op_cum_sum = {
    .name = "CumSum",
    .formula = "x[0] + ... + x[k] along axis",
    .known_as = {{"", "CumSum", {11, 14}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = infer,
    .ref = cum_sum_ref,
    .cases = cum_sum_cases,
};

const struct sumi_op sumi_op_cum_prod = {
    .name = "CumProd",
    .formula = "x[0] ... x[k] along axis",
    .known_as = {{"", "CumProd", {26}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_IN_PLACE,
    .infer = infer,
    .ref = cum_prod_ref,
    .cases = cum_prod_cases,
};

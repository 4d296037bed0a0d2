/* sumi.QAttention: scaled dot-product attention of 8-bit tensors with the quantisations between its steps, made by passes of
 * Reshape, Transpose, MatMul, Softmax and their DequantizeLinear and QuantizeLinear (files cannot name it):
 *   q [batch, queries, heads, features], k and v [batch, keys, heads, features]: reshaped to q_shape, k_shape, v_shape
 *   dot[t] = sum over f of (q[b, i, h, f] - q_zero) * (k[b, t, h, f] - k_zero)                    exact
 *   s[t]   = (float)dot[t] * (q_scale * k_scale)                                or, where s_scale is given,
 *            (float)round(dot[t] * (q_scale * k_scale / s_scale)) * s_scale        held to bytes with s_zero
 *   s[t]   = s[t] * scale (attribute divide: s[t] / scale) + mask[b, h, i, t]
 *   e[t]   = exp(s[t] - largest s)
 *   p[t]   = round(e[t] * (1 / (sum of e * p_scale))) + p_zero                  p_zero where no s is above -infinity
 *   y[b, i, h, f] = round((sum over t of (p[t] - p_zero) * (v[b, t, h, f] - v_zero)) * (p_scale * v_scale / y_scale)) + y_zero
 * reshaped to y_shape. Sums of integers are exact, everything else is float32 as it stands here, with exp of base/fmath.h and the
 * sum of row_sum.h, so that the card gives the same y. Kernels may round a quantised score, a p or a y the other way where
 * float32 lies that near the middle of two bytes. */
#include "op/qattention.h"

#include <inttypes.h>
#include <math.h>

#include "base/fmath.h"
#include "base/size.h"
#include "op/by_item.h"
#include "op/op_util.h"
#include "op/quant.h"
#include "op/row_sum.h"

#define BYTES (SUMI_BIT(SUMI_UINT8) | SUMI_BIT(SUMI_INT8))
#define FLOAT SUMI_BIT(SUMI_FLOAT32)
#define INTS SUMI_BIT(SUMI_INT64)

enum { Q = SUMI_QATTENTION_Q, K = SUMI_QATTENTION_K, V = SUMI_QATTENTION_V, MASK = SUMI_QATTENTION_MASK };

static const struct sumi_port ports_in[] = {{"q", BYTES, 'Q'},
                                            {"q_scale", FLOAT},
                                            {"q_zero", BYTES, 'Q'},
                                            {"k", BYTES, 'K'},
                                            {"k_scale", FLOAT},
                                            {"k_zero", BYTES, 'K'},
                                            {"v", BYTES, 'V'},
                                            {"v_scale", FLOAT},
                                            {"v_zero", BYTES, 'V'},
                                            {"q_shape", INTS},
                                            {"k_shape", INTS},
                                            {"v_shape", INTS},
                                            {"p_scale", FLOAT},
                                            {"p_zero", BYTES},
                                            {"y_scale", FLOAT},
                                            {"y_zero", BYTES, 'Y'},
                                            {"y_shape", INTS},
                                            {"mask", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"s_scale", FLOAT, 0, SUMI_PORT_OPTIONAL},
                                            {"s_zero", BYTES, 0, SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port ports_out[] = {{"y", BYTES, 'Y'}, {NULL}};

/* ---- shapes ------------------------------------------------------------------------------------------------------ */

static bool given(const struct sumi_tensor *const *in, int n_in, int i) { return i < n_in && in[i]; }

/* What Reshape makes of dims from[rank] with the list of input i. */
static sumi_status reshaped(const struct sumi_tensor *const *in, int i, int rank, const int64_t *from,
                            int64_t *dim, int *n, struct sumi_err *err) {
  const char *name = ports_in[i].name;
  if (!in[i]->data) SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "'%s' is not known", name);
  const int64_t *list = in[i]->data, count = sumi_tensor_count(in[i]);
  int64_t have, rest = 1;
  int hole = -1;
  if (in[i]->rank != 1 || count > SUMI_MAX_RANK) SUMI_FAIL(err, SUMI_E_SHAPE, "'%s' is no shape", name);
  SUMI_TRY(sumi_shape_count(from, rank, &have, err));
  *n = (int)count;
  for (int d = 0; d < *n; d++) {
    if (list[d] < -1 || (list[d] == 0 && d >= rank) || (list[d] == -1 && hole >= 0))
      SUMI_FAIL(err, SUMI_E_VALUE, "%s[%d] is %" PRId64, name, d, list[d]);
    if (list[d] == -1) hole = d;
    dim[d] = list[d] == -1 ? 1 : list[d] ? list[d] : from[d];
    if (!sumi_i64_mul(rest, dim[d], &rest)) SUMI_FAIL(err, SUMI_E_LIMIT, "'%s' is too large", name);
  }
  if (hole >= 0) dim[hole] = rest ? have / rest : 0;
  if (rest * (hole >= 0 ? dim[hole] : 1) != have)
    SUMI_FAIL(err, SUMI_E_SHAPE, "'%s' does not have %" PRId64 " elements", name, have);
  return SUMI_OK;
}

/* Input i as [batch, tokens, heads, features]. */
static sumi_status head_dims(const struct sumi_tensor *const *in, int i, int shape, int64_t dim[4],
                             struct sumi_err *err) {
  int n;
  int64_t all[SUMI_MAX_RANK];
  SUMI_TRY(reshaped(in, shape, in[i]->rank, in[i]->dim, all, &n, err));
  if (n != 4) SUMI_FAIL(err, SUMI_E_SHAPE, "'%s' has %d dimensions, not 4", ports_in[shape].name, n);
  for (int d = 0; d < 4; d++) dim[d] = all[d];
  return SUMI_OK;
}

static sumi_status read_mask(const struct sumi_tensor *mask, struct sumi_qattention *a,
                             struct sumi_err *err) {
  const int64_t score[] = {a->batch, a->heads, a->queries, a->keys};
  bool fits = mask->rank <= 4;
  for (int d = 0; fits && d < mask->rank; d++)
    fits = mask->dim[d] == 1 || mask->dim[d] == score[4 - mask->rank + d];
  if (!fits) SUMI_FAIL(err, SUMI_E_SHAPE, "the mask does not broadcast to the scores");
  sumi_broadcast_strides(mask, 4, score, a->mask_stride);
  return SUMI_OK;
}

sumi_status sumi_qattention_resolve(const struct sumi_node *node, const struct sumi_tensor *const *in,
                                    int n_in, struct sumi_qattention *a, struct sumi_err *err) {
  int64_t q[4], k[4], v[4];
  SUMI_TRY(head_dims(in, Q, SUMI_QATTENTION_Q_SHAPE, q, err));
  SUMI_TRY(head_dims(in, K, SUMI_QATTENTION_K_SHAPE, k, err));
  SUMI_TRY(head_dims(in, V, SUMI_QATTENTION_V_SHAPE, v, err));
  for (int d = 0; d < 4; d++)
    if (k[d] != v[d] || (d != 1 && q[d] != k[d]))
      SUMI_FAIL(err, SUMI_E_SHAPE, "q, k and v have %" PRId64 ", %" PRId64 " and %" PRId64 " in dimension %d",
                q[d], k[d], v[d], d);
  *a = (struct sumi_qattention){.batch = q[0],
                                .heads = q[2],
                                .queries = q[1],
                                .keys = k[1],
                                .features = q[3],
                                .factor = sumi_attr_float(node, "scale", 1),
                                .divide = sumi_attr_int(node, "divide", 0) != 0,
                                .masked = given(in, n_in, MASK),
                                .quantised = given(in, n_in, SUMI_QATTENTION_S_SCALE)};
  if (a->masked) SUMI_TRY(read_mask(in[MASK], a, err));
  return reshaped(in, SUMI_QATTENTION_Y_SHAPE, 4, q, a->dim, &a->rank, err);
}

/* What is known of the result before everything is. */
static sumi_status infer_roughly(struct sumi_infer *ctx) {
  const sumi_dtype dtype = ctx->in[SUMI_QATTENTION_Y_ZERO].dtype;
  sumi_dim dim[SUMI_MAX_RANK];
  const int64_t *list;
  int n;
  SUMI_TRY(sumi_infer_ints(ctx, SUMI_QATTENTION_Y_SHAPE, &list, &n));
  if (n > SUMI_MAX_RANK) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "'y_shape' has %d dimensions", n);
  if (n < 0) {
    sumi_infer_out_unknown(ctx, 0, dtype);
    return SUMI_OK;
  }
  for (int d = 0; d < n; d++) dim[d] = list[d] == 0 ? SUMI_DIM_UNKNOWN : list[d];
  sumi_infer_out(ctx, 0, dtype, n, dim);
  return SUMI_OK;
}

static bool is_number(const struct sumi_info *info) {
  bool number = info->rank >= 0;
  for (int d = 0; number && d < info->rank; d++) number = info->dim[d] >= 0;
  return number;
}

static sumi_status qattention_infer(struct sumi_infer *ctx) {
  static const int shape[] = {SUMI_QATTENTION_Q_SHAPE, SUMI_QATTENTION_K_SHAPE, SUMI_QATTENTION_V_SHAPE,
                              SUMI_QATTENTION_Y_SHAPE};
  struct sumi_tensor t[SUMI_QATTENTION_INPUTS];
  const struct sumi_tensor *in[SUMI_QATTENTION_INPUTS] = {NULL};
  struct sumi_qattention a;
  bool known = true;
  if (sumi_infer_has(ctx, SUMI_QATTENTION_S_SCALE) != sumi_infer_has(ctx, SUMI_QATTENTION_S_ZERO))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'s_scale' and 's_zero' must be given together");
  for (int i = 0; i < ctx->n_in; i++) {
    if (!sumi_infer_has(ctx, i)) continue;
    const bool scalar = i != Q && i != K && i != V && i != MASK && ctx->in[i].dtype != SUMI_INT64;
    if (scalar && (ctx->in[i].rank > 1 || (ctx->in[i].rank == 1 && ctx->in[i].dim[0] > 1)))
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'%s' is not one number", ports_in[i].name);
    known = known && is_number(&ctx->in[i]);
    t[i] = sumi_info_tensor(&ctx->in[i]);
    in[i] = &t[i];
  }
  for (size_t i = 0; i < SUMI_COUNT(shape); i++) known = known && ctx->in[shape[i]].data;
  if (!known) return infer_roughly(ctx);
  SUMI_TRY(sumi_qattention_resolve(ctx->node, in, ctx->n_in, &a, ctx->err));
  sumi_infer_out(ctx, 0, ctx->in[SUMI_QATTENTION_Y_ZERO].dtype, a.rank, a.dim);
  return SUMI_OK;
}

/* ---- the formula ------------------------------------------------------------------------------------------------- */

static float scale_of(const struct sumi_call *c, int i) { return *(const float *)c->in[i]->data; }
static int64_t zero_of(const struct sumi_call *c, int i) {
  return sumi_get_i64(c->in[i]->dtype, c->in[i]->data, 0);
}

/* round(x) held to bytes with the zero point of input i, less that zero point. */
static int64_t held(const struct sumi_call *c, int i, float x) {
  uint8_t byte;
  const sumi_dtype dtype = c->in[i]->dtype;
  const float zero = (float)zero_of(c, i);
  sumi_quant_store(dtype, &byte, 0, &x, &zero, 0, 1);
  return sumi_get_i64(dtype, &byte, 0) - zero_of(c, i);
}

/* Element f of token t of a head of input i, less the zero point. */
static int64_t element(const struct sumi_call *c, const struct sumi_qattention *a, int i, int64_t tokens,
                       int64_t b, int64_t t, int64_t h, int64_t f) {
  const struct sumi_tensor *x = c->in[i];
  return sumi_get_i64(x->dtype, x->data, ((b * tokens + t) * a->heads + h) * a->features + f) -
         zero_of(c, i + 2);
}

/* The weights of one query in p, less their zero point. */
static void weights(const struct sumi_call *c, const struct sumi_qattention *a, int64_t b, int64_t h,
                    int64_t i, float *p) {
  const float s_scale = a->quantised ? scale_of(c, SUMI_QATTENTION_S_SCALE) : 1,
              mul = scale_of(c, SUMI_QATTENTION_Q_SCALE) * scale_of(c, SUMI_QATTENTION_K_SCALE) / s_scale;
  struct sumi_row_sum sum = {{0}};
  float max = -INFINITY;
  for (int64_t t = 0; t < a->keys; t++) {
    int64_t dot = 0;
    for (int64_t f = 0; f < a->features; f++)
      dot += element(c, a, Q, a->queries, b, i, h, f) * element(c, a, K, a->keys, b, t, h, f);
    float s = (float)dot * mul;
    if (a->quantised) s = (float)held(c, SUMI_QATTENTION_S_ZERO, s) * s_scale;
    s = a->divide ? s / a->factor : s * a->factor;
    if (a->masked)
      s += ((const float *)c->in[MASK]->data)[b * a->mask_stride[0] + h * a->mask_stride[1] +
                                              i * a->mask_stride[2] + t * a->mask_stride[3]];
    p[t] = s;
    max = s > max ? s : max;
  }
  for (int64_t t = 0; t < a->keys; t++) {
    p[t] = max > -INFINITY ? sumi_exp_f32(p[t] - max) : 0;
    sumi_row_sum_add(&sum, t, p[t]);
  }
  const float total = sumi_row_sum_total(&sum),
              inverse = total > 0 ? 1 / (total * scale_of(c, SUMI_QATTENTION_P_SCALE)) : 0;
  for (int64_t t = 0; t < a->keys; t++) p[t] = (float)held(c, SUMI_QATTENTION_P_ZERO, p[t] * inverse);
}

static void context(const struct sumi_call *c, const struct sumi_qattention *a, int64_t b, int64_t h,
                    int64_t i, const float *p) {
  const float mul = scale_of(c, SUMI_QATTENTION_P_SCALE) * scale_of(c, SUMI_QATTENTION_V_SCALE) /
                    scale_of(c, SUMI_QATTENTION_Y_SCALE);
  const struct sumi_tensor *y = c->out[0];
  for (int64_t f = 0; f < a->features; f++) {
    int64_t sum = 0;
    for (int64_t t = 0; t < a->keys; t++) sum += (int64_t)p[t] * element(c, a, V, a->keys, b, t, h, f);
    const int64_t q = held(c, SUMI_QATTENTION_Y_ZERO, (float)sum * mul);
    sumi_set_i64(y->dtype, y->data, ((b * a->queries + i) * a->heads + h) * a->features + f,
                 q + zero_of(c, SUMI_QATTENTION_Y_ZERO));
  }
}

static sumi_status qattention_ref(const struct sumi_call *c) {
  struct sumi_qattention a;
  SUMI_TRY(sumi_qattention_resolve(c->node, c->in, c->n_in, &a, c->err));
  for (int64_t b = 0; b < a.batch; b++)
    for (int64_t h = 0; h < a.heads; h++)
      for (int64_t i = 0; i < a.queries; i++) {
        weights(c, &a, b, h, i, c->scratch);
        context(c, &a, b, h, i, c->scratch);
      }
  return SUMI_OK;
}

/* A float for each key; there are not more of them than elements of k. */
static sumi_status qattention_scratch(const struct sumi_call *c, size_t *bytes) {
  return sumi_size_mul((size_t)sumi_tensor_count(c->in[K]), sizeof(float), bytes)
             ? SUMI_OK
             : sumi_err_set(c->err, SUMI_E_LIMIT, "too many keys");
}

static void qattention_cost(const struct sumi_call *c, struct sumi_cost *cost) {
  struct sumi_qattention a;
  if (sumi_qattention_resolve(c->node, c->in, c->n_in, &a, NULL) != SUMI_OK) return;
  cost->macs = cost->dense_macs =
      2.0 * (double)(a.batch * a.heads * a.queries) * (double)(a.keys * a.features);
  cost->bytes = sumi_op_bytes(c);
}

/* ---- the descriptor ---------------------------------------------------------------------------------------------- */

static const struct sumi_attr_spec attrs[] = {{"scale", SUMI_ATTR_FLOAT}, {"divide", SUMI_ATTR_INT}, {NULL}};

#define QKV                                                                                                  \
  "float qs = {0.03}, uint8 qz = {120}, float ks = {0.04}, uint8 kz = {131}, float vs = {0.05}, uint8 vz = " \
  "{126}"
#define PY ", float ps = {0.004}, uint8 pz = {0}, float ys = {0.03}, uint8 yz = {125}"
#define CALL "q, qs, qz, k, ks, kz, v, vs, vz, sh, "
#define WHY "a weight may round to the next byte, and its sums with it"
static const struct sumi_case cases[] = {
    {"g (uint8[2,19,24] q, uint8[2,19,24] k, uint8[2,19,24] v, float[2,1,1,19] m) => (y) <" QKV PY
     ", int64[4] sh = {0, 0, 3, 8}, int64[3] j = {0, 0, 24}> { y = sumi.QAttention <scale = 2.5, divide = 1> "
     "(" CALL "sh, sh, ps, pz, ys, yz, j, m) }",
     .atol = 1, .low = 90, .high = 160, .why = WHY},
    {"g (uint8[1,70,16] q, uint8[1,33,16] k, uint8[1,33,16] v) => (y) <" QKV PY
     ", int64[4] sh = {1, -1, 2, 8}, int64[3] j = {1, -1, 16}> { y = sumi.QAttention <scale = 0.35> (" CALL
     "sh, sh, ps, pz, ys, yz, j) }",
     .atol = 1, .low = 90, .high = 160, .why = WHY},
    {"g (int8[1,20,12] q, int8[1,20,12] k, int8[1,20,12] v, float[3,20,20] m) => (y) <float qs = {0.03}, "
     "int8 qz "
     "= {2}, float ks = {0.04}, int8 kz = {-5}, float vs = {0.05}, int8 vz = {1}, float ps = {0.004}, int8 "
     "pz = "
     "{-128}, float ys = {0.03}, int8 yz = {-4}, float ss = {0.02}, uint8 sz = {130}, int64[4] sh = {1, 20, "
     "3, "
     "4}, int64[2] j = {20, 12}> { y = sumi.QAttention (" CALL "sh, sh, ps, pz, ys, yz, j, m, ss, sz) }",
     .atol = 1, .low = -30, .high = 30, .why = "quantised scores, a mask by head and query"},
    {"g (uint8[2,5,6] q, uint8[2,5,6] k, uint8[2,5,6] v) => (y) <" QKV PY
     ", int64[4] sh = {0, 0, 2, 3}, int64[4] j = {2, 5, 3, 2}> { y = sumi.QAttention (" CALL
     "sh, sh, ps, pz, ys, yz, j) }",
     .atol = 1, .low = 90, .high = 160, .why = "heads that are no whole words, another result's shape"},
    {"g (uint8[2,5,8] q, uint8[2,5,8] k, uint8[2,5,8] v) => (y) <" QKV PY
     ", int64[4] sh = {1, 10, 2, 4}, int64[3] j = {2, 5, 8}> { y = sumi.QAttention (" CALL
     "sh, sh, ps, pz, ys, yz, j) }",
     .atol = 1, .low = 90, .high = 160, .why = "two batches are one"},
    {NULL},
};

/* Every item has queries, keys and values of its own, and its mask or the same. */
static bool qattention_by_item(const struct sumi_call *c, const bool *carries) {
  if (!sumi_by_item_only(c, carries, 1 << Q | 1 << K | 1 << V | 1 << MASK)) return false;
  const bool masked = c->n_in > MASK && c->in[MASK];
  return carries[Q] && carries[K] && carries[V] &&
         (!masked ||
          (carries[MASK] ? c->in[MASK]->rank == 4 : c->in[MASK]->rank < 4 || c->in[MASK]->dim[0] == 1));
}

const struct sumi_op sumi_op_qattention = {
    .name = "sumi.QAttention",
    .formula = "quantise(quantise(softmax(q * k * scale + mask)) * v) by heads",
    .known_as = {{"sumi", "QAttention", {1}}},
    .attrs = attrs,
    .in = ports_in,
    .out = ports_out,
    .flags = SUMI_OP_INTERNAL,
    .infer = qattention_infer,
    .by_item = qattention_by_item,
    .ref = qattention_ref,
    .scratch = qattention_scratch,
    .lower = sumi_qattention_lower,
    .cells = sumi_qattention_cells,
    .lanes = sumi_qattention_lanes,
    .cost = qattention_cost,
    .cases = cases,
};

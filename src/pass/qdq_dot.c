/* qdq-dot: DequantizeLinear of x, weights and bias -> Conv, MatMul or Gemm [-> Add of a bias] and what follows become one
 * integer operator, sumi.QConv or sumi.QMatMul:
 *   [-> Relu or Clip] -> QuantizeLinear      the sum is quantised to y; the bias is int32 of scale x_scale * w_scale[m]
 *   -> a function -> QuantizeLinear          direct: the bias is stage c's constant
 *   anything else                            direct with a float32 result
 *
 * Weights are constants, per tensor or per output channel, int8 or uint8; they must fit int8 less their zero point. A bias
 * that is not of that scale is rounded to it where that, and holding it so that no sum leaves int32 (real arithmetic would
 * not wrap), moves no result by more than half a step. Everything else is left alone. */
#include <math.h>

#include "base/size.h"
#include "op/qdot.h"
#include "pass/function.h"

struct dot {
  struct sumi_node *node, *add, *q; /* add, q: NULL = none */
  struct sumi_function f;           /* what comes before q */
  bool direct;
  struct sumi_qdq x, y;
  struct sumi_value *x_value;
  bool conv, trans_b;
  /* weights */
  struct sumi_value *w_value, *w_scale;
  const struct sumi_tensor *w;
  const struct sumi_tensor *w_zero; /* NULL: 0 */
  bool per_channel;
  int64_t rows, columns;         /* output channels, weights of each */
  int64_t row_step, column_step; /* weight k of row m lies at m * row_step + k * column_step */
  struct sumi_value *bias;       /* NULL = none */
};

/* ---- weights -------------------------------------------------------------------------------------------------------- */

static float w_scale_at(const struct dot *d, int64_t m) {
  return ((const float *)d->w_scale->constant->data)[d->per_channel ? m : 0];
}

static int32_t w_at(const struct dot *d, int64_t m, int64_t k) {
  const uint8_t bits = ((const uint8_t *)d->w->data)[m * d->row_step + k * d->column_step];
  return d->w->dtype == SUMI_INT8 ? (int8_t)bits : bits;
}

static int32_t w_zero_at(const struct dot *d, int64_t m) {
  return d->w_zero ? (int32_t)sumi_get_i64(d->w_zero->dtype, d->w_zero->data, d->per_channel ? m : 0) : 0;
}

static bool scales_usable(const struct dot *d) {
  for (int64_t m = 0; m < (d->per_channel ? d->rows : 1); m++) {
    const float product = d->x.scale * w_scale_at(d, m);
    if (!sumi_qdq_is_scale(w_scale_at(d, m)) || !sumi_qdq_is_scale(product) ||
        (d->q && !sumi_qdq_is_scale(product / d->y.scale)))
      return false;
  }
  return true;
}

/* The constant behind v: DequantizeLinear of it, perhaps transposed before or behind. */
static bool read_weights(struct dot *d, const struct sumi_value *v) {
  struct sumi_node *dq = v->producer;
  if (!d->conv && sumi_qdq_is(dq, "Transpose") && dq->in[0] && v->info.rank == 2) {
    int n;
    const int64_t *perm = sumi_attr_ints(dq, "perm", &n);
    if (n && !(n == 2 && perm[0] == 1 && perm[1] == 0)) return false;
    d->trans_b = !d->trans_b;
    dq = dq->in[0]->producer;
  }
  if (!sumi_qdq_is(dq, "DequantizeLinear") || sumi_attr_int(dq, "block_size", 0)) return false;
  d->w_value = dq->in[0];
  d->w_scale = sumi_qdq_input(dq, 1);
  d->w = sumi_qdq_constant(d->w_value);
  d->w_zero = sumi_qdq_constant(sumi_qdq_input(dq, 2));
  const struct sumi_tensor *scale = sumi_qdq_constant(d->w_scale);
  if (!d->w || !scale || scale->dtype != SUMI_FLOAT32 || scale->rank > 1 ||
      (sumi_qdq_input(dq, 2) && !d->w_zero) || (d->w->dtype != SUMI_INT8 && d->w->dtype != SUMI_UINT8) ||
      (d->conv ? d->w->rank < 3 : d->w->rank != 2))
    return false;
  const int channel_axis = d->conv || d->trans_b ? 0 : 1;
  const int64_t all = sumi_tensor_count(d->w);
  d->rows = d->w->dim[channel_axis];
  d->columns = d->rows ? all / d->rows : 0;
  d->row_step = channel_axis ? 1 : d->columns;
  d->column_step = channel_axis ? d->rows : 1;
  d->per_channel = sumi_tensor_count(scale) != 1;
  if (d->per_channel) {
    int axis;
    if (sumi_axis(sumi_attr_int(dq, "axis", 1), d->w->rank, &axis, NULL) != SUMI_OK || axis != channel_axis)
      return false;
  }
  return all > 0 && (!d->w_zero || sumi_tensor_count(d->w_zero) == sumi_tensor_count(scale)) &&
         scales_usable(d);
}

/* No zero points, or all 0, and int8: the file's own bytes will do. */
static bool weights_as_they_are(const struct dot *d) {
  bool zero = d->w->dtype == SUMI_INT8;
  for (int64_t m = 0; zero && d->w_zero && m < sumi_tensor_count(d->w_zero); m++) zero = w_zero_at(d, m) == 0;
  return zero;
}

static bool weights_fit(const struct dot *d) {
  if (weights_as_they_are(d)) return true;
  for (int64_t m = 0; m < d->rows; m++)
    for (int64_t k = 0, zero = w_zero_at(d, m); k < d->columns; k++) {
      const int64_t w = w_at(d, m, k) - zero;
      if (w < -128 || w > 127) return false;
    }
  return true;
}

static sumi_status make_weights(struct sumi_graph *g, const struct dot *d, struct sumi_value **out,
                                struct sumi_err *err) {
  *out = d->w_value;
  if (weights_as_they_are(d)) return SUMI_OK;
  struct sumi_tensor t = *d->w;
  t.dtype = SUMI_INT8;
  void *data;
  *out = sumi_qdq_new_constant(g, &t, &data, err);
  if (!*out) SUMI_FAIL_MEMORY(err);
  for (int64_t m = 0; m < d->rows; m++)
    for (int64_t k = 0; k < d->columns; k++)
      ((int8_t *)data)[m * d->row_step + k * d->column_step] = (int8_t)(w_at(d, m, k) - w_zero_at(d, m));
  return SUMI_OK;
}

/* ---- bias ----------------------------------------------------------------------------------------------------------- */

/* Where the bias' figures come from: float32, or int32 with scales of its own. */
struct bias {
  const struct sumi_tensor *t, *scale; /* scale NULL: t is float32 */
};

/* One figure, or one a row: [rows], [1, rows] or (of a convolution's Add) [1, rows, 1, 1], [rows, 1, 1]. */
static bool is_row_shape(const struct dot *d, const struct sumi_tensor *t, bool added) {
  const int64_t n = sumi_tensor_count(t);
  if (n == 1) return t->rank <= (added && d->conv ? d->w->rank : 2);
  const int axis = added && d->conv ? t->rank - (d->w->rank - 1) : t->rank - 1;
  return n == d->rows && axis >= 0 && axis < t->rank && t->dim[axis] == d->rows;
}

static bool read_bias(const struct dot *d, struct bias *b) {
  *b = (struct bias){NULL};
  if (!d->bias) return true;
  b->t = sumi_qdq_constant(d->bias);
  const struct sumi_node *dq = d->bias->producer;
  if (!b->t && sumi_qdq_is(dq, "DequantizeLinear") && !sumi_attr_int(dq, "block_size", 0)) {
    const struct sumi_tensor *zero = sumi_qdq_constant(sumi_qdq_input(dq, 2));
    b->t = sumi_qdq_constant(dq->in[0]);
    b->scale = sumi_qdq_constant(sumi_qdq_input(dq, 1));
    if (!b->t || b->t->dtype != SUMI_INT32 || !b->scale || b->scale->dtype != SUMI_FLOAT32 ||
        (sumi_tensor_count(b->scale) != 1 && sumi_tensor_count(b->scale) != sumi_tensor_count(b->t)))
      return false;
    for (int64_t m = 0; zero && m < sumi_tensor_count(zero); m++)
      if (sumi_get_i64(zero->dtype, zero->data, m)) return false;
    if (sumi_qdq_input(dq, 2) && !zero) return false;
  }
  return b->t && (b->scale || b->t->dtype == SUMI_FLOAT32) && is_row_shape(d, b->t, d->add != NULL);
}

/* The nearest number to exact, row m's bias in units of the sum, so that no sum leaves int32 whatever x is. */
static double held_bias(const struct dot *d, int64_t m, double exact) {
  if (fabs(exact) + (double)d->columns * 128 * 255 < INT32_MAX) return exact;
  const double least = (d->x.dtype == SUMI_INT8 ? -128 : 0) - d->x.zero,
               most = least + 255; /* of x - x_zero */
  double up = 0, down = 0;         /* sums of the positive and negative weights */
  for (int64_t k = 0, zero = w_zero_at(d, m); k < d->columns; k++) {
    const double w = (double)(w_at(d, m, k) - zero);
    up += w > 0 ? w : 0;
    down += w < 0 ? w : 0;
  }
  const double low = INT32_MIN - (up * least + down * most), high = INT32_MAX - (up * most + down * least);
  return low > high ? NAN : exact < low ? low : exact > high ? high : exact;
}

/* The bias of row m in units of the sum; false where rounding it to them, or holding it within int32, would be seen. */
static bool bias_at(const struct dot *d, const struct bias *b, int64_t m, int32_t *out) {
  const float unit = d->x.scale * w_scale_at(d, m);
  double exact = 0;
  if (b->t) {
    const int64_t at = sumi_tensor_count(b->t) == 1 ? 0 : m;
    exact = sumi_get_f64(b->t->dtype, b->t->data, at);
    const float scale =
        b->scale ? ((const float *)b->scale->data)[sumi_tensor_count(b->scale) == 1 ? 0 : at] : 1;
    if (fabsf(scale - unit) > 1e-6f * unit)
      exact *= (double)scale / (double)unit; /* else it is the unit, rounded */
  }
  const double rounded = nearbyint(held_bias(d, m, exact));
  if (!(fabs(rounded - exact) * (double)(unit / d->y.scale) <= 0.5)) return false; /* NaN too */
  *out = (int32_t)rounded;
  return true;
}

static bool biases_usable(const struct dot *d, const struct bias *b) {
  for (int64_t m = 0; m < d->rows; m++) {
    int32_t value;
    if (d->direct ? held_bias(d, m, 0) != 0 : !bias_at(d, b, m, &value)) return false;
  }
  return true;
}

static sumi_status make_bias(struct sumi_graph *g, const struct dot *d, const struct bias *b,
                             struct sumi_value **out, struct sumi_err *err) {
  *out = NULL;
  if (!b->t) return SUMI_OK;
  bool same = b->scale && b->t->rank == 1 && b->t->dim[0] == d->rows;
  for (int64_t m = 0; same && m < d->rows; m++) {
    int32_t value;
    same = bias_at(d, b, m, &value) && value == ((const int32_t *)b->t->data)[m];
  }
  if (same) {
    *out = d->bias->producer->in[0];
    return SUMI_OK;
  }
  const struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = SUMI_INT32, .rank = 1, .dim = {d->rows}};
  void *data;
  *out = sumi_qdq_new_constant(g, &t, &data, err);
  if (!*out) SUMI_FAIL_MEMORY(err);
  for (int64_t m = 0; m < d->rows; m++) bias_at(d, b, m, &((int32_t *)data)[m]);
  return SUMI_OK;
}

/* Stage c's constant: the bias as float32, zeros where there is none but a constant is needed. */
static sumi_status make_constant(struct sumi_graph *g, const struct dot *d, const struct bias *b,
                                 struct sumi_value **out, struct sumi_err *err) {
  *out = NULL;
  if (!b->t && !d->q) return SUMI_OK;
  if (b->t && !b->scale && b->t->rank == 1 && b->t->dim[0] == d->rows) {
    *out = d->bias;
    return SUMI_OK;
  }
  const struct sumi_tensor t = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 1, .dim = {d->rows}};
  void *data;
  *out = sumi_qdq_new_constant(g, &t, &data, err);
  if (!*out) SUMI_FAIL_MEMORY(err);
  for (int64_t m = 0; b->t && m < d->rows; m++) {
    const int64_t at = sumi_tensor_count(b->t) == 1 ? 0 : m;
    const float scale =
        b->scale ? ((const float *)b->scale->data)[sumi_tensor_count(b->scale) == 1 ? 0 : at] : 1;
    ((float *)data)[m] = (float)sumi_get_f64(b->t->dtype, b->t->data, at) * scale;
  }
  return SUMI_OK;
}

/* ---- the pattern ---------------------------------------------------------------------------------------------------- */

static bool is_constant_dq(const struct sumi_node *node) {
  return sumi_qdq_is(node, "DequantizeLinear") && sumi_qdq_constant(node->in[0]);
}

static bool read_kind(struct dot *d) {
  const struct sumi_node *node = d->node;
  d->conv = sumi_qdq_is(node, "Conv");
  if (sumi_qdq_is(node, "Gemm")) {
    d->trans_b = sumi_attr_int(node, "transB", 0) != 0;
    return sumi_attr_float(node, "alpha", 1) == 1 && sumi_attr_float(node, "beta", 1) == 1 &&
           !sumi_attr_int(node, "transA", 0);
  }
  return d->conv || sumi_qdq_is(node, "MatMul");
}

/* What stands between the product and its Q, or the Add alone where there is no Q. */
static bool read_behind(struct dot *d) {
  const struct sumi_value *v = d->node->out[0];
  struct sumi_node *user = sumi_qdq_user(v);
  if (sumi_qdq_is(user, "Add") && user->version >= 7 && !d->bias && user->in[0] && user->in[1]) {
    struct sumi_value *other = user->in[user->in[0] == v];
    if (sumi_qdq_constant(other) || is_constant_dq(other->producer)) {
      d->add = user;
      d->bias = other;
      v = user->out[0];
    }
  }
  if (!sumi_function_match(v, &d->f) || d->f.bias)
    d->f = (struct sumi_function){.name = ""};
  else
    v = d->f.node[d->f.n_node - 1]->out[0];
  d->q = sumi_qdq_q(v, &d->y);
  if (!d->q) d->f = (struct sumi_function){.name = ""};
  d->direct = !d->q || !sumi_function_is_clamp(&d->f);
  return d->node->out[0]->info.dtype == SUMI_FLOAT32;
}

static bool match(struct sumi_node *node, struct dot *d, struct bias *b) {
  *d = (struct dot){.node = node};
  if (!read_kind(d) || node->n_in < 2 || !node->in[0] || !node->in[1] || !node->out[0]) return false;
  struct sumi_node *x = sumi_qdq_dq(node->in[0], &d->x);
  d->bias = sumi_qdq_input(node, 2);
  if (!x || !read_behind(d)) return false;
  d->x_value = x->in[0];
  return read_weights(d, node->in[1]) && read_bias(d, b) && weights_fit(d) && biases_usable(d, b);
}

static sumi_status convert(struct sumi_graph *g, struct dot *d, const struct bias *b, struct sumi_err *err) {
  struct sumi_node *node = d->node, *chain[SUMI_FUNCTION_NODES + 2];
  struct sumi_value *in[SUMI_QDOT_R] = {
      [SUMI_QDOT_X] = d->x_value, [SUMI_QDOT_X_SCALE] = d->x.scale_value, [SUMI_QDOT_W_SCALE] = d->w_scale};
  SUMI_TRY(make_weights(g, d, &in[SUMI_QDOT_W], err));
  SUMI_TRY(d->direct ? make_constant(g, d, b, &in[SUMI_QDOT_C], err)
                     : make_bias(g, d, b, &in[SUMI_QDOT_B], err));
  in[SUMI_QDOT_X_ZERO] = sumi_qdq_zero(g, &d->x);
  if (d->q) {
    const int scale = d->direct ? SUMI_QDOT_C_SCALE : SUMI_QDOT_Y_SCALE;
    in[scale] = d->y.scale_value;
    in[scale + 1] = sumi_qdq_zero(g, &d->y);
    if (!in[scale + 1]) SUMI_FAIL_MEMORY(err);
  }
  if (!in[SUMI_QDOT_X_ZERO]) SUMI_FAIL_MEMORY(err);
  int n_in = SUMI_QDOT_R, n_chain = 0;
  while (!in[n_in - 1]) n_in--;
  if (d->add) chain[n_chain++] = d->add;
  for (int i = 0; i < d->f.n_node; i++) chain[n_chain++] = d->f.node[i];
  if (d->q) chain[n_chain++] = d->q;
  SUMI_TRY(sumi_qdq_become(g, node, d->conv ? &sumi_op_qconv : &sumi_op_qmatmul, in, n_in, err));
  static const char *const gemm[] = {"alpha", "beta", "transA", "transB", "broadcast"};
  for (size_t i = 0; i < SUMI_COUNT(gemm); i++) sumi_node_remove_attr(node, gemm[i]);
  if (!d->conv && d->trans_b) SUMI_TRY(sumi_node_set_int(node, "transB", 1, err));
  SUMI_TRY(sumi_function_set(node, d->direct ? "c_" : "", &d->f, err));
  if (n_chain) sumi_qdq_take_over(g, node, chain, n_chain);
  return SUMI_OK;
}

static sumi_status run(struct sumi_graph *g, struct sumi_err *err) {
  for (size_t i = 0; i < g->n_node; i++) {
    struct dot d;
    struct bias b;
    if (!sumi_node_removed(g->node[i]) && match(g->node[i], &d, &b)) SUMI_TRY(convert(g, &d, &b, err));
  }
  return sumi_graph_tidy(g, err);
}

const struct sumi_pass sumi_pass_qdq_dot = {
    .name = "qdq-dot",
    .what = "makes a quantised Conv, MatMul or Gemm one integer operator",
    .stage = SUMI_PASS_MACHINE,
    .run = run,
};

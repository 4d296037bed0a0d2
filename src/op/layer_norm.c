/* LayerNormalization: y = (x - mean) / sqrt(var + epsilon) * scale + b, mean and (population) variance over all dimensions
 * from axis on; scale and b broadcast to x. Outputs 1 and 2 are mean and 1 / sqrt(var + epsilon).
 * RMSNormalization: y = x / sqrt(mean(x * x) + epsilon) * scale.
 * Double precision is calculated in double, everything else in float32 with the sums of row_sum.h, so that a QuantizeLinear
 * behind it gives the same bytes on the card. Operator sets before 17 have no LayerNormalization, but networks written by
 * ONNX Runtime's optimiser do: it is known from version 1 on. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/by_item.h"
#include "op/grad.h"
#include "op/op_util.h"
#include "op/row_sum.h"
#include "op/rows_cells.h"
#include "op/rows_lower.h"

/* stash_type is the element type of outputs 1 and 2, as a number of TensorProto.DataType. */
static sumi_status stash(const struct sumi_node *node, sumi_dtype *d, struct sumi_err *err) {
  const int64_t number = sumi_attr_int(node, "stash_type", 1);
  *d = sumi_dtype_from_onnx(number);
  if (!sumi_dtype_in(*d, SUMI_FLOATS))
    SUMI_FAIL(err, SUMI_E_VALUE, "stash_type %" PRId64 " is no float", number);
  return SUMI_OK;
}

/* Checks that input i broadcasts to x without making it larger. */
static sumi_status check_broadcast(const struct sumi_infer *ctx, int i) {
  if (!sumi_infer_has(ctx, i)) return SUMI_OK;
  const struct sumi_info *x = &ctx->in[0], *p = &ctx->in[i];
  if (x->rank < 0 || p->rank < 0) return SUMI_OK;
  if (p->rank > x->rank)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d, the input %d", i, p->rank, x->rank);
  for (int k = 0; k < p->rank; k++) {
    const sumi_dim want = x->dim[x->rank - p->rank + k];
    if (p->dim[k] >= 0 && p->dim[k] != 1 && want >= 0 && want != p->dim[k])
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE,
                "dimension %d of input %d is %" PRId64 ", which does not broadcast to %" PRId64, k, i,
                p->dim[k], want);
  }
  return SUMI_OK;
}

static sumi_status norm_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  sumi_dtype stashed;
  SUMI_TRY(stash(ctx->node, &stashed, ctx->err));
  SUMI_TRY(check_broadcast(ctx, 1));
  SUMI_TRY(check_broadcast(ctx, 2));
  sumi_infer_out_like(ctx, 0, x, ctx->in[1].dtype);
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 1, stashed);
    sumi_infer_out_unknown(ctx, 2, stashed);
    return SUMI_OK;
  }
  int axis;
  SUMI_TRY(sumi_op_axis(ctx->node, -1, x->rank, &axis, ctx->err));
  sumi_dim dim[SUMI_MAX_RANK];
  for (int i = 0; i < x->rank; i++) dim[i] = i < axis ? x->dim[i] : 1;
  sumi_infer_out(ctx, 1, stashed, x->rank, dim);
  sumi_infer_out(ctx, 2, stashed, x->rank, dim);
  return SUMI_OK;
}

struct row {
  const struct sumi_tensor *x;
  int64_t first, n;
};

static float value(const void *user, int64_t i) {
  const struct row *row = user;
  return (float)sumi_get_f64(row->x->dtype, row->x->data, row->first + i);
}

/* Mean (0 unless centred) and 1 / sqrt(mean of squares around it + epsilon), in double or in float32. */
static void statistics(const struct row *row, bool wide, bool centred, float epsilon, double *mean,
                       double *inverse) {
  if (!wide) {
    const struct sumi_row_moments m = sumi_row_moments(value, row, row->n, centred, epsilon);
    *mean = (double)m.mean;
    *inverse = (double)m.inverse;
    return;
  }
  const double *x = (const double *)row->x->data + row->first, count = row->n ? (double)row->n : 1;
  double sum = 0, square = 0;
  for (int64_t i = 0; i < row->n && centred; i++) sum += x[i];
  *mean = sum / count;
  for (int64_t i = 0; i < row->n; i++) square += (x[i] - *mean) * (x[i] - *mean);
  *inverse = 1 / sqrt(square / count + (double)epsilon);
}

/* (x - mean) * inverse * scale + b. */
static double scaled(bool wide, double x, double mean, double inverse, double scale, const double *b) {
  if (wide) return (x - mean) * inverse * scale + (b ? *b : 0);
  const float t = ((float)x - (float)mean) * (float)inverse * (float)scale;
  return (double)(b ? t + (float)*b : t);
}

static sumi_status norm_run(const struct sumi_call *c, bool centred) {
  const struct sumi_tensor *x = c->in[0], *scale = c->in[1], *b = sumi_call_has(c, 2) ? c->in[2] : NULL,
                           *y = c->out[0];
  const bool wide = x->dtype == SUMI_FLOAT64;
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, x->rank, &axis, c->err));
  struct row row = {.x = x, .n = sumi_dims_count(x->dim, axis, x->rank)};
  const int64_t rows = sumi_dims_count(x->dim, 0, SUMI_MIN(axis, x->rank));
  const float epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f);
  if (!row.n && !sumi_call_wants(c, 1) && !sumi_call_wants(c, 2)) return SUMI_OK;
  int64_t stride_scale[SUMI_MAX_RANK], stride_b[SUMI_MAX_RANK];
  sumi_broadcast_strides(scale, x->rank, x->dim, stride_scale);
  sumi_broadcast_strides(b ? b : scale, x->rank, x->dim, stride_b);
  struct sumi_walk w = sumi_walk_start(x->rank, x->dim, stride_scale, stride_b, NULL, NULL);
  for (int64_t k = 0; k < rows; k++, row.first += row.n) {
    double mean, inverse, add;
    statistics(&row, wide, centred, epsilon, &mean, &inverse);
    if (sumi_call_wants(c, 1)) sumi_set_f64(c->out[1]->dtype, c->out[1]->data, k, mean);
    if (sumi_call_wants(c, 2)) sumi_set_f64(c->out[2]->dtype, c->out[2]->data, k, inverse);
    for (int64_t i = row.first; i < row.first + row.n && y; i++, sumi_walk_next(&w)) {
      if (b) add = sumi_get_f64(b->dtype, b->data, w.offset[1]);
      sumi_set_f64(y->dtype, y->data, i,
                   scaled(wide, sumi_get_f64(x->dtype, x->data, i), mean, inverse,
                          sumi_get_f64(scale->dtype, scale->data, w.offset[0]), b ? &add : NULL));
    }
  }
  return SUMI_OK;
}

static sumi_status layer_ref(const struct sumi_call *c) { return norm_run(c, true); }
static sumi_status rms_ref(const struct sumi_call *c) { return norm_run(c, false); }

static sumi_status norm_cells(struct sumi_cells *c, bool centred) {
  const int rank = c->in[0]->rank, y = sumi_cells_out(c, 0);
  struct sumi_norm n = {.centred = centred, .factor = SUMI_NORM_FACTOR};
  int axis;
  SUMI_TRY(sumi_op_axis(c->node, -1, rank, &axis, c->err));
  if (!c->out[0]) return sumi_cells_refuse(c, "only statistics are wanted");
  sumi_cells_same_form(c, y, 0);
  n.epsilon = sumi_attr_float(c->node, "epsilon", 1e-5f);
  n.inner = ((1u << rank) - 1) & ~((1u << axis) - 1);
  n.x = sumi_see(c, 0);
  n.y = sumi_see(c, y);
  n.scale = sumi_see_broadcast(c, 1, rank, rank - c->in[1]->rank);
  n.bias = sumi_cells_has(c, 2) ? sumi_see_broadcast(c, 2, rank, rank - c->in[2]->rank) : sumi_see(c, -1);
  n.mean = sumi_see(c, c->n_out > 1 && c->out[1] ? y + 1 : -1);
  n.inverse = sumi_see(c, c->n_out > 2 && c->out[2] ? y + 2 : -1);
  return sumi_norm_cells(c, &n);
}

static sumi_status layer_cells(struct sumi_cells *c) { return norm_cells(c, true); }
static sumi_status rms_cells(struct sumi_cells *c) { return norm_cells(c, false); }

/* "epsion" stands, misspelt, in files older than the standard's operator; every engine passes over it. */
static const struct sumi_attr_spec attrs[] = {{"axis", SUMI_ATTR_INT},
                                              {"epsilon", SUMI_ATTR_FLOAT},
                                              {"stash_type", SUMI_ATTR_INT},
                                              {"epsion", SUMI_ATTR_FLOAT, .until = 17},
                                              {NULL}};
static const struct sumi_port layer_in[] = {{"X", SUMI_FLOATS, 'T'},
                                            {"Scale", SUMI_FLOATS, 'T'},
                                            {"B", SUMI_FLOATS, 'T', SUMI_PORT_OPTIONAL},
                                            {NULL}};
static const struct sumi_port layer_out[] = {{"Y", SUMI_FLOATS, 'T'},
                                             {"Mean", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                             {"InvStdDev", SUMI_FLOATS, 'U', SUMI_PORT_OPTIONAL},
                                             {NULL}};
static const struct sumi_port rms_in[] = {{"X", SUMI_FLOATS, 'T'}, {"scale", SUMI_FLOATS, 'V'}, {NULL}};
static const struct sumi_port rms_out[] = {{"Y", SUMI_FLOATS, 'V'}, {NULL}};

static const struct sumi_case layer_cases[] = {
    {"g (float[3,7,48] x, float[48] s, float[48] b) => (y) { y = LayerNormalization (x, s, b) }",
     .rtol = 1e-5, .why = "statistics of 48 elements in float32"},
    {"g (float[3,4,5] x, float[4,5] s) => (y, m, d) { y, m, d = LayerNormalization <axis = 1, epsilon = 0.1> "
     "(x, s) }",
     .rtol = 1e-5, .why = "two dimensions, and the statistics"},
    {"g (float[3,4,5] x, float[4,1] s, float b) => (y) { y = LayerNormalization <axis = -2> (x, s, b) }",
     .rtol = 1e-5, .why = "scale and b broadcast"},
    {"<opset_import: [\"\": 11]> g (float[2,8] x, float[8] s, float[8] b) => (y) { y = LayerNormalization "
     "(x, s, b) }",
     .rtol = 1e-5, .why = "as ONNX Runtime writes it"},
    {"g (float16[2,8] x, float16[8] s, float16[8] b) => (y) { y = LayerNormalization (x, s, b) }",
     .rtol = 3e-3, .why = "the standard rounds to 11 bits twice"},
    {NULL},
};
static const struct sumi_case rms_cases[] = {
    {"g (float[3,7,48] x, float[48] s) => (y) { y = RMSNormalization (x, s) }", .rtol = 1e-5},
    {"g (float[3,4,5] x, float[4,5] s) => (y) { y = RMSNormalization <axis = 1, epsilon = 0.1> (x, s) }",
     .rtol = 1e-5},
    {NULL},
};

static bool norm_by_item(const struct sumi_call *c, const bool *carries) {
  int axis;
  return sumi_by_item_first(c, carries) &&
         sumi_op_axis(c->node, -1, c->in[0]->rank, &axis, NULL) == SUMI_OK && axis > 0;
}

const struct sumi_op sumi_op_layer_normalization = {
    .name = "LayerNormalization",
    .formula = "(x - mean) / sqrt(var + epsilon) * scale + b over the dimensions from axis on",
    .known_as = {{"", "LayerNormalization", {1, 17}}},
    .attrs = attrs,
    .in = layer_in,
    .out = layer_out,
    .infer = norm_infer,
    .by_item = norm_by_item,
    .ref = layer_ref,
    .cells = layer_cells,
    .lower = sumi_layer_norm_lower,
    .grad = sumi_layer_norm_grad,
    .cases = layer_cases,
};

const struct sumi_op sumi_op_rms_normalization = {
    .name = "RMSNormalization",
    .formula = "x / sqrt(mean(x * x) + epsilon) * scale over the dimensions from axis on",
    .known_as = {{"", "RMSNormalization", {23}}},
    .attrs = attrs,
    .in = rms_in,
    .out = rms_out,
    .infer = norm_infer,
    .by_item = norm_by_item,
    .ref = rms_ref,
    .cells = rms_cells,
    .lower = sumi_layer_norm_lower,
    .cases = rms_cases,
};

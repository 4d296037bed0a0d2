/* ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer, Normalizer, Scaler (ai.onnx.ml): features picked, put
 * together, replaced, scaled. F is the last dimension.
 *   ArrayFeatureExtractor  z[..., k] = x[..., y[k]]; x [F] gives [1, n]
 *   Binarizer              y = x > threshold
 *   FeatureVectorizer      the inputs' columns side by side, each cut or filled with zeros to inputdimensions[i]
 *   Imputer                y = x == replaced_value ? imputed_values[feature] : x; NaN equals NaN
 *   Normalizer             y = x / max(x), x / sum |x|, or x / sqrt(sum x^2), of a row; x where that is zero
 *   Scaler                 y = (x - offset[feature]) * scale[feature]
 * Lists of one item hold for every feature. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/ml_util.h"
#include "op/move.h"

static int64_t last_dim(const struct sumi_tensor *x) { return x->rank ? x->dim[x->rank - 1] : 1; }

/* SUMI_E_VALUE unless a list has one item, or as many as input 0 has features. */
static sumi_status check_list(const struct sumi_infer *ctx, const char *name, int64_t n) {
  const struct sumi_info *x = &ctx->in[0];
  if (n == 1 || x->rank < 0) return SUMI_OK;
  const sumi_dim features = x->rank ? x->dim[x->rank - 1] : 1;
  if (features < 0 || features == n) return SUMI_OK;
  SUMI_FAIL(ctx->err, SUMI_E_VALUE, "%s has %" PRId64 " items, for %" PRId64 " features", name, n, features);
}

/* ---- ArrayFeatureExtractor ------------------------------------------------------------------------------- */

static sumi_status extract_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0], *y = &ctx->in[1];
  sumi_dim dim[SUMI_MAX_RANK], n = y->rank < 0 ? SUMI_DIM_UNKNOWN : 1;
  if (x->rank == 0) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "'X' has no features");
  for (int i = 0; i < y->rank; i++) {
    if (y->dim[i] == 1 || n == SUMI_DIM_UNKNOWN) continue;
    const bool numbers = n >= 0 && y->dim[i] >= 0;
    if (numbers && !sumi_i64_mul(n, y->dim[i], &n)) SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "too many indices");
    if (!numbers) n = n == 1 ? y->dim[i] : SUMI_DIM_UNKNOWN;
  }
  const int rank = x->rank == 1 ? 2 : x->rank;
  for (int i = 0; i < rank - 1; i++) dim[i] = x->rank == 1 ? 1 : x->dim[i];
  if (rank > 0) dim[rank - 1] = n;
  sumi_infer_out(ctx, 0, x->dtype, rank, dim);
  return SUMI_OK;
}

static sumi_status extract_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0], *y = c->in[1];
  const int64_t features = last_dim(x), n = sumi_tensor_count(y),
                rows = sumi_dims_count(x->dim, 0, x->rank - 1);
  const int64_t *index = y->data;
  for (int64_t k = 0; k < n; k++)
    if (index[k] < 0 || index[k] >= features)
      SUMI_FAIL(c->err, SUMI_E_VALUE, "index %" PRId64 " is outside %" PRId64 " features", index[k],
                features);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t k = 0; k < n; k++)
      sumi_copy(x->dtype, c->out[0]->data, r * n + k, x->data, r * features + index[k], 1);
  return SUMI_OK;
}

/* ---- Binarizer ------------------------------------------------------------------------------------------- */

static sumi_status same_infer(struct sumi_infer *ctx) {
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_UNDEFINED);
  return SUMI_OK;
}

static sumi_status binarizer_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const double threshold = (double)sumi_attr_float(c->node, "threshold", 0);
  const int64_t n = sumi_tensor_count(x);
  for (int64_t i = 0; i < n; i++)
    sumi_set_i64(x->dtype, c->out[0]->data, i, sumi_get_f64(x->dtype, x->data, i) > threshold);
  return SUMI_OK;
}

/* ---- FeatureVectorizer ----------------------------------------------------------------------------------- */

/* The rows of input i: [n, columns], or [columns] as one row. */
static sumi_status vector_dims(struct sumi_infer *ctx, int i, sumi_dim *n, sumi_dim *columns) {
  const struct sumi_info *x = &ctx->in[i];
  *n = *columns = SUMI_DIM_UNKNOWN;
  if (x->absent) SUMI_FAIL(ctx->err, SUMI_E_ARG, "input %d is missing", i);
  if (x->rank == 0 || x->rank > 2) SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has rank %d", i, x->rank);
  if (x->rank < 0) return SUMI_OK;
  *n = x->rank == 1 ? 1 : x->dim[0];
  *columns = x->dim[x->rank - 1];
  return SUMI_OK;
}

static sumi_status vectorizer_infer(struct sumi_infer *ctx) {
  int n_widths;
  const int64_t *widths = sumi_attr_ints(ctx->node, "inputdimensions", &n_widths);
  sumi_dim rows = SUMI_DIM_UNKNOWN, total = 0;
  if (n_widths && n_widths != ctx->n_in)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "inputdimensions has %d items for %d inputs", n_widths, ctx->n_in);
  for (int i = 0; i < ctx->n_in; i++) {
    sumi_dim n, columns;
    SUMI_TRY(vector_dims(ctx, i, &n, &columns));
    if (n_widths && widths[i] < 0)
      SUMI_FAIL(ctx->err, SUMI_E_VALUE, "inputdimensions has %" PRId64, widths[i]);
    if (rows >= 0 && n >= 0 && rows != n)
      SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "input %d has %" PRId64 " rows, not %" PRId64, i, n, rows);
    if (rows < 0 && n != SUMI_DIM_UNKNOWN) rows = n;
    const sumi_dim add = n_widths ? widths[i] : columns;
    total = total < 0 || add < 0 ? SUMI_DIM_UNKNOWN : total;
    if (total >= 0 && !sumi_i64_add(total, add, &total))
      SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "too many features");
  }
  sumi_infer_out(ctx, 0, SUMI_FLOAT32, 2, (const sumi_dim[]){rows, total});
  return SUMI_OK;
}

static sumi_status vectorizer_ref(const struct sumi_call *c) {
  int n_widths;
  const int64_t *widths = sumi_attr_ints(c->node, "inputdimensions", &n_widths);
  const int64_t rows = c->out[0]->dim[0], total = c->out[0]->dim[1];
  float *y = c->out[0]->data;
  for (int i = 0; i < c->n_in; i++) {
    const struct sumi_tensor *x = c->in[i];
    const int64_t columns = last_dim(x), width = n_widths ? widths[i] : columns;
    for (int64_t r = 0; r < rows; r++)
      for (int64_t k = 0; k < width; k++)
        y[r * total + k] = k < columns ? (float)sumi_get_f64(x->dtype, x->data, r * columns + k) : 0;
    y += width;
  }
  return SUMI_OK;
}

/* ---- Imputer --------------------------------------------------------------------------------------------- */

static sumi_status imputed_values(const struct sumi_node *node, sumi_dtype x, struct sumi_tensor *values,
                                  struct sumi_err *err) {
  const bool floats = sumi_dtype_is_float(x);
  const char *name = floats ? "imputed_value_floats" : "imputed_value_int64s";
  *values = sumi_ml_list(node, name);
  if (!values->dim[0])
    SUMI_FAIL(err, SUMI_E_ARG, "the input is %s, but there are no %s", sumi_dtype_label(x), name);
  return SUMI_OK;
}

static sumi_status imputer_infer(struct sumi_infer *ctx) {
  struct sumi_tensor values = {0};
  if (ctx->in[0].dtype != SUMI_UNDEFINED) {
    SUMI_TRY(imputed_values(ctx->node, ctx->in[0].dtype, &values, ctx->err));
    SUMI_TRY(check_list(ctx, "the list of imputed values", values.dim[0]));
  }
  return same_infer(ctx);
}

static sumi_status imputer_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  struct sumi_tensor values = {0};
  SUMI_TRY(imputed_values(c->node, x->dtype, &values, c->err));
  const bool floats = sumi_dtype_is_float(x->dtype), each = values.dim[0] > 1;
  const double old = (double)sumi_attr_float(c->node, "replaced_value_float", 0);
  const int64_t old_int = sumi_attr_int(c->node, "replaced_value_int64", 0);
  const int64_t n = sumi_tensor_count(x), features = last_dim(x);
  void *y = c->out[0]->data;
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = each ? i % features : 0;
    const double v = floats ? sumi_get_f64(x->dtype, x->data, i) : 0;
    const bool hit =
        floats ? v == old || (isnan(v) && isnan(old)) : sumi_get_i64(x->dtype, x->data, i) == old_int;
    if (!hit)
      sumi_copy(x->dtype, y, i, x->data, i, 1);
    else if (floats)
      sumi_set_f64(x->dtype, y, i, sumi_get_f64(values.dtype, values.data, k));
    else
      sumi_set_i64(x->dtype, y, i, sumi_get_i64(values.dtype, values.data, k));
  }
  return SUMI_OK;
}

/* ---- Normalizer ------------------------------------------------------------------------------------------ */

enum norm { NORM_MAX, NORM_L1, NORM_L2, N_NORMS };

static sumi_status norm_of(const struct sumi_node *node, enum norm *norm, struct sumi_err *err) {
  static const char *const words[N_NORMS] = {"MAX", "L1", "L2"};
  const char *word = sumi_attr_string(node, "norm", "MAX");
  for (int k = 0; k < N_NORMS; k++)
    if (sumi_streq(word, words[k])) {
      *norm = (enum norm)k;
      return SUMI_OK;
    }
  SUMI_FAIL(err, SUMI_E_VALUE, "norm is '%.40s'", word);
}

static sumi_status normalizer_infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  enum norm norm = NORM_MAX;
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(norm_of(ctx->node, &norm, ctx->err));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_FLOAT32);
  return SUMI_OK;
}

static sumi_status normalizer_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_ml_rows rows = sumi_ml_rows_of(x);
  enum norm norm = NORM_MAX;
  SUMI_TRY(norm_of(c->node, &norm, c->err));
  float *y = c->out[0]->data;
  for (int64_t r = 0; r < rows.n; r++, y += rows.features) {
    double size = norm == NORM_MAX ? -INFINITY : 0;
    for (int64_t k = 0; k < rows.features; k++) {
      const double v = sumi_ml_feature(x, rows.features, r, k);
      size = norm == NORM_MAX ? fmax(size, v) : size + (norm == NORM_L1 ? fabs(v) : v * v);
    }
    if (norm == NORM_L2) size = sqrt(size);
    for (int64_t k = 0; k < rows.features; k++) {
      const double v = sumi_ml_feature(x, rows.features, r, k);
      y[k] = (float)(size != 0 ? v / size : v);
    }
  }
  return SUMI_OK;
}

/* ---- Scaler ---------------------------------------------------------------------------------------------- */

static sumi_status scaler_infer(struct sumi_infer *ctx) {
  int n_offset, n_scale;
  sumi_attr_floats(ctx->node, "offset", &n_offset);
  sumi_attr_floats(ctx->node, "scale", &n_scale);
  if (n_offset) SUMI_TRY(check_list(ctx, "offset", n_offset));
  if (n_scale) SUMI_TRY(check_list(ctx, "scale", n_scale));
  sumi_infer_out_like(ctx, 0, &ctx->in[0], SUMI_FLOAT32);
  return SUMI_OK;
}

static sumi_status scaler_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  int n_offset, n_scale;
  const float *offset = sumi_attr_floats(c->node, "offset", &n_offset),
              *scale = sumi_attr_floats(c->node, "scale", &n_scale);
  const int64_t n = sumi_tensor_count(x), features = last_dim(x);
  float *y = c->out[0]->data;
  for (int64_t i = 0; i < n; i++) {
    const int64_t k = i % features;
    const float o = n_offset ? offset[n_offset > 1 ? k : 0] : 0, s = n_scale ? scale[n_scale > 1 ? k : 0] : 1;
    if (x->dtype == SUMI_FLOAT64)
      y[i] = (float)((((const double *)x->data)[i] - (double)o) * (double)s);
    else
      y[i] = ((float)sumi_get_f64(x->dtype, x->data, i) - o) * s;
  }
  return SUMI_OK;
}

/* ---- descriptors ----------------------------------------------------------------------------------------- */

static const struct sumi_attr_spec binarizer_attrs[] = {{"threshold", SUMI_ATTR_FLOAT}, {NULL}};
static const struct sumi_attr_spec vectorizer_attrs[] = {{"inputdimensions", SUMI_ATTR_INTS}, {NULL}};
static const struct sumi_attr_spec imputer_attrs[] = {
    {"imputed_value_floats", SUMI_ATTR_FLOATS},
    {"imputed_value_int64s", SUMI_ATTR_INTS},
    {"replaced_value_float", SUMI_ATTR_FLOAT},
    {"replaced_value_int64", SUMI_ATTR_INT},
    {NULL},
};
static const struct sumi_attr_spec normalizer_attrs[] = {{"norm", SUMI_ATTR_STRING}, {NULL}};
static const struct sumi_attr_spec scaler_attrs[] = {
    {"offset", SUMI_ATTR_FLOATS}, {"scale", SUMI_ATTR_FLOATS}, {NULL}};
static const struct sumi_port extract_in[] = {
    {"X", SUMI_ML_T | SUMI_BIT(SUMI_STRING), 'T'}, {"Y", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port extract_out[] = {{"Z", SUMI_ML_T | SUMI_BIT(SUMI_STRING), 'T'}, {NULL}};
static const struct sumi_port same_in[] = {{"X", SUMI_ML_T, 'T'}, {NULL}};
static const struct sumi_port same_out[] = {{"Y", SUMI_ML_T, 'T'}, {NULL}};
static const struct sumi_port many_in[] = {{"X", SUMI_ML_T, 'T', SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port float_out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};

#define ML "<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g "
static const struct sumi_case extract_cases[] = {
    {ML "(float[4,7] x) => (z) <int64[3] i = {6, 0, 6}> { z = ai.onnx.ml.ArrayFeatureExtractor (x, i) }"},
    {ML "(int64[7] x) => (z) <int64[1,2] i = {1, 0}> { z = ai.onnx.ml.ArrayFeatureExtractor (x, i) }"},
    {NULL},
};
static const struct sumi_case binarizer_cases[] = {
    {ML "(float[3,9] x) => (y) { y = ai.onnx.ml.Binarizer <threshold = 0.5> (x) }"},
    {ML "(int32[19] x) => (y) { y = ai.onnx.ml.Binarizer <threshold = 3.0> (x) }"},
    {NULL},
};
static const struct sumi_case vectorizer_cases[] = {
    {ML "(double[3,2] a, double[3,4] b) => (y) { y = ai.onnx.ml.FeatureVectorizer <inputdimensions = [3, 2]> "
        "(a, b) }",
     .why = "filled and cut"},
    {ML "(int64[5] a, int64[1,2] b) => (y) { y = ai.onnx.ml.FeatureVectorizer (a, b) }"},
    {NULL},
};
static const struct sumi_case imputer_cases[] = {
    {ML "(float[4,3] x) => (y) { l = Log (x) y = ai.onnx.ml.Imputer <imputed_value_floats = [1.0, 2.0, 3.0], "
        "replaced_value_float = nan> (l) }",
     .rtol = 1e-6, .why = "logarithms of negative numbers are missing values"},
    {ML
     "(int64[29] x) => (y) { y = ai.onnx.ml.Imputer <imputed_value_int64s = [-5], replaced_value_int64 = 3> "
     "(x) }"},
    {NULL},
};
static const struct sumi_case normalizer_cases[] = {
    {ML "(float[3,7] x) => (y) { y = ai.onnx.ml.Normalizer (x) }"},
    {ML "(int32[3,7] x) => (y) { y = ai.onnx.ml.Normalizer <norm = \"L1\"> (x) }"},
    {ML "(double[7] x) => (y) { y = ai.onnx.ml.Normalizer <norm = \"L2\"> (x) }"},
    {NULL},
};
static const struct sumi_case scaler_cases[] = {
    {ML "(float[4,3] x) => (y) { y = ai.onnx.ml.Scaler <offset = [1.0, 2.0, 3.0], scale = [0.5]> (x) }"},
    {ML "(int64[2,2,3] x) => (y) { y = ai.onnx.ml.Scaler <offset = [1.0], scale = [2.0, 0.1, -1.0]> (x) }"},
    {NULL},
};

#define FEATURE_OP(symbol, title, text, attributes, ins, outs, infer_fn, ref_fn, tests) \
  const struct sumi_op sumi_op_ml_##symbol = {                                          \
      .name = "ai.onnx.ml." title,                                                      \
      .formula = text,                                                                  \
      .known_as = {{"ai.onnx.ml", title, {1}}},                                         \
      .attrs = attributes,                                                              \
      .in = ins,                                                                        \
      .out = outs,                                                                      \
      .infer = infer_fn,                                                                \
      .ref = ref_fn,                                                                    \
      .cases = tests,                                                                   \
  }

FEATURE_OP(array_feature_extractor, "ArrayFeatureExtractor", "x[..., y[k]]", NULL, extract_in, extract_out,
           extract_infer, extract_ref, extract_cases);
FEATURE_OP(binarizer, "Binarizer", "x > threshold", binarizer_attrs, same_in, same_out, same_infer,
           binarizer_ref, binarizer_cases);
FEATURE_OP(feature_vectorizer, "FeatureVectorizer", "the inputs' columns side by side", vectorizer_attrs,
           many_in, float_out, vectorizer_infer, vectorizer_ref, vectorizer_cases);
FEATURE_OP(imputer, "Imputer", "x == replaced_value ? imputed_value : x", imputer_attrs, same_in, same_out,
           imputer_infer, imputer_ref, imputer_cases);
FEATURE_OP(normalizer, "Normalizer", "x / (max(x), sum |x| or sqrt(sum x^2)) of a row", normalizer_attrs,
           same_in, float_out, normalizer_infer, normalizer_ref, normalizer_cases);
FEATURE_OP(scaler, "Scaler", "(x - offset) * scale", scaler_attrs, same_in, float_out, scaler_infer,
           scaler_ref, scaler_cases);

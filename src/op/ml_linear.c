/* LinearRegressor, LinearClassifier (ai.onnx.ml): s[n, t] = sum_f x[n, f] * coefficients[t, f] + intercepts[t], then
 * post_transform. The classifier's label is that of the largest score; where one score stands for two labels, the second
 * of them if it is above 0, and the scores are those of sumi_ml_two_scores for a probability, as in ONNX Runtime.
 * Sums are taken in double and rounded once. */
#include <inttypes.h>

#include "base/size.h"
#include "op/ml_util.h"

struct linear {
  const float *coefficients, *intercepts; /* [targets, features], [targets]; the latter may be NULL */
  int64_t targets, features;              /* features -1: not known */
  struct sumi_ml_labels labels;
  enum sumi_ml_post post;
};

/* features: those of X, negative where not known. */
static sumi_status regressor_of(const struct sumi_node *node, struct linear *l, struct sumi_err *err) {
  int n, n_intercepts;
  l->coefficients = sumi_attr_floats(node, "coefficients", &n);
  l->intercepts = sumi_attr_floats(node, "intercepts", &n_intercepts);
  l->targets = sumi_attr_int(node, "targets", 1);
  SUMI_TRY(sumi_ml_post_of(node, &l->post, err));
  if (n < 1 || l->targets < 1 || n % l->targets)
    SUMI_FAIL(err, SUMI_E_VALUE, "%d coefficients for %" PRId64 " targets", n, l->targets);
  if (n_intercepts && n_intercepts != l->targets)
    SUMI_FAIL(err, SUMI_E_VALUE, "%d intercepts for %" PRId64 " targets", n_intercepts, l->targets);
  if (!n_intercepts) l->intercepts = NULL;
  l->features = n / l->targets;
  return SUMI_OK;
}

/* The number of targets is that of the intercepts; without them what the coefficients give with X's features. */
static sumi_status classifier_of(const struct sumi_node *node, sumi_dim features, struct linear *l,
                                 struct sumi_err *err) {
  int n, n_intercepts;
  l->coefficients = sumi_attr_floats(node, "coefficients", &n);
  l->intercepts = sumi_attr_floats(node, "intercepts", &n_intercepts);
  SUMI_TRY(sumi_ml_post_of(node, &l->post, err));
  SUMI_TRY(sumi_ml_labels_of(node, "classlabels_ints", &l->labels, err));
  l->targets = n_intercepts ? n_intercepts : features > 0 ? n / features : SUMI_MAX(l->labels.n, 1);
  if (!n_intercepts) l->intercepts = NULL;
  if (l->targets < 1 || (n % l->targets && (n_intercepts || features > 0)))
    SUMI_FAIL(err, SUMI_E_VALUE, "%d coefficients for %" PRId64 " targets", n, l->targets);
  l->features = n_intercepts || features > 0 ? n / l->targets : -1;
  if (l->targets > 1 && l->labels.n < l->targets)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " labels for %" PRId64 " classes", l->labels.n, l->targets);
  return SUMI_OK;
}

static int64_t classifier_columns(const struct linear *l) {
  return l->targets == 1 && l->labels.n == 2 ? 2 : l->targets;
}

static sumi_status regressor_infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  struct linear l = {0};
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(regressor_of(ctx->node, &l, ctx->err));
  SUMI_TRY(sumi_ml_want_features(ctx, &rows, l.features));
  sumi_ml_infer_scores(ctx, 0, SUMI_FLOAT32, &rows, l.targets);
  return SUMI_OK;
}

static sumi_status classifier_infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  struct linear l = {0};
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(classifier_of(ctx->node, rows.features, &l, ctx->err));
  if (l.features >= 0) SUMI_TRY(sumi_ml_want_features(ctx, &rows, l.features));
  sumi_infer_out(ctx, 0, sumi_ml_label_dtype(&l.labels), 1, &rows.n);
  sumi_ml_infer_scores(ctx, 1, SUMI_FLOAT32, &rows, classifier_columns(&l));
  return SUMI_OK;
}

static void scores(const struct linear *l, const struct sumi_tensor *x, int64_t row, double *s) {
  for (int64_t t = 0; t < l->targets; t++)
    s[t] = sumi_ml_dot(x, l->features, row, l->coefficients + t * l->features) +
           (l->intercepts ? (double)l->intercepts[t] : 0);
}

static sumi_status regressor_scratch(const struct sumi_call *c, size_t *bytes) {
  struct linear l = {0};
  SUMI_TRY(regressor_of(c->node, &l, c->err));
  if (!sumi_size_mul((size_t)l.targets, sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "%" PRId64 " targets", l.targets);
  return SUMI_OK;
}

static sumi_status regressor_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_ml_rows rows = sumi_ml_rows_of(x);
  struct linear l = {0};
  SUMI_TRY(regressor_of(c->node, &l, c->err));
  double *s = c->scratch;
  for (int64_t r = 0; r < rows.n; r++) {
    scores(&l, x, r, s);
    sumi_ml_transform(l.post, s, l.targets);
    for (int64_t t = 0; t < l.targets; t++) ((float *)c->out[0]->data)[r * l.targets + t] = (float)s[t];
  }
  return SUMI_OK;
}

static sumi_status classifier_scratch(const struct sumi_call *c, size_t *bytes) {
  struct linear l = {0};
  SUMI_TRY(classifier_of(c->node, sumi_ml_rows_of(c->in[0]).features, &l, c->err));
  *bytes = (size_t)(l.targets + 1) * sizeof(double); /* as many as attributes list, and one */
  return SUMI_OK;
}

static sumi_status classifier_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_ml_rows rows = sumi_ml_rows_of(x);
  struct linear l = {0};
  SUMI_TRY(classifier_of(c->node, rows.features, &l, c->err));
  const int64_t columns = classifier_columns(&l);
  double *s = c->scratch;
  for (int64_t r = 0; r < rows.n; r++) {
    scores(&l, x, r, s);
    if (sumi_call_wants(c, 0) && l.targets == 1) sumi_ml_put_sign(&l.labels, c->out[0], r, s[0] > 0);
    if (sumi_call_wants(c, 0) && l.targets > 1)
      sumi_ml_put_label(&l.labels, c->out[0], r, sumi_ml_largest(s, l.targets));
    if (!sumi_call_wants(c, 1)) continue;
    if (columns == l.targets)
      sumi_ml_transform(l.post, s, columns);
    else
      sumi_ml_two_scores(l.post, true, s[0], s);
    for (int64_t t = 0; t < columns; t++) ((float *)c->out[1]->data)[r * columns + t] = (float)s[t];
  }
  return SUMI_OK;
}

static void cost(const struct sumi_call *c, struct sumi_cost *cost) {
  int n;
  sumi_attr_floats(c->node, "coefficients", &n);
  cost->dense_macs = cost->macs = (double)n * (double)sumi_ml_rows_of(c->in[0]).n;
  cost->bytes = sumi_op_bytes(c) + 4.0 * n;
}

static const struct sumi_attr_spec regressor_attrs[] = {
    {"coefficients", SUMI_ATTR_FLOATS},
    {"intercepts", SUMI_ATTR_FLOATS},
    {"post_transform", SUMI_ATTR_STRING},
    {"targets", SUMI_ATTR_INT},
    {NULL},
};
static const struct sumi_attr_spec classifier_attrs[] = {
    {"classlabels_ints", SUMI_ATTR_INTS},     {"classlabels_strings", SUMI_ATTR_STRINGS},
    {"coefficients", SUMI_ATTR_FLOATS, true}, {"intercepts", SUMI_ATTR_FLOATS},
    {"multi_class", SUMI_ATTR_INT}, /* how it was trained */
    {"post_transform", SUMI_ATTR_STRING},     {NULL},
};
static const struct sumi_port in[] = {{"X", SUMI_ML_T}, {NULL}};
static const struct sumi_port scores_out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};
static const struct sumi_port labels_out[] = {
    {"Y", SUMI_ML_LABEL}, {"Z", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL}, {NULL}};

#define ML "<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g "
static const struct sumi_case regressor_cases[] = {
    {ML "(float[5,3] x) => (y) { y = ai.onnx.ml.LinearRegressor <coefficients = [1.0, -2.0, 0.5, 0.25, 3.0, "
        "1.5], "
        "intercepts = [0.5, -1.0], targets = 2, post_transform = \"SOFTMAX\"> (x) }"},
    {ML "(int64[3] x) => (y) { y = ai.onnx.ml.LinearRegressor <coefficients = [1.0, -2.0, 0.5]> (x) }"},
    {NULL},
};
static const struct sumi_case classifier_cases[] = {
    {ML "(float[9,2] x) => (y, z) { y, z = ai.onnx.ml.LinearClassifier <coefficients = [1.0, -2.0, 0.5, "
        "0.25, 3.0, "
        "1.5], intercepts = [0.5, -1.0, 0.0], classlabels_ints = [7, 5, 3], post_transform = \"LOGISTIC\"> "
        "(x) }"},
    {ML "(double[9,2] x) => (e, z) { y, z = ai.onnx.ml.LinearClassifier <coefficients = [1.0, -2.0], "
        "intercepts = "
        "[0.5], classlabels_strings = [\"no\", \"yes\"]> (x) e = ai.onnx.ml.CategoryMapper <cats_strings = "
        "[\"yes\", \"no\"], cats_int64s = [4, 2]> (y) }"},
    {NULL},
};

const struct sumi_op sumi_op_ml_linear_regressor = {
    .name = "ai.onnx.ml.LinearRegressor",
    .formula = "post_transform(x . coefficients^T + intercepts)",
    .known_as = {{"ai.onnx.ml", "LinearRegressor", {1}}},
    .attrs = regressor_attrs,
    .in = in,
    .out = scores_out,
    .infer = regressor_infer,
    .ref = regressor_ref,
    .scratch = regressor_scratch,
    .cost = cost,
    .cases = regressor_cases,
};
const struct sumi_op sumi_op_ml_linear_classifier = {
    .name = "ai.onnx.ml.LinearClassifier",
    .formula = "the label of the largest x . coefficients^T + intercepts",
    .known_as = {{"ai.onnx.ml", "LinearClassifier", {1}}},
    .attrs = classifier_attrs,
    .in = in,
    .out = labels_out,
    .infer = classifier_infer,
    .ref = classifier_ref,
    .scratch = classifier_scratch,
    .cost = cost,
    .cases = classifier_cases,
};

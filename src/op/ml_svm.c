/* SVMRegressor, SVMClassifier (ai.onnx.ml): support vector machines.
 *   kernel(a, b)  LINEAR a.b   POLY (gamma a.b + coef0)^degree   RBF exp(-gamma |a - b|^2)   SIGMOID tanh(gamma a.b + coef0)
 *   regressor     y = sum_v coefficients[v] kernel(x, support[v]) + rho[0]; one_class: its sign
 *   classifier    for every pair of classes i < j: s = sum over the vectors of i of coefficients[j - 1][v] kernel(x, v)
 *                 + the vectors of j of coefficients[i][v] kernel(x, v) + rho[pair]; s > 0 is a vote for i, else for j.
 *                 With prob_a and prob_b the scores are probabilities of classes, else those of pairs.
 * Without support vectors the coefficients are the weights of linear scores, [classes, features].
 * The standard says little more than the attributes' names; ONNX Runtime and LIBSVM are followed. */
#include "op/ml_svm.h"

#include <inttypes.h>
#include <math.h>

#include "base/size.h"

/* ---- kernels --------------------------------------------------------------------------------------------- */

enum kernel { LINEAR, POLY, RBF, SIGMOID, N_KERNELS };

struct svm {
  enum kernel kernel;
  double gamma, coef0, degree;
  const float *support, *coefficients, *rho;
  int64_t vectors, features; /* vectors 0: linear */
  int64_t n_coefficients, n_rho;
  enum sumi_ml_post post;
};

static sumi_status kernel_of(const struct sumi_node *node, struct svm *s, struct sumi_err *err) {
  static const char *const words[N_KERNELS] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
  const char *word = sumi_attr_string(node, "kernel_type", "LINEAR");
  int k = 0, n;
  while (k < N_KERNELS && !sumi_streq(word, words[k])) k++;
  if (k == N_KERNELS) SUMI_FAIL(err, SUMI_E_VALUE, "kernel_type is '%.40s'", word);
  s->kernel = (enum kernel)k;
  const float *params = sumi_attr_floats(node, "kernel_params", &n);
  if (n && n < 3) SUMI_FAIL(err, SUMI_E_VALUE, "kernel_params has %d items, not 3", n);
  if (n) {
    s->gamma = (double)params[0];
    s->coef0 = (double)params[1];
    s->degree = (double)params[2];
  }
  return SUMI_OK;
}

/* What both operators have; s->vectors is set. linear_rows: rows of coefficients where there are no vectors. */
static sumi_status svm_of(const struct sumi_node *node, struct svm *s, int64_t linear_rows,
                          struct sumi_err *err) {
  int n_support, n;
  s->support = sumi_attr_floats(node, "support_vectors", &n_support);
  s->coefficients = sumi_attr_floats(node, "coefficients", &n);
  s->n_coefficients = n;
  s->rho = sumi_attr_floats(node, "rho", &n);
  s->n_rho = n;
  SUMI_TRY(kernel_of(node, s, err));
  SUMI_TRY(sumi_ml_post_of(node, &s->post, err));
  if (s->n_coefficients < 1 || s->n_rho < 1)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " coefficients and %" PRId64 " items in rho", s->n_coefficients,
              s->n_rho);
  if (s->vectors < 0 || (s->vectors > 0 && n_support % s->vectors))
    SUMI_FAIL(err, SUMI_E_VALUE, "support_vectors has %d items for %" PRId64 " vectors", n_support,
              s->vectors);
  if (!s->vectors && s->n_coefficients % linear_rows)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " coefficients for %" PRId64 " classes", s->n_coefficients,
              linear_rows);
  if (!s->vectors) s->kernel = LINEAR;
  s->features = s->vectors ? n_support / s->vectors : s->n_coefficients / linear_rows;
  return SUMI_OK;
}

static double apply_kernel(const struct svm *s, const struct sumi_tensor *x, int64_t row, const float *v) {
  double sum = 0;
  if (s->kernel != RBF) {
    sum = sumi_ml_dot(x, s->features, row, v);
    if (s->kernel == POLY) return pow(s->gamma * sum + s->coef0, s->degree);
    return s->kernel == SIGMOID ? tanh(s->gamma * sum + s->coef0) : sum;
  }
  for (int64_t i = 0; i < s->features; i++) {
    const double d = sumi_ml_feature(x, s->features, row, i) - (double)v[i];
    sum += d * d;
  }
  return exp(-s->gamma * sum);
}

/* ---- SVMRegressor ---------------------------------------------------------------------------------------- */

static sumi_status regressor_of(const struct sumi_node *node, struct svm *s, struct sumi_err *err) {
  s->vectors = sumi_attr_int(node, "n_supports", 0);
  SUMI_TRY(svm_of(node, s, 1, err));
  if (s->n_coefficients < s->vectors)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " coefficients for %" PRId64 " vectors", s->n_coefficients,
              s->vectors);
  return SUMI_OK;
}

static sumi_status regressor_infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  struct svm s = {0};
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(regressor_of(ctx->node, &s, ctx->err));
  SUMI_TRY(sumi_ml_want_features(ctx, &rows, s.features));
  sumi_ml_infer_scores(ctx, 0, SUMI_FLOAT32, &rows, 1);
  return SUMI_OK;
}

static sumi_status regressor_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t n = sumi_ml_rows_of(x).n;
  const bool one_class = sumi_attr_int(c->node, "one_class", 0) != 0;
  struct svm s = {0};
  SUMI_TRY(regressor_of(c->node, &s, c->err));
  for (int64_t r = 0; r < n; r++) {
    double sum = (double)s.rho[0];
    if (!s.vectors) sum += apply_kernel(&s, x, r, s.coefficients);
    for (int64_t v = 0; v < s.vectors; v++)
      sum += (double)s.coefficients[v] * apply_kernel(&s, x, r, s.support + v * s.features);
    sumi_ml_transform(s.post, &sum, 1);
    ((float *)c->out[0]->data)[r] = (float)(one_class ? sum > 0 ? 1 : -1 : sum);
  }
  return SUMI_OK;
}

/* ---- SVMClassifier --------------------------------------------------------------------------------------- */

struct classifier {
  struct svm svm;
  struct sumi_ml_labels labels;
  const int64_t *per_class;     /* [classes] vectors of every class; NULL: linear */
  const float *prob_a, *prob_b; /* [pairs]; NULL: no probabilities */
  int64_t classes, pairs, columns;
  bool positive; /* no coefficient is negative */
};

static sumi_status count_vectors(const struct sumi_node *node, struct classifier *k, struct sumi_err *err) {
  int n;
  k->per_class = sumi_attr_ints(node, "vectors_per_class", &n);
  for (int i = 0; i < n; i++)
    if (k->per_class[i] < 0 || !sumi_i64_add(k->svm.vectors, k->per_class[i], &k->svm.vectors))
      SUMI_FAIL(err, SUMI_E_VALUE, "class %d has %" PRId64 " vectors", i, k->per_class[i]);
  if (k->svm.vectors > 0 && (n != k->classes || k->classes < 2))
    SUMI_FAIL(err, SUMI_E_VALUE,
              "vectors_per_class has %d items for %" PRId64 " classes, of which there are two "
              "at least",
              n, k->classes);
  if (!k->svm.vectors) k->per_class = NULL;
  return SUMI_OK;
}

static sumi_status check_pairs(const struct sumi_node *node, struct classifier *k, struct sumi_err *err) {
  const struct svm *s = &k->svm;
  int n_a, n_b;
  const float *a = sumi_attr_floats(node, "prob_a", &n_a), *b = sumi_attr_floats(node, "prob_b", &n_b);
  int64_t want;
  if (n_a != n_b) SUMI_FAIL(err, SUMI_E_VALUE, "prob_a has %d items, prob_b %d", n_a, n_b);
  k->prob_a = n_a ? a : NULL;
  k->prob_b = n_a ? b : NULL;
  if (!s->vectors) return SUMI_OK;
  if (!sumi_i64_mul(k->classes - 1, s->vectors, &want) || s->n_coefficients < want)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " coefficients for %" PRId64 " classes with %" PRId64 " vectors",
              s->n_coefficients, k->classes, s->vectors);
  if (s->n_rho < k->pairs || (n_a && n_a < k->pairs))
    SUMI_FAIL(err, SUMI_E_VALUE, "rho has %" PRId64 " items and prob_a %d, for %" PRId64 " pairs of classes",
              s->n_rho, n_a, k->pairs);
  return SUMI_OK;
}

static sumi_status classifier_of(const struct sumi_node *node, struct classifier *k, struct sumi_err *err) {
  SUMI_TRY(sumi_ml_labels_of(node, "classlabels_ints", &k->labels, err));
  k->classes = k->labels.n;
  if (k->classes < 1 || k->classes > 65535) /* as ONNX Runtime; squares of it fit */
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " class labels", k->classes);
  k->pairs = k->classes * (k->classes - 1) / 2;
  SUMI_TRY(count_vectors(node, k, err));
  SUMI_TRY(svm_of(node, &k->svm, k->classes, err));
  SUMI_TRY(check_pairs(node, k, err));
  const bool by_pair = k->svm.vectors && !k->prob_a;
  k->columns = !by_pair ? k->classes : k->classes == 2 ? 2 : k->pairs;
  k->positive = true;
  for (int64_t i = 0; i < k->svm.n_coefficients; i++) k->positive &= k->svm.coefficients[i] >= 0;
  return SUMI_OK;
}

static sumi_status classifier_infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  struct classifier k = {0};
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(classifier_of(ctx->node, &k, ctx->err));
  SUMI_TRY(sumi_ml_want_features(ctx, &rows, k.svm.features));
  sumi_infer_out(ctx, 0, sumi_ml_label_dtype(&k.labels), 1, &rows.n);
  sumi_ml_infer_scores(ctx, 1, SUMI_FLOAT32, &rows, k.columns);
  return SUMI_OK;
}

/* Scratch of a row, doubles: the kernels of all vectors, the scores of pairs or classes, votes; for probabilities r, Q
 * and Qp as well. Pairs are at most what rho lists, so all of it is bounded by the attributes. */
struct room {
  double *kernel, *score, *votes, *r, *q, *qp;
};

static int64_t room_of(const struct classifier *k, double *at, struct room *room) {
  double *const start = at;
  const int64_t squares = k->svm.vectors && k->prob_a ? k->classes * k->classes : 0;
  const struct {
    double **to;
    int64_t n;
  } parts[] = {{&room->kernel, k->svm.vectors},
               {&room->score, SUMI_MAX(SUMI_MAX(k->columns, k->svm.vectors ? k->pairs : 0), 2)},
               {&room->votes, k->classes},
               {&room->r, squares},
               {&room->q, squares},
               {&room->qp, k->classes}};
  int64_t n = 0;
  for (size_t i = 0; i < SUMI_COUNT(parts); i++) {
    *parts[i].to = start ? start + n : NULL;
    n += parts[i].n;
  }
  return n;
}

static sumi_status classifier_scratch(const struct sumi_call *c, size_t *bytes) {
  struct classifier k = {0};
  struct room room;
  SUMI_TRY(classifier_of(c->node, &k, c->err));
  if (!sumi_size_mul((size_t)room_of(&k, NULL, &room), sizeof(double), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the classes need too much scratch");
  return SUMI_OK;
}

/* Scores and votes of all pairs; the class with most votes, of equal ones the first. */
static int64_t vote(const struct classifier *k, const struct sumi_tensor *x, int64_t row, struct room *m) {
  const struct svm *s = &k->svm;
  for (int64_t v = 0; v < s->vectors; v++)
    m->kernel[v] = apply_kernel(s, x, row, s->support + v * s->features);
  for (int64_t i = 0; i < k->classes; i++) m->votes[i] = 0;
  int64_t pair = 0, first_i = 0;
  for (int64_t i = 0; i < k->classes; first_i += k->per_class[i++]) {
    int64_t first_j = first_i + k->per_class[i];
    for (int64_t j = i + 1; j < k->classes; first_j += k->per_class[j++], pair++) {
      const float *of_i = s->coefficients + (j - 1) * s->vectors, *of_j = s->coefficients + i * s->vectors;
      double sum = 0;
      for (int64_t v = first_i; v < first_i + k->per_class[i]; v++) sum += (double)of_i[v] * m->kernel[v];
      for (int64_t v = first_j; v < first_j + k->per_class[j]; v++) sum += (double)of_j[v] * m->kernel[v];
      m->score[pair] = sum + (double)s->rho[pair];
      m->votes[m->score[pair] > 0 ? i : j]++;
    }
  }
  return sumi_ml_largest(m->votes, k->classes);
}

/* Scores of pairs become probabilities of classes. */
static void set_probabilities(const struct classifier *k, struct room *m) {
  const double least = 1e-7;
  int64_t pair = 0;
  for (int64_t i = 0; i < k->classes; i++)
    for (int64_t j = i + 1; j < k->classes; j++, pair++) {
      const double p =
          1 - sumi_ml_logistic(m->score[pair] * (double)k->prob_a[pair] + (double)k->prob_b[pair]);
      m->r[i * k->classes + j] = fmin(fmax(p, least), 1 - least);
      m->r[j * k->classes + i] = 1 - m->r[i * k->classes + j];
    }
  sumi_ml_couple(k->classes, m->r, m->q, m->qp, m->score);
}

/* Linear scores of classes; the class. Of two classes ONNX Runtime chooses the second wherever the largest score says
 * "positive" by itself: at least 0.5 where no coefficient is negative, else above 0. */
static int64_t linear_class(const struct classifier *k, const struct sumi_tensor *x, int64_t row,
                            struct room *m) {
  const struct svm *s = &k->svm;
  for (int64_t i = 0; i < k->classes; i++)
    m->score[i] = apply_kernel(s, x, row, s->coefficients + i * s->features) + (double)s->rho[0];
  const int64_t best = sumi_ml_largest(m->score, k->classes);
  const bool positive = k->positive ? m->score[best] >= 0.5 : m->score[best] > 0;
  return k->classes == 2 && !k->prob_a && positive ? 1 : best;
}

static sumi_status classifier_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t n = sumi_ml_rows_of(x).n;
  struct classifier k = {0};
  struct room m;
  SUMI_TRY(classifier_of(c->node, &k, c->err));
  room_of(&k, c->scratch, &m);
  for (int64_t r = 0; r < n; r++) {
    const int64_t best = k.svm.vectors ? vote(&k, x, r, &m) : linear_class(&k, x, r, &m);
    if (k.svm.vectors && k.prob_a) set_probabilities(&k, &m);
    if (sumi_call_wants(c, 0)) sumi_ml_put_label(&k.labels, c->out[0], r, best);
    if (!sumi_call_wants(c, 1)) continue;
    if (k.svm.vectors && !k.prob_a && k.classes == 2)
      sumi_ml_two_scores(k.svm.post, k.svm.post != SUMI_ML_NONE, m.score[0], m.score);
    else
      sumi_ml_transform(k.svm.post, m.score, k.columns);
    for (int64_t i = 0; i < k.columns; i++) ((float *)c->out[1]->data)[r * k.columns + i] = (float)m.score[i];
  }
  return SUMI_OK;
}

static void cost(const struct sumi_call *c, struct sumi_cost *cost) {
  int n, n_linear;
  sumi_attr_floats(c->node, "support_vectors", &n);
  sumi_attr_floats(c->node, "coefficients", &n_linear);
  cost->dense_macs = cost->macs = (double)(n ? n : n_linear) * (double)sumi_ml_rows_of(c->in[0]).n;
  cost->bytes = sumi_op_bytes(c) + 4.0 * (n + n_linear);
}

/* ---- descriptors ----------------------------------------------------------------------------------------- */

#define KERNEL_ATTRS                                                                                        \
  {"coefficients", SUMI_ATTR_FLOATS}, {"kernel_params", SUMI_ATTR_FLOATS},                                  \
      {"kernel_type", SUMI_ATTR_STRING}, {"post_transform", SUMI_ATTR_STRING}, {"rho", SUMI_ATTR_FLOATS}, { \
    "support_vectors", SUMI_ATTR_FLOATS                                                                     \
  }
static const struct sumi_attr_spec regressor_attrs[] = {
    KERNEL_ATTRS, {"n_supports", SUMI_ATTR_INT}, {"one_class", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_attr_spec classifier_attrs[] = {
    KERNEL_ATTRS,
    {"classlabels_ints", SUMI_ATTR_INTS},
    {"classlabels_strings", SUMI_ATTR_STRINGS},
    {"prob_a", SUMI_ATTR_FLOATS},
    {"prob_b", SUMI_ATTR_FLOATS},
    {"vectors_per_class", SUMI_ATTR_INTS},
    {NULL},
};
static const struct sumi_port in[] = {{"X", SUMI_ML_T}, {NULL}};
static const struct sumi_port scores_out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};
static const struct sumi_port labels_out[] = {
    {"Y", SUMI_ML_LABEL}, {"Z", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL}, {NULL}};

#define ML "<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g "
static const struct sumi_case regressor_cases[] = {
    {ML "(float[5,2] x) => (y) { y = ai.onnx.ml.SVMRegressor <kernel_type = \"RBF\", kernel_params = [0.5, "
        "0.0, 3.0], "
        "n_supports = 3, support_vectors = [1.0, 0.0, 0.5, -1.0, -0.5, 0.25], coefficients = [1.0, -0.5, "
        "2.0], rho = "
        "[0.125]> (x) }"},
    {ML "(int64[2] x) => (y) { y = ai.onnx.ml.SVMRegressor <coefficients = [1.0, -2.0], rho = [1.0], "
        "one_class = 1> "
        "(x) }"},
    {NULL},
};
static const struct sumi_case classifier_cases[] = {
    {ML "(float[6,2] x) => (y, z) { y, z = ai.onnx.ml.SVMClassifier <kernel_type = \"POLY\", kernel_params = "
        "[0.5, 1.0, "
        "3.0], vectors_per_class = [1, 2, 1], support_vectors = [1.0, 0.0, 0.5, -1.0, -0.5, 0.25, 0.0, 1.0], "
        "coefficients = [1.0, -0.5, -0.25, -1.0, 0.5, 1.0, 0.75, -0.5], rho = [0.125, -0.25, 0.0], "
        "classlabels_ints = "
        "[3, 5, 7], prob_a = [-1.0, -0.5, -2.0], prob_b = [0.0, 0.25, -0.125]> (x) }"},
    {ML "(double[6,2] x) => (y, z) { y, z = ai.onnx.ml.SVMClassifier <coefficients = [1.0, -2.0, 0.5, 0.25], "
        "rho = "
        "[0.5], classlabels_ints = [0, 1], post_transform = \"LOGISTIC\"> (x) }"},
    {NULL},
};

const struct sumi_op sumi_op_ml_svm_regressor = {
    .name = "ai.onnx.ml.SVMRegressor",
    .formula = "sum of coefficients[v] kernel(x, support[v]), + rho",
    .known_as = {{"ai.onnx.ml", "SVMRegressor", {1}}},
    .attrs = regressor_attrs,
    .in = in,
    .out = scores_out,
    .infer = regressor_infer,
    .ref = regressor_ref,
    .cost = cost,
    .cases = regressor_cases,
};
const struct sumi_op sumi_op_ml_svm_classifier = {
    .name = "ai.onnx.ml.SVMClassifier",
    .formula = "the class with most votes of the pairs' support vector machines",
    .known_as = {{"ai.onnx.ml", "SVMClassifier", {1}}},
    .attrs = classifier_attrs,
    .in = in,
    .out = labels_out,
    .infer = classifier_infer,
    .ref = classifier_ref,
    .scratch = classifier_scratch,
    .cost = cost,
    .cases = classifier_cases,
};

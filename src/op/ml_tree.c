/* TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier (ai.onnx.ml):
 *   s[n, t] = sum, average, least or largest, over the trees, of what the leaf that row n reaches gives to target t
 *   y = post_transform(s + base_values); the classifier's label is that of the largest s + base_values
 * A row walks from a tree's root: to a node's true branch where feature compares with the node's value as its mode says,
 * else to the false one; NaN goes where nodes_missing_value_tracks_true says.
 * Versions: 1; 3 (attributes as tensors, so in double); 5 (TreeEnsemble; the others deprecated).
 * Left open by the standard, and decided as ONNX Runtime does: one class's votes for two labels (ml_tree_rows.c), a single
 * score's transforms (sumi_ml_transform). Where votes are for both of two classes the largest score wins, as with more.
 * Trees are checked when inferring: a run trusts them. */
#include "op/ml_tree.h"

#include <inttypes.h>

#include "base/size.h"

/* ---- attributes ------------------------------------------------------------------------------------------ */

static sumi_status classes_of(const struct sumi_node *node, struct sumi_trees *t, struct sumi_err *err) {
  const struct sumi_tensor ids = sumi_ml_list(node, "class_ids"), list = sumi_ml_list(node, "class_weights"),
                           tensor = sumi_ml_list(node, "class_weights_as_tensor");
  const struct sumi_tensor *weights = tensor.dim[0] ? &tensor : &list;
  const int64_t *id = ids.data;
  SUMI_TRY(sumi_ml_labels_of(node, "classlabels_int64s", &t->labels, err));
  t->targets = t->labels.n;
  if (!t->targets) SUMI_FAIL(err, SUMI_E_ARG, "there are no class labels");
  t->only_class = ids.dim[0] ? id[0] : -1;
  for (int64_t i = 0; i < ids.dim[0]; i++)
    if (id[i] != id[0]) t->only_class = -1;
  t->positive = true;
  for (int64_t i = 0; i < weights->dim[0]; i++)
    t->positive &= !(sumi_get_f64(weights->dtype, weights->data, i) < 0);
  return SUMI_OK;
}

static sumi_status base_of(const struct sumi_node *node, struct sumi_trees *t, struct sumi_err *err) {
  const struct sumi_tensor list = sumi_ml_list(node, "base_values"),
                           tensor = sumi_ml_list(node, "base_values_as_tensor");
  if (list.dim[0] && tensor.dim[0])
    SUMI_FAIL(err, SUMI_E_VALUE, "both 'base_values' and 'base_values_as_tensor' are given");
  t->base = tensor.dim[0] ? tensor : list;
  const int64_t n = t->base.dim[0];
  if (n && t->base.dtype != SUMI_FLOAT32 && t->base.dtype != SUMI_FLOAT64)
    SUMI_FAIL(err, SUMI_E_TYPE, "base_values_as_tensor is %s", sumi_dtype_label(t->base.dtype));
  const bool one_of_two = t->form == SUMI_FOREST_CLASSIFIER && n == 1 && t->targets == 2;
  if (n && n != t->targets && !one_of_two)
    SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " base values for %" PRId64 " targets", n, t->targets);
  return SUMI_OK;
}

static sumi_status sum_of(const struct sumi_node *node, struct sumi_trees *t, struct sumi_err *err) {
  static const char *const words[SUMI_N_TREE_SUMS] = {"AVERAGE", "SUM", "MIN", "MAX"};
  const char *word = sumi_attr_string(node, "aggregate_function", "SUM");
  int k = 0;
  while (k < SUMI_N_TREE_SUMS && !sumi_streq(word, words[k])) k++;
  if (k == SUMI_N_TREE_SUMS) SUMI_FAIL(err, SUMI_E_VALUE, "aggregate_function is '%.40s'", word);
  t->sum = (enum sumi_tree_sum)k;
  return SUMI_OK;
}

static sumi_status general_of(const struct sumi_node *node, struct sumi_trees *t, struct sumi_err *err) {
  const int64_t post = sumi_attr_int(node, "post_transform", SUMI_ML_NONE),
                sum = sumi_attr_int(node, "aggregate_function", SUMI_TREE_SUM);
  if (post < 0 || post >= SUMI_N_ML_POSTS) SUMI_FAIL(err, SUMI_E_VALUE, "post_transform is %" PRId64, post);
  if (sum < 0 || sum >= SUMI_N_TREE_SUMS) SUMI_FAIL(err, SUMI_E_VALUE, "aggregate_function is %" PRId64, sum);
  t->post = (enum sumi_ml_post)post;
  t->sum = (enum sumi_tree_sum)sum;
  return SUMI_OK;
}

static sumi_status trees_of(const struct sumi_node *node, enum sumi_forest_form form, struct sumi_trees *t,
                            struct sumi_err *err) {
  *t = (struct sumi_trees){.form = form, .sum = SUMI_TREE_SUM, .only_class = -1};
  if (form == SUMI_FOREST_GENERAL)
    SUMI_TRY(general_of(node, t, err));
  else
    SUMI_TRY(sumi_ml_post_of(node, &t->post, err));
  if (form == SUMI_FOREST_REGRESSOR) SUMI_TRY(sum_of(node, t, err));
  if (form == SUMI_FOREST_CLASSIFIER)
    SUMI_TRY(classes_of(node, t, err));
  else
    t->targets = sumi_attr_int(node, "n_targets", 0);
  if (t->targets < 1) SUMI_FAIL(err, SUMI_E_VALUE, "n_targets is %" PRId64, t->targets);
  return base_of(node, t, err);
}

sumi_status sumi_trees_of(const struct sumi_node *node, struct sumi_trees *t, struct sumi_err *err) {
  const enum sumi_forest_form form = node->op == &sumi_op_ml_tree_ensemble ? SUMI_FOREST_GENERAL
                                     : node->op == &sumi_op_ml_tree_ensemble_regressor
                                         ? SUMI_FOREST_REGRESSOR
                                         : SUMI_FOREST_CLASSIFIER;
  return trees_of(node, form, t, err);
}

/* ---- inference ------------------------------------------------------------------------------------------- */

static sumi_status forest_features(const struct sumi_infer *ctx, const struct sumi_trees *t, void *memory,
                                   int64_t *features) {
  struct sumi_forest f;
  SUMI_TRY(sumi_forest_init(&f, ctx->node, t->form, t->targets, memory, ctx->err));
  *features = f.features;
  return SUMI_OK;
}

/* Makes the trees and throws them away. */
static sumi_status check_trees(const struct sumi_infer *ctx, const struct sumi_trees *t, sumi_dim features) {
  const struct sumi_allocator *a = ctx->arena->allocator;
  size_t bytes, room;
  int64_t most = 0;
  SUMI_TRY(sumi_trees_room_bytes(t, &room, ctx->err));
  SUMI_TRY(sumi_forest_bytes(ctx->node, t->form, &bytes, ctx->err));
  void *memory = sumi_alloc(a, bytes);
  if (!memory) SUMI_FAIL_MEMORY(ctx->err);
  const sumi_status status = forest_features(ctx, t, memory, &most);
  sumi_free(a, memory, bytes);
  SUMI_TRY(status);
  if (features >= 0 && most > features)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "the trees look at feature %" PRId64 ", a row has %" PRId64, most - 1,
              features);
  return SUMI_OK;
}

static sumi_status infer(struct sumi_infer *ctx) {
  struct sumi_ml_rows rows;
  struct sumi_trees t;
  SUMI_TRY(sumi_ml_infer_rows(ctx, &rows));
  SUMI_TRY(sumi_trees_of(ctx->node, &t, ctx->err));
  SUMI_TRY(check_trees(ctx, &t, rows.features));
  const bool classifier = t.form == SUMI_FOREST_CLASSIFIER;
  if (classifier) sumi_infer_out(ctx, 0, sumi_ml_label_dtype(&t.labels), 1, &rows.n);
  sumi_ml_infer_scores(ctx, classifier, t.form == SUMI_FOREST_GENERAL ? ctx->in[0].dtype : SUMI_FLOAT32,
                       &rows, t.targets);
  return SUMI_OK;
}

/* ---- reference ------------------------------------------------------------------------------------------- */

static sumi_status scratch(const struct sumi_call *c, size_t *bytes) {
  struct sumi_trees t;
  size_t room;
  SUMI_TRY(sumi_trees_of(c->node, &t, c->err));
  SUMI_TRY(sumi_trees_room_bytes(&t, &room, c->err));
  SUMI_TRY(sumi_forest_bytes(c->node, t.form, bytes, c->err));
  if (!sumi_size_add(*bytes, room, bytes)) SUMI_FAIL(c->err, SUMI_E_LIMIT, "the trees need too much scratch");
  return SUMI_OK;
}

static sumi_status ref(const struct sumi_call *c) {
  struct sumi_trees t;
  struct sumi_forest f;
  size_t bytes;
  SUMI_TRY(sumi_trees_of(c->node, &t, c->err));
  SUMI_TRY(sumi_forest_bytes(c->node, t.form, &bytes, c->err));
  SUMI_TRY(sumi_forest_init(&f, c->node, t.form, t.targets, c->scratch, c->err));
  struct sumi_tensor *const out[2] = {sumi_call_wants(c, 0) ? c->out[0] : NULL,
                                      sumi_call_wants(c, 1) ? c->out[1] : NULL};
  sumi_trees_run(&t, &f, c->in[0], out, 0, sumi_ml_rows_of(c->in[0]).n, (char *)c->scratch + bytes);
  return SUMI_OK;
}

/* ---- descriptors ----------------------------------------------------------------------------------------- */

#define TREE_ATTRS                                                                             \
  {"base_values", SUMI_ATTR_FLOATS}, {"base_values_as_tensor", SUMI_ATTR_TENSOR},              \
      {"nodes_falsenodeids", SUMI_ATTR_INTS}, {"nodes_featureids", SUMI_ATTR_INTS},            \
      {"nodes_hitrates", SUMI_ATTR_FLOATS}, {"nodes_hitrates_as_tensor", SUMI_ATTR_TENSOR},    \
      {"nodes_missing_value_tracks_true", SUMI_ATTR_INTS}, {"nodes_modes", SUMI_ATTR_STRINGS}, \
      {"nodes_nodeids", SUMI_ATTR_INTS}, {"nodes_treeids", SUMI_ATTR_INTS},                    \
      {"nodes_truenodeids", SUMI_ATTR_INTS}, {"nodes_values", SUMI_ATTR_FLOATS},               \
      {"nodes_values_as_tensor", SUMI_ATTR_TENSOR}, {                                          \
    "post_transform", SUMI_ATTR_STRING                                                         \
  }
static const struct sumi_attr_spec regressor_attrs[] = {
    TREE_ATTRS,
    {"aggregate_function", SUMI_ATTR_STRING},
    {"n_targets", SUMI_ATTR_INT},
    {"target_ids", SUMI_ATTR_INTS},
    {"target_nodeids", SUMI_ATTR_INTS},
    {"target_treeids", SUMI_ATTR_INTS},
    {"target_weights", SUMI_ATTR_FLOATS},
    {"target_weights_as_tensor", SUMI_ATTR_TENSOR},
    {NULL},
};
static const struct sumi_attr_spec classifier_attrs[] = {
    TREE_ATTRS,
    {"class_ids", SUMI_ATTR_INTS},
    {"class_nodeids", SUMI_ATTR_INTS},
    {"class_treeids", SUMI_ATTR_INTS},
    {"class_weights", SUMI_ATTR_FLOATS},
    {"class_weights_as_tensor", SUMI_ATTR_TENSOR},
    {"classlabels_int64s", SUMI_ATTR_INTS},
    {"classlabels_strings", SUMI_ATTR_STRINGS},
    {NULL},
};
static const struct sumi_attr_spec ensemble_attrs[] = {
    {"aggregate_function", SUMI_ATTR_INT},
    {"leaf_targetids", SUMI_ATTR_INTS, true},
    {"leaf_weights", SUMI_ATTR_TENSOR, true},
    {"membership_values", SUMI_ATTR_TENSOR},
    {"n_targets", SUMI_ATTR_INT},
    {"nodes_falseleafs", SUMI_ATTR_INTS, true},
    {"nodes_falsenodeids", SUMI_ATTR_INTS, true},
    {"nodes_featureids", SUMI_ATTR_INTS, true},
    {"nodes_hitrates", SUMI_ATTR_TENSOR},
    {"nodes_missing_value_tracks_true", SUMI_ATTR_INTS},
    {"nodes_modes", SUMI_ATTR_TENSOR, true},
    {"nodes_splits", SUMI_ATTR_TENSOR, true},
    {"nodes_trueleafs", SUMI_ATTR_INTS, true},
    {"nodes_truenodeids", SUMI_ATTR_INTS, true},
    {"post_transform", SUMI_ATTR_INT},
    {"tree_roots", SUMI_ATTR_INTS, true},
    {NULL},
};
static const struct sumi_port in[] = {{"X", SUMI_ML_T}, {NULL}};
static const struct sumi_port scores_out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};
static const struct sumi_port labels_out[] = {
    {"Y", SUMI_ML_LABEL}, {"Z", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL}, {NULL}};
#define FLOATS (SUMI_BIT(SUMI_FLOAT32) | SUMI_BIT(SUMI_FLOAT64) | SUMI_BIT(SUMI_FLOAT16))
static const struct sumi_port ensemble_in[] = {{"X", FLOATS, 'T'}, {NULL}};
static const struct sumi_port ensemble_out[] = {{"Y", FLOATS, 'T'}, {NULL}};

#define ML(version) "<opset_import: [\"\": 20, \"ai.onnx.ml\": " #version "]> g "
/* Two trees: x0 <= 0.5 ? (x1 < -0.25 ? 1 : 2) : 3, and x2 > 0 ? 4 : 5, as node numbers of leaves. */
#define NODES                                                                                                \
  "nodes_treeids = [0, 0, 0, 0, 0, 1, 1, 1], nodes_nodeids = [0, 1, 2, 3, 4, 0, 1, 2], nodes_featureids = "  \
  "[0, 1, 0, "                                                                                               \
  "0, 0, 2, 0, 0], nodes_modes = [\"BRANCH_LEQ\", \"BRANCH_LT\", \"LEAF\", \"LEAF\", \"LEAF\", "             \
  "\"BRANCH_GT\", "                                                                                          \
  "\"LEAF\", \"LEAF\"], nodes_truenodeids = [1, 2, 0, 0, 0, 1, 0, 0], nodes_falsenodeids = [4, 3, 0, 0, 0, " \
  "2, 0, 0], "
#define VALUES "nodes_values = [0.5, -0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], "

static const struct sumi_case regressor_cases[] = {
    {"<opset_import: [\"\": 20, \"ai.onnx.ml\": 1]> g (int64[19,1] x) => (y) { y = "
     "ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, 2], "
     "nodes_featureids = [0, 0, 0], nodes_modes = [\"BRANCH_LT\", \"LEAF\", \"LEAF\"], nodes_truenodeids = "
     "[1, 0, 0], nodes_falsenodeids = [2, 0, 0], nodes_values = [0.0, 0.0, 0.0], target_treeids = [0, 0], "
     "target_nodeids = [1, 2], target_ids = [0, 0], target_weights = [1.0, 2.0], n_targets = 1> (x) }",
     .low = -1, .high = 1, .why = "0 is not below 0, where subnormal numbers are 0 as well"},
    {ML(1) "(float[150,3] x) => (y) { y = ai.onnx.ml.TreeEnsembleRegressor <" NODES VALUES
           "target_treeids = [0, 0, 0, 1, 1, 1], target_nodeids = [2, 3, 4, 1, 2, 2], target_ids = [0, 1, 0, "
           "1, 0, 1], "
           "target_weights = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], n_targets = 2, base_values = [1.0, -1.0], "
           "aggregate_function = \"AVERAGE\", post_transform = \"SOFTMAX\"> (x) }"},
    {ML(3) "(double[9,3] x) => (y) { y = ai.onnx.ml.TreeEnsembleRegressor <" NODES
           "nodes_values_as_tensor = double[8] {0.5, -0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0}, target_treeids = "
           "[0, 0, 0, "
           "1, 1], target_nodeids = [2, 3, 4, 1, 2], target_ids = [0, 0, 0, 0, 0], target_weights_as_tensor "
           "= "
           "double[5] {0.1, 0.2, 0.3, 0.4, 0.5}, n_targets = 1, aggregate_function = \"MIN\"> (x) }"},
    {NULL},
};
static const struct sumi_case classifier_cases[] = {
    {ML(1) "(float[150,3] x) => (y, z) { y, z = ai.onnx.ml.TreeEnsembleClassifier <" NODES VALUES
           "class_treeids = [0, 0, 0, 1, 1], class_nodeids = [2, 3, 4, 1, 2], class_ids = [0, 1, 2, 1, 0], "
           "class_weights = [0.1, 0.2, 0.3, 0.4, 0.5], classlabels_int64s = [7, 5, 3], post_transform = "
           "\"LOGISTIC\"> "
           "(x) }"},
    {ML(1) "(int64[17,3] x) => (e, z) { y, z = ai.onnx.ml.TreeEnsembleClassifier <" NODES VALUES
           "class_treeids = [0, 0, 0, 1, 1], class_nodeids = [2, 3, 4, 1, 2], class_ids = [0, 0, 0, 0, 0], "
           "class_weights = [0.1, -0.2, 0.3, -0.4, 0.5], classlabels_strings = [\"no\", \"yes\"]> (x) e = "
           "ai.onnx.ml.CategoryMapper <cats_strings = [\"yes\", \"no\"], cats_int64s = [4, 2]> (y) }",
     .low = -2, .high = 2, .why = "one sum for two labels, which are strings"},
    {NULL},
};
static const struct sumi_case ensemble_cases[] = {
    {ML(5) "(float[150,3] x) => (y) { r = Round (x) y = ai.onnx.ml.TreeEnsemble <tree_roots = [0, 2], "
           "nodes_featureids = "
           "[0, 1, 2], "
           "nodes_modes = uint8[3] {0, 6, 5}, nodes_splits = float[3] {0.5, 0.0, 1.0}, membership_values = "
           "float[3] "
           "{0.0, 1.0, nan}, nodes_truenodeids = [1, 0, 0], nodes_trueleafs = [0, 1, 1], nodes_falsenodeids "
           "= [2, 1, 3], "
           "nodes_falseleafs = [1, 1, 1], leaf_targetids = [0, 1, 0, 1], leaf_weights = float[4] {1.0, 2.0, "
           "4.0, 8.0}, "
           "n_targets = 2, aggregate_function = 3> (r) }"},
    {ML(5) "(float16[9,2] x) => (y) { y = ai.onnx.ml.TreeEnsemble <tree_roots = [0], nodes_featureids = [1], "
           "nodes_modes = uint8[1] {2}, nodes_splits = float16[1] {0.25}, nodes_truenodeids = [0], "
           "nodes_trueleafs = "
           "[1], nodes_falsenodeids = [1], nodes_falseleafs = [1], leaf_targetids = [0, 0], leaf_weights = "
           "float16[2] "
           "{1.5, 2.5}, n_targets = 1> (x) }"},
    {NULL},
};

#define TREE_OP(symbol, title, versions, text, attributes, ins, outs, tests) \
  const struct sumi_op sumi_op_ml_##symbol = {                               \
      .name = "ai.onnx.ml." title,                                           \
      .formula = text,                                                       \
      .known_as = {{"ai.onnx.ml", title, versions}},                         \
      .attrs = attributes,                                                   \
      .in = ins,                                                             \
      .out = outs,                                                           \
      .infer = infer,                                                        \
      .ref = ref,                                                            \
      .scratch = scratch,                                                    \
      .lower = sumi_trees_lower,                                             \
      .cases = tests,                                                        \
  }
#define SINCE_1 \
  { 1, 3, 5 }
#define SINCE_5 \
  { 5 }

TREE_OP(tree_ensemble, "TreeEnsemble", SINCE_5, "what the leaves of trees say of each target", ensemble_attrs,
        ensemble_in, ensemble_out, ensemble_cases);
TREE_OP(tree_ensemble_regressor, "TreeEnsembleRegressor", SINCE_1,
        "what the leaves of trees say of each target", regressor_attrs, in, scores_out, regressor_cases);
TREE_OP(tree_ensemble_classifier, "TreeEnsembleClassifier", SINCE_1,
        "the class for which the leaves of trees say most", classifier_attrs, in, labels_out,
        classifier_cases);

/* ai.onnx.ml operators: trees that must be refused, values of NaN, and what attributes of hostile files say. */
#include "op/ml_tree.h"
#include "op/test_probe.h"

/* A tree by hand: x0 <= 0.5 ? leaf 1 : (x1 < -0.25 ? leaf 3 : leaf 4). */
struct tree {
  int64_t tree[5], id[5], feature[5], yes[5], no[5], missing[5];
  float value[5];
  struct sumi_str mode[5];
  int64_t vote_tree[3], vote_id[3], vote_target[3];
  float weight[3];
  int64_t targets;
};

static const struct sumi_str leaf = {"LEAF", 4}, leq = {"BRANCH_LEQ", 10}, lt = {"BRANCH_LT", 9};

static struct tree good_tree(void) {
  return (struct tree){.id = {0, 1, 2, 3, 4},
                       .feature = {0, 0, 1, 0, 0},
                       .yes = {1, 0, 3, 0, 0},
                       .no = {2, 0, 4, 0, 0},
                       .value = {0.5F, 0, -0.25F, 0, 0},
                       .mode = {leq, leaf, lt, leaf, leaf},
                       .vote_id = {1, 3, 4},
                       .weight = {1, 2, 4},
                       .targets = 1};
}

static void add_floats(struct probe *p, const char *name, const float *v, size_t n) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_FLOATS, .n = n, .u.floats = v};
}

static void add_strings(struct probe *p, const char *name, const struct sumi_str *v, size_t n) {
  p->attr[p->node.n_attr++] =
      (struct sumi_attr){.name = name, .type = SUMI_ATTR_STRINGS, .n = n, .u.strings = v};
}

static void begin(struct probe *p, const struct tree *t) {
  probe_init(p, "ai.onnx.ml.TreeEnsembleRegressor");
  probe_ints(p, "nodes_treeids", t->tree, 5);
  probe_ints(p, "nodes_nodeids", t->id, 5);
  probe_ints(p, "nodes_featureids", t->feature, 5);
  probe_ints(p, "nodes_truenodeids", t->yes, 5);
  probe_ints(p, "nodes_falsenodeids", t->no, 5);
  probe_ints(p, "nodes_missing_value_tracks_true", t->missing, 5);
  add_floats(p, "nodes_values", t->value, 5);
  add_strings(p, "nodes_modes", t->mode, 5);
  probe_ints(p, "target_treeids", t->vote_tree, 3);
  probe_ints(p, "target_nodeids", t->vote_id, 3);
  probe_ints(p, "target_ids", t->vote_target, 3);
  add_floats(p, "target_weights", t->weight, 3);
  probe_int(p, "n_targets", t->targets);
}

static void expect_values(const struct tree *t, const float *x, int n, const float *want) {
  struct probe p;
  begin(&p, t);
  probe_in(&p, SUMI_FLOAT32, x, 2, n, 2);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, want, n, 0);
  probe_fini(&p);
}

static void expect_refusal(const struct tree *t, sumi_status status, const char *word) {
  struct probe p;
  const float x[2] = {0};
  begin(&p, t);
  probe_in(&p, SUMI_FLOAT32, x, 2, 1, 2);
  assert_int_equal(probe_run(&p, 1), status);
  if (!strstr(p.err.text, word)) fail_msg("'%s' is not in '%s'", word, p.err.text);
  probe_fini(&p);
}

static void walks_and_missing_values(void **state) {
  (void)state;
  const float nan = (float)NAN;
  const float x[] = {0.5F, 0, 0.75F, -0.25F, 0.75F, -0.5F, nan, nan, 0, nan, 1, nan};
  struct tree t = good_tree();
  expect_values(&t, x, 6, (const float[]){1, 4, 2, 4, 1, 4});
  t.missing[0] = 1;
  t.missing[2] = 1;
  expect_values(&t, x, 6, (const float[]){1, 4, 2, 1, 1, 2});
}

static void modes(void **state) {
  (void)state;
  const struct sumi_str word[] = {
      leq, lt, {"BRANCH_GTE", 10}, {"BRANCH_GT", 9}, {"BRANCH_EQ", 9}, {"BRANCH_NEQ", 10}};
  const float x[] = {-1, 0, 0.5F, 0, 1, 0, (float)NAN, 0, INFINITY, 0, -INFINITY, 0};
  static const float at_half[6][6] = {{1, 1, 4, 4, 4, 1}, {1, 4, 4, 4, 4, 1}, {4, 1, 1, 4, 1, 4},
                                      {4, 4, 1, 4, 1, 4}, {4, 1, 4, 4, 4, 4}, {1, 4, 1, 1, 1, 1}};
  /* thresholds that are no number: every comparison is false but "differs" */
  static const float at_nan[6][6] = {{4, 4, 4, 4, 4, 4}, {4, 4, 4, 4, 4, 4}, {4, 4, 4, 4, 4, 4},
                                     {4, 4, 4, 4, 4, 4}, {4, 4, 4, 4, 4, 4}, {1, 1, 1, 1, 1, 1}};
  /* thresholds below which there is nothing */
  static const float at_least[6][6] = {{4, 4, 4, 4, 4, 1}, {4, 4, 4, 4, 4, 4}, {1, 1, 1, 4, 1, 1},
                                       {1, 1, 1, 4, 1, 4}, {4, 4, 4, 4, 4, 1}, {1, 1, 1, 1, 1, 4}};
  for (size_t m = 0; m < SUMI_COUNT(word); m++) {
    struct tree t = good_tree();
    t.mode[0] = word[m];
    expect_values(&t, x, 6, at_half[m]);
    t.value[0] = (float)NAN;
    expect_values(&t, x, 6, at_nan[m]);
    t.value[0] = -INFINITY;
    expect_values(&t, x, 6, at_least[m]);
  }
}

static void wrong_trees(void **state) {
  (void)state;
  struct tree t = good_tree();
  t.no[2] = 0;
  expect_refusal(&t, SUMI_E_VALUE, "cycle");
  t = good_tree();
  t.yes[2] = 2;
  expect_refusal(&t, SUMI_E_VALUE, "cycle");
  t = good_tree();
  t.no[2] = 5;
  expect_refusal(&t, SUMI_E_VALUE, "leads to node 5");
  t = good_tree();
  t.no[0] = INT64_MIN;
  expect_refusal(&t, SUMI_E_VALUE, "leads to node -9223372036854775808");
  t = good_tree();
  t.id[4] = 3;
  expect_refusal(&t, SUMI_E_VALUE, "two nodes 3");
  t = good_tree();
  t.feature[2] = 2;
  expect_refusal(&t, SUMI_E_SHAPE, "feature 2");
  t = good_tree();
  t.feature[2] = -1;
  expect_refusal(&t, SUMI_E_VALUE, "feature -1");
  t = good_tree();
  t.mode[0] = (struct sumi_str){"BRANCH_MEMBER", 13};
  expect_refusal(&t, SUMI_E_VALUE, "BRANCH_MEMBER");
  t = good_tree();
  t.vote_id[0] = 0;
  expect_refusal(&t, SUMI_E_VALUE, "no leaf");
  t = good_tree();
  t.vote_target[2] = 1;
  expect_refusal(&t, SUMI_E_VALUE, "weight 2 is for 1");
  t = good_tree();
  t.targets = 0;
  expect_refusal(&t, SUMI_E_VALUE, "n_targets is 0");
  t = good_tree();
  t.targets = INT64_MAX;
  expect_refusal(&t, SUMI_E_LIMIT, "targets");
}

/* Nodes in any order and with any numbers: the tree is the same. */
static void unordered(void **state) {
  (void)state;
  struct tree t = good_tree();
  const int64_t name[] = {70, -3, INT64_MAX, 5, 4};
  for (int i = 0; i < 5; i++) {
    t.id[i] = name[i];
    t.yes[i] = name[t.yes[i]];
    t.no[i] = name[t.no[i]];
  }
  for (int i = 0; i < 3; i++) t.vote_id[i] = name[t.vote_id[i]];
  expect_values(&t, (const float[]){0, 0, 1, -1, 1, 1}, 3, (const float[]){1, 2, 4});
}

/* Of equal keys the last counts, NaN is found, and 0 is -0. Values of the standard's text. */
static void label_encoder(void **state) {
  (void)state;
  struct probe p;
  const float keys[] = {0, (float)NAN, 1.5F, 0}, values[] = {1, 2, 3, 4}, x[] = {-0.0F, -(float)NAN, 1.5F, 7};
  probe_init(&p, "ai.onnx.ml.LabelEncoder");
  p.node.version = 2;
  add_floats(&p, "keys_floats", keys, 4);
  add_floats(&p, "values_floats", values, 4);
  probe_float(&p, "default_float", 9);
  probe_in(&p, SUMI_FLOAT32, x, 1, 4);
  assert_int_equal(probe_run(&p, 1), SUMI_OK);
  probe_expect(&p, 0, (const float[]){4, 2, 3, 9}, 4, 0);
  probe_fini(&p);
}

/* sum kernels that the attributes do not fill. */
static void wrong_machines(void **state) {
  (void)state;
  struct probe p;
  const float few[] = {1, 2}, x[2] = {0};
  const int64_t counts[] = {INT64_MAX, INT64_MAX}, names[] = {0, 1};
  probe_init(&p, "ai.onnx.ml.SVMClassifier");
  add_floats(&p, "coefficients", few, 2);
  add_floats(&p, "rho", few, 1);
  add_floats(&p, "support_vectors", few, 0);
  probe_ints(&p, "classlabels_ints", names, 2);
  probe_ints(&p, "vectors_per_class", counts, 2);
  probe_in(&p, SUMI_FLOAT32, x, 2, 1, 2);
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  assert_non_null(strstr(p.err.text, "class 1 has"));
  p.err = (struct sumi_err)SUMI_ERR_INIT;
  p.attr[p.node.n_attr - 1].u.ints = (const int64_t[]){INT64_MAX - 1, 1};
  assert_int_equal(probe_run(&p, 1), SUMI_E_VALUE);
  assert_non_null(strstr(p.err.text, "coefficients"));
  probe_fini(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(walks_and_missing_values),
      cmocka_unit_test(modes),
      cmocka_unit_test(wrong_trees),
      cmocka_unit_test(unordered),
      cmocka_unit_test(label_encoder),
      cmocka_unit_test(wrong_machines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

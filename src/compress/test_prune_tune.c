/* Tuning behind pruning of a small network: what it reaches, what it keeps, and that it goes on where it was. */
#include <math.h>

#include "compress/prune_test.h"

static bool stop_tuning(void *user, const struct sumi_progress *p) { return !sumi_streq(p->what, user); }

static sumi_status tune_towards(struct sumi_graph *g, const struct sumi_graph *teacher,
                                const struct sumi_prune_options *o, struct sumi_prune_info *info,
                                size_t *constants, struct sumi_err *err) {
  struct sumi_changes changes;
  sumi_changes_init(&changes, sumi_allocator_default());
  const sumi_status status = sumi_prune(g, teacher, 1, o, &changes, info, err);
  *constants = 0;
  for (size_t k = 0; k < changes.n; k++) {
    const struct sumi_change *c = &changes.change[k];
    *constants += c->kind == SUMI_CHANGE_CONSTANT;
    if (c->kind == SUMI_CHANGE_CONSTANT) /* what is written is what the graph holds */
      assert_ptr_equal(c->tensor, sumi_graph_find_value(g, c->name)->constant);
  }
  sumi_changes_fini(&changes);
  return status;
}

static sumi_status tune(struct sumi_graph *g, const struct sumi_prune_options *o,
                        struct sumi_prune_info *info, size_t *constants, struct sumi_err *err) {
  return tune_towards(g, NULL, o, info, constants, err);
}

/* The zeros of the pruned layers, and no others; whether what is kept has moved. */
static bool same_zeros(struct sumi_graph *a, struct sumi_graph *b, const char *weight) {
  struct layer_of_weight x, y;
  read_layer(a, weight, &x);
  read_layer(b, weight, &y);
  for (int64_t k = 0; k < x.rows * x.cols; k++) assert_int_equal(x.keep[k], y.keep[k]);
  return memcmp(x.w, y.w, (size_t)(x.rows * x.cols) * sizeof *x.w) == 0;
}

/* Both kinds of tuning, one by one and together: the loss falls, zeros stay, layers that were not pruned are written too. */
static void test_tuning(void **state) {
  (void)state;
  struct data d;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  size_t n;
  fill(&d);
  struct sumi_prune_options o = options_of(&d);
  o.pattern = "1x4";
  o.batch = 16;
  struct sumi_graph *untuned = network();
  assert_int_equal(tune(untuned, &o, &info, &n, &err), SUMI_OK);
  assert_true(info.pruned_loss < 0 && info.tuning_s == 0 && n == 2);
  const double before = info.loss;
  for (int kinds = 1; kinds < 5; kinds++) {
    struct sumi_graph *g = network_of(kinds < 4 ? "N" : "16", 1); /* runs of neighbours then */
    o.reconstruct = kinds & 1 ? 40 : 0;
    o.finetune = kinds & 6 ? 40 : 0;
    o.tune_rate = 3e-3;
    if (tune(g, &o, &info, &n, &err) != SUMI_OK) fail_msg("%s", err.text);
    assert_true(info.pruned_loss == before && info.tuning_s > 0);
    if (!(info.loss < 0.7 * before)) fail_msg("the loss was %g, and is %g", before, info.loss);
    assert_int_equal(n, 4);
    for (int i = 0; i < 4; i++) assert_false(same_zeros(untuned, g, (char[]){'w', (char)('0' + i), 0}));
    sumi_graph_free(g);
  }
  sumi_graph_free(untuned);
}

/* The options of finetune that say towards what, on what and how: each leads elsewhere. */
static void test_finetuning(void **state) {
  (void)state;
  struct data d;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  size_t n;
  int64_t labels[N];
  fill(&d);
  for (int i = 0; i < N; i++) labels[i] = i % 3;
  struct sumi_prune_options o = options_of(&d);
  const struct sumi_samples own = {
      .size = sizeof own, .n = 32, .get = o.samples->get, .user = o.samples->user};
  struct sumi_samples labelled = *o.samples;
  labelled.labels = labels;
  struct sumi_graph *result[7];
  o.finetune = 10;
  o.batch = 16;
  o.tune_loss = "kl";
  for (int i = 0; i < 7; i++) {
    struct sumi_prune_options p = o;
    struct sumi_graph *teacher = NULL;
    if (i == 1) p.samples = &labelled, p.label_share = 0.5;
    if (i == 2) p.temperature = 3;
    if (i == 3) p.tune_samples = &own;
    if (i == 4) p.tune_batch = 8;
    if (i == 5) p.tune_precision = "bf16";
    if (i == 6) teacher = network_of("N", 9);
    result[i] = network();
    if (tune_towards(result[i], teacher, &p, &info, &n, &err) != SUMI_OK) fail_msg("%s", err.text);
    for (int k = 0; k < i; k++)
      if (same_zeros(result[i], result[k], "w1")) fail_msg("%d and %d are the same", i, k);
    sumi_graph_free(teacher);
  }
  for (int i = 0; i < 7; i++) sumi_graph_free(result[i]);
  o.label_share = 0.5;
  check_refusal(&o, network(), "without labels");
}

/* Counts the steps of finetuning, and stops at one of them. */
struct later {
  size_t wanted, steps;
};

static bool stop_later(void *user, const struct sumi_progress *p) {
  struct later *l = user;
  l->steps += strcmp(p->what, "finetune") == 0;
  return l->steps < l->wanted;
}

/* A network that has its zeros is tuned further; not one whose zeros are elsewhere, or many more. */
static void test_tuned_further(void **state) {
  (void)state;
  struct data d;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  size_t n;
  fill(&d);
  struct sumi_graph *dense = network(), *g = network();
  struct sumi_prune_options o = options_of(&d);
  o.pattern = "1x4";
  o.finetune = 5;
  o.tune_rate = 3e-3;
  assert_int_equal(tune(g, &o, &info, &n, &err), SUMI_OK);
  struct sumi_graph *further = sumi_graph_clone(g, NULL);
  assert_int_equal(tune_towards(further, dense, &o, &info, &n, &err), SUMI_OK);
  assert_int_equal(info.pruned, 2);
  assert_int_equal(n, 4);
  assert_true(fabs(info.sparsity - 0.5) < 1e-9);
  assert_false(same_zeros(g, further, "w1")); /* zeros are, numbers are not */
  o.pattern = "4x4";
  check_refusal(&o, sumi_graph_clone(g, NULL), "in another pattern");
  o.pattern = "1x4";
  o.sparsity = 0.25;
  check_refusal(&o, g, "already sparse");
  sumi_graph_free(dense);
  sumi_graph_free(further);
}

/* Stopped while it tunes, a job has all its layers, and ends as if it had not been stopped. */
static void test_tuning_stopped(void **state) {
  (void)state;
  struct data d;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  size_t n;
  fill(&d);
  struct sumi_graph *whole = network(), *stopped = network(), *resumed = network(), *layers = network();
  struct sumi_prune_options o = options_of(&d);
  o.reconstruct = o.finetune = 2;
  assert_int_equal(tune(whole, &o, &info, &n, &err), SUMI_OK);
  o.state = state_path;
  o.on_progress = stop_tuning;
  o.user = (void *)"finetune";
  assert_int_equal(tune(stopped, &o, &info, &n, &err), SUMI_E_STATE);
  o.on_progress = NULL;
  o.resume = true;
  assert_int_equal(tune(resumed, &o, &info, &n, &err), SUMI_OK);
  assert_int_equal(info.resumed, 2);
  for (int i = 0; i < 4; i++) assert_true(same_zeros(whole, resumed, (char[]){'w', (char)('0' + i), 0}));
  /* in the second epoch: the first one is not done again */
  struct later later = {.wanted = 3};
  struct sumi_graph *late = network(), *again = network();
  o.resume = false;
  o.reconstruct = 0;
  o.on_progress = stop_later;
  o.user = &later;
  assert_int_equal(tune(late, &o, &info, &n, &err), SUMI_E_STATE);
  later = (struct later){.wanted = SIZE_MAX};
  assert_int_equal(tune(again, &o, &info, &n, &err), SUMI_OK);
  const size_t left = later.steps;
  later = (struct later){.wanted = SIZE_MAX};
  sumi_graph_free(late);
  o.state = NULL;
  assert_int_equal(tune(late = network(), &o, &info, &n, &err), SUMI_OK);
  assert_int_equal(left, later.steps - 3);
  for (int i = 0; i < 4; i++) assert_true(same_zeros(late, again, (char[]){'w', (char)('0' + i), 0}));
  sumi_graph_free(late);
  sumi_graph_free(again);
  o.state = state_path;
  o.on_progress = NULL;
  o.reconstruct = o.finetune = 0; /* the pruned network alone can be had from there, too */
  assert_int_equal(tune(layers, &o, &info, &n, &err), SUMI_OK);
  assert_int_equal(info.resumed, 2);
  assert_false(same_zeros(whole, layers, "w1"));
  struct sumi_graph *const all[] = {whole, stopped, resumed, layers};
  for (size_t i = 0; i < SUMI_COUNT(all); i++) sumi_graph_free(all[i]);
}

/* The share of zeros in a layer's weights; they are whole blocks of 1x4. */
static double zeros_of(struct sumi_graph *g, const char *weight) {
  struct layer_of_weight l;
  read_layer(g, weight, &l);
  int64_t zeros = 0;
  for (int64_t k = 0; k < l.rows * l.cols; k++) {
    assert_int_equal(l.keep[k], l.keep[k / 4 * 4]);
    zeros += !l.keep[k];
  }
  return (double)zeros / (double)(l.rows * l.cols);
}

/* The sparsity rises while it is tuned, to what was asked for, from what is told by a job that stops before; stopped in between,
 * it ends as if it had not been. */
static void test_gradual(void **state) {
  (void)state;
  struct data d;
  struct sumi_prune_info info, at_once;
  struct sumi_err err = SUMI_ERR_INIT;
  size_t n;
  fill(&d);
  struct sumi_prune_options o = options_of(&d);
  o.pattern = "1x4";
  o.sparsity = 0.75;
  o.batch = 16;
  o.finetune = 60;
  o.tune_rate = 3e-3;
  struct sumi_graph *g[3] = {network(), network(), network()};
  assert_int_equal(tune(g[0], &o, &at_once, &n, &err), SUMI_OK);
  o.gradual = 0.6;
  assert_int_equal(tune(g[1], &o, &info, &n, &err), SUMI_OK);
  for (int i = 0; i < 2; i++)
    for (int k = 1; k < 3; k++)
      assert_true(fabs(zeros_of(g[i], (char[]){'w', (char)('0' + k), 0}) - 0.75) < 0.02);
  assert_true(fabs(info.sparsity - 0.75) < 0.01);
  assert_true(info.pruned_loss <
              at_once.pruned_loss); /* half of what is kept in the end was taken out by then */
  if (!(info.loss < 0.7 * at_once.pruned_loss))
    fail_msg("the loss is %g, %g without tuning", info.loss, at_once.pruned_loss);
  struct later later = {.wanted = 100}; /* of 240 steps: it rises up to the 144th */
  o.state = state_path;
  o.on_progress = stop_later;
  o.user = &later;
  assert_int_equal(tune(g[2], &o, &info, &n, &err), SUMI_E_STATE);
  sumi_graph_free(g[2]);
  g[2] = network();
  later.wanted = SIZE_MAX;
  assert_int_equal(tune(g[2], &o, &info, &n, &err), SUMI_OK);
  assert_int_equal(info.resumed, 2);
  assert_int_equal(later.steps, 240);
  for (int i = 0; i < 4; i++) assert_true(same_zeros(g[1], g[2], (char[]){'w', (char)('0' + i), 0}));
  o.state = NULL;
  o.on_progress = NULL;
  check_refusal(&o, g[1], "already sparse");
  o.pattern = "2:4";
  o.sparsity = 0;
  check_refusal(&o, network(), "a pattern of one density");
  o.gradual = 1;
  check_refusal(&o, network(), "a share of 1");
  o.gradual = 0.5;
  o.finetune = 0;
  check_refusal(&o, network(), "no epochs");
  sumi_graph_free(g[0]);
  sumi_graph_free(g[2]);
}

/* Before anything is pruned. */
static void test_refused_tuning(void **state) {
  (void)state;
  static const char hard[] = "<opset_import: [\"\": 17]> g (float[N,16] x) => (float[N,2] y) <float[16,2] w "
                             "= {1, 2, 3, 4, 5, 6, 7, 8, "
                             "9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5}> "
                             "{ [only] a = MatMul (x, w) [h] y = Hardmax (a) }";
  struct data d;
  fill(&d);
  struct sumi_prune_options o = options_of(&d);
  o.on_progress = stop_tuning;
  o.user = (void *)"alps"; /* it would be said that it was stopped */
  o.ends = true;
  for (int i = 0; i < 6; i++) {
    static const char *const says[] = {"node 'h' (Hardmax): the operator has no gradient",
                                       "node 'h' (Hardmax): the operator has no gradient",
                                       "tuning needs calibration data",
                                       "the loss 'hinge'",
                                       "one picture",
                                       "no epochs"};
    struct sumi_prune_options p = o;
    struct sumi_graph *g = NULL;
    p.finetune = i != 1 && i != 5;
    p.reconstruct = i == 1;
    if (i == 2) p.samples = NULL;
    if (i == 3) p.tune_loss = "hinge";
    p.augment = i >= 4;
    if (i < 2) {
      assert_int_equal(sumi_graph_parse(hard, strlen(hard), sumi_op_find, sumi_allocator_default(), &g, NULL),
                       SUMI_OK);
      assert_int_equal(sumi_pass_infer(g, NULL, NULL, NULL), SUMI_OK);
    }
    check_refusal(&p, g ? g : network(), says[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tuning),        cmocka_unit_test(test_finetuning),
      cmocka_unit_test(test_tuned_further), cmocka_unit_test(test_tuning_stopped),
      cmocka_unit_test(test_gradual),       cmocka_unit_test(test_refused_tuning)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

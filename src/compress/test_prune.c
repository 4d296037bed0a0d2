/* Pruning of a small network: what is reached, what is refused, and that a job that was stopped goes on where it was. */
#include <math.h>

#include "compress/prune_test.h"
#include "sparse/pattern.h"

/* ---- what is reached -------------------------------------------------------------------------------------------- */

static double density_of(const struct layer_of_weight *l) {
  int64_t kept = 0;
  for (int64_t k = 0; k < l->rows * l->cols; k++) kept += l->keep[k];
  return (double)kept / (double)(l->rows * l->cols);
}

static void test_patterns(void **state) {
  (void)state;
  static const struct {
    const char *pattern;
    double sparsity;
  } cases[] = {{"1x1", 0.5}, {"1x4", 0.75}, {"4x4", 0.5}, {"8x4", 0.5}, {"2:4", 0}, {"1/8", 0}};
  struct data d;
  fill(&d);
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    struct sumi_graph *g = network();
    struct sumi_changes changes;
    struct sumi_prune_info info;
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_prune_options o = options_of(&d);
    struct sumi_pattern pattern;
    o.pattern = cases[i].pattern;
    o.sparsity = cases[i].sparsity;
    sumi_changes_init(&changes, sumi_allocator_default());
    if (sumi_prune(g, NULL, 1, &o, &changes, &info, &err) != SUMI_OK)
      fail_msg("%s: %s", cases[i].pattern, err.text);
    assert_int_equal(sumi_pattern_parse(cases[i].pattern, &pattern, NULL), SUMI_OK);
    assert_int_equal(info.pruned, 2);
    assert_true(info.loss > 0 && info.loss < 1);
    const double density = cases[i].sparsity > 0 ? 1 - cases[i].sparsity : (double)pattern.a / pattern.b;
    const char *const middle[] = {"w1", "w2"};
    for (int k = 0; k < 2; k++) {
      struct layer_of_weight l;
      read_layer(g, middle[k], &l);
      assert_true(fabs(density_of(&l) - density) < 1e-9);
      assert_true(sumi_pattern_kept(pattern, (struct sumi_mask){l.rows, l.cols, l.keep, 0}));
    }
    struct layer_of_weight ends;
    read_layer(g, "w0", &ends);
    assert_true(density_of(&ends) == 1);
    size_t constants = 0;
    for (size_t k = 0; k < changes.n; k++) constants += changes.change[k].kind == SUMI_CHANGE_CONSTANT;
    assert_int_equal(constants, 2);
    assert_true(changes.n > constants);
    sumi_changes_fini(&changes);
    sumi_graph_free(g);
  }
}

/* Weights that a caller might give are pruned, and so is what stands for them in the file. */
static void test_defaults(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_prune_info info;
  struct sumi_changes changes;
  struct sumi_graph *g = NULL;
  static const char text[] =
      "<opset_import: [\"\": 17]> g (float[N,2] x, float[2,4] w = {1, 8, -2, 7, 6, -3, 5, 4}) "
      "=> (float[N,4] y) { y = MatMul (x, w) }";
  const struct sumi_prune_options o = {
      .size = sizeof o, .sparsity = 0.5, .method = "magnitude", .ends = true};
  assert_int_equal(sumi_graph_parse(text, sizeof text - 1, sumi_op_find, sumi_allocator_default(), &g, &err),
                   SUMI_OK);
  assert_int_equal(sumi_pass_infer(g, NULL, NULL, &err), SUMI_OK);
  sumi_changes_init(&changes, sumi_allocator_default());
  if (sumi_prune(g, NULL, 1, &o, &changes, &info, &err) != SUMI_OK) fail_msg("%s", err.text);
  assert_int_equal(info.pruned, 1);
  assert_string_equal(changes.change[0].name, "w");
  static const float want[] = {0, 8, 0, 7, 6, 0, 5, 0};
  assert_memory_equal(changes.change[0].tensor->data, want, sizeof want);
  sumi_changes_fini(&changes);
  sumi_graph_free(g);
}

/* ---- stopping and going on -------------------------------------------------------------------------------------- */

struct stopper {
  int layers, most; /* layers begun, and how many may be */
  char last[32];
};

static bool on_progress(void *user, const struct sumi_progress *p) {
  struct stopper *s = user;
  if (sumi_streq(p->what, "alps") && !sumi_streq(p->layer, s->last)) {
    snprintf(s->last, sizeof s->last, "%s", p->layer);
    s->layers++;
  }
  return s->layers <= s->most;
}

static sumi_status job(struct sumi_graph *g, const struct data *d, struct stopper *s, bool resume,
                       double sparsity, size_t *resumed) {
  struct sumi_changes changes;
  struct sumi_prune_info info;
  struct sumi_prune_options o = options_of(d);
  o.sparsity = sparsity;
  o.ends = true;
  o.state = state_path;
  o.resume = resume;
  o.on_progress = on_progress;
  o.user = s;
  sumi_changes_init(&changes, sumi_allocator_default());
  const sumi_status status = sumi_prune(g, NULL, 1, &o, &changes, &info, NULL);
  *resumed = info.resumed;
  sumi_changes_fini(&changes);
  return status;
}

static void cut_file(const char *path, long bytes) {
  FILE *f = fopen(path, "r+b");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  const long n = ftell(f);
  fclose(f);
  assert_int_equal(truncate(path, n - bytes), 0);
}

static void test_resume(void **state) {
  (void)state;
  struct data d;
  fill(&d);
  struct sumi_graph *whole = network(), *stopped = network(), *resumed = network(), *other = network(),
                    *damaged = network();
  size_t n;
  unlink(state_path);
  assert_int_equal(job(whole, &d, &(struct stopper){.most = 99}, true, 0.5, &n),
                   SUMI_E_STATE); /* there is none */
  assert_int_equal(job(whole, &d, &(struct stopper){.most = 99}, false, 0.5, &n), SUMI_OK);
  assert_int_equal(n, 0);
  unlink(state_path);
  assert_int_equal(job(stopped, &d, &(struct stopper){.most = 2}, false, 0.5, &n), SUMI_E_STATE);
  assert_int_equal(job(other, &d, &(struct stopper){.most = 99}, true, 0.25, &n),
                   SUMI_E_STATE); /* of another job */
  struct stopper s = {.most = 99};
  assert_int_equal(job(resumed, &d, &s, true, 0.5, &n), SUMI_OK);
  assert_int_equal(n, 2);
  assert_int_equal(s.layers, 2); /* and nothing twice */
  /* a file that ends in the middle of a layer lacks that layer alone */
  cut_file(state_path, 5);
  s = (struct stopper){.most = 99};
  assert_int_equal(job(damaged, &d, &s, false, 0.5, &n), SUMI_OK);
  assert_int_equal(n, 3);
  assert_int_equal(s.layers, 1);
  for (int i = 0; i < 4; i++) {
    char name[] = {'w', (char)('0' + i), 0};
    struct layer_of_weight a, b, c;
    read_layer(whole, name, &a);
    read_layer(resumed, name, &b);
    read_layer(damaged, name, &c);
    assert_memory_equal(a.w, b.w, (size_t)(a.rows * a.cols) * sizeof *a.w);
    assert_memory_equal(a.w, c.w, (size_t)(a.rows * a.cols) * sizeof *a.w);
  }
  struct sumi_graph *const all[] = {whole, stopped, resumed, other, damaged};
  for (size_t i = 0; i < SUMI_COUNT(all); i++) sumi_graph_free(all[i]);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void test_refused_options(void **state) {
  (void)state;
  struct data d;
  fill(&d);
  const struct sumi_prune_options good = options_of(&d);
  const char *const nobody = "nobody*", *const second = "second";
  struct sumi_prune_options o = good;
#define REFUSED(change, says)           \
  do {                                  \
    o = good;                           \
    change;                             \
    check_refusal(&o, network(), says); \
  } while (0)
  REFUSED(o.pattern = "4y4", "is no pattern");
  REFUSED(o.pattern = "64x4", "no layer can have the pattern 64x4");
  REFUSED(o.sparsity = 0, "a sparsity or a speed-up is missing");
  REFUSED(o.sparsity = 1.5, "less than 1");
  REFUSED(o.speedup = 2, "not both");
  REFUSED((o.pattern = "2:4", o.sparsity = 0.9), "has a sparsity of 0.5");
  REFUSED(o.method = "guess", "there is no method 'guess'");
  REFUSED(o.budget = "guess", "there is no budget 'guess'");
  REFUSED((o.samples = NULL, o.method = "alps"), "needs calibration data");
  REFUSED((o.samples = NULL, o.budget = "search"), "needs calibration data");
  REFUSED((o.layers = &nobody, o.n_layers = 1), "no layer is called 'nobody*'");
  REFUSED((o.layers = &second, o.n_layers = 1, o.skip = &second, o.n_skip = 1), "to be skipped");
  REFUSED((o.sparsity = 0, o.speedup = 1e5), "cannot be reached");
#undef REFUSED
}

static void test_refused_data(void **state) {
  (void)state;
  struct data d;
  fill(&d);
  struct sumi_prune_options o = options_of(&d);
  d.x[100] = NAN;
  check_refusal(&o, network(), "not finite");
  fill(&d);
  d.dims[1] = IN / 2;
  check_refusal(&o, network(), "x");
  fill(&d);
  d.samples.n = 1;
  check_refusal(&o, network(), "too few samples");
  fill(&d);
  d.samples.n = 0;
  check_refusal(&o, network(), "no sample");
}

static void test_refused_networks(void **state) {
  (void)state;
  struct data d;
  fill(&d);
  struct sumi_prune_options o = options_of(&d);
  struct sumi_graph *g = network();
  struct sumi_changes changes;
  struct sumi_prune_info info;
  sumi_changes_init(&changes, sumi_allocator_default());
  assert_int_equal(sumi_prune(g, NULL, 1, &o, &changes, &info, NULL), SUMI_OK);
  check_refusal(&o, g, "already sparse");
  sumi_changes_fini(&changes);
  static const char quantised[] = "<opset_import: [\"\": 17]> g (float[N,4] x) => (float[N,2] y) <int8[4,2] "
                                  "w = {1, 2, 3, 4, 5, 6, 7, 8}, "
                                  "float s = {0.5}> { v = DequantizeLinear (w, s)  y = MatMul (x, v) }";
  static const char none[] = "<opset_import: [\"\": 17]> g (float[N,4] x) => (float[N,4] y) { y = Relu (x) }";
  const char *const cases[][2] = {{quantised, "already quantised"}, {none, "no layer with constant weights"}};
  for (size_t i = 0; i < SUMI_COUNT(cases); i++) {
    g = NULL;
    assert_int_equal(
        sumi_graph_parse(cases[i][0], strlen(cases[i][0]), sumi_op_find, sumi_allocator_default(), &g, NULL),
        SUMI_OK);
    assert_int_equal(sumi_pass_infer(g, NULL, NULL, NULL), SUMI_OK);
    check_refusal(&o, g, cases[i][1]);
  }
}

/* ---- budgets ---------------------------------------------------------------------------------------------------- */

static void test_search(void **state) {
  (void)state;
  struct data d;
  fill(&d);
  const char *const budgets[] = {"erk", "search"};
  for (size_t i = 0; i < SUMI_COUNT(budgets); i++) {
    struct sumi_graph *g = network();
    struct sumi_changes changes;
    struct sumi_prune_info info;
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_prune_options o = options_of(&d);
    o.budget = budgets[i];
    o.ends = true;
    sumi_changes_init(&changes, sumi_allocator_default());
    if (sumi_prune(g, NULL, 1, &o, &changes, &info, &err) != SUMI_OK) fail_msg("%s", err.text);
    double kept = 0, weights = 0;
    for (int k = 0; k < 4; k++) {
      char name[] = {'w', (char)('0' + k), 0};
      struct layer_of_weight l;
      read_layer(g, name, &l);
      kept += density_of(&l) * (double)(l.rows * l.cols);
      weights += (double)(l.rows * l.cols);
    }
    assert_true(kept <= 0.5 * weights + 4 && kept > 0.35 * weights);
    sumi_changes_fini(&changes);
    sumi_graph_free(g);
  }
}

/* Two layers alike, one of which the output shows ten times as much of: to that one the search gives more. */
static void test_search_weighs(void **state) {
  (void)state;
  struct data d;
  struct sumi_text t;
  struct sumi_changes changes;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  struct layer_of_weight loud, soft;
  fill(&d);
  struct sumi_prune_options o = options_of(&d);
  o.budget = "search";
  o.ends = true;
  sumi_text_init(&t, sumi_allocator_default());
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g (float[N,16] x) => (float[N,24] y) <");
  add_weights(&t, "w0", 16, 24, 1);
  add_weights(&t, "w1", 16, 24, 2);
  sumi_text_add(&t, ", float ten = {10}> {\n  [loud] a = MatMul (x, w0)\n  b = Mul (a, ten)\n"
                    "  [soft] c = MatMul (x, w1)\n  y = Add (b, c)\n}");
  struct sumi_graph *g = graph_of(&t);
  sumi_changes_init(&changes, sumi_allocator_default());
  if (sumi_prune(g, NULL, 1, &o, &changes, &info, &err) != SUMI_OK) fail_msg("%s", err.text);
  read_layer(g, "w0", &loud);
  read_layer(g, "w1", &soft);
  assert_true(density_of(&loud) > density_of(&soft) + 0.3);
  assert_true(info.sparsity >= 0.499);
  sumi_changes_fini(&changes);
  sumi_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_patterns),     cmocka_unit_test(test_defaults),
      cmocka_unit_test(test_resume),       cmocka_unit_test(test_refused_options),
      cmocka_unit_test(test_refused_data), cmocka_unit_test(test_refused_networks),
      cmocka_unit_test(test_search),       cmocka_unit_test(test_search_weighs),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

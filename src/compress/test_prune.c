/* Pruning of a small network: what is reached, what is refused, and that a job that was stopped goes on where it was. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/size.h"
#include "compress/layer.h"
#include "compress/prune.h"
#include "op/ops.h"
#include "pass/pass.h"
#include "sparse/pattern.h"

enum { N = 64, IN = 16, DATA = N * IN };

static char folder[] = "/tmp/sumi_prune_XXXXXX";
static char state_path[64];

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(state_path, sizeof state_path, "%s/state", folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(state_path);
  return rmdir(folder);
}

/* ---- a network and its data ------------------------------------------------------------------------------------- */

static void add_weights(struct sumi_text *t, const char *name, int k, int n, uint64_t seed) {
  struct sumi_random r;
  sumi_random_init(&r, seed);
  sumi_text_add(t, "%s float[%d,%d] %s = {", name[1] > '0' ? "," : "", k, n, name);
  for (int i = 0; i < k * n; i++) sumi_text_add(t, "%s%.5f", i ? ", " : "", sumi_random_normal(&r) / 4);
  sumi_text_add(t, "}");
}

/* batch: "N", or the only one it takes; seed: of the first layer */
static struct sumi_graph *network_of(const char *batch, uint64_t seed) {
  struct sumi_text t;
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_text_init(&t, sumi_allocator_default());
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g (float[%s,16] x) => (float[%s,4] y) <", batch, batch);
  add_weights(&t, "w0", 16, 24, seed);
  add_weights(&t, "w1", 24, 16, 2);
  add_weights(&t, "w2", 16, 8, 3);
  add_weights(&t, "w3", 8, 4, 4);
  sumi_text_add(&t, "> {\n  [first] a = MatMul (x, w0)\n  b = Relu (a)\n  [second] c = MatMul (b, w1)\n"
                    "  d = Relu (c)\n  [third] e = MatMul (d, w2)\n  [last] y = MatMul (e, w3)\n}");
  if (sumi_graph_parse(sumi_text_str(&t), t.size, sumi_op_find, sumi_allocator_default(), &g, &err) !=
          SUMI_OK ||
      sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  sumi_text_fini(&t);
  return g;
}

static struct sumi_graph *network(void) { return network_of("N", 1); }

struct data {
  float x[DATA];
  int64_t dims[2];
  struct sumi_view view;
  struct sumi_samples samples;
};

static sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views, size_t *n,
                       struct sumi_err *err) {
  (void)err;
  struct data *d = user;
  d->dims[0] = (int64_t)count;
  d->view.data = d->x + first * IN;
  *views = &d->view;
  *n = 1;
  return SUMI_OK;
}

static void fill(struct data *d) {
  struct sumi_random r;
  sumi_random_init(&r, 5);
  *d = (struct data){.dims = {0, IN}};
  for (int i = 0; i < DATA; i++) d->x[i] = (float)(sumi_random_normal(&r) + (i % IN ? d->x[i - 1] : 0));
  d->view = (struct sumi_view){
      .size = sizeof d->view, .name = "x", .dtype = SUMI_FLOAT32, .rank = 2, .dims = d->dims};
  d->samples = (struct sumi_samples){.size = sizeof d->samples, .n = N, .get = get, .user = d};
}

static struct sumi_prune_options options_of(const struct data *d) {
  return (struct sumi_prune_options){
      .size = sizeof(struct sumi_prune_options), .sparsity = 0.5, .samples = &d->samples};
}

/* ---- what is reached -------------------------------------------------------------------------------------------- */

struct layer_of_weight {
  int64_t rows, cols;
  uint8_t keep[1024];
  float w[1024];
};

/* The weights of that name in g, as a matrix. */
static void read_layer(struct sumi_graph *g, const char *weight, struct layer_of_weight *out) {
  struct sumi_arena arena;
  struct sumi_layer *layer;
  size_t n;
  sumi_arena_init(&arena, sumi_allocator_default());
  assert_int_equal(sumi_layers_find(g, &arena, &layer, &n, NULL), SUMI_OK);
  out->rows = 0;
  for (size_t i = 0; i < n; i++) {
    if (!sumi_streq(layer[i].weight->name, weight)) continue;
    out->rows = layer[i].product.rows;
    out->cols = sumi_layer_cols(&layer[i]);
    sumi_layer_read(&layer[i], out->w);
    for (int64_t k = 0; k < out->rows * out->cols; k++) out->keep[k] = out->w[k] != 0;
  }
  assert_true(out->rows > 0);
  sumi_arena_fini(&arena);
}

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

static void check_refusal(const struct sumi_prune_options *o, struct sumi_graph *take_graph,
                          const char *says) {
  struct sumi_changes changes;
  struct sumi_prune_info info;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_changes_init(&changes, sumi_allocator_default());
  const sumi_status status = sumi_prune(take_graph, NULL, 1, o, &changes, &info, &err);
  if (status == SUMI_OK || !strstr(err.text, says)) fail_msg("'%s' is not in '%s'", says, err.text);
  sumi_changes_fini(&changes);
  sumi_graph_free(take_graph);
}

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

/* ---- tuning ----------------------------------------------------------------------------------------------------- */

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
      cmocka_unit_test(test_patterns),         cmocka_unit_test(test_resume),
      cmocka_unit_test(test_refused_options),  cmocka_unit_test(test_refused_data),
      cmocka_unit_test(test_refused_networks), cmocka_unit_test(test_search),
      cmocka_unit_test(test_tuning),           cmocka_unit_test(test_tuning_stopped),
      cmocka_unit_test(test_refused_tuning),   cmocka_unit_test(test_finetuning),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

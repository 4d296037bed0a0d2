/* Tuning: the loss falls, zeros stay, results depend on nothing they should not, and what is refused is named. */
#include <math.h>

#include "base/mem_test.h"
#include "compress/tune_batch.h"
#include "compress/tune_test.h"

static struct source tokens = {.rank = 3, .dims = {0, 4, 8}};

/* Layers that are wide enough to be rounded. */
static struct sumi_graph *products(const struct sumi_allocator *a) {
  return parse(a, "(float[N,4,8] x) => (float[N,4,8] y)",
               "float[8,32] w0; float[32,24] w1; float[24] b1; float[24,16] w2; float[16,8] w3",
               "a = MatMul (x, w0) b = Relu (a) c = MatMul (b, w1) d = Add (c, b1) e = Relu (d) "
               "f = MatMul (e, w2) h = Tanh (f) y = MatMul (h, w3)");
}

/* ---- descent ---------------------------------------------------------------------------------------------------- */

/* The loss falls to less than `most` of what it was, zeros stay zeros, what is kept moves. */
static void falls(struct sumi_graph *dense, struct source *source, struct sumi_tune t, size_t n_param,
                  double most) {
  struct sumi_graph *g = pruned(dense), *after = pruned(dense);
  struct sumi_samples samples = samples_of(source);
  struct sumi_err err = SUMI_ERR_INIT;
  double first = 0, last = 0;
  t.graph = g, t.dense = dense, t.samples = &samples, t.batch = 16, t.epochs = 60;
  struct sumi_tuner *u = start(&t);
  assert_int_equal(sumi_tuner_steps(u), 120);
  assert_int_equal(sumi_tuner_count(u), n_param);
  steps(u, 120, &first, &last);
  if (!(last < most * first)) fail_msg("the loss was %g, and is %g", first, last);
  assert_int_equal(sumi_tuner_write(u, after, &err), SUMI_OK);
  for (size_t i = 0; i < n_param; i++) {
    const struct sumi_tensor *x = sumi_graph_find_value(g, sumi_tuner_name(u, i))->constant;
    const struct sumi_tensor *y = sumi_graph_find_value(after, sumi_tuner_name(u, i))->constant;
    size_t moved = 0;
    for (int64_t k = 0; k < sumi_tensor_count(x); k++) {
      const float was = ((const float *)x->data)[k], is = ((const float *)y->data)[k];
      if (was == 0 && x->rank > 1) assert_true(is == 0);
      moved += was != is;
    }
    if (!moved) fail_msg("'%s' did not move", sumi_tuner_name(u, i));
  }
  assert_int_equal(sumi_tuner_step(u, &last, &err), SUMI_E_STATE);
  sumi_tuner_free(u);
  sumi_graph_free(g);
  sumi_graph_free(after);
  sumi_graph_free(dense);
}

static void descends(void **state) {
  (void)state;
  int64_t labels[32];
  for (int i = 0; i < 32; i++) labels[i] = i % 5;
  falls(residual(NULL), &pictures, (struct sumi_tune){.rate = 5e-3}, 13, 0.2);
  falls(residual(NULL), &pictures, (struct sumi_tune){.rate = 5e-3, .loss = "kl"}, 13, 0.2);
  falls(residual(NULL), &pictures, (struct sumi_tune){.rate = 5e-3, .loss = "kl", .temperature = 3}, 13, 0.2);
  falls(residual(NULL), &pictures, (struct sumi_tune){.rate = 5e-3, .labels = labels, .label_share = 0.5}, 13,
        0.5);
  falls(residual(NULL), &pictures, (struct sumi_tune){.rate = 3e-2, .optimizer = "sgd"}, 13, 0.3);
  falls(residual(NULL), &pictures, (struct sumi_tune){.rate = 5e-3, .consecutive = true}, 13, 0.2);
  falls(attention(NULL), &tokens, (struct sumi_tune){.rate = 1e-2}, 7, 0.3);
}

/* What one step of plain descent adds to every weight: into delta[n], which the caller frees. */
static float *step_of(struct sumi_graph *g, struct sumi_graph *dense, struct source *source,
                      const char *precision, size_t *n) {
  struct sumi_samples samples = samples_of(source);
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *after = sumi_graph_clone(g, NULL);
  struct sumi_tuner *u = start(&(struct sumi_tune){.graph = g,
                                                   .dense = dense,
                                                   .samples = &samples,
                                                   .batch = 15, /* an image without a partner */
                                                   .optimizer = "sgd",
                                                   .precision = precision});
  float *delta = NULL;
  steps(u, 1, NULL, &(double){0});
  assert_int_equal(sumi_tuner_write(u, after, &err), SUMI_OK);
  *n = 0;
  for (size_t i = 0; i < sumi_tuner_count(u); i++) {
    const struct sumi_tensor *x = sumi_graph_find_value(g, sumi_tuner_name(u, i))->constant;
    const struct sumi_tensor *y = sumi_graph_find_value(after, sumi_tuner_name(u, i))->constant;
    const size_t count = (size_t)sumi_tensor_count(x);
    delta = realloc(delta, (*n + count) * sizeof *delta);
    for (size_t k = 0; k < count; k++) delta[*n + k] = ((float *)y->data)[k] - ((float *)x->data)[k];
    *n += count;
  }
  sumi_tuner_free(u);
  sumi_graph_free(after);
  return delta;
}

/* In bfloat16 a step goes where it goes in float32: convolutions of both strides, turned and not, products, their weights. */
static void rounds(void **state) {
  (void)state;
  struct sumi_graph *dense[] = {residual(NULL), products(NULL)};
  struct source *source[] = {&pictures, &tokens};
  for (int i = 0; i < 2; i++) {
    struct sumi_graph *g = pruned(dense[i]);
    size_t n, m;
    float *want = step_of(g, dense[i], source[i], "file", &n),
          *got = step_of(g, dense[i], source[i], "bf16", &m);
    double apart = 0, all = 0;
    assert_int_equal(n, m);
    for (size_t k = 0; k < n; k++) {
      apart += (double)(got[k] - want[k]) * (double)(got[k] - want[k]);
      all += (double)want[k] * (double)want[k];
    }
    /* 8 bits of a number, errors of many products that mostly cancel; but they are not the same */
    if (!(apart > 0 && apart < 0.02 * 0.02 * all)) fail_msg("%d: apart %g of %g", i, sqrt(apart), sqrt(all));
    free(want);
    free(got);
    sumi_graph_free(g);
    sumi_graph_free(dense[i]);
  }
}

/* One weight, one sample: y = w x towards 2 x from w = 1. loss = (w - 2)^2 / 4, its gradient (w - 2) / 2 = -1/2. The steps of plain
 * descent by the formulas. */
static void by_hand(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g[2];
  for (int i = 0; i < 2; i++) {
    const char *text = i ? "g (float[N,1] x) => (float[N,1] y) <float[1,1] w = {2}> { y = MatMul (x, w) }"
                         : "g (float[N,1] x) => (float[N,1] y) <float[1,1] w = {1}> { y = MatMul (x, w) }";
    assert_int_equal(sumi_graph_parse(text, strlen(text), sumi_op_find, NULL, &g[i], &err), SUMI_OK);
    assert_int_equal(sumi_pass_infer(g[i], NULL, NULL, &err), SUMI_OK);
  }
  struct source one = {.rank = 2, .dims = {0, 1}};
  struct sumi_samples samples = samples_of(&one);
  samples.n = 1;
  struct sumi_tune t = {.graph = g[0],
                        .dense = g[1],
                        .samples = &samples,
                        .optimizer = "sgd",
                        .rate = 0.1,
                        .momentum = 0.5,
                        .epochs = 4};
  struct sumi_tuner *u = start(&t);
  double w = 1, speed = 0;
  for (int i = 0; i < 4; i++) {
    double loss = 0;
    assert_int_equal(sumi_tuner_step(u, &loss, &err), SUMI_OK);
    assert_true(fabs(loss - (w - 2) * (w - 2) / 4) < 1e-6);
    speed = 0.5 * speed + (w - 2) / 2;
    w -= 0.1 * 0.5 * (1 + cos(M_PI * i / 4)) * speed;
  }
  assert_int_equal(sumi_tuner_write(u, g[0], &err), SUMI_OK);
  assert_true(fabs((double)*(const float *)sumi_graph_find_value(g[0], "w")->constant->data - w) < 1e-6);
  sumi_tuner_free(u);
  sumi_graph_free(g[0]);
  sumi_graph_free(g[1]);
}

/* ---- what the result does not depend on --------------------------------------------------------------------- */

static bool stop_at_7(void *user, const struct sumi_progress *p) {
  assert_string_equal(p->what, "tune");
  return ++*(int *)user != 7;
}

/* Bit by bit the same with one thread, with three, and stopped, saved and loaded in between. */
static void repeats(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *dense = residual(NULL), *g = pruned(dense), *one = pruned(dense), *other = pruned(dense);
  struct sumi_samples samples = samples_of(&pictures);
  int count = 0;
  struct sumi_tune t = {
      .graph = g, .dense = dense, .samples = &samples, .batch = 8, .epochs = 4, .augment = true, .seed = 3};
  struct sumi_tuner *u = start(&t);
  assert_int_equal(sumi_tuner_run(u, &err), SUMI_OK);
  assert_int_equal(sumi_tuner_write(u, one, &err), SUMI_OK);
  const double loss = sumi_tuner_loss(u);
  sumi_tuner_free(u);

  t.threads = 3, t.progress = stop_at_7, t.user = &count;
  u = start(&t);
  assert_int_equal(sumi_tuner_run(u, &err), SUMI_E_STATE);
  assert_int_equal(sumi_tuner_at(u), 7);
  struct sumi_blob *saved;
  assert_int_equal(sumi_tuner_save(u, &saved, &err), SUMI_OK);
  sumi_tuner_free(u);
  u = start(&t);
  assert_int_equal(sumi_tuner_load(u, saved->data, saved->bytes - 1, &err), SUMI_E_FORMAT);
  assert_int_equal(sumi_tuner_load(u, saved->data, saved->bytes, &err), SUMI_OK);
  sumi_blob_unref(saved);
  assert_int_equal(sumi_tuner_run(u, &err), SUMI_OK);
  assert_int_equal(sumi_tuner_write(u, other, &err), SUMI_OK);
  assert_true(sumi_tuner_loss(u) == loss);
  same_weights(u, one, other);
  sumi_tuner_free(u);
  sumi_graph_free(dense);
  sumi_graph_free(g);
  sumi_graph_free(one);
  sumi_graph_free(other);
}

struct thinned {
  size_t calls, steps, zeros; /* zeros: of w1 */
  double done;
};

/* One more weight of w1 goes each time. */
static sumi_status take_one(void *user, const char *name, double done, const float *score, float *w,
                            struct sumi_err *err) {
  struct thinned *t = user;
  (void)err;
  assert_true(name[0] == 'w');
  if (!sumi_streq(name, "w1")) return SUMI_OK;
  assert_true(done > t->done);
  t->done = done;
  size_t zeros = 0, k = 0;
  for (size_t i = 0; i < 576; i++) zeros += w[i] == 0;
  assert_int_equal(zeros, t->zeros); /* as it was left */
  for (size_t i = 0; i < 576; i++) {
    assert_true(w[i] != 0 ? score[i] > 0 : score[i] == 0);
    if (w[i] != 0 && (w[k] == 0 || score[i] < score[k])) k = i;
  }
  w[k] = 0;
  t->zeros++;
  t->calls++;
  return SUMI_OK;
}

static bool count_step(void *user, const struct sumi_progress *p) {
  (void)p;
  ((struct thinned *)user)->steps++;
  return true;
}

/* What is taken out meanwhile stays out, in either optimizer; it is asked for a hundred times, or behind every step. */
static void thins(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *dense = residual(NULL), *g = pruned(dense);
  struct sumi_samples samples = samples_of(&pictures);
  const float *w = sumi_graph_find_value(g, "w1")->constant->data;
  size_t zeros = 0;
  for (size_t i = 0; i < 576; i++) zeros += w[i] == 0;
  for (int i = 0; i < 2; i++) {
    struct thinned user = {.zeros = zeros};
    const struct sumi_tune t = {.graph = g,
                                .dense = dense,
                                .samples = &samples,
                                .batch = 8,
                                .epochs = i ? 10 : 60,
                                .optimizer = i ? "sgd" : "adam",
                                .thin = take_one,
                                .progress = count_step,
                                .user = &user};
    struct sumi_tuner *u = start(&t);
    assert_int_equal(sumi_tuner_run(u, &err), SUMI_OK);
    assert_int_equal(user.steps, i ? 40 : 240);
    assert_int_equal(user.calls, i ? 40 : 100);
    assert_true(user.done == 1);
    sumi_tuner_free(u);
  }
  sumi_graph_free(dense);
  sumi_graph_free(g);
}

/* ---- batches ---------------------------------------------------------------------------------------------------- */

/* Every sample once in an epoch, in another order in the next. */
static void shuffles(void **state) {
  (void)state;
  struct sumi_samples samples = samples_of(&pictures);
  for (int consecutive = 0; consecutive < 2; consecutive++) {
    const struct sumi_tune t = {.samples = &samples, .batch = 8, .seed = 5, .consecutive = consecutive};
    struct sumi_tune_batch *b;
    size_t n, order[2][32], seen = 0;
    const struct sumi_view *in;
    const size_t *sample;
    assert_int_equal(sumi_tune_batch_new(&t, sumi_allocator_default(), &b, NULL), SUMI_OK);
    for (size_t step = 0; step < 8; step++) {
      assert_int_equal(sumi_tune_batch_get(b, step, &in, &n, &sample, NULL), SUMI_OK);
      assert_int_equal(in->dims[0], 8);
      for (size_t i = 0; i < 8; i++) order[step / 4][step % 4 * 8 + i] = sample[i];
      struct source want = pictures;
      const struct sumi_view *view;
      get(&want, sample[3], 1, &view, &n, NULL);
      assert_memory_equal((const float *)in->data + 3 * 72, want.data, 72 * sizeof(float));
    }
    for (size_t i = 0; i < 32; i++) seen |= (size_t)1 << order[0][i];
    assert_int_equal(seen, 0xffffffff);
    assert_memory_not_equal(order[0], order[1], sizeof order[0]);
    sumi_tune_batch_free(b);
  }
}

/* The picture shifted by (dy, dx), mirrored or not, zeros coming in. */
static bool is_moved(const float *got, const float *x, int dy, int dx, bool mirror) {
  for (int i = 0; i < 72; i++) {
    const int c = i / 36, row = i / 6 % 6 - dy, col = i % 6 - dx, from = mirror ? 5 - col : col;
    const bool inside = row >= 0 && row < 6 && from >= 0 && from < 6;
    if (got[i] != (inside ? x[c * 36 + row * 6 + from] : 0)) return false;
  }
  return true;
}

static void augments(void **state) {
  (void)state;
  struct sumi_samples samples = samples_of(&pictures);
  const struct sumi_tune t = {.samples = &samples, .batch = 32, .augment = true};
  struct sumi_tune_batch *b;
  const struct sumi_view *in;
  const size_t *sample;
  size_t n, ways[2] = {0}, still = 0;
  assert_int_equal(sumi_tune_batch_new(&t, sumi_allocator_default(), &b, NULL), SUMI_OK);
  assert_int_equal(sumi_tune_batch_get(b, 0, &in, &n, &sample, NULL), SUMI_OK);
  for (size_t i = 0; i < 32; i++) {
    struct source want = pictures;
    const struct sumi_view *view;
    bool found = false;
    get(&want, sample[i], 1, &view, &n, NULL);
    for (int k = 0; k < 2 * 81 && !found; k++) {
      const int dy = k / 2 / 9 - 4, dx = k / 2 % 9 - 4;
      found = is_moved((const float *)in->data + i * 72, want.data, dy, dx, k % 2);
      ways[k % 2] += found;
      still += found && !dy && !dx;
    }
    assert_true(found);
  }
  assert_true(ways[0] > 4 && ways[1] > 4 && still < 8);
  sumi_tune_batch_free(b);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */

static void refuses(struct sumi_tune t, sumi_status status, const char *why) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_tuner *u = NULL;
  assert_int_equal(sumi_tuner_new(&t, sumi_allocator_default(), &u, &err), status);
  if (!strstr(err.text, why)) fail_msg("'%s' does not say '%s'", err.text, why);
}

static void refusals(void **state) {
  (void)state;
  struct sumi_graph *g = residual(NULL);
  struct sumi_graph *hard = parse(NULL, "(float[N,4] x) => (float[N,4] y)", "float[4,4] w",
                                  "a = MatMul (x, w) [h] b = Hardmax (a) y = Neg (b)");
  struct sumi_graph *none = parse(NULL, "(float[N,4] x) => (float[N,4] y)", "float[1] w", "y = Add (x, w)");
  struct sumi_samples samples = samples_of(&pictures), empty = samples;
  empty.n = 0;
  const struct sumi_tune t = {.graph = g, .dense = g, .samples = &samples};
  struct sumi_tune u = t;
  u.graph = u.dense = hard;
  refuses(u, SUMI_E_UNSUPPORTED, "node 'h' (Hardmax): the operator has no gradient");
  u.graph = u.dense = none;
  refuses(u, SUMI_E_VALUE, "nothing to train");
  u = t, u.to = "nowhere";
  refuses(u, SUMI_E_ARG, "there is no value 'nowhere'");
  u = t, u.loss = "hinge";
  refuses(u, SUMI_E_ARG, "the loss 'hinge'");
  u = t, u.optimizer = "lion";
  refuses(u, SUMI_E_ARG, "the optimizer 'lion'");
  u = t, u.label_share = 0.5;
  refuses(u, SUMI_E_ARG, "without labels");
  u = t, u.momentum = 1;
  refuses(u, SUMI_E_ARG, "momentum");
  u = t, u.samples = &empty;
  refuses(u, SUMI_E_ARG, "no samples");
  sumi_graph_free(g);
  sumi_graph_free(hard);
  sumi_graph_free(none);
}

/* What only a step can find: samples of another shape, labels that are none, numbers that are none. */
static void refused_steps(void **state) {
  (void)state;
  struct sumi_graph *dense = residual(NULL), *g = pruned(dense);
  struct sumi_samples samples = samples_of(&tokens);
  int64_t labels[32] = {0};
  labels[9] = 5;
  struct sumi_tune t = {.graph = g, .dense = dense, .samples = &samples, .batch = 32};
  for (int i = 0; i < 3; i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    double loss;
    if (i == 1) samples.user = &pictures, t.labels = labels, t.label_share = 0.1;
    if (i == 2) t.labels = NULL, t.label_share = 0, t.rate = 1e30, t.epochs = 9;
    struct sumi_tuner *u = start(&t);
    sumi_status status = SUMI_OK;
    for (int k = 0; k < 3 && status == SUMI_OK; k++) status = sumi_tuner_step(u, &loss, &err);
    assert_int_equal(status, i ? SUMI_E_VALUE : SUMI_E_SHAPE);
    if (i) assert_non_null(strstr(err.text, i == 1 ? "label 5 of sample 9" : "not finite"));
    sumi_tuner_free(u);
  }
  sumi_graph_free(g);
  sumi_graph_free(dense);
}

static void failing_allocations(void **state) {
  (void)state;
  struct sumi_graph *g = parse(NULL, "(float[N,2,6,6] x) => (float[N,3] y)", "float[3,2,3,3] w; float[3] b",
                               "a = Conv (x, w, b) r = Relu (a) m = GlobalAveragePool (r) y = Flatten (m)");
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_samples samples = samples_of(&pictures);
  for (long n = 0;; n++) {
    sumi_test_heap_fail(&heap, n);
    const struct sumi_tune t = {
        .graph = g, .dense = g, .samples = &samples, .batch = 16, .epochs = 2, .keep_bytes = 1 << 20};
    struct sumi_tuner *u = NULL;
    struct sumi_blob *saved = NULL;
    sumi_status status = sumi_tuner_new(&t, a, &u, NULL);
    if (status == SUMI_OK) status = sumi_tuner_run(u, NULL);
    if (status == SUMI_OK) status = sumi_tuner_save(u, &saved, NULL);
    sumi_blob_unref(saved);
    sumi_tuner_free(u);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) {
      assert_int_equal(status, SUMI_OK);
      assert_true(n > 20);
      break;
    }
    assert_true(status == SUMI_E_MEMORY || status == SUMI_OK);
  }
  sumi_graph_free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand),       cmocka_unit_test(descends),
                                     cmocka_unit_test(rounds),        cmocka_unit_test(repeats),
                                     cmocka_unit_test(thins),         cmocka_unit_test(shuffles),
                                     cmocka_unit_test(augments),      cmocka_unit_test(refusals),
                                     cmocka_unit_test(refused_steps), cmocka_unit_test(failing_allocations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

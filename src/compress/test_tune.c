/* Tuning: the loss falls, zeros stay, results depend on nothing they should not, and what is refused is named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/reread.h"
#include "compress/layer.h"
#include "compress/tune_batch.h"
#include "op/ops.h"
#include "pass/pass.h"

/* ---- networks and samples --------------------------------------------------------------------------------------- */

/* A network's text with constants of random contents: "float[2,3] w; float[3] b". */
static void constants(struct sumi_text *t, const char *list, struct sumi_random *r) {
  for (const char *at = list; *at;) {
    const char *end = strchr(at, ';');
    const size_t n = end ? (size_t)(end - at) : strlen(at);
    int64_t count = 1;
    for (const char *p = strchr(at, '[') + 1; p < at + n && p[-1] != ']';) {
      char *next;
      count *= strtol(p, &next, 10);
      p = next + 1;
    }
    sumi_text_add(t, "%s%.*s = {", at == list ? "" : ", ", (int)n, at);
    for (int64_t i = 0; i < count; i++) sumi_text_add(t, "%s%.6f", i ? ", " : "", sumi_random_normal(r) / 3);
    sumi_text_add(t, "}");
    at += n + (end != NULL);
  }
}

static struct sumi_graph *parse(const struct sumi_allocator *a, const char *head, const char *list,
                                const char *body) {
  struct sumi_text t;
  struct sumi_random r;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  sumi_text_init(&t, NULL);
  sumi_random_init(&r, 7);
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g %s <", head);
  constants(&t, list, &r);
  sumi_text_add(&t, "> { %s }", body);
  const char *text = sumi_text_str(&t);
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, &err) != SUMI_OK ||
      sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, text);
  sumi_text_fini(&t);
  return g;
}

/* Two residual blocks behind a first convolution, and a last layer. */
static struct sumi_graph *residual(const struct sumi_allocator *a) {
  return parse(
      a, "(float[N,2,6,6] x) => (float[N,5] y)",
      "float[8,2,3,3] w0; float[8] b0; float[8,8,3,3] w1; float[8] b1; float[8,8,3,3] w2; float[8] b2; "
      "float[12,8,3,3] w3; float[12] b3; float[12,12,3,3] w4; float[12] b4; float[12,8,1,1] w5; "
      "float[5,12] w6; float[5] b6",
      "a = Conv <pads = [1, 1, 1, 1]> (x, w0, b0) h0 = Relu (a) "
      "b = Conv <pads = [1, 1, 1, 1]> (h0, w1, b1) c = Relu (b) "
      "d = Conv <pads = [1, 1, 1, 1]> (c, w2, b2) e = Add (d, h0) h1 = Relu (e) "
      "f = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (h1, w3, b3) i = Relu (f) "
      "j = Conv <pads = [1, 1, 1, 1]> (i, w4, b4) k = Conv <strides = [2, 2]> (h1, w5) l = Add (j, k) "
      "h2 = Relu (l) m = GlobalAveragePool (h2) n = Flatten (m) y = Gemm <transB = 1> (n, w6, b6)");
}

/* An attention block: products, softmax, normalisation. */
static struct sumi_graph *attention(const struct sumi_allocator *a) {
  return parse(
      a, "(float[N,4,8] x) => (float[N,4,8] y)",
      "float[8,8] wq; float[8,8] wk; float[8,8] wv; float[8,8] wo; float[8] bo; float[8] s; float[8] z",
      "q = MatMul (x, wq) k = MatMul (x, wk) v = MatMul (x, wv) kt = Transpose <perm = [0, 2, 1]> (k) "
      "qk = MatMul (q, kt) p = Softmax <axis = -1> (qk) pv = MatMul (p, v) o = MatMul (pv, wo) "
      "ob = Add (o, bo) r = Add (ob, x) y = LayerNormalization (r, s, z)");
}

struct source {
  int rank;
  int64_t dims[4];
  float data[32 * 128];
  struct sumi_view view;
};

static sumi_status get(void *user, size_t first, size_t count, const struct sumi_view **views, size_t *n,
                       struct sumi_err *err) {
  struct source *s = user;
  (void)err;
  assert_true(first + count <= 32);
  size_t each = 1;
  for (int i = 1; i < s->rank; i++) each *= (size_t)s->dims[i];
  for (size_t i = 0; i < count; i++) {
    struct sumi_random r;
    sumi_random_init(&r, 100 + first + i);
    for (size_t k = 0; k < each; k++) s->data[i * each + k] = (float)sumi_random_normal(&r);
  }
  s->dims[0] = (int64_t)count;
  s->view = (struct sumi_view){.size = sizeof s->view,
                               .name = "x",
                               .data = s->data,
                               .dtype = SUMI_FLOAT32,
                               .rank = s->rank,
                               .dims = s->dims};
  *views = &s->view;
  *n = 1;
  return SUMI_OK;
}

static struct source pictures = {.rank = 4, .dims = {0, 2, 6, 6}}, tokens = {.rank = 3, .dims = {0, 4, 8}};

static struct sumi_samples samples_of(struct source *s) {
  return (struct sumi_samples){.size = sizeof(struct sumi_samples), .n = 32, .get = get, .user = s};
}

/* A copy of g in which half of the weights of every layer are 0. */
static struct sumi_graph *pruned(const struct sumi_graph *dense) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = sumi_graph_clone(dense, &err);
  struct sumi_arena arena;
  struct sumi_layer *l;
  size_t n;
  assert_non_null(g);
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_pass_infer(g, NULL, NULL, &err), SUMI_OK);
  assert_int_equal(sumi_layers_find(g, &arena, &l, &n, &err), SUMI_OK);
  for (size_t i = 0; i < n; i++) {
    const int64_t count = l[i].product.rows * sumi_layer_cols(&l[i]);
    float *w = SUMI_NEW_ARRAY(&arena, (size_t)count, float);
    sumi_layer_read(&l[i], w);
    for (int64_t k = 0; k < count; k++)
      if ((k * 7 + k / 5) % 2) w[k] = 0;
    assert_int_equal(sumi_layer_write(&l[i], w, &err), SUMI_OK);
  }
  sumi_arena_fini(&arena);
  return g;
}

static struct sumi_tuner *start(const struct sumi_tune *t) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_tuner *u = NULL;
  if (sumi_tuner_new(t, sumi_allocator_default(), &u, &err) != SUMI_OK) fail_msg("%s", err.text);
  return u;
}

/* Does so many steps; the first and the last loss. */
static void steps(struct sumi_tuner *u, size_t n, double *first, double *last) {
  struct sumi_err err = SUMI_ERR_INIT;
  for (size_t i = 0; i < n; i++) {
    if (sumi_tuner_step(u, last, &err) != SUMI_OK) fail_msg("%s", err.text);
    if (!i && first) *first = *last;
  }
}

static void same_weights(const struct sumi_tuner *u, struct sumi_graph *a, struct sumi_graph *b) {
  for (size_t i = 0; i < sumi_tuner_count(u); i++) {
    const struct sumi_tensor *x = sumi_graph_find_value(a, sumi_tuner_name(u, i))->constant;
    const struct sumi_tensor *y = sumi_graph_find_value(b, sumi_tuner_name(u, i))->constant;
    assert_memory_equal(x->data, y->data, (size_t)sumi_tensor_count(x) * sizeof(float));
  }
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

/* ---- parts ------------------------------------------------------------------------------------------------------ */

static void parts(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *dense = residual(NULL), *g = pruned(dense);
  struct sumi_samples samples = samples_of(&pictures);
  struct sumi_arena arena;
  struct sumi_block_part *part;
  size_t n;
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_tune_find_parts(g, &arena, &part, &n, &err), SUMI_OK);
  assert_int_equal(n, 2);
  assert_string_equal(part[0].to, "h1");
  assert_int_equal(part[0].n_from, 0);
  assert_int_equal(part[0].layers, 3);
  assert_string_equal(part[1].from[0], "h1");
  assert_int_equal(part[1].n_from, 1);
  assert_int_equal(part[1].layers, 4);
  assert_string_equal(part[1].to, "y");
  double before[2], after[2];
  struct sumi_tune t = {.dense = dense, .samples = &samples, .batch = 16, .epochs = 1, .rate = 1e-9};
  assert_int_equal(sumi_tune_parts(&t, g, part, n, before, &err), SUMI_OK);
  t.epochs = 60, t.rate = 5e-3;
  assert_int_equal(sumi_tune_parts(&t, g, part, n, after, &err), SUMI_OK);
  for (size_t i = 0; i < n; i++)
    if (!(after[i] < 0.5 * before[i])) fail_msg("part %zu: %g, then %g", i, before[i], after[i]);
  sumi_arena_fini(&arena);
  sumi_graph_free(g);
  sumi_graph_free(dense);
}

/* Layers' weights in memory that sessions may give back, as a file's copies are. */
static void make_rereadable(struct sumi_graph *g) {
  for (size_t i = 0; i < g->n_value; i++) {
    struct sumi_value *v = g->value[i];
    if (!v->constant || v->constant->rank < 2) continue;
    const size_t bytes = (size_t)sumi_tensor_count(v->constant) * sizeof(float);
    struct sumi_blob *source = sumi_blob_new(g->allocator, bytes);
    struct sumi_tensor *t = SUMI_NEW(g->arena, struct sumi_tensor);
    assert_true(source && t);
    memcpy(sumi_blob_bytes(source), v->constant->data, bytes);
    struct sumi_blob *copy = sumi_reread_new(g->allocator, source, source->data, bytes);
    assert_non_null(copy);
    *t = *v->constant;
    t->data = (void *)(uintptr_t)copy->data;
    sumi_graph_set_constant(v, t, copy);
    sumi_blob_unref(source);
  }
}

/* Sessions of the dense network, of the front and of each part share constants, and none takes them from another. Weights of
 * many pages: only whole ones are given back. */
static void constants_stay(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *dense =
      parse(NULL, "(float[N,2,6,6] x) => (float[N,32,6,6] y)",
            "float[32,2,3,3] a; float[32,32,3,3] b; float[32,32,3,3] c; float[32,32,3,3] d",
            "p = Conv <pads = [1, 1, 1, 1]> (x, a) q = Conv <pads = [1, 1, 1, 1]> (p, b) "
            "r = Relu (q) s = Conv <pads = [1, 1, 1, 1]> (r, c) "
            "t = Conv <pads = [1, 1, 1, 1]> (s, d) y = Add (t, r)");
  struct sumi_graph *g = sumi_graph_clone(dense, &err);
  struct sumi_samples samples = samples_of(&pictures);
  struct sumi_arena arena;
  struct sumi_block_part *part;
  size_t n;
  double losses[2];
  make_rereadable(dense);
  make_rereadable(g);
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_pass_infer(g, NULL, NULL, &err), SUMI_OK);
  assert_int_equal(sumi_tune_find_parts(g, &arena, &part, &n, &err), SUMI_OK);
  assert_int_equal(n, 2);
  const struct sumi_tune t = {.graph = g, .dense = dense, .samples = &samples, .batch = 16, .rate = 1e-12};
  struct sumi_tune turned = t;
  turned.graph = dense, turned.dense = g; /* g's weights are packed, as in any session of a model of g */
  struct sumi_tuner *u = start(&turned);
  steps(u, 1, NULL, losses);
  sumi_tuner_free(u);
  assert_int_equal(sumi_tune_parts(&t, g, part, n, losses, &err), SUMI_OK);
  for (size_t i = 0; i < n; i++) assert_true(losses[i] < 1e-9);
  sumi_arena_fini(&arena);
  sumi_graph_free(g);
  sumi_graph_free(dense);
}

/* A cut where two values are handed on is none. */
static void attention_part(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = attention(NULL);
  struct sumi_arena arena;
  struct sumi_block_part *part;
  size_t n;
  sumi_arena_init(&arena, NULL);
  assert_int_equal(sumi_tune_find_parts(g, &arena, &part, &n, &err), SUMI_OK);
  assert_true(n >= 1);
  assert_string_equal(part[n - 1].to, "y");
  for (size_t i = 0; i < n; i++)
    assert_false(!strcmp(part[i].to, "q") || !strcmp(part[i].to, "k") || !strcmp(part[i].to, "qk"));
  sumi_arena_fini(&arena);
  sumi_graph_free(g);
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
    const struct sumi_tune t = {.graph = g, .dense = g, .samples = &samples, .batch = 16, .augment = true};
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
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_hand),        cmocka_unit_test(descends),           cmocka_unit_test(repeats),
      cmocka_unit_test(shuffles),       cmocka_unit_test(augments),           cmocka_unit_test(parts),
      cmocka_unit_test(constants_stay), cmocka_unit_test(attention_part),     cmocka_unit_test(refusals),
      cmocka_unit_test(refused_steps),  cmocka_unit_test(failing_allocations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

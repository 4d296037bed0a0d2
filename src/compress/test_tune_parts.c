/* Tuning of parts of a network, and what it leaves of constants. */
#include "compress/tune_test.h"

#include "base/reread.h"
#include "compress/tune_kept.h"

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

/* Bit by bit the same whether what is in front of a part is computed anew in every epoch, kept, or too large to keep. */
static void keeps(void **state) {
  (void)state;
  static const size_t bytes[] = {0, 1 << 20, 3000};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *dense = residual(NULL), *g[3];
  struct sumi_samples samples = samples_of(&pictures);
  struct sumi_arena arena;
  struct sumi_block_part *part;
  size_t n;
  sumi_arena_init(&arena, NULL);
  for (int i = 0; i < 3; i++) {
    g[i] = pruned(dense);
    assert_int_equal(sumi_tune_find_parts(g[i], &arena, &part, &n, &err), SUMI_OK);
    const struct sumi_tune t = {
        .dense = dense, .samples = &samples, .batch = 8, .epochs = 5, .keep_bytes = bytes[i]};
    assert_int_equal(sumi_tune_parts(&t, g[i], part, n, NULL, &err), SUMI_OK);
    for (size_t k = 0; k < dense->n_value; k++) {
      const struct sumi_tensor *x = g[0]->value[k]->constant, *y = g[i]->value[k]->constant;
      if (x) assert_memory_equal(x->data, y->data, (size_t)sumi_tensor_count(x) * sizeof(float));
    }
  }
  for (int i = 0; i < 3; i++) sumi_graph_free(g[i]);
  sumi_graph_free(dense);
  sumi_arena_fini(&arena);
}

/* Rows come back for samples that are all there, in their order; values without a row a sample, or too many, are not kept. */
static void kept_rows(void **state) {
  (void)state;
  static const size_t asked[][2] = {{3, 0}, {0, 2}, {3, 3}};
  float data[2][3] = {{30, 31, 32}, {0, 1, 2}};
  int64_t dims[2] = {2, 3};
  struct sumi_err err = SUMI_ERR_INIT;
  for (int i = 0; i < 3; i++) {
    struct sumi_tune_kept *k;
    assert_int_equal(sumi_tune_kept_new(1, 4, 2, i == 1 ? 50 : 1000, sumi_allocator_default(), &k, &err),
                     SUMI_OK);
    dims[0] = i == 2 ? 6 : 2, dims[1] = i == 2 ? 1 : 3;
    struct sumi_view v = {
        .size = sizeof v, .name = "v", .data = data, .dtype = SUMI_FLOAT32, .rank = 2, .dims = dims};
    assert_false(sumi_tune_kept_get(k, asked[0], &v));
    assert_int_equal(sumi_tune_kept_put(k, asked[0], &v, &err), SUMI_OK);
    for (int n = 0; n < 3; n++) {
      struct sumi_view got = {.name = "mine"};
      assert_int_equal(sumi_tune_kept_get(k, asked[n], &got), i == 0 && n != 1);
      if (i || n == 1) continue;
      assert_string_equal(got.name, "mine");
      assert_true(got.rank == 2 && got.dims[0] == 2 && got.dims[1] == 3);
      for (int s = 0; s < 2; s++)
        for (int c = 0; c < 3; c++)
          assert_true(((const float *)got.data)[3 * s + c] == (float)(10 * (int)asked[n][s] + c));
    }
    sumi_tune_kept_free(k);
  }
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

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(keeps),
                                     cmocka_unit_test(kept_rows), cmocka_unit_test(constants_stay),
                                     cmocka_unit_test(attention_part)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Gradient on golden graphs, and what it refuses. The numbers are tests/ops/grad_cases.c's. */
#include "pass/golden_test.h"

#define GRAD " = ai.onnx.preview.training.Gradient "
#define PASS "expand-gradient"

static void by_the_rules(void **state) {
  (void)state;
  check(
      PASS,
      "g (float a, float b) => (float d, float p, float q) { c = Add (a, b) d = Mul (c, a) p, q" GRAD
      "<xs = [\"a\", \"b\"], y = \"d\"> (a, b) }",
      "g (float a, float b) => (float d, float p, float q) <float v_4 = {1}> { c = Add (a, b) d = Mul (c, a)"
      " v_5 = Mul (v_4, a) v_7 = Mul (v_4, c) v_9 = Add (v_7, v_5) p = Identity (v_9) q = Identity (v_5) }");
}

static void refuses(const char *text, sumi_status status, const char *why) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = parse(text);
  sumi_pass_infer(g, NULL, NULL, NULL);
  assert_int_equal(sumi_pass_run(sumi_pass_find(PASS), g, &err), status);
  if (!strstr(err.text, why)) fail_msg("'%s' does not say '%s'", err.text, why);
  sumi_graph_free(g);
}

static void refusals(void **state) {
  (void)state;
  refuses("g (float[2] a) => (b) { [h] c = Hardmax (a) d = Neg (c) b" GRAD "<xs = [\"a\"], y = \"d\"> (a) }",
          SUMI_E_UNSUPPORTED, "node 'h' (Hardmax): the operator has no gradient");
  refuses("g (float[2] a) => (b) { c = Neg (a) b" GRAD "<xs = [\"a\"], y = \"e\"> (a) }", SUMI_E_FORMAT,
          "there is no value 'e'");
  refuses("g (float[2] a) => (b) { b" GRAD "<xs = [\"a\"], y = \"b\"> (a) }", SUMI_E_FORMAT,
          "its own output");
  refuses("g (int32[2] a) => (b) { c = Neg (a) b" GRAD "<xs = [\"a\"], y = \"c\"> (a) }", SUMI_E_TYPE,
          "floating-point");
}

static size_t count_ops(const struct sumi_graph *g, const char *name) {
  size_t n = 0;
  for (size_t i = 0; i < g->n_node; i++) n += sumi_streq(g->node[i]->op->name, name);
  return n;
}

static struct sumi_graph *expanded(const char *text) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = parse(text);
  if (sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK ||
      sumi_pass_run(sumi_pass_find(PASS), g, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, text);
  return g;
}

/* What an output is, with all inputs one element and given in order. */
static double value_of(struct sumi_graph *g, const char *name, const float *in) {
  struct sumi_arena arena;
  sumi_arena_init(&arena, NULL);
  struct sumi_info *info = SUMI_NEW_ARRAY(&arena, g->n_value, struct sumi_info);
  struct sumi_info *of = SUMI_NEW_ARRAY(&arena, g->n_input, struct sumi_info);
  struct sumi_tensor *t = SUMI_NEW_ARRAY(&arena, g->n_input, struct sumi_tensor);
  for (size_t i = 0; i < g->n_input; i++) {
    t[i] = (struct sumi_tensor){.dtype = SUMI_FLOAT32, .data = (void *)(uintptr_t)&in[i]};
    of[i] = (struct sumi_info){.dtype = SUMI_FLOAT32, .data = &t[i]};
  }
  struct sumi_err err = SUMI_ERR_INIT;
  const struct sumi_infer_job job = {.graph = g, .in = of, .arena = &arena, .info = info, .fold_bytes = 64};
  if (sumi_graph_infer(&job, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_tensor *data = info[sumi_graph_find_value(g, name)->id].data;
  assert_non_null(data);
  const double v = sumi_get_f64(data->dtype, data->data, 0);
  sumi_arena_fini(&arena);
  return v;
}

/* The inputs of Gradient are where the gradient is taken, not the values named. */
static void elsewhere(void **state) {
  (void)state;
  struct sumi_graph *g =
      expanded("g (float x, float z, float u, float w) => (float y, float p) { a = Mul (x, x) y = Mul "
               "(a, z) p" GRAD "<xs = [\"x\"], zs = [\"z\"], y = \"y\"> (u, w) }");
  const float in[] = {2, 3, 5, 7};
  assert_true(value_of(g, "y", in) == 12);
  assert_true(value_of(g, "p", in) == 2 * 5 * 7);
  sumi_graph_free(g);
  /* an intermediate value is an independent one: what it comes from is not followed */
  g = expanded("g (float x) => (float p, float q) { a = Mul (x, x) y = Mul (a, x) p, q" GRAD
               "<xs = [\"a\", \"x\"], y = \"y\"> (a, x) }");
  assert_true(value_of(g, "p", in) == 2);
  assert_true(value_of(g, "q", in) == 4);
  sumi_graph_free(g);
}

/* The second derivative of x^3 is 6 x; of what does not depend on x it is zero. */
static void higher_order(void **state) {
  (void)state;
  struct sumi_graph *g =
      expanded("g (float x, float z) => (float p, float q, float r) { a = Mul (x, x) y = Mul (a, x) p" GRAD
               "<xs = [\"x\"], y = \"y\"> (x) q, r" GRAD "<xs = [\"x\", \"z\"], y = \"p\"> (x, z) }");
  const float in[] = {5, 1};
  assert_true(value_of(g, "p", in) == 75);
  assert_true(value_of(g, "q", in) == 30);
  assert_true(value_of(g, "r", in) == 0);
  assert_int_equal(count_ops(g, "ai.onnx.preview.training.Gradient"), 0);
  sumi_graph_free(g);
}

/* Broadcasting is undone by sums over known axes, and by nodes that look where dims are symbols. */
static void broadcasting(void **state) {
  (void)state;
  struct sumi_graph *g = expanded("g (float[2,3] x, float[3] z) => (y, p) { y = Mul (x, z) p" GRAD
                                  "<xs = [\"z\"], zs = [\"x\"], y = \"y\"> (z, x) }");
  assert_int_equal(count_ops(g, "ReduceSum"), 1);
  assert_int_equal(count_ops(g, "NonZero"), 0);
  sumi_graph_free(g);
  g = expanded("g (float[N,M] x, float[M] z) => (y, p) { y = Mul (x, z) p" GRAD
               "<xs = [\"z\"], zs = [\"x\"], y = \"y\"> (z, x) }");
  assert_int_equal(count_ops(g, "NonZero"), 0);
  sumi_graph_free(g);
  g = expanded("g (float[N,M] x, float[K] z) => (y, p) { y = Mul (x, z) p" GRAD
               "<xs = [\"z\"], zs = [\"x\"], y = \"y\"> (z, x) }");
  assert_int_equal(count_ops(g, "NonZero"), 1);
  sumi_graph_free(g);
}

/* A file may ask for derivatives of derivatives without end. */
static void grows_within_bounds(void **state) {
  (void)state;
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_text_add(&t, "g (float x) => (p0) { p0 = Tanh (x) ");
  for (int i = 1; i < 40; i++) sumi_text_add(&t, "p%d" GRAD "<xs = [\"x\"], y = \"p%d\"> (x) ", i, i - 1);
  sumi_text_add(&t, "}");
  refuses(sumi_text_str(&t), SUMI_E_LIMIT, "derivatives of derivatives");
  sumi_text_fini(&t);
}

static void every_allocation_fails(void **state) {
  (void)state;
  survives_failed_allocations("g (float[1,1,4,4] x, float[1,1,3,3] w, float[4,4] u) => (y, p, q) { c = Conv "
                              "<strides = [2, 2], pads = [1, 1, 1, 1]>"
                              " (x, w) r = Relu (c) s = Softmax (r) y = ReduceMean (s) p, q" GRAD
                              "<xs = [\"w\", \"x\"], y = \"y\"> (w, x) }");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_the_rules),
      cmocka_unit_test(refusals),
      cmocka_unit_test(elsewhere),
      cmocka_unit_test(higher_order),
      cmocka_unit_test(broadcasting),
      cmocka_unit_test(grows_within_bounds),
      cmocka_unit_test(every_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Graphs in text, and what preparing makes of them and of their files. */
#include "compress/prepare.h"

#include <stdio.h>

#include "pass/golden_test.h"

/* "input c 1 w_folded; drop node t; drop w; " */
static void print_changes(const struct sumi_changes *c, struct sumi_text *t) {
  for (size_t i = 0; i < c->n; i++) {
    const struct sumi_change *x = &c->change[i];
    if (x->kind == SUMI_CHANGE_INPUT) sumi_text_add(t, "input %s %d %s; ", x->node, x->index, x->name);
    if (x->kind == SUMI_CHANGE_OUTPUT) sumi_text_add(t, "output %s %d %s; ", x->node, x->index, x->name);
    if (x->kind == SUMI_CHANGE_DROP && x->node) sumi_text_add(t, "drop node %s; ", x->node);
    if (x->kind == SUMI_CHANGE_DROP && !x->node) sumi_text_add(t, "drop %s; ", x->name);
    if (x->kind == SUMI_CHANGE_CONSTANT) sumi_text_add(t, "constant %s; ", x->name);
  }
}

typedef sumi_status prepare_fn(struct sumi_graph *g, struct sumi_prepared *p, struct sumi_err *err);

/* prepare makes after of before, and the changes. */
static void check_prepare(prepare_fn *prepare, const char *before, const char *after, const char *changes) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = parse(before), *want = parse(after);
  struct sumi_prepared p;
  struct sumi_changes all;
  struct sumi_text t;
  if (sumi_pass_infer(g, NULL, NULL, &err) != SUMI_OK || sumi_pass_infer(want, NULL, NULL, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  sumi_prepared_init(&p, sumi_allocator_default());
  sumi_changes_init(&all, sumi_allocator_default());
  if (prepare(g, &p, &err) != SUMI_OK || sumi_graph_verify(g, &err) != SUMI_OK) fail_msg("%s", err.text);
  assert_int_equal(sumi_prepared_put(&p, g, &all, &err), SUMI_OK);
  sumi_text_init(&t, NULL);
  print_changes(&all, &t);
  char *got = print(g), *wanted = print(want);
  assert_string_equal(got, wanted);
  assert_string_equal(sumi_text_str(&t), changes);
  free(got);
  free(wanted);
  sumi_text_fini(&t);
  sumi_changes_fini(&all);
  sumi_prepared_fini(&p);
  sumi_graph_free(g);
  sumi_graph_free(want);
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

static void test_chain(void **state) {
  (void)state;
  check_prepare(
      sumi_prepare_weights,
      OPSET "g (float[n,2] x) => (y) <float16[3,2] w = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, float[1,3] b = {7, 8, "
            "9}, int64[1] s = {3}> "
            "{ t = Transpose (w) c = Cast <to = 1> (t) v = Reshape (b, s) y = Gemm (x, c, v) }",
      OPSET "g (float[n,2] x) => (y) <float[2,3] c_folded = {1, 3, 5, 2, 4, 6}, float[3] v_folded = {7, 8, "
            "9}> { y = Gemm (x, c_folded, v_folded) }",
      "constant c_folded; constant v_folded; input y 1 c_folded; input y 2 v_folded; drop node v; "
      "drop node c; drop node t; drop w; drop b; drop s; ");
}

/* Handed on only: the source is the weight. */
static void test_identity(void **state) {
  (void)state;
  check_prepare(sumi_prepare_weights,
                OPSET "g (float[n,2] x) => (y) <float[2,1] w = {1, 2}> "
                      "{ i = Identity (w) k = Identity (i) y = MatMul (x, k) }",
                OPSET "g (float[n,2] x) => (y) <float[2,1] w = {1, 2}> { y = MatMul (x, w) }",
                "input y 1 w; drop node k; drop node i; ");
}

/* What others read stays for them; two layers that read one value share its constant. */
static void test_shared(void **state) {
  (void)state;
  check_prepare(
      sumi_prepare_weights,
      OPSET "g (float[n,2] x, int64[m] k) => (y, z, e) <float[1,2] w = {1, 2}, float[2,1] u = {3, 4}> "
            "{ t = Transpose (w) y = MatMul (x, t) z = MatMul (x, t) a = Gather (w, k) "
            "i = Identity (u) b = MatMul (x, i) c = MatMul (a, u) e = Add (b, c) }",
      OPSET "g (float[n,2] x, int64[m] k) => (y, z, e) <float[1,2] w = {1, 2}, float[2,1] u = {3, 4}, "
            "float[2,1] t_folded = {1, 2}, float[2,1] i_folded = {3, 4}> "
            "{ y = MatMul (x, t_folded) z = MatMul (x, t_folded) a = Gather (w, k) "
            "b = MatMul (x, i_folded) c = MatMul (a, u) e = Add (b, c) }",
      "constant t_folded; constant i_folded; input y 1 t_folded; input z 1 t_folded; input b 1 i_folded; "
      "drop node i; drop node t; ");
}

/* A node with several outputs goes when all of them are read no more; an output of the graph stays one. */
static void test_several(void **state) {
  (void)state;
  check_prepare(
      sumi_prepare_weights,
      OPSET "g (float[n,2] x) => (y, t) <float[2,2] w = {1, 2, 3, 4}, float[1,2] u = {5, 6}> "
            "{ a, b = Split <axis = 1> (w) c = MatMul (x, a) d = MatMul (x, b) t = Transpose (u) "
            "e = MatMul (x, t) f = Add (c, d) y = Add (e, f) }",
      OPSET "g (float[n,2] x) => (y, t) <float[1,2] u = {5, 6}, float[2,1] a_folded = {1, 3}, "
            "float[2,1] b_folded = {2, 4}, float[2,1] t_folded = {5, 6}> "
            "{ c = MatMul (x, a_folded) d = MatMul (x, b_folded) t = Transpose (u) "
            "e = MatMul (x, t_folded) f = Add (c, d) y = Add (e, f) }",
      "constant a_folded; constant b_folded; constant t_folded; input c 1 a_folded; input d 1 b_folded; "
      "input e 1 t_folded; drop node a; drop w; ");
}

/* Weights in 8 bits, weights that a caller may override, products of two values, and what nobody reads anyway. */
static void test_left_alone(void **state) {
  (void)state;
  static const char *const graphs[] = {
      "g (float[n,2] x) => (y) <int8[2,1] w = {1, 2}, float s = {0.5}> "
      "{ d = DequantizeLinear (w, s) y = MatMul (x, d) }",
      "g (float[n,2] x, float[1,2] w = {1, 2}) => (y) { t = Transpose (w) y = MatMul (x, t) }",
      "g (float[n,2] x, float[1,2] w) => (y) { t = Transpose (w) y = MatMul (x, t) }",
      "g (float[n,2] x) => (y) <float[2,1] w = {1, 2}, float[1] u = {1}> "
      "{ y = MatMul (x, w) unread = Neg (u) }"};
  for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
    char text[512];
    snprintf(text, sizeof text, OPSET "%s", graphs[i]);
    check_prepare(sumi_prepare_weights, text, text, "");
  }
}

static void test_local_functions(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = parse(OPSET "g (float[n,2] x) => (y) <float[1,2] w = {1, 2}> "
                                     "{ t = Transpose (w) y = MatMul (x, t) }");
  struct sumi_prepared p;
  sumi_prepared_init(&p, sumi_allocator_default());
  g->node[1]->inlined = true; /* as the importer says of them */
  assert_int_equal(sumi_prepare_weights(g, &p, &err), SUMI_OK);
  assert_int_equal(p.changes.n, 0);
  g->node[1]->inlined = false;
  g->node[0]->inlined = true; /* the layer can be changed, what makes its weights stays in the file */
  assert_int_equal(sumi_prepare_weights(g, &p, &err), SUMI_OK);
  assert_int_equal(p.changes.n, 1);
  assert_int_equal(p.changes.change[0].kind, SUMI_CHANGE_INPUT);
  sumi_prepared_fini(&p);
  sumi_graph_free(g);
}

static void test_refusals(void **state) {
  (void)state;
  static const struct {
    size_t left;
    const char *why;
  } cases[] = {
      {2, "stand in local functions of the file, 2 of them with weights that nodes make there: there is "
          "nothing to prune before"},
      {0, "no layer with constant weights in floating point: there is nothing to prune"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    const struct sumi_prepared p = {.left = cases[i].left};
    assert_int_equal(sumi_prepared_refuse(&p, "prune", &err), SUMI_E_UNSUPPORTED);
    if (!strstr(err.text, cases[i].why)) fail_msg("%s", err.text);
  }
}

/* ---- BatchNormalization ------------------------------------------------------------------------------------------ */

/* factor = scale / sqrt(var + epsilon) is 2 and 3. */
#define NORM "float[2] s = {4, 3}, float[2] o = {10, 20}, float[2] m = {1, 2}, float[2] v = {3, 0}"

static void test_norm(void **state) {
  (void)state;
  check_prepare(sumi_prepare_norms,
                OPSET
                "g (float[n,1,2,2] x) => (y) <float[2,1,1,1] w = {5, 0}, float[2] b = {6, 7}, " NORM "> "
                "{ c = Conv (x, w, b) d = BatchNormalization <epsilon = 1.0> (c, s, o, m, v) y = Relu (d) }",
                OPSET "g (float[n,1,2,2] x) => (y) <float[2,1,1,1] w = {10, 0}, float[2] b = {20, 35}> "
                      "{ d = Conv (x, w, b) y = Relu (d) }",
                "constant w; constant b; drop node d; output c 0 d; drop s; drop o; drop m; drop v; ");
}

/* A bias that was not there, an output of the graph, one normalisation behind another, of which constants are shared. */
static void test_norms(void **state) {
  (void)state;
  check_prepare(sumi_prepare_norms,
                OPSET "g (float[n,1,2,2] x) => (y) <float[2,1,1,1] w = {5, 1}, " NORM "> "
                      "{ c = Conv (x, w) d = BatchNormalization <epsilon = 1.0> (c, s, o, m, v) "
                      "y = BatchNormalization <epsilon = 1.0> (d, s, o, m, v) }",
                OPSET "g (float[n,1,2,2] x) => (y) <float[2,1,1,1] w = {20, 9}, float[2] w_bias = {24, 56}> "
                      "{ y = Conv (x, w, w_bias) }",
                "constant w; constant w_bias; input c 2 w_bias; drop node d; output c 0 d; drop node y; "
                "output d 0 y; drop s; drop o; drop m; drop v; ");
}

/* Others read the weights or the output, the statistics are no constants or of the batch, or there is no square root. */
static void test_norms_left_alone(void **state) {
  (void)state;
  static const char *const graphs[] = {
      "g (float[n,1,2,2] x) => (y, z) <float[2,1,1,1] w = {5, 1}, " NORM
      "> { c = Conv (x, w) z = Conv (x, w) "
      "y = BatchNormalization (c, s, o, m, v) }",
      "g (float[n,1,2,2] x) => (y, c) <float[2,1,1,1] w = {5, 1}, " NORM "> { c = Conv (x, w) "
      "y = BatchNormalization (c, s, o, m, v) }",
      "g (float[n,1,2,2] x, float[2] f) => (y) <float[2,1,1,1] w = {5, 1}, " NORM "> { c = Conv (x, w) "
      "y = BatchNormalization (c, s, o, f, v) }",
      "g (float[n,1,2,2] x) => (y, r, q) <float[2,1,1,1] w = {5, 1}, " NORM "> { c = Conv (x, w) "
      "y, r, q = BatchNormalization <training_mode = 1> (c, s, o, m, v) }",
      "g (float[n,1,2,2] x) => (y) <float[2,1,1,1] w = {5, 1}, float[2] n = {-1, -1}, " NORM
      "> { c = Conv (x, w) "
      "y = BatchNormalization (c, s, o, m, n) }"};
  for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++) {
    char text[512];
    snprintf(text, sizeof text, OPSET "%s", graphs[i]);
    check_prepare(sumi_prepare_norms, text, text, "");
  }
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static sumi_status work(const struct sumi_allocator *a) {
  static const char text[] =
      OPSET "g (float[n,1,2,2] x) => (y) <float16[1,2,1,1] w = {5.0, 1.0}, " NORM "> "
            "{ t = Transpose <perm = [1, 0, 2, 3]> (w) f = Cast <to = 1> (t) c = Conv (x, f) "
            "y = BatchNormalization (c, s, o, m, v) }";
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_prepared p;
  struct sumi_changes all;
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, &err) != SUMI_OK) return err.status;
  sumi_prepared_init(&p, a);
  sumi_changes_init(&all, a);
  sumi_status status = sumi_pass_infer(g, NULL, NULL, &err);
  if (status == SUMI_OK) status = sumi_prepare_weights(g, &p, &err);
  if (status == SUMI_OK) status = sumi_prepare_norms(g, &p, &err);
  if (status == SUMI_OK) status = sumi_prepared_put(&p, g, &all, &err);
  if (status == SUMI_OK) assert_int_equal(g->n_node, 1);
  sumi_changes_fini(&all);
  sumi_prepared_fini(&p);
  sumi_graph_free(g);
  return status;
}

static void test_memory(void **state) {
  (void)state;
  const char *why = sumi_test_each_failure(work, 1);
  if (why) fail_msg("%s", why);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chain),      cmocka_unit_test(test_identity),
      cmocka_unit_test(test_shared),     cmocka_unit_test(test_several),
      cmocka_unit_test(test_left_alone), cmocka_unit_test(test_local_functions),
      cmocka_unit_test(test_refusals),   cmocka_unit_test(test_norm),
      cmocka_unit_test(test_norms),      cmocka_unit_test(test_norms_left_alone),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Local functions: inlined, with attributes, defaults, outputs that are inputs, and calls in calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "onnx/bytes_test.h"

static struct bytes function_bytes(const char *name, const char *inputs, const char *outputs) {
  struct bytes f = {0};
  put_text(&f, 1, name);
  put_text(&f, 10, "local");
  put_texts(&f, 4, inputs);
  put_texts(&f, 5, outputs);
  return f;
}

/* y = local.F (x), with the function (and the call's attributes) given. */
static struct bytes model_calling(struct bytes take_function, struct bytes take_call) {
  struct bytes m = model_bytes(8, 17), g = {0};
  put_message(&m, 25, take_function);
  put_text(&take_call, 3, "call");
  put_message(&g, 1, take_call);
  put_message(&g, 11, value_bytes("x", 1, "N"));
  put_message(&g, 12, value_bytes("y", 1, "N"));
  put_message(&m, 7, g);
  return m;
}

static struct sumi_graph *import_model(struct bytes model) {
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  if (import_bytes(model, (struct sumi_onnx_source){0}, 0, NULL, &g, &err) != SUMI_OK)
    fail_msg("refused: %s", err.text);
  return g;
}

static void expect_refusal(struct bytes model, sumi_status want, const char *says) {
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = import_bytes(model, (struct sumi_onnx_source){0}, 0, NULL, &g, &err);
  if (status != want || !strstr(err.text, says))
    fail_msg("status %d, '%s' where %d, '%s' is wanted", status, err.text, want, says);
  assert_null(g);
}

static void inlines_a_call(void **state) {
  (void)state;
  struct bytes f = function_bytes("F", "a,b", "c");
  put_message(&f, 7, node_bytes("Neg", "t", "c")); /* out of order, too */
  put_message(&f, 7, node_bytes("Relu", "a", "t"));
  struct sumi_graph *g = import_model(model_calling(f, node_bytes("local:F", "x", "y")));
  assert_int_equal(g->n_node, 2);
  assert_string_equal(g->node[0]->op_name, "Relu");
  assert_string_equal(g->node[0]->name, "call/Relu");
  assert_ptr_equal(g->node[0]->in[0], g->input[0]);
  assert_string_equal(g->node[0]->out[0]->name, "call/t");
  assert_ptr_equal(g->node[1]->out[0], g->output[0]);
  assert_string_equal(g->output[0]->name, "y");
  sumi_graph_free(g);
}

/* The body's operator set is the function's own. An input that is not given is not given to the body's
 * nodes. */
static void follows_its_own_operator_set(void **state) {
  (void)state;
  struct bytes f = function_bytes("F", "a,low,high", "c"), o = {0};
  put_message(&f, 7, node_bytes("Clip", "a,low,high", "c"));
  put_int(&o, 2, 13);
  put_message(&f, 9, o);
  struct sumi_graph *g = import_model(model_calling(f, node_bytes("local:F", "x,,x", "y")));
  assert_int_equal(g->node[0]->version, 13);
  assert_int_equal(g->node[0]->n_in, 3);
  assert_null(g->node[0]->in[1]);
  assert_ptr_equal(g->node[0]->in[2], g->input[0]);
  sumi_graph_free(g);
}

/* alpha: given by the call, by default, or not at all. */
static void resolves_attributes(void **state) {
  (void)state;
  for (int form = 0; form < 3; form++) {
    struct bytes f = function_bytes("F", "a", "c"), n = node_bytes("LeakyRelu", "a", "c"),
                 call = node_bytes("local:F", "x", "y");
    put_message(&n, 5, ref_attr_bytes("alpha", 1, "slope"));
    put_message(&f, 7, n);
    struct bytes slope = attr_bytes("slope", 1);
    put_float(&slope, 2, form == 0 ? 0.25f : 0.5f);
    if (form == 2) {
      put_text(&f, 6, "slope");
      free(slope.data);
    } else {
      if (form == 0) put_text(&f, 6, "slope");
      put_message(form == 0 ? &call : &f, form == 0 ? 5 : 11, slope);
    }
    struct sumi_graph *g = import_model(model_calling(f, call));
    const struct sumi_attr *a = sumi_node_attr(g->node[0], "alpha");
    if (form == 2)
      assert_null(a);
    else
      assert_true(a->u.f == (form == 0 ? 0.25f : 0.5f));
    sumi_graph_free(g);
  }
}

/* Attributes that name values say what the values are called once the function is inlined. */
static void resolves_names_of_values(void **state) {
  (void)state;
  for (int known = 0; known < 2; known++) {
    struct bytes f = function_bytes("F", "a", "c"),
                 n = node_bytes("ai.onnx.preview.training:Gradient", "a", "c"), xs = attr_bytes("xs", 8),
                 y = attr_bytes("y", 3);
    put_text(&xs, 9, "a");
    put_text(&y, 4, known ? "t" : "x");
    put_message(&n, 5, xs);
    put_message(&n, 5, y);
    put_message(&f, 7, node_bytes("Neg", "a", "t"));
    put_message(&f, 7, n);
    struct bytes model = model_calling(f, node_bytes("local:F", "x", "y"));
    if (!known) { /* a value of the caller is none of the function's */
      expect_refusal(model, SUMI_E_FORMAT, "there is no value 'x' in its graph");
      continue;
    }
    struct sumi_graph *g = import_model(model);
    assert_string_equal(sumi_attr_string(g->node[1], "y", ""), "call/t");
    assert_string_equal(sumi_node_attr(g->node[1], "xs")->u.strings[0].data, "x");
    sumi_graph_free(g);
  }
}

/* An output that is an input, and one that is given twice, become copies. */
static void copies_passed_through_values(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 17), g_bytes = {0}, f = function_bytes("F", "a", "a,t,t");
  put_message(&f, 7, node_bytes("Relu", "a", "t"));
  put_message(&m, 25, f);
  put_message(&g_bytes, 1, node_bytes("local:F", "x", "p,q,r"));
  put_message(&g_bytes, 11, value_bytes("x", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("p", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("q", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("r", 1, "N"));
  put_message(&m, 7, g_bytes);
  struct sumi_graph *g = import_model(m);
  assert_int_equal(g->n_node, 3);
  assert_string_equal(g->output[0]->producer->op_name, "Identity");
  assert_ptr_equal(g->output[0]->producer->in[0], g->input[0]);
  assert_string_equal(g->output[1]->producer->op_name, "Relu");
  assert_string_equal(g->output[2]->producer->op_name, "Identity");
  assert_ptr_equal(g->output[2]->producer->in[0], g->output[1]);
  sumi_graph_free(g);
}

/* Calls in calls, with an attribute handed on; every inlined name is its own. */
static void inlines_calls_in_calls(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 17), g_bytes = {0};
  struct bytes inner = function_bytes("G", "a", "c"), outer = function_bytes("F", "a", "c");
  struct bytes n = node_bytes("LeakyRelu", "a", "c");
  put_message(&n, 5, ref_attr_bytes("alpha", 1, "s"));
  put_message(&inner, 7, n);
  put_text(&inner, 6, "s");
  for (int i = 0; i < 2; i++) {
    struct bytes call = node_bytes("local:G", i ? "t" : "a", i ? "c" : "t");
    put_message(&call, 5, ref_attr_bytes("s", 1, "slope"));
    put_message(&outer, 7, call);
  }
  put_text(&outer, 6, "slope");
  put_message(&m, 25, outer);
  put_message(&m, 25, inner);
  for (int i = 0; i < 2; i++) {
    struct bytes call = node_bytes("local:F", i ? "m" : "x", i ? "y" : "m"), slope = attr_bytes("slope", 1);
    put_float(&slope, 2, i ? 0.25f : 0.5f);
    put_message(&call, 5, slope);
    put_message(&g_bytes, 1, call);
  }
  put_message(&g_bytes, 11, value_bytes("x", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("y", 1, "N"));
  put_message(&m, 7, g_bytes);
  struct sumi_graph *g = import_model(m);
  assert_int_equal(g->n_node, 4);
  for (size_t i = 0; i < 4; i++) {
    assert_true(sumi_attr_float(g->node[i], "alpha", 0) == (i < 2 ? 0.5f : 0.25f));
    assert_ptr_equal(g->node[i]->in[0], i ? g->node[i - 1]->out[0] : g->input[0]);
  }
  sumi_graph_free(g);
}

/* A function of the name of a standard operator is called instead of it; its own body means the operator. */
static void shadows_operators(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 17), g_bytes = {0}, f = {0};
  put_text(&f, 1, "Relu");
  put_text(&f, 4, "a");
  put_text(&f, 5, "c");
  put_message(&f, 7, node_bytes("Neg", "a", "c"));
  put_message(&m, 25, f);
  put_message(&g_bytes, 1, node_bytes("ai.onnx:Relu", "x", "y"));
  put_message(&g_bytes, 11, value_bytes("x", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("y", 1, "N"));
  put_message(&m, 7, g_bytes);
  struct sumi_graph *g = import_model(m);
  assert_int_equal(g->n_node, 1);
  assert_string_equal(g->node[0]->op_name, "Neg");
  sumi_graph_free(g);
}

static void refuses_wrong_functions(void **state) {
  (void)state;
  struct bytes f = function_bytes("F", "a", "c");
  put_message(&f, 7, node_bytes("local:F", "a", "c"));
  expect_refusal(model_calling(f, node_bytes("local:F", "x", "y")), SUMI_E_FORMAT,
                 "node 'call/c' (local.F, version 1): the function calls itself");
  f = function_bytes("F", "a", "c");
  put_message(&f, 7, node_bytes("Relu", "x", "c")); /* x is the caller's */
  expect_refusal(model_calling(f, node_bytes("local:F", "x", "y")), SUMI_E_FORMAT,
                 "its input 'x' is defined nowhere");
  f = function_bytes("F", "a", "c");
  put_message(&f, 7, node_bytes("Relu", "a", "d"));
  expect_refusal(model_calling(f, node_bytes("local:F", "x", "y")), SUMI_E_FORMAT,
                 "does not compute its output 'c'");
  f = function_bytes("F", "a", "c");
  put_message(&f, 7, node_bytes("Relu", "a", "a"));
  expect_refusal(model_calling(f, node_bytes("local:F", "x", "y")), SUMI_E_FORMAT,
                 "its output 'a' is defined twice");
  f = function_bytes("F", "a,a", "c");
  expect_refusal(model_calling(f, node_bytes("local:F", "x", "y")), SUMI_E_FORMAT, "two inputs 'a'");
  f = function_bytes("F", "a", "c");
  put_message(&f, 7, node_bytes("Relu", "a", "c"));
  expect_refusal(model_calling(f, node_bytes("local:F", "x,x", "y")), SUMI_E_FORMAT,
                 "has 2 inputs, the function takes 1");
  f = function_bytes("F", "a", "c");
  put_message(&f, 7, node_bytes("Relu", "a", "c"));
  struct bytes call = node_bytes("local:F", "x", "y");
  put_message(&call, 5, int_attr_bytes("depth", 3));
  expect_refusal(model_calling(f, call), SUMI_E_FORMAT, "the function has no attribute 'depth'");
  f = function_bytes("F", "a", "c");
  struct bytes n = node_bytes("LeakyRelu", "a", "c");
  put_message(&n, 5, ref_attr_bytes("alpha", 1, "s"));
  put_message(&f, 7, n);
  put_text(&f, 6, "s");
  call = node_bytes("local:F", "x", "y");
  put_message(&call, 5, int_attr_bytes("s", 3));
  expect_refusal(model_calling(f, call), SUMI_E_FORMAT,
                 "attribute 'alpha' is an integer where the operator wants a float");
}

/* Thirty functions that each call the next one twice would be a thousand million nodes. */
static void bounds_what_grows(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 17), g_bytes = {0};
  char name[8], next[16];
  for (int i = 0; i < 30; i++) {
    snprintf(name, sizeof name, "F%d", i);
    snprintf(next, sizeof next, "local:F%d", i + 1);
    struct bytes f = function_bytes(name, "a", "c");
    put_message(&f, 7, node_bytes(next, "a", "t"));
    put_message(&f, 7, node_bytes(next, "t", "c"));
    put_message(&m, 25, f);
  }
  struct bytes last = function_bytes("F30", "a", "c");
  put_message(&last, 7, node_bytes("Relu", "a", "c"));
  put_message(&m, 25, last);
  put_message(&g_bytes, 1, node_bytes("local:F0", "x", "y"));
  put_message(&g_bytes, 11, value_bytes("x", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("y", 1, "N"));
  put_message(&m, 7, g_bytes);
  const struct sumi_limits limits = {.size = sizeof limits, .max_nodes = 1000};
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(import_bytes(m, (struct sumi_onnx_source){.limits = &limits}, 0, NULL, &g, &err),
                   SUMI_E_LIMIT);
  if (!strstr(err.text, "more than 1000 nodes")) fail_msg("%s", err.text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(inlines_a_call),
      cmocka_unit_test(follows_its_own_operator_set),
      cmocka_unit_test(resolves_attributes),
      cmocka_unit_test(resolves_names_of_values),
      cmocka_unit_test(copies_passed_through_values),
      cmocka_unit_test(inlines_calls_in_calls),
      cmocka_unit_test(shadows_operators),
      cmocka_unit_test(refuses_wrong_functions),
      cmocka_unit_test(bounds_what_grows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

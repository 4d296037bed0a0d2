/* Bodies of If, Loop and Scan: what they capture from outside becomes inputs of theirs and of their node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "onnx/bytes_test.h"

static struct bytes graph_attr(const char *name, struct bytes take_graph) {
  struct bytes a = attr_bytes(name, 5);
  put_message(&a, 6, take_graph);
  return a;
}

/* A body without inputs of its own: one node, one output. */
static struct bytes body_bytes(const char *op, const char *inputs, const char *output) {
  struct bytes b = {0};
  put_message(&b, 1, node_bytes(op, inputs, output));
  put_message(&b, 12, value_bytes(output, 0, NULL));
  return b;
}

static struct bytes if_bytes(struct bytes take_then, struct bytes take_else, const char *output) {
  struct bytes n = node_bytes("If", "c", output);
  put_message(&n, 5, graph_attr("then_branch", take_then));
  put_message(&n, 5, graph_attr("else_branch", take_else));
  return n;
}

static struct bytes model_of(struct bytes take_node, const char *output) {
  struct bytes m = model_bytes(8, 17), g = {0};
  put_message(&g, 1, take_node);
  put_message(&g, 1, node_bytes("Neg", "x", "late")); /* stands behind the bodies that use it */
  put_message(&g, 11, value_bytes("c", 9, ""));
  put_message(&g, 11, value_bytes("x", 1, "N"));
  put_message(&g, 12, value_bytes(output, 1, NULL));
  put_message(&m, 7, g);
  return m;
}

static sumi_status import_model(struct bytes m, const struct sumi_limits *limits, struct sumi_graph **g,
                                struct sumi_err *err) {
  *g = NULL;
  return import_bytes(m, (struct sumi_onnx_source){.limits = limits}, 0, NULL, g, err);
}

static void makes_captures_inputs(void **state) {
  (void)state;
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  struct bytes n = if_bytes(body_bytes("Relu", "late", "p"), body_bytes("Add", "x,late", "p"), "y");
  if (import_model(model_of(n, "y"), NULL, &g, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_node *node = g->node[1];
  assert_string_equal(node->op_name, "If");
  assert_string_equal(g->node[0]->op_name, "Neg"); /* sorted, since the capture is an input now */
  assert_int_equal(node->n_in, 3);
  assert_int_equal(node->n_captured, 2);
  for (int i = 0; i < 2; i++) {
    const struct sumi_graph *body = sumi_attr_graph(node, i ? "else_branch" : "then_branch");
    assert_int_equal(body->n_input, 2);
    for (size_t k = 0; k < 2; k++) assert_string_equal(body->input[k]->name, node->in[1 + k]->name);
  }
  sumi_graph_free(g);
}

/* A body in a body takes a value of the root; names inside shadow names outside. */
static void looks_names_up_from_inside_out(void **state) {
  (void)state;
  struct bytes inner = if_bytes(body_bytes("Relu", "x", "p"), body_bytes("Neg", "x", "p"), "q"), outer = {0};
  put_message(&outer, 1, node_bytes("Relu", "late", "x")); /* an x of the body's own */
  put_message(&outer, 1, inner);
  put_message(&outer, 12, value_bytes("q", 0, NULL));
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  struct bytes n = if_bytes(outer, body_bytes("Relu", "x", "p"), "y");
  if (import_model(model_of(n, "y"), NULL, &g, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_graph *then = sumi_attr_graph(g->node[1], "then_branch");
  const struct sumi_node *nested = then->node[1];
  assert_string_equal(nested->op_name, "If");
  assert_int_equal(nested->n_in, 2 + 0);
  assert_ptr_equal(nested->in[1], then->node[0]->out[0]);
  sumi_graph_free(g);
}

/* Captures stand behind the ports of the operator, even when optional inputs are left out. */
static void fills_up_ports(void **state) {
  (void)state;
  struct bytes body = {0}, n = node_bytes("Loop", NULL, "y"), m = model_bytes(8, 17), g_bytes = {0};
  put_message(&body, 11, value_bytes("i", 7, ""));
  put_message(&body, 11, value_bytes("go", 9, ""));
  put_message(&body, 1, node_bytes("Identity", "c", "more"));
  put_message(&body, 1, node_bytes("Relu", "x", "out"));
  put_message(&body, 12, value_bytes("more", 9, ""));
  put_message(&body, 12, value_bytes("out", 1, NULL));
  put_message(&n, 5, graph_attr("body", body));
  put_message(&g_bytes, 1, n);
  put_message(&g_bytes, 11, value_bytes("c", 9, ""));
  put_message(&g_bytes, 11, value_bytes("x", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("y", 1, NULL));
  put_message(&m, 7, g_bytes);
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  if (import_model(m, NULL, &g, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_node *node = g->node[0];
  assert_int_equal(node->n_in, 4);
  assert_int_equal(node->n_captured, 2);
  assert_null(node->in[0]);
  assert_null(node->in[1]);
  assert_int_equal(sumi_attr_graph(node, "body")->n_input, 4);
  sumi_graph_free(g);
}

/* A graph given to a function as an attribute sees the names of the caller, not those of the function. */
static void binds_graphs_in_the_callers_scope(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 17), g_bytes = {0}, f = {0}, n = node_bytes("If", "flag", "r");
  put_text(&f, 1, "F");
  put_text(&f, 10, "local");
  put_text(&f, 4, "flag");
  put_text(&f, 4, "x");
  put_text(&f, 5, "r");
  put_text(&f, 6, "yes");
  put_message(&n, 5, ref_attr_bytes("then_branch", 5, "yes"));
  put_message(&n, 5, graph_attr("else_branch", body_bytes("Neg", "x", "p")));
  put_message(&f, 7, n);
  put_message(&m, 25, f);
  struct bytes call = node_bytes("local:F", "c,w", "y");
  put_message(&call, 5, graph_attr("yes", body_bytes("Relu", "x", "p")));
  put_message(&g_bytes, 1, call);
  put_message(&g_bytes, 11, value_bytes("c", 9, ""));
  put_message(&g_bytes, 11, value_bytes("x", 1, "N"));
  put_message(&g_bytes, 11, value_bytes("w", 1, "N"));
  put_message(&g_bytes, 12, value_bytes("y", 1, NULL));
  put_message(&m, 7, g_bytes);
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  if (import_model(m, NULL, &g, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_node *node = g->node[0];
  assert_int_equal(node->n_in, 3);
  const struct sumi_graph *yes = sumi_attr_graph(node, "then_branch"),
                          *no = sumi_attr_graph(node, "else_branch");
  assert_string_equal(yes->node[0]->in[0]->name, "x");
  assert_string_equal(no->node[0]->in[0]->name, "w");
  sumi_graph_free(g);
}

static void refuses_bodies(void **state) {
  (void)state;
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  struct bytes n = if_bytes(body_bytes("Relu", "y", "p"), body_bytes("Neg", "x", "p"), "y");
  assert_int_equal(import_model(model_of(n, "y"), NULL, &g, &err),
                   SUMI_E_FORMAT); /* it captures its own output */
  assert_non_null(strstr(err.text, "cycle"));
  sumi_err_clear(&err);
  n = if_bytes(body_bytes("Relu", "nothing", "p"), body_bytes("Nope", "x", "p"), "y");
  assert_int_equal(import_model(model_of(n, "y"), NULL, &g, &err), SUMI_E_FORMAT); /* both reasons */
  assert_non_null(strstr(err.text, "'nothing' is defined nowhere"));
  assert_non_null(strstr(err.text, "no operator 'Nope'"));
  sumi_err_clear(&err);
  n = node_bytes("If", "c", "y");
  put_message(&n, 5, graph_attr("then_branch", body_bytes("Relu", "x", "p")));
  assert_int_equal(import_model(model_of(n, "y"), NULL, &g, &err), SUMI_E_FORMAT);
  assert_non_null(strstr(err.text, "attribute 'else_branch' is missing"));
}

static void bounds_nesting(void **state) {
  (void)state;
  for (int deep = 0; deep < 2; deep++) {
    struct bytes body = body_bytes("Relu", "x", "p");
    for (int i = 0; i < (deep ? 40 : 20); i++) {
      struct bytes outer = {0};
      put_message(&outer, 1, if_bytes(body, body_bytes("Relu", "x", "p"), "q"));
      put_message(&outer, 12, value_bytes("q", 0, NULL));
      body = outer;
    }
    struct sumi_graph *g;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status =
        import_model(model_of(if_bytes(body, body_bytes("Relu", "x", "p"), "y"), "y"), NULL, &g, &err);
    if (status != (deep ? SUMI_E_LIMIT : SUMI_OK)) fail_msg("%d: %s", status, err.text);
    if (deep) assert_non_null(strstr(err.text, "more than 32 deep"));
    sumi_graph_free(g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(makes_captures_inputs), cmocka_unit_test(looks_names_up_from_inside_out),
      cmocka_unit_test(fills_up_ports),        cmocka_unit_test(binds_graphs_in_the_callers_scope),
      cmocka_unit_test(refuses_bodies),        cmocka_unit_test(bounds_nesting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

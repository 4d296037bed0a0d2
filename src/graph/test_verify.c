/* The verifier: good graphs pass, and every rule that is broken is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/size.h"
#include "graph/op.h"

static const struct sumi_attr_spec attrs[] = {
    {"axis", SUMI_ATTR_INT},          {"to", SUMI_ATTR_STRING, .until = 6}, {"to", SUMI_ATTR_INT},
    {"mode", SUMI_ATTR_STRING, true}, {"old", SUMI_ATTR_INT, .until = 5},   {"value", SUMI_ATTR_TENSOR},
    {"body", SUMI_ATTR_GRAPH},        {"early", SUMI_ATTR_INT, true, 3},    {NULL}};
static const struct sumi_port two[] = {{"a", SUMI_ANY}, {"b", SUMI_ANY, 0, SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_port some[] = {{"a", SUMI_ANY}, {"rest", SUMI_ANY, 0, SUMI_PORT_VARIADIC}, {NULL}};
static const struct sumi_port any[] = {{"rest", SUMI_ANY, 0, SUMI_PORT_VARIADIC | SUMI_PORT_OPTIONAL},
                                       {NULL}};
static const struct sumi_port one[] = {{"y", SUMI_ANY}, {NULL}};

static const struct sumi_op ops[] = {
    {.name = "Two", .attrs = attrs, .in = two, .out = one},
    {.name = "Some", .in = some, .out = any},
    {.name = "None", .out = one},
    {.name = "Free", .attrs = attrs + 6, .in = any, .out = any}, /* body, early */
};

static const struct sumi_op *lookup(const char *domain, const char *name, int opset, char *why,
                                    size_t why_size) {
  (void)domain, (void)opset;
  for (size_t i = 0; i < SUMI_COUNT(ops); i++)
    if (sumi_streq(ops[i].name, name)) return &ops[i];
  snprintf(why, why_size, "no %s", name);
  return NULL;
}

static struct sumi_graph *parse(const char *text) {
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_graph_parse(text, strlen(text), lookup, NULL, &g, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, text);
  return g;
}

/* want NULL: the graph is good. */
static void check(const struct sumi_graph *g, const char *want, const char *what) {
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = sumi_graph_verify(g, &err);
  assert_int_equal(status, err.status);
  if (want ? status == SUMI_OK || !strstr(err.text, want) : status != SUMI_OK)
    fail_msg("%s\n  wanted %s\n  got    %s", what, want ? want : "no failure", err.text);
}

static void test_schema(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
  } row[] = {
      {"g (x) => (y) { y = Two <mode = \"a\"> (x) }", NULL},
      {"g (x) => (y) { y = Two <mode = \"a\"> (x, x) }", NULL},
      {"g (x) => (y) { y = Two <mode = \"a\"> (x, \"\") }", NULL},
      {"g (x) => () { \"\" = Two <mode = \"a\"> (x) }", NULL},
      {"g () => (y) { y = Two <mode = \"a\"> () }", "node 'Two_1' (Two): input 0 ('a') is missing"},
      {"g (x) => (y) { y = Two <mode = \"a\"> (\"\", x) }", "input 0 ('a') is missing"},
      {"g (x) => (y) { y = Two <mode = \"a\"> (x, x, x) }", "3 inputs, the operator has 2 at most"},
      {"g (x) => (y) { y, z = Two <mode = \"a\"> (x) }", "2 outputs, the operator has 1 at most"},
      {"g (x) => () { = Some (x, x) }", NULL},
      {"g (x) => () { a, b, c = Some (x, x, x, \"\", x) }", NULL},
      {"g (x) => () { = Some (x) }", "no input for 'rest'"},
      {"g (x) => () { y = None () }", NULL},
      {"g (x) => () { y = None (x) }", "1 inputs, the operator has 0 at most"},
      {"g () => () { = Free () }", NULL},
      {"g (x) => () { = Two (x) }", "attribute 'mode' is missing"},
      {"<opset_import: [\"\": 2]> g (x) => () { = Free () }", "attribute 'early' is missing"},
      {"<opset_import: [\"\": 3]> g (x) => () { = Free <early = 1> () }",
       "attribute 'early' is gone since version 3"},
      {"g (x) => () { = Two <mode = 1> (x) }", "attribute 'mode' is of type int, not string"},
      {"g (x) => () { = Two <mode = \"\", axes = 1> (x) }", "the operator has no attribute 'axes'"},
      {"<opset_import: [\"\": 4]> g (x) => () { = Two <mode = \"\", old = 1> (x) }", NULL},
      {"<opset_import: [\"\": 5]> g (x) => () { = Two <mode = \"\", old = 1> (x) }",
       "attribute 'old' is gone since version 5, this is version 5"},
      {"<opset_import: [\"\": 5]> g (x) => () { = Two <mode = \"\", to = \"f\"> (x) }", NULL},
      {"<opset_import: [\"\": 6]> g (x) => () { = Two <mode = \"\", to = \"f\"> (x) }",
       "attribute 'to' is of type string, not int"},
      {"g (x) => () { = Two <mode = \"\", to = 1> (x) }", NULL},
      {"g (x) => (x, x) { = Free (x) }", NULL},
      {"g (float[2] x = {1, 2}) => (x) <float c = {1}> { y = Free (x, c, x) }", NULL},
      {"g (x) => (y) { y = Free (x) <body = b () => (z, x) { z = Free (x) }> }", NULL},
      {"g (x) => (y) { y = Free (x) <body = b () => (z) { z = None (x) }> }",
       "node 'Free_1' (Free): node 'None_1' (None): 1 inputs"},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    struct sumi_graph *g = parse(row[i].text);
    check(g, row[i].want, row[i].text);
    sumi_graph_free(g);
  }
}

/* One good graph, broken in one way at a time. */
static void test_structure(void **state) {
  (void)state;
  enum { CASES = 30 };
  int done = 0;
  for (int i = 0; i < CASES; i++) {
    struct sumi_graph *g = parse("g (float[N] x, y) => (b) <float[2] c = {1, 2}> { [n] a = Free (x, c) [m] b "
                                 "= Free (a, y) <body = s () => (r) { r = Free (x) }> }");
    struct sumi_value *x = g->value[0], *y = g->value[1], *c = sumi_graph_find_value(g, "c"),
                      *a = sumi_graph_find_value(g, "a"), *b = sumi_graph_find_value(g, "b");
    struct sumi_node *n = g->node[0], *m = g->node[1];
    struct sumi_graph *body = sumi_attr_graph(m, "body");
    struct sumi_tensor tensor = *c->constant;
    check(g, NULL, "untouched");
    const char *want = NULL;
    switch (i) {
      case 0:
        g->node[0] = m, g->node[1] = n, m->id = 0, n->id = 1,
        want = "input 0 ('a') is made later, by node 'n'";
        break;
      case 1: n->id = 1, want = "node 'n' has id 1, not 0"; break;
      case 2: a->id = x->id, want = "has id 0"; break;
      case 3: a->name = "b", want = "two values are named 'b'"; break;
      case 4: n->name = "m", want = "two nodes are named 'm'"; break;
      case 5: m->out[0] = a, want = "node 'm' (Free): output 0 ('a') is made twice"; break;
      case 6:
        sumi_node_set_input(m, 0, sumi_graph_add_value(g, "w")), want = "nothing makes input 0 ('w')";
        break;
      case 7:
        sumi_node_set_input(m, 0, body->input[0]), want = "input 0 ('x') is no value of this graph";
        break;
      case 8: m->in[0] = x, want = "value 'a' has a use on its list that is none"; break;
      case 9: x->n_use++, want = "value 'x' has another number of uses than 3"; break;
      case 10: x->is_input = false, want = "input 'x' is no input value"; break;
      case 11: a->is_input = true, want = "input 'a' is made by node 'n' as well"; break;
      case 12: c->producer = n, want = "constant 'c' is made by node 'n' as well"; break;
      case 13: y->producer = n, y->is_input = false, want = "input 'y' is no input value"; break;
      case 14: b->is_output = false, want = "output 'b' is no output value"; break;
      case 15:
        sumi_graph_add_output(g, sumi_graph_add_value(g, "w")), want = "nothing makes output 'w'";
        break;
      case 16: sumi_graph_remove_node(g, n), want = "node 'n' was removed and the graph not tidied"; break;
      case 17: x->info.dim[0] = -77, want = "value 'x': dimension 0 is no expression"; break;
      case 18: x->info.rank = SUMI_MAX_RANK + 1, want = "value 'x': rank 13"; break;
      case 19: x->info.dtype = SUMI_N_DTYPES, want = "value 'x': kind 0, element type 29"; break;
      case 20: tensor.dim[0] = -1, c->constant = &tensor, want = "value 'c': dimension 0 is -1"; break;
      case 21: tensor.data = NULL, c->constant = &tensor, want = "value 'c': a constant without data"; break;
      case 22: c->info.rank = 0, want = "value 'c': the type differs from the constant's"; break;
      case 23: m->n_captured = 2, want = "body 's' has 1 inputs, but the node captures 2"; break;
      case 24: m->n_captured = 4, want = "4 of 3 inputs captured"; break;
      case 25: body->parent = body, want = "holds a graph that is no body of this one"; break;
      case 26: m->op = NULL, want = "node 'm' has no operator"; break;
      case 27: x->mark = 1, want = "value 'x' is still marked"; break;
      case 28: body->node[0]->version = 0, want = "node 'Free_1' (Free): version 0"; break;
      case 29:
        sumi_graph_add_value(g, "w")->producer = n, want = "value 'w' names a node that does not make it";
        break;
    }
    assert_non_null(want);
    check(g, want, want);
    done++;
    sumi_graph_free(g);
  }
  assert_int_equal(done, CASES);
}

static void test_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_graph *g = sumi_graph_new(a, "g");
  assert_non_null(sumi_graph_add_input(g, "x", NULL));
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_test_heap_fail(&heap, 0);
  assert_int_equal(sumi_graph_verify(g, &err), SUMI_E_MEMORY);
  sumi_test_heap_fail(&heap, -1);
  assert_int_equal(sumi_graph_verify(g, NULL), SUMI_OK);
  sumi_graph_free(g);
  assert_int_equal(heap.blocks, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_schema), cmocka_unit_test(test_structure),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Models that cannot be taken: each gives a status and a sentence, all reasons at once, and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "onnx/bytes_test.h"

static sumi_status import_model(struct bytes model, struct sumi_onnx_source src, struct sumi_graph **g,
                                struct sumi_err *err) {
  *g = NULL;
  return import_bytes(model, src, 0, NULL, g, err);
}

static void expect_refusal(struct bytes model, sumi_status want, const char *says) {
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = import_model(model, (struct sumi_onnx_source){0}, &g, &err);
  if (status != want || !strstr(err.text, says))
    fail_msg("status %d, '%s' where %d, '%s' is wanted", status, err.text, want, says);
  assert_null(g);
}

/* A graph that would be right but for what the test adds: x -> Relu -> y. */
static struct bytes good_graph(void) {
  struct bytes b = {0};
  put_message(&b, 1, node_bytes("Relu", "x", "y"));
  put_message(&b, 11, value_bytes("x", 1, "2,3"));
  put_message(&b, 12, value_bytes("y", 1, "2,3"));
  return b;
}

static struct bytes model_of(struct bytes take_graph) {
  struct bytes m = model_bytes(8, 17);
  put_message(&m, 7, take_graph);
  return m;
}

static struct bytes with_node(struct bytes take_node) {
  struct bytes b = good_graph();
  put_text(&take_node, 3, "n");
  put_message(&b, 1, take_node);
  return model_of(b);
}

static void refuses_what_is_no_model(void **state) {
  (void)state;
  static const char text[] = "{\"this\": \"is no model\"}";
  struct bytes b = {0};
  expect_refusal(b, SUMI_E_FORMAT, "the model is empty");
  put_raw(&b, text, sizeof text);
  expect_refusal(b, SUMI_E_FORMAT, "no ONNX model, or a damaged one");
  expect_refusal(model_bytes(8, 17), SUMI_E_FORMAT, "it has no graph");
  b = model_bytes(99, 17);
  put_message(&b, 7, good_graph());
  expect_refusal(b, SUMI_E_UNSUPPORTED, "IR version 99 is not known");
  b = model_bytes(-3, 17);
  put_message(&b, 7, good_graph());
  expect_refusal(b, SUMI_E_UNSUPPORTED, "IR version -3 is not known");
  b = model_of(good_graph());
  b.n--;
  expect_refusal(b, SUMI_E_FORMAT, "are left");
  struct bytes opset = {0};
  put_int(&opset, 2, 11);
  b = model_of(good_graph());
  put_message(&b, 8, opset);
  expect_refusal(b, SUMI_E_FORMAT, "operator set '' is imported as 17 and as 11");
}

static void refuses_operators(void **state) {
  (void)state;
  expect_refusal(with_node(node_bytes("Frobnicate", "x", "z")), SUMI_E_UNSUPPORTED,
                 "node 'n' (ai.onnx.Frobnicate, version 17): there is no operator 'Frobnicate'");
  expect_refusal(with_node(node_bytes("my.domain:Relu", "x", "z")), SUMI_E_UNSUPPORTED,
                 "node 'n' (my.domain.Relu, version 1): there is no operator 'my.domain.Relu'");
  expect_refusal(with_node(node_bytes("sumi:QTable", "x,x", "z")), SUMI_E_UNSUPPORTED,
                 "operator 'sumi.QTable' is not for files");
  expect_refusal(with_node(node_bytes("RMSNormalization", "x,x", "z")), SUMI_E_UNSUPPORTED, "came with 23");
  expect_refusal(with_node(node_bytes("", "x", "z")), SUMI_E_FORMAT, "it has no operator");
  struct bytes m = model_bytes(8, 99);
  put_message(&m, 7, good_graph());
  expect_refusal(m, SUMI_E_UNSUPPORTED, "operator set 99 is newer than 28");
  m = model_bytes(8, INT64_MIN);
  put_message(&m, 7, good_graph());
  expect_refusal(m, SUMI_E_FORMAT, "impossible version");
}

static void refuses_wiring(void **state) {
  (void)state;
  expect_refusal(with_node(node_bytes("Relu", "nothing", "z")), SUMI_E_FORMAT,
                 "its input 'nothing' is defined nowhere");
  expect_refusal(with_node(node_bytes("Relu", "x", "y")), SUMI_E_FORMAT, "its output 'y' is defined twice");
  expect_refusal(with_node(node_bytes("Relu", "x", "x")), SUMI_E_FORMAT, "its output 'x' is defined twice");
  expect_refusal(with_node(node_bytes("Split", "x", "p,p")), SUMI_E_FORMAT,
                 "its output 'p' is defined twice");
  expect_refusal(with_node(node_bytes("Relu", "z", "z")), SUMI_E_FORMAT, "lies on a cycle");
  expect_refusal(with_node(node_bytes("Relu", "x,x", "z")), SUMI_E_FORMAT,
                 "it has 2 inputs, the operator takes at most 1");
  expect_refusal(with_node(node_bytes("Relu", NULL, "z")), SUMI_E_FORMAT, "its input 0 ('X') is missing");
  expect_refusal(with_node(node_bytes("Add", "x,", "z")), SUMI_E_FORMAT, "its input 1 ('B') is missing");
  expect_refusal(with_node(node_bytes("Relu", "x", "z,w")), SUMI_E_FORMAT,
                 "it has 2 outputs, the operator gives at most 1");
  struct bytes b = good_graph();
  put_message(&b, 1, node_bytes("Relu", "q", "p"));
  put_message(&b, 1, node_bytes("Neg", "p", "q"));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "lies on a cycle");
  b = good_graph();
  put_message(&b, 12, value_bytes("w", 1, ""));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "output 'w': it is defined nowhere");
  b = good_graph();
  put_message(&b, 12, value_bytes("y", 1, ""));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "output 'y': it is listed twice");
  b = good_graph();
  put_message(&b, 11, value_bytes("x", 1, ""));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "input 'x': it is defined twice");
  b = good_graph();
  put_message(&b, 11, value_bytes("", 1, ""));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "input '': it has no name");
  b = good_graph();
  put_data(&b, 1,
           "\x0a\x03"
           "a\0b"
           "\x12\x01z"
           "\x22\x04Relu",
           5 + 3 + 6);
  expect_refusal(model_of(b), SUMI_E_FORMAT, "a name holds a zero byte");
}

static void refuses_types(void **state) {
  (void)state;
  struct bytes b = good_graph();
  put_message(&b, 11, value_bytes("w", 99, ""));
  expect_refusal(model_of(b), SUMI_E_UNSUPPORTED, "input 'w': element type 99 is unknown");
  b = good_graph();
  put_message(&b, 11, value_bytes("w", 0, ""));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "input 'w': it has no element type");
  b = good_graph();
  put_message(&b, 11, value_bytes("w", 1, "1,1,1,1,1,1,1,1,1,1,1,1,1"));
  expect_refusal(model_of(b), SUMI_E_LIMIT, "13 dimensions");
  static const unsigned kinds[] = {5, 7, 8}; /* map, opaque, sparse tensor */
  for (size_t i = 0; i < SUMI_COUNT(kinds); i++) {
    struct bytes info = {0}, type = {0};
    put_text(&info, 1, "w");
    put_message(&type, kinds[i], (struct bytes){0});
    put_message(&info, 2, type);
    b = good_graph();
    put_message(&b, 11, info);
    expect_refusal(model_of(b), SUMI_E_UNSUPPORTED, "is not a kind of value here");
  }
  /* a sequence of sequences of ... */
  struct bytes type = type_bytes(1, ""), info = {0};
  for (int i = 0; i < 100; i++) {
    struct bytes elem = {0}, outer = {0};
    put_message(&elem, 1, type);
    put_message(&outer, 4, elem);
    type = outer;
  }
  put_text(&info, 1, "w");
  put_message(&info, 2, type);
  b = good_graph();
  put_message(&b, 11, info);
  expect_refusal(model_of(b), SUMI_E_UNSUPPORTED, "a sequence of sequences");
}

static void refuses_initializers(void **state) {
  (void)state;
  static const float f[2];
  struct bytes b = good_graph();
  put_message(&b, 5, raw_tensor_bytes("w", 1, "3", f, 8));
  expect_refusal(model_of(b), SUMI_E_FORMAT,
                 "initializer 'w': it has 8 bytes of data, its type and shape ask for 12");
  b = good_graph();
  put_message(&b, 5, raw_tensor_bytes("w", 1, "2", f, 8));
  put_message(&b, 5, raw_tensor_bytes("w", 1, "2", f, 8));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "initializer 'w': it is defined twice");
  b = good_graph();
  put_message(&b, 5, raw_tensor_bytes("y", 1, "2", f, 8));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "its output 'y' is defined twice");
  b = good_graph();
  put_message(&b, 5, raw_tensor_bytes("x", 1, "2", f, 8));
  expect_refusal(model_of(b), SUMI_E_SHAPE, "initializer 'x': it does not have the type and shape");
  b = good_graph();
  put_message(&b, 5, raw_tensor_bytes("", 1, "2", f, 8));
  expect_refusal(model_of(b), SUMI_E_FORMAT, "initializer '': it has no name");
  b = good_graph();
  put_message(&b, 5, tensor_bytes("w", 1, "9223372036854775807,9223372036854775807"));
  expect_refusal(model_of(b), SUMI_E_LIMIT, "initializer 'w': the product of the dimensions passes 2^63");
}

static void refuses_attributes(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t type;
    sumi_status status;
    const char *says;
  } rows[] = {
      {"alpha", 2, SUMI_E_FORMAT, "attribute 'alpha' is an integer where the operator wants a float"},
      {"alpha", 4, SUMI_E_FORMAT, "attribute 'alpha' is a tensor where the operator wants a float"},
      {"beta", 1, SUMI_E_UNSUPPORTED, "the operator has no attribute 'beta'"},
      {"alpha", 77, SUMI_E_UNSUPPORTED, "attribute 'alpha' has unknown type 77"},
      {"consumed_inputs", 7, SUMI_E_UNSUPPORTED,
       "attribute 'consumed_inputs' is no longer there from version 6 on"},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct bytes n = node_bytes("LeakyRelu", "x", "z");
    put_message(&n, 5, attr_bytes(rows[i].name, rows[i].type));
    expect_refusal(with_node(n), rows[i].status, rows[i].says);
  }
  struct bytes n = node_bytes("LeakyRelu", "x", "z");
  put_message(&n, 5, attr_bytes("alpha", 1));
  put_message(&n, 5, attr_bytes("alpha", 1));
  expect_refusal(with_node(n), SUMI_E_FORMAT, "attribute 'alpha' is given twice");
  n = node_bytes("LeakyRelu", "x", "z");
  put_message(&n, 5, ref_attr_bytes("alpha", 1, "outer"));
  expect_refusal(with_node(n), SUMI_E_FORMAT, "refers to one of a function");
  n = node_bytes("Constant", NULL, "z");
  put_message(&n, 5, attr_bytes("value", 4));
  expect_refusal(with_node(n), SUMI_E_FORMAT, "attribute 'value': it says it is a tensor but gives none");
  expect_refusal(with_node(node_bytes("DepthToSpace", "x", "z")), SUMI_E_FORMAT,
                 "attribute 'blocksize' is missing");
}

struct told {
  size_t n;
  char last[256];
};

static void count_refusal(void *user, const struct sumi_refusal *r) {
  struct told *t = user;
  t->n++;
  snprintf(t->last, sizeof t->last, "%s|%s|%d|%s", r->node, r->op, r->version, r->reason);
}

static void tells_every_reason(void **state) {
  (void)state;
  struct bytes b = good_graph();
  for (int i = 0; i < 100; i++) {
    char name[16];
    snprintf(name, sizeof name, "z%d", i);
    struct bytes n = node_bytes(i % 2 ? "Nope" : "far:Away", "x", name);
    put_text(&n, 3, name);
    put_message(&b, 1, n);
  }
  struct told told = {0};
  const struct sumi_onnx_source src = {.on_refusal = count_refusal, .user = &told};
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(import_model(model_of(b), src, &g, &err), SUMI_E_UNSUPPORTED);
  assert_int_equal(told.n, 100);
  assert_string_equal(told.last, "z99|ai.onnx.Nope|17|there is no operator 'Nope'");
  size_t lines = 1;
  for (const char *c = err.text; *c; c++) lines += *c == '\n';
  const char *tail = strrchr(err.text, '\n');
  unsigned more = 0;
  assert_int_equal(sscanf(tail, "\nand %u more", &more), 1);
  assert_int_equal(lines - 1 + more, 100);
  assert_true(lines > 15); /* as many as fit */
  /* what uses a refused value does not complain as well */
  b = good_graph();
  put_message(&b, 5, tensor_bytes("w", 99, "2"));
  put_message(&b, 1, node_bytes("Add", "x,w", "z"));
  told.n = 0;
  assert_int_equal(import_model(model_of(b), src, &g, NULL), SUMI_E_UNSUPPORTED);
  assert_int_equal(told.n, 1);
  /* damage outweighs what is only unsupported, wherever it stands */
  b = good_graph();
  put_message(&b, 1, node_bytes("Nope", "x", "p"));
  put_message(&b, 1, node_bytes("Relu", "nothing", "q"));
  put_message(&b, 1, node_bytes("Nope", "x", "r"));
  assert_int_equal(import_model(model_of(b), (struct sumi_onnx_source){0}, &g, NULL), SUMI_E_FORMAT);
}

/* What a terminal would obey does not come out of a file's names. */
static void keeps_control_bytes_out(void **state) {
  (void)state;
  struct bytes b = good_graph(), n = node_bytes("Bell\a", "x", "z");
  put_text(&n, 3, "\x1b[2Jname");
  put_message(&b, 1, n);
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  struct told told = {0};
  const struct sumi_onnx_source src = {.on_refusal = count_refusal, .user = &told};
  assert_int_equal(import_model(model_of(b), src, &g, &err), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "?[2Jname"));
  for (const char *c = err.text; *c; c++) assert_true((unsigned char)*c >= 32);
  for (const char *c = told.last; *c; c++) assert_true((unsigned char)*c >= 32);
}

static void keeps_limits(void **state) {
  (void)state;
  static const struct {
    struct sumi_limits limits;
    const char *says; /* NULL: taken */
  } rows[] = {
      {{.max_nodes = 1}, "more than 1 nodes"},
      {{.max_nodes = 2}, NULL},
      {{.max_values = 3}, "more than 3 values"},
      {{.max_values = 4}, NULL},
      {{.max_name_bytes = 8}, "a name has 9 bytes, the limit is 8"},
      {{.max_name_bytes = 9}, NULL},
      {{.max_tensor_bytes = 7}, "it takes 8 bytes, the limit is 7"},
      {{.max_tensor_bytes = 8}, NULL},
      {{.max_attr_items = 1}, "an attribute has 2 items, the limit is 1"},
      {{.max_attr_items = 2}, NULL},
      {{.max_file_bytes = 100}, "the limit is 100"},
  };
  static const float w[2];
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct bytes b = good_graph(), n = node_bytes("Transpose", "y", "z"), a = attr_bytes("perm", 7);
    put_int(&a, 8, 1);
    put_int(&a, 8, 0);
    put_message(&n, 5, a);
    put_message(&b, 1, n);
    put_message(&b, 5, raw_tensor_bytes("w", 1, "2", w, 8));
    struct sumi_limits limits = rows[i].limits;
    limits.size = sizeof limits;
    struct sumi_graph *g;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status =
        import_model(model_of(b), (struct sumi_onnx_source){.limits = &limits}, &g, &err);
    if (status != (rows[i].says ? SUMI_E_LIMIT : SUMI_OK) ||
        (rows[i].says && !strstr(err.text, rows[i].says)))
      fail_msg("row %zu: status %d, '%s'", i, status, err.text);
    sumi_graph_free(g);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(refuses_what_is_no_model),
      cmocka_unit_test(refuses_operators),
      cmocka_unit_test(refuses_wiring),
      cmocka_unit_test(refuses_types),
      cmocka_unit_test(refuses_initializers),
      cmocka_unit_test(refuses_attributes),
      cmocka_unit_test(tells_every_reason),
      cmocka_unit_test(keeps_control_bytes_out),
      cmocka_unit_test(keeps_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

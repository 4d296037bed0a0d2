/* Model files written anew: nothing but the changes differs; what cannot be right is refused; nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "base/size.h"
#include "onnx/bytes_test.h"
#include "onnx/rewrite.h"

static const float ones[] = {1, 1, 1, 1};
static const struct sumi_tensor w4 = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {4}, .data = (void *)ones};

/* Conv-like chain with everything that must survive: unknown fields, groups, documentation, odd encodings.
 *   x, w -> Mul -> m;  Constant -> k;  m, k -> Add -> a;  a -> If(cond) { reads w } -> y */
static struct bytes sample(int64_t ir, int64_t opset) {
  struct bytes m = model_bytes(ir, opset), g = {0}, n, w, t, a, body = {0}, meta = {0};
  static const uint8_t group[] = {0xa3, 0x06, 0x08, 0x05, 0xa4, 0x06}; /* field 100, a group around field 1 */
  put_text(&meta, 1, "made");
  put_text(&meta, 2, "by hand");
  put_int(&meta, 77, 5);
  put_message(&m, 14, meta);
  put_text(&m, 6, "documentation of the model");
  w = tensor_bytes("w", 1, "4");
  put_data(&w, 4, ones, 16); /* typed and packed */
  put_text(&w, 12, "documentation of w");
  put_int(&w, 99, 1);
  put_message(&g, 5, w);
  n = node_bytes("Mul", "x,w", "m");
  put_raw(&n, group, sizeof group);
  put_text(&n, 6, "documentation of a node");
  put_message(&g, 1, n);
  t = tensor_bytes(NULL, 1, "4");
  for (int i = 0; i < 4; i++) put_float(&t, 4, 2); /* not packed */
  a = attr_bytes("value", 4);
  put_message(&a, 5, t);
  put_text(&a, 13, "documentation of an attribute");
  n = node_bytes("Constant", NULL, "k");
  put_message(&n, 5, a);
  put_message(&g, 1, n);
  put_raw(&g, group, sizeof group);
  put_message(&g, 1, node_bytes("Add", "m,k", "a"));
  put_message(&body, 1, node_bytes("Mul", "a,w", "b"));
  put_message(&body, 12, value_bytes("b", 1, NULL));
  a = attr_bytes("then_branch", 5);
  put_data(&a, 6, body.data, body.n);
  n = node_bytes("If", "c", "y");
  put_message(&n, 5, a);
  a = attr_bytes("else_branch", 5);
  put_message(&a, 6, body);
  put_message(&n, 5, a);
  put_message(&g, 1, n);
  put_message(&g, 13, value_bytes("m", 1, "4"));
  put_data(&g, 13, "\x0a\x7f", 2); /* damaged: nobody reads it */
  put_message(&g, 11, value_bytes("x", 1, "4"));
  put_message(&g, 11, value_bytes("c", 9, ""));
  if (ir < 4) put_message(&g, 11, value_bytes("w", 1, "4"));
  put_message(&g, 12, value_bytes("y", 1, "4"));
  put_raw(&g, group, sizeof group);
  put_message(&m, 7, g);
  put_raw(&m, group, sizeof group);
  return m;
}

static sumi_status collect(void *user, const void *bytes, size_t n, struct sumi_err *err) {
  (void)err;
  put_raw(user, bytes, n);
  return SUMI_OK;
}

static sumi_status rewrite(const struct bytes *model, const struct sumi_change *change, size_t n,
                           const struct sumi_allocator *a, struct bytes *out, struct sumi_err *err) {
  const struct sumi_changes changes = {.change = (struct sumi_change *)(uintptr_t)change, .n = n};
  struct sumi_blob *blob = sumi_blob_wrap(sumi_allocator_default(), model->data, model->n, NULL, NULL);
  if (!blob) abort();
  const struct sumi_onnx_source src = {.file = blob};
  *out = (struct bytes){0};
  const sumi_status status = sumi_onnx_rewrite_to(&src, &changes, a, collect, out, err);
  sumi_blob_unref(blob);
  return status;
}

/* The sample with changes, imported. */
static struct sumi_graph *changed(int64_t ir, int64_t opset, const struct sumi_change *change, size_t n,
                                  struct bytes *file) {
  struct bytes m = sample(ir, opset), out;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  if (rewrite(&m, change, n, NULL, &out, &err) != SUMI_OK) fail_msg("refused: %s", err.text);
  free(m.data);
  *file = (struct bytes){0};
  put_raw(file, out.data, out.n);
  const struct sumi_onnx_source plain = {0};
  if (import_bytes(out, plain, 0, NULL, &g, &err) != SUMI_OK) fail_msg("not a model: %s", err.text);
  return g;
}

static bool holds(const struct bytes *b, const char *text) {
  return memmem(b->data, b->n, text, strlen(text)) != NULL;
}

static void keeps_all_without_changes(void **state) {
  (void)state;
  for (int64_t ir = 3; ir <= 8; ir += 5) {
    struct bytes m = sample(ir, 13), out;
    assert_int_equal(rewrite(&m, NULL, 0, NULL, &out, NULL), SUMI_OK);
    assert_int_equal(out.n, m.n);
    assert_memory_equal(out.data, m.data, m.n);
    free(out.data);
    /* changes that change nothing take everything apart and put it together again */
    const struct sumi_change same[] = {
        {SUMI_CHANGE_INPUT, .node = "m", .index = 0, .name = "x"},
        {SUMI_CHANGE_INPUT, .node = "m", .index = 1, .name = "w"},
        {SUMI_CHANGE_INPUT, .node = "a", .index = 1, .name = "k"},
        {SUMI_CHANGE_OUTPUT, .node = "y", .index = 0, .name = "y"},
        {SUMI_CHANGE_OUTPUT, .node = "k", .index = 0, .name = "k"},
        {SUMI_CHANGE_METADATA, .name = "made", .text = "by hand"},
    };
    struct sumi_err err = SUMI_ERR_INIT;
    if (rewrite(&m, same, SUMI_COUNT(same), NULL, &out, &err) != SUMI_OK) fail_msg("%s", err.text);
    assert_int_equal(out.n, m.n);
    assert_memory_equal(out.data, m.data, m.n);
    free(out.data);
    free(m.data);
  }
}

static const struct sumi_tensor *constant(const struct sumi_graph *g, const char *name) {
  const struct sumi_value *v = sumi_names_find(&g->value_names, name);
  return v ? v->constant : NULL;
}

static void replaces_constants(void **state) {
  (void)state;
  static const float other[] = {5, 6, 7, 8};
  static const int8_t bytes[] = {1, 2};
  const struct sumi_tensor t = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {4}, .data = (void *)other},
                           q = {.dtype = SUMI_INT8, .rank = 2, .dim = {1, 2}, .data = (void *)bytes};
  const struct sumi_change c[] = {{SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &w4},
                                  {SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &t},
                                  {SUMI_CHANGE_CONSTANT, .name = "k", .tensor = &t},
                                  {SUMI_CHANGE_CONSTANT, .name = "q", .tensor = &q},
                                  {SUMI_CHANGE_INPUT, .node = "m", .index = 0, .name = "q"}};
  for (int64_t ir = 3; ir <= 8; ir += 5) {
    struct bytes file;
    struct sumi_graph *g = changed(ir, 13, c, SUMI_COUNT(c), &file);
    assert_memory_equal(constant(g, "w")->data, other, sizeof other);
    assert_int_equal(constant(g, "q")->dtype, SUMI_INT8);
    assert_int_equal(constant(g, "q")->rank, 2);
    assert_memory_equal(constant(g, "q")->data, bytes, sizeof bytes);
    const struct sumi_value *k = sumi_names_find(&g->value_names, "k");
    assert_memory_equal(k->producer->attr[0].u.t->data, other, sizeof other);
    assert_int_equal(g->n_input,
                     2); /* before IR version 4 the new constant is listed as one, like the others */
    assert_true(holds(&file, "documentation of w") && holds(&file, "documentation of an attribute"));
    sumi_graph_free(g);
    free(file.data);
  }
}

static void makes_and_rewires_nodes(void **state) {
  (void)state;
  static const float scale[] = {1, 1, 1, 1};
  const struct sumi_tensor s = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {4}, .data = (void *)scale};
  const struct sumi_change c[] = {
      {SUMI_CHANGE_CONSTANT, .name = "s", .tensor = &s},
      {SUMI_CHANGE_OUTPUT, .node = "m", .index = 0, .name = "m_float"},
      {SUMI_CHANGE_NODE, .op = "QuantizeLinear", .inputs = (const char *const[]){"m_float", "s"},
       .n_inputs = 2, .output = "m_q", .axis = 0, .before = "a"},
      {SUMI_CHANGE_NODE, .op = "DequantizeLinear", .inputs = (const char *const[]){"m_q", "s", ""},
       .n_inputs = 3, .output = "m", .axis = INT64_MIN, .before = "a"},
      {SUMI_CHANGE_NODE, .op = "Abs", .inputs = (const char *const[]){"x"}, .n_inputs = 1, .output = "x1",
       .axis = INT64_MIN},
      {SUMI_CHANGE_NODE, .op = "Neg", .inputs = (const char *const[]){"x1"}, .n_inputs = 1, .output = "x2",
       .axis = INT64_MIN},
      {SUMI_CHANGE_INPUT, .node = "m_float", .index = 0, .name = "x2"},
  };
  static const char *const want[] = {"Abs", "Neg", "Mul", "Constant", "QuantizeLinear", "DequantizeLinear",
                                     "Add", "If"};
  struct bytes file;
  struct sumi_graph *g = changed(8, 13, c, SUMI_COUNT(c), &file);
  assert_int_equal(g->n_node, SUMI_COUNT(want));
  for (size_t i = 0; i < SUMI_COUNT(want); i++) assert_string_equal(g->node[i]->op_name, want[i]);
  assert_string_equal(g->node[2]->in[0]->name, "x2");
  assert_string_equal(g->node[2]->out[0]->name, "m_float");
  assert_int_equal(g->node[4]->attr[0].u.i, 0);
  assert_int_equal(g->node[5]->n_attr, 0);
  assert_string_equal(g->node[6]->in[0]->name, "m");
  assert_true(holds(&file, "documentation of a node"));
  sumi_graph_free(g);
  free(file.data);
}

/* Where nothing is asked for, a node stands as early as its inputs allow: also behind the file's last one. */
static void places_nodes(void **state) {
  (void)state;
  static const char *const kc[] = {"k2", "a"}, *const k[] = {"k"}, *const y[] = {"y_raw"};
  const struct sumi_change c[] = {
      {SUMI_CHANGE_NODE, .op = "Abs", .inputs = k, .n_inputs = 1, .output = "k2", .axis = INT64_MIN},
      {SUMI_CHANGE_NODE, .op = "Mul", .inputs = kc, .n_inputs = 2, .output = "z", .axis = INT64_MIN},
      {SUMI_CHANGE_OUTPUT, .node = "y", .index = 0, .name = "y_raw"},
      {SUMI_CHANGE_NODE, .op = "Neg", .inputs = y, .n_inputs = 1, .output = "y", .axis = INT64_MIN},
  };
  static const char *const want[] = {"Mul", "Constant", "Abs", "Add", "Mul", "If", "Neg"};
  struct bytes file;
  struct sumi_graph *g = changed(8, 13, c, SUMI_COUNT(c), &file);
  assert_int_equal(g->n_node, SUMI_COUNT(want));
  for (size_t i = 0; i < SUMI_COUNT(want); i++) assert_string_equal(g->node[i]->op_name, want[i]);
  assert_ptr_equal(g->output[0], g->node[6]->out[0]);
  sumi_graph_free(g);
  free(file.data);
}

/* There are files whose nodes do not stand in order, and readers that take them: order is then nobody's to ask for. */
static void takes_nodes_out_of_order(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 13), g = {0}, out;
  put_message(&g, 1, node_bytes("Abs", "t", "y"));
  put_message(&g, 1, node_bytes("Neg", "x", "t"));
  put_message(&g, 11, value_bytes("x", 1, "4"));
  put_message(&g, 12, value_bytes("y", 1, "4"));
  put_message(&m, 7, g);
  const struct sumi_change c = {SUMI_CHANGE_INPUT, .node = "y", .index = 0, .name = "t"};
  assert_int_equal(rewrite(&m, &c, 1, NULL, &out, NULL), SUMI_OK);
  assert_int_equal(out.n, m.n);
  assert_memory_equal(out.data, m.data, m.n);
  free(out.data);
  free(m.data);
}

static void refuses_a_standard_that_is_not_imported(void **state) {
  (void)state;
  struct bytes m = {0}, o = {0}, g = {0}, out;
  put_text(&o, 1, "com.microsoft");
  put_int(&o, 2, 1);
  put_int(&m, 1, 8);
  put_message(&m, 8, o);
  put_message(&g, 11, value_bytes("x", 1, "4"));
  put_message(&m, 7, g);
  const struct sumi_change c = {SUMI_CHANGE_NODE, .op = "Abs",   .inputs = (const char *const[]){"x"},
                                .n_inputs = 1,    .output = "y", .axis = INT64_MIN};
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(rewrite(&m, &c, 1, NULL, &out, &err), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "imports no operator set of the standard"));
  free(m.data);
}

static void drops_and_appends(void **state) {
  (void)state;
  const struct sumi_change c[] = {
      {SUMI_CHANGE_INPUT, .node = "a", .index = 0, .name = "x"},
      {SUMI_CHANGE_DROP, .node = "m"},
      {SUMI_CHANGE_INPUT, .node = "a", .index = 1, .name = "w"},
      {SUMI_CHANGE_DROP, .name = "k"},
      {SUMI_CHANGE_METADATA, .name = "made", .text = "otherwise"},
      {SUMI_CHANGE_METADATA, .name = "new", .text = "one"},
      {SUMI_CHANGE_METADATA, .name = "new", .text = "two"},
  };
  struct bytes file;
  struct sumi_graph *g = changed(8, 13, c, SUMI_COUNT(c), &file);
  assert_int_equal(g->n_node, 2);
  assert_string_equal(g->node[0]->op_name, "Add");
  size_t found = 0;
  for (size_t i = 0; i < g->n_metadata; i++) {
    const struct sumi_metadata *m = &g->metadata[i];
    found += !strcmp(m->key, "made") && !strcmp(m->value, "otherwise");
    found += !strcmp(m->key, "new") && !strcmp(m->value, "two");
  }
  assert_int_equal(found, 2);
  assert_false(holds(&file, "by hand") || holds(&file, "one"));
  sumi_graph_free(g);
  free(file.data);
}

/* Conv with two inputs and a graph without initializers: the first ones. */
static void adds_inputs_where_there_are_none(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 13), g = {0}, out, file;
  put_message(&g, 1, node_bytes("Constant", NULL, "z"));
  put_message(&g, 1, node_bytes("Sum", "x", "y"));
  put_message(&g, 11, value_bytes("x", 1, "4"));
  put_message(&g, 12, value_bytes("y", 1, "4"));
  put_message(&m, 7, g);
  const struct sumi_change c[] = {{SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &w4},
                                  {SUMI_CHANGE_CONSTANT, .name = "z", .tensor = &w4},
                                  {SUMI_CHANGE_INPUT, .node = "y", .index = 1, .name = "w"},
                                  {SUMI_CHANGE_INPUT, .node = "y", .index = 2, .name = "z"}};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *graph;
  if (rewrite(&m, c, SUMI_COUNT(c), NULL, &out, &err) != SUMI_OK) fail_msg("%s", err.text);
  free(m.data);
  file = out;
  if (import_bytes(file, (struct sumi_onnx_source){0}, 0, NULL, &graph, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  assert_int_equal(graph->node[1]->n_in, 3);
  assert_string_equal(graph->node[1]->in[2]->name, "z");
  sumi_graph_free(graph);
}

static void refuses_what_is_wrong(void **state) {
  (void)state;
  static const struct sumi_tensor text = {.dtype = SUMI_STRING, .rank = 1, .dim = {4}, .data = (void *)ones},
                                  flat = {.dtype = SUMI_FLOAT32,
                                          .rank = 2,
                                          .dim = {2, 2},
                                          .data = (void *)ones},
                                  half = {.dtype = SUMI_FLOAT16, .rank = 1, .dim = {4}, .data = (void *)ones},
                                  int4 = {.dtype = SUMI_INT4, .rank = 1, .dim = {4}, .data = (void *)ones},
                                  none = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {4}};
  static const char *const in_x[] = {"x"}, *const in_m[] = {"m"}, *const in_x4[] = {"x4"};
#define NODE(op_, in_, ...) \
  { SUMI_CHANGE_NODE, .op = op_, .inputs = in_, .n_inputs = 1, __VA_ARGS__ }
  static const struct {
    struct sumi_change c[2];
    size_t n;
    sumi_status status;
    const char *says;
  } rows[] = {
      {{{(enum sumi_change_kind)99}}, 1, SUMI_E_ARG, "of no known kind"},
      {{{SUMI_CHANGE_CONSTANT, .tensor = &w4}}, 1, SUMI_E_ARG, "it has no name"},
      {{{SUMI_CHANGE_CONSTANT, .name = "w"}}, 1, SUMI_E_ARG, "it gives no tensor"},
      {{{SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &none}}, 1, SUMI_E_ARG, "no data"},
      {{{SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &text}}, 1, SUMI_E_UNSUPPORTED, "tensors of numbers"},
      {{{SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &flat}},
       1,
       SUMI_E_SHAPE,
       "another shape for it than [2,2]"},
      {{{SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &half}}, 1, SUMI_E_TYPE, "another element type"},
      {{{SUMI_CHANGE_CONSTANT, .name = "m", .tensor = &w4}}, 1, SUMI_E_VALUE, "it is no constant"},
      {{{SUMI_CHANGE_CONSTANT, .name = "x", .tensor = &w4}}, 1, SUMI_E_VALUE, "it is no constant"},
      {{{SUMI_CHANGE_INPUT, .node = "b", .name = "x"}}, 1, SUMI_E_VALUE, "first output is 'b'"},
      {{{SUMI_CHANGE_INPUT, .name = "x"}}, 1, SUMI_E_ARG, "names no node"},
      {{{SUMI_CHANGE_INPUT, .node = "m"}}, 1, SUMI_E_ARG, "it has no name"},
      {{{SUMI_CHANGE_INPUT, .node = "m", .name = "x", .index = 3}}, 1, SUMI_E_VALUE, "and no input 3"},
      {{{SUMI_CHANGE_INPUT, .node = "m", .name = "x", .index = -1}}, 1, SUMI_E_VALUE, "and no input -1"},
      {{{SUMI_CHANGE_INPUT, .node = "m", .name = "nobody"}},
       1,
       SUMI_E_VALUE,
       "would read 'nobody', which is not"},
      {{{SUMI_CHANGE_INPUT, .node = "m", .name = "a"}}, 1, SUMI_E_VALUE, "read 'a', which is made behind it"},
      {{{SUMI_CHANGE_OUTPUT, .node = "m", .name = "z", .index = 1}}, 1, SUMI_E_VALUE, "and no output 1"},
      {{{SUMI_CHANGE_OUTPUT, .node = "m", .name = "a"}}, 1, SUMI_E_VALUE, "'a' is there already"},
      {{{SUMI_CHANGE_OUTPUT, .node = "m", .name = "z"}}, 1, SUMI_E_VALUE, "read 'm', which is not there"},
      {{{SUMI_CHANGE_OUTPUT, .node = "y", .name = ""}}, 1, SUMI_E_VALUE, "the graph would read 'y'"},
      {{{SUMI_CHANGE_DROP, .node = "m"}}, 1, SUMI_E_VALUE, "node 'a' would read 'm'"},
      {{{SUMI_CHANGE_DROP, .name = "x"}}, 1, SUMI_E_VALUE, "no initializer"},
      {{{SUMI_CHANGE_DROP, .name = "w"}, {SUMI_CHANGE_INPUT, .node = "m", .index = 1, .name = "x"}},
       2,
       SUMI_E_VALUE,
       "node 'y' would read 'w', which is not there"}, /* in its bodies */
      {{{SUMI_CHANGE_METADATA, .name = "key"}}, 1, SUMI_E_ARG, "lacks a key or a value"},
      {{NODE("Abs", in_x, .axis = INT64_MIN)}, 1, SUMI_E_ARG, "lacks an operator or an output"},
      {{NODE("Nonsense", in_x, .output = "z", .axis = INT64_MIN)}, 1, SUMI_E_UNSUPPORTED, "Nonsense"},
      {{NODE("Abs", in_x, .output = "m", .axis = INT64_MIN)}, 1, SUMI_E_VALUE, "'m' is there already"},
      {{NODE("Abs", in_x, .output = "z", .axis = INT64_MIN, .before = "w")}, 1, SUMI_E_VALUE, "makes 'w'"},
      {{NODE("Abs", in_m, .output = "z", .axis = INT64_MIN, .before = "m")},
       1,
       SUMI_E_VALUE,
       "'m', which is made behind it"},
      {{NODE("QuantizeLinear", in_x, .output = "z", .axis = 0)},
       1,
       SUMI_E_UNSUPPORTED,
       "needs operator set 13"},
      {{{SUMI_CHANGE_CONSTANT, .name = "x4", .tensor = &int4},
        NODE("DequantizeLinear", in_x4, .output = "z", .axis = INT64_MIN)},
       2,
       SUMI_E_UNSUPPORTED,
       "of such types needs operator set 21, the file imports 12"},
      {{NODE("HardSwish", in_x, .output = "z", .axis = INT64_MIN)}, 1, SUMI_E_UNSUPPORTED, "set 12"},
  };
  struct bytes m = sample(3, 12), out;
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = rewrite(&m, rows[i].c, rows[i].n, NULL, &out, &err);
    if (status != rows[i].status || !strstr(err.text, rows[i].says))
      fail_msg("row %zu: %d, '%s' instead of '%s'", i, status, err.text, rows[i].says);
    assert_null(out.data);
  }
  free(m.data);
}

/* Every kind of change, against which damage and failing allocators are held. */
static const char *const scaled[] = {"m_float", "s"};
static const struct sumi_change all_kinds[] = {
    {SUMI_CHANGE_CONSTANT, .name = "s", .tensor = &w4},
    {SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &w4},
    {SUMI_CHANGE_CONSTANT, .name = "k", .tensor = &w4},
    {SUMI_CHANGE_OUTPUT, .node = "m", .index = 0, .name = "m_float"},
    {SUMI_CHANGE_NODE, .op = "Mul", .inputs = scaled, .n_inputs = 2, .output = "m", .axis = INT64_MIN,
     .before = "a"},
    {SUMI_CHANGE_INPUT, .node = "a", .index = 1, .name = "m"},
    {SUMI_CHANGE_DROP, .name = "k"},
    {SUMI_CHANGE_METADATA, .name = "made", .text = "otherwise"},
    {SUMI_CHANGE_METADATA, .name = "new", .text = "one"},
};

static void tell(const struct sumi_err *err, sumi_status status) {
  if (status == SUMI_OK ? err->text[0] : !err->text[0] || err->status != status)
    fail_msg("status %d, '%s'", status, err->text);
  assert_int_not_equal(status, SUMI_E_INTERNAL);
}

static void survives_damage(void **state) {
  (void)state;
  struct bytes m = sample(3, 13), out;
  size_t taken = 0;
  for (size_t n = 0; n < 4 * m.n; n++) { /* cut, then with one byte changed in three ways */
    struct bytes damaged = {malloc(m.n), n < m.n ? n : m.n};
    if (!damaged.data) abort();
    memcpy(damaged.data, m.data,
           damaged.n); /* a block of the right size: a sanitizer sees what lies behind */
    damaged.data = realloc(damaged.data, damaged.n ? damaged.n : 1);
    if (n >= m.n) damaged.data[n % m.n] ^= (uint8_t)(n / m.n == 1 ? 1 : n / m.n == 2 ? 8 : 128);
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = rewrite(&damaged, all_kinds, SUMI_COUNT(all_kinds), NULL, &out, &err);
    tell(&err, status);
    taken += status == SUMI_OK;
    free(out.data);
    free(damaged.data);
  }
  assert_true(taken > 0 && taken < 3 * m.n);
  free(m.data);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  struct bytes m = sample(3, 13), want, out;
  assert_int_equal(rewrite(&m, all_kinds, SUMI_COUNT(all_kinds), NULL, &want, NULL), SUMI_OK);
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    struct sumi_err err = SUMI_ERR_INIT;
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = rewrite(&m, all_kinds, SUMI_COUNT(all_kinds), a, &out, &err);
    tell(&err, status);
    assert_int_equal(heap.blocks, 0);
    assert_int_equal(status, heap.failed ? SUMI_E_MEMORY : SUMI_OK);
    if (!heap.failed) break;
    assert_null(out.data);
  }
  assert_int_equal(out.n, want.n);
  assert_memory_equal(out.data, want.data, want.n);
  free(out.data);
  free(want.data);
  free(m.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keeps_all_without_changes), cmocka_unit_test(replaces_constants),
      cmocka_unit_test(makes_and_rewires_nodes),   cmocka_unit_test(places_nodes),
      cmocka_unit_test(takes_nodes_out_of_order),  cmocka_unit_test(refuses_a_standard_that_is_not_imported),
      cmocka_unit_test(drops_and_appends),         cmocka_unit_test(adds_inputs_where_there_are_none),
      cmocka_unit_test(refuses_what_is_wrong),     cmocka_unit_test(survives_damage),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

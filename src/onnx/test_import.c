/* What the importer makes of hand-assembled models that are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem_test.h"
#include "base/size.h"
#include "onnx/bytes_test.h"

static const struct sumi_onnx_source plain;

/* x -> Relu -> y, float32 [N,3]. */
static struct bytes relu_graph(void) {
  struct bytes g = {0};
  put_text(&g, 2, "g");
  put_message(&g, 1, node_bytes("Relu", "x", "y"));
  put_message(&g, 11, value_bytes("x", 1, "N,3"));
  put_message(&g, 12, value_bytes("y", 1, "N,3"));
  return g;
}

static struct sumi_graph *import_model(struct bytes model) {
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  if (import_bytes(model, plain, 0, NULL, &g, &err) != SUMI_OK) fail_msg("refused: %s", err.text);
  return g;
}

static struct sumi_graph *import_graph(int64_t ir, int64_t opset, struct bytes graph) {
  struct bytes m = model_bytes(ir, opset);
  put_message(&m, 7, graph);
  return import_model(m);
}

static const char *metadata(const struct sumi_graph *g, const char *key) {
  for (size_t i = 0; i < g->n_metadata; i++)
    if (!strcmp(g->metadata[i].key, key)) return g->metadata[i].value;
  return NULL;
}

static void takes_a_model(void **state) {
  (void)state;
  struct bytes m = model_bytes(8, 17), entry = {0}, unneeded = {0};
  put_text(&m, 2, "maker");
  put_text(&m, 3, "1.2");
  put_int(&m, 5, 7);
  put_text(&entry, 1, "licence");
  put_text(&entry, 2, "free");
  put_message(&m, 14, entry);
  put_text(&unneeded, 1, "ai.onnx.training");
  put_int(&unneeded, 2, 99);
  put_message(&m, 8, unneeded);
  put_message(&m, 7, relu_graph());
  struct sumi_graph *g = import_model(m);
  assert_string_equal(g->name, "g");
  assert_int_equal(g->n_node, 1);
  assert_string_equal(g->node[0]->op_name, "Relu");
  assert_int_equal(g->node[0]->version, 17);
  assert_int_equal(g->n_input, 1);
  assert_int_equal(g->input[0]->info.dtype, SUMI_FLOAT32);
  assert_int_equal(g->input[0]->info.rank, 2);
  assert_true(g->input[0]->info.dim[0] == sumi_dim_symbol(g->symbols, "N"));
  assert_int_equal(g->input[0]->info.dim[1], 3);
  assert_int_equal(g->n_output, 1);
  assert_ptr_equal(g->output[0], g->node[0]->out[0]);
  assert_string_equal(g->output[0]->name, "y");
  assert_string_equal(metadata(g, "licence"), "free");
  assert_string_equal(metadata(g, SUMI_ONNX_FACT "ir_version"), "8");
  assert_string_equal(metadata(g, SUMI_ONNX_FACT "opset.ai.onnx"), "17");
  assert_string_equal(metadata(g, SUMI_ONNX_FACT "producer_name"), "maker");
  assert_string_equal(metadata(g, SUMI_ONNX_FACT "producer_version"), "1.2");
  assert_string_equal(metadata(g, SUMI_ONNX_FACT "model_version"), "7");
  sumi_graph_free(g);
}

static void declares_types(void **state) {
  (void)state;
  static const struct {
    const char *dims;
    int rank;
    sumi_dim dim[2]; /* -2: the symbol "a" */
  } rows[] = {
      {"", 0, {0}},          {NULL, -1, {0}},      {"?,4", 2, {-1, 4}},
      {"-1,0", 2, {-1, -1}}, {"a,a", 2, {-2, -2}}, {"None,None", 2, {-1, -1}},
      {"17,a", 2, {17, -2}},
  };
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct bytes b = {0};
    put_message(&b, 1, node_bytes("Relu", "x", "y"));
    put_message(&b, 11, value_bytes("x", 1, rows[i].dims));
    put_message(&b, 12, value_bytes("y", 0, NULL));
    struct sumi_graph *g = import_graph(8, 17, b);
    const struct sumi_info *info = &g->input[0]->info;
    assert_int_equal(info->rank, rows[i].rank);
    for (int k = 0; k < rows[i].rank; k++)
      assert_true(info->dim[k] == (rows[i].dim[k] == -2 ? sumi_dim_symbol(g->symbols, "a") : rows[i].dim[k]));
    sumi_graph_free(g);
  }
  /* sum of symbols; a sequence and an optional sequence */
  struct bytes b = {0}, seq_info = {0}, opt_info = {0}, seq = {0}, opt = {0}, elem = {0}, elem2 = {0};
  put_message(&elem, 1, type_bytes(7, "2"));
  put_message(&seq, 4, elem);
  put_text(&seq_info, 1, "s");
  put_data(&seq_info, 2, seq.data, seq.n);
  put_message(&elem2, 1, seq);
  put_message(&opt, 9, elem2);
  put_text(&opt_info, 1, "o");
  put_message(&opt_info, 2, opt);
  put_message(&b, 11, seq_info);
  put_message(&b, 11, opt_info);
  put_message(&b, 11, value_bytes("x", 1, "past + seq"));
  struct sumi_graph *g = import_graph(8, 17, b);
  assert_int_equal(g->input[0]->info.kind, SUMI_SEQUENCE);
  assert_int_equal(g->input[0]->info.dtype, SUMI_INT64);
  assert_int_equal(g->input[0]->info.rank, -1);
  assert_int_equal(g->input[1]->info.kind, SUMI_OPTIONAL_SEQUENCE);
  assert_int_equal(g->input[1]->info.dtype, SUMI_INT64);
  struct sumi_symbols *s = g->symbols;
  assert_true(g->input[2]->info.dim[0] ==
              sumi_dim_add(s, sumi_dim_symbol(s, "past"), sumi_dim_symbol(s, "seq")));
  sumi_graph_free(g);
}

/* y = Add(x, w) with w an initializer that is listed as an input, too. */
static struct bytes default_graph(void) {
  static const float w[] = {1, 2, 3};
  struct bytes b = {0};
  put_message(&b, 1, node_bytes("Add", "x,w", "y"));
  put_message(&b, 5, raw_tensor_bytes("w", 1, "3", w, sizeof w));
  put_message(&b, 11, value_bytes("x", 1, "3"));
  put_message(&b, 11, value_bytes("w", 1, "3"));
  put_message(&b, 12, value_bytes("y", 1, "3"));
  return b;
}

static void knows_defaults(void **state) {
  (void)state;
  struct sumi_graph *g = import_graph(8, 17, default_graph());
  assert_int_equal(g->n_input, 2);
  assert_true(g->input[1]->is_input && g->input[1]->constant);
  assert_true(((const float *)g->input[1]->constant->data)[2] == 3);
  assert_null(g->input[1]->info.data); /* a default is not known contents */
  sumi_graph_free(g);
  g = import_graph(3, 17, default_graph()); /* before IR 4 it is a constant */
  assert_int_equal(g->n_input, 1);
  assert_ptr_equal(g->node[0]->in[1]->constant->data, g->node[0]->in[1]->info.data->data);
  assert_false(g->node[0]->in[1]->is_input);
  sumi_graph_free(g);
}

/* Nodes out of order, outputs that are inputs and constants, optional inputs left out. */
static void sorts_nodes(void **state) {
  (void)state;
  static const float one[] = {1};
  struct bytes b = {0};
  put_message(&b, 1, node_bytes("Clip", "t,,c", "y"));
  put_message(&b, 1, node_bytes("Neg", "s", "t"));
  put_message(&b, 1, node_bytes("Relu", "x", "s"));
  put_message(&b, 5, raw_tensor_bytes("c", 1, "", one, sizeof one));
  put_message(&b, 11, value_bytes("x", 1, "N"));
  put_message(&b, 12, value_bytes("y", 1, "N"));
  put_message(&b, 12, value_bytes("x", 1, "N"));
  put_message(&b, 12, value_bytes("c", 1, ""));
  struct sumi_graph *g = import_graph(8, 17, b);
  assert_string_equal(g->node[0]->op_name, "Relu");
  assert_string_equal(g->node[1]->op_name, "Neg");
  assert_string_equal(g->node[2]->op_name, "Clip");
  assert_int_equal(g->node[2]->n_in, 3);
  assert_null(g->node[2]->in[1]);
  assert_ptr_equal(g->output[1], g->input[0]);
  assert_non_null(g->output[2]->constant);
  sumi_graph_free(g);
}

/* The later Constant of a name counts, as for every engine. */
static void takes_the_last_constant(void **state) {
  (void)state;
  struct bytes b = {0};
  for (int i = 1; i <= 2; i++) {
    struct bytes n = node_bytes("Constant", NULL, "c"), a = attr_bytes("value_float", 1);
    put_float(&a, 2, (float)i);
    put_message(&n, 5, a);
    put_message(&b, 1, n);
  }
  put_message(&b, 1, node_bytes("Add", "x,c", "y"));
  put_message(&b, 11, value_bytes("x", 1, "3"));
  put_message(&b, 12, value_bytes("y", 1, "3"));
  struct sumi_graph *g = import_graph(8, 17, b);
  assert_int_equal(g->n_node, 2);
  assert_true(sumi_attr_float(sumi_graph_find_value(g, "c")->producer, "value_float", 0) == 2);
  sumi_graph_free(g);
}

static void takes_attributes(void **state) {
  (void)state;
  struct bytes b = {0}, n = node_bytes("Conv", "x,w", "y"), a = attr_bytes("strides", 7),
               s = attr_bytes("auto_pad", 3);
  put_int(&a, 8, 2);
  put_int(&a, 8, 3);
  put_text(&s, 4, "SAME_UPPER");
  put_message(&n, 5, a);
  put_message(&n, 5, s);
  put_message(&n, 5, int_attr_bytes("group", 1));
  put_text(&n, 3, "conv");
  put_message(&b, 1, n);
  put_message(&b, 11, value_bytes("x", 1, "1,1,8,8"));
  put_message(&b, 11, value_bytes("w", 1, "1,1,3,3"));
  put_message(&b, 12, value_bytes("y", 1, NULL));
  struct sumi_graph *g = import_graph(8, 17, b);
  const struct sumi_node *node = g->node[0];
  int count;
  const int64_t *strides = sumi_attr_ints(node, "strides", &count);
  assert_string_equal(node->name, "conv");
  assert_int_equal(count, 2);
  assert_int_equal(strides[1], 3);
  assert_string_equal(sumi_attr_string(node, "auto_pad", ""), "SAME_UPPER");
  assert_int_equal(sumi_attr_int(node, "group", 0), 1);
  sumi_graph_free(g);
}

/* Raw bytes are used where they stand when they are aligned, and copied when not; either way they are
 * right. */
static void borrows_aligned_bytes(void **state) {
  (void)state;
  int in_place = 0;
  for (size_t shift = 0; shift < 4; shift++) {
    struct bytes m = model_bytes(8, 17);
    put_message(&m, 7, default_graph());
    struct sumi_graph *g = NULL;
    assert_int_equal(import_bytes(m, plain, shift, NULL, &g, NULL), SUMI_OK);
    const struct sumi_value *w = g->input[1];
    const struct sumi_blob *file = g->held[0];
    const char *at = w->constant->data;
    assert_int_equal((uintptr_t)at % 4, 0);
    assert_true(((const float *)w->constant->data)[0] == 1);
    if (at >= (const char *)file->data && at < (const char *)file->data + file->bytes) in_place++;
    sumi_graph_free(g);
  }
  assert_int_equal(in_place, 1);
}

/* A model that knows how to fail: with every allocation failing once, nothing leaks and nothing else goes
 * wrong. */
static void survives_lack_of_memory(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  for (long n = 0;; n++) {
    struct bytes m = model_bytes(8, 17), f = {0}, b = default_graph(), call = node_bytes("local:F", "y", "z");
    put_text(&f, 1, "F");
    put_text(&f, 10, "local");
    put_text(&f, 4, "p");
    put_text(&f, 5, "q");
    put_message(&f, 7, node_bytes("Relu", "p", "r"));
    put_message(&f, 7, node_bytes("Neg", "r", "q"));
    put_message(&m, 25, f);
    put_text(&call, 3, "call");
    put_message(&b, 1, call);
    put_message(&b, 12, value_bytes("z", 1, NULL));
    put_message(&m, 7, b);
    struct sumi_graph *g = NULL;
    struct sumi_err err = SUMI_ERR_INIT;
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = import_bytes(m, plain, 1, a, &g, &err);
    assert_true(status == SUMI_OK || status == SUMI_E_MEMORY);
    if (status == SUMI_E_MEMORY) assert_true(heap.failed && err.text[0]);
    sumi_graph_free(g);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) {
      assert_true(n > 10);
      break;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_a_model),           cmocka_unit_test(declares_types),
      cmocka_unit_test(knows_defaults),          cmocka_unit_test(sorts_nodes),
      cmocka_unit_test(takes_the_last_constant), cmocka_unit_test(takes_attributes),
      cmocka_unit_test(borrows_aligned_bytes),   cmocka_unit_test(survives_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

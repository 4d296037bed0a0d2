/* Shape arithmetic of the movement and control operators while shapes are symbols: what a graph's output is
 * found to be, as text; and the sentences that refuse what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "op/ops.h"

/* Infers the graph in text; buf receives the dims of its first output ("batch,?,3"; "unknown" without a
 * rank) or the sentence of the failure. */
static const char *infer(const char *text, char *buf, size_t size) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  struct sumi_arena arena;
  sumi_arena_init(&arena, sumi_allocator_default());
  buf[0] = 0;
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), &g, &err) == SUMI_OK) {
    struct sumi_info *info = SUMI_NEW_ARRAY(&arena, g->n_value, struct sumi_info);
    const struct sumi_infer_job job = {
        .graph = g, .symbols = g->symbols, .arena = &arena, .fold_bytes = 1 << 16, .info = info};
    if (sumi_graph_infer(&job, &err) == SUMI_OK) {
      const struct sumi_info *o = &info[g->output[0]->id];
      struct sumi_text t;
      sumi_text_init(&t, sumi_allocator_default());
      if (o->rank < 0) sumi_text_add(&t, "unknown");
      for (int i = 0; i < o->rank; i++) {
        if (i) sumi_text_add(&t, ",");
        sumi_dim_print(g->symbols, o->dim[i], &t);
      }
      snprintf(buf, size, "%s", sumi_text_str(&t));
      sumi_text_fini(&t);
    }
  }
  if (err.status != SUMI_OK) snprintf(buf, size, "%s", err.text);
  sumi_graph_free(g);
  sumi_arena_fini(&arena);
  return buf;
}

static void expect(const char *text, const char *want) {
  char got[2048];
  if (strcmp(infer(text, got, sizeof got), want)) fail_msg("%s\n  is   %s\n  want %s", text, got, want);
}

static void refuse(const char *text, const char *part) {
  char got[2048];
  if (!strstr(infer(text, got, sizeof got), part)) fail_msg("%s\n  says %s\n  want %s", text, got, part);
}

static void test_contents(void **state) {
  (void)state;
  /* how exporters split heads */
  expect(
      "g (float[batch,seq,768] x) => (y)"
      " <int64[] zero = {0}, int64[] one = {1}, int64[1] ax = {0}, int64[2] heads = {12, 64}> {"
      " s = Shape (x) b = Gather (s, zero) n = Gather (s, one) b1 = Unsqueeze (b, ax) n1 = Unsqueeze (n, ax)"
      " t = Concat <axis = 0> (b1, n1, heads) y = Reshape (x, t) }",
      "batch,seq,12,64");
  expect("g (float[batch,seq,768] x) => (y) <int64[1] from = {0}, int64[1] to = {-1}, int64[1] rest = {-1}> {"
         " s = Shape (x) t = Slice (s, from, to) u = Concat <axis = 0> (t, rest) y = Reshape (x, u) }",
         "batch,seq,768");
  expect("g (float[n,4] x) => (y) { s = Shape <start = 0, end = 1> (x) t = Squeeze (s) y = ConstantOfShape "
         "(s) }",
         "n");
  expect("g (float[n,m] x, float[1,1,m] v) => (y) { s = Shape (x) y = Expand (v, s) }", "1,n,m");
  expect("g (float[n,m] x) => (y) <int64 a = {0}, int64 d = {1}> { n = Size (x) y = Range (a, n, d) }",
         "m*n");
}

static void test_reshape(void **state) {
  (void)state;
  expect("g (float[b,s,768] x) => (y) <int64[4] t = {0, -1, 12, 64}> { y = Reshape (x, t) }", "b,s,12,64");
  expect("g (float[b,s,12,64] x) => (y) <int64[3] t = {0, 0, -1}> { y = Reshape (x, t) }", "b,s,768");
  expect("g (float[0,3] x) => (y) <int64[2] t = {0, -1}> { y = Reshape (x, t) }", "0,3");
  expect("g (float[b,2,3] x) => (y) { y = Flatten <axis = 2> (x) }", "2*b,3");
  expect("g (float[b,2,3] x, int64[2] t) => (y) { y = Reshape (x, t) }", "?,?");
  refuse("g (float[2,3] x) => (y) <int64[2] t = {4, -1}> { y = Reshape (x, t) }",
         "the -1 would stand for 6 / 4");
  refuse("g (float[2,3] x) => (y) <int64[2] t = {4, 2}> { y = Reshape (x, t) }",
         "[2,3] has 6 elements, [4,2] has 8");
  refuse("g (float[2,3] x) => (y) <int64[2] t = {-1, -1}> { y = Reshape (x, t) }", "2 times -1");
}

static void test_cut(void **state) {
  (void)state;
  expect("g (float[b,9] x) => (y) <int64[1] f = {0}, int64[1] t = {9223372036854775807}> { y = Slice (x, f, "
         "t) }",
         "b,9");
  expect("g (float[b,9] x) => (y) <int64[1] f = {-1}, int64[1] t = {-9223372036854775808}, int64[1] a = {0}, "
         "int64[1] s = {-1}>"
         " { y = Slice (x, f, t, a, s) }",
         "b,9");
  expect("g (float[b,s] x, float[s,4] z) => (y) <int64[1] f = {0}, int64[1] a = {1}> {"
         " n = Shape <start = 0, end = 1> (z) y = Slice (x, f, n, a) }",
         "b,s");
  expect("g (float[b,9] x) => (y) <int64[4] p = {1, 0, 2, -3}> { y = Pad (x, p) }", "b + 3,6");
  expect("g (float[b,3] x, float[c,3] z) => (y) { y = Concat <axis = 0> (x, z) }", "b + c,3");
  expect("g (float[b,c] x) => (y) { y, z = Split <axis = 1, num_outputs = 2> (x) }", "b,(c + 1)/2");
  refuse("g (float[4,9] x) => (y) <int64[1] f = {0}, int64[1] t = {3}, int64[1] a = {0}, int64[1] s = {0}>"
         " { y = Slice (x, f, t, a, s) }",
         "steps[0] is 0");
  refuse("g (float[4,3] x, float[4,2] z) => (y) { y = Concat <axis = 0> (x, z) }", "dimension 1");
  refuse("g (float[4,3] x) => (y) <int64[2] p = {0, 0}> { y = Pad (x, p) }", "pads has 2 entries, not 4");
}

static void test_resize(void **state) {
  (void)state;
  expect("g (float[n,3,h,w] x) => (y) <float[4] s = {1, 1, 2, 2}> { y = Resize (x, , s) }", "n,3,2*h,2*w");
  expect("g (float[n,3,h,w] x, float[1,1,p,q] z) => (y) {"
         " a = Shape <end = 2> (x) b = Shape <start = 2> (z) s = Concat <axis = 0> (a, b) y = Resize (x, , , "
         "s) }",
         "n,3,p,q");
  expect("g (float[1,3,10,5] x) => (y) <float[4] s = {1, 1, 0.7, 0.5}> { y = Resize (x, , s) }", "1,3,7,2");
}

static void test_control(void **state) {
  (void)state;
  expect("g (bool c, float[b,3] x) => (y) {"
         " y = If <then_branch = t () => (float[n,m] p) { p = Identity (x) },"
         " else_branch = e () => (float[n,m] q) { q = Concat <axis = 1> (x, x) }> (c) }",
         "b,?");
  expect("g (float[b,3] x) => (y) <bool c = {0}> {"
         " y = If <then_branch = t () => (float[n,m] p) { p = Identity (x) },"
         " else_branch = e () => (float[n,m] q) { q = Concat <axis = 1> (x, x) }> (c) }",
         "b,6");
  expect("g (float[b,3] x) => (y) <int64 m = {4}> {"
         " z, y = Loop <body = l (int64 i, bool c, float[n,k] s) => (bool d, float[n,k] t, float[n,k] u) {"
         " d = Identity (c) t = Concat <axis = 1> (s, x) u = Identity (x) }> (m, , x) }",
         "4,b,3");
  expect("g (float[b,3] x) => (z) <int64 m = {4}> {"
         " z = Loop <body = l (int64 i, bool c, float[n,k] s) => (bool d, float[n,k] t) {"
         " d = Identity (c) t = Concat <axis = 1> (s, x) }> (m, , x) }",
         "b,?");
  expect("g (float[h] s, float[t,b] x) => (y) {"
         " f, y = Scan <num_scan_inputs = 1, body = l (float[n] p, float[k] e) => (float[n] q, float[k] o) {"
         " q = Identity (p) o = Identity (e) }> (s, x) }",
         "t,b");
}

static void test_refusals(void **state) {
  (void)state;
  refuse("g (float[2,3] x) => (y) { y = Transpose <perm = [0, 0]> (x) }", "axis 0 is listed twice");
  refuse("g (float[2,3] x) => (y) <int64[1] a = {1}> { y = Squeeze (x, a) }", "dimension 1 is 3, not 1");
  refuse("g (float[2,3] x) => (y) <int64[1] a = {4}> { y = Unsqueeze (x, a) }", "axis 4 is outside [-3, 3)");
  refuse("g (float[5] x) => (y) <int64[1] k = {6}> { y, i = TopK (x, k) }",
         "k is 6, the axis has 5 elements");
  refuse("g (float[2,3] x, float[4,5] z) => (y) { y = Einsum <equation = \"ij,jk->ik\"> (x, z) }",
         "a label is 3 and 4");
  refuse("g (float[1,2] x) => (y) <bool[2] t = {1, 1}> { y = Dropout (x, , t) }", "one number is wanted");
}

/* Results of 64, 128, 128 and 2,048 bytes in a chain: which of them are computed when inferring. */
static void expect_folded(size_t small, size_t more, size_t total, const char *want) {
  static const char *const text =
      "g () => (d) <int64[2] n = {4, 4}, int64[3] m = {16, 4, 4}> "
      "{ a = ConstantOfShape (n) b = Cast <to = 7> (a) c = Add (b, b) d = Expand (c, m) }";
  struct sumi_graph *g = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_arena arena;
  sumi_arena_init(&arena, sumi_allocator_default());
  assert_int_equal(sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), &g, &err),
                   SUMI_OK);
  struct sumi_info *info = SUMI_NEW_ARRAY(&arena, g->n_value, struct sumi_info);
  const struct sumi_infer_job job = {.graph = g,
                                     .arena = &arena,
                                     .fold_bytes = small,
                                     .fold_more_bytes = more,
                                     .fold_total_bytes = total,
                                     .info = info};
  assert_int_equal(sumi_graph_infer(&job, &err), SUMI_OK);
  char got[8] = "";
  for (size_t i = 0; i < g->n_node; i++) strcat(got, info[g->node[i]->out[0]->id].data ? "y" : "n");
  assert_string_equal(got, want);
  sumi_graph_free(g);
  sumi_arena_fini(&arena);
}

static void test_folding(void **state) {
  (void)state;
  expect_folded(64, 0, 0, "ynnn"); /* a is float: 64 bytes */
  expect_folded(64, 128, 1000, "yyyn");
  expect_folded(64, 128, 255, "yynn"); /* the total is kept */
  expect_folded(64, 2048, 2304, "yyyy");
  expect_folded(64, 2048, 2303, "yyyn");
  expect_folded(128, 2048, 2048, "yyyy"); /* what is small does not count */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_contents), cmocka_unit_test(test_reshape),
                                     cmocka_unit_test(test_cut),      cmocka_unit_test(test_resize),
                                     cmocka_unit_test(test_control),  cmocka_unit_test(test_folding),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

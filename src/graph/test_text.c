/* Graphs as text: what is read prints as expected and reads back the same; what is wrong is named with its place; nothing
 * that text can hold does harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem_test.h"
#include "base/random.h"
#include "base/size.h"
#include "graph/op.h"

/* Operators by any name but "Unknown"; those of domain "late" begin with version 3. */
static const struct sumi_op any_op = {.name = "Any"};

static const struct sumi_op *lookup(const char *domain, const char *name, int opset, char *why,
                                    size_t why_size) {
  if (strcmp(name, "Unknown") != 0 && (strcmp(domain, "late") != 0 || opset >= 3)) return &any_op;
  snprintf(why, why_size, "no %s.%s in %d", domain, name, opset);
  return NULL;
}

static struct sumi_graph *parse(const char *text) {
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_graph_parse(text, strlen(text), lookup, NULL, &g, &err) != SUMI_OK)
    fail_msg("%s\n%s", err.text, text);
  return g;
}

static char *print(const struct sumi_graph *g, size_t max_elements, bool annotate) {
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_graph_print(g, max_elements, annotate, &t);
  assert_false(t.failed);
  char *copy = strdup(sumi_text_str(&t));
  sumi_text_fini(&t);
  return copy;
}

/* text prints as want, and want as itself, in a clone too. */
static void check(const char *text, const char *want) {
  struct sumi_graph *g = parse(text), *h = parse(want), *clone = sumi_graph_clone(g, NULL);
  char *p = print(g, SIZE_MAX, false), *q = print(h, SIZE_MAX, false);
  sumi_graph_free(g);
  char *r = print(clone, SIZE_MAX, false);
  assert_string_equal(p, want);
  assert_string_equal(q, want);
  assert_string_equal(r, want);
  free(p);
  free(q);
  free(r);
  sumi_graph_free(h);
  sumi_graph_free(clone);
}

#define HEAD "<ir_version: 14, opset_import: [\"\": 28]>\n"

static void test_graphs(void **state) {
  (void)state;
  static const char *const row[][2] = {
      {"g () => () {}", "<ir_version: 14, opset_import: []>\ng () => () {\n}\n"},
      {"g(float[N, 3]x)=>(y){y=Op(x)}# the end", HEAD "g (float[N,3] x) => (y) {\n  y = Op (x)\n}\n"},
      {"<producer_name: \"me\", opset_import: [\"\" : 11, \"a.b\" : 2], ir_version: 3, model_version: 1, "
       "domain: \"d\",\n"
       "  doc_string: \"\", producer_version: \"\"> g (x) => (y, z) { y = Op (x) z = a.b.Op (y) }",
       "<ir_version: 14, opset_import: [\"\": 11, \"a.b\": 2]>\ng (x) => (y, z) {\n  y = Op (x)\n  z = "
       "a.b.Op (y)\n}\n"},
      {"<metadata_props: [\"k\": \"a\\\"b\\\\\", \"l\": \"\"]> g () => () {}",
       "<ir_version: 14, opset_import: [], metadata_props: [\"k\": \"a\\\"b\\\\\", \"l\": \"\"]>\ng () => () "
       "{\n}\n"},
      /* the newest operator sets are meant where none is given */
      {"g (x) => (y) { y = ai.onnx.ml.Op (x) z = b.Op (y) w = ai.onnx.Op (x) }",
       "<ir_version: 14, opset_import: [\"ai.onnx.ml\": 5, \"b\": 1, \"\": 28]>\n"
       "g (x) => (y) {\n  y = ai.onnx.ml.Op (x)\n  z = b.Op (y)\n  w = Op (x)\n}\n"},
      /* a node with a version of its own */
      {"g (x) => (y) { y = Op:v11 (x) z = Op (x) }",
       HEAD "g (x) => (y) {\n  y = Op:v11 (x)\n  z = Op (x)\n}\n"},
      /* names */
      {"\"a b\" (\"x.1\", float \"float\", \"inf\", _1) => (\"\\\"\\\\\") { [\"n/1\"] \"\\\"\\\\\" = Op "
       "(\"x.1\", \"float\", \"inf\", _1) [n2] y = Op () }",
       HEAD "\"a b\" (\"x.1\", float \"float\", \"inf\", _1) => (\"\\\"\\\\\") {\n  [\"n/1\"] \"\\\"\\\\\" = "
            "Op (\"x.1\", \"float\", \"inf\", "
            "_1)\n  [n2] y = Op ()\n}\n"},
      /* what is left out */
      {"g (x) => (y) { y, , z = Op (, x, \"\", x,) \"\", w = Op (\"\") = Op () }",
       HEAD "g (x) => (y) {\n  y, \"\", z = Op (\"\", x, \"\", x)\n  \"\", w = Op (\"\")\n   = Op ()\n}\n"},
      /* types */
      {"g (float a, float[] b, float32[?, 2] c, seq(int64[N]) d, optional(string) e, optional(seq(bool[])) "
       "f, undefined[2] h, "
       "seq(undefined[]) i, double[\"n+1\", \"batch size\", \"3*k/3\"] j) => (a) {}",
       "<ir_version: 14, opset_import: []>\ng (float a, float[] b, float[?,2] c, seq(int64[N]) d, "
       "optional(string) e, "
       "optional(seq(bool[])) f, undefined[2] h, seq(undefined[]) i, double[\"n + 1\",\"batch size\",k] j) "
       "=> (float a) {\n}\n"},
      {"g (map(string,int64)a, seq(map(int32, float)) b) => (a) {}",
       "<ir_version: 14, opset_import: []>\ng (map(string, int64[]) a, seq(map(int32, float[])) b) => "
       "(map(string, int64[]) a) {\n}\n"},
      {"g (float[1,2,3,4,5,6,7,8,9,10,11,12] x) => (x) {}",
       "<ir_version: 14, opset_import: []>\ng (float[1,2,3,4,5,6,7,8,9,10,11,12] x) => "
       "(float[1,2,3,4,5,6,7,8,9,10,11,12] x) {\n}\n"},
      /* what is declared of what nodes make */
      {"g (x) => (float[2] y, z) <int64[N] z, float unused, float[7] y> { y, z = Op (x) }",
       HEAD "g (x) => (float[2] y, int64[N] z) {\n  y, z = Op (x)\n}\n"},
      /* attributes */
      {"g () => () { = Op <a = 1, b = -2.5, c = \"x\\\"y\", d = [1, -2], e = [1, 2.5], f = [\"\", \"b\"], g: "
       "ints = [], h: float = 3,\n"
       " i: floats = [1, 2], j = inf, k = [-inf, nan], l: type_proto = float[N, 2], m = seq(int32[]), n: "
       "strings = [], \"odd name\" = 1> () }",
       HEAD "g () => () {\n   = Op <a = 1, b = -2.5, c = \"x\\\"y\", d = [1, -2], e = [1.0, 2.5], f = [\"\", "
            "\"b\"], g: ints = [], h = 3.0, "
            "i = [1.0, 2.0], j = inf, k = [-inf, nan], l: type_proto = float[N,2], m: type_proto = "
            "seq(int32[]), n: strings = [], "
            "\"odd name\" = 1> ()\n}\n"},
      {"g () => () { = Op () <a = -9223372036854775808, b = 1e-45, c = 16777217.0, d = 1e39, e = .5, f = "
       "9223372036854775807> }",
       HEAD "g () => () {\n   = Op <a = -9223372036854775808, b = 1.4013e-45, c = 16777216.0, d = inf, e = "
            "0.5, f = 9223372036854775807> ()\n}\n"},
      {"g () => () { = Op <t = float[2] {1, 2}, u: tensor = int8 x = {3}, v: tensors = [bool {1}, string[2] "
       "{\"a\", \"\\\\\"}], w: tensors = []> () }",
       HEAD "g () => () {\n   = Op <t: tensor = float[2] {1, 2}, u: tensor = int8 {3}, v: tensors = [bool "
            "{1}, string[2] {\"a\", \"\\\\\"}], "
            "w: tensors = []> ()\n}\n"},
      /* constants and defaults */
      {"g (float[2] x = {1, -0.0}, y) => (z) <float[] s = {3}, int64[0] e = {}, float[2,1] m = {1.5, 1e30}> "
       "{ z = Op (x, s, e, m) }",
       HEAD "g (float[2] x = {1, -0}, y) => (z) <\n  float s = {3},\n  int64[0] e = {},\n  float[2,1] m = "
            "{1.5, 1e+30}\n> {\n"
            "  z = Op (x, s, e, m)\n}\n"},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) check(row[i][0], row[i][1]);
}

static void test_bodies(void **state) {
  (void)state;
  /* captures: of x and k by the inner body, of an own value by nobody; the names of both branches' inputs follow */
  check(
      "g (bool c, float[2] x) => (y) <float k = {2}> { t = Op (x)\n"
      " y = If (c) <then_branch = a () => (u) { u = If (c) <b = inner () => (w, x) { w = Op (x, k, t) }> },\n"
      "   else_branch: graph = \"float\" () => (t) {}> }",
      HEAD "g (bool c, float[2] x) => (y) <\n  float k = {2}\n> {\n  t = Op (x)\n"
           "  y = If (c, c, x, k, t) <_captured = 4, then_branch: graph = a (bool c, float[2] x, float k, t) "
           "=> (u) {\n"
           "      u = If (c, x, k, t) <_captured = 3, b: graph = inner (float[2] x, float k, t) => (w, "
           "float[2] x) {\n"
           "          w = Op (x, k, t)\n        }>\n"
           "    }, else_branch: graph = \"float\" (bool c, float[2] x, float k, t) => (t) {\n    }>\n}\n");
  /* a body's own value hides an outer one of that name */
  check("g (x) => (y) { y = Loop (x) <body = b (x) => (z) { z = Op (x) }> }",
        HEAD "g (x) => (y) {\n  y = Loop (x) <body: graph = b (x) => (z) {\n      z = Op (x)\n    }>\n}\n");
  check("g (x) => (y) { y = Switch (x) <all: graphs = [a () => (p) { p = Op () }, b () => (x) {}], none: "
        "graphs = []> }",
        HEAD "g (x) => (y) {\n  y = Switch (x, x) <_captured = 1, all: graphs = [a (x) => (p) {\n      p = "
             "Op ()\n    }, b (x) => (x) {\n"
             "    }], none: graphs = []>\n}\n");
}

/* Every element type: its smallest, largest and some other element. */
static void test_elements(void **state) {
  (void)state;
  static const struct {
    const char *type, *elements, *want; /* want NULL: as elements */
  } row[] = {
      {"float", "1.5, -3.4028235e+38, 1e-45, inf, -inf, nan, 0.1",
       "1.5, -3.4028235e+38, 1.4013e-45, inf, -inf, nan, 0.1"},
      {"double", "1.5, -1.7976931348623157e+308, 0.1, 4.9e-324",
       "1.5, -1.7976931348623157e+308, 0.1, 4.94065645841247e-324"},
      {"float16", "0, 65535, 1.5, -2.0, 1e9", "0, 65535, 15872, 49152, 31744"},
      {"bfloat16", "16256, 1.0, -1.0", "16256, 16256, 49024"},
      {"float8e4m3fn", "255, 1.0, 1000.0", "255, 56, 126"},
      {"float8e4m3fnuz", "255, 1.0", "255, 64"},
      {"float8e5m2", "255, 1.0", "255, 60"},
      {"float8e5m2fnuz", "255, 1.0", "255, 64"},
      {"float8e8m0", "255, 1.0", "255, 127"},
      {"float6e2m3", "63, 1.0", "63, 8"},
      {"float6e3m2", "63, 1.0", "63, 12"},
      {"float4e2m1", "15, 1.0, 6.0", "15, 2, 7"},
      {"int64", "-9223372036854775808, 9223372036854775807, +1",
       "-9223372036854775808, 9223372036854775807, 1"},
      {"int32", "-2147483648, 2147483647", NULL},
      {"int16", "-32768, 32767", NULL},
      {"int8", "-128, 127", NULL},
      {"int4", "-8, 7, -1", NULL},
      {"int2", "-2, 1, -1, 0, 1", NULL},
      {"uint64", "18446744073709551615, 0", NULL},
      {"uint32", "4294967295, 0", NULL},
      {"uint16", "65535, 0", NULL},
      {"uint8", "255, -0", "255, 0"},
      {"uint4", "15, 0, 1", NULL},
      {"uint2", "3, 0, 1, 2, 3", NULL},
      {"bool", "1, 0", NULL},
      {"string", "\"a\", \"\", \"\\\"\\n\"", "\"a\", \"\", \"\\\"n\""},
      {"complex64", "1, -2.5, 0, 1", NULL},
      {"complex128", "1, -2.5", NULL},
  };
  _Static_assert(SUMI_COUNT(row) == SUMI_N_DTYPES - 1, "a row for every element type");
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    int n = 1;
    for (const char *c = row[i].elements; *c; c++) n += *c == ',';
    if (strncmp(row[i].type, "complex", 7) == 0) n /= 2;
    char text[400], want[400];
    snprintf(text, sizeof text, "g () => () <%s[%d] c = {%s}> {}", row[i].type, n, row[i].elements);
    snprintf(want, sizeof want,
             "<ir_version: 14, opset_import: []>\ng () => () <\n  %s[%d] c = {%s}\n> {\n}\n", row[i].type, n,
             row[i].want ? row[i].want : row[i].elements);
    check(text, want);
  }
}

static void test_contents(void **state) {
  (void)state;
  struct sumi_graph *g = parse("g (x) => (y) <string[2] s = {\"a\\n\", \"\"}, int4[3] q = {-1, 2, -3}> { y = "
                               "Op <p = \"u\\\"\"> (x) }");
  const struct sumi_str *s = sumi_graph_find_value(g, "s")->constant->data;
  assert_int_equal(s[0].size, 2);
  assert_memory_equal(s[0].data, "an", 2);
  const struct sumi_tensor *q = sumi_graph_find_value(g, "q")->constant;
  assert_memory_equal(q->data, "\x2f\x0d", 2); /* low half first */
  assert_string_equal(sumi_attr_string(g->node[0], "p", ""), "u\"");
  assert_true(g->node[0]->made_up);
  assert_string_equal(g->name, "g");
  sumi_graph_free(g);
  /* a made-up name gives way to the same name given */
  g = parse("g (x) => () { y = Op (x) [Op_1] z = Op (x) }");
  assert_ptr_equal(sumi_graph_find_node(g, "Op_1"), g->node[1]);
  assert_ptr_equal(sumi_graph_find_node(g, g->node[0]->name), g->node[0]);
  sumi_graph_free(g);
}

static void test_long_constants(void **state) {
  (void)state;
  struct sumi_graph *g = parse("g (float[2] d = {1, 2}) => (y) <float[3] a = {1, 2, 3}, string[3] b = {\"\", "
                               "\"xy\", \"z\"}, int8 c = {1}>\n"
                               "{ y = Op <t = int8[4] {1, 2, 3, 4}, u = 1> (a) }");
  char *p = print(g, 1, true);
  assert_non_null(strstr(p, "float[3] a,  # 12 bytes, hash "));
  assert_non_null(strstr(p, "string[3] b,  # 3 bytes, hash "));
  assert_non_null(strstr(p, "int8 c = {1}\n"));
  assert_non_null(strstr(p, "t: tensor = int8[4]  # 4 bytes, hash "));
  assert_non_null(strstr(p, "float[2] d  # 8 bytes, hash "));
  struct sumi_graph *h;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_graph_parse(p, strlen(p), lookup, NULL, &h, &err), SUMI_E_FORMAT);
  free(p);
  sumi_graph_free(g);
}

/* Float tensors lie outside, one after the other. */
static bool put_outside(void *user, const struct sumi_tensor *t, struct sumi_outside *where) {
  uint64_t *at = user;
  if (t->dtype != SUMI_FLOAT32) return false;
  *where = (struct sumi_outside){"a \"place\"", *at, 4 * (uint64_t)sumi_tensor_count(t)};
  *at += where->bytes;
  return true;
}

static sumi_status get_outside(void *user, const struct sumi_outside *where, struct sumi_tensor *t,
                               struct sumi_blob **blob, struct sumi_err *err) {
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  if (strcmp(where->location, "a \"place\"") || where->bytes != bytes || where->offset > 28 - bytes)
    SUMI_FAIL(err, SUMI_E_VALUE, "not there");
  if (!(*blob = sumi_blob_wrap(sumi_allocator_default(), (char *)user + where->offset, bytes, NULL, NULL)))
    SUMI_FAIL_MEMORY(err);
  t->data = (char *)user + where->offset;
  return SUMI_OK;
}

static void test_outside(void **state) {
  (void)state;
  float data[7] = {1, 2, 3, 4, 5, 6, 7};
  static const char text[] =
      HEAD "g (float[N] d = float[2] = [\"location\": \"a \\\"place\\\"\", \"offset\": \"0\", "
           "\"length\": \"8\"], int8[M] e = int8[1] {1}) => (y) <\n"
           "  float[4] a = [\"location\": \"a \\\"place\\\"\", \"offset\": \"8\", \"length\": "
           "\"16\"],\n  int8 c = {1}\n> {\n"
           "  y = Op <t: tensor = float = [\"location\": \"a \\\"place\\\"\", \"offset\": \"24\", "
           "\"length\": \"4\"]> (a)\n}\n";
  const struct sumi_parse_options parsing = {lookup, get_outside, data};
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_graph_parse_with(text, strlen(text), &parsing, NULL, &g, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  assert_ptr_equal(sumi_graph_find_value(g, "a")->constant->data, &data[2]);
  assert_ptr_equal(sumi_attr_tensor(g->node[0], "t")->data, &data[6]);
  assert_true(g->input[0]->info.dim[0] < 0 && g->input[1]->constant->dim[0] == 1);
  uint64_t at = 0;
  const struct sumi_print_options printing = {.max_elements = 9, .outside = put_outside, .user = &at};
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_graph_print_with(g, &printing, &t);
  assert_string_equal(sumi_text_str(&t), text);
  sumi_text_fini(&t);
  sumi_graph_free(g);
  static const char *const bad[][2] = {{"[\"location\": \"b\", \"length\": \"4\"]", "not there"},
                                       {"[\"offset\": \"1x\"]", "no number"},
                                       {"[\"offset\": \"\"]", "no number"},
                                       {"[\"offset\": \"18446744073709551615\"]", "no number"},
                                       {"[\"offset\": 1]", "expected"},
                                       {"[\"offset\": \"1\"", "expected"}};
  for (size_t i = 0; i < SUMI_COUNT(bad); i++) {
    char wrong[200];
    snprintf(wrong, sizeof wrong, "g () => () <float c = %s> {}", bad[i][0]);
    memset(&err, 0, sizeof err);
    assert_int_not_equal(sumi_graph_parse_with(wrong, strlen(wrong), &parsing, NULL, &g, &err), SUMI_OK);
    assert_non_null(strstr(err.text, bad[i][1]));
  }
}

static void test_annotated(void **state) {
  (void)state;
  struct sumi_graph *g = parse("g (x) => (float[\"a\n b\"] y, z) { y, z = Op (x) w = Op (x) }");
  char *p = print(g, 1, true);
  assert_non_null(strstr(p, "y, z = Op (x)  # float[\"a? b\"], undefined[]\n"));
  assert_non_null(strstr(p, "w = Op (x)\n"));
  sumi_graph_free(g);
  g = parse(p); /* comments do no harm */
  free(p);
  sumi_graph_free(g);
}

static void test_errors(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
    sumi_status status;
  } row[] = {
      {"", "line 1, column 1: a name expected, found the end", SUMI_E_FORMAT},
      {"g", "line 1, column 2: '(' expected, found the end", SUMI_E_FORMAT},
      {"g (x) => (y)\n{\n  y = Op (z)\n}", "line 3, column 11: nothing before here makes 'z'", SUMI_E_FORMAT},
      {"g (x) => (y) { }", "line 1, column 11: nothing makes output 'y'", SUMI_E_FORMAT},
      {"g (x, x) => () { }", "line 1, column 7: 'x' is made twice", SUMI_E_FORMAT},
      {"g (x) => () { x = Op () }", "line 1, column 15: 'x' is made twice", SUMI_E_FORMAT},
      {"g () => () { x, x = Op () }", "line 1, column 17: 'x' is made twice", SUMI_E_FORMAT},
      {"g () => () { [a] = Op () [a] = Op () }", "column 27: node 'a' twice", SUMI_E_FORMAT},
      {"g () => () { x = Unknown () }", "column 18: no .Unknown in 28", SUMI_E_UNSUPPORTED},
      {"<opset_import: [\"late\": 2]> g () => () { = late.Op () }", "no late.Op in 2", SUMI_E_UNSUPPORTED},
      {"g () => () { = late.Op:v2 () }", "no late.Op in 2", SUMI_E_UNSUPPORTED},
      {"g () => () { = Op:fast () }", "an overload that is no version", SUMI_E_UNSUPPORTED},
      {"g () => () { = Op:v99999999999 () }", "an overload that is no version", SUMI_E_UNSUPPORTED},
      {"g () => () { = Op <a = 1, a = 2> () }", "column 27: attribute 'a' twice", SUMI_E_FORMAT},
      {"g () => () { = Op <a: int = 1.5> () }", "type int, but the value is of type float", SUMI_E_FORMAT},
      {"g () => () { = Op <a: ints = [1, \"\"]> () }", "type int, but the value is of type string",
       SUMI_E_FORMAT},
      {"g () => () { = Op <a: int = [1]> () }", "a list for an attribute of type int", SUMI_E_FORMAT},
      {"g () => () { = Op <a: ints = 1> () }", "type ints, but the value is of type int", SUMI_E_FORMAT},
      {"g () => () { = Op <a = []> () }", "an empty list needs a type", SUMI_E_FORMAT},
      {"g () => () { = Op <a: wrong = 1> () }", "unknown attribute type 'wrong'", SUMI_E_FORMAT},
      {"g () => () { = Op <a = @b> () }", "a reference to a function's attribute", SUMI_E_UNSUPPORTED},
      {"g () => () { = Op <a = 9223372036854775808> () }", "a number beyond 64 bits", SUMI_E_VALUE},
      {"g () => () { = Op <a: tensor = float[2]> () }", "'{' expected", SUMI_E_FORMAT},
      {"g () => () { = Op <a = [float, float]> () }", "a list of types", SUMI_E_FORMAT},
      {"g () => () { = Op <_captured = 1> () }", "_captured", SUMI_E_FORMAT},
      {"g (x) => () { = Op <_captured = 1, b = h () => () {}> (x) }", "more than a body's inputs",
       SUMI_E_FORMAT},
      {"g (opaque(int64) x) => () {}", "unknown type 'opaque'", SUMI_E_UNSUPPORTED},
      {"g (map(float, float) x) => () {}", "a map's keys are strings or integers", SUMI_E_UNSUPPORTED},
      {"g (map(int64, seq(float)) x) => () {}", "a map's values are of an element type", SUMI_E_UNSUPPORTED},
      {"g (optional(map(int64, float)) x) => () {}", "unknown type 'map'", SUMI_E_UNSUPPORTED},
      {"g (seq(seq(float)) x) => () {}", "a sequence holds tensors", SUMI_E_UNSUPPORTED},
      {"g (float[-1] x) => () {}", "dimension -1", SUMI_E_SHAPE},
      {"g (float[1,1,1,1,1,1,1,1,1,1,1,1,1] x) => () {}", "more than 12 dimensions", SUMI_E_LIMIT},
      {"g () => () <float[N] c = {1}> {}", "a tensor needs", SUMI_E_TYPE},
      {"g () => () <c = {1}> {}", "a tensor needs", SUMI_E_TYPE},
      {"g () => () <seq(float) c = {1}> {}", "a tensor needs", SUMI_E_TYPE},
      {"g () => () <float[2] c = {1}> {}", "1 numbers, but the shape has 2", SUMI_E_SHAPE},
      {"g () => () <float[2] c = {1, 2, 3}> {}", "more than the 2 numbers", SUMI_E_SHAPE},
      {"g () => () <float[1000000000000] c = {1}> {}", "1000000000000 elements do not stand here",
       SUMI_E_SHAPE},
      {"g () => () <float[9223372036854775807,9223372036854775807] c = {1}> {}", "2^63", SUMI_E_LIMIT},
      {"g () => () <int8[1] c = {128}> {}", "'128' does not fit into int8", SUMI_E_VALUE},
      {"g () => () <uint8[1] c = {-1}> {}", "'-1' does not fit into uint8", SUMI_E_VALUE},
      {"g () => () <uint64[1] c = {18446744073709551616}> {}", "does not fit into uint64", SUMI_E_VALUE},
      {"g () => () <int2[1] c = {2}> {}", "'2' does not fit into int2", SUMI_E_VALUE},
      {"g () => () <bool[1] c = {2}> {}", "'2' does not fit into bool", SUMI_E_VALUE},
      {"g () => () <float16[1] c = {65536}> {}", "does not fit into float16", SUMI_E_VALUE},
      {"g () => () <int8[1] c = {1.0}> {}", "a whole number expected", SUMI_E_VALUE},
      {"g () => () <float[1] c = {1.2.3}> {}", "a number expected", SUMI_E_FORMAT},
      {"g () => () <float[1] c = [\"location\": \"x\"]> {}", "external data", SUMI_E_UNSUPPORTED},
      {"g () => () <string[1] c = {\"x}> {}", "column 28: a string without end", SUMI_E_FORMAT},
      {"g () => () {} f (x) => (y) {}", "text behind the graph", SUMI_E_UNSUPPORTED},
      {"<colour: 1> g () => () {}", "unknown key 'colour'", SUMI_E_FORMAT},
      {"<opset_import: [\"\": 0]> g () => () {}", "operator set version 0", SUMI_E_FORMAT},
      {"g (\"\") => () {}", "a name expected", SUMI_E_FORMAT},
      {"g (x) => () { = \x80 (x) }", "found byte 128", SUMI_E_FORMAT},
  };
  for (size_t i = 0; i < SUMI_COUNT(row); i++) {
    struct sumi_graph *g;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = sumi_graph_parse(row[i].text, strlen(row[i].text), lookup, NULL, &g, &err);
    if (status != row[i].status || !strstr(err.text, row[i].want))
      fail_msg("%s\n  wanted %s\n  got    %s", row[i].text, row[i].want, err.text);
    assert_null(g);
  }
}

/* Bodies in bodies, deeper than the limit; and parentheses and brackets without end. */
static void test_depth(void **state) {
  (void)state;
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_text_add(&t, "g () => () {");
  for (int i = 0; i < 100000; i++) sumi_text_add(&t, " = Op <b = h () => () {");
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(sumi_graph_parse(t.data, t.size, lookup, NULL, &g, &err), SUMI_E_LIMIT);
  sumi_text_fini(&t);
  static const char *const piece[] = {"(", "[",  "<", "{", "optional(", "\"", "a.", "g () => () <float[",
                                      "-", "#\n"};
  for (size_t i = 0; i < SUMI_COUNT(piece); i++) {
    sumi_text_init(&t, NULL);
    for (int k = 0; k < 10000; k++) sumi_text_add(&t, "%s", piece[i]);
    assert_int_not_equal(sumi_graph_parse(t.data, t.size, lookup, NULL, &g, NULL), SUMI_OK);
    sumi_text_fini(&t);
  }
}

static const char rich[] =
    "<ir_version: 8, opset_import: [\"\": 17, \"c.m\": 1], metadata_props: [\"k\": \"v\"]>\n"
    "g (float[N,\"a + b\"] x, seq(float[2]) \"s 1\", optional(seq(int8[?])) o, bool c) => (float[2] y, z)\n"
    "<float[2,2] w = {1, -2.5, inf, 1e-3}, string[2] t = {\"a\\\"\", \"\"}, int4[3] q = {-8, 7, 0}, "
    "complex64 i = {1, 2}, float z> {\n"
    "  [n1] y, z = Op <a = 1, b = [1, 2.5], c = \"s\", d = float16[2] {1, 1.5}, e: type_proto = "
    "seq(float[N]), f: ints = []> (x, w)\n"
    "  # comment\n"
    "  u = c.m.If:v3 (c) <then = b () => (v) { v = Op (x, w) }, else = d () => (y) <int8 k = {1}> { r = Op "
    "(k, y, q) }>\n"
    "}\n";

/* Every prefix and many changes of a text with everything in it: OK or a failure with a place, nothing leaked, and what
 * is read can be verified, printed and closed again. */
static void test_hostile(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_random random;
  sumi_random_init(&random, 3);
  const size_t size = sizeof rich - 1;
  int read = 0;
  for (size_t i = 0; i < size + 20000; i++) {
    char *text = malloc(size); /* exactly: a sanitizer sees a read behind it */
    size_t n = i < size ? i : size;
    memcpy(text, rich, n);
    for (int k = 0; i >= size && k < 1 + (int)(i % 3); k++) {
      const size_t at = sumi_random_u64(&random) % n, from = sumi_random_u64(&random) % n;
      switch (sumi_random_u64(&random) % 3) {
        case 0: text[at] = (char)sumi_random_u64(&random); break;
        case 1: text[at] = text[from]; break;
        default: memmove(text + at, text + at + 1, --n - at);
      }
    }
    struct sumi_graph *g;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = sumi_graph_parse(text, n, lookup, a, &g, &err);
    if (status == SUMI_OK) {
      struct sumi_text t;
      sumi_text_init(&t, a);
      sumi_graph_print(g, 2, true, &t);
      sumi_text_fini(&t);
      sumi_graph_verify(g, &err);
      read++;
    } else {
      assert_int_equal(err.status, status);
      assert_null(g);
    }
    sumi_graph_free(g);
    free(text);
    assert_int_equal(heap.blocks, 0);
  }
  assert_true(read > 100);
}

static void test_memory(void **state) {
  (void)state;
  static const char text[] = "<metadata_props: [\"k\": \"v\"]> g (float[N] x, bool c) => (z) <float[2] w = "
                             "{1, 2}, string[1] t = {\"a\"}>\n"
                             "{ [n] y = Op <b = [1, 2.5], c = \"s\", d = float16[2] {1, 1.5}, s = [\"a\"], "
                             "e: type_proto = float[\"N + 1\"]> (x, w)\n"
                             "  z = If (c) <then = b () => (v) { v = Op (x, w) }, else = d () => (y) {}> }";
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  long n = 0;
  for (;; n++) {
    sumi_test_heap_fail(&heap, n);
    struct sumi_graph *g;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = sumi_graph_parse(text, strlen(text), lookup, a, &g, &err);
    assert_int_equal(status, err.status);
    if (status != SUMI_OK) assert_int_equal(status, SUMI_E_MEMORY);
    bool cut = false;
    if (g) {
      struct sumi_text t;
      sumi_text_init(&t, a);
      sumi_graph_print(g, 100, true, &t);
      cut = t.failed;
      sumi_text_fini(&t);
    }
    assert_int_equal(heap.failed, status != SUMI_OK || cut);
    sumi_graph_free(g);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) break;
  }
  assert_true(n > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_graphs),         cmocka_unit_test(test_bodies),
      cmocka_unit_test(test_elements),       cmocka_unit_test(test_contents),
      cmocka_unit_test(test_long_constants), cmocka_unit_test(test_annotated),
      cmocka_unit_test(test_outside),        cmocka_unit_test(test_errors),
      cmocka_unit_test(test_depth),          cmocka_unit_test(test_hostile),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

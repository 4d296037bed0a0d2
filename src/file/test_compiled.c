/* Compiled models: what goes in comes out; packed weights are used where they lie, on the machine they are for alone; what is
 * damaged is refused or packed again; what is written to mislead does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem_test.h"
#include "base/size.h"
#include "cpu/cpu.h"
#include "file/file_test.h"
#include "op/ops.h"
#include "pass/pass.h"
#include "sparse/packed.h"

static char folder[] = "/tmp/sumi_compiled_XXXXXX";
static char path[64];

static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/m.sumi", folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

/* ---- what goes in comes out ----------------------------------------------------------------------------------- */

/* Everything a graph can hold: bodies with captures, defaults with a type of their own, strings, every sort of attribute,
 * short types, NaNs that are not the usual one, names that need quotes. */
static const char everything[] =
    "<opset_import: [\"\": 17, \"com.microsoft\": 1], metadata_props: [\"k\": \"a\\\"b\", \"empty\": \"\"]>\n"
    "\"g > h\" (float[N,4] x, bool c, float[M] d = float[2] {1, 2}, int64[3] e = {1, 2, 3}) =>\n"
    "    (float[N,3] y, q, r, float16[9] h, s) <\n"
    "  float[4,3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, nan},\n"
    "  string[2] s = {\"one\", \"tw\\\\o\\\"\"}, bool[9] b = {1, 0, 1, 0, 1, 0, 1, 0, 1},\n"
    "  float16[9] h = {1, 2, 3, 4, 5, 6, 7, 8, 9}, int4[9] i4 = {1, 2, 3, 4, 5, 6, 7, -8, -1},\n"
    "  float6e2m3[9] f6 = {1, 2, 3, 4, 5, 6, 7, 8, 63}, complex64[9] z = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "
    "12, 13, 14, 15, 16, 17, 18}, float[0,2] nothing = {}, float one = {nan}> {\n"
    "  [\"mat/mul:0\"] t = MatMul (x, w)\n  y = Relu (t)\n"
    "  q = If (c) <then_branch = a () => (v) { v = Add (y, one) }, else_branch = b () => (v) { v = Identity "
    "(y) }>\n"
    "  u = Constant <value = float[9] {1, 2, 3, 4, 5, 6, 7, 8, 9}> ()\n  r = Cast <to = 1> (u)\n}";

static struct sumi_model *model_of(const char *text, const struct sumi_allocator *a, bool as_is) {
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_status status = sumi_graph_parse(text, strlen(text), sumi_op_find, a, &g, &err);
  if (status == SUMI_OK) status = sumi_graph_verify(g, &err);
  if (status == SUMI_OK) status = sumi_pass_infer(g, NULL, NULL, &err);
  if (status == SUMI_OK && !as_is)
    status = sumi_passes_run(g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, &err);
  if (status != SUMI_OK && status != SUMI_E_MEMORY) fail_msg("%s", err.text);
  if (status != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return sumi_model_new(a, g, &model, NULL) == SUMI_OK ? model : NULL;
}

static char *print(const struct sumi_graph *g) {
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_graph_print(g, SIZE_MAX, true, &t);
  assert_false(t.failed);
  char *copy = strdup(sumi_text_str(&t));
  sumi_text_fini(&t);
  return copy;
}

static struct sumi_model *load(const char *from) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model;
  if (sumi_model_load_file(from, NULL, &model, &err) != SUMI_OK) fail_msg("%s", err.text);
  return model;
}

static void everything_comes_out(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = model_of(everything, sumi_allocator_default(), true), *again;
  float *w = sumi_graph_find_value(model->graph, "w")->constant->data;
  const uint32_t odd_nan = 0xffabcdef;
  memcpy(&w[11], &odd_nan, 4);
  memcpy(sumi_graph_find_value(model->graph, "one")->constant->data, &odd_nan, 4);
  if (sumi_model_compile_file(model, path, NULL, &err) != SUMI_OK) fail_msg("%s", err.text);
  const struct sumi_model_options as_is = {.size = sizeof as_is, .keep_graph_as_is = true};
  if (sumi_model_load_file(path, &as_is, &again, &err) != SUMI_OK) fail_msg("%s", err.text);
  char *want = print(model->graph), *got = print(again->graph);
  assert_string_equal(got, want);
  free(want);
  free(got);
  static const char *const names[] = {"w", "one", "b", "h", "i4", "f6", "z"};
  for (size_t i = 0; i < SUMI_COUNT(names); i++) {
    const struct sumi_value *a = sumi_graph_find_value(model->graph, names[i]),
                            *b = sumi_graph_find_value(again->graph, names[i]);
    size_t bytes;
    assert_true(sumi_dtype_bytes(a->constant->dtype, sumi_tensor_count(a->constant), &bytes));
    assert_memory_equal(a->constant->data, b->constant->data, bytes);
    assert_ptr_equal(b->blob, again->source);
    assert_int_equal((uintptr_t)b->constant->data % SUMI_ALIGN, 0);
  }
  assert_int_equal(sumi_model_verify(again, &err), SUMI_OK);
  struct sumi_compiled_info info = {.size = sizeof info};
  assert_int_equal(sumi_model_compiled(again, &info, &err), SUMI_OK);
  assert_string_equal(info.library, sumi_version());
  assert_int_equal(info.packed_bytes, 0);
  assert_int_equal(sumi_model_compiled(model, &info, &err), SUMI_E_STATE);
  assert_int_equal(sumi_model_verify(model, NULL), SUMI_E_STATE);
  sumi_model_unref(again);
  sumi_model_unref(model);
}

/* ---- packed weights ------------------------------------------------------------------------------------------- */

/* A dense convolution with batch normalisation and a sparse one, whose weights are an input with a default, a product, a body
 * with weights; numbers that are exact in every order. */
static char *network(void) {
  struct sumi_text t;
  sumi_text_init(&t, NULL);
  sumi_text_add(&t, "<opset_import: [\"\": 17]> g (float[1,16,6,6] x, bool c, float[32,16,1,1] s = {");
  for (int i = 0; i < 32 * 16; i++) sumi_text_add(&t, "%s%d", i ? "," : "", i % 16 == i / 64 ? i % 5 + 1 : 0);
  sumi_text_add(&t, "}) => (y, z, v) <float[16,16,3,3] w = {");
  for (int i = 0; i < 16 * 16 * 9; i++) sumi_text_add(&t, "%s%d", i ? "," : "", i % 7 - 3);
  sumi_text_add(&t, "}, float[6,10] m = {");
  for (int i = 0; i < 60; i++) sumi_text_add(&t, "%s%d", i ? "," : "", i % 3 - 1);
  for (int k = 0; k < 4; k++) {
    sumi_text_add(&t, "}, float[16] bn%d = {", k);
    for (int i = 0; i < 16; i++) sumi_text_add(&t, "%s%d", i ? "," : "", k == 3 ? 4 : i % 3 * 2);
  }
  sumi_text_add(
      &t,
      "}> { [conv] p = Conv <pads = [1,1,1,1]> (x, w) "
      "n = BatchNormalization <epsilon = 0.0> (p, bn0, bn1, bn2, bn3) y = Relu (n) [sparse] z = Conv (x, s)\n"
      "v = If (c) <then_branch = a () => (o) { [inner] o = MatMul (x, m) }, else_branch = b () => (o) "
      "{ o = MatMul (y, m) }> }");
  return t.data;
}

struct fixture {
  float x[16 * 36];
  bool c;
  int64_t x_dims[4];
  struct sumi_view in[2], out[3];
  float y[16 * 36], z[32 * 36], v[16 * 60];
};

static void make_inputs(struct fixture *f) {
  *f = (struct fixture){.x_dims = {1, 16, 6, 6}, .c = true};
  for (int i = 0; i < 16 * 36; i++) f->x[i] = (float)(i % 11 - 5);
  f->in[0] = (struct sumi_view){.size = sizeof f->in[0],
                                .name = "x",
                                .data = f->x,
                                .dtype = SUMI_FLOAT32,
                                .rank = 4,
                                .dims = f->x_dims};
  f->in[1] = (struct sumi_view){.size = sizeof f->in[0], .name = "c", .data = &f->c, .dtype = SUMI_BOOL};
}

static sumi_status run(struct sumi_model *model, struct fixture *f, struct sumi_err *err) {
  static const char *const names[] = {"y", "z", "v"};
  struct sumi_session *session;
  SUMI_TRY(sumi_session_new(model, NULL, &session, err));
  for (int i = 0; i < 3; i++) f->out[i] = (struct sumi_view){.size = sizeof f->out[i], .name = names[i]};
  const sumi_status status = sumi_session_run(session, f->in, 2, f->out, 3, err);
  if (status == SUMI_OK) {
    memcpy(f->y, f->out[0].data, sizeof f->y);
    memcpy(f->z, f->out[1].data, sizeof f->z);
    memcpy(f->v, f->out[2].data, sizeof f->v);
  }
  sumi_session_free(session);
  return status;
}

static void same_results(const struct fixture *a, const struct fixture *b) {
  assert_memory_equal(a->y, b->y, sizeof a->y);
  assert_memory_equal(a->z, b->z, sizeof a->z);
  assert_memory_equal(a->v, b->v, sizeof a->v);
}

/* Writes the network, packed; what it gives. */
static void compile(struct fixture *want) {
  struct sumi_err err = SUMI_ERR_INIT;
  char *text = network();
  struct sumi_model *model = model_of(text, sumi_allocator_default(), false);
  make_inputs(want);
  const struct sumi_compile_options options = {.size = sizeof options, .inputs = want->in, .n_inputs = 2};
  if (sumi_model_compile_file(model, path, &options, &err) != SUMI_OK) fail_msg("%s", err.text);
  if (run(model, want, &err) != SUMI_OK) fail_msg("%s", err.text);
  sumi_model_unref(model);
  free(text);
}

struct count {
  size_t mapped, made, waiting;
};

static struct count packs_of(const struct sumi_model *model) {
  struct count n = {0};
  const char *first = model->source->data, *end = first + model->source->bytes;
  for (size_t i = 0; i < SUMI_PACK_SLOTS; i++)
    for (const struct sumi_pack *p = model->pack[i]; p; p = p->next) {
      const char *data = p->blob->data;
      if (p->unchecked)
        n.waiting++;
      else if (data >= first && data < end)
        n.mapped++;
      else
        n.made++;
    }
  return n;
}

static struct count check_run(struct sumi_model *model, const struct fixture *want) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct fixture got;
  make_inputs(&got);
  if (run(model, &got, &err) != SUMI_OK) fail_msg("%s", err.text);
  same_results(&got, want);
  return packs_of(model);
}

static void packed_weights_are_used(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  struct sumi_model *model = load(path);
  const size_t n = model->stored.n;
  bool sparse = false; /* is packed, though callers may give its weights */
  for (size_t i = 0; i < n; i++) sparse |= !strcmp(model->stored.pack[i].node, "sparse");
  assert_true(n >= 2 && sparse && model->stored.is_for_here);
  struct count c = check_run(model, &want);
  assert_int_equal(c.mapped, n);
  assert_int_equal(c.waiting, 0);
  sumi_model_unref(model);
  for (int isa = 0; isa < SUMI_N_ISA; isa++) { /* other machines, as far as one can be them here */
    const enum sumi_isa before = sumi_cpu_isa(), level = sumi_cpu_limit((enum sumi_isa)isa);
    if (level != before) {
      model = load(path);
      c = check_run(model, &want);
      assert_int_equal(c.mapped + c.waiting, 0);
      assert_true(c.made > 0);
      struct sumi_compiled_info info = {.size = sizeof info};
      assert_int_equal(sumi_model_compiled(model, &info, NULL), SUMI_OK);
      assert_false(info.is_for_here);
      assert_string_equal(info.isa, sumi_isa_label(before));
      sumi_model_unref(model);
    }
    sumi_cpu_limit(before);
  }
}

static void take_apart(struct sumi_test_changed *x) { assert_true(sumi_test_changed_open(x, path)); }

/* Where the file has weights packed nobody reads the others: large networks open without their pages. */
static void weights_that_are_packed_are_not_read(void **state) {
  (void)state;
  struct fixture want;
  struct sumi_test_changed x;
  struct sumi_model *model;
  compile(&want);
  take_apart(&x);
  assert_int_equal(sumi_test_changed_load(&x, &model, NULL), SUMI_OK);
  static const char *const names[] = {"w", "s"};
  for (size_t i = 0; i < SUMI_COUNT(names); i++) {
    const struct sumi_tensor *t = sumi_graph_find_value(model->graph, names[i])->constant;
    uint8_t *data = t->data;
    assert_true(data >= x.bytes && data < x.bytes + x.n);
    memset(data, 0xff, (size_t)sumi_tensor_count(t) * sizeof(float)); /* NaN */
  }
  check_run(model, &want);
  sumi_model_unref(model);
  sumi_test_changed_drop(&x);
}

static void other_versions_and_graphs_pack_again(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  for (int i = 0; i < 4; i++) {
    struct sumi_test_changed x;
    struct sumi_model *model;
    take_apart(&x);
    if (i == 1) strcpy(x.c.library, "0.0.9");
    if (i == 2) strcpy(x.c.isa, "abacus");
    if (i == 3) x.c.machine_graph++;
    assert_int_equal(sumi_test_changed_load(&x, &model, NULL), SUMI_OK);
    const struct count c = check_run(model, &want);
    assert_true(i ? c.made > 0 && !c.mapped : c.mapped > 0);
    sumi_model_unref(model);
    sumi_test_changed_drop(&x);
  }
}

/* Packed weights that would lead a kernel astray. */
static void lists_that_lie_are_made_anew(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  static const char *const what[] = {"column", "negative column", "start", "rows", "cols", "block", "bytes"};
  for (size_t i = 0; i < SUMI_COUNT(what); i++) {
    struct sumi_test_changed x;
    struct sumi_model *model;
    take_apart(&x);
    uint8_t *blob = NULL;
    for (uint8_t *p = x.copy + x.c.packed.at; !blob && p < x.copy + x.file->bytes; p += SUMI_ALIGN)
      if (sumi_packed_check(p, ((struct sumi_packed *)(void *)p)->bytes, NULL) == SUMI_OK &&
          !((struct sumi_packed *)(void *)p)->dense)
        blob = p;
    assert_non_null(blob); /* the network has a sparse layer */
    struct sumi_packed *packed = (struct sumi_packed *)(void *)blob;
    int32_t *col = (int32_t *)(void *)(blob + packed->col_at),
            *start = (int32_t *)(void *)(blob + packed->start_at);
    if (i == 0) col[0] = 1 << 28;
    if (i == 1) col[0] = -5;
    if (i == 2) start[1] = 1 << 29;
    if (i == 3) packed->rows += packed->block;
    if (i == 4) packed->cols++; /* well formed, but not this layer's */
    if (i == 5) packed->block *= 2;
    if (i == 6) packed->bytes += 64;
    assert_int_equal(sumi_test_changed_load(&x, &model, NULL), SUMI_OK);
    const struct count c = check_run(model, &want);
    if (c.made != 1) fail_msg("%s: %zu made anew", what[i], c.made);
    sumi_model_unref(model);
    sumi_test_changed_drop(&x);
  }
}

/* ---- damage --------------------------------------------------------------------------------------------------- */

static void damage_is_found(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  struct sumi_test_changed x;
  take_apart(&x);
  for (size_t at = 0; at < x.file->bytes; at += at < SUMI_COMPILED_HEADER + 200 ? 1 : 37) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model = NULL;
    x.copy[at] ^= (uint8_t)(1 << at % 8);
    const sumi_status status = sumi_model_load_memory(x.copy, x.file->bytes, NULL, &model, &err);
    const bool in_weights = at >= x.c.weights.at && at < x.c.weights.at + x.c.weights.bytes,
               in_packed = at >= x.c.packed.at,
               between =
                   at >= x.c.graph.at + x.c.graph.bytes &&
                   (at < x.c.weights.at || (at >= x.c.weights.at + x.c.weights.bytes && at < x.c.packs.at) ||
                    (at >= x.c.packs.at + x.c.packs.bytes && at < x.c.packed.at));
    if (in_weights || in_packed) {
      assert_int_equal(status, SUMI_OK);
      assert_int_equal(sumi_model_verify(model, &err), SUMI_E_FORMAT);
      struct fixture got;
      make_inputs(&got);
      assert_int_equal(run(model, &got, NULL), SUMI_OK);
      sumi_model_unref(model);
    } else if (between) {
      assert_int_equal(status, SUMI_OK);
      sumi_model_unref(model);
    } else {
      if (status == SUMI_OK || !err.text[0]) fail_msg("byte %zu changed: %s", at, err.text);
      assert_null(model);
    }
    x.copy[at] ^= (uint8_t)(1 << at % 8);
  }
  for (size_t n = 0; n < x.file->bytes; n += n < SUMI_COMPILED_HEADER ? 9 : 101) {
    struct sumi_err err = SUMI_ERR_INIT;
    struct sumi_model *model = NULL;
    uint8_t *cut = malloc(n + 1);
    memcpy(cut, x.copy, n);
    const sumi_status status = sumi_model_load_memory(cut, n, NULL, &model, &err);
    if (status == SUMI_OK || !err.text[0]) fail_msg("%zu bytes are taken", n);
    free(cut);
  }
  x.bytes = NULL;
  sumi_test_changed_drop(&x);
}

static void refused_text(struct sumi_test_changed *x, int section, const char *text, const char *word) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  x->section[section] = (struct sumi_test_section){(const uint8_t *)text, strlen(text)};
  if (sumi_test_changed_load(x, &model, &err) == SUMI_OK || !strstr(err.text, word))
    fail_msg("%s: '%s'", text, err.text);
  free(x->bytes);
  x->bytes = NULL;
}

static void texts_that_lie_are_refused(void **state) {
  (void)state;
  static const char *const graph[][2] = {
      {"g () => (w) <float[9] w = [\"location\": \"weights\", \"offset\": \"0\", \"length\": \"32\"]> {}",
       "room"},
      {"g () => (w) <float[9] w = [\"location\": \"weights\", \"offset\": \"0\"]> {}", "room"},
      {"g () => (w) <float[9] w = [\"location\": \"weights\", \"offset\": \"1\", \"length\": \"36\"]> {}",
       "room"},
      {"g () => (w) <float[9] w = [\"location\": \"weights\", \"offset\": \"18446744073709551552\", "
       "\"length\": "
       "\"36\"]> {}",
       "room"},
      {"g () => (w) <float[9] w = [\"location\": \"/etc/passwd\", \"length\": \"36\"]> {}", "no weights"},
      {"g () => (w) <string[1] w = [\"location\": \"weights\", \"length\": \"16\"]> {}", "no weights"},
      {"g () => (w) <bool[64] w = [\"location\": \"weights\", \"offset\": \"0\", \"length\": \"64\"]> {}",
       "impossible"},
      {"g () => (w) <float[1048576,1048576] w = [\"location\": \"weights\", \"length\": \"4398046511104\"]> "
       "{}",
       "limit"},
      {"g (x) => (y) { y = Nonsense (x) }", "Nonsense"},
      {"g (x) => (y) { y = Relu (x, x) }", ""},
      {"g (x) => (y) {", "expected"},
      {"", ""}};
  static const char *const packs[][2] = {{"\"a\" \"b\" \"c\" at 0 bytes 1000000000", "outside"},
                                         {"\"a\" \"b\" \"c\" at 8 bytes 64", "outside"},
                                         {"\"a\" \"b\" \"c\" at 64 bytes -1", "expected"},
                                         {"\"a\" \"b\" \"c\" at 9223372036854775744 bytes 64", "outside"},
                                         {"\"a\" \"b\" at 0 bytes 64", "expected"},
                                         {"\"a", "without end"}};
  struct fixture want;
  compile(&want);
  struct sumi_test_changed x;
  take_apart(&x);
  const struct sumi_test_section good = x.section[0];
  for (size_t i = 0; i < SUMI_COUNT(graph); i++) refused_text(&x, 0, graph[i][0], graph[i][1]);
  x.section[0] = good;
  for (size_t i = 0; i < SUMI_COUNT(packs); i++) refused_text(&x, 2, packs[i][0], packs[i][1]);
  sumi_test_changed_drop(&x);
}

static void headers_that_lie_are_refused(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  struct sumi_test_changed x;
  take_apart(&x);
  struct sumi_compiled_section *s[] = {&x.c.graph, &x.c.weights, &x.c.packs, &x.c.packed};
  static const uint64_t places[] = {0, 1, 64, 1024, 1088, 1 << 20, INT64_MAX, INT64_MAX - 63};
  for (size_t k = 0; k < SUMI_COUNT(s); k++)
    for (size_t i = 0; i < 2 * SUMI_COUNT(places); i++) {
      const struct sumi_compiled_section keep = *s[k];
      struct sumi_err err = SUMI_ERR_INIT;
      struct sumi_model *model = NULL;
      char header[SUMI_COMPILED_HEADER];
      *(i % 2 ? &s[k]->at : &s[k]->bytes) = places[i / 2];
      if (s[k]->at == keep.at && s[k]->bytes == keep.bytes) continue;
      sumi_compiled_print(&x.c, header);
      memcpy(x.copy, header, sizeof header);
      assert_int_equal(sumi_model_load_memory(x.copy, x.file->bytes, NULL, &model, &err), SUMI_E_FORMAT);
      *s[k] = keep;
    }
  memcpy(x.copy, x.file->data, SUMI_COMPILED_HEADER);
  x.copy[strlen("sumi model ")] = '2';
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  assert_int_equal(sumi_model_load_memory(x.copy, x.file->bytes, NULL, &model, &err), SUMI_E_UNSUPPORTED);
  assert_non_null(strstr(err.text, "format 2"));
  x.bytes = NULL;
  sumi_test_changed_drop(&x);
}

/* ---- memory --------------------------------------------------------------------------------------------------- */

static void unaligned_memory_is_copied(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  struct sumi_blob *file;
  struct sumi_model *model;
  assert_int_equal(sumi_file_map(NULL, path, SIZE_MAX, &file, NULL), SUMI_OK);
  char *odd = malloc(file->bytes + 3);
  memcpy(odd + 3, file->data, file->bytes);
  assert_int_equal(sumi_model_load_memory(odd + 3, file->bytes, NULL, &model, NULL), SUMI_OK);
  assert_true(check_run(model, &want).mapped > 0);
  sumi_model_unref(model);
  free(odd);
  const struct sumi_limits limits = {.size = sizeof limits, .max_file_bytes = file->bytes - 1};
  const struct sumi_model_options small = {.size = sizeof small, .limits = &limits};
  assert_int_equal(sumi_model_load_memory(file->data, file->bytes, &small, &model, NULL), SUMI_E_LIMIT);
  const struct sumi_limits few = {.size = sizeof few, .max_nodes = 2};
  const struct sumi_model_options narrow = {.size = sizeof narrow, .limits = &few};
  assert_int_equal(sumi_model_load_memory(file->data, file->bytes, &narrow, &model, NULL), SUMI_E_LIMIT);
  sumi_blob_unref(file);
}

static sumi_status attempt(const struct sumi_allocator *a, struct fixture *f, const char *text,
                           struct sumi_err *err) {
  const struct sumi_model_options o = {.size = sizeof o, .allocator = a};
  struct sumi_model *model = model_of(text, a, false), *again = NULL;
  if (!model) SUMI_FAIL_MEMORY(err);
  const struct sumi_compile_options options = {.size = sizeof options, .inputs = f->in, .n_inputs = 2};
  sumi_status status = sumi_model_compile_file(model, path, &options, err);
  if (status == SUMI_OK) status = sumi_model_load_file(path, &o, &again, err);
  if (status == SUMI_OK) status = run(again, f, err);
  sumi_model_unref(again);
  sumi_model_unref(model);
  return status;
}

static void every_allocation_fails_once(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct fixture f;
  char *text = network();
  make_inputs(&f);
  for (long n = 0;; n++) {
    struct sumi_err err = SUMI_ERR_INIT;
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = attempt(a, &f, text, &err);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) {
      assert_int_equal(status, SUMI_OK);
      break;
    }
    if (status != SUMI_OK && status != SUMI_E_MEMORY) fail_msg("allocation %ld: %s", n, err.text);
  }
  free(text);
}

/* Kilobytes of a line of smaps, summed over the mappings of the file. */
static long mapped_kb(const char *line_name) {
  FILE *f = fopen("/proc/self/smaps", "r");
  char line[512];
  bool ours = false;
  long total = 0, kb;
  while (f && fgets(line, sizeof line, f)) {
    if (strstr(line, " kB") == NULL && strchr(line, '-')) ours = strstr(line, path) != NULL;
    const size_t n = strlen(line_name);
    if (ours && !strncmp(line, line_name, n) && sscanf(line + n, ": %ld", &kb) == 1) total += kb;
  }
  if (f) fclose(f);
  return total;
}

static void processes_share_weights(void **state) {
  (void)state;
  struct fixture want;
  compile(&want);
  struct sumi_model *model = load(path);
  assert_true(check_run(model, &want).mapped > 0);
  const pid_t child = fork();
  if (child == 0) { /* a mapping of its own, of the same pages */
    struct fixture got;
    struct sumi_model *own;
    make_inputs(&got);
    sumi_model_unref(model);
    const bool good = sumi_model_load_file(path, NULL, &own, NULL) == SUMI_OK &&
                      run(own, &got, NULL) == SUMI_OK && mapped_kb("Shared_Clean") > 0 &&
                      mapped_kb("Private_Dirty") == 0;
    _exit(good ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  sumi_model_unref(model);
}

static void wrong_arguments(void **state) {
  (void)state;
  struct sumi_model *model =
      model_of("g (float[N] x) => (y) { y = Relu (x) }", sumi_allocator_default(), false);
  const struct sumi_compile_options no_inputs = {.size = sizeof no_inputs};
  assert_int_equal(sumi_model_compile_file(NULL, path, NULL, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_model_compile_file(model, NULL, NULL, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_model_compile_file(model, "/nowhere/at/all", NULL, NULL), SUMI_E_IO);
  unlink(path);
  assert_int_not_equal(sumi_model_compile_file(model, path, &no_inputs, NULL), SUMI_OK);
  assert_int_not_equal(access(path, F_OK), 0);
  assert_int_equal(sumi_model_compiled(model, NULL, NULL), SUMI_E_ARG);
  assert_int_equal(sumi_model_verify(NULL, NULL), SUMI_E_ARG);
  sumi_model_unref(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(everything_comes_out),
                                     cmocka_unit_test(packed_weights_are_used),
                                     cmocka_unit_test(weights_that_are_packed_are_not_read),
                                     cmocka_unit_test(other_versions_and_graphs_pack_again),
                                     cmocka_unit_test(lists_that_lie_are_made_anew),
                                     cmocka_unit_test(damage_is_found),
                                     cmocka_unit_test(texts_that_lie_are_refused),
                                     cmocka_unit_test(headers_that_lie_are_refused),
                                     cmocka_unit_test(unaligned_memory_is_copied),
                                     cmocka_unit_test(every_allocation_fails_once),
                                     cmocka_unit_test(processes_share_weights),
                                     cmocka_unit_test(wrong_arguments)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}

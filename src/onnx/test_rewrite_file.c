/* Model files written anew as files: external data, files that would be too large, and that nothing is left of a failure. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem_test.h"
#include "base/size.h"
#include "onnx/bytes_test.h"
#include "onnx/rewrite_int.h"

enum { N = 512, BYTES = 4 * N };

static float weights[2 * N], other[N];
static const struct sumi_tensor replaced = {.dtype = SUMI_FLOAT32, .rank = 1, .dim = {N}, .data = other};
static char root[] = "/tmp/sumi_rewrite_XXXXXX";

static const char *at(const char *name) {
  static char text[4][128];
  static int next;
  char *t = text[next++ % 4];
  snprintf(t, sizeof text[0], "%s/%s", root, name);
  return t;
}

static void write_file(const char *path, const void *bytes, size_t n) {
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) abort();
}

static bool has(const char *path, const void *bytes, size_t n) {
  struct sumi_blob *b;
  if (sumi_file_map(NULL, path, SIZE_MAX, &b, NULL) != SUMI_OK) return false;
  const bool same = b->bytes == n && !memcmp(b->data, bytes, n);
  sumi_blob_unref(b);
  return same;
}

static void put_external(struct bytes *g, const char *name, const char *location, const char *offset) {
  const char *const pairs[] = {"location", location, "offset", offset, "length", "2048"};
  struct bytes b = tensor_bytes(name, 1, "512");
  for (size_t i = 0; i < SUMI_COUNT(pairs); i += 2) {
    struct bytes e = {0};
    put_text(&e, 1, pairs[i]);
    put_text(&e, 2, pairs[i + 1]);
    put_message(&b, 13, e);
  }
  put_int(&b, 14, 1);
  put_message(g, 5, b);
}

/* in/m.onnx: y = v * w, v in in/m.onnx.data, w in in/sub/w */
static int set_up(void **state) {
  (void)state;
  if (!mkdtemp(root)) return -1;
  mkdir(at("in"), 0777);
  mkdir(at("in/sub"), 0777);
  mkdir(at("out"), 0777);
  for (int i = 0; i < 2 * N; i++) weights[i] = (float)i;
  for (int i = 0; i < N; i++) other[i] = -(float)i;
  struct bytes m = model_bytes(8, 13), g = {0};
  put_message(&g, 1, node_bytes("Mul", "v,w", "y"));
  put_external(&g, "v", "./m.onnx.data", "0");
  put_external(&g, "w", "sub/w", "2048");
  put_message(&g, 12, value_bytes("y", 1, NULL));
  put_message(&m, 7, g);
  write_file(at("in/m.onnx"), m.data, m.n);
  write_file(at("in/m.onnx.data"), weights, BYTES);
  write_file(at("in/sub/w"), weights, 2 * BYTES);
  free(m.data);
  return 0;
}

/* Removes the files of a folder and says how many there were. */
static int clear(const char *folder) {
  char path[512];
  int n = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));) {
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    n += unlink(path) == 0;
  }
  if (d) closedir(d);
  return n;
}

static int tear_down(void **state) {
  (void)state;
  static const char *const folders[] = {"in/sub", "in", "out/sub", "out"};
  for (size_t i = 0; i < SUMI_COUNT(folders); i++) {
    clear(at(folders[i]));
    rmdir(at(folders[i]));
  }
  return rmdir(root); /* fails where something was left */
}

static sumi_status rewrite(const char *to, uint64_t most_bytes, const struct sumi_change *c, size_t n,
                           const struct sumi_allocator *a, struct sumi_err *err) {
  const struct sumi_changes changes = {.change = (struct sumi_change *)(uintptr_t)c, .n = n};
  struct sumi_onnx_source src = {.folder = at("in")};
  if (sumi_file_map(NULL, at("in/m.onnx"), SIZE_MAX, &src.file, err) != SUMI_OK) abort();
  const sumi_status status = sumi_rewrite_file(&src, &changes, at(to), most_bytes, a, err);
  sumi_blob_unref(src.file);
  return status;
}

static struct sumi_graph *load(const char *name, const char *folder) {
  struct sumi_onnx_source src = {.folder = at(folder)};
  struct sumi_graph *g;
  struct sumi_err err = SUMI_ERR_INIT;
  if (sumi_file_map(NULL, at(name), SIZE_MAX, &src.file, &err) != SUMI_OK) fail_msg("%s", err.text);
  if (sumi_onnx_import(&src, NULL, &g, &err) != SUMI_OK) fail_msg("%s", err.text);
  sumi_blob_unref(src.file);
  return g;
}

static void expect_constants(const char *name, const char *folder, const float *v, const float *w) {
  struct sumi_graph *g = load(name, folder);
  assert_memory_equal(g->node[0]->in[0]->constant->data, v, BYTES);
  assert_memory_equal(g->node[0]->in[1]->constant->data, w, BYTES);
  sumi_graph_free(g);
}

static const struct sumi_change new_v = {SUMI_CHANGE_CONSTANT, .name = "v", .tensor = &replaced};
static const struct sumi_change new_both[] = {{SUMI_CHANGE_CONSTANT, .name = "v", .tensor = &replaced},
                                              {SUMI_CHANGE_CONSTANT, .name = "w", .tensor = &replaced}};

static void copies_what_is_still_read(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  for (int round = 0; round < 2; round++) { /* the second finds the copy there */
    if (rewrite("out/o.onnx", INT32_MAX, &new_v, 1, NULL, &err) != SUMI_OK) fail_msg("%s", err.text);
    expect_constants("out/o.onnx", "out", other, weights + N);
    assert_true(has(at("out/sub/w"), weights, 2 * BYTES));
    assert_int_not_equal(access(at("out/m.onnx.data"), F_OK), 0);
  }
  write_file(at("out/sub/w"), weights, BYTES); /* somebody else's */
  assert_int_equal(rewrite("out/p.onnx", INT32_MAX, &new_v, 1, NULL, &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "holds other bytes than the model's 'sub/w'"));
  assert_true(has(at("out/sub/w"), weights, BYTES));
  assert_int_equal(clear(at("out/sub")), 1);
  assert_int_equal(clear(at("out")), 1);
}

static void stays_beside_its_data(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  if (rewrite("in/o.onnx", INT32_MAX, &new_v, 1, NULL, &err) != SUMI_OK) fail_msg("%s", err.text);
  expect_constants("in/o.onnx", "in", other, weights + N);
  unlink(at("in/o.onnx"));
  assert_int_equal(rewrite("in/sub/w", INT32_MAX, &new_v, 1, NULL, &err), SUMI_E_IO);
  assert_true(has(at("in/sub/w"), weights, 2 * BYTES));
  sumi_err_clear(&err);
  assert_int_equal(rewrite("in/m.onnx.data", INT32_MAX, NULL, 0, NULL, &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "would take the place of the model's data in './m.onnx.data'"));
  sumi_err_clear(&err);
  assert_int_equal(rewrite("out/m.onnx.data", INT32_MAX, NULL, 0, NULL, &err), SUMI_E_IO);
  assert_int_equal(clear(at("out")) + clear(at("out/sub")), 0); /* what was copied is gone again */
}

/* Contents of what is new go to a file of their own, which is none of those that the old file reads. */
static void moves_out_what_is_too_large(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  if (rewrite("out/o.onnx", BYTES, new_both, 2, NULL, &err) != SUMI_OK) fail_msg("%s", err.text);
  expect_constants("out/o.onnx", "out", other, other);
  struct stat st;
  assert_int_equal(stat(at("out/o.onnx.data"), &st), 0);
  assert_int_equal(st.st_size, SUMI_REWRITE_ALIGN + BYTES);
  assert_int_equal(clear(at("out")), 2);
  assert_int_equal(rewrite("out/o.onnx", 100, new_both, 2, NULL, &err), SUMI_E_LIMIT);
  assert_non_null(strstr(err.text, "an ONNX file has at most 100"));
  assert_int_equal(clear(at("out")), 0);
  sumi_err_clear(&err);
  struct sumi_blob *before;
  assert_int_equal(sumi_file_map(NULL, at("in/m.onnx"), SIZE_MAX, &before, NULL), SUMI_OK);
  if (rewrite("in/m.onnx", BYTES, &new_v, 1, NULL, &err) != SUMI_OK) fail_msg("%s", err.text);
  expect_constants("in/m.onnx", "in", other, weights + N); /* in its own place */
  assert_true(has(at("in/m.onnx.2.data"), other, BYTES) && has(at("in/m.onnx.data"), weights, BYTES));
  write_file(at("in/m.onnx"), before->data, before->bytes);
  sumi_blob_unref(before);
  unlink(at("in/m.onnx.2.data"));
}

static void leaves_nothing_of_a_failure(void **state) {
  (void)state;
  struct sumi_test_heap heap;
  const struct sumi_allocator *a = sumi_test_heap_init(&heap);
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(rewrite("none/o.onnx", INT32_MAX, &new_v, 1, NULL, &err), SUMI_E_IO);
  for (long n = 0;; n++) {
    sumi_err_clear(&err);
    sumi_test_heap_fail(&heap, n);
    const sumi_status status = rewrite("out/o.onnx", BYTES, &new_v, 1, a, &err);
    assert_int_equal(heap.blocks, 0);
    if (!heap.failed) {
      assert_int_equal(status, SUMI_OK);
      break;
    }
    assert_int_equal(status, SUMI_E_MEMORY);
    assert_int_equal(clear(at("out")) + clear(at("out/sub")), 0);
  }
  assert_int_equal(clear(at("out")) + clear(at("out/sub")), 3);
}

static void needs_the_data_it_keeps(void **state) {
  (void)state;
  struct sumi_err err = SUMI_ERR_INIT;
  assert_int_equal(rename(at("in/sub/w"), at("in/sub/x")), 0);
  assert_int_equal(rewrite("out/o.onnx", INT32_MAX, &new_v, 1, NULL, &err), SUMI_E_IO);
  assert_non_null(strstr(err.text, "tensor 'w': cannot open"));
  assert_int_equal(clear(at("out")), 0);
  assert_int_equal(rename(at("in/sub/x"), at("in/sub/w")), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(copies_what_is_still_read),   cmocka_unit_test(stays_beside_its_data),
      cmocka_unit_test(moves_out_what_is_too_large), cmocka_unit_test(leaves_nothing_of_a_failure),
      cmocka_unit_test(needs_the_data_it_keeps),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
